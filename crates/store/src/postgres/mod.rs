//! The store on a PostgreSQL server (15 or later), or on a database that speaks its dialect.
//!
//! ```text
//!  append ──► queue ──► batches ──► one statement each ──► answers
//!  record ──► queue ──► batches ──► one statement each ──► answers
//!  log    ──► queue ──► batches ──► one statement each ──► answers
//!  lane   ──► queue ──► batches ──► one statement each ──► answers
//!  the rest ─────────► a transaction each, over a pool of connections
//! ```
//!
//! Nothing here breaks behind a pooler that hands a connection to somebody else after each
//! transaction: no named prepared statements, no session settings, no advisory locks, no `LISTEN`.
//! No transaction is open while something else than the database is waited for.

mod connect;
mod health;
mod migrate;
mod tls;

mod batches;
mod keys;
mod routes;
mod transaction;

mod answer;
mod append;
mod due;
mod expunge;
mod partitions;
mod record;
mod redeliver;
mod replay;
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
mod request;
mod search;
mod source;
mod statistics;
mod task;
mod token;

mod fault;
mod rows;

mod store;

pub(crate) mod transfer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use ringback_domain::id::Key;
use tokio::runtime::{Handle, Runtime};

pub use self::connect::OpenError;
pub(crate) use self::partitions::DIVIDED;
use self::{
    batches::{Batches, Room},
    connect::{Pool, Role},
    fault::Stop,
    health::Health,
    keys::Keys,
    routes::Routes,
    transaction::{Transaction, int8},
};
use crate::{
    Append, AppendError, Appended, BoxFuture, Commit, Lane, NewRequest, Observer, Record, Recorded,
    Space, Unavailable, WriteError,
};

/// How long closing waits for what is queued.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the store is sized.
#[derive(Clone)]
pub struct Options {
    /// Connections for everything but the four queues.
    pub connections: usize,
    /// Batches of messages, of results, of requests that are no messages, and of lanes to read, that
    /// are under way at the same time; each takes a connection.
    pub writers: usize,
    /// The most messages that wait for a commit; more are refused as overload. As many requests that
    /// are no messages may wait beside them.
    pub queue: usize,
    /// The most bytes of payload that wait for a commit.
    pub queue_bytes: usize,
    /// How long content is usually kept: partitions are made for the days on which it expires.
    pub retention: Duration,
    /// Is told of every commit that wrote something.
    pub observer: Observer,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connections: 8,
            // One: while it is under way the next one grows, and large batches are cheap.
            writers: 1,
            queue: 20_000,
            queue_bytes: 64 << 20,
            retention: Duration::from_secs(90 * 86_400),
            observer: Arc::new(|_| {}),
        }
    }
}

/// The store on PostgreSQL.
pub struct Postgres {
    node: Arc<Node>,
    appends: Batches<Append, Result<Appended, AppendError>>,
    records: Batches<Record, Recorded>,
    requests: Batches<NewRequest, Result<(), WriteError>>,
    lanes: Batches<Key, Option<Lane>>,
    last_attempt: Key,
    runtime: Driver,
}

/// What this process knows about the database.
struct Node {
    pool: Pool,
    health: Health,
    epoch: i64,
    keys: Arc<Keys>,
    routes: Mutex<Routes>,
    closed: AtomicBool,
    /// Requests that became no messages and were written down.
    refused: AtomicU64,
    /// The last source that the sweep looked at.
    swept: AtomicI64,
    /// Bytes of the database when it was measured last.
    size: AtomicU64,
    retention_days: i64,
    observer: Observer,
}

impl Postgres {
    /// Connects, brings the schema up to date and takes the next epoch: from now on, results of a
    /// process that did so before change nothing. It blocks until that is done.
    ///
    /// # Errors
    /// [`OpenError`] says whether the address is wrong, the server cannot be reached, is too old or
    /// is set up so that it could lose what it acknowledged.
    pub fn open(dsn: &str, options: &Options) -> Result<Postgres, OpenError> {
        Postgres::connect(dsn, options, Role::Server)
    }

