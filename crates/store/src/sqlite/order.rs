//! Orders that somebody lets go on, or gives up; see [`ordering`](crate::ordering).

use ringback_domain::{
    id::{Key, MessageId},
    scope::{Reference, Scope},
};
use rusqlite::{Connection, OptionalExtension};

use super::{endpoint, fault::Stop, rows, writer::Transaction};
use crate::{
    Skipped, WriteError,
    ordering::{RELEASED, Turned},
};

/// Deletes the delivery that blocks an order; the next one goes.
pub(super) fn skip(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    ordering_key: &str,
) -> Result<Skipped, Stop<WriteError>> {
    let connection = transaction.connection;
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let endpoint =
        endpoint::key(connection, scope, reference)?.ok_or_else(|| missing("endpoint"))?;
    let skipped: Option<(Key, Key)> = connection
        .prepare_cached(include_str!("queries/order_skip.sql"))?
        .query_row((endpoint, ordering_key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (delivery, message) = skipped.ok_or_else(|| missing("blocked delivery"))?;
    let message = connection
        .prepare_cached(include_str!("queries/message_nonce.sql"))?
        .query_row([message], |row| rows::id(row, 0, 1))?;
    Ok(Skipped { endpoint, delivery, message: MessageId(message) })
}

/// What follows for what is pending when an endpoint wants another order, or none.
pub(super) fn turn(connection: &Connection, endpoint: Key, turned: Turned) -> rusqlite::Result<()> {
    if turned == Turned::Same {
        return Ok(());
    }
    connection.prepare_cached(include_str!("queries/order_unblock.sql"))?.execute([endpoint])?;
    if turned == Turned::Off {
        connection
            .prepare_cached(include_str!("queries/order_release.sql"))?
            .execute((endpoint, RELEASED))?;
    }
    Ok(())
}
