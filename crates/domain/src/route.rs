//! Which endpoints a message is for, and why not for the others.
//!
//! The verdict is a pure function of the message and the endpoint's revision that was in force when
//! the message was accepted. So it need not be stored: asked later, the same function gives the
//! same answer.

use crate::endpoint::State;

/// What an endpoint wants, as it is written in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these event types; all when absent.
    pub event_types: Option<Vec<String>>,
    /// Only messages with one of these channels; all when absent.
    pub channels: Option<Vec<String>>,
    /// Whether the endpoint takes messages at all.
    pub state: State,
}

/// Whether a message is for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is; a delivery exists.
    Matched,
    /// The endpoint does not want this event type.
    EventType,
    /// The endpoint wants other channels.
    Channel,
    /// The endpoint was in this state.
    State(State),
    /// The endpoint did not exist yet.
    Later,
}

impl Filter {
    /// Decides for one message. One that is read by whoever wants it is never sent, and so never
    /// matches; of what it is not for, the answer says that.
    pub fn verdict(&self, event_type: &str, channels: Option<&[String]>) -> Verdict {
        let is_pulled = self.state == State::Pulled;
        if !self.state.takes_messages() && !is_pulled {
            return Verdict::State(self.state);
        }
        if let Some(wanted) = &self.event_types
            && !wanted.iter().any(|name| name == event_type)
        {
            return Verdict::EventType;
        }
        if let Some(wanted) = &self.channels
            && !channels.unwrap_or_default().iter().any(|channel| wanted.contains(channel))
        {
            return Verdict::Channel;
        }
        if is_pulled { Verdict::State(State::Pulled) } else { Verdict::Matched }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn verdicts() {
        let check = |types: Option<Vec<String>>, wanted, state, channels: Option<Vec<String>>| {
            Filter { event_types: types, channels: wanted, state }
                .verdict("user.created", channels.as_deref())
        };
        let on = State::Enabled;
        assert_eq!(check(None, None, on, None), Verdict::Matched);
        assert_eq!(check(None, None, on, names(&["a"])), Verdict::Matched);
        assert_eq!(check(names(&["user.created"]), None, on, None), Verdict::Matched);
        assert_eq!(check(names(&["user.deleted"]), None, on, None), Verdict::EventType);
        assert_eq!(check(None, names(&["a", "b"]), on, names(&["b", "c"])), Verdict::Matched);
        assert_eq!(check(None, names(&["a"]), on, names(&["b"])), Verdict::Channel);
        assert_eq!(check(None, names(&["a"]), on, None), Verdict::Channel);
        assert_eq!(check(None, None, State::Paused, None), Verdict::Matched);
        assert_eq!(check(None, None, State::Gone, None), Verdict::State(State::Gone));
        assert_eq!(check(None, None, State::Pulled, None), Verdict::State(State::Pulled));
        assert_eq!(check(names(&["b"]), None, State::Pulled, None), Verdict::EventType);
    }
}
