//! The writer: one thread that turns many requests into one commit.
//!
//! Whatever is queued when a transaction begins goes into it (up to a bound), so a sync is shared
//! by all that wait for one and the batch grows with the load. If the transaction fails, nothing of
//! it is there and everybody is told; only when the disk is full, records are kept and tried again,
//! because what they report has happened.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use ringback_domain::id::KeySequence;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    append, checkpoint::Turn, claims::Claims, fault, fault::Stop, queue::AppendReply, queue::Job,
    queue::Queue, queue::RecordReply, queue::RequestReply, queue::Task, record, request,
    routes::Routes,
};
use crate::{AppendError, Appended, Commit, Observer, Recorded, Unavailable, WriteError};

/// The most messages and records of one transaction; more would make the first wait for the last.
const BATCH: usize = 512;

/// So many writes that came during one commit mean that more are on their way.
const BUSY: usize = 16;
/// How long the writer then waits before the next commit. Fewer, larger commits: measured, this
/// takes 12 % off the CPU of a message and shortens the way to the receiver, because the cores are
/// woken less often; the acknowledgement is not later.
const GATHER: Duration = Duration::from_micros(400);

/// What the writer keeps in memory about what is in the database.
pub(super) struct Memory {
    pub(super) routes: Routes,
    pub(super) claims: Claims,
    pub(super) keys: KeySequence,
    pub(super) epoch: i64,
    /// The claims made in the open transaction, to be taken back if it fails.
    pub(super) claimed: Vec<u128>,
    /// How many requests to sources were written down: now and then, what is too much is deleted.
    pub(super) logged: u64,
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
    pub(super) observer: Observer,
}

enum Done {
    Append(AppendReply, Vec<Result<Appended, AppendError>>),
    Record(RecordReply, Vec<Recorded>),
    Request(RequestReply, Result<(), WriteError>),
    Task(Box<dyn Task>),
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut waiting = VecDeque::new();
        while self.queue.take(&mut waiting) {
            let busy = waiting.iter().map(Job::size).sum::<usize>() >= BUSY;
            let mut kept = VecDeque::new();
            while !waiting.is_empty() {
                kept.append(&mut self.work(next_batch(&mut waiting)));
                if !kept.is_empty() {
                    // The disk is full: whoever is queued behind need not wait to hear the same.
                    kept.append(&mut give_up(std::mem::take(&mut waiting), &Unavailable::Full));
                }
            }
            waiting = kept;
            if busy {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Runs the batch; everybody is told, save those whose work is returned to be tried again.
    fn work(&mut self, mut batch: VecDeque<Job>) -> VecDeque<Job> {
        let Err(error) = self.transact(&mut batch) else { return VecDeque::new() };
        let reason = fault::unavailable(&error);
        tracing::warn!(%error, "a transaction failed and was rolled back");
        if reason == Unavailable::Full || batch.len() == 1 {
            return give_up(batch, &reason);
        }
        // One of them made it fail. The others must not suffer from it: each for itself.
        batch
            .into_iter()
            .flat_map(|job| match job {
                Job::Task(_) => give_up(VecDeque::from([job]), &reason),
                Job::Append(..) | Job::Record(..) | Job::Request(..) => {
                    self.work(VecDeque::from([job]))
                }
            })
            .collect()
    }

    /// Runs the batch in one transaction and tells everybody. After an error, what is left in
    /// `batch` has not been told anything.
    fn transact(&mut self, batch: &mut VecDeque<Job>) -> rusqlite::Result<()> {
        let turn = Arc::clone(&self.turn);
        let writing = turn.write();
        let writes = batch.iter().map(Job::size).sum();
        #[allow(clippy::disallowed_methods, reason = "it is measured, nothing is decided by it")]
        let begun = Instant::now();
        let result = self.write(batch);
        if result.is_err() {
            self.roll_back();
        }
        drop(writing);
        (self.observer)(Commit { writes, took: begun.elapsed() });
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
}

/// Tells everybody why nothing was done. Only when the disk is full, records are returned to be
/// tried again: what they report has happened.
fn give_up(jobs: VecDeque<Job>, reason: &Unavailable) -> VecDeque<Job> {
    let mut kept = VecDeque::new();
    for job in jobs {
        match job {
            Job::Append(appends, reply) => {
                let answers = appends.iter().map(|_| Err(reason.clone().into())).collect();
                let _ = reply.send(answers);
            }
            Job::Request(_, reply) => drop(reply.send(Err(reason.clone().into()))),
            Job::Task(task) => task.finish(Err(reason.clone())),
            Job::Record(..) if *reason == Unavailable::Full => kept.push_back(job),
            Job::Record(_, reply) => drop(reply.send(Err(reason.clone()))),
        }
    }
    kept
}

fn next_batch(waiting: &mut VecDeque<Job>) -> VecDeque<Job> {
    let mut size = 0;
    let fits = |job: &Job| {
        size += job.size();
        size > BATCH
    };
    // At least one job, however large.
    let count = waiting.iter().position(fits).unwrap_or(waiting.len()).max(1);
    waiting.drain(..count).collect()
}

enum Ran {
    Append(Vec<Result<Appended, AppendError>>),
    Record(Vec<Recorded>),
    Request(Result<(), WriteError>),
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
        Job::Request(new, _) => Ran::Request(match request::log(transaction, new) {
            Ok(()) => Ok(()),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Database(error)) => return Err(error),
        }),
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
            (Job::Request(_, reply), Ran::Request(result)) => Some(Done::Request(reply, result)),
            (Job::Task(task), Ran::Task) => Some(Done::Task(task)),
            _ => None,
        }
    }

