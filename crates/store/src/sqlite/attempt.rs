//! Reading attempts.

use ringback_domain::{
    attempt::{Attempt, Outcome, Phase, Trigger},
    id::{AttemptId, EndpointId, Key, MessageId},
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{endpoint, fault::Stop, message, rows};

use crate::{AttemptQuery, Listed, ReadError, pages::Cut, timings};

/// A page of attempts: of a message, to an endpoint, or of the whole application.
pub(super) fn list(
    connection: &Connection,
    scope: Scope,
    query: &AttemptQuery,
) -> Result<Listed<Attempt>, Stop<ReadError>> {
    let of_message = query.message.as_ref();
    let of_message =
        of_message.map(|reference| message::existing(connection, scope, reference)).transpose()?;
    let to_endpoint = match &query.endpoint {
        Some(reference) => Some(
            endpoint::key(connection, scope, reference)?
                .ok_or(Stop::Refused(ReadError::NotFound("endpoint")))?,
        ),
        None => None,
    };
    // The index that is used follows from this; the conditions behind it are always the same.
    let of = match (of_message, to_endpoint) {
        (Some(_), _) => "a.message = ?5",
        (None, Some(_)) => "a.endpoint = ?6",
        (None, None) => "TRUE",
    };
    let Cut { walk, low, high } = Cut::new(&query.page).between(query.after, query.before);
    let sql = walk.sql(include_str!("queries/attempts.sql")).replace("{of}", of);
    let mut select = connection.prepare_cached(&sql)?;
    let found = select.query_map(
        (
            scope.environment,
            scope.application,
            low,
            high,
            of_message,
            to_endpoint,
            query.succeeded,
            query.retrying,
            query.status_codes.map(|(first, _)| first),
            query.status_codes.map(|(_, last)| last),
            rows::json_filter(&query.event_types),
            &query.channel,
            &query.tag,
            walk.rows(),
        ),
        from_row,
    )?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

/// One attempt of a message.
pub(super) fn get(
    connection: &Connection,
    scope: Scope,
    of: &Reference,
    id: AttemptId,
) -> Result<Attempt, Stop<ReadError>> {
    let message = message::existing(connection, scope, of)?;
    let found = by_key(connection, scope, message, id.key())?;
    // The nonce is what makes a guessed id fail.
    let found = found.filter(|attempt| attempt.id == id);
    found.ok_or(Stop::Refused(ReadError::NotFound("attempt")))
}

/// The attempt with this key, if it is one of this message.
pub(super) fn by_key(
    connection: &Connection,
    scope: Scope,
    message: Key,
    key: Key,
) -> rusqlite::Result<Option<Attempt>> {
    connection
        .prepare_cached(include_str!("queries/attempt.sql"))?
        .query_row((key, message, scope.environment, scope.application), from_row)
        .optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let failed: Option<i64> = row.get(11)?;
    let timings: Vec<u8> = row.get(13)?;
    let next_at: Option<i64> = row.get(15)?;
    Ok(Attempt {
        id: AttemptId(rows::id(row, 0, 1)?),
        message: MessageId(rows::id(row, 2, 3)?),
        endpoint: EndpointId(rows::id(row, 4, 5)?),
        url: row.get(6)?,
        number: row.get(7)?,
        trigger: if row.get::<_, i64>(8)? == 0 { Trigger::Scheduled } else { Trigger::Manual },
        status_code: row.get(9)?,
        response: row.get(10)?,
        failed: failed.and_then(Phase::from_number),
        reason: row.get(12)?,
        timings: timings::unpack(&timings),
        outcome: Outcome::from_number(row.get(14)?).unwrap_or(Outcome::Unchanged),
        next_at: next_at.map(Timestamp),
    })
}
