//! Deleting what is no longer needed, a bounded amount at a time.
//!
//! A reader looks for it, so that the writer's transaction only holds what is deleted; there, every
//! condition is checked once more. Rows expire roughly in the order of their keys, but not exactly:
//! each round looks at the oldest rows and at one further stretch of the table, so that nothing
//! waits for ever behind rows that stay.

use ringback_domain::{id::Key, time::Timestamp};
use rusqlite::Connection;

use super::{consumer, listener, request, writer::Transaction};
use crate::REQUESTS_KEPT;

/// The most rows of one table that a round looks at in one place: deleting them takes the writer a
/// few milliseconds.
const BOUND: usize = 250;

/// The most sources whose requests a round looks at.
const SOURCES: usize = 250;
/// The most requests of a source that a round looks at: more than what the last one left of both
/// kinds.
const LOOK: usize = 3 * REQUESTS_KEPT;

/// How far the rounds have come through the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    messages: Key,
    claims: Key,
    /// The source whose requests were looked at last.
    source: Key,
}

/// What a round found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Deleted endpoints with pending deliveries.
    canceled: Vec<Key>,
    /// Messages that expired; some may have pending deliveries.
    messages: Vec<Key>,
    /// Claims that expired.
    claims: Vec<Key>,
    /// Requests that did not become messages, and expired or are too many.
    requests: Vec<Key>,
    /// Where the next round goes on.
    pub(super) next: Progress,
}

/// Looks for what can be deleted.
pub(super) fn find(
    connection: &Connection,
    progress: Progress,
    now: Timestamp,
) -> rusqlite::Result<Found> {
    let mut canceled = connection.prepare_cached(include_str!("queries/sweep_canceled.sql"))?;
    let canceled =
        canceled.query_map([BOUND as i64], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let (messages, next_messages) =
        expired(connection, include_str!("queries/sweep_messages.sql"), progress.messages, now)?;
    let (claims, next_claims) =
        expired(connection, include_str!("queries/sweep_claims.sql"), progress.claims, now)?;
    let (requests, source) = requests(connection, progress.source, now)?;
    let next = Progress { messages: next_messages, claims: next_claims, source };
    Ok(Found { canceled, messages, claims, requests, next })
}

/// Deletes what was found and may still be deleted. Returns whether there is more.
pub(super) fn delete(
    transaction: &Transaction<'_>,
    found: &Found,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let connection = transaction.connection;
    let canceled = cancel(connection, &found.canceled)?;
    let messages = delete_messages(connection, &found.messages, now)?;
    let mut claim = connection.prepare_cached(include_str!("queries/claim_delete.sql"))?;
    let mut claims = 0;
    for key in &found.claims {
        claims += claim.execute((key, now.millis()))?;
    }
    let mut requests = 0;
    for key in &found.requests {
        requests += usize::from(request::delete(connection, *key)?);
    }
    let mut token = connection.prepare_cached(include_str!("queries/sweep_tokens.sql"))?;
    let tokens = token.execute((now.millis(), BOUND as i64))?;
    let listeners = listener::sweep(connection, now, BOUND)?;
    let consumers = consumer::sweep(connection, now, BOUND)?;
    // A round that filled a bound left something behind; one that deleted nothing ends it.
    let deleted = [canceled, messages, claims, requests, tokens, listeners, consumers];
    Ok(deleted.iter().any(|deleted| *deleted >= BOUND))
}

/// The expired rows among the oldest, and among those after `after`; and where to go on.
fn expired(
    connection: &Connection,
    sql: &str,
    after: Key,
    now: Timestamp,
) -> rusqlite::Result<(Vec<Key>, Key)> {
    let (mut keys, oldest) = stretch(connection, sql, 0, now)?;
    let Some(oldest) = oldest else { return Ok((keys, 0)) };
    let (further, last) = stretch(connection, sql, after.max(oldest), now)?;
    keys.extend(further);
    Ok((keys, last.unwrap_or(0)))
}

/// The expired rows of one stretch, and its last row; none if it was the table's end.
fn stretch(
    connection: &Connection,
    sql: &str,
    after: Key,
    now: Timestamp,
) -> rusqlite::Result<(Vec<Key>, Option<Key>)> {
    let mut select = connection.prepare_cached(sql)?;
    let rows: Vec<(Key, bool)> = select
        .query_map((after, now.millis(), BOUND as i64), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let last = rows.last().map(|(key, _)| *key).filter(|_| rows.len() == BOUND);
    let expired = rows.into_iter().filter(|(_, expired)| *expired).map(|(key, _)| key).collect();
    Ok((expired, last))
}

/// Requests that may go, source by source in a circle that begins after `after`; and the source
/// that was looked at last.
fn requests(
    connection: &Connection,
    after: Key,
    now: Timestamp,
) -> rusqlite::Result<(Vec<Key>, Key)> {
    let mut expired = connection.prepare_cached(include_str!("queries/requests_expired.sql"))?;
    let (mut keys, mut last) = (Vec::new(), after);
    for source in sources(connection, after)? {
        let room = BOUND - keys.len();
        for key in
            expired.query_map((source, now.millis(), room as i64, LOOK as i64), |row| row.get(0))?
        {
            keys.push(key?);
        }
        keys.extend(request::surplus(connection, source, BOUND - keys.len())?);
        last = source;
        if keys.len() >= BOUND {
            break;
        }
    }
    // What is both expired and too much.
    keys.sort_unstable();
    keys.dedup();
    Ok((keys, last))
}

/// The sources with requests that did not become messages, those after `after` first.
fn sources(connection: &Connection, after: Key) -> rusqlite::Result<Vec<Key>> {
    let mut select = connection.prepare_cached(include_str!("queries/sweep_sources.sql"))?;
    let mut from = |key: Key, limit: usize| {
        let found = select.query_map((key, limit as i64), |row| row.get(0))?;
        found.collect::<rusqlite::Result<Vec<Key>>>()
    };
    let mut sources = from(after, SOURCES)?;
    let others = from(0, SOURCES - sources.len())?;
    sources.extend(others.into_iter().take_while(|source| *source <= after));
    Ok(sources)
}

fn cancel(connection: &Connection, endpoints: &[Key]) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(include_str!("queries/sweep_cancel.sql"))?;
    let mut canceled = 0;
    for endpoint in endpoints {
        canceled += delete.execute((endpoint, (BOUND - canceled) as i64))?;
        if canceled >= BOUND {
            break;
        }
    }
    Ok(canceled)
}

fn delete_messages(
    connection: &Connection,
    messages: &[Key],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(include_str!("queries/message_delete.sql"))?;
    let mut attempts = connection.prepare_cached(include_str!("queries/attempts_delete.sql"))?;
    let mut deleted = 0;
    for key in messages {
        if delete.execute((key, now.millis()))? == 1 {
            attempts.execute([key])?;
            request::delete_of(connection, *key)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