    /// Whoever no longer waits is not told: a dropped receiver is no error.
    fn tell(self) {
        match self {
            Done::Append(reply, results) => drop(reply.send(results)),
            Done::Record(reply, results) => drop(reply.send(Ok(results))),
            Done::Request(reply, result) => drop(reply.send(result)),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringback_domain::{
        attempt::{Outcome, Timings, Trigger},
        id::{AttemptId, Id, Key},
        scope::{Reference, Scope},
    };

    use super::{
        super::{open, queue::Room},
        *,
    };
    use crate::{Append, NewMessage, Record, WriteError};

    const SCOPE: Scope = Scope { environment: 1, application: 2 };

    /// A writer without a thread, on a database with one application and one endpoint.
    fn writer(directory: &std::path::Path) -> Writer {
        let sizes = open::Sizes { cache_bytes: 1 << 20 };
        let (connection, start) = open::writer(&directory.join("test.sqlite"), sizes).unwrap();
        let things = "
            INSERT INTO environment VALUES (1, 'default', 0);
            INSERT INTO application (key, nonce, shard, environment, hidden, uid, name, metadata,
              created_at, updated_at) VALUES (2, 0, 0, 1, 0, 'one', 'one', '{}', 0, 0);
            INSERT INTO endpoint (key, nonce, shard, environment, application, url, description,
              metadata, state, revision, created_at, updated_at)
              VALUES (3, 0, 0, 1, 2, 'https://receiver.example/', '', '{}', 0, 4, 0, 0);";
        connection.execute_batch(things).unwrap();
        let memory = Memory {
            routes: Routes::default(),
            claims: Claims::new(8),
            keys: KeySequence::after(100),
            epoch: start.epoch,
            claimed: Vec::new(),
            logged: 0,
        };
        let queue = Arc::new(Queue::new(Room { messages: 9, bytes: 9 }));
        Writer { connection, memory, queue, turn: Arc::default(), observer: Arc::new(|_| {}) }
    }

    type AppendAnswer = oneshot::Receiver<Vec<Result<Appended, AppendError>>>;

    fn append(size: usize) -> (Job, AppendAnswer) {
        let (reply, answer) = oneshot::channel();
        let payload = Bytes::from(vec![b'x'; size]);
        let message = NewMessage { payload, ..NewMessage::default() };
        let application = Reference::Uid("one".to_owned());
        let append = Append { environment: 1, application, message, claim: None };
        (Job::Append(vec![append], reply), answer)
    }

    fn record(
        message: Key,
        size: usize,
    ) -> (Job, oneshot::Receiver<Result<Vec<Recorded>, Unavailable>>) {
        let (reply, answer) = oneshot::channel();
        let record = Record {
            scope: SCOPE,
            epoch: 1,
            delivery: message + 1,
            message,
            endpoint: 3,
            revision: 4,
            id: AttemptId(Id { key: 1, shard: 0, nonce: 1 }),
            number: 1,
            trigger: Trigger::Scheduled,
            status_code: 200,
            response: Bytes::from(vec![b'y'; size]),
            failed: None,
            reason: None,
            timings: Timings::default(),
            outcome: Outcome::Delivered,
            next_at: None,
            health: None,
            rendering: None,
            fix: None,
            ordered: false,
            notices: Vec::new(),
        };
        (Job::Record(vec![record], reply), answer)
    }

    fn limit_pages(writer: &Writer, extra: i64) {
        let connection = &writer.connection;
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + extra);
        connection.query_row(&limit, [], |_| Ok(())).unwrap();
    }

    #[test]
    fn a_full_disk_refuses_messages_and_keeps_records() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let (job, mut first) = append(10);
        assert!(writer.work([job].into()).is_empty());
        let message = first.try_recv().unwrap().remove(0).unwrap().id.key();

        limit_pages(&writer, 0);
        let (big_message, mut refused) = append(100_000);
        let (big_record, mut recorded) = record(message, 100_000);
        let kept = writer.work([big_message, big_record].into());
        let full = AppendError::Unavailable(Unavailable::Full);
        assert_eq!(refused.try_recv().unwrap(), [Err(full)]);
        assert_eq!(kept.len(), 1, "the record is kept");
        assert!(recorded.try_recv().is_err(), "and not answered");
        let kept = writer.work(kept);
        assert_eq!(kept.len(), 1, "for as long as it takes");

        limit_pages(&writer, 1000);
        assert!(writer.work(kept).is_empty());
        assert!(recorded.try_recv().unwrap().unwrap()[0].applied);
        let (job, mut again) = append(100_000);
        assert!(writer.work([job].into()).is_empty());
        assert!(again.try_recv().unwrap()[0].is_ok());
    }

