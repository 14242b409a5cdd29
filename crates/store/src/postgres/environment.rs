//! Environments, each with its hidden application for operational messages.

use ringback_domain::{application::OPERATIONAL_UID, id::Key, time::Timestamp};
use tokio_postgres::Error;

use super::{
    rows,
    transaction::{Transaction, bytea, int4, int8, text},
};

/// The name under which people meet the hidden application.
const OPERATIONAL_NAME: &str = "Operational messages";

/// The key of an environment, made if it does not exist, and whether it was made.
pub(super) async fn ensure(
    transaction: &Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> Result<(Key, bool), Error> {
    loop {
        let sql = include_str!("queries/environment_key.sql");
        if let Some(row) = transaction.row(sql, &[text(&name)]).await? {
            return Ok((row.get(0), false));
        }
        let key = transaction.next_key(now);
        if insert(transaction, key, name, now).await? {
            return Ok((key, true));
        }
        // Another process was quicker, with the name or with the key: looking again shows which.
    }
}

/// Makes an environment; false if its key or its name is taken.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    key: Key,
    name: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let created_at = now.millis();
    let sql = include_str!("queries/environment_insert.sql");
    let parameters = [int8(&key), text(&name), int8(&created_at)];
    if transaction.execute(sql, &parameters).await? == 0 {
        return Ok(false);
    }
    insert_hidden(transaction, key, now).await?;
    Ok(true)
}

/// The hidden application, under a key that no application has: theirs have random bits instead of
/// a sequence.
async fn insert_hidden(
    transaction: &Transaction<'_>,
    environment: Key,
    now: Timestamp,
) -> Result<(), Error> {
    let created_at = now.millis();
    loop {
        let key = transaction.next_key(now);
        let shard = rows::shard_of(key);
        let parameters = [
            int8(&key),
            int4(&shard),
            int8(&environment),
            text(&OPERATIONAL_UID),
            text(&OPERATIONAL_NAME),
            int8(&created_at),
        ];
        let sql = include_str!("queries/application_insert_hidden.sql");
        if transaction.execute(sql, &parameters).await? == 1 {
            return Ok(());
        }
    }
}

/// Keeps a value under a name unless there is one; returns the one that is kept.
pub(super) async fn keep_first(
    transaction: &Transaction<'_>,
    name: &str,
    value: &[u8],
) -> Result<Vec<u8>, Error> {
    let sql = include_str!("queries/meta_keep_first.sql");
    transaction.execute(sql, &[text(&name), bytea(&value)]).await?;
    let row = transaction.row(include_str!("queries/meta.sql"), &[text(&name)]).await?;
    Ok(row.map(|row| row.get(0)).unwrap_or_default())
}
