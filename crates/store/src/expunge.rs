//! Deleting content before its time.

use ringback_domain::{
    id::{AttemptId, Key},
    scope::{Reference, Scope},
    task::{Status, Task},
    time::Timestamp,
};

use crate::{BoxFuture, Canceled, ReadError, Stepped, Unavailable};

/// Expunging: the message stays, what was in it goes, and with it every delivery that is pending.
pub trait Expunge {
    /// Deletes the content of messages, all in one transaction; for each whether it exists.
    fn expunge(
        &self,
        scope: Scope,
        messages: Vec<Reference>,
    ) -> BoxFuture<'_, Result<Expunged, Unavailable>>;

    /// Deletes what an endpoint answered; [`EXPUNGED`] takes its place.
    fn expunge_attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<(), ReadError>>;

    /// Does one step of a task that deletes the content of an application's messages.
    fn purge(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>>;
}

/// What stands in the place of a response that was expunged.
pub const EXPUNGED: &str = "EXPUNGED";

/// What was expunged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expunged {
    /// For each message whether it exists, in the order of the question.
    pub found: Vec<bool>,
    /// The deliveries that were pending.
    pub canceled: Vec<Canceled>,
}

/// The most messages that a step purges.
pub(crate) const PURGED: usize = 250;

/// The task after a step that saw some messages up to `last` and emptied some of them.
pub(crate) fn purged(
    mut task: Task,
    seen: usize,
    emptied: usize,
    last: Option<Key>,
    now: Timestamp,
) -> Task {
    task.count("messagesPurged", emptied);
    task.count("messagesSeen", seen);
    task.updated_at = now;
    match last.filter(|_| seen == PURGED) {
        Some(last) => task.span.cursor = last,
        None => {
            task.span.cursor = task.span.end - 1;
            task.status = Status::Finished;
        }
    }
    task
}
