//! What happens after an attempt: settled, tried again, given up, or the endpoint switched off.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> pending: accepted
//!     pending --> delivered: 2xx
//!     pending --> pending: failed, attempts left (next at schedule + jitter, or Retry-After)
//!     pending --> exhausted: failed, no attempts left; or never to be taken; or the filter costs too much
//!     pending --> blocked: the same, at an endpoint whose order waits then
//!     blocked --> delivered: sent by hand
//!     blocked --> exhausted: skipped by hand, or the order waits no longer
//!     pending --> filtered: the endpoint's filter does not want it
//!     pending --> held: endpoint disabled (410, failing for days, by hand) or paused
//!     held --> pending: endpoint enabled again
//!     pending --> canceled: endpoint deleted
//! ```

use std::time::Duration;

use crate::{
    attempt::{Outcome, Trigger},
    endpoint::State,
    time::Timestamp,
};

/// The longest wait that a receiver can ask for.
pub const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// When to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The gaps after the immediate first attempt; so there is one attempt more than gaps.
    pub gaps: Vec<Duration>,
    /// Up to this share of a gap is added at random, never subtracted.
    pub jitter: f64,
    /// An endpoint that fails for this long without a success is disabled.
    pub disable_after: Duration,
}

impl Default for Schedule {
    /// Ten attempts over 75 h 35 min, the example of Standard Webhooks 1.0.0.
    fn default() -> Schedule {
        let gaps = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Schedule {
            gaps: gaps.into_iter().map(Duration::from_secs).collect(),
            jitter: 0.2,
            disable_after: Duration::from_secs(5 * 24 * 3600),
        }
    }
}

/// How an attempt ended, as far as the schedule cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The answer's status, 0 without one.
    pub status_code: u16,
    /// Whether the whole answer came in time; a 2xx whose body breaks off is no success.
    pub complete: bool,
    /// The wait that the answer asked for; see [`Ending::asked`].
    pub retry_after: Option<Duration>,
    /// What the answer means.
    pub meaning: Meaning,
    /// Whether the answer asks that the endpoint be disabled.
    pub disable: bool,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// What its status says.
    #[default]
    ByStatus,
    /// It is done, whatever the status.
    Delivered,
    /// It would be taken later, whatever the status.
    Later,
    /// The same would never be taken: trying again is of no use.
    Permanent,
}

/// What to do with the delivery and its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of the delivery.
    pub outcome: Outcome,
    /// When it is tried next; only with [`Outcome::Retry`] and [`Outcome::Held`].
    pub next_at: Option<Timestamp>,
    /// The state that the endpoint goes into.
    pub disable: Option<State>,
}

/// Why a message was not sent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptBack {
    /// The endpoint's filter does not want it.
    NotWanted,
    /// Whether it does could not be found out within the filter's budget.
    Overrun,
    /// It lacks something that the destination needs, and is not for it then.
    Lacking,
    /// It cannot become what the destination takes.
    Unfit,
    /// It has no meaning in the version that the endpoint is pinned to.
    Suppressed,
    /// It could not be put into the version that the endpoint is pinned to.
    Unconverted,
    /// It is older than the version that the endpoint is pinned to, which takes none before that.
    TooOld,
    /// The endpoint's transformation wants nothing sent.
    Canceled,
    /// The endpoint's transformation failed.
    Untransformed,
}

/// Where the delivery and its endpoint stood before the attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// How many scheduled attempts there were, this one included.
    pub attempts: u32,
    /// Since when the endpoint has failed without one success, this attempt included.
    pub failing_since: Option<Timestamp>,
}

impl Schedule {
    /// Decides after a scheduled attempt. `random` decides the jitter.
    pub fn decide(&self, before: Before, ending: Ending, now: Timestamp, random: u64) -> Decision {
        if ending.is_success() {
            let disable = ending.disables().then_some(State::Gone);
            return Decision { outcome: Outcome::Delivered, next_at: None, disable };
        }
        let lasting = ending.meaning == Meaning::Permanent;
        let next_at = self.next_at(before.attempts, ending, now, random).filter(|_| !lasting);
        let failing_for =
            before.failing_since.map(|since| now.since(since)).unwrap_or(Duration::ZERO);
        let disable = if ending.disables() {
            Some(State::Gone)
        } else if failing_for >= self.disable_after {
            Some(State::Failing)
        } else {
            None
        };
        let outcome = match (next_at, disable) {
            (None, _) => Outcome::Exhausted,
            (Some(_), Some(_)) => Outcome::Held,
            (Some(_), None) => Outcome::Retry,
        };
        Decision { outcome, next_at, disable }
    }

    /// Decides after a manual attempt: a success settles the delivery, a failure changes nothing.
    pub fn decide_manual(ending: Ending) -> Decision {
        let outcome = if ending.is_success() { Outcome::Delivered } else { Outcome::Unchanged };
        let disable = ending.disables().then_some(State::Gone);
        Decision { outcome, next_at: None, disable }
    }

