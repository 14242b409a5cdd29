//! What one application may use, and the buckets that its messages are taken from.
//!
//! Rates are token buckets: what is not used is saved up to a bound, so short bursts pass. A bucket
//! holds thousandths, because that is what flows into it in a millisecond.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The largest limit; larger numbers would not fit the buckets.
pub const LARGEST: u64 = 1_000_000_000_000;

/// What one application may use. What is `None` is not said, 0 means without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quota {
    /// Messages accepted a second, on the average.
    pub messages_per_second: Option<u64>,
    /// Messages accepted at once; what comes in a second if nothing is said.
    pub messages_burst: Option<u64>,
    /// Bytes of messages accepted a second, on the average.
    pub bytes_per_second: Option<u64>,
    /// Endpoints.
    pub endpoints: Option<u64>,
    /// Deliveries that are pending.
    pub pending: Option<u64>,
}

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`Quota::messages_per_second`], with its burst.
    Messages,
    /// [`Quota::bytes_per_second`].
    Bytes,
    /// [`Quota::endpoints`].
    Endpoints,
    /// [`Quota::pending`].
    Pending,
}

impl Limit {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Messages => "messagesPerSecond",
            Limit::Bytes => "bytesPerSecond",
            Limit::Endpoints => "endpoints",
            Limit::Pending => "pending",
        }
    }
}

impl Quota {
    /// This one where it says something, `defaults` elsewhere; what is without limit is `None`.
    pub fn over(self, defaults: Quota) -> Quota {
        let one = |own: Option<u64>, other: Option<u64>| own.or(other).filter(|limit| *limit > 0);
        // The default burst belongs to the default rate.
        let burst = match self.messages_per_second {
            Some(_) => self.messages_burst,
            None => self.messages_burst.or(defaults.messages_burst),
        };
        Quota {
            messages_per_second: one(self.messages_per_second, defaults.messages_per_second),
            messages_burst: one(burst, None),
            bytes_per_second: one(self.bytes_per_second, defaults.bytes_per_second),
            endpoints: one(self.endpoints, defaults.endpoints),
            pending: one(self.pending, defaults.pending),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(self) -> bool {
        self == Quota::default()
    }

    /// Whether it says something that a message is held against.
    pub fn limits_messages(self) -> bool {
        let limits = [self.messages_per_second, self.bytes_per_second, self.pending];
        limits.iter().flatten().any(|limit| *limit > 0)
    }
}

/// What flows into a bucket, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second.
    pub per_second: u64,
    /// At most.
    pub burst: u64,
}

impl Rate {
    fn holds(self) -> i64 {
        thousandths(self.burst.max(1))
    }
}

/// How much may still be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// In thousandths; none before the first look: it is full then. Negative after something was
    /// taken that is larger than the bucket.
    level: Option<i64>,
    at: Timestamp,
}

impl Bucket {
    /// The bucket as it is now.
    fn filled(self, rate: Rate, now: Timestamp) -> i64 {
        let Some(level) = self.level else { return rate.holds() };
        let millis = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        let more = millis.saturating_mul(rate.per_second.min(LARGEST) as i64);
        level.saturating_add(more).min(rate.holds())
    }

    /// Whether `amount` may be taken now; otherwise after which time. What is larger than the
    /// bucket may be taken from a full one, and has to be made good for afterwards.
    ///
    /// # Errors
    /// The time until it may be.
    pub fn has(self, amount: u64, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let missing = thousandths(amount).min(rate.holds()) - self.filled(rate, now);
        if missing <= 0 {
            return Ok(());
        }
        let millis = (missing as u64).div_ceil(rate.per_second.max(1));
        Err(Duration::from_millis(millis))
    }

    /// Takes `amount`, whether or not there is as much.
    pub fn take(&mut self, amount: u64, rate: Rate, now: Timestamp) {
        let level = self.filled(rate, now).saturating_sub(thousandths(amount));
        // A clock that goes back must not let the same time flow in twice.
        *self = Bucket { level: Some(level), at: self.at.max(now) };
    }
}

fn thousandths(amount: u64) -> i64 {
    amount.min(LARGEST) as i64 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + millis)
    }

    #[test]
    fn what_an_application_says_wins_over_the_default() {
        let quota = |messages_per_second, messages_burst, pending| Quota {
            messages_per_second,
            messages_burst,
            pending,
            ..Quota::default()
        };
        for (own, defaults, expect) in [
            (quota(None, None, None), quota(None, None, None), quota(None, None, None)),
            (
                quota(None, None, None),
                quota(Some(5), Some(9), Some(7)),
                quota(Some(5), Some(9), Some(7)),
            ),
            (
                quota(Some(1), None, None),
                quota(Some(5), Some(9), Some(7)),
                quota(Some(1), None, Some(7)),
            ),
            (
                quota(None, Some(2), None),
                quota(Some(5), Some(9), None),
                quota(Some(5), Some(2), None),
            ),
            (quota(Some(0), None, Some(0)), quota(Some(5), None, Some(7)), quota(None, None, None)),
            (quota(None, None, None), quota(Some(0), None, None), quota(None, None, None)),
        ] {
            assert_eq!(own.over(defaults), expect, "{own:?} over {defaults:?}");
        }
    }

    #[test]
    fn a_bucket_lets_a_burst_pass_and_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert_eq!(bucket.has(1, rate, at(0)), Ok(()));
            bucket.take(1, rate, at(0));
        }
        assert_eq!(bucket.has(1, rate, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(bucket.has(1, rate, at(60)), Err(Duration::from_millis(40)));
        assert_eq!(bucket.has(1, rate, at(100)), Ok(()));
        bucket.take(1, rate, at(100));
        assert_eq!(bucket.has(1, rate, at(100)), Err(Duration::from_millis(100)));
        // However long nothing comes, no more than a burst is saved up.
        assert_eq!(bucket.has(3, rate, at(3_600_000)), Ok(()));
        bucket.take(3, rate, at(3_600_000));
        assert!(bucket.has(1, rate, at(3_600_000)).is_err());
    }

    #[test]
    fn what_is_larger_than_a_bucket_passes_when_it_is_full_and_is_made_good_for() {
        let rate = Rate { per_second: 1_000, burst: 1_000 };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.has(5_000, rate, at(0)), Ok(()));
        bucket.take(5_000, rate, at(0));
        assert_eq!(bucket.has(1, rate, at(0)), Err(Duration::from_millis(4_001)));
        assert_eq!(bucket.has(1, rate, at(4_001)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let rate = Rate { per_second: 10, burst: 1 };
        let mut bucket = Bucket::default();
        bucket.take(1, rate, at(1_000));
        assert!(bucket.has(1, rate, at(0)).is_err());
        bucket.take(0, rate, at(0));
        assert_eq!(bucket.has(1, rate, at(1_099)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.has(1, rate, at(1_100)), Ok(()));
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let rate = Rate { per_second: u64::MAX, burst: u64::MAX };
        let mut bucket = Bucket::default();
        bucket.take(u64::MAX, rate, at(0));
        assert_eq!(bucket.has(u64::MAX, rate, Timestamp(i64::MAX)), Ok(()));
    }
}
