//! Environments, each with its hidden application for operational messages.

use ringback_domain::{application::OPERATIONAL_UID, id::Key, time::Timestamp};
use rusqlite::OptionalExtension;

use super::{rows, writer::Transaction};

/// The name under which people meet the hidden application.
const OPERATIONAL_NAME: &str = "Operational messages";

/// The key of an environment, made if it does not exist.
pub(super) fn ensure(
    transaction: &mut Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> rusqlite::Result<Key> {
    let connection = transaction.connection;
    let known: Option<Key> = connection
        .prepare_cached(include_str!("queries/environment_key.sql"))?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(key) = known {
        return Ok(key);
    }
    let key = transaction.memory.keys.next(now, 0);
    connection.prepare_cached(include_str!("queries/environment_insert.sql"))?.execute((
        key,
        name,
        now.millis(),
    ))?;
    let hidden = free_key(transaction, now)?;
    connection.prepare_cached(include_str!("queries/application_insert_hidden.sql"))?.execute((
        hidden,
        key,
        OPERATIONAL_UID,
        OPERATIONAL_NAME,
        now.millis(),
    ))?;
    Ok(key)
}

/// A key that no application has: theirs have random bits instead of a sequence.
fn free_key(transaction: &mut Transaction<'_>, now: Timestamp) -> rusqlite::Result<Key> {
    let taken = include_str!("queries/application_exists.sql");
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
