//! One transaction, and how values go into and come out of it.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ringback_domain::{id::Key, time::Timestamp};
use tokio_postgres::{
    Client, Error, Row,
    types::{ToSql, Type},
};

use super::{Node, fault::Stop, keys::Held};
use crate::{BoxFuture, Commit, Unavailable};

/// Begins a transaction. The limits are set inside it, because a pooler may give the connection to
/// somebody else afterwards.
///
/// Nothing is compiled or divided among workers: many partitions make a query of a few milliseconds
/// look like a long one, compiling it takes a second, and starting workers longer than it does.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; \
    SET LOCAL lock_timeout = '3s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// How long a batch may take. It is bounded, so this passes only when the server does not answer.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Gives up a connection on which the server did not answer in time: nobody else shall wait for it.
pub(super) fn given_up(client: deadpool_postgres::Object) -> Unavailable {
    drop(deadpool_postgres::Object::take(client));
    Unavailable::Failed("the database did not answer in time".to_owned())
}

/// A parameter with its type: statements are not prepared, so nobody asks the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A parameter of type `bigint`.
pub(super) fn int8<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::INT8)
}

/// A parameter of type `bigint[]`.
pub(super) fn int8s<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::INT8_ARRAY)
}

/// A parameter of type `integer`.
pub(super) fn int4<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::INT4)
}

/// A parameter of type `integer[]`.
pub(super) fn int4s<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::INT4_ARRAY)
}

/// A parameter of type `boolean`.
pub(super) fn boolean<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::BOOL)
}

/// A parameter of type `text`.
pub(super) fn text<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::TEXT)
}

/// A parameter of type `text[]`.
pub(super) fn texts<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::TEXT_ARRAY)
}

/// A parameter of type `bytea`.
pub(super) fn bytea<'a>(value: &'a (impl ToSql + Sync)) -> Parameter<'a> {
    (value, Type::BYTEA)
}

/// An open transaction.
pub(super) struct Transaction<'a> {
    client: &'a Client,
    node: &'a Node,
    /// The applications whose routes it changes.
    rerouted: Mutex<Vec<Key>>,
    /// Whether it has written something, as far as is seen here.
    wrote: AtomicBool,
    /// Where the keys were before it took those of messages, if it did.
    held: OnceLock<Held>,
}

impl Transaction<'_> {
    /// The rows of a query.
    pub(super) async fn rows(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.client.query_typed(sql, parameters).await
    }

    /// The only row of a query, or none.
    pub(super) async fn row(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }

    /// The answer of a query for one truth value.
    pub(super) async fn holds(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<bool, Error> {
        Ok(self.row(sql, parameters).await?.is_some_and(|row| row.get(0)))
    }

    /// Runs a statement; the number of rows that it changed.
    pub(super) async fn execute(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Error> {
        let changed = self.client.execute_typed(sql, parameters).await?;
        self.wrote.fetch_or(changed > 0, Ordering::Relaxed);
        Ok(changed)
    }

    /// The next key, for anything but a message.
    pub(super) fn next_key(&self, now: Timestamp) -> Key {
        self.node.next_key(now)
    }

    /// Where keys of messages come from: their place is held until it has ended.
    pub(super) fn held(&self) -> &Held {
        self.held.get_or_init(|| self.node.keys.hold())
    }

    /// The epoch of this process.
    pub(super) fn epoch(&self) -> i64 {
        self.node.epoch
    }

    /// What this process knows beside the database.
    pub(super) fn node(&self) -> &Node {
        self.node
    }

    /// The connection, for statements that are built elsewhere.
    pub(super) fn client(&self) -> &Client {
        self.wrote.store(true, Ordering::Relaxed);
        self.client
    }

    /// Notes how large the database is.
    pub(super) async fn measure(&self) -> Result<(), Error> {
        let row = self.row("SELECT pg_database_size(current_database())", &[]).await?;
        let bytes = row.map_or(0, |row| row.get::<_, i64>(0));
        self.node.size.store(bytes as u64, Ordering::Relaxed);
        Ok(())
    }

    /// To be called when an endpoint of the application, or the application itself, changes: what
    /// is remembered of it is forgotten with the commit.
    pub(super) fn forget_routes(&self, application: Key) {
        self.rerouted.lock().unwrap_or_else(PoisonError::into_inner).push(application);
    }
}

/// Runs an operation in a transaction of its own.
pub(super) async fn run<T, E, F>(node: &Node, operation: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Stop<E>>> + Send,
    E: From<Unavailable>,
{
    if node.is_closed() {
        return Err(Unavailable::Closed.into());
    }
    let borrowed = Borrowed(Some(node.health.minded(node.pool.get()).await??));
    let Some(client) = &borrowed.0 else { return Err(Unavailable::Closed.into()) };
    let stop = match node.health.minded(attempt(node, client, operation)).await? {
        Ok(value) => {
            borrowed.give_back();
            return Ok(value);
        }
        Err(stop) => stop,
    };
    let rolled_back = node.health.minded(client.batch_execute("ROLLBACK")).await;
    if matches!(rolled_back, Ok(Ok(()))) {
        borrowed.give_back();
    }
    Err(stop.told())
}

/// A connection with a transaction. Unless that is over, nobody may go on with it: neither when the
/// server does not answer any more, nor after a panic.
struct Borrowed(Option<deadpool_postgres::Object>);

impl Borrowed {
    /// To be called when no transaction is open.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.take().map(deadpool_postgres::Object::take);
    }
}

/// The beginning of something that is timed.
pub(super) fn begun() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "it is measured, nothing is decided by it")]
    Instant::now()
}

async fn attempt<T, E, F>(node: &Node, client: &Client, operation: F) -> Result<T, Stop<E>>
where
    F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Stop<E>>> + Send,
{
    let begun = begun();
    client.batch_execute(BEGIN).await?;
    let (rerouted, wrote) = (Mutex::default(), AtomicBool::new(false));
    let transaction = Transaction { client, node, rerouted, wrote, held: OnceLock::new() };
    let value = operation(&transaction).await?;
    let commit = client.batch_execute("COMMIT");
    match transaction.held.get() {
        Some(held) => held.settle(commit).await?,
        None => commit.await?,
    }
    if transaction.wrote.into_inner() {
        (node.observer)(Commit { writes: 1, took: begun.elapsed() });
    }
    let rerouted = transaction.rerouted.into_inner().unwrap_or_default();
    if !rerouted.is_empty() {
        let mut routes = node.routes();
        rerouted.into_iter().for_each(|application| routes.forget(application));
    }
    Ok(value)
}
