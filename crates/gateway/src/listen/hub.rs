//! Who listens: the listeners at which somebody is, and how far each is.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringback_domain::{
    id::{Key, ListenerId},
    listener::Listener,
    seal::Keyring,
    time::Timestamp,
};
use ringback_store::{Behind, BehindQuery, Store, Unavailable};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{
    Terms,
    heard::Heard,
    live::{About, COUNTED, Leave, Live, Seat},
};
use crate::{
    contract,
    log::{Bells, Replies},
    receive::Directory,
    seam::World,
    transform::Sandbox,
};

/// How long a place may wait to be written down. A crash costs no more than events that come again.
const WRITTEN: Duration = Duration::from_millis(500);
/// How often those who are connected are noted to be there.
const PRESENT: Duration = Duration::from_secs(60);

/// What listening works with.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Clock and randomness.
    pub world: World,
    /// Makes sources ready.
    pub directory: Directory,
    /// Brings answers to providers that wait for them.
    pub replies: Arc<Replies>,
    /// Rung when something arrives.
    pub bells: Bells,
    /// What payloads of event types become in older versions.
    pub contracts: contract::Directory,
    /// Where programs of endpoints that are read run.
    pub sandbox: Sandbox,
    /// Opens those programs.
    pub keyring: Arc<Keyring>,
}

/// Those who listen. Clones share it.
#[derive(Clone)]
pub struct Listeners(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    // Held for a look-up, never across an await.
    live: Mutex<HashMap<Key, Arc<Live>>>,
    /// Held while a listener is opened, so that there is one of it.
    opening: tokio::sync::Mutex<()>,
    /// How far listeners are that is not written down yet.
    places: Mutex<HashMap<Key, Key>>,
    moved: Notify,
    /// Held while places are written down.
    writing: tokio::sync::Mutex<()>,
    // Those who serve connections. Held for a moment.
    sessions: Mutex<JoinSet<()>>,
    closing: watch::Sender<bool>,
}

/// Somebody who is connected.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Its number, at this listener.
    pub number: u64,
    /// What the client calls itself.
    pub client: Option<String>,
    /// The address it came from.
    pub address: Option<IpAddr>,
    /// When it came.
    pub since: Timestamp,
    /// Events that it was given and has not dealt with.
    pub in_flight: usize,
}

/// How far a listener is, and who is there.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Everything up to here is dealt with.
    pub place: Key,
    /// What is left.
    pub behind: Behind,
    /// Whether that was counted to its end.
    pub is_exact: bool,
    /// Who is connected.
    pub connected: Vec<Connected>,
}

