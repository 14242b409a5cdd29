//! What the server does for callbacks by itself: requests to make, answers to ask for.
//!
//! An errand is put down with its callback and done at least once: whoever dies half-way does it
//! again at the next start. It is tried at once when it is made, and then whenever the store says that
//! it is due, by one task that reads a bounded number and does as many beside each other.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringback_domain::{
    callback::Callback,
    id::Key,
    seal::{Context, SealError},
    time::Timestamp,
};
use ringback_store::{Errand, Unavailable};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};

use super::{Callbacks, call::Call, commit::Parts, redirect::Lookup};
use crate::outbound::Connector;

/// What an errand is sealed as: [`Work`] as JSON. It may hold credentials of the application.
pub(crate) const WORK: &str = "callback-errand";
/// Errands that are done beside each other.
const HANDS: usize = 64;
/// How long nobody looks, whatever is due next.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after the store failed.
const PAUSE: Duration = Duration::from_millis(250);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Work {
    /// A request with the callback's URL in it is to be sent, or its answer to be asked for.
    Call(Call),
    /// The gateway that a browser came back from is to be asked.
    Lookup(Lookup),
}

/// What follows when an errand was tried.
pub(super) enum Done {
    /// Nothing more is to be done.
    Ended,
    /// This, then.
    Later(Work, Timestamp),
}

/// Does errands. Clones share it.
#[derive(Clone)]
pub struct Errands(Arc<Shared>);

struct Shared {
    callbacks: Callbacks,
    connector: Arc<Connector>,
    /// Those under way in this process.
    // Held for a look-up, never across an await.
    running: Mutex<HashSet<Key>>,
}

impl Errands {
    /// Does errands through this way out.
    pub fn new(callbacks: Callbacks, connector: Arc<Connector>) -> Errands {
        Errands(Arc::new(Shared { callbacks, connector, running: Mutex::default() }))
    }

    /// Does errands when they are due, until it is dropped.
    pub async fn run(&self) {
        let mut hands = JoinSet::new();
        loop {
            while hands.try_join_next().is_some() {}
            let pause = match self.begin_due(&mut hands).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "errands of callbacks could not be read yet");
                    PAUSE
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.callbacks.errand_made().notified() => {}
            }
        }
    }

    /// Begins what is due and not under way, as far as hands are free; how long until the next is due.
    async fn begin_due(&self, hands: &mut JoinSet<()>) -> Result<Duration, Unavailable> {
        let Parts { store, world, .. } = self.0.callbacks.parts();
        let now = world.clock.now();
        // What is under way is due, too, and may come first.
        for errand in store.due_errands(now, 2 * HANDS).await? {
            let key = errand.callback.key();
            let mut running = self.running();
            if running.len() < HANDS && running.insert(key) {
                drop(running);
                let errands = self.clone();
                hands.spawn(async move {
                    errands.attempt(errand).await;
                    errands.running().remove(&key);
                    // A hand is free.
                    errands.0.callbacks.errand_made().notify_one();
                });
            }
        }
        // What is due and not begun waits for a hand, and whoever ends tells.
        let next = store.next_errand(now).await?;
        Ok(next.map_or(LOOK, |at| at.since(world.clock.now())).min(LOOK))
    }

    /// Tries an errand and puts down what follows. If that cannot be, it is due still.
    async fn attempt(&self, errand: Errand) {
        let id = errand.callback;
        if let Err(error) = self.try_once(errand).await {
            tracing::warn!(%error, callback = %id, "an errand of a callback is tried again");
            sleep(PAUSE).await;
        }
    }

    async fn try_once(&self, errand: Errand) -> Result<(), Unavailable> {
        let Parts { store, world, keyring, .. } = self.0.callbacks.parts();
        let now = world.clock.now();
        let callback = store.callback_by_id(errand.callback).await?;
        let open = callback.filter(|callback| callback.course.at(now).is_open());
        let Some(callback) = open else { return store.follow_errand(errand, None).await };
        let plain = keyring.open(&context(&callback), &errand.work).ok();
        let work = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        let Some(work) = work else {
            tracing::error!(callback = %callback.id, "an errand cannot be read and is given up");
            return store.follow_errand(errand, None).await;
        };
        let Shared { callbacks, connector, .. } = &*self.0;
        let done = match &work {
            Work::Call(call) => {
                call.attempt(callbacks, connector, &callback, errand.attempts).await
            }
            Work::Lookup(lookup) => {
                lookup.attempt(callbacks, connector, &callback, errand.attempts).await
            }
        };
        match done? {
            Done::Ended => store.follow_errand(errand, None).await,
            Done::Later(next, due_at) => {
                let attempts = if next == work { errand.attempts.saturating_add(1) } else { 0 };
                let next = self.0.callbacks.errand(&callback, &next, due_at);
                let next = next.map_err(|error| Unavailable::Failed(error.to_string()))?;
                store.follow_errand(errand, Some(Errand { attempts, ..next })).await
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashSet<Key>> {
        // Every change leaves the set whole, so a panic elsewhere cannot have broken it.
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Callbacks {
    /// An errand, sealed, to be put down for a callback.
    ///
    /// # Errors
    /// If it cannot be sealed.
    pub(crate) fn errand(
        &self,
        callback: &Callback,
        work: &Work,
        due_at: Timestamp,
    ) -> Result<Errand, SealError> {
        let Parts { keyring, world, .. } = self.parts();
        let plain = serde_json::to_vec(work).unwrap_or_default();
        let work = keyring.seal(world.entropy.bytes(), &context(callback), &plain)?;
        Ok(Errand { callback: callback.id, due_at, attempts: 0, work })
    }
}

fn context(callback: &Callback) -> Context<'static> {
    Context { environment: callback.scope.environment, owner: callback.id.key(), purpose: WORK }
}