    fn next_at(
        &self,
        attempts: u32,
        ending: Ending,
        now: Timestamp,
        random: u64,
    ) -> Option<Timestamp> {
        let gap = *self.gaps.get(attempts.checked_sub(1)? as usize)?;
        let share = random as f64 / u64::MAX as f64;
        let scheduled = gap + gap.mul_f64(self.jitter * share);
        let asked = ending.asked().unwrap_or(Duration::ZERO);
        Some(now + scheduled.max(asked))
    }
}

impl KeptBack {
    /// What follows. The endpoint has no part in it. Trying again would find the same, so what could
    /// not be found out or made has failed until somebody changes the filter or the mapping and sends
    /// it again.
    #[must_use]
    pub fn decision(self, trigger: Trigger) -> Decision {
        let outcome = match (self, trigger) {
            (
                KeptBack::NotWanted | KeptBack::Lacking | KeptBack::Suppressed | KeptBack::Canceled,
                _,
            ) => Outcome::Filtered,
            (
                KeptBack::Overrun
                | KeptBack::Unfit
                | KeptBack::Unconverted
                | KeptBack::TooOld
                | KeptBack::Untransformed,
                Trigger::Scheduled,
            ) => Outcome::Exhausted,
            (
                KeptBack::Overrun
                | KeptBack::Unfit
                | KeptBack::Unconverted
                | KeptBack::TooOld
                | KeptBack::Untransformed,
                Trigger::Manual,
            ) => Outcome::Unchanged,
        };
        Decision { outcome, next_at: None, disable: None }
    }
}

impl Decision {
    /// The same in an order in which whatever was not delivered keeps the rest waiting.
    #[must_use]
    pub fn blocking(self) -> Decision {
        match self.outcome {
            Outcome::Exhausted => Decision { outcome: Outcome::Blocked, ..self },
            _ => self,
        }
    }

    /// The same without a consequence for the endpoint: it is not what it was during the attempt.
    #[must_use]
    pub fn without_disabling(self) -> Decision {
        let outcome = if self.outcome == Outcome::Held { Outcome::Retry } else { self.outcome };
        Decision { outcome, disable: None, ..self }
    }
}

impl Ending {
    /// A whole answer with this status, and nothing else to be said of it.
    pub fn of(status_code: u16) -> Ending {
        let meaning = Meaning::ByStatus;
        Ending { status_code, complete: true, retry_after: None, meaning, disable: false }
    }

    /// Whether the endpoint says that it wants nothing more (410: Standard Webhooks 1.0.0).
    fn disables(self) -> bool {
        self.disable || self.status_code == 410
    }

    /// 2xx is success, everything else is not (Standard Webhooks 1.0.0), redirects too; unless the
    /// kind of destination knows better.
    pub fn is_success(self) -> bool {
        match self.meaning {
            Meaning::ByStatus => self.complete && (200..300).contains(&self.status_code),
            Meaning::Delivered => true,
            Meaning::Later | Meaning::Permanent => false,
        }
    }

