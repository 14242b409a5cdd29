//! Appending a message: claim, match, message row, delivery rows.

use std::sync::Arc;

use ringback_domain::{
    id::{Id, Key, MessageId},
    idempotency::Claim,
    scope::Reference,
    source::Fate,
};
use rusqlite::{Connection, OptionalExtension};

use super::{fault::Stop, request, rows, writer::Transaction};
use crate::{
    Append, AppendError, Appended, NewMessage, Release, Released, WriteError, matching::Matched,
};

/// Appends one message. The outer error fails the transaction, the inner one only this message.
pub(super) fn append(
    transaction: &mut Transaction<'_>,
    new: &Append,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    append_of(transaction, new, None)
}

/// Appends what a request becomes that was kept.
pub(super) fn release(
    transaction: &mut Transaction<'_>,
    release: &Release,
) -> Result<Released, Stop<WriteError>> {
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let Some(first) = release.messages.first() else { return Err(missing("message")) };
    let known = request::message_of(transaction.connection, release, first.environment)?;
    if let Some(message) = known.ok_or(missing("request"))? {
        return Ok(Released::Before(message));
    }
    let mut released = Vec::with_capacity(release.messages.len());
    for (index, new) in release.messages.iter().enumerate() {
        let kept = (index == 0).then_some(release.request);
        match append_of(transaction, new, kept)? {
            Ok(appended) => released.push(appended),
            Err(AppendError::ClaimConflict | AppendError::EventIdTaken { .. }) => {}
            Err(AppendError::NoApplication) => return Err(missing("source")),
            Err(AppendError::Unavailable(reason)) => return Err(Stop::Refused(reason.into())),
        }
    }
    Ok(Released::Now(released))
}

/// Appends one message; if it is a request that was kept, that is changed and none is written.
fn append_of(
    transaction: &mut Transaction<'_>,
    new: &Append,
    kept: Option<Key>,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    let Transaction { connection, memory } = transaction;
    let known = memory.routes.application(connection, new.environment, &new.application)?;
    let known = known.filter(|known| !known.hidden || new.message.origin.is_our_own());
    let Some(application) = known.map(|known| known.key) else {
        return Ok(Err(AppendError::NoApplication));
    };
    if let Some(claim) = new.claim
        && let Some(first) = memory.claims.find(connection, claim, new.message.accepted_at)?
    {
        return match &new.message.arrival {
            None => repeat(connection, application, first.key, first.same_body),
            Some(arrival) => {
                let first = message_by_key(connection, first.key)?.unwrap_or(MessageId(Id {
                    key: first.key,
                    shard: 0,
                    nonce: 0,
                }));
                match kept {
                    Some(kept) => {
                        request::release(connection, kept, Fate::Duplicate, first, arrival)?;
                    }
                    None => {
                        let own = memory.keys.next(new.message.accepted_at, 0);
                        request::repeat(connection, own, first, new, application, arrival)?;
                    }
                }
                Ok(Ok(repetition(first, application)))
            }
        };
    }
    if let Some(event_id) = &new.message.event_id
        && let Some(existing) = message_by_event_id(connection, application, event_id)?
    {
        return Ok(Err(AppendError::EventIdTaken { existing }));
    }
    let message = &new.message;
    let matched = memory.routes.matching(connection, application, message)?;
    let Matched { endpoints, ordered } = matched;
    let key = memory.keys.next(message.accepted_at, endpoints.len() as Key);
    let id = MessageId(Id { key, shard: 0, nonce: message.nonce });
    insert_message(connection, id, new.environment, application, endpoints.len(), message)?;
    insert_deliveries(connection, id, new, application, memory.epoch, (&endpoints, &ordered))?;
    match (&message.arrival, kept) {
        (Some(arrival), Some(kept)) => {
            request::release(connection, kept, Fate::Accepted, id, arrival)?;
        }
        (Some(arrival), None) => request::accept(connection, id, new, application, arrival)?,
        (None, _) => {}
    }
    if let Some(claim) = new.claim {
        make_claim(transaction, key, claim, None)?;
    }
    Ok(Ok(Appended { id, application, endpoints, ordered, repeated: false }))
}

