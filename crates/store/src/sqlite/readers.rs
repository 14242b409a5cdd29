//! A few threads that read, each with its own connection: nobody who reads waits for a commit.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use rusqlite::Connection;

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The way to the reading threads.
#[derive(Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    work: Condvar,
}

impl Readers {
    /// Queues a read; false when closed.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.work.notify_one();
        true
    }

    /// Lets the threads finish what is queued and end.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.work.notify_all();
    }

    /// The body of a reading thread.
    pub(super) fn run(self: Arc<Readers>, connection: &Connection) {
        while let Some(job) = self.next() {
            job(connection);
        }
    }

    fn next(&self) -> Option<Job> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let mut state = self.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        state.jobs.pop_front()
    }
}
