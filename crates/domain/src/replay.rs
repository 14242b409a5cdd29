//! Which messages are sent to an endpoint once more, when somebody asks for many at once.
//!
//! The rule is a pure function of what is known about one message at one endpoint. It never picks
//! what is about to be sent anyway, so asking twice sends nothing twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    message::Origin,
    route::{Filter, Verdict},
    time::Timestamp,
};

/// Which messages of an application somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// By what happened at the endpoint.
    pub which: Which,
    /// Only these event types; all when empty.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// Only with this channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// Only with this tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// Only what stands like this.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// Only whose last attempt got a status code from the first to the second.
    #[serde(default)]
    pub status_codes: Option<(u16, u16)>,
    /// In which version.
    #[serde(default)]
    pub version: Shape,
}

/// In which version of its event type a message is sent once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// In the one that the endpoint gets now.
    #[default]
    Current,
    /// In the one that was sent there first, by the revisions of conversions that led there; in the
    /// one that the endpoint gets now where no version was sent.
    Original,
}

/// Which messages, by what happened at the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Tried without success.
    Failed,
    /// Never tried, though the endpoint as it is now would get them.
    Missing,
    /// Tried, with whatever success.
    Sent,
}

/// How a message stands at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The endpoint took it.
    Delivered,
    /// It was tried and will be tried again.
    Retrying,
    /// It was tried and will not be tried again.
    Failed,
    /// It was not tried yet, or never will be.
    Untried,
}

impl Selection {
    /// Everything of this sort.
    pub fn all(which: Which) -> Selection {
        Selection {
            which,
            event_types: Vec::new(),
            channel: None,
            tag: None,
            standing: None,
            status_codes: None,
            version: Shape::Current,
        }
    }
}

/// What is known about one message at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which door it came through.
    pub origin: Origin,
    /// What happened.
    pub event_type: String,
    /// Whom it concerns.
    pub channels: Option<Vec<String>>,
    /// The caller's labels.
    pub tags: Option<Vec<String>>,
    /// Whether there still is something to send.
    pub has_content: bool,
    /// Whether one of its attempts succeeded; none if there was none.
    pub succeeded: Option<bool>,
    /// The status code of the last attempt.
    pub last_status_code: Option<u16>,
    /// When the schedule's next attempt is due.
    pub scheduled: Option<Timestamp>,
    /// Whether an extra attempt is planned already.
    pub asked_for: bool,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is sent.
    Send,
    /// It would be, but its content no longer exists.
    NoContent,
    /// It is left alone.
    Leave,
}

impl Facts {
    /// How the message stands.
    pub fn standing(&self) -> Standing {
        match (self.succeeded, self.scheduled) {
            (None, _) => Standing::Untried,
            (Some(true), _) => Standing::Delivered,
            (Some(false), Some(_)) => Standing::Retrying,
            (Some(false), None) => Standing::Failed,
        }
    }
}

/// An attempt of the schedule that is due within this time is not asked for again: both would be
/// made, and the message delivered twice.
const SOON: Duration = Duration::from_secs(5);

impl Selection {
    /// Decides for one message; `filter` is what the endpoint wants now.
    pub fn choose(&self, facts: &Facts, filter: &Filter, now: Timestamp) -> Choice {
        let due = facts.scheduled.is_some_and(|due| due <= now + SOON);
        if facts.asked_for || due || !self.wants(facts, filter) {
            return Choice::Leave;
        }
        if facts.has_content { Choice::Send } else { Choice::NoContent }
    }

    fn wants(&self, facts: &Facts, filter: &Filter) -> bool {
        let labelled = |label: &Option<String>, labels: &Option<Vec<String>>| {
            label.as_ref().is_none_or(|label| labels.iter().flatten().any(|other| other == label))
        };
        let typed = self.event_types.is_empty() || self.event_types.contains(&facts.event_type);
        let answered = self.status_codes.is_none_or(|(first, last)| {
            facts.last_status_code.is_some_and(|code| (first..=last).contains(&code))
        });
        typed
            && labelled(&self.channel, &facts.channels)
            && labelled(&self.tag, &facts.tags)
            && self.standing.is_none_or(|standing| standing == facts.standing())
            && answered
            && match self.which {
                Which::Failed => facts.succeeded == Some(false),
                Which::Sent => facts.succeeded.is_some(),
                Which::Missing => facts.is_missing(filter),
            }
    }
}

