//! The way to the writer: a vector behind a mutex that the writer takes whole.
//!
//! The writer is woken only when it sleeps, and not at once for records alone: those wait a few
//! milliseconds for company, because a commit that only says "delivered" is a sync that nobody is
//! waiting for.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::writer::Transaction;
use crate::{Append, AppendError, Appended, NewRequest, Record, Recorded, Unavailable, WriteError};

/// How long records wait for an append to share a commit with.
const LAZY: Duration = Duration::from_millis(5);
/// How long what could not be written waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// An operation in the writer's transaction that remembers its result until the commit is known.
pub(super) trait Task: Send {
    /// Runs inside the transaction; an error rolls the whole transaction back.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()>;
    /// Tells whoever waits: the result after the commit, or why there was none.
    fn finish(self: Box<Self>, committed: Result<(), Unavailable>);
}

pub(super) type AppendReply = oneshot::Sender<Vec<Result<Appended, AppendError>>>;
pub(super) type RecordReply = oneshot::Sender<Result<Vec<Recorded>, Unavailable>>;
pub(super) type RequestReply = oneshot::Sender<Result<(), WriteError>>;

pub(super) enum Job {
    Append(Vec<Append>, AppendReply),
    Record(Vec<Record>, RecordReply),
    /// A request to a source that did not become a message.
    Request(Box<NewRequest>, RequestReply),
    Task(Box<dyn Task>),
}

impl Job {
    /// How many writes it is for.
    pub(super) fn size(&self) -> usize {
        match self {
            Job::Append(appends, _) => appends.len(),
            Job::Record(records, _) => records.len(),
            Job::Request(..) | Job::Task(_) => 1,
        }
    }

    /// What it takes of the room for what anybody may send, and as much as they like.
    fn takes(&self) -> Option<Room> {
        match self {
            Job::Append(batch, _) => {
                let bytes = batch.iter().map(|append| append.message.payload.len()).sum();
                Some(Room { messages: batch.len(), bytes })
            }
            Job::Request(new, _) => {
                let bytes = new.request.body.as_ref().map_or(0, Vec::len);
                Some(Room { messages: 1, bytes })
            }
            Job::Record(..) | Job::Task(_) => None,
        }
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many messages are queued, and how many bytes of payload: what decides about
    /// "overloaded".
    messages: usize,
    bytes: usize,
    /// Whether something other than records is queued.
    urgent: bool,
    sleeping: bool,
    closed: bool,
}

/// How much may wait for a commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) messages: usize,
    /// Of payload.
    pub(super) bytes: usize,
}

pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    limits: Room,
    /// How long records wait for company.
    lazy: Duration,
}

impl Queue {
    pub(super) fn new(limits: Room) -> Queue {
        Queue { state: Mutex::default(), work: Condvar::new(), limits, lazy: LAZY }
    }

