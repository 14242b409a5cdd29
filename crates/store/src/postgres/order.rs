//! Orders that somebody lets go on, or gives up; see [`crate::ordering`].
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
    ordering::{self, RELEASED, Turned},
};

/// Deletes the delivery that blocks an order; the next one goes.
pub(super) async fn skip(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    ordering_key: &str,
    message: Option<MessageId>,
) -> Result<Skipped, Stop<WriteError>> {
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let endpoint =
        endpoint::key(transaction, scope, reference).await?.ok_or_else(|| missing("endpoint"))?;
    hold(transaction, &vec![endpoint]).await?;
    let shard = rows::shard(scope);
    let named = message.map(MessageId::key);
    let parameters = [int4(&shard), int8(&endpoint), text(&ordering_key), int8(&named)];
    let row = transaction.row(include_str!("queries/order_skip.sql"), &parameters).await?;
    let row = row.ok_or_else(|| missing("blocked delivery"))?;
    let (delivery, message): (Key, Key) = (row.get(0), row.get(1));
    let parameters = [int4(&shard), int8(&message)];
    let row = transaction.row(include_str!("queries/message_nonce.sql"), &parameters).await?;
    let message = row.map(|row| rows::id(&row, 0, 1)).ok_or_else(|| missing("message"))?;
    Ok(Skipped { endpoint, delivery, message: MessageId(message) })
}

/// What follows for what is pending when an endpoint wants another order, or none. Returns whether more
/// is left to be let go.
pub(super) async fn turn(
    transaction: &Transaction<'_>,
    application: Key,
    endpoint: Key,
    turned: Turned,
) -> Result<bool, Error> {
    if turned == Turned::Same {
        return Ok(false);
    }
    hold(transaction, &vec![endpoint]).await?;
    let shard = rows::shard_of(application);
    let parameters = [int4(&shard), int8(&endpoint)];
    transaction.execute(include_str!("queries/order_unblock.sql"), &parameters).await?;
    match turned {
        Turned::Off => release(transaction, application, endpoint).await,
        Turned::Same | Turned::Unblocked => Ok(false),
    }
}

/// Holds the orders of an endpoint that is going to be changed, if it keeps some: before the endpoint
/// itself, as whoever records an attempt does.
pub(super) async fn hold_kept(transaction: &Transaction<'_>, endpoint: Key) -> Result<(), Error> {
    if ordering::is_kept(wanted(transaction, endpoint).await?.as_deref()) {
        hold(transaction, &vec![endpoint]).await?;
    }
    Ok(())
}

/// Lets deliveries to an endpoint go that keeps no order any more. Returns whether there may be more.
pub(super) async fn release(
    transaction: &Transaction<'_>,
    application: Key,
    endpoint: Key,
) -> Result<bool, Error> {
    hold(transaction, &vec![endpoint]).await?;
    if ordering::is_kept(wanted(transaction, endpoint).await?.as_deref()) {
        return Ok(false);
    }
    let shard = rows::shard_of(application);
    let parameters = [int4(&shard), int8(&endpoint), int8(&RELEASED)];
    let released =
        transaction.execute(include_str!("queries/order_release.sql"), &parameters).await?;
    Ok(released as i64 == RELEASED)
}

/// Whether one without attempts left keeps those after it waiting. It stays so as long as whoever asks
/// holds the endpoint's orders.
pub(super) async fn blocks(transaction: &Transaction<'_>, endpoint: Key) -> Result<bool, Error> {
    Ok(ordering::blocks(wanted(transaction, endpoint).await?.as_deref()))
}

/// How an endpoint wants its deliveries.
async fn wanted(transaction: &Transaction<'_>, endpoint: Key) -> Result<Option<String>, Error> {
    let sql = "SELECT delivery FROM endpoint WHERE key = $1";
    let row = transaction.row(sql, &[int8(&endpoint)]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Holds the orders of these endpoints. All that a transaction needs are held at once, by growing key:
/// so nobody waits in a circle.
pub(super) async fn hold(transaction: &Transaction<'_>, endpoints: &Vec<Key>) -> Result<(), Error> {
    if !endpoints.is_empty() {
        transaction.row("SELECT order_hold($1)", &[int8s(endpoints)]).await?;
    }
    Ok(())
}

/// The endpoints in whose orders the deliveries of these messages are.
pub(super) async fn of(
    transaction: &Transaction<'_>,
    shard: i32,
    messages: &Vec<Key>,
) -> Result<Vec<Key>, Error> {
    let sql = include_str!("queries/order_of_messages.sql");
    let rows = transaction.rows(sql, &[int4(&shard), int8s(messages)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