/// Appends a message to the hidden application of the environment, if it has one.
pub(super) fn append_operational(
    transaction: &mut Transaction<'_>,
    environment: Key,
    message: NewMessage,
) -> rusqlite::Result<Option<Appended>> {
    let uid = ringback_domain::application::OPERATIONAL_UID.to_owned();
    let application = Reference::Uid(uid);
    let new = Append { environment, application, message, claim: None };
    append(transaction, &new).map(Result::ok)
}

fn repeat(
    connection: &Connection,
    application: Key,
    key: Key,
    same_body: bool,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    if !same_body {
        return Ok(Err(AppendError::ClaimConflict));
    }
    // A claim outlives its message only if the retention is shorter than a day.
    let first = message_by_key(connection, key)?;
    Ok(first.map(|id| repetition(id, application)).ok_or(AppendError::ClaimConflict))
}

fn repetition(id: MessageId, application: Key) -> Appended {
    Appended { id, application, endpoints: Arc::from([]), ordered: Arc::from([]), repeated: true }
}

fn message_by_key(connection: &Connection, key: Key) -> rusqlite::Result<Option<MessageId>> {
    let mut select = connection.prepare_cached(include_str!("queries/message_nonce.sql"))?;
    Ok(select.query_row([key], |row| rows::id(row, 0, 1)).optional()?.map(MessageId))
}

fn message_by_event_id(
    connection: &Connection,
    application: Key,
    event_id: &str,
) -> rusqlite::Result<Option<MessageId>> {
    let mut select = connection.prepare_cached(include_str!("queries/message_by_event_id.sql"))?;
    let found = select.query_row((application, event_id), |row| rows::id(row, 0, 1)).optional()?;
    Ok(found.map(MessageId))
}

fn insert_message(
    connection: &Connection,
    id: MessageId,
    environment: Key,
    application: Key,
    fanout: usize,
    message: &NewMessage,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/message_insert.sql"))?;
    insert.execute(rusqlite::params![
        id.key(),
        id.0.nonce as i64,
        environment,
        application,
        message.origin.number(),
        fanout as i64,
        message.expires_at.millis(),
        message.event_type,
        message.event_id,
        rows::json_list(message.channels.as_deref()),
        rows::json_list(message.tags.as_deref()),
        message.content_type,
        rows::json_headers(message.headers.as_deref())?,
        message.payload.as_ref(),
        message.version,
        message.fits_schema,
        message.ordering_key,
    ])?;
    Ok(())
}

fn insert_deliveries(
    connection: &Connection,
    id: MessageId,
    new: &Append,
    application: Key,
    epoch: i64,
    (endpoints, ordered): (&[Key], &[Key]),
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/delivery_insert.sql"))?;
    let due_at = new.message.accepted_at.millis();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let key = crate::delivery_key(id, index);
        let plain = (key, id.key(), new.environment, application, endpoint, epoch, 0, due_at);
        if !ordered.contains(endpoint) {
            insert.execute(plain)?;
            continue;
        }
        let (key, message, environment, application, endpoint, epoch, _, due_at) = plain;
        let ordering_key = new.message.ordering_key.as_deref().unwrap_or_default();
        connection.prepare_cached(include_str!("queries/delivery_insert_ordered.sql"))?.execute(
            (key, message, environment, application, endpoint, epoch, due_at, ordering_key),
        )?;
    }
    Ok(())
}

/// Makes a claim, in the table and in the index; the answer is absent for a message.
pub(super) fn make_claim(
    transaction: &mut Transaction<'_>,
    key: Key,
    claim: Claim,
    answer: Option<(u16, &[u8])>,
) -> rusqlite::Result<()> {
    insert_claim(transaction.connection, key, claim, answer)?;
    transaction.memory.claims.insert(claim.fingerprint, key);
    transaction.memory.claimed.push(claim.fingerprint);
    Ok(())
}

/// Writes a claim's row.
pub(super) fn insert_claim(
    connection: &Connection,
    key: Key,
    claim: Claim,
    answer: Option<(u16, &[u8])>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/claim_insert.sql"))?;
    insert.execute((
        key,
        claim.fingerprint.to_be_bytes(),
        claim.body.to_be_bytes(),
        claim.expires_at.millis(),
        answer.map(|(status, _)| status),
        answer.map(|(_, body)| body),
    ))?;
    Ok(())
}
