//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double up to a longest one; between half of each and the whole of it is left to chance,
/// so that those who lost the same server do not come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0 }
    }

    /// The next wait; `random` is any number.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let whole = self.first.saturating_mul(2u32.saturating_pow(self.tries)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        let half = whole / 2;
        let chance = random % u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(chance)
    }

    /// It worked: the next wait is the first one again.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(5000));
        for (random, expected) in [(0, 50), (0, 100), (0, 200), (0, 400), (0, 800), (0, 1600)] {
            assert_eq!(backoff.next(random), millis(expected));
        }
        for random in [0, 1, u64::MAX] {
            let wait = backoff.next(random);
            assert!((millis(2500)..=millis(5000)).contains(&wait), "{wait:?}");
        }
        (0..100).for_each(|_| assert!(backoff.next(7) <= millis(5000)));
        backoff.reset();
        assert_eq!(backoff.next(0), millis(50));
    }
}
