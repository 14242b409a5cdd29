//! Orders that somebody lets go on, or gives up; see [`crate::ordering`].

use ringback_domain::{
    id::{Key, MessageId},
    scope::{Reference, Scope},
};
use rusqlite::{Connection, OptionalExtension};

use super::{endpoint, fault::Stop, rows, writer::Transaction};
use crate::{
    Skipped, WriteError,
    ordering::{self, RELEASED, Turned},
};

/// Deletes the delivery that blocks an order; the next one goes.
pub(super) fn skip(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    ordering_key: &str,
    message: Option<MessageId>,
) -> Result<Skipped, Stop<WriteError>> {
    let connection = transaction.connection;
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let endpoint =
        endpoint::key(connection, scope, reference)?.ok_or_else(|| missing("endpoint"))?;
    let skipped: Option<(Key, Key)> = connection
        .prepare_cached(include_str!("queries/order_skip.sql"))?
        .query_row((endpoint, ordering_key, message.map(MessageId::key)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (delivery, message) = skipped.ok_or_else(|| missing("blocked delivery"))?;
    let message = connection
        .prepare_cached(include_str!("queries/message_nonce.sql"))?
        .query_row([message], |row| rows::id(row, 0, 1))?;
    Ok(Skipped { endpoint, delivery, message: MessageId(message) })
}

/// What follows for what is pending when an endpoint wants another order, or none. Returns whether more
/// is left to be let go.
pub(super) fn turn(
    connection: &Connection,
    endpoint: Key,
    turned: Turned,
) -> rusqlite::Result<bool> {
    if turned == Turned::Same {
        return Ok(false);
    }
    connection.prepare_cached(include_str!("queries/order_unblock.sql"))?.execute([endpoint])?;
    if turned == Turned::Off { release(connection, endpoint) } else { Ok(false) }
}

/// Lets deliveries to an endpoint go that keeps no order any more. Returns whether there may be more.
pub(super) fn release(connection: &Connection, endpoint: Key) -> rusqlite::Result<bool> {
    if ordering::is_kept(wanted(connection, endpoint)?.as_deref()) {
        return Ok(false);
    }
    let mut release = connection.prepare_cached(include_str!("queries/order_release.sql"))?;
    Ok(release.execute((endpoint, RELEASED))? as i64 == RELEASED)
}

/// Whether one without attempts left keeps those after it waiting.
pub(super) fn blocks(connection: &Connection, endpoint: Key) -> rusqlite::Result<bool> {
    Ok(ordering::blocks(wanted(connection, endpoint)?.as_deref()))
}

/// How an endpoint wants its deliveries.
fn wanted(connection: &Connection, endpoint: Key) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT delivery FROM endpoint WHERE key = ?1")?;
    select.query_row([endpoint], |row| row.get(0))
}
