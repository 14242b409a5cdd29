//! A listener at which somebody is: what was read for it, and who is there.
//!
//! Everything in here is in memory, and may be lost: the place in the store is what counts
//! ([`ringback_domain::listener::book`]).

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringback_domain::{
    id::{Key, ListenerId, MessageId},
    listener::{
        Listener,
        book::{Book, Member, Taken},
    },
    time::Timestamp,
};
use ringback_store::{ArrivalQuery, Arrivals, Arrived, Behind, BehindQuery, Unavailable};
use tokio::sync::{Notify, watch};

use super::{Terms, heard::Heard, hub::Parts, terms::Wanting};
use crate::log::{Bell, replies::Outcome};

/// The most events that one connection has in hand.
pub(super) const WINDOW: usize = 1_024;
/// The most bytes of body that one connection has in hand; one event always fits.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Messages that are read at a time, and their bytes.
const PAGE: usize = 256;
const PAGE_BYTES: usize = 1024 * 1024;
/// How long a ring may stay out until the store is looked at all the same: what another process
/// takes is seen then.
const LOOK: Duration = Duration::from_secs(5);
/// How far what is behind is counted.
pub(super) const COUNTED: u64 = 10_000;

/// Why a connection is ended from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The server stops, or the terms changed: come again.
    ComeAgain,
    /// Somebody else connected to a listener that is not shared.
    TakenOver,
    /// An operator wants it.
    Disconnected,
    /// The listener was deleted.
    Deleted,
    /// The listener was moved: come again, and forget your own checkpoint.
    Moved,
}

/// A listener at which somebody is.
pub(super) struct Live {
    pub(super) id: ListenerId,
    pub(super) environment: Key,
    pub(super) terms: Terms,
    wanting: Wanting,
    parts: Arc<Parts>,
    reading: tokio::sync::Mutex<Reading>,
    /// Rung when there is something to take, or room to take it.
    changed: Notify,
    // Held for a look-up, never across an await.
    members: Mutex<Members>,
}

struct Reading {
    book: Book<Arc<Arrived>>,
    heard: Heard,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Members {
    last: Member,
    present: BTreeMap<Member, Present>,
}

struct Present {
    about: About,
    leave: watch::Sender<Option<Leave>>,
}

/// What is known of somebody who is connected.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// What the client calls itself.
    pub(super) client: Option<String>,
    /// The address it came from.
    pub(super) address: Option<IpAddr>,
    /// When it came.
    pub(super) since: Timestamp,
}

/// Somebody who is connected, until this is dropped.
pub(super) struct Seat {
    pub(super) live: Arc<Live>,
    pub(super) member: Member,
    pub(super) leave: watch::Receiver<Option<Leave>>,
}

/// An event to tell, and whether somebody waits for the answer to it.
pub(super) struct Next {
    pub(super) taken: Taken<Arc<Arrived>>,
    pub(super) source: Option<Arc<crate::receive::Ready>>,
    pub(super) is_awaited: bool,
}

impl Live {
    /// Begins at the listener's place, or after what its only client says to have dealt with.
    pub(super) async fn open(
        parts: Arc<Parts>,
        environment: Key,
        listener: &Listener,
        after: Option<Key>,
    ) -> Result<Live, Unavailable> {
        let terms = Terms::read(&listener.terms);
        let place = after.map_or(listener.place, |after| after.max(listener.place));
        let Parts { store, directory, bells, .. } = &*parts;
        let heard =
            Heard::find(&**store, directory, environment, &terms, &Heard::default()).await?;
        let bell = Arc::new(bells.wait_for(heard.applications()));
        Ok(Live {
            id: listener.id,
            environment,
            wanting: terms.wanting(),
            terms,
            reading: tokio::sync::Mutex::new(Reading { book: Book::at(place), heard, bell }),
            changed: Notify::new(),
            members: Mutex::default(),
            parts,
        })
    }

    /// Somebody comes.
    pub(super) fn join(self: &Arc<Live>, about: About) -> Seat {
        let mut members = self.lock();
        members.last += 1;
        let member = members.last;
        let (leave, told) = watch::channel(None);
        members.present.insert(member, Present { about, leave });
        Seat { live: Arc::clone(self), member, leave: told }
    }

    /// Tells everybody who is here to leave. Returns how many that were.
    pub(super) fn send_away(&self, why: Leave) -> usize {
        let members = self.lock();
        for present in members.present.values() {
            present.leave.send_replace(Some(why));
        }
        members.present.len()
    }

