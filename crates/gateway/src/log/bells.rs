//! Who waits for something to arrive in an application.
//!
//! Whoever commits a message rings here, and whoever waits reads the store: what is told is a hint. A
//! ring that is lost, or rung in another process, costs a look at the end of a bounded wait. Where
//! nobody waits, ringing is one look at a number.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ringback_domain::id::Key;
use tokio::sync::Notify;

/// Everybody who waits. Clones share it.
#[derive(Clone, Default)]
pub struct Bells(Arc<Shared>);

#[derive(Default)]
struct Shared {
    // Read without the lock by everybody who appends.
    waiting: AtomicUsize,
    // Held for a look-up, never across an await.
    by_application: Mutex<HashMap<Key, Vec<Arc<Notify>>>>,
}

/// Somebody who waits, until this is dropped.
pub struct Bell {
    bells: Bells,
    applications: Vec<Key>,
    notify: Arc<Notify>,
}

impl Bells {
    /// Something was committed in this application.
    pub fn ring(&self, application: Key) {
        if self.0.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        for notify in self.lock().get(&application).into_iter().flatten() {
            notify.notify_one();
        }
    }

    /// Begins to wait: what happens from now on is told. The store is to be read after this.
    pub fn wait_for(&self, applications: Vec<Key>) -> Bell {
        let notify = Arc::<Notify>::default();
        let mut all = self.lock();
        for application in &applications {
            all.entry(*application).or_default().push(Arc::clone(&notify));
        }
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        drop(all);
        Bell { bells: self.clone(), applications, notify }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Notify>>>> {
        // Every change leaves the map whole, so a panic elsewhere cannot have broken it.
        self.0.by_application.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    /// The applications that it is for.
    pub fn applications(&self) -> &[Key] {
        &self.applications
    }

    /// Waits until something was committed since the last time, at most so long.
    pub async fn rung(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notify.notified()).await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut all = self.bells.lock();
        for application in &self.applications {
            if let Some(waiting) = all.get_mut(application) {
                waiting.retain(|other| !Arc::ptr_eq(other, &self.notify));
                if waiting.is_empty() {
                    all.remove(application);
                }
            }
        }
        self.bells.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_and_leaves_nothing_behind() {
        let bells = Bells::default();
        bells.ring(1);
        let (both, other) = (bells.wait_for(vec![1, 2]), bells.wait_for(vec![3]));
        bells.ring(2);
        // It is told although it was not waiting at the moment; a minute would end the test.
        both.rung(Duration::from_secs(600)).await;
        let quiet = tokio::time::timeout(Duration::from_millis(20), other.rung(Duration::MAX));
        assert!(quiet.await.is_err(), "it is not its application");
        drop((both, other));
        assert!(bells.lock().is_empty());
        assert_eq!(bells.0.waiting.load(Ordering::Acquire), 0);
    }
}
