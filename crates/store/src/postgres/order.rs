//! Orders that somebody lets go on, or gives up; see [`ordering`](crate::ordering).
//!
//! Whoever deletes what may be in an order holds the rows of its endpoint first (`order_hold` in the
//! schema): so all wait for each other in the same order.

use ringback_domain::{
    id::{Key, MessageId},
    scope::{Reference, Scope},
};
use tokio_postgres::Error;

use super::{
    endpoint,
    fault::Stop,
    rows,
    transaction::{Transaction, int4, int8, int8s, text},
};
use crate::{
    Skipped, WriteError,
    ordering::{RELEASED, Turned},
};

/// Deletes the delivery that blocks an order; the next one goes.
pub(super) async fn skip(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    ordering_key: &str,
) -> Result<Skipped, Stop<WriteError>> {
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let endpoint =
        endpoint::key(transaction, scope, reference).await?.ok_or_else(|| missing("endpoint"))?;
    hold(transaction, endpoint).await?;
    let shard = rows::shard(scope);
    let parameters = [int4(&shard), int8(&endpoint), text(&ordering_key)];
    let row = transaction.row(include_str!("queries/order_skip.sql"), &parameters).await?;
    let row = row.ok_or_else(|| missing("blocked delivery"))?;
    let (delivery, message): (Key, Key) = (row.get(0), row.get(1));
    let parameters = [int4(&shard), int8(&message)];
    let row = transaction.row(include_str!("queries/message_nonce.sql"), &parameters).await?;
    let message = row.map(|row| rows::id(&row, 0, 1)).ok_or_else(|| missing("message"))?;
    Ok(Skipped { endpoint, delivery, message: MessageId(message) })
}

/// What follows for what is pending when an endpoint wants another order, or none.
pub(super) async fn turn(
    transaction: &Transaction<'_>,
    application: Key,
    endpoint: Key,
    turned: Turned,
) -> Result<(), Error> {
    if turned == Turned::Same {
        return Ok(());
    }
    hold(transaction, endpoint).await?;
    let shard = rows::shard_of(application);
    let parameters = [int4(&shard), int8(&endpoint)];
    transaction.execute(include_str!("queries/order_unblock.sql"), &parameters).await?;
    if turned == Turned::Off {
        let parameters = [int4(&shard), int8(&endpoint), int8(&RELEASED)];
        transaction.execute(include_str!("queries/order_release.sql"), &parameters).await?;
    }
    Ok(())
}

/// Holds an endpoint's orders.
async fn hold(transaction: &Transaction<'_>, endpoint: Key) -> Result<(), Error> {
    transaction.row("SELECT order_hold(ARRAY[$1::int8])", &[int8(&endpoint)]).await?;
    Ok(())
}

/// Holds the orders that the deliveries of these messages are in.
pub(super) async fn hold_of(
    transaction: &Transaction<'_>,
    shard: i32,
    messages: &Vec<Key>,
) -> Result<(), Error> {
    let sql = include_str!("queries/order_hold_messages.sql");
    transaction.row(sql, &[int4(&shard), int8s(messages)]).await?;
    Ok(())
}