    /// The same for a short visit beside a server that works on the database, which goes on
    /// undisturbed. A visitor looks after the catalogue; it records no attempts.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub fn visit(dsn: &str, options: &Options) -> Result<Postgres, OpenError> {
        Postgres::connect(dsn, options, Role::Guest)
    }

    fn connect(dsn: &str, options: &Options, role: Role) -> Result<Postgres, OpenError> {
        let runtime = Driver::start()?;
        let (dsn, sizes) = (dsn.to_owned(), options.clone());
        let start = runtime.wait(async move { connect::start(&dsn, &sizes, role).await })??;
        let node = Arc::new(Node {
            pool: start.pool,
            health: Health::default(),
            epoch: start.epoch,
            keys: Arc::new(Keys::after(start.last_key)),
            routes: Mutex::default(),
            closed: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            swept: AtomicI64::new(0),
            size: AtomicU64::new(start.size),
            retention_days: (options.retention.as_secs() / 86_400) as i64,
            observer: Arc::clone(&options.observer),
        });
        let kept = Arc::clone(&node);
        runtime.wait(async move { partitions::keep(&kept, start.now).await })??;
        let handle = &runtime.handle;
        handle.spawn(health::mind(Arc::clone(&node), start.line));
        handle.spawn(keys::mind(Arc::clone(&node)));
        let room = Room { count: options.queue, bytes: options.queue_bytes };
        let appends = Batches::start(handle, options.writers, Some(room), {
            let node = Arc::clone(&node);
            move |batch| watched(Arc::clone(&node), batch, append::run)
        });
        let records = Batches::start(handle, options.writers, None, {
            let node = Arc::clone(&node);
            move |batch| watched(Arc::clone(&node), batch, record::run)
        });
        let requests = Batches::start(handle, options.writers, Some(room), {
            let node = Arc::clone(&node);
            move |batch| watched(Arc::clone(&node), batch, request::log)
        });
        let lanes = Batches::start(handle, options.writers, None, {
            let node = Arc::clone(&node);
            move |batch| endpoint::lanes(Arc::clone(&node), batch)
        });
        let last_attempt = start.last_attempt;
        Ok(Postgres { node, appends, records, requests, lanes, last_attempt, runtime })
    }

    /// Runs an operation in a transaction of its own; resolves after its commit.
    fn transact<T, E, F>(&self, operation: F) -> BoxFuture<'_, Result<T, E>>
    where
        F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Stop<E>>>
            + Send
            + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let node = Arc::clone(&self.node);
        // Spawned, so that nobody who stops waiting leaves a transaction half done.
        let running =
            self.runtime.handle.spawn(async move { transaction::run(&node, operation).await });
        Box::pin(async move { running.await.unwrap_or_else(|_| Err(Unavailable::Closed.into())) })
    }
}

impl Postgres {
    /// Lets what is queued be written, notes where the keys are, and ends.
    async fn finish(&self) {
        let written = async {
            self.lanes.finish().await;
            tokio::join!(self.appends.finish(), self.records.finish(), self.requests.finish())
        };
        // If the database is away there is nothing to wait for: what is not recorded is sent again.
        let in_time = tokio::time::timeout(PATIENCE, written).await;
        if in_time.is_err() {
            tracing::warn!("the database did not take the last results in time");
        } else if let Err(reason) = self.note_keys().await {
            // The next start finds them in the tables.
            tracing::debug!(%reason, "the last keys were not noted");
        }
        self.node.closed.store(true, Ordering::Release);
        self.node.pool.close();
        self.runtime.end();
    }

    async fn note_keys(&self) -> Result<(), Unavailable> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let last = transaction.node().last_key();
                let epoch = transaction.epoch();
                let sql = include_str!("queries/keys_note.sql");
                transaction.execute(sql, &[int8(&last), int8(&epoch)]).await?;
                Ok(())
            })
        })
        .await
    }
}

impl Node {
    fn last_key(&self) -> Key {
        self.keys.last()
    }

    fn space(&self) -> Space {
        let used = self.size.load(Ordering::Relaxed);
        Space { used, free: None, parts: [("database", used)].into() }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The next key, for anything but a message.
    fn next_key(&self, now: ringback_domain::time::Timestamp) -> Key {
        self.keys.next(now, 0)
    }

    fn routes(&self) -> std::sync::MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits a batch, and tells how long it took.
async fn watched<Q, T, F>(
    node: Arc<Node>,
    batch: Vec<Q>,
    commit: impl FnOnce(Arc<Node>, Vec<Q>) -> F,
) -> Result<T, Unavailable>
where
    F: Future<Output = Result<T, Unavailable>>,
{
    let (writes, begun) = (batch.len(), transaction::begun());
    let done = commit(Arc::clone(&node), batch).await?;
    (node.observer)(Commit { writes, took: begun.elapsed() });
    Ok(done)
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.node.closed.store(true, Ordering::Release);
    }
}

/// Drives the connections, on a thread of its own, until it is dropped or the store is closed.
pub(crate) struct Driver {
    handle: Handle,
    /// Gone once it has ended.
    runtime: Mutex<Option<Runtime>>,
}

impl Driver {
    pub(crate) fn start() -> Result<Driver, OpenError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store-pg")
            .enable_all()
            .build()
            .map_err(|error| OpenError::Runtime(error.to_string()))?;
        let handle = runtime.handle().clone();
        Ok(Driver { handle, runtime: Mutex::new(Some(runtime)) })
    }

    /// Runs something to its end, whichever thread asks.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, OpenError> {
        let (told, done) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = told.send(work.await);
        });
        done.recv().map_err(|error| OpenError::Runtime(error.to_string()))
    }

    /// Runs something on this thread; the caller is in no runtime.
    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    fn end(&self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping it here would block, which the caller's runtime does not allow.
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end();
    }
}
