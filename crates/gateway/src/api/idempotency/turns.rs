//! Twins take turns: requests with the same claim, one at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

/// The claims that are under way.
#[derive(Clone, Default)]
pub(in crate::api) struct Turns {
    // Weak, so that a claim's entry lives as long as somebody holds or awaits its turn; held for a
    // look-up, never across an await.
    under_way: Arc<Mutex<HashMap<u128, Weak<tokio::sync::Mutex<()>>>>>,
}

/// The right to go ahead; gives way to the next twin when dropped.
pub(in crate::api) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    fingerprint: u128,
    turns: Turns,
}

impl Turns {
    /// Waits until no request with this fingerprint is under way.
    pub(in crate::api) async fn wait(&self, fingerprint: u128) -> Turn {
        let lock = {
            let mut under_way = self.lock();
            let entry = under_way.entry(fingerprint).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let lock = Arc::default();
                *entry = Arc::downgrade(&lock);
                lock
            })
        };
        let guard = Some(lock.lock_owned().await);
        Turn { guard, fingerprint, turns: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Weak<tokio::sync::Mutex<()>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut under_way = self.turns.lock();
        if under_way.get(&self.fingerprint).is_some_and(|lock| lock.strong_count() == 0) {
            under_way.remove(&self.fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_twin_waits_for_the_first_and_others_do_not() {
        let turns = Turns::default();
        let first = turns.wait(1).await;
        let mut twin = Box::pin(turns.wait(1));
        let other = turns.wait(2).await;
        let waits = tokio::select! { biased; _ = &mut twin => false, () = async {} => true };
        assert!(waits);
        drop(first);
        let twin = twin.await;
        drop((twin, other));
        assert!(turns.lock().is_empty());
    }
}
