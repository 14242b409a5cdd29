//! Reaching the server: address, guards, schema, epoch, and where the keys go on.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, QueueMode, RecyclingMethod, Runtime, Timeouts};
use ringback_domain::{id::Key, shard::SHARDS, time::Timestamp};
use tokio_postgres::{Client, Config};

use super::{Options, migrate, tls};
use crate::Unavailable;

/// The oldest server that is supported, as `server_version_num` counts.
const OLDEST: i32 = 15_00_00;
/// How long connecting may take, and waiting for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address does not say where the database is.
    #[error("the address of the database is wrong: {0}")]
    Address(String),
    /// The server cannot be reached, or refuses.
    #[error("the database cannot be used: {0}")]
    Server(String),
    /// The connection cannot be protected as the address asks.
    #[error("the certificates of the database cannot be checked: {0}")]
    Tls(String),
    /// The server is too old.
    #[error("the server is PostgreSQL {found}; 15 or later is needed")]
    Old {
        /// Its version.
        found: String,
    },
    /// The server could lose what it acknowledged.
    #[error("{setting} is {value} on the server: acknowledged events could be lost; set it to on")]
    Unsafe {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// It holds a part of an installation.
    #[error(
        "an installation is being copied into this database, or the copy did not finish: \
         `ringback migrate sqlite-to-postgres --restart` begins it again"
    )]
    Unfinished,
    /// The schema was written by a later version.
    #[error("the database has schema version {found}; this program knows up to {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The last one that this program knows.
        known: i64,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Threads or sockets are missing.
    #[error("the store cannot run: {0}")]
    Runtime(String),
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> OpenError {
        OpenError::Server(described(&error))
    }
}

/// The error with what it stems from: its own text alone says "db error".
pub(super) fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The connections.
pub(super) struct Pool(deadpool_postgres::Pool);

impl Pool {
    /// A connection that works, as far as can be seen.
    pub(super) async fn get(&self) -> Result<deadpool_postgres::Object, Unavailable> {
        self.0.get().await.map_err(|error| Unavailable::Failed(described(&error)))
    }

    /// Closes what is not in use; whatever is asked for afterwards fails.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// What the store needs to go on where the last process stopped.
pub(super) struct Start {
    pub(super) pool: Pool,
    /// One connection more, to ask whether the server is there.
    pub(super) line: Pool,
    pub(super) epoch: i64,
    pub(super) last_key: Key,
    pub(super) last_attempt: Key,
    /// Bytes of the database.
    pub(super) size: u64,
    /// What the server's clock says.
    pub(super) now: Timestamp,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The process that works on the database from now on.
    Server,
    /// Somebody who changes a few rows beside it.
    Guest,
}

impl Role {
    fn epoch(self) -> &'static str {
        match self {
            Role::Server => include_str!("queries/epoch_next.sql"),
            Role::Guest => include_str!("queries/epoch.sql"),
        }
    }
}

/// Connects, checks the server and brings the schema up to date.
pub(super) async fn reach(dsn: &str, options: &Options) -> Result<Pool, OpenError> {
    // One for each batch under way, and the rest for everything else.
    let pool = pool(dsn, options.connections + 4 * options.writers)?;
    let client = pool.0.get().await.map_err(|error| OpenError::Server(described(&error)))?;
    check(&client).await?;
    migrate::migrate(&client).await?;
    drop(client);
    Ok(pool)
}

/// Connects and finds out where the last process stopped; a server takes the next epoch.
pub(super) async fn start(dsn: &str, options: &Options, role: Role) -> Result<Start, OpenError> {
    let pool = reach(dsn, options).await?;
    let client = pool.get().await?;
    let row = client.query_typed_opt(role.epoch(), &[]).await?.ok_or(OpenError::Unfinished)?;
    let (epoch, known_key, known_attempt): (i64, Key, Key) = (row.get(0), row.get(1), row.get(2));
    let last_key = last(&client, include_str!("queries/last_key.sql"), known_key).await?;
    let last_attempt =
        last(&client, include_str!("queries/last_attempt.sql"), known_attempt).await?;
    let row = client.query_typed_one(include_str!("queries/moment.sql"), &[]).await?;
    let (size, now) = (row.get::<_, i64>(0) as u64, Timestamp(row.get(1)));
    drop(client);
    let line = self::pool(dsn, 1)?;
    Ok(Start { pool, line, epoch, last_key, last_attempt, size, now })
}

fn pool(dsn: &str, connections: usize) -> Result<Pool, OpenError> {
    let (dsn, tls) = tls::Wanted::take(dsn)?;
    let mut config: Config = dsn.parse().map_err(|error| OpenError::Address(described(&error)))?;
    config.ssl_mode(tls.ssl_mode());
    config.connect_timeout(PATIENCE);
    config.keepalives_idle(Duration::from_secs(30));
    // What a network swallowed is given up in this time, not in the quarter of an hour of the system.
    config.tcp_user_timeout(2 * PATIENCE);
    if config.get_application_name().is_none() {
        config.application_name("ringback");
    }
    let recycling_method = RecyclingMethod::Fast;
    let manager =
        Manager::from_config(config, tls.connector()?, ManagerConfig { recycling_method });
    let timeouts =
        Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    deadpool_postgres::Pool::builder(manager)
        // The one used last knows the plans, and so do the caches of its processor.
        .queue_mode(QueueMode::Lifo)
        .max_size(connections)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map(Pool)
        .map_err(|error| OpenError::Runtime(error.to_string()))
}

/// Refuses a server that is too old, or that acknowledges what it could lose.
async fn check(client: &Client) -> Result<(), OpenError> {
    let row = client.query_typed_one(include_str!("queries/settings.sql"), &[]).await?;
    if row.get::<_, i32>(0) < OLDEST {
        return Err(OpenError::Old { found: row.get(1) });
    }
    for (column, setting) in ["fsync", "full_page_writes", "synchronous_commit"].iter().enumerate()
    {
        let value: String = row.get(column + 2);
        if value == "off" {
            return Err(OpenError::Unsafe { setting, value });
        }
    }
    Ok(())
}

/// The greatest key after `known`, in any shard.
async fn last(client: &Client, sql: &str, known: Key) -> Result<Key, OpenError> {
    let shards = SHARDS as i32;
    let parameters = [super::transaction::int8(&known), super::transaction::int4(&shards)];
    let row = client.query_typed_one(sql, &parameters).await?;
    Ok(row.get::<_, Option<Key>>(0).unwrap_or(known).max(known))
}
