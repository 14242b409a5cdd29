//! How often a URL may be called, and how often an address may call.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::{
    id::Key,
    quota::{Bucket, Rate},
    time::Timestamp,
};

/// Callbacks and addresses that are remembered; forgetting refills their buckets.
const REMEMBERED: usize = 20_000;

/// Token buckets by callback, and by address.
pub(super) struct Limits {
    callbacks: Buckets<Key>,
    addresses: Buckets<IpAddr>,
}

struct Buckets<K> {
    rate: Rate,
    // Held for a look-up, never across an await.
    known: Mutex<HashMap<K, Bucket>>,
}

impl Limits {
    /// So many requests a second to one URL, and from one address.
    pub(super) fn new(to_one: u32, from_one: u32) -> Limits {
        Limits { callbacks: Buckets::new(to_one), addresses: Buckets::new(from_one) }
    }

    /// Whether one more request to this callback may come; otherwise after which time.
    pub(super) fn to(&self, callback: Key, now: Timestamp) -> Result<(), Duration> {
        self.callbacks.take(callback, now)
    }

    /// Whether one more request from this address may come; otherwise after which time.
    pub(super) fn from(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.addresses.take(address.to_canonical(), now)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(per_second: u32) -> Buckets<K> {
        let per_second = u64::from(per_second);
        Buckets { rate: Rate { per_second, burst: per_second }, known: Mutex::default() }
    }

    fn take(&self, key: K, now: Timestamp) -> Result<(), Duration> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            // A full bucket is as good as one that is forgotten.
            known.retain(|_, bucket| bucket.has(self.rate.burst, self.rate, now).is_err());
            if known.len() >= REMEMBERED {
                known.clear();
            }
        }
        let bucket = known.entry(key).or_default();
        bucket.has(1, self.rate, now)?;
        bucket.take(1, self.rate, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_for_each_and_refills() {
        let limits = Limits::new(3, 5);
        let to = |key, now| (0..10).filter(|_| limits.to(key, Timestamp(now)).is_ok()).count();
        assert_eq!((to(1, 0), to(1, 0), to(2, 0), to(1, 1_000)), (3, 0, 3, 3));
        let address: IpAddr = "203.0.113.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
        assert!((0..5).all(|_| limits.from(address, Timestamp(0)).is_ok()));
        assert_eq!(limits.from(mapped, Timestamp(0)), Err(Duration::from_millis(200)));
    }
}
