//! What arrived at sources: written with its message, or by itself, and read.

use ringback_domain::{
    id::{Id, Key, MessageId, RequestId},
    scope::Reference,
    source::{Fate, Received},
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{fault::Stop, rows, source, writer::Transaction};
use crate::{
    Append, Arrival, Found, NewRequest, REQUESTS_KEPT, ReadError, Release, RequestQuery,
    WriteError, pages::Cut, search::Reach, source::storable,
};

/// After so many requests that were written down, what is too much of their source is deleted: a
/// flood takes no more room than the sweep leaves to it, however fast it comes.
const TRIM: u64 = 64;
/// The most that are deleted then.
const TRIMMED: usize = 4 * TRIM as usize;

// ── requests that are messages ─────────────────────────────────────────────────────────────────────

/// The message of a request, if it has one; nothing if the request is not there.
pub(super) fn message_of(
    connection: &Connection,
    release: &Release,
    environment: Key,
) -> rusqlite::Result<Option<Option<MessageId>>> {
    let mut select = connection.prepare_cached(include_str!("queries/request_message.sql"))?;
    let parameters = (release.request, release.source, environment);
    select.query_row(parameters, |row| message_id(row, 0, 1)).optional()
}

/// Writes down the request that a message was.
pub(super) fn accept(
    connection: &Connection,
    id: MessageId,
    new: &Append,
    application: Key,
    arrival: &Arrival,
) -> rusqlite::Result<()> {
    let row = Written { key: id.key(), headers: None, body: None, ..Written::of(new, arrival) };
    insert(connection, application, Fate::Accepted, Some(id), &row)
}

/// Writes down a request that repeats a message, under `key`.
pub(super) fn repeat(
    connection: &Connection,
    key: Key,
    first: MessageId,
    new: &Append,
    application: Key,
    arrival: &Arrival,
) -> rusqlite::Result<()> {
    let row = Written { key, ..Written::of(new, arrival) };
    insert(connection, application, Fate::Duplicate, Some(first), &row)
}

/// Says in a request that was kept what became of it.
pub(super) fn release(
    connection: &Connection,
    kept: Key,
    fate: Fate,
    message: MessageId,
    arrival: &Arrival,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(include_str!("queries/request_release.sql"))?;
    update.execute((
        kept,
        arrival.source,
        fate.number(),
        message.key(),
        message.0.nonce as i64,
        &arrival.verdict,
        arrival.reason.as_deref().map(storable),
    ))?;
    Ok(())
}

// ── the others ─────────────────────────────────────────────────────────────────────────────────────

/// Writes down a request that did not become a message.
pub(super) fn log(
    transaction: &mut Transaction<'_>,
    new: &NewRequest,
) -> Result<(), Stop<WriteError>> {
    let Transaction { connection, memory } = transaction;
    let NewRequest { scope, source, request, expires_at } = new;
    let known = include_str!("queries/source_in_scope.sql");
    if !rows::exists(connection, known, [*source, scope.environment, scope.application])? {
        return Err(Stop::Refused(WriteError::NotFound("source")));
    }
    let row = Written {
        key: memory.keys.next(request.received_at, 0),
        nonce: request.id.0.nonce,
        environment: scope.environment,
        source: *source,
        expires_at: expires_at.millis(),
        status: request.status,
        bytes: request.bytes,
        verdict: &request.verdict,
        reason: request.reason.as_deref(),
        method: &request.method,
        target: &request.target,
        address: request.address.as_deref(),
        event_id: request.event_id.as_deref(),
        event_type: request.event_type.as_deref(),
        headers: Some(&request.headers),
        body: request.body.as_deref(),
    };
    insert(connection, scope.application, request.fate, request.message, &row)?;
    memory.logged += 1;
    if memory.logged.is_multiple_of(TRIM) {
        for key in surplus(connection, *source, TRIMMED)? {
            delete(connection, key)?;
        }
    }
    Ok(())
}

/// The oldest of what a source has too much of.
pub(super) fn surplus(
    connection: &Connection,
    source: Key,
    limit: usize,
) -> rusqlite::Result<Vec<Key>> {
    let mut select = connection.prepare_cached(include_str!("queries/requests_surplus.sql"))?;
    let mut keys = Vec::new();
    for held in [false, true] {
        let parameters = (source, held, REQUESTS_KEPT as i64, (limit - keys.len()) as i64);
        for key in select.query_map(parameters, |row| row.get(0))? {
            keys.push(key?);
        }
    }
    Ok(keys)
}

/// Deletes a request unless it became a message meanwhile; whether it did.
pub(super) fn delete(connection: &Connection, key: Key) -> rusqlite::Result<bool> {
    let mut delete = connection.prepare_cached(include_str!("queries/request_delete.sql"))?;
    Ok(delete.execute([key])? == 1)
}

/// Deletes what a message was as a request, when the message is deleted.
pub(super) fn delete_of(connection: &Connection, message: Key) -> rusqlite::Result<()> {
    let at_once = include_str!("queries/request_delete_accepted.sql");
    connection.prepare_cached(at_once)?.execute([message])?;
    let later = include_str!("queries/request_delete_released.sql");
    connection.prepare_cached(later)?.execute([message])?;
    Ok(())
}

/// Deletes the content of whatever repeats a message or became it.
pub(super) fn empty(connection: &Connection, message: Key) -> rusqlite::Result<()> {
    connection.prepare_cached(include_str!("queries/requests_empty.sql"))?.execute([message])?;
    Ok(())
}

/// The columns of a request's row that do not depend on what became of it.
struct Written<'a> {
    key: Key,
    nonce: u64,
    environment: Key,
    source: Key,
    expires_at: i64,
    status: u16,
    bytes: u64,
    verdict: &'a str,
    reason: Option<&'a str>,
    method: &'a str,
    target: &'a str,
    address: Option<&'a str>,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    headers: Option<&'a [(String, String)]>,
    body: Option<&'a [u8]>,
}