impl Facts {
    fn is_missing(&self, filter: &Filter) -> bool {
        let channels = self.channels.as_deref();
        self.succeeded.is_none()
            && self.scheduled.is_none()
            // An example was for one endpoint only.
            && self.origin != Origin::Example
            && filter.verdict(&self.event_type, channels) == Verdict::Matched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn facts() -> Facts {
        Facts {
            origin: Origin::Send,
            event_type: "user.created".to_owned(),
            channels: Some(vec!["a".to_owned()]),
            tags: Some(vec!["t".to_owned()]),
            has_content: true,
            succeeded: None,
            last_status_code: None,
            scheduled: None,
            asked_for: false,
        }
    }

    fn tried(succeeded: bool, code: u16) -> Facts {
        Facts { succeeded: Some(succeeded), last_status_code: Some(code), ..facts() }
    }

    fn choice(selection: &Selection, facts: &Facts) -> Choice {
        selection.choose(facts, &Filter::default(), NOW)
    }

    #[test]
    fn what_happened_decides() {
        let [failed, missing, sent] =
            [Which::Failed, Which::Missing, Which::Sent].map(Selection::all);
        for (facts, expect) in [
            (facts(), [Choice::Leave, Choice::Send, Choice::Leave]),
            (tried(true, 200), [Choice::Leave, Choice::Leave, Choice::Send]),
            (tried(false, 500), [Choice::Send, Choice::Leave, Choice::Send]),
            (
                Facts { has_content: false, ..tried(false, 500) },
                [Choice::NoContent, Choice::Leave, Choice::NoContent],
            ),
            // The next attempt of the schedule is far away: somebody asks for one now.
            (
                Facts { scheduled: Some(Timestamp(60_000)), ..tried(false, 500) },
                [Choice::Send, Choice::Leave, Choice::Send],
            ),
        ] {
            let chosen = [&failed, &missing, &sent].map(|selection| choice(selection, &facts));
            assert_eq!(chosen, expect, "{facts:?}");
        }
    }

    #[test]
    fn what_is_sent_anyway_is_left_alone() {
        let due = Some(NOW);
        for facts in [
            Facts { scheduled: due, ..tried(false, 500) },
            Facts { scheduled: Some(NOW + SOON), ..tried(false, 500) },
            Facts { scheduled: Some(Timestamp(60_000)), ..facts() },
            Facts { asked_for: true, ..tried(false, 500) },
            Facts { asked_for: true, ..facts() },
            Facts { scheduled: due, ..facts() },
        ] {
            for which in [Which::Failed, Which::Missing] {
                assert_eq!(choice(&Selection::all(which), &facts), Choice::Leave, "{facts:?}");
            }
        }
    }

    #[test]
    fn labels_standing_and_codes_narrow_it_down() {
        let sent = || Selection::all(Which::Sent);
        let some = |text: &str| Some(text.to_owned());
        for (selection, expect) in [
            (Selection { event_types: vec!["user.created".to_owned()], ..sent() }, Choice::Send),
            (Selection { event_types: vec!["user.deleted".to_owned()], ..sent() }, Choice::Leave),
            (Selection { channel: some("a"), ..sent() }, Choice::Send),
            (Selection { channel: some("b"), ..sent() }, Choice::Leave),
            (Selection { tag: some("t"), ..sent() }, Choice::Send),
            (Selection { tag: some("a"), ..sent() }, Choice::Leave),
            (Selection { standing: Some(Standing::Failed), ..sent() }, Choice::Send),
            (Selection { standing: Some(Standing::Retrying), ..sent() }, Choice::Leave),
            (Selection { standing: Some(Standing::Delivered), ..sent() }, Choice::Leave),
            (Selection { standing: Some(Standing::Untried), ..sent() }, Choice::Leave),
            (Selection { status_codes: Some((500, 599)), ..sent() }, Choice::Send),
            (Selection { status_codes: Some((400, 499)), ..sent() }, Choice::Leave),
        ] {
            assert_eq!(choice(&selection, &tried(false, 503)), expect, "{selection:?}");
        }
    }

    #[test]
    fn missing_is_what_the_endpoint_would_get_now() {
        let missing = Selection::all(Which::Missing);
        let wants = |event_type: &str| Filter {
            event_types: Some(vec![event_type.to_owned()]),
            ..Filter::default()
        };
        assert_eq!(missing.choose(&facts(), &wants("user.created"), NOW), Choice::Send);
        assert_eq!(missing.choose(&facts(), &wants("user.deleted"), NOW), Choice::Leave);
        let example = Facts { origin: Origin::Example, ..facts() };
        assert_eq!(choice(&missing, &example), Choice::Leave);
    }
}
