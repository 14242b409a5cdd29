//! How often a source may be called, and how much of what it refuses is written down.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::{id::Key, time::Timestamp};

/// Refused requests that are written down in a burst, and then each second: an attacker who knows
/// a URL must not fill the disk, and its owner must see what is going on.
const NOTED_BURST: f64 = 100.0;
const NOTED_RATE: f64 = 1.0;
/// Keys that one source may have fetched in a burst, and then each second.
const FETCH_BURST: f64 = 20.0;
const FETCH_RATE: f64 = 0.2;
/// Sources that are remembered; forgetting one refills its buckets.
const LIMIT: usize = 10_000;

/// Token buckets by source.
#[derive(Default)]
pub(super) struct Limits {
    // Held for a look-up, never across an await.
    sources: Mutex<HashMap<Key, Buckets>>,
}

#[derive(Default)]
struct Buckets {
    calls: Option<Bucket>,
    notes: Option<Bucket>,
    fetches: Option<Bucket>,
}

struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Bucket {
    /// Takes one; else how long until there is one.
    fn take(&mut self, burst: f64, rate: f64, now: Timestamp) -> Result<(), Duration> {
        let passed = now.since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate).min(burst);
        self.at = self.at.max(now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / rate))
    }
}

impl Limits {
    /// Whether one more request of this source may come, of so many a second.
    pub(super) fn call(&self, source: Key, rate: u32, now: Timestamp) -> Result<(), Duration> {
        let rate = f64::from(rate);
        self.take(source, |buckets| &mut buckets.calls, rate, rate, now)
    }

    /// Whether one more refused request is written down.
    pub(super) fn note(&self, source: Key, now: Timestamp) -> bool {
        self.take(source, |buckets| &mut buckets.notes, NOTED_BURST, NOTED_RATE, now).is_ok()
    }

    /// Whether one more key is fetched.
    pub(super) fn fetch(&self, source: Key, now: Timestamp) -> bool {
        self.take(source, |buckets| &mut buckets.fetches, FETCH_BURST, FETCH_RATE, now).is_ok()
    }

    fn take(
        &self,
        source: Key,
        which: impl Fn(&mut Buckets) -> &mut Option<Bucket>,
        burst: f64,
        rate: f64,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= LIMIT && !sources.contains_key(&source) {
            sources.clear();
        }
        let buckets = sources.entry(source).or_default();
        let bucket = which(buckets).get_or_insert(Bucket { left: burst, at: now });
        bucket.take(burst, rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_and_refills() {
        let limits = Limits::default();
        let taken = |now| (0..10).filter(|_| limits.call(1, 3, Timestamp(now)).is_ok()).count();
        assert_eq!(taken(0), 3);
        assert_eq!(taken(0), 0);
        assert_eq!(taken(1_000), 3);
        assert_eq!(taken(1_334), 1);
        assert!(limits.call(2, 3, Timestamp(1_334)).is_ok(), "another source has its own");
    }
}
