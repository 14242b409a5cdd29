//! The embedded store: SQLite in WAL mode, one writer with group commit, a few readers.
//!
//! ```text
//!  append, record, … ──► queue ──► writer thread ──► one transaction ──► sync ──► answers
//!  lists, due, …     ──► reader threads (a connection each, they never wait for the writer)
//!                        checkpoint thread (moves the log into the database)
//! ```

mod open;

mod queue;
mod writer;

mod answer;
mod append;
mod claims;
mod routes;

mod due;
mod expunge;
mod record;
mod replay;
mod request;
mod reseal;
mod resend;
mod sweep;

mod access;
mod application;
mod attempt;
mod audit;
mod callback;
mod consumer;
mod contract;
mod endpoint;
mod environment;
mod event_type;
mod explain;
mod import;
mod listener;
mod message;
mod oauth;
mod order;
mod quota;
mod search;
mod source;
mod statistics;
mod task;
mod token;

mod checkpoint;
mod fault;
mod readers;
mod rows;

mod store;

pub(crate) mod transfer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

pub use open::OpenError;
use ringback_domain::id::{Key, KeySequence};
use rusqlite::Connection;

use self::{
    checkpoint::Turn,
    claims::Claims,
    fault::Stop,
    queue::{Job, Queue, Room},
    readers::Readers,
    routes::Routes,
    writer::{Call, Memory, Transaction, Writer},
};
use crate::{BoxFuture, Observer, Unavailable};

/// The file in the data directory that holds everything.
pub const FILE: &str = "ringback.sqlite";

const CHECKPOINT_THREAD: &str = "store-checkpoint";

/// How the store is sized.
#[derive(Clone)]
pub struct Options {
    /// Page cache of the writer, in bytes.
    pub cache_bytes: u64,
    /// The log is started over when it has grown to this many bytes.
    pub log_bytes: u64,
    /// Reading threads.
    pub readers: usize,
    /// The most messages that wait for a commit; more are refused as overload.
    pub queue: usize,
    /// The most bytes of payload that wait for a commit.
    pub queue_bytes: usize,
    /// The most idempotency claims that are remembered.
    pub claims: usize,
    /// Is told of every commit.
    pub observer: Observer,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes: 16 << 20,
            log_bytes: 8 << 20,
            readers: 2,
            queue: 20_000,
            queue_bytes: 64 << 20,
            claims: 2_000_000,
            observer: Arc::new(|_| {}),
        }
    }
}

/// The embedded store.
pub struct Sqlite {
    path: PathBuf,
    epoch: i64,
    last_attempt: Key,
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    turn: Arc<Turn>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How far the sweep has come; only it reads and writes this.
    swept: Mutex<sweep::Progress>,
}

impl Sqlite {
    /// Opens the store in a directory that exists, making its file if there is none.
    ///
    /// Nothing keeps a second process out: the caller holds the directory's lock.
    ///
    /// # Errors
    /// [`OpenError`] says which file cannot be used and why.
    pub fn open(directory: &Path, options: &Options) -> Result<Sqlite, OpenError> {
        let path = directory.join(FILE);
        let sizes = open::Sizes { cache_bytes: options.cache_bytes };
        let (connection, start) = open::writer(&path, sizes)?;
        let mut claims = Claims::new(options.claims);
        claims.load(&connection).map_err(|error| fault::unavailable(&error))?;
        let store = Sqlite {
            epoch: start.epoch,
            last_attempt: start.last_attempt,
            queue: Arc::new(Queue::new(Room {
                messages: options.queue,
                bytes: options.queue_bytes,
            })),
            readers: Arc::default(),
            turn: Arc::default(),
            threads: Mutex::default(),
            swept: Mutex::default(),
            path,
        };
        let memory = Memory {
            routes: Routes::default(),
            claims,
            keys: KeySequence::after(start.last_key),
            epoch: start.epoch,
            claimed: Vec::new(),
            logged: 0,
        };
        store.start_threads(connection, memory, options)?;
        Ok(store)
    }

    fn start_threads(
        &self,
        connection: Connection,
        memory: Memory,
        options: &Options,
    ) -> Result<(), OpenError> {
        let sizes = open::Sizes { cache_bytes: options.cache_bytes / 8 };
        for number in 0..options.readers {
            let connection = open::reader(&self.path, sizes)?;
            let readers = Arc::clone(&self.readers);
            self.spawn(&format!("store-read-{number}"), move || readers.run(&connection))?;
        }
        let moving = open::checkpointer(&self.path)?;
        let (turn, pages) = (Arc::clone(&self.turn), options.log_bytes as i64 / open::PAGE_BYTES);
        self.spawn(CHECKPOINT_THREAD, move || checkpoint::run(&moving, &turn, pages))?;
        let (queue, turn) = (Arc::clone(&self.queue), Arc::clone(&self.turn));
        let observer = Arc::clone(&options.observer);
        let writer = Writer { connection, memory, queue, turn, observer };
        self.spawn("store-write", move || writer.run())
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|error| Unavailable::Failed(error.to_string()))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Runs an operation in the writer's next transaction; resolves after its commit.
    fn write<T, E, F>(&self, operation: F) -> BoxFuture<'_, Result<T, E>>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Stop<E>> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let (call, answer) = Call::new(operation);
        let queued = self.queue.push(Job::Task(Box::new(call)));
        Box::pin(async move {
            queued.map_err(|(_, reason)| reason)?;
            answer.await.unwrap_or_else(|_| Err(Unavailable::Closed.into()))
        })
    }

    /// Runs a read on one of the reading threads.
    fn read<T, E, F>(&self, operation: F) -> BoxFuture<'_, Result<T, E>>
    where
        F: FnOnce(&Connection) -> Result<T, Stop<E>> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.readers.push(Box::new(move |connection| {
            let result = operation(connection).map_err(|stop| match stop {
                Stop::Refused(error) => error,
                Stop::Database(error) => fault::unavailable(&error).into(),
            });
            let _ = reply.send(result);
        }));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Unavailable::Closed.into())) })
    }

    fn closing(&self) -> Closing {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        Closing {
            queue: Arc::clone(&self.queue),
            readers: Arc::clone(&self.readers),
            turn: Arc::clone(&self.turn),
            threads: std::mem::take(&mut threads),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.closing().finish();
    }
}

/// What has to end when the store is closed.
struct Closing {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    turn: Arc<Turn>,
    threads: Vec<JoinHandle<()>>,
}

impl Closing {
    /// Lets the threads finish what is queued, and waits for them.
    fn finish(self) {
        self.queue.close();
        self.readers.close();
        // The writer may need the checkpointer's turn to end before it can finish.
        let (last, first): (Vec<_>, Vec<_>) = self
            .threads
            .into_iter()
            .partition(|thread| thread.thread().name() == Some(CHECKPOINT_THREAD));
        for thread in first {
            let _ = thread.join();
        }
        self.turn.close();
        for thread in last {
            let _ = thread.join();
        }
    }
}
