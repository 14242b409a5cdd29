//! Sending many messages to an endpoint once more.

use ringback_domain::{
    id::Key,
    replay::{Choice, Selection},
    task::{Status, Task},
    time::Timestamp,
};
use serde::Deserialize;

use crate::{BoxFuture, Stepped, Unavailable};

/// Replays: the steps of the tasks that send messages again.
pub trait Replay {
    /// Does one step: looks at some messages, plans an extra attempt now for each that the task's
    /// request picks, and notes how far the task has come.
    ///
    /// When the endpoint has [`DUE_LIMIT`] due deliveries or more, nothing is done: what comes in
    /// meanwhile shall not wait behind everything that is replayed.
    fn replay(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>>;
}

/// With so many due deliveries an endpoint has enough to do.
pub const DUE_LIMIT: usize = 1_000;

/// The most messages that a step sends.
pub(crate) const SENT: usize = 250;
/// The most messages that a step looks at.
pub(crate) const SEEN: usize = 1_000;

/// What a step decided.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The messages to send.
    pub(crate) send: Vec<Key>,
    seen: usize,
    without_content: usize,
    /// Everything up to this key is decided.
    cursor: Option<Key>,
    /// Whether it stopped before it had seen all that was read.
    cut: bool,
}

impl Plan {
    /// Decides for the next message of the task. False once the step is full.
    pub(crate) fn add(&mut self, key: Key, choice: Choice) -> bool {
        if self.send.len() >= SENT {
            self.cut = true;
            return false;
        }
        self.seen += 1;
        self.cursor = Some(key);
        match choice {
            Choice::Send => self.send.push(key),
            Choice::NoContent => self.without_content += 1,
            Choice::Leave => {}
        }
        true
    }

    /// The task as it is after this step, in which `sent` messages were sent.
    pub(crate) fn done(&self, mut task: Task, sent: usize, now: Timestamp) -> Task {
        task.count("messagesSent", sent);
        task.count("messagesSeen", self.seen);
        task.count("messagesWithoutContent", self.without_content);
        task.updated_at = now;
        let over = !self.cut && self.seen < SEEN;
        if over {
            task.status = Status::Finished;
        }
        let last = task.span.end - 1;
        task.span.cursor = if over { last } else { self.cursor.unwrap_or(last) };
        task
    }
}

/// What a task that replays was asked for; none if that cannot be read.
pub(crate) fn selection(task: &Task) -> Option<Selection> {
    Selection::deserialize(&task.request).ok()
}
