//! Who waits for something to happen to a callback.
//!
//! Whoever commits a step rings here, and whoever waits reads the row: what is told is a hint. A ring
//! that is lost, or rung in another process, costs a look at the row at the end of a bounded wait.
//! Who stops waiting leaves nothing behind.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ringback_domain::id::{CallbackId, Key};
use tokio::sync::watch;

/// Everybody who waits. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Waiters(
    // Held for a look-up, never across an await.
    Arc<Mutex<Bells>>,
);

#[derive(Default)]
struct Bells {
    /// One for each callback that somebody waits for.
    bells: HashMap<Key, watch::Sender<()>>,
    /// Nobody is to wait any more: the process is ending.
    closed: bool,
}

/// Somebody who waits for one callback.
pub(super) struct Waiting {
    waiters: Waiters,
    callback: Key,
    /// None if nobody is to wait any more.
    bell: Option<watch::Receiver<()>>,
}

impl Waiters {
    /// Begins to wait: what happens from now on is told. The row is to be read after this.
    pub(super) fn wait_for(&self, callback: CallbackId) -> Waiting {
        let callback = callback.key();
        let mut all = self.lock();
        let bell = (!all.closed)
            .then(|| all.bells.entry(callback).or_insert_with(|| watch::Sender::new(())))
            .map(|bell| bell.subscribe());
        Waiting { waiters: self.clone(), callback, bell }
    }

    /// Something happened to a callback, and is committed.
    pub(super) fn ring(&self, callback: CallbackId) {
        if let Some(bell) = self.lock().bells.get(&callback.key()) {
            bell.send_replace(());
        }
    }

    /// Ends all waits, those to come too.
    pub(super) fn close(&self) {
        let mut all = self.lock();
        all.closed = true;
        all.bells.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Bells> {
        // Every change leaves the map whole, so a panic elsewhere cannot have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Waits until something has happened since the last time; `false` if nobody is to wait any
    /// more.
    pub(super) async fn rung(&mut self) -> bool {
        match &mut self.bell {
            Some(bell) => bell.changed().await.is_ok(),
            None => false,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(bell) = self.bell.take() else { return };
        let mut all = self.waiters.lock();
        // Dropped under the lock, so that the last one is seen to be the last.
        drop(bell);
        if all.bells.get(&self.callback).is_some_and(|bell| bell.receiver_count() == 0) {
            all.bells.remove(&self.callback);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringback_domain::id::Id;

    use super::*;

    fn id(key: Key) -> CallbackId {
        CallbackId(Id { key, shard: 0, nonce: 0 })
    }

    #[tokio::test]
    async fn all_who_wait_are_told_and_leave_nothing_behind() {
        let waiters = Waiters::default();
        let mut mine: Vec<_> = (0..3).map(|_| waiters.wait_for(id(1))).collect();
        let _other = waiters.wait_for(id(2));
        waiters.ring(id(1));
        for waiting in &mut mine {
            assert!(waiting.rung().await, "it is told although it was not waiting at the moment");
        }
        drop(mine);
        assert_eq!(waiters.lock().bells.len(), 1);
    }

    #[tokio::test]
    async fn nobody_waits_once_it_is_closed() {
        let waiters = Waiters::default();
        let mut before = waiters.wait_for(id(1));
        waiters.close();
        assert!(!before.rung().await);
        assert!(!waiters.wait_for(id(1)).rung().await);
        drop(before);
        assert!(waiters.lock().bells.is_empty());
    }
}
