//! What applications may use, held against what they do.
//!
//! Everything that a message is held against is in memory, so no message waits for the store. Where
//! no quota says anything about messages, a message costs the look at one flag.
//!
//! ```text
//!  door ── admit ──► buckets of the application ──► accepted, or 429
//!       ── learn ◄── which application a uid meant   (with the first message)
//!  keep ── quotas ◄── store   every ten seconds: what other processes set
//!       ── pending ◄── store  every second: only where pending deliveries are limited
//! ```
//!
//! What is in memory is a little behind: the number of pending deliveries by a second (or a hundred
//! times as long as counting takes, if that is longer), and a uid is known from the first message
//! on, which therefore always passes. A restart fills the buckets.

mod gauges;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ringback_domain::{
    id::Key,
    quota::{Limit, Quota},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{Store, Unavailable};
use tokio::time::{Instant, sleep};

use self::gauges::Gauges;
use crate::seam::World;

/// How often pending deliveries are counted.
const COUNT: Duration = Duration::from_secs(1);
/// The share of the time that may go into counting: one in this many.
const SHARE: u32 = 100;
/// How often quotas are read.
const READ: Duration = Duration::from_secs(10);
/// How many are read at a time.
const PAGE: usize = 500;
/// An application that sent nothing for so long is not counted.
const IDLE: Duration = Duration::from_secs(10);

/// A quota that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Which.
    pub limit: Limit,
    /// What it allows.
    pub value: u64,
    /// After which time it is worth trying again.
    pub after: Duration,
}

/// The quotas of all applications, and how far each is used up.
pub struct Quotas {
    defaults: Quota,
    /// Whether there is a quota that messages are held against; if not, nothing else is looked at.
    on: AtomicBool,
    // Held for a look-up or a change, never across an await.
    gauges: Mutex<Gauges>,
}

impl Quotas {
    /// With these defaults, and nothing that was set for a single application yet.
    pub fn new(defaults: Quota) -> Quotas {
        let on = AtomicBool::new(defaults.limits_messages());
        Quotas { defaults, on, gauges: Mutex::default() }
    }

    /// What an application may use, from what was set for it: nothing is `None`.
    pub fn effective(&self, own: Quota) -> Quota {
        own.over(self.defaults)
    }

    /// What an application may use.
    pub fn of(&self, scope: Scope) -> Quota {
        self.effective(self.lock().own(scope))
    }

    /// Takes a message of this size from the quota of the application that this names, if it is
    /// known which one that is.
    ///
    /// # Errors
    /// The quota that has no room for it; then nothing is taken.
    pub fn admit(
        &self,
        environment: Key,
        application: &Reference,
        bytes: usize,
        now: Timestamp,
    ) -> Result<(), Over> {
        if !self.on.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut gauges = self.lock();
        let Some(scope) = gauges.known(environment, application) else { return Ok(()) };
        let quota = gauges.own(scope).over(self.defaults);
        gauges.take(scope, quota, bytes as u64, now)
    }