    /// The wait that the receiver asked for, if its answer is one that may: 429, 503, and what a kind
    /// of destination says so of.
    pub fn asked(self) -> Option<Duration> {
        let may_ask = matches!(self.status_code, 429 | 503) || self.meaning == Meaning::Later;
        self.retry_after.filter(|_| may_ask).map(|wait| wait.min(RETRY_AFTER_LIMIT))
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// What cannot be read, or lies in the past, is as good as absent.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let valid = seconds.is_finite() && seconds >= 0.0;
        return valid.then(|| Duration::from_secs_f64(seconds.min(1e9)).min(RETRY_AFTER_LIMIT));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let at = Timestamp(date.timestamp().as_millisecond());
    (at > now).then(|| at.since(now).min(RETRY_AFTER_LIMIT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn ending(status_code: u16) -> Ending {
        Ending::of(status_code)
    }

    fn decide(attempts: u32, ending: Ending) -> Decision {
        let before = Before { attempts, failing_since: None };
        Schedule::default().decide(before, ending, NOW, 0)
    }

    #[test]
    fn default_schedule_is_ten_attempts_in_three_days() {
        let schedule = Schedule::default();
        let total: Duration = schedule.gaps.iter().sum();
        assert_eq!((schedule.gaps.len() + 1, total.as_secs()), (10, 75 * 3600 + 35 * 60 + 5));
    }

    #[test]
    fn statuses() {
        for status in 200..600 {
            let expect = match status {
                200..=299 => (Outcome::Delivered, None),
                410 => (Outcome::Held, Some(State::Gone)),
                _ => (Outcome::Retry, None),
            };
            let got = decide(1, ending(status));
            assert_eq!((got.outcome, got.disable), expect, "{status}");
        }
        assert_eq!(decide(1, Ending { complete: false, ..ending(200) }).outcome, Outcome::Retry);
    }

    #[test]
    fn an_endpoint_may_ask_to_be_disabled_with_any_status() {
        for (status, expect) in [(204, Outcome::Delivered), (500, Outcome::Held)] {
            let asks = Ending { disable: true, ..ending(status) };
            let got = decide(1, asks);
            assert_eq!((got.outcome, got.disable), (expect, Some(State::Gone)), "{status}");
            assert_eq!(Schedule::decide_manual(asks).disable, Some(State::Gone));
        }
        assert_eq!(Schedule::decide_manual(ending(500)).disable, None);
    }

    #[test]
    fn what_is_never_to_be_taken_is_given_up_at_once() {
        let never = Ending { meaning: Meaning::Permanent, ..ending(500) };
        assert_eq!(decide(1, never).outcome, Outcome::Exhausted);
    }

    #[test]
    fn the_tenth_failure_is_the_last() {
        assert_eq!(decide(9, ending(500)).next_at, Some(NOW + Duration::from_secs(86_400)));
        assert_eq!(decide(10, ending(500)).outcome, Outcome::Exhausted);
    }

    #[test]
    fn an_endpoint_that_fails_for_days_is_disabled() {
        let after = |days: u64| {
            let since = NOW - Duration::from_secs(days * 86_400);
            let before = Before { attempts: 2, failing_since: Some(since) };
            Schedule::default().decide(before, ending(500), NOW, 0)
        };
        assert_eq!(after(4).disable, None);
        assert_eq!(after(5).disable, Some(State::Failing));
        assert_eq!(after(5).outcome, Outcome::Held);
    }

    #[test]
    fn a_changed_endpoint_is_not_disabled() {
        for (attempts, expect) in [(1, Outcome::Retry), (10, Outcome::Exhausted)] {
            let disabling = decide(attempts, ending(410));
            assert_eq!(disabling.disable, Some(State::Gone));
            let decision = disabling.without_disabling();
            assert_eq!((decision.outcome, decision.disable), (expect, None));
            assert_eq!(decision.next_at, disabling.next_at);
        }
    }

    #[test]
    fn manual_attempts_settle_or_change_nothing() {
        assert_eq!(Schedule::decide_manual(ending(204)).outcome, Outcome::Delivered);
        assert_eq!(Schedule::decide_manual(ending(500)).outcome, Outcome::Unchanged);
    }

    #[test]
    fn what_is_kept_back_is_settled() {
        for (kept_back, trigger, expect) in [
            (KeptBack::NotWanted, Trigger::Scheduled, Outcome::Filtered),
            (KeptBack::NotWanted, Trigger::Manual, Outcome::Filtered),
            (KeptBack::Overrun, Trigger::Scheduled, Outcome::Exhausted),
            (KeptBack::Overrun, Trigger::Manual, Outcome::Unchanged),
        ] {
            let expect = Decision { outcome: expect, next_at: None, disable: None };
            assert_eq!(kept_back.decision(trigger), expect, "{kept_back:?} {trigger:?}");
        }
    }

    #[test]
    fn retry_after() {
        let seconds = |value| parse_retry_after(value, NOW).map(|wait| wait.as_secs());
        for (value, expect) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("-1", None),
            ("nan", None),
            ("1e300", Some(86_400)),
            ("315360000", Some(86_400)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Tue, 14 Nov 2023 22:13:19 GMT", None),
            ("Wed, 14 Nov 2033 22:13:20 GMT", None),
            ("soon", None),
        ] {
            // The weekday of 2033 above is wrong on purpose: such a date is no date.
            assert_eq!(seconds(value), expect, "{value}");
        }
    }

    #[test]
    fn only_429_and_503_are_heard() {
        let wait = |status, seconds| {
            let ending =
                Ending { retry_after: Some(Duration::from_secs(seconds)), ..ending(status) };
            decide(1, ending).next_at.map(|at| at.since(NOW).as_secs())
        };
        assert_eq!(wait(503, 60), Some(60));
        assert_eq!(wait(429, 1), Some(5), "never before the schedule");
        assert_eq!(wait(500, 60), Some(5));
        assert_eq!(wait(503, 10_000_000), Some(86_400));
    }

    #[test]
    fn a_kind_of_destination_knows_who_else_is_heard() {
        let retry_after = Some(Duration::from_secs(60));
        let later = Ending { retry_after, meaning: Meaning::Later, ..ending(403) };
        let decision = decide(1, later);
        assert_eq!(decision.outcome, Outcome::Retry);
        assert_eq!(decision.next_at, Some(NOW + Duration::from_secs(60)));
        assert_eq!(decide(10, later).outcome, Outcome::Exhausted, "attempts are counted");
    }

    proptest! {
        #[test]
        fn never_early_and_at_most_the_jitter_late(attempts in 1u32..10, random: u64) {
            let schedule = Schedule::default();
            let before = Before { attempts, failing_since: None };
            let decision = schedule.decide(before, ending(500), NOW, random);
            let gap = schedule.gaps[attempts as usize - 1];
            let wait = decision.next_at.unwrap().since(NOW);
            prop_assert!(wait >= gap && wait <= gap.mul_f64(1.2) + Duration::from_millis(1));
        }
    }
}
