//! Keys of this process, and which of them are settled.
//!
//! A key is given out before the statement that writes it, and several statements are under way at the
//! same time: the one with the greater keys may be committed first. Whoever reads on from a place must
//! not take that for all there was. So whoever writes messages [holds](Keys::hold) the place where the
//! keys were before it got its own, until its transaction has ended; everything up to the first place
//! that is held is [settled](Keys::settled): what it will ever hold can be read by now.
//!
//! It is a number per batch in a tree that holds as many as batches are under way. A slow transaction
//! of one tenant delays the listeners of all, by as much as transactions may take: a few seconds.
//!
//! What this process does not know are the keys of others. One process works on a database today; a
//! visitor changes rows of the catalogue and writes no messages. Several will have to tell each other
//! what they hold: each writes its settled key into its row of `node`, now and then and with its
//! messages, and the smallest of those whose epoch still counts is what is settled for all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ringback_domain::{
    id::{Key, KeySequence},
    time::Timestamp,
};
use tokio::sync::Notify;

use super::{Node, fault, transaction};

/// How often in a row the server has to say that nothing of ours is left, a [`PAUSE`] apart, before
/// what it did not answer counts as ended. What it has not read before is dropped by the system after
/// `tcp_user_timeout` (ten seconds, see `connect.rs`), and takes no more than a few moments once it is
/// read, or is seen at work.
const ASKED: u32 = 15;
/// The pause between two such questions.
const PAUSE: Duration = Duration::from_secs(1);

/// The keys of this process.
pub(super) struct Keys {
    state: Mutex<State>,
    /// Rings when the first place that is held has moved.
    moved: Notify,
    /// Rings when nobody knows whether something was committed.
    doubted: Notify,
}

struct State {
    sequence: KeySequence,
    /// The places that are held, and by how many.
    held: BTreeMap<Key, usize>,
    /// Places of those whose outcome nobody knows yet: they are held, too.
    doubtful: Vec<Key>,
}

impl Keys {
    /// Goes on after a key.
    pub(super) fn after(last: Key) -> Keys {
        let sequence = KeySequence::after(last);
        let state = State { sequence, held: BTreeMap::new(), doubtful: Vec::new() };
        Keys { state: Mutex::new(state), moved: Notify::new(), doubted: Notify::new() }
    }

    /// The next key, for anything but a message; the `extra` keys after it are reserved too.
    pub(super) fn next(&self, now: Timestamp, extra: usize) -> Key {
        self.lock().sequence.next(now, extra as Key)
    }

    /// The last key that was given out.
    pub(super) fn last(&self) -> Key {
        self.lock().sequence.last()
    }

    /// The last key of which is known that whatever has it or one before it is committed, or never
    /// will be. It never goes back. To be asked before what is read is looked at.
    pub(super) fn settled(&self) -> Key {
        self.lock().settled()
    }

    /// Waits until more is settled than `before`.
    pub(super) async fn settled_beyond(&self, before: Key) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.settled() > before {
                return;
            }
            moved.await;
        }
    }

    /// Holds the place where the keys are: to be called by whoever writes messages, before it takes
    /// their keys.
    pub(super) fn hold(self: &Arc<Keys>) -> Held {
        let mut state = self.lock();
        let place = state.sequence.last();
        *state.held.entry(place).or_default() += 1;
        drop(state);
        Held { keys: Arc::clone(self), place, open: AtomicBool::new(false) }
    }

    fn release(&self, places: &[Key]) {
        let mut state = self.lock();
        let before = state.settled();
        for place in places {
            if let Some(count) = state.held.get_mut(place) {
                *count -= 1;
                if *count == 0 {
                    state.held.remove(place);
                }
            }
        }
        let moved = state.settled() > before;
        drop(state);
        if moved {
            self.moved.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settled(&self) -> Key {
        self.held.first_key_value().map_or(self.sequence.last(), |(place, _)| *place)
    }
}

/// A place that is held until this is dropped; and longer, if it is dropped while nobody knows whether
/// the server commits what was written under it.
pub(super) struct Held {
    keys: Arc<Keys>,
    place: Key,
    /// Something that may be committed was sent and not answered.
    open: AtomicBool,
}

impl Held {
    /// The next key, of a message; the `extra` keys after it are reserved too.
    pub(super) fn next(&self, now: Timestamp, extra: usize) -> Key {
        self.keys.next(now, extra)
    }

    /// Waits for what the server says to something that it commits. If it says nothing (the connection
    /// was lost, nobody waits any longer), the place stays held until it cannot be committed any more.
    pub(super) async fn settle<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        self.open.store(true, Ordering::Relaxed);
        let done = work.await;
        // An error of the server's is an answer, too.
        let answered = done.as_ref().err().is_none_or(|error| error.as_db_error().is_some());
        self.open.store(!answered, Ordering::Relaxed);
        done
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !*self.open.get_mut() {
            return self.keys.release(&[self.place]);
        }
        self.keys.lock().doubtful.push(self.place);
        self.keys.doubted.notify_one();
    }
}

