//! Connections that no event has right now.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many are kept.
const KEPT: usize = 8;
/// How long one is kept: what stands between may forget it, and the other side close it.
const FRESH: Duration = Duration::from_secs(60);

/// Connections that no event has right now, the one used last on top.
pub(crate) struct Spare<C>(Mutex<Vec<(Instant, C)>>);

impl<C> Spare<C> {
    pub(crate) fn new() -> Spare<C> {
        Spare(Mutex::new(Vec::new()))
    }

    /// One that `still` holds of; the others that are met on the way are closed.
    pub(crate) fn take(&self, still: impl Fn(&mut C) -> bool) -> Option<C> {
        loop {
            let (since, mut connection) = self.lock().pop()?;
            if since.elapsed() < FRESH && still(&mut connection) {
                return Some(connection);
            }
        }
    }

    /// Keeps one for the next event.
    pub(crate) fn put(&self, connection: C) {
        let mut kept = self.lock();
        // Those at the bottom are the oldest.
        kept.retain(|(since, _)| since.elapsed() < FRESH);
        if kept.len() < KEPT {
            kept.push((Instant::now(), connection));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, C)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
