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
use crate::{Append, AppendError, Appended, Record, Recorded, Unavailable};

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

pub(super) enum Job {
    Append(Vec<Append>, AppendReply),
    Record(Vec<Record>, RecordReply),
    Task(Box<dyn Task>),
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many messages are queued: what decides about "overloaded".
    messages: usize,
    /// Whether something other than records is queued.
    urgent: bool,
    sleeping: bool,
    closed: bool,
}

pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Queue {
        Queue { state: Mutex::default(), work: Condvar::new(), limit }
    }

    /// Queues a job, or gives it back with the reason why not.
    pub(super) fn push(&self, job: Job) -> Result<(), (Job, Unavailable)> {
        let mut state = self.lock();
        if state.closed {
            return Err((job, Unavailable::Closed));
        }
        if let Job::Append(batch, _) = &job {
            if state.messages + batch.len() > self.limit {
                return Err((job, Unavailable::Overloaded));
            }
            state.messages += batch.len();
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
        let patience = if batch.is_empty() { LAZY } else { RETRY };
        if !state.urgent && !state.closed {
            state.sleeping = true;
            let lazily = |state: &mut State| !state.urgent && !state.closed;
            let waited = self.work.wait_timeout_while(state, patience, lazily);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.sleeping = false;
        state.urgent = false;
        state.messages = 0;
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
