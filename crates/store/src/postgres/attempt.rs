//! Reading attempts.

use ringback_domain::{
    attempt::{Attempt, Outcome, Phase, Trigger},
    id::{AttemptId, EndpointId, Key, MessageId},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    endpoint,
    fault::Stop,
    message, rows,
    transaction::{Transaction, boolean, int4, int8, text, texts},
};
use crate::{AttemptQuery, Listed, ReadError, pages::Cut, timings};

/// Whose attempts a list is of.
#[derive(Clone, Copy)]
pub(super) struct Of {
    pub(super) message: Option<Key>,
    pub(super) endpoint: Option<Key>,
}

impl Of {
    /// What the query names, which has to be there.
    pub(super) async fn named(
        transaction: &Transaction<'_>,
        scope: Scope,
        query: &AttemptQuery,
    ) -> Result<Of, Stop<ReadError>> {
        let message = match &query.message {
            Some(reference) => Some(message::existing(transaction, scope, reference).await?),
            None => None,
        };
        let endpoint = match &query.endpoint {
            Some(reference) => Some(
                endpoint::key(transaction, scope, reference)
                    .await?
                    .ok_or(Stop::Refused(ReadError::NotFound("endpoint")))?,
            ),
            None => None,
        };
        Ok(Of { message, endpoint })
    }
}

/// A page of attempts: of a message, to an endpoint, or of the whole application.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    scope: Scope,
    query: &AttemptQuery,
) -> Result<Listed<Attempt>, Stop<ReadError>> {
    let of = Of::named(transaction, scope, query).await?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    Ok(cut.walk.page(between(transaction, scope, query, of, cut).await?))
}

/// The attempts that a query asks for, between the bounds of `cut`.
pub(super) async fn between(
    transaction: &Transaction<'_>,
    scope: Scope,
    query: &AttemptQuery,
    of: Of,
    Cut { walk, low, high }: Cut,
) -> Result<Vec<Attempt>, Error> {
    // A message has few, and they are sorted when they are read: left to itself, the planner may
    // walk all attempts by their keys until it has found a page of that message's.
    let from = match of.message {
        Some(_) => "(SELECT * FROM attempt WHERE shard = $1 AND message = $6 OFFSET 0)",
        None => "attempt",
    };
    let sql = walk.sql(include_str!("queries/attempts.sql")).replace("{attempt}", from);
    let (shard, limit) = (rows::shard(scope), walk.rows());
    let first_status = query.status_codes.map(|(first, _)| i64::from(first));
    let last_status = query.status_codes.map(|(_, last)| i64::from(last));
    let event_types = rows::filter(&query.event_types);
    let parameters = [
        int4(&shard),
        int8(&scope.environment),
        int8(&scope.application),
        int8(&low),
        int8(&high),
        int8(&of.message),
        int8(&of.endpoint),
        boolean(&query.succeeded),
        boolean(&query.retrying),
        int8(&first_status),
        int8(&last_status),
        texts(&event_types),
        text(&query.channel),
        text(&query.tag),
        int8(&limit),
    ];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(found.iter().map(from_row).collect())
}

/// One attempt of a message.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    scope: Scope,
    of: &Reference,
    id: AttemptId,
) -> Result<Attempt, Stop<ReadError>> {
    let message = message::existing(transaction, scope, of).await?;
    let found = by_key(transaction, scope, message, id.key()).await?;
    // The nonce is what makes a guessed id fail.
    let found = found.filter(|attempt| attempt.id == id);
    found.ok_or(Stop::Refused(ReadError::NotFound("attempt")))
}

/// The attempt with this key, if it is one of this message.
pub(super) async fn by_key(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: Key,
    key: Key,
) -> Result<Option<Attempt>, Error> {
    let Scope { environment, application } = scope;
    let shard = rows::shard(scope);
    let parameters =
        [int4(&shard), int8(&key), int8(&message), int8(&environment), int8(&application)];
    let row = transaction.row(include_str!("queries/attempt.sql"), &parameters).await?;
    Ok(row.as_ref().map(from_row))
}

fn from_row(row: &Row) -> Attempt {
    let failed: Option<i16> = row.get(11);
    let next_at: Option<i64> = row.get(15);
    Attempt {
        id: AttemptId(rows::id(row, 0, 1)),
        message: MessageId(rows::id(row, 2, 3)),
        endpoint: EndpointId(rows::id(row, 4, 5)),
        url: row.get(6),
        number: row.get::<_, i32>(7) as u32,
        trigger: if row.get::<_, i16>(8) == 0 { Trigger::Scheduled } else { Trigger::Manual },
        status_code: row.get::<_, i32>(9) as u16,
        response: row.get(10),
        failed: failed.and_then(|number| Phase::from_number(number.into())),
        reason: row.get(12),
        timings: timings::unpack(row.get(13)),
        outcome: Outcome::from_number(row.get::<_, i16>(14).into()).unwrap_or(Outcome::Unchanged),
        next_at: next_at.map(Timestamp),
    }
}