/// Lets go of the places whose outcome nobody knows as soon as nothing can come of them any more,
/// until the store is closed.
///
/// While the server does not answer, what was sent may still wait there. So only answers count: when
/// it has said for as long as it takes that no statement of ours is under way which began before, there
/// is none.
pub(super) async fn mind(node: Arc<Node>) {
    loop {
        node.keys.doubted.notified().await;
        loop {
            let doubtful = std::mem::take(&mut node.keys.lock().doubtful);
            if doubtful.is_empty() {
                break;
            }
            tracing::info!("listeners wait until it is certain what the database has committed");
            let mut asked = 0;
            while asked < ASKED {
                tokio::time::sleep(PAUSE).await;
                if node.is_closed() {
                    return;
                }
                asked = if is_quiet(&node).await { asked + 1 } else { 0 };
            }
            node.keys.release(&doubtful);
        }
    }
}

/// Whether the server says that none of our commits is under way for longer than it should.
async fn is_quiet(node: &Node) -> bool {
    let Ok(client) = node.pool.get().await else { return false };
    let asked = client.query_typed_one(include_str!("queries/commits_under_way.sql"), &[]);
    match tokio::time::timeout(transaction::LIMIT, asked).await {
        Ok(Ok(row)) => row.get::<_, i64>(0) == 0,
        // A server that will not say what it does answers at least: then the time alone has to do.
        Ok(Err(error)) => error.as_db_error().is_some() && !fault::passes(&error),
        Err(_) => {
            drop(transaction::given_up(client));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn what_is_settled_ends_before_the_first_place_that_is_held() {
        let keys = Arc::new(Keys::after(100));
        assert_eq!(keys.settled(), 100);
        let first = keys.hold();
        let key = first.next(NOW, 2);
        assert_eq!(keys.settled(), 100, "its keys are under way");
        let second = keys.hold();
        assert_eq!(second.next(NOW, 0), key + 3);
        drop(second);
        assert_eq!(keys.settled(), 100, "the first is not done");
        let other = keys.next(NOW, 0);
        drop(first);
        assert_eq!((keys.settled(), keys.last()), (other, other));
        let (one, two) = (keys.hold(), keys.hold());
        let last = two.next(NOW, 0);
        drop(two);
        assert_eq!(keys.settled(), other, "both held the same place");
        drop(one);
        assert_eq!(keys.settled(), last);
    }

    #[tokio::test]
    async fn what_was_not_answered_stays_held() {
        let keys = Arc::new(Keys::after(100));
        let held = keys.hold();
        held.next(NOW, 0);
        held.settle(async { Ok(()) }).await.unwrap();
        drop(held);
        let settled = keys.settled();
        assert!(settled > 100);

        let held = keys.hold();
        held.next(NOW, 0);
        let unanswered = std::future::pending::<Result<(), tokio_postgres::Error>>();
        let mut waiting = Box::pin(held.settle(unanswered));
        assert!(
            std::future::poll_fn(|context| {
                std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
            })
            .await
        );
        drop(waiting);
        drop(held);
        assert_eq!(keys.settled(), settled);
        let doubtful = std::mem::take(&mut keys.lock().doubtful);
        keys.release(&doubtful);
        tokio::time::timeout(Duration::from_secs(5), keys.settled_beyond(settled)).await.unwrap();
    }
}
