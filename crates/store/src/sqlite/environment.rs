//! Environments, each with its hidden application for operational messages.

use ringback_domain::{application::OPERATIONAL_UID, id::Key, time::Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{rows, writer::Transaction};

/// The name under which people meet the hidden application.
const OPERATIONAL_NAME: &str = "Operational messages";

/// The key of an environment, made if it does not exist, and whether it was made.
pub(super) fn ensure(
    transaction: &mut Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> rusqlite::Result<(Key, bool)> {
    if let Some(key) = key(transaction.connection, name)? {
        return Ok((key, false));
    }
    let key = free_key(transaction, include_str!("queries/environment_exists.sql"), now)?;
    insert(transaction, key, name, now)?;
    Ok((key, true))
}

/// The key of an environment that exists.
pub(super) fn key(connection: &Connection, name: &str) -> rusqlite::Result<Option<Key>> {
    let sql = include_str!("queries/environment_key.sql");
    connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()
}

/// Makes an environment under a key and a name that none has.
pub(super) fn insert(
    transaction: &mut Transaction<'_>,
    key: Key,
    name: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let connection = transaction.connection;
    connection.prepare_cached(include_str!("queries/environment_insert.sql"))?.execute((
        key,
        name,
        now.millis(),
    ))?;
    let hidden = free_key(transaction, include_str!("queries/application_exists.sql"), now)?;
    connection.prepare_cached(include_str!("queries/application_insert_hidden.sql"))?.execute((
        hidden,
        key,
        OPERATIONAL_UID,
        OPERATIONAL_NAME,
        now.millis(),
    ))?;
    Ok(())
}

/// A key that nothing has yet, by the query `taken`: those that callers make have random bits instead
/// of a sequence.
fn free_key(
    transaction: &mut Transaction<'_>,
    taken: &str,
    now: Timestamp,
) -> rusqlite::Result<Key> {
    loop {
        let key = transaction.memory.keys.next(now, 0);
        if !rows::exists(transaction.connection, taken, [key])? {
            return Ok(key);
        }
    }
}

/// Keeps a value under a name unless there is one; returns the one that is kept.
pub(super) fn keep_first(
    transaction: &Transaction<'_>,
    name: &str,
    value: &[u8],
) -> rusqlite::Result<Vec<u8>> {
    let connection = transaction.connection;
    connection
        .prepare_cached(include_str!("queries/meta_keep_first.sql"))?
        .execute((name, value))?;
    connection.prepare_cached(include_str!("queries/meta.sql"))?.query_row([name], |row| row.get(0))
}