    /// Queues a job, or gives it back with the reason why not.
    pub(super) fn push(&self, job: Job) -> Result<(), (Job, Unavailable)> {
        let mut state = self.lock();
        if state.closed {
            return Err((job, Unavailable::Closed));
        }
        if let Some(Room { messages, bytes }) = job.takes() {
            let full = state.messages + messages > self.limits.messages
                || state.bytes + bytes > self.limits.bytes;
            // An empty queue takes whatever comes, or a large batch could never be taken.
            if full && state.messages > 0 {
                return Err((job, Unavailable::Overloaded));
            }
            state.messages += messages;
            state.bytes += bytes;
        }
        let urgent = !matches!(job, Job::Record(..));
        // A sleeping writer is woken for the first record, to start its clock, and for what is
        // urgent.
        let wake = state.sleeping && (urgent && !state.urgent || state.jobs.is_empty());
        state.urgent |= urgent;
        state.jobs.push_back(job);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and moves them all to the end of `batch`, which may hold some already: then
    /// it waits for [`RETRY`] at most. False when the queue is closed and empty.
    pub(super) fn take(&self, batch: &mut VecDeque<Job>) -> bool {
        let mut state = self.lock();
        if batch.is_empty() {
            while state.jobs.is_empty() {
                if state.closed {
                    return false;
                }
                state.sleeping = true;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        // What could not be written the last time is given up when there is no more time.
        if state.closed && state.jobs.is_empty() {
            return false;
        }
        let patience = if batch.is_empty() { self.lazy } else { RETRY };
        if !state.urgent && !state.closed {
            state.sleeping = true;
            let lazily = |state: &mut State| !state.urgent && !state.closed;
            let waited = self.work.wait_timeout_while(state, patience, lazily);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.sleeping = false;
        state.urgent = false;
        state.messages = 0;
        state.bytes = 0;
        batch.append(&mut state.jobs);
        true
    }

    /// Lets the writer finish what is queued and end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Job {
        Job::Record(Vec::new(), oneshot::channel().0)
    }

    fn append(count: usize) -> Job {
        append_bytes(count, 0)
    }

    fn request(bytes: usize) -> Job {
        let id = ringback_domain::id::Id { key: 0, shard: 0, nonce: 0 };
        let request = ringback_domain::source::Received {
            id: ringback_domain::id::RequestId(id),
            fate: ringback_domain::source::Fate::Unverified,
            reason: None,
            verdict: String::new(),
            status: 401,
            method: String::new(),
            target: String::new(),
            headers: Vec::new(),
            address: None,
            event_id: None,
            event_type: None,
            bytes: bytes as u64,
            body: Some(vec![0; bytes]),
            message: None,
            received_at: ringback_domain::time::Timestamp(0),
        };
        let scope = ringback_domain::scope::Scope { environment: 1, application: 2 };
        let expires_at = ringback_domain::time::Timestamp(1);
        Job::Request(Box::new(NewRequest { scope, source: 3, request, expires_at }), {
            oneshot::channel().0
        })
    }

    fn append_bytes(count: usize, each: usize) -> Job {
        let payload = bytes::Bytes::from(vec![b'x'; each]);
        let append = Append {
            environment: 1,
            application: ringback_domain::scope::Reference::Uid("one".to_owned()),
            message: crate::NewMessage { payload, ..crate::NewMessage::default() },
            claim: None,
        };
        Job::Append(vec![append; count], oneshot::channel().0)
    }

    fn queue(lazy: Duration) -> Queue {
        Queue { lazy, ..Queue::new(Room { messages: 10, bytes: 1000 }) }
    }

    #[test]
    fn records_wait_for_company() {
        let queue = queue(Duration::from_secs(3600));
        let taken = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut batch = VecDeque::new();
                assert!(queue.take(&mut batch));
                batch.len()
            });
            for job in [record(), record(), append(1)] {
                assert!(queue.push(job).is_ok());
            }
            writer.join().unwrap()
        });
        // However the threads ran, the writer did not take the records alone.
        assert_eq!(taken, 3);
    }

    #[test]
    fn records_do_not_wait_for_ever() {
        let queue = queue(Duration::from_millis(1));
        assert!(queue.push(record()).is_ok());
        let mut batch = VecDeque::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn only_what_anybody_sends_is_refused_and_only_until_it_is_taken() {
        let queue = queue(LAZY);
        // Ten messages fit, or a thousand bytes; an empty queue takes whatever comes.
        for (first, second) in [
            (append(10), append(1)),
            (append(11), append(1)),
            (append_bytes(1, 900), append_bytes(1, 101)),
            (append_bytes(1, 1001), append(1)),
            (append(10), request(0)),
            (request(900), append_bytes(1, 101)),
            (append_bytes(1, 900), request(101)),
        ] {
            assert!(queue.push(first).is_ok());
            let (second, reason) = queue.push(second).unwrap_err();
            assert_eq!(reason, Unavailable::Overloaded);
            assert!(queue.push(record()).is_ok());
            let mut batch = VecDeque::new();
            assert!(queue.take(&mut batch));
            assert!(queue.push(second).is_ok());
            assert!(queue.take(&mut batch));
        }
    }

    #[test]
    fn what_is_queued_at_the_end_is_still_taken() {
        let queue = queue(Duration::from_secs(3600));
        assert!(queue.push(record()).is_ok());
        queue.close();
        assert!(matches!(queue.push(append(1)), Err((_, Unavailable::Closed))));
        let mut batch = VecDeque::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.len(), 1);
        assert!(!queue.take(&mut batch), "what fails then is not tried for ever");
    }
}
