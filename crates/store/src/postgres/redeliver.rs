//! Trying a message again at once, wherever it has not arrived.

use std::collections::HashMap;

use ringback_domain::{
    endpoint::State,
    id::{Key, MessageId},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::Error;

use super::{
    application, attempt, due, message, rows,
    transaction::{Transaction, int4, int8, int8s},
};
use crate::Due;

/// Makes what is pending due now, and plans one extra attempt where all were made.
pub(super) async fn redeliver(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: MessageId,
    now: Timestamp,
) -> Result<Vec<Due>, Error> {
    let Some(message) = message::key(transaction, scope, &Reference::Id(message.0)).await? else {
        return Ok(Vec::new());
    };
    let shard = rows::shard(scope);
    // Most of what is repeated has arrived: that takes no lock.
    if undelivered(transaction, shard, message).await?.is_empty()
        || !message::has_content(transaction, scope, message).await?
    {
        return Ok(Vec::new());
    }
    // Of two repetitions at the same time, the second finds what the first one planned.
    application::lock(transaction, scope).await?;
    let mut open = undelivered(transaction, shard, message).await?;
    let keys: Vec<Key> = open.keys().copied().collect();
    let enabled = State::Enabled.number() as i32;
    let sql = include_str!("queries/redeliver_attempted.sql");
    let attempted = transaction.rows(sql, &[int8s(&keys), int4(&enabled)]).await?;
    let (mut pending, mut planned, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
    for row in attempted {
        let endpoint: Key = row.get(0);
        let deliveries = open.remove(&endpoint).unwrap_or_default();
        if deliveries.is_empty() {
            planned.push(transaction.next_key(now));
            endpoints.push(endpoint);
        }
        pending.extend(deliveries);
    }
    let (epoch, due_at) = (transaction.epoch(), now.millis());
    let sql = include_str!("queries/redeliver_now.sql");
    let moved = transaction.rows(sql, &[int4(&shard), int8s(&pending), int8(&due_at)]).await?;
    let parameters = [
        int4(&shard),
        int8s(&planned),
        int8s(&endpoints),
        int8(&message),
        int8(&scope.environment),
        int8(&scope.application),
        int8(&epoch),
        int8(&due_at),
    ];
    transaction.execute(include_str!("queries/redeliver_insert.sql"), &parameters).await?;
    planned.extend(moved.iter().map(|row| row.get::<_, Key>(0)));
    due::by_keys(transaction, scope, &planned).await
}

/// The endpoints that a message went to and that have not had it, each with what is pending there.
async fn undelivered(
    transaction: &Transaction<'_>,
    shard: i32,
    message: Key,
) -> Result<HashMap<Key, Vec<Key>>, Error> {
    let earliest = message - attempt::HOUR;
    let parameters = [int4(&shard), int8(&message), int8(&earliest)];
    let tried = transaction.rows(include_str!("queries/redeliver_tried.sql"), &parameters).await?;
    let delivered: HashMap<Key, bool> = tried.iter().map(|row| (row.get(0), row.get(1))).collect();
    let parameters = [int4(&shard), int8(&message)];
    let sql = include_str!("queries/redeliver_pending.sql");
    let mut open: HashMap<Key, Vec<Key>> =
        delivered.keys().map(|endpoint| (*endpoint, Vec::new())).collect();
    for row in transaction.rows(sql, &parameters).await? {
        open.entry(row.get(1)).or_default().push(row.get(0));
    }
    open.retain(|endpoint, _| !delivered.get(endpoint).copied().unwrap_or_default());
    Ok(open)
}