impl Listeners {
    /// Nobody listens yet.
    pub fn new(parts: Parts) -> Listeners {
        Listeners(Arc::new(Inner {
            parts: Arc::new(parts),
            live: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            places: Mutex::default(),
            moved: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            sessions: Mutex::default(),
            closing: watch::Sender::new(false),
        }))
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Writes places down as they move, until it is dropped.
    pub async fn keep(&self) {
        loop {
            let present = tokio::time::timeout(PRESENT, self.0.moved.notified()).await.is_err();
            if present {
                for live in self.all_live() {
                    self.reached(&live, live.place().await);
                }
            } else {
                // Company for those who move next.
                tokio::time::sleep(WRITTEN).await;
            }
            self.write().await;
        }
    }

    /// Sends everybody away and waits until they have gone; nobody comes any more.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        self.all_live().iter().for_each(|live| {
            live.send_away(Leave::ComeAgain);
        });
        let mut sessions = std::mem::take(&mut *lock(&self.0.sessions));
        while sessions.join_next().await.is_some() {}
        self.write().await;
    }

    /// Says when everybody has to go.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Somebody connects.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(super) async fn join(
        &self,
        environment: Key,
        listener: &Listener,
        after: Option<Key>,
        about: About,
    ) -> Result<Seat, Unavailable> {
        let _alone = self.0.opening.lock().await;
        let key = listener.id.key();
        let terms = Terms::read(&listener.terms);
        if let Some(live) = self.live(key) {
            if live.terms == terms && terms.shared && !live.is_empty() {
                return Ok(live.join(about));
            }
            live.send_away(Leave::TakenOver);
            // What it knows is not written down yet.
            self.reached(&live, live.place().await);
        }
        let written = lock(&self.0.places).get(&key).copied();
        let place = written.map_or(listener.place, |place| place.max(listener.place));
        let listener = Listener { place, ..listener.clone() };
        let after = after.filter(|_| !terms.shared);
        let parts = Arc::clone(&self.0.parts);
        let live = Arc::new(Live::open(parts, environment, &listener, after).await?);
        let seat = live.join(about);
        lock(&self.0.live).insert(key, live);
        Ok(seat)
    }

    /// Somebody goes.
    pub(super) async fn leave(&self, seat: Seat) {
        let live = Arc::clone(&seat.live);
        let is_last = seat.give_up().await;
        self.reached(&live, live.place().await);
        let mut all = lock(&self.0.live);
        if is_last && is_this(&all, &live) && live.is_empty() {
            all.remove(&live.id.key());
        }
    }

    /// A live listener is this far. One that was moved, or replaced, has no say any more.
    pub(super) fn reached(&self, live: &Arc<Live>, place: Key) {
        if is_this(&lock(&self.0.live), live) {
            self.note(live.id.key(), place);
        }
    }

    /// Serves a connection until it ends. Returns whether: nobody may come while the server stops.
    pub(super) fn serve(&self, session: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut sessions = lock(&self.0.sessions);
        while sessions.try_join_next().is_some() {}
        let is_open = !*self.0.closing.borrow();
        if is_open {
            sessions.spawn(session);
        }
        is_open
    }

    /// A listener is this far; it is written down soon.
    pub(super) fn note(&self, listener: Key, place: Key) {
        let mut places = lock(&self.0.places);
        let known = places.entry(listener).or_insert(place);
        *known = place.max(*known);
        drop(places);
        self.0.moved.notify_one();
    }

    async fn write(&self) {
        let _alone = self.0.writing.lock().await;
        let places: Vec<_> =
            lock(&self.0.places).iter().map(|(key, place)| (*key, *place)).collect();
        if places.is_empty() {
            return;
        }
        let now = self.0.parts.world.clock.now();
        match self.0.parts.store.advance_listeners(places.clone(), now).await {
            Ok(()) => {
                let mut left = lock(&self.0.places);
                for (key, place) in places {
                    if left.get(&key) == Some(&place) {
                        left.remove(&key);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "how far listeners are could not be written down");
                self.0.moved.notify_one();
            }
        }
    }

    /// Everything that is known of a listener's place is written down when this returns.
    pub(super) async fn settle(&self, listener: Key) {
        if let Some(live) = self.live(listener) {
            self.note(listener, live.place().await);
        }
        self.write().await;
    }

    /// Tells everybody who is connected to a listener to go. Returns how many that were.
    fn send_away(&self, listener: Key, why: Leave) -> usize {
        self.live(listener).map_or(0, |live| live.send_away(why))
    }

    /// An operator wants everybody to go. Returns how many that were.
    pub fn disconnect(&self, listener: ListenerId) -> usize {
        self.send_away(listener.key(), Leave::Disconnected)
    }

    /// The listener was deleted.
    pub fn deleted(&self, listener: ListenerId) {
        self.send_away(listener.key(), Leave::Deleted);
        self.forget(listener.key());
    }

    /// The listener is moved, forward or back: whoever is there has no say any more. To be called
    /// before it and after it.
    pub async fn moved(&self, listener: ListenerId) {
        self.send_away(listener.key(), Leave::Moved);
        self.forget(listener.key());
        // What is being written down counts before it.
        drop(self.0.writing.lock().await);
    }

    /// The listener's terms may be others now.
    pub fn changed(&self, listener: &Listener) {
        let terms = Terms::read(&listener.terms);
        if let Some(live) = self.live(listener.id.key()).filter(|live| live.terms != terms) {
            live.send_away(Leave::ComeAgain);
        }
    }

    /// What was not written down does not count any more.
    fn forget(&self, listener: Key) {
        lock(&self.0.live).remove(&listener);
        lock(&self.0.places).remove(&listener);
    }

    /// How far a listener is, and who is there.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn seen(&self, environment: Key, listener: &Listener) -> Result<Seen, Unavailable> {
        let (place, behind, connected) = match self.live(listener.id.key()) {
            Some(live) => (live.place().await, live.behind().await?, live.present().await),
            None => {
                let behind = self.behind(environment, listener).await?;
                (listener.place, behind, Vec::new())
            }
        };
        let connected = connected.into_iter().map(|(number, about, in_flight)| {
            let About { client, address, since } = about;
            Connected { number, client, address, since, in_flight }
        });
        let is_exact = behind.count < COUNTED;
        Ok(Seen { place, behind, is_exact, connected: connected.collect() })
    }

    pub(super) async fn behind(
        &self,
        environment: Key,
        listener: &Listener,
    ) -> Result<Behind, Unavailable> {
        let Parts { store, directory, .. } = self.parts();
        let terms = Terms::read(&listener.terms);
        let heard =
            Heard::find(&**store, directory, environment, &terms, &Heard::default()).await?;
        let applications = heard.applications();
        let after = listener.place;
        store.behind(BehindQuery { environment, applications, after, at_most: COUNTED }).await
    }

    /// Those who answer in place of an application's endpoints, and those who would if it has none.
    pub(crate) async fn answerers(&self, application: Key) -> Answerers {
        let mut answerers = Answerers::default();
        for live in self.all_live() {
            if live.is_empty() || !live.hears(application).await {
                continue;
            }
            match live.terms.answers {
                true => answerers.instead.push(live.id.key()),
                false => answerers.otherwise.push(live.id.key()),
            }
        }
        answerers
    }

    pub(super) fn live(&self, listener: Key) -> Option<Arc<Live>> {
        lock(&self.0.live).get(&listener).cloned()
    }

    fn all_live(&self) -> Vec<Arc<Live>> {
        lock(&self.0.live).values().cloned().collect()
    }
}

/// Who may answer a provider that waits for its destination's answer.
#[derive(Debug, Default)]
pub(crate) struct Answerers {
    /// In place of endpoints.
    pub(crate) instead: Vec<Key>,
    /// Where there are none.
    pub(crate) otherwise: Vec<Key>,
}

/// Whether this is the one that counts.
fn is_this(all: &HashMap<Key, Arc<Live>>, live: &Arc<Live>) -> bool {
    all.get(&live.id.key()).is_some_and(|other| Arc::ptr_eq(other, live))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves what is inside whole, so a panic elsewhere cannot have broken it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
