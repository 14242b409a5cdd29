//! The writer: one thread that turns many requests into one commit.
//!
//! Whatever is queued when a transaction begins goes into it (up to a bound), so a sync is shared
//! by all that wait for one and the batch grows with the load, without a timer. If the transaction
//! fails, nothing of it is there and everybody is told; only records are kept and tried again,
//! because what they report has happened.

use std::{collections::VecDeque, sync::Arc};

use ringback_domain::id::KeySequence;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    append, checkpoint::Turn, claims::Claims, fault, fault::Stop, queue::AppendReply, queue::Job,
    queue::Queue, queue::RecordReply, queue::Task, record, routes::Routes,
};
use crate::{AppendError, Appended, Recorded, Unavailable};

/// The most messages and records of one transaction; more would make the first wait for the last.
const BATCH: usize = 512;

/// What the writer keeps in memory about what is in the database.
pub(super) struct Memory {
    pub(super) routes: Routes,
    pub(super) claims: Claims,
    pub(super) keys: KeySequence,
    pub(super) epoch: i64,
    /// The claims made in the open transaction, to be taken back if it fails.
    pub(super) claimed: Vec<u128>,
}

/// An open transaction.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) memory: &'a mut Memory,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) memory: Memory,
    pub(super) queue: Arc<Queue>,
    pub(super) turn: Arc<Turn>,
}

enum Done {
    Append(AppendReply, Vec<Result<Appended, AppendError>>),
    Record(RecordReply, Vec<Recorded>),
    Task(Box<dyn Task>),
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut waiting = VecDeque::new();
        while self.queue.take(&mut waiting) {
            while !waiting.is_empty() {
                let mut batch = next_batch(&mut waiting);
                if let Err(error) = self.transact(&mut batch) {
                    let reason = fault::unavailable(&error);
                    tracing::warn!(%error, "a transaction failed and was rolled back");
                    waiting = self.fail(batch, waiting, &reason);
                    break;
                }
            }
        }
    }

    /// Runs the batch in one transaction and tells everybody. After an error, what is left in
    /// `batch` has not been told anything.
    fn transact(&mut self, batch: &mut VecDeque<Job>) -> rusqlite::Result<()> {
        let turn = Arc::clone(&self.turn);
        let writing = turn.write();
        let result = self.write(batch);
        if result.is_err() {
            self.roll_back();
        }
        drop(writing);
        for done in result? {
            done.tell();
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut VecDeque<Job>) -> rusqlite::Result<Vec<Done>> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut transaction =
            Transaction { connection: &self.connection, memory: &mut self.memory };
        let mut results = Vec::with_capacity(batch.len());
        for job in batch.iter_mut() {
            results.push(run(job, &mut transaction)?);
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.memory.claimed.clear();
        let paired = batch.drain(..).zip(results);
        Ok(paired.filter_map(|(job, result)| Done::pair(job, result)).collect())
    }

    fn roll_back(&mut self) {
        // Some errors end the transaction by themselves.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back: ending");
            std::process::exit(74);
        }
        self.memory.routes.clear();
        for fingerprint in self.memory.claimed.drain(..) {
            self.memory.claims.remove(fingerprint);
        }
    }

    /// Tells a failed batch's jobs, but keeps records to try them again. When the disk is full,
    /// whoever is queued behind need not wait to hear the same.
    fn fail(
        &self,
        batch: VecDeque<Job>,
        waiting: VecDeque<Job>,
        reason: &Unavailable,
    ) -> VecDeque<Job> {
        let mut kept = VecDeque::new();
        for job in batch.into_iter().chain(waiting) {
            match job {
                Job::Append(appends, reply) => {
                    let answers = appends.iter().map(|_| Err(reason.clone().into())).collect();
                    let _ = reply.send(answers);
                }
                Job::Task(task) => task.finish(Err(reason.clone())),
                Job::Record(..) => kept.push_back(job),
            }
        }
        kept
    }
}

fn next_batch(waiting: &mut VecDeque<Job>) -> VecDeque<Job> {
    let mut size = 0;
    let fits = |job: &Job| {
        size += match job {
            Job::Append(appends, _) => appends.len(),
            Job::Record(records, _) => records.len(),
            Job::Task(_) => 1,
        };
        size > BATCH
    };
    // At least one job, however large.
    let count = waiting.iter().position(fits).unwrap_or(waiting.len()).max(1);
    waiting.drain(..count).collect()
}

enum Ran {
    Append(Vec<Result<Appended, AppendError>>),
    Record(Vec<Recorded>),
    Task,
}

fn run(job: &mut Job, transaction: &mut Transaction<'_>) -> rusqlite::Result<Ran> {
    Ok(match job {
        Job::Append(appends, _) => {
            let one = |new: &crate::Append| append::append(transaction, new);
            Ran::Append(appends.iter().map(one).collect::<Result<_, _>>()?)
        }
        Job::Record(records, _) => {
            let one = |record: &crate::Record| record::record(transaction, record);
            Ran::Record(records.iter().map(one).collect::<Result<_, _>>()?)
        }
        Job::Task(task) => {
            task.run(transaction)?;
            Ran::Task
        }
    })
}

impl Done {
    fn pair(job: Job, ran: Ran) -> Option<Done> {
        match (job, ran) {
            (Job::Append(_, reply), Ran::Append(results)) => Some(Done::Append(reply, results)),
            (Job::Record(_, reply), Ran::Record(results)) => Some(Done::Record(reply, results)),
            (Job::Task(task), Ran::Task) => Some(Done::Task(task)),
            _ => None,
        }
    }

    /// Whoever no longer waits is not told: a dropped receiver is no error.
    fn tell(self) {
        match self {
            Done::Append(reply, results) => drop(reply.send(results)),
            Done::Record(reply, results) => drop(reply.send(Ok(results))),
            Done::Task(task) => task.finish(Ok(())),
        }
    }
}

/// A task made of a closure.
pub(super) struct Call<F, T, E> {
    operation: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Call<F, T, E> {
    pub(super) fn new(operation: F) -> (Call<F, T, E>, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Call { operation: Some(operation), result: None, reply }, answer)
    }
}

impl<F, T, E> Task for Call<F, T, E>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<T, Stop<E>> + Send,
    T: Send,
    E: From<Unavailable> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> rusqlite::Result<()> {
        let Some(operation) = self.operation.take() else { return Ok(()) };
        transaction.connection.prepare_cached("SAVEPOINT task")?.execute([])?;
        let result = match operation(transaction) {
            Ok(value) => Ok(value),
            Err(Stop::Refused(error)) => {
                transaction.connection.prepare_cached("ROLLBACK TO task")?.execute([])?;
                Err(error)
            }
            Err(Stop::Database(error)) => return Err(error),
        };
        transaction.connection.prepare_cached("RELEASE task")?.execute([])?;
        self.result = Some(result);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), Unavailable>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Unavailable::Closed.into()),
            (Err(reason), _) => Err(reason.into()),
        };
        let _ = self.reply.send(result);
    }
}
