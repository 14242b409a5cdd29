//! Reading the due-index: what a lane sends next, and which lanes have anything to send.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    attempt::Trigger,
    endpoint::State,
    id::{Id, Key, MessageId},
    scope::Scope,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::rows;
use crate::{Backlog, Content, Due, DuePage, DueQuery, Waiting, ordering};

/// Due deliveries of one endpoint, oldest first.
pub(super) fn due(connection: &Connection, query: DueQuery) -> rusqlite::Result<DuePage> {
    let mut select = connection.prepare_cached(include_str!("queries/due.sql"))?;
    let until = query.until.millis();
    let rows = select.query_map((query.endpoint, until, query.limit as i64 + 1), one)?;
    let (mut due, mut bytes, mut more) = (Vec::new(), 0, false);
    for row in rows {
        if due.len() == query.limit || bytes > query.bytes {
            more = true;
            break;
        }
        let one = row?;
        bytes += one.content.payload.len();
        due.push(one);
    }
    let mut next = connection.prepare_cached(include_str!("queries/due_next.sql"))?;
    let next_due: Option<i64> = next.query_row((query.endpoint, until), |row| row.get(0))?;
    Ok(DuePage { due, more, next_due: next_due.and_then(ordering::by_itself) })
}

/// One delivery by its key.
pub(super) fn one_due(connection: &Connection, key: Key) -> rusqlite::Result<Option<Due>> {
    let mut select = connection.prepare_cached(include_str!("queries/due_by_key.sql"))?;
    select.query_row([key], one).optional()
}

fn one(row: &Row<'_>) -> rusqlite::Result<Due> {
    let scope = Scope { environment: row.get(2)?, application: row.get(3)? };
    let nonce: i64 = row.get(8)?;
    let id = MessageId(Id { key: row.get(1)?, shard: 0, nonce: nonce as u64 });
    let payload: Option<Vec<u8>> = row.get(11)?;
    Ok(Due {
        scope,
        delivery: row.get(0)?,
        endpoint: row.get(4)?,
        attempts: row.get(5)?,
        trigger: if row.get::<_, i64>(6)? == 0 { Trigger::Scheduled } else { Trigger::Manual },
        due_at: Timestamp(row.get(7)?),
        sequence: row.get(15)?,
        fixed: row.get::<_, Option<Vec<u8>>>(16)?.map(Bytes::from),
        content: Arc::new(Content {
            id,
            scope,
            event_type: row.get::<_, String>(13)?.into(),
            event_id: row.get(9)?,
            content_type: row.get(10)?,
            payload: Bytes::from(payload.unwrap_or_default()),
            headers: rows::optional::<Vec<_>>(row, 12)?.map(Arc::from),
            version: row.get(14)?,
        }),
    })
}

/// Endpoints with pending deliveries: jumps from one to the next through the index, so the number
/// of deliveries does not matter.
pub(super) fn waiting(
    connection: &Connection,
    after: Key,
    limit: usize,
) -> rusqlite::Result<Vec<Waiting>> {
    let mut next_endpoint = connection.prepare_cached(include_str!("queries/due_endpoint.sql"))?;
    let mut next_due = connection.prepare_cached(include_str!("queries/due_next.sql"))?;
    let mut found = Vec::new();
    let mut last = after;
    while found.len() < limit {
        let endpoint: Option<Key> = next_endpoint.query_row([last], |row| row.get(0))?;
        let Some(endpoint) = endpoint else { break };
        let due: Option<i64> = next_due.query_row((endpoint, i64::MIN), |row| row.get(0))?;
        let next_due = due.and_then(ordering::by_itself);
        found.extend(next_due.map(|next_due| Waiting { endpoint, next_due }));
        last = endpoint;
    }
    Ok(found)
}

/// Counts what is pending and finds the oldest that attempts are made for.
pub(super) fn backlog(connection: &Connection) -> rusqlite::Result<Backlog> {
    let mut select = connection.prepare_cached(include_str!("queries/backlog.sql"))?;
    select.query_row([State::Enabled.number()], |row| {
        let oldest: Option<i64> = row.get(1)?;
        let pending: i64 = row.get(0)?;
        Ok(Backlog { pending: pending as u64, oldest_due: oldest.map(Timestamp) })
    })
}
