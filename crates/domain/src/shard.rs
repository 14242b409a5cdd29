//! Where an application's rows are: a number that leads every key of the hot path, so that a store on
//! many machines keeps what is written together in one place.

use crate::id::Key;

/// How many shards there are. Fixed for ever: rows are found by it.
pub const SHARDS: u32 = 1024;

/// The shard of an application's messages, deliveries and attempts.
pub fn of(application: Key) -> u32 {
    // Keys of neighbours differ in few bits; this spreads them (the finalizer of SplitMix64,
    // <https://prng.di.unimi.it/splitmix64.c>).
    let mut mixed = application as u64;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed % u64::from(SHARDS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are found by this number: it may never change.
    #[test]
    fn shards_stay_where_they_are() {
        let keys = [0, 1, 1_800_000_000_000 << 20, i64::MAX];
        assert_eq!(keys.map(of), [0, 485, 801, 701]);
    }

    #[test]
    fn neighbours_are_spread() {
        let mut filled = vec![0; SHARDS as usize];
        for number in 0..10 * i64::from(SHARDS) {
            filled[of((1_800_000_000_000 << 20) + number) as usize] += 1;
        }
        assert!(filled.iter().all(|count| (1..40).contains(count)), "{filled:?}");
    }
}
