//! Opening the database: settings, schema, epoch, and where the keys go on.

use std::path::Path;

use ringback_domain::id::Key;
use rusqlite::{Connection, OpenFlags};

use crate::Unavailable;

/// The steps to the schema that this program reads and writes, the first one first. Each only adds
/// to what is there; one that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("migrations/0002_sources.sql"),
    include_str!("migrations/0003_filters.sql"),
    include_str!("migrations/0004_sign_as.sql"),
    include_str!("migrations/0005_callbacks.sql"),
    include_str!("migrations/0006_oauth.sql"),
    include_str!("migrations/0007_listeners.sql"),
    include_str!("migrations/0008_contracts.sql"),
    include_str!("migrations/0009_consumers.sql"),
];

/// The version of that schema.
pub(super) const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// Bytes of a page of a new database. Measured, interleaved: half as many writes to the log as with
/// SQLite's own 4 KiB take 5 % off the CPU of a message; 16 KiB only write more.
pub(super) const PAGE_BYTES: i64 = 8192;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be used.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The database file.
        path: String,
        /// What the database said.
        reason: String,
    },
    /// The file was written by a later version.
    #[error("{path} has schema version {found}; this program knows up to {SCHEMA_VERSION}")]
    Newer {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Sizes that matter for speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) cache_bytes: u64,
}

/// What the writer needs to go on where the last process stopped.
pub(super) struct Start {
    pub(super) epoch: i64,
    pub(super) last_key: Key,
    pub(super) last_attempt: Key,
}

/// Opens the connection that writes, making or checking the schema.
pub(super) fn writer(path: &Path, sizes: Sizes) -> Result<(Connection, Start), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Open {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut connection = connect(path, sizes, false).map_err(failed)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer { path: path.display().to_string(), found: version });
    }
    let start = prepare(&mut connection, version).map_err(failed)?;
    Ok((connection, start))
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &Path, sizes: Sizes) -> Result<Connection, OpenError> {
    connect(path, sizes, true).map_err(|error| OpenError::Open {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// Opens the connection of the checkpointer.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = connect(path, Sizes { cache_bytes: 64 * 1024 }, false)?;
        // A reader that holds the log is no reason to keep the writer paused.
        connection.busy_timeout(std::time::Duration::from_millis(10))?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| OpenError::Open {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn connect(path: &Path, sizes: Sizes, read_only: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: a commit is synced before it is acknowledged. Checkpoints are the checkpointer's.
    // For a file that is still empty; ignored for any other.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -((sizes.cache_bytes / 1024) as i64))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "query_only", read_only)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, version: i64) -> rusqlite::Result<Start> {
    let transaction = connection.transaction()?;
    // An empty file has version 0.
    for step in STEPS.iter().skip(version as usize) {
        transaction.execute_batch(step)?;
    }
    if version < SCHEMA_VERSION {
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    let epoch: i64 =
        transaction.query_row(include_str!("queries/epoch_next.sql"), [], |row| row.get(0))?;
    let last_key =
        transaction.query_row(include_str!("queries/last_key.sql"), [], |row| row.get(0))?;
    let last_attempt =
        transaction.query_row(include_str!("queries/last_attempt.sql"), [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(Start { epoch, last_key, last_attempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { cache_bytes: 1 << 20 };

    /// What a database is made of, without what it holds.
    fn schema(connection: &Connection) -> Vec<String> {
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let mut select = connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Whatever version a file has, it becomes what a new one is, and keeps what it holds.
    #[test]
    fn files_of_every_version_are_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let (fresh, _) = writer(&directory.path().join("fresh"), SIZES).unwrap();
        for version in 1..STEPS.len() {
            let path = directory.path().join(version.to_string());
            let old = connect(&path, SIZES, false).unwrap();
            STEPS[..version].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.pragma_update(None, "user_version", version as i64).unwrap();
            old.execute_batch(
                "INSERT INTO environment VALUES (7, 'kept', 0);
                 INSERT INTO meta VALUES ('epoch', 41)",
            )
            .unwrap();
            drop(old);
            for epoch in [42, 43] {
                let (connection, start) = writer(&path, SIZES).unwrap();
                let found = connection.pragma_query_value(None, "user_version", |row| row.get(0));
                assert_eq!(found, Ok(SCHEMA_VERSION));
                assert_eq!(schema(&connection), schema(&fresh), "from version {version}");
                assert_eq!((start.epoch, start.last_key), (epoch, 7));
            }
        }
    }
}
