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

/// Whose attempts a list is of.
#[derive(Clone, Copy)]
pub(super) struct Of {
    pub(super) message: Option<Key>,
    pub(super) endpoint: Option<Key>,
}

impl Of {
    /// What the query names, which has to be there.
    pub(super) fn named(
        connection: &Connection,
        scope: Scope,
        query: &AttemptQuery,
    ) -> Result<Of, Stop<ReadError>> {
        let message = query.message.as_ref();
        let message = message.map(|reference| message::existing(connection, scope, reference));
        let endpoint = match &query.endpoint {
            Some(reference) => Some(
                endpoint::key(connection, scope, reference)?
                    .ok_or(Stop::Refused(ReadError::NotFound("endpoint")))?,
            ),
            None => None,
        };
        Ok(Of { message: message.transpose()?, endpoint })
    }
}

/// A page of attempts: of a message, to an endpoint, or of the whole application.
pub(super) fn list(
    connection: &Connection,
    scope: Scope,
    query: &AttemptQuery,
) -> Result<Listed<Attempt>, Stop<ReadError>> {
    let of = Of::named(connection, scope, query)?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    Ok(cut.walk.page(between(connection, scope, query, of, cut)?))
}

/// The attempts that a query asks for, between the bounds of `cut`.
pub(super) fn between(
    connection: &Connection,
    scope: Scope,
    query: &AttemptQuery,
    of: Of,
    Cut { walk, low, high }: Cut,
) -> rusqlite::Result<Vec<Attempt>> {
    // The index that is used follows from this; the conditions behind it are always the same.
    let index = match (of.message, of.endpoint) {
        (Some(_), Some(_)) => "a.message = ?5 AND a.endpoint = ?6",
        (Some(_), None) => "a.message = ?5",
        (None, Some(_)) => "a.endpoint = ?6",
        (None, None) => "TRUE",
    };
    let sql = walk.sql(include_str!("queries/attempts.sql")).replace("{of}", index);
    let mut select = connection.prepare_cached(&sql)?;
    let found = select.query_map(
        (
            scope.environment,
            scope.application,
            low,
            high,
            of.message,
            of.endpoint,
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
    found.collect()
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
        rendering: row.get(16)?,
    })
}