    /// Learns which application a name meant. To be called when a message was appended; the
    /// first message that showed it is taken from the quota now.
    pub fn learn(&self, scope: Scope, application: &Reference, bytes: usize, now: Timestamp) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let Reference::Uid(uid) = application else { return };
        let mut gauges = self.lock();
        if gauges.learn(scope, uid) {
            let quota = gauges.own(scope).over(self.defaults);
            gauges.overdraw(scope, quota, bytes as u64, now);
        }
    }

    /// A quota was set for an application; one that says nothing takes it away.
    pub fn set(&self, scope: Scope, quota: Quota) {
        self.change(|gauges| gauges.set(scope, quota));
    }

    /// Reads what was set for applications.
    ///
    /// # Errors
    /// When the store cannot be read; then all stays as it is.
    pub async fn read(&self, store: &dyn Store) -> Result<(), Unavailable> {
        let (mut all, mut after) = (Vec::new(), 0);
        let begun = self.lock().generation();
        loop {
            let page = store.quotas(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = last.application;
            all.extend(page);
        }
        self.change(|gauges| gauges.replace(all, begun));
        Ok(())
    }

    /// Keeps what is in memory up to date until it is dropped.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>, world: World) {
        tokio::join!(self.keep_reading(&*store), self.keep_counting(&*store, &world));
    }

    async fn keep_reading(&self, store: &dyn Store) {
        loop {
            sleep(READ).await;
            if let Err(error) = self.read(store).await {
                tracing::warn!(%error, "the quotas of applications could not be read yet");
            }
        }
    }

    async fn keep_counting(&self, store: &dyn Store, world: &World) {
        loop {
            let begun = Instant::now();
            let now = world.clock.now();
            self.count(store, now).await;
            sleep(COUNT.max(begun.elapsed() * SHARE)).await;
        }
    }

    /// Counts the pending deliveries of the applications that sent something lately and are limited
    /// in them.
    pub async fn count(&self, store: &dyn Store, now: Timestamp) {
        let limited = self.lock().limited(self.defaults, now - IDLE);
        for (scope, most) in limited {
            match store.pending(scope, most).await {
                Ok(pending) => self.lock().counted(scope, pending),
                Err(error) => {
                    tracing::warn!(%error, "pending deliveries could not be counted yet");
                    return;
                }
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Gauges)) {
        let mut gauges = self.lock();
        change(&mut gauges);
        let on = self.defaults.limits_messages() || gauges.limit_messages();
        self.on.store(on, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Gauges> {
        // Every change leaves the maps whole, so a panic elsewhere cannot have broken them.
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope { environment: 1, application: 2 };
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn uid() -> Reference {
        Reference::Uid("mine".to_owned())
    }

    fn id(key: Key) -> Reference {
        Reference::Id(ringback_domain::id::Id { key, shard: 0, nonce: 7 })
    }

    fn rate(messages: u64) -> Quota {
        Quota { messages_per_second: Some(messages), ..Quota::default() }
    }

    fn passes(quotas: &Quotas, application: &Reference, environment: Key) -> bool {
        quotas.admit(environment, application, 10, NOW).is_ok()
    }

    #[test]
    fn without_a_quota_nothing_is_remembered() {
        let quotas = Quotas::new(Quota { endpoints: Some(3), ..Quota::default() });
        quotas.learn(SCOPE, &uid(), 10, NOW);
        assert!(passes(&quotas, &uid(), 1) && passes(&quotas, &id(2), 1));
        assert!(quotas.lock().is_empty());
        assert_eq!(quotas.of(SCOPE).endpoints, Some(3));
    }

    #[test]
    fn id_and_uid_share_what_there_is() {
        let quotas = Quotas::new(rate(2));
        // Nobody knows yet whom the uid means; what passes is taken afterwards.
        assert!(passes(&quotas, &uid(), 1));
        quotas.learn(SCOPE, &uid(), 10, NOW);
        assert!(passes(&quotas, &id(2), 1));
        let over = quotas.admit(1, &uid(), 10, NOW).unwrap_err();
        let half = Duration::from_millis(500);
        assert_eq!(over, Over { limit: Limit::Messages, value: 2, after: half });
        assert!(quotas.admit(1, &uid(), 10, NOW + half).is_ok());
        // A uid can come to mean another application.
        quotas.learn(Scope { application: 3, ..SCOPE }, &uid(), 10, NOW);
        assert!(passes(&quotas, &uid(), 1));
        assert!(!passes(&quotas, &uid(), 1));
        assert!(!passes(&quotas, &id(3), 1));
    }

    #[test]
    fn who_names_a_foreign_application_uses_nothing_of_its_quota() {
        let quotas = Quotas::new(rate(1));
        assert!(passes(&quotas, &id(2), 9));
        assert!(passes(&quotas, &id(2), 1));
        assert!(!passes(&quotas, &id(2), 1));
    }

    #[test]
    fn what_is_set_counts_at_once_and_ends_at_once() {
        let quotas = Quotas::new(Quota::default());
        quotas.set(SCOPE, rate(1));
        assert!(passes(&quotas, &id(2), 1));
        assert!(!passes(&quotas, &id(2), 1));
        assert!(passes(&quotas, &id(3), 1) && passes(&quotas, &id(3), 1));
        quotas.set(SCOPE, Quota::default());
        assert!(passes(&quotas, &id(2), 1));
        assert!(!quotas.on.load(Ordering::Relaxed));
    }

    #[test]
    fn bytes_are_limited_too() {
        let quotas = Quotas::new(Quota { bytes_per_second: Some(100), ..Quota::default() });
        assert!(quotas.admit(1, &id(2), 300, NOW).is_ok(), "what is larger needs a full bucket");
        let over = quotas.admit(1, &id(2), 1, NOW).unwrap_err();
        assert_eq!((over.limit, over.value), (Limit::Bytes, 100));
        assert_eq!(over.after, Duration::from_millis(2_010));
    }

    #[test]
    fn who_is_refused_uses_nothing() {
        let both = Quota { bytes_per_second: Some(10), ..rate(2) };
        let quotas = Quotas::new(both);
        assert!(passes(&quotas, &id(2), 1));
        for _ in 0..3 {
            assert_eq!(quotas.admit(1, &id(2), 10, NOW).unwrap_err().limit, Limit::Bytes);
        }
        // The message that was refused for its bytes is still there to be sent.
        assert!(quotas.admit(1, &id(2), 0, NOW).is_ok());
        assert_eq!(quotas.admit(1, &id(2), 0, NOW).unwrap_err().limit, Limit::Messages);
    }

    #[test]
    fn pending_counts_when_it_was_counted() {
        let quotas = Quotas::new(Quota { pending: Some(5), ..Quota::default() });
        assert!(passes(&quotas, &id(2), 1));
        let limited = quotas.lock().limited(quotas.defaults, NOW - IDLE);
        assert_eq!(limited, [(SCOPE, 5)]);
        quotas.lock().counted(SCOPE, 5);
        let over = quotas.admit(1, &id(2), 10, NOW).unwrap_err();
        assert_eq!(over, Over { limit: Limit::Pending, value: 5, after: COUNT });
        quotas.lock().counted(SCOPE, 4);
        assert!(passes(&quotas, &id(2), 1));
        assert_eq!(quotas.lock().limited(quotas.defaults, NOW), []);
    }
}
