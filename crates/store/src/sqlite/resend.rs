//! Planning extra attempts: each a delivery of its own, so that the schedule's stays as it is.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    attempt::Trigger,
    endpoint::State,
    id::{Key, MessageId},
    replay::Shape,
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::Connection;

use super::{answer, due, endpoint, fault::Stop, message, writer::Transaction};
use crate::{Content, Due, Resend, ResendError};

/// Adds a manual delivery that is due now.
pub(super) fn resend(
    transaction: &mut Transaction<'_>,
    resend: &Resend,
) -> Result<Due, Stop<ResendError>> {
    let connection = transaction.connection;
    let refused = |word| Stop::Refused(ResendError::NotFound(word));
    let message = message::key(connection, resend.scope, &resend.message)?
        .ok_or_else(|| refused("message"))?;
    let endpoint = endpoint::key(connection, resend.scope, &resend.endpoint)?
        .ok_or_else(|| refused("endpoint"))?;
    check_state(transaction, endpoint)?;
    if !message::has_content(connection, message)? {
        return Err(Stop::Refused(ResendError::NoContent));
    }
    let key = plan(transaction, resend.scope, message, endpoint, resend.now)?;
    shape(transaction.connection, key, resend.version)?;
    answer::keep(transaction, resend.now, resend.answer.as_ref())?;
    due::one_due(connection, key)?.ok_or_else(|| refused("message"))
}

/// Tries a message again at once wherever it is missing and attempts are made. What is due already
/// may be under way, and is left alone.
pub(super) fn redeliver(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    message: MessageId,
    now: Timestamp,
) -> rusqlite::Result<Vec<Due>> {
    let connection = transaction.connection;
    let Some(content) = content(connection, scope, message)? else { return Ok(Vec::new()) };
    let content = Arc::new(content);
    let due = |delivery, endpoint, attempts, trigger| Due {
        scope,
        delivery,
        endpoint,
        attempts,
        trigger,
        due_at: now,
        sequence: None,
        fixed: None,
        content: Arc::clone(&content),
    };
    let missing = missing(connection, message.key())?;
    let mut hasten = connection.prepare_cached(include_str!("queries/redeliver_pending.sql"))?;
    let hastened =
        hasten.query_map((message.key(), now.millis(), State::Enabled.number()), |row| {
            let plain = due(row.get(0)?, row.get(1)?, row.get(2)?, Trigger::Scheduled);
            let fixed = row.get::<_, Option<Vec<u8>>>(4)?.map(Bytes::from);
            Ok(Due { sequence: row.get(3)?, fixed, ..plain })
        })?;
    let mut all: Vec<Due> = hastened.collect::<rusqlite::Result<_>>()?;
    for endpoint in missing {
        let key = plan(transaction, scope, message.key(), endpoint, now)?;
        all.push(due(key, endpoint, 0, Trigger::Manual));
    }
    Ok(all)
}

/// What there is to send of a message; nothing if it is not there or has no content.
fn content(
    connection: &Connection,
    scope: Scope,
    message: MessageId,
) -> rusqlite::Result<Option<Content>> {
    let Some(key) = message::key(connection, scope, &Reference::Id(message.0))? else {
        return Ok(None);
    };
    let found = message::by_key(connection, key, true)?;
    Ok(found.and_then(|found| {
        Some(Content {
            id: found.id,
            scope,
            event_type: found.event_type.into(),
            event_id: found.event_id,
            content_type: found.content_type,
            payload: Bytes::from(found.payload?),
            headers: found.headers.map(Arc::from),
            version: found.version,
        })
    }))
}

/// Endpoints that were tried in vain and have nothing open.
fn missing(connection: &Connection, message: Key) -> rusqlite::Result<Vec<Key>> {
    let mut select = connection.prepare_cached(include_str!("queries/redeliver_missing.sql"))?;
    select.query_map((message, State::Enabled.number()), |row| row.get(0))?.collect()
}

/// Adds a delivery beside the schedule's, due now. Returns its key.
fn plan(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    message: Key,
    endpoint: Key,
    now: Timestamp,
) -> rusqlite::Result<Key> {
    let key = transaction.memory.keys.next(now, 0);
    let sql = include_str!("queries/delivery_insert.sql");
    transaction.connection.prepare_cached(sql)?.execute((
        key,
        message,
        scope.environment,
        scope.application,
        endpoint,
        transaction.memory.epoch,
        Trigger::Manual as i64,
        now.millis(),
    ))?;
    Ok(key)
}

/// Notes in which version a delivery that was planned is sent.
pub(super) fn shape(
    connection: &Connection,
    delivery: Key,
    version: Shape,
) -> rusqlite::Result<()> {
    if version == Shape::Original {
        let sql = include_str!("queries/delivery_as_first.sql");
        connection.prepare_cached(sql)?.execute([delivery])?;
    }
    Ok(())
}

fn check_state(transaction: &Transaction<'_>, endpoint: Key) -> Result<(), Stop<ResendError>> {
    let mut select =
        transaction.connection.prepare_cached(include_str!("queries/endpoint_state.sql"))?;
    let number: i64 = select.query_row([endpoint], |row| row.get(0))?;
    let state = State::from_number(number).unwrap_or_default();
    if state.takes_messages() { Ok(()) } else { Err(Stop::Refused(ResendError::State(state))) }
}
