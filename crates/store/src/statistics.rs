//! Figures about what happened: counted when asked for, from a bounded number of rows.
//!
//! Nothing is counted while messages are delivered, so nothing can be counted wrong, and figures
//! cost the hot path nothing. In return a figure looks at a bounded number of rows, the
//! newest: if there are more, it is for a shorter time and says from when on. For that time it is
//! exact.

use std::time::Duration;

use ringback_domain::{
    id::{Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};

use crate::{BoxFuture, ReadError, Unavailable};

/// The most attempts, and the most pending deliveries, that a figure should be counted from.
pub const COUNT: usize = 50_000;

/// The most messages that one step of [`Statistics::usage`] should count.
pub const USAGE_STEP: usize = 10_000;

/// Counting what happened.
pub trait Statistics {
    /// How far the messages are at an endpoint that were accepted in a window. Each counts once:
    /// those without any attempt, and those that were attempted more than once.
    fn endpoint_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<EndpointStats, ReadError>>;

    /// How the attempts to an endpoint went that began in a window.
    fn attempt_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<AttemptStats, ReadError>>;

    /// To how many endpoints an application's messages went that were accepted in a window, step by
    /// step: of the messages after the key `after` (0 at first).
    fn usage(
        &self,
        scope: Scope,
        window: Window,
        after: Key,
    ) -> BoxFuture<'_, Result<Usage, Unavailable>>;
}

/// A stretch of time: from `since` on, up to but not including `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The most rows of a kind to count; usually [`COUNT`] or [`USAGE_STEP`].
    pub most: usize,
}

/// How far messages are at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointStats {
    /// The endpoint took them.
    pub success: u64,
    /// They were not tried yet.
    pub pending: u64,
    /// They were tried and will be again.
    pub sending: u64,
    /// They were tried as often as they will be.
    pub fail: u64,
    /// From when on they were counted: later than asked for if there were too many.
    pub since: Timestamp,
}

/// How attempts went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptStats {
    /// The endpoint answered with a success.
    pub success: u64,
    /// It did not.
    pub fail: u64,
    /// From when on they were counted: later than asked for if there were too many.
    pub since: Timestamp,
}

/// One step of counting what an application used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many messages there were.
    pub messages: u64,
    /// To how many endpoints they went, each message counted for itself.
    pub destinations: u64,
    /// The last message that was counted, if there may be more.
    pub reached: Option<Key>,
}

impl Window {
    /// The keys of what is made in it are at least the first and below the second.
    pub(crate) fn keys(self) -> (Key, Key) {
        (Id::first_key_at(self.since), Id::first_key_at(self.until))
    }

    /// The window without what has the time `reached` or is older: it was not looked at, or not all
    /// of it.
    pub(crate) fn after(self, reached: Option<Timestamp>) -> Window {
        let next = |time: Timestamp| time + Duration::from_millis(1);
        let since = reached.map_or(self.since, |time| self.since.max(next(time)));
        Window { since, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_shrinks_to_what_was_looked_at_whole() {
        let window = Window { since: Timestamp(10), until: Timestamp(20), most: 5 };
        assert_eq!(window.after(None), window);
        assert_eq!(window.after(Some(Timestamp(5))), window);
        assert_eq!(window.after(Some(Timestamp(12))).since, Timestamp(13));
        let (first, end) = window.keys();
        assert_eq!((first, end), (10 << 20, 20 << 20));
    }
}
