//! Reading the due-index: what a lane sends next, and which lanes have anything to send.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    attempt::Trigger,
    endpoint::State,
    id::{Key, MessageId},
    scope::Scope,
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    rows,
    transaction::{Transaction, int4, int8, int8s},
};
use crate::{Backlog, Content, Due, DuePage, DueQuery, Waiting, ordering};

/// Due deliveries of one endpoint, oldest first.
pub(super) async fn due(transaction: &Transaction<'_>, query: DueQuery) -> Result<DuePage, Error> {
    let until = query.until.millis();
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX - 1) + 1;
    let bytes = i64::try_from(query.bytes).unwrap_or(i64::MAX);
    let parameters = [int8(&query.endpoint), int8(&until), int8(&limit), int8(&bytes)];
    // The server stops at `bytes`, so that a page of large messages does not fill the memory.
    let rows = transaction.rows(include_str!("queries/due.sql"), &parameters).await?;
    let mut due: Vec<Due> = rows.iter().map(one).collect();
    let whole: usize = due.iter().map(|due| due.content.payload.len()).sum();
    let more = due.len() > query.limit || whole > query.bytes;
    due.truncate(query.limit);
    let parameters = [int8(&query.endpoint), int8(&until)];
    let next = transaction.row(include_str!("queries/due_next.sql"), &parameters).await?;
    let next_due: Option<i64> = next.and_then(|row| row.get(0));
    Ok(DuePage { due, more, next_due: next_due.and_then(ordering::by_itself) })
}

/// One delivery by its key.
pub(super) async fn one_due(
    transaction: &Transaction<'_>,
    scope: Scope,
    key: Key,
) -> Result<Option<Due>, Error> {
    Ok(by_keys(transaction, scope, &vec![key]).await?.pop())
}

/// Deliveries by their keys.
pub(super) async fn by_keys(
    transaction: &Transaction<'_>,
    scope: Scope,
    keys: &Vec<Key>,
) -> Result<Vec<Due>, Error> {
    let shard = rows::shard(scope);
    let sql = include_str!("queries/due_by_keys.sql");
    let rows = transaction.rows(sql, &[int4(&shard), int8s(keys)]).await?;
    Ok(rows.iter().map(one).collect())
}

fn one(row: &Row) -> Due {
    let scope = Scope { environment: row.get(2), application: row.get(3) };
    let payload: Option<Vec<u8>> = row.get(11);
    Due {
        scope,
        delivery: row.get(0),
        endpoint: row.get(4),
        attempts: row.get::<_, i32>(5) as u32,
        trigger: if row.get::<_, i16>(6) == 0 { Trigger::Scheduled } else { Trigger::Manual },
        due_at: Timestamp(row.get(7)),
        sequence: row.get(15),
        fixed: row.get::<_, Option<Vec<u8>>>(16).map(Bytes::from),
        content: Arc::new(Content {
            id: MessageId(rows::id(row, 1, 8)),
            scope,
            event_type: row.get::<_, &str>(13).into(),
            event_id: row.get(9),
            content_type: row.get(10),
            payload: Bytes::from(payload.unwrap_or_default()),
            headers: rows::headers(row, 12).map(Arc::from),
            version: rows::version(row, 14),
        }),
    }
}

/// Endpoints with pending deliveries, by shard and key.
pub(super) async fn waiting(
    transaction: &Transaction<'_>,
    after: Key,
    limit: usize,
) -> Result<Vec<Waiting>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = include_str!("queries/waiting.sql");
    let rows = transaction.rows(sql, &[int8(&after), int8(&limit)]).await?;
    let one = |row: &Row| Waiting { endpoint: row.get(0), next_due: Timestamp(row.get(1)) };
    Ok(rows.iter().map(one).collect())
}

/// Counts what is pending and finds the oldest that attempts are made for.
pub(super) async fn backlog(transaction: &Transaction<'_>) -> Result<Backlog, Error> {
    let enabled = State::Enabled.number();
    let row = transaction.row(include_str!("queries/backlog.sql"), &[int8(&enabled)]).await?;
    Ok(row.map_or_else(Backlog::default, |row| Backlog {
        pending: row.get::<_, i64>(0) as u64,
        oldest_due: row.get::<_, Option<i64>>(1).map(Timestamp),
    }))
}