    #[test]
    fn one_that_fails_does_not_take_others_along() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let (one, mut first) = append(10);
        let (bad, mut failed) =
            Call::<_, (), WriteError>::new(|transaction: &mut Transaction<'_>| {
                transaction.connection.execute("INSERT INTO environment VALUES (1, 'x', 0)", [])?;
                Ok(())
            });
        let (two, mut second) = append(10);
        assert!(writer.work([one, Job::Task(Box::new(bad)), two].into()).is_empty());
        assert!(first.try_recv().unwrap()[0].is_ok());
        assert!(second.try_recv().unwrap()[0].is_ok());
        let reason = failed.try_recv().unwrap();
        assert!(matches!(reason, Err(WriteError::Unavailable(Unavailable::Failed(_)))));
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let (refused, mut answer) =
            Call::<_, (), WriteError>::new(|transaction: &mut Transaction<'_>| {
                transaction.connection.execute("INSERT INTO environment VALUES (9, 'x', 0)", [])?;
                Err(Stop::Refused(WriteError::Conflict("test")))
            });
        let (next, mut appended) = append(10);
        assert!(writer.work([Job::Task(Box::new(refused)), next].into()).is_empty());
        assert_eq!(answer.try_recv().unwrap(), Err(WriteError::Conflict("test")));
        assert!(appended.try_recv().unwrap()[0].is_ok());
        let count = "SELECT count(*) FROM environment";
        let left: i64 = writer.connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1);
    }

    #[test]
    fn batches_are_bounded_but_never_empty() {
        let job = |size: usize| {
            let (reply, _) = oneshot::channel();
            Job::Append(
                vec![
                    Append {
                        environment: 1,
                        application: Reference::Uid("one".to_owned()),
                        message: NewMessage::default(),
                        claim: None,
                    };
                    size
                ],
                reply,
            )
        };
        for (sizes, expect) in [
            ([1, 1, 1].as_slice(), 3),
            (&[BATCH, 1], 1),
            (&[BATCH + 1, 1], 1),
            (&[BATCH - 1, 1, 1], 2),
        ] {
            let mut waiting: VecDeque<Job> = sizes.iter().map(|size| job(*size)).collect();
            assert_eq!(next_batch(&mut waiting).len(), expect, "{sizes:?}");
            assert_eq!(waiting.len(), sizes.len() - expect);
        }
    }
}
