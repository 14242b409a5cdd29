//! Why a message went where it went, for every endpoint of its application.
//!
//! The verdict is not stored: it follows from the endpoint's revision with the greatest key below
//! the message's, by the same rule that decided when the message was appended.

use std::collections::HashMap;

use ringback_domain::{
    id::Key,
    message::Message,
    route::{Filter, Verdict},
    scope::{Reference, Scope},
};
use rusqlite::{Connection, Row};

use super::{attempt, endpoint, fault::Stop, message, rows};
use crate::{Explained, Explanation, Pending, Rank, ReadError};

/// How far the deliveries of one endpoint are.
struct Progress {
    attempts: u32,
    last: Key,
    delivered: bool,
}

/// One line per endpoint that the application has, or had when the message was accepted.
pub(super) fn explain(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<Explanation, Stop<ReadError>> {
    // One snapshot for all the reads.
    let snapshot = connection.unchecked_transaction()?;
    let message = message::get(&snapshot, scope, reference, false)?;
    let key = message.id.key();
    let pending = pending(&snapshot, key)?;
    let progress = progress(&snapshot, key)?;
    let mut endpoints = lines(&snapshot, scope, &message)?;
    for line in &mut endpoints {
        let endpoint = line.endpoint.id.key();
        line.pending = pending.get(&endpoint).copied();
        let Some(progress) = progress.get(&endpoint) else { continue };
        line.attempts = progress.attempts;
        line.delivered = progress.delivered;
        line.last = attempt::by_key(&snapshot, scope, key, progress.last)?;
    }
    Ok(Explanation { message, endpoints })
}

fn lines(
    connection: &Connection,
    scope: Scope,
    message: &Message,
) -> rusqlite::Result<Vec<Explained>> {
    let mut select = connection.prepare_cached(include_str!("queries/explain_endpoints.sql"))?;
    let rows = select.query_map((scope.application, message.id.key()), |row| {
        Ok(Explained {
            endpoint: endpoint::from_row(row)?,
            verdict: verdict(row, message)?,
            pending: None,
            attempts: 0,
            last: None,
            delivered: false,
        })
    })?;
    rows.collect()
}

fn verdict(row: &Row<'_>, message: &Message) -> rusqlite::Result<Verdict> {
    if row.get::<_, Option<i64>>(20)?.is_none() {
        return Ok(Verdict::Later);
    }
    let filter = Filter {
        event_types: rows::optional(row, 18)?,
        channels: rows::optional(row, 19)?,
        state: rows::state(row, 20)?,
    };
    Ok(filter.verdict(&message.event_type, message.channels.as_deref()))
}

fn pending(connection: &Connection, message: Key) -> rusqlite::Result<HashMap<Key, Pending>> {
    let mut select = connection.prepare_cached(include_str!("queries/explain_pending.sql"))?;
    let rows = select.query_map([message], |row| {
        let (rank, due_at) = Rank::read(row.get(1)?);
        Ok((row.get(0)?, Pending { due_at, rank, attempts: row.get(2)? }))
    })?;
    rows.collect()
}

fn progress(connection: &Connection, message: Key) -> rusqlite::Result<HashMap<Key, Progress>> {
    let mut select = connection.prepare_cached(include_str!("queries/explain_attempts.sql"))?;
    let rows = select.query_map([message], |row| {
        Ok((
            row.get(0)?,
            Progress { attempts: row.get(1)?, last: row.get(2)?, delivered: row.get(3)? },
        ))
    })?;
    rows.collect()
}
