//! Commit, then tell: the one place where something happens to a callback.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ringback_domain::{
    callback::{Answer, Callback, Purpose, Token, Turn, UrlKeys, redirect::Target, state},
    id::{CallbackId, Key},
    seal::Keyring,
    time::Timestamp,
};
use ringback_store::{
    CallbackStep, CallbackStepped, Correlation, CreatedCallback, Keeping, NewCallback,
    NewCallbackRequest, Notified, Store, Unavailable, WriteError,
};
use tokio::sync::Notify;

use super::{door, sha256, waiters::Waiters};
use crate::{log::Lanes, seam::World};

/// What callbacks are made of.
pub struct Parts {
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// Are told of the messages about them.
    pub lanes: Arc<dyn Lanes>,
    /// Clock and randomness.
    pub world: World,
    /// Seals the secrets of their terms.
    pub keyring: Arc<Keyring>,
    /// Make their URLs.
    pub keys: UrlKeys,
    /// Where this server is reached from outside: `https://hooks.example.com`.
    pub public_url: String,
    /// How long content is kept.
    pub retention: Duration,
    /// Where browsers may be sent on to.
    pub targets: Vec<Target>,
}

/// Callbacks, as everybody in the process uses them. Clones share it.
#[derive(Clone)]
pub struct Callbacks(Arc<Shared>);

struct Shared {
    parts: Parts,
    waiters: Waiters,
    alarm: Alarm,
    /// An errand was made.
    errand_made: Notify,
}

/// When the timer looks next, and how it is told to look sooner.
struct Alarm {
    /// In milliseconds since 1970.
    next: AtomicI64,
    sooner: Notify,
}

impl Callbacks {
    /// Callbacks made of these parts.
    pub fn new(parts: Parts) -> Callbacks {
        let alarm = Alarm { next: AtomicI64::new(i64::MAX), sooner: Notify::new() };
        let (waiters, errand_made) = (Waiters::default(), Notify::new());
        Callbacks(Arc::new(Shared { parts, waiters, alarm, errand_made }))
    }

    /// Makes a callback. When it returns, its URL is open.
    ///
    /// # Errors
    /// As [`ringback_store::Callbacks::create_callback`].
    pub async fn create(&self, new: NewCallback) -> Result<CreatedCallback, WriteError> {
        let has_errand = new.errand.is_some();
        let created = self.parts().store.create_callback(new).await?;
        if has_errand {
            self.errand_made().notify_one();
        }
        if !created.repeated {
            self.tell(&created.callback, &created.told);
        }
        Ok(created)
    }

    /// Makes a step.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the callback is not there.
    pub async fn step(&self, step: CallbackStep) -> Result<CallbackStepped, WriteError> {
        let mut stepped = self.steps(vec![step]).await?;
        stepped.pop().unwrap_or(Err(WriteError::NotFound("callback")))
    }

    /// Makes steps, all in one transaction. Each succeeds or fails for itself.
    ///
    /// # Errors
    /// [`Unavailable`] if none was made.
    pub async fn steps(
        &self,
        steps: Vec<CallbackStep>,
    ) -> Result<Vec<Result<CallbackStepped, WriteError>>, Unavailable> {
        let all = self.parts().store.step_callbacks(steps).await?;
        for stepped in all.iter().flatten() {
            self.tell(&stepped.callback, &stepped.told);
        }
        Ok(all)
    }

    /// Lets a verified message of a source meet the callback with its reference.
    ///
    /// # Errors
    /// [`Unavailable`] if nothing was written.
    pub async fn correlate(
        &self,
        correlation: Correlation,
    ) -> Result<Option<CallbackStepped>, Unavailable> {
        let stepped = self.parts().store.correlate(correlation).await?;
        if let Some(stepped) = &stepped {
            self.tell(&stepped.callback, &stepped.told);
        }
        Ok(stepped)
    }

    /// A step of what somebody does.
    pub fn act(
        &self,
        callback: CallbackId,
        act: state::Act,
        request: NewCallbackRequest,
        now: Timestamp,
    ) -> CallbackStep {
        CallbackStep {
            callback,
            act: Some(act),
            request: Some(request),
            price: None,
            keeping: self.keeping(now),
            now,
        }
    }

    /// A step that only writes a refused request down.
    pub fn refuse(
        &self,
        callback: CallbackId,
        request: NewCallbackRequest,
        now: Timestamp,
    ) -> CallbackStep {
        CallbackStep {
            callback,
            act: None,
            request: Some(request),
            price: None,
            keeping: self.keeping(now),
            now,
        }
    }

    /// How the messages and requests that come of a step are kept.
    pub fn keeping(&self, now: Timestamp) -> Keeping {
        let Parts { world, retention, .. } = self.parts();
        let nonce = u64::from_be_bytes(world.entropy.bytes());
        Keeping { nonce, expires_at: now + *retention }
    }

    /// The first turn of a callback that is made now; none if there is no key.
    pub fn first_turn(&self) -> Option<Turn> {
        self.parts().keys.first_turn()
    }

    /// Where a callback is answered; none if the key of its turn is gone.
    pub fn url(&self, callback: &Callback) -> Option<String> {
        let token = self.token(Purpose::Answer, callback)?;
        Some(format!("{}{}{}", self.parts().public_url, door::PREFIX, token.as_str()))
    }

    /// What stands in a URL of a callback; none if the key of its turn is gone.
    pub fn token(&self, purpose: Purpose, callback: &Callback) -> Option<Token> {
        self.parts().keys.token(purpose, callback.id, callback.turn)
    }

    /// Replaces the URL of a callback by one of the newest key; the former one is closed.
    ///
    /// # Errors
    /// As [`ringback_store::Callbacks::turn_callback`].
    pub async fn turn(&self, environment: Key, before: &Callback) -> Result<Callback, WriteError> {
        let version = self.first_turn().map_or(before.turn.version, |first| first.version);
        let turn = Turn { version, turn: before.turn.turn.wrapping_add(1) };
        self.parts().store.turn_callback(environment, before.id, turn).await
    }

    /// Where browsers may be sent on to.
    pub fn targets(&self) -> &[Target] {
        &self.parts().targets
    }

    /// Ends all waits, those to come too: the process is ending.
    pub fn close(&self) {
        self.0.waiters.close();
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Is told when an errand was made.
    pub(super) fn errand_made(&self) -> &Notify {
        &self.0.errand_made
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    /// Waits until the timer has to look although it has not planned to: at once, if it was rung
    /// since it last was about to look.
    pub(super) async fn sooner(&self) {
        self.0.alarm.sooner.notified().await;
    }

    /// When the timer looks next. To be set to the end of time before it finds out when.
    pub(super) fn looks_at(&self, at: Timestamp) {
        self.0.alarm.next.store(at.millis(), Ordering::SeqCst);
    }

    /// Tells whoever is concerned about what was committed.
    fn tell(&self, callback: &Callback, told: &[Notified]) {
        for endpoint in told.iter().flat_map(|(_, endpoints)| &**endpoints) {
            self.parts().lanes.look(*endpoint);
        }
        self.0.waiters.ring(callback.id);
        let due_at = callback.course.due_at().millis();
        if callback.course.state.is_open() && due_at < self.0.alarm.next.load(Ordering::SeqCst) {
            self.0.alarm.sooner.notify_one();
        }
    }
}

/// An answer with this body.
pub(crate) fn answer(failed: bool, body: &[u8]) -> state::Act {
    state::Act::Answer(Answer { failed, body: sha256(body) })
}