    /// Whether nobody is here.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().present.is_empty()
    }

    /// Everybody who is here, and how many events they have in hand.
    pub(super) async fn present(&self) -> Vec<(Member, About, usize)> {
        let here: Vec<_> = {
            let members = self.lock();
            members.present.iter().map(|(member, one)| (*member, one.about.clone())).collect()
        };
        let reading = self.reading.lock().await;
        let load = |member| reading.book.load(member).count;
        here.into_iter().map(|(member, about)| (member, about, load(member))).collect()
    }

    /// Everything up to here is dealt with.
    pub(super) async fn place(&self) -> Key {
        self.reading.lock().await.book.place()
    }

    /// The sources that it hears.
    pub(super) async fn heard(&self) -> Heard {
        self.reading.lock().await.heard.clone()
    }

    /// Whether it hears the source that owns an application.
    pub(super) async fn hears(&self, application: Key) -> bool {
        self.reading.lock().await.heard.source(application).is_some()
    }

    /// What is left to be dealt with.
    pub(super) async fn behind(&self) -> Result<Behind, Unavailable> {
        let (applications, after) = {
            let reading = self.reading.lock().await;
            (reading.heard.applications(), reading.book.place())
        };
        let environment = self.environment;
        let query = BehindQuery { environment, applications, after, at_most: COUNTED };
        self.parts.store.behind(query).await
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        // Every change leaves the map whole, so a panic elsewhere cannot have broken it.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The next event for this member, once there is one and it has room for it.
    pub(super) async fn next(&self) -> Result<Next, Unavailable> {
        loop {
            let live = &self.live;
            let mut changed = std::pin::pin!(live.changed.notified());
            changed.as_mut().enable();
            let mut reading = live.reading.lock().await;
            let load = reading.book.load(self.member);
            if load.count > 0 && (load.count >= WINDOW || load.weight >= WINDOW_BYTES) {
                drop(reading);
                changed.await;
                continue;
            }
            if let Some(taken) = reading.book.take(self.member, |event| event.payload.len()) {
                let source = reading.heard.source(taken.event.scope.application).cloned();
                let is_awaited = live.parts.replies.is_awaited(taken.event.id);
                return Ok(Next { taken, source, is_awaited });
            }
            let found = live.read(&mut reading).await?;
            let bell = Arc::clone(&reading.bell);
            drop(reading);
            if found {
                live.changed.notify_waiters();
                continue;
            }
            tokio::select! {
                () = changed => {}
                () = bell.rung(LOOK) => {}
            }
        }
    }

    /// The member has dealt with an event: with all before it, too, if it is alone.
    pub(super) async fn acknowledge(&self, message: MessageId) -> Key {
        let mut reading = self.live.reading.lock().await;
        match self.live.terms.shared {
            true => reading.book.acknowledge(self.member, message.key()),
            false => reading.book.acknowledge_up_to(message.key()),
        }
        let place = reading.book.place();
        drop(reading);
        self.live.changed.notify_waiters();
        place
    }

    /// The member gives an event back.
    pub(super) async fn put_back(&self, message: MessageId) {
        self.live.reading.lock().await.book.put_back(self.member, message.key());
        self.live.changed.notify_waiters();
    }

    /// The member goes; others get what it had. Returns whether it was the last one.
    pub(super) async fn give_up(self) -> bool {
        self.live.reading.lock().await.book.leave(self.member);
        let is_last = {
            let mut members = self.live.lock();
            members.present.remove(&self.member);
            members.present.is_empty()
        };
        self.live.changed.notify_waiters();
        is_last
    }
}

impl Live {
    /// Reads the next page. Returns whether there is more to do: something was found, or may be.
    async fn read(&self, reading: &mut Reading) -> Result<bool, Unavailable> {
        let after = reading.book.read_to();
        let page = Paged { environment: self.environment, terms: &self.terms, after, limit: PAGE };
        let page = page.read(&self.parts, &mut reading.heard).await?;
        let mut found = !page.items.is_empty() || !page.done;
        let applications = reading.heard.applications();
        if reading.bell.applications() != applications {
            reading.bell = Arc::new(self.parts.bells.wait_for(applications));
            // What came before the bell was there is still to be seen.
            found = true;
        }
        let (wanted, others): (Vec<_>, Vec<_>) =
            page.items.into_iter().partition(|arrived| self.wanting.wants(arrived));
        for arrived in others {
            self.parts.replies.tell(arrived.id, self.id.key(), Outcome::NotWanted);
        }
        let wanted = wanted.into_iter().map(|arrived| (arrived.id.key(), Arc::new(arrived)));
        reading.book.read(wanted, page.reached);
        Ok(found)
    }
}

/// A page to read of what a listener hears.
pub(super) struct Paged<'a> {
    pub(super) environment: Key,
    pub(super) terms: &'a Terms,
    pub(super) after: Key,
    pub(super) limit: usize,
}

impl Paged<'_> {
    /// Reads it from the sources as they are, and brings what is heard up to date. A source that is
    /// made meanwhile would be passed over: then it is read again.
    pub(super) async fn read(
        &self,
        parts: &Parts,
        heard: &mut Heard,
    ) -> Result<Arrivals, Unavailable> {
        let Parts { store, directory, .. } = parts;
        loop {
            if heard.generation() != Some(directory.generation()) {
                let found = Heard::find(&**store, directory, self.environment, self.terms, heard);
                *heard = found.await?;
            }
            let query = ArrivalQuery {
                environment: self.environment,
                applications: heard.applications(),
                after: self.after,
                limit: self.limit,
                bytes: PAGE_BYTES,
            };
            let page = store.arrivals(query).await?;
            if heard.generation() == Some(directory.generation()) {
                return Ok(page);
            }
        }
    }
}
