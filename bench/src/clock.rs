//! One clock for the whole run: nanoseconds since the first look at it.
//!
//! Generator and receiver live in one process, so a receipt can be subtracted from a send without
//! any synchronisation.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the epoch of this run; monotonic.
pub fn now() -> u64 {
    at(Instant::now())
}

/// An instant on the scale of [`now`]; instants before the epoch read 0.
pub fn at(instant: Instant) -> u64 {
    let epoch = *EPOCH.get_or_init(Instant::now);
    u64::try_from(instant.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps the thread until `due` on the scale of [`now`].
pub fn sleep_until(due: u64) {
    let now = now();
    if due > now {
        std::thread::sleep(Duration::from_nanos(due - now));
    }
}