impl<'a> Written<'a> {
    /// What is to be appended, as the request that it was; the key is given by the caller.
    fn of(new: &'a Append, arrival: &'a Arrival) -> Written<'a> {
        let message = &new.message;
        Written {
            key: 0,
            nonce: arrival.nonce,
            environment: new.environment,
            source: arrival.source,
            expires_at: message.expires_at.millis(),
            status: arrival.status,
            bytes: message.payload.len() as u64,
            verdict: &arrival.verdict,
            reason: arrival.reason.as_deref(),
            method: &arrival.method,
            target: &arrival.target,
            address: arrival.address.as_deref(),
            event_id: arrival.event_id.as_deref(),
            event_type: Some(&message.event_type),
            headers: message.headers.as_deref(),
            body: Some(&message.payload),
        }
    }
}

fn insert(
    connection: &Connection,
    application: Key,
    fate: Fate,
    message: Option<MessageId>,
    row: &Written<'_>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/request_insert.sql"))?;
    insert.execute(rusqlite::params![
        row.key,
        row.nonce as i64,
        row.environment,
        application,
        row.source,
        fate.number(),
        row.expires_at,
        message.map(MessageId::key),
        message.map(|message| message.0.nonce as i64),
        row.status,
        row.bytes as i64,
        row.verdict,
        row.reason.map(storable),
        row.method,
        storable(row.target),
        row.address,
        row.event_id.map(storable),
        row.event_type.map(storable),
        rows::json_headers(row.headers)?,
        row.body,
    ])?;
    Ok(())
}

// ── reading ────────────────────────────────────────────────────────────────────────────────────────

/// One request with its headers and its body.
pub(super) fn get(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
    request: RequestId,
) -> Result<Received, Stop<ReadError>> {
    let source = source::existing(connection, environment, reference)?;
    let Id { key, nonce, .. } = request.0;
    let mut select = connection.prepare_cached(include_str!("queries/request.sql"))?;
    let found = select.query_row((key, nonce as i64, source, environment), from_row).optional()?;
    found.ok_or(Stop::Refused(ReadError::NotFound("request")))
}

/// A page of a source's requests.
pub(super) fn list(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
    query: &RequestQuery,
) -> Result<Found<Received>, Stop<ReadError>> {
    let snapshot = connection.unchecked_transaction()?;
    let source = source::existing(&snapshot, environment, reference)?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = Reach::new(cut, last_looked_at(&snapshot, source, query, cut)?);
    let Cut { walk, low, high } = reach.cut;
    let sql = walk.sql(&through(query, include_str!("queries/requests.sql")));
    let mut select = snapshot.prepare_cached(&sql)?;
    let fates: Vec<i64> = query.fates.iter().map(|fate| fate.number()).collect();
    let fates = (!fates.is_empty()).then(|| rows::json(&fates)).transpose()?;
    let event_id = query.event_id.as_deref().map(storable);
    let event_type = query.event_type.as_deref().map(storable);
    let parameters = (source, environment, low, high, fates, event_id, event_type, walk.rows());
    let found = select.query_map(parameters, from_row)?;
    Ok(reach.page(found.collect::<rusqlite::Result<_>>()?))
}

/// The last row that a page looks at, if it leaves out any and has so many before it.
fn last_looked_at(
    connection: &Connection,
    source: Key,
    query: &RequestQuery,
    cut: Cut,
) -> rusqlite::Result<Option<Key>> {
    if !query.is_narrow() {
        return Ok(None);
    }
    let sql = cut.walk.sql(&through(query, include_str!("queries/requests_reach.sql")));
    let mut select = connection.prepare_cached(&sql)?;
    let parameters = (source, cut.low, cut.high, Reach::skip());
    select.query_row(parameters, |row| row.get(0)).optional()
}

/// The query's text with the index that it goes through: what did not become a message has one of
/// its own, as it is little among much.
fn through(query: &RequestQuery, template: &str) -> String {
    let refused = !query.fates.is_empty() && !query.fates.contains(&Fate::Accepted);
    let (index, condition) =
        if refused { ("request_refused", "fate <> 0") } else { ("request_source", "TRUE") };
    template.replace("{index}", index).replace("{condition}", condition)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Received> {
    let id = RequestId(rows::id(row, 0, 1)?);
    Ok(Received {
        id,
        fate: Fate::from_number(row.get(2)?)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(2, 0))?,
        reason: row.get(3)?,
        verdict: row.get(4)?,
        status: row.get(5)?,
        method: row.get(6)?,
        target: row.get(7)?,
        address: row.get(8)?,
        event_id: row.get(9)?,
        event_type: row.get(10)?,
        bytes: row.get::<_, i64>(11)? as u64,
        message: message_id(row, 12, 13)?,
        headers: rows::optional(row, 14)?.unwrap_or_default(),
        body: row.get(15)?,
        received_at: id.0.created_at(),
    })
}

/// The id of the message in these columns, if there is one.
fn message_id(row: &Row<'_>, key: usize, nonce: usize) -> rusqlite::Result<Option<MessageId>> {
    let known: Option<Key> = row.get(key)?;
    known.map(|_| rows::id(row, key, nonce).map(MessageId)).transpose()
}
