//! Reading attempts.

use std::collections::HashMap;

use ringback_domain::{
    attempt::{Attempt, Outcome, Phase, Trigger},
    id::{AttemptId, EndpointId, Key, MessageId, SEQUENCE_BITS},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    endpoint,
    fault::Stop,
    message, rows,
    transaction::{Transaction, boolean, int4, int8, int8s, text, texts},
};
use crate::{AttemptQuery, Listed, ReadError, pages::Cut, timings};

/// An hour of keys.
pub(super) const HOUR: Key = 3_600_000 << SEQUENCE_BITS;

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
    cut: Cut,
) -> Result<Vec<Attempt>, Error> {
    let list = List { transaction, scope, query, of, cut };
    let of_message = query.channel.is_some() || query.tag.is_some();
    if of_message || !query.event_types.is_empty() { list.sifted().await } else { list.all().await }
}

/// A list that is read in steps. What belongs to attempts is in partitions by the time of their
/// messages; asked for apart and with bounds, it is looked for in few of them.
struct List<'a> {
    transaction: &'a Transaction<'a>,
    scope: Scope,
    query: &'a AttemptQuery,
    of: Of,
    cut: Cut,
}

impl List<'_> {
    /// The page, where attempts alone decide what it has.
    async fn all(&self) -> Result<Vec<Attempt>, Error> {
        let rows =
            self.rows(include_str!("queries/attempts.sql"), None, Some(self.cut.walk.rows()));
        let mut attempts: Vec<Attempt> = rows.await?.iter().map(from_row).collect();
        let nonces = self.messages(attempts.iter().map(|one| one.message.key()).collect()).await?;
        attempts.retain_mut(|one| {
            let nonce = nonces.get(&one.message.key());
            nonce.is_some_and(|nonce| {
                one.message.0.nonce = *nonce;
                true
            })
        });
        Ok(attempts)
    }

    /// The page, where messages decide, too: which attempts, before what they are is read.
    async fn sifted(&self) -> Result<Vec<Attempt>, Error> {
        let looked = self.rows(include_str!("queries/attempts_looked.sql"), None, None).await?;
        let looked: Vec<(Key, Key)> = looked.iter().map(|row| (row.get(0), row.get(1))).collect();
        let nonces = self.messages(looked.iter().map(|(_, message)| *message).collect()).await?;
        let mut keys: Vec<Key> = looked
            .iter()
            .filter(|(_, message)| nonces.contains_key(message))
            .map(|(key, _)| *key)
            .collect();
        keys.truncate(self.cut.walk.rows() as usize);
        let (Some(low), Some(high)) = (keys.iter().min(), keys.iter().max()) else {
            return Ok(Vec::new());
        };
        let cut = Cut { low: low - 1, high: high + 1, ..self.cut };
        List { cut, ..*self }.picked(keys).await
    }

    async fn picked(&self, keys: Vec<Key>) -> Result<Vec<Attempt>, Error> {
        let rows = self.rows(include_str!("queries/attempts.sql"), Some(keys), None).await?;
        let mut attempts: Vec<Attempt> = rows.iter().map(from_row).collect();
        let nonces = self.messages(attempts.iter().map(|one| one.message.key()).collect()).await?;
        for one in &mut attempts {
            one.message.0.nonce = nonces.get(&one.message.key()).copied().unwrap_or_default();
        }
        Ok(attempts)
    }

    async fn rows(
        &self,
        sql: &str,
        keys: Option<Vec<Key>>,
        limit: Option<i64>,
    ) -> Result<Vec<Row>, Error> {
        let List { scope, query, of, cut: Cut { walk, low, high }, .. } = self;
        // A message has few, and they are sorted when they are read: left to itself, the planner may
        // walk all attempts by their keys until it has found a page of that message's.
        let from = match of.message {
            Some(_) => {
                "(SELECT * FROM attempt \
                 WHERE shard = $1 AND message = $6 AND key > $4 AND key < $5 OFFSET 0)"
            }
            None => "attempt",
        };
        let sql = sql.replace("{where}", include_str!("queries/attempts_where.sql"));
        let sql = walk.sql(&sql).replace("{attempt}", from);
        // None is before its message, unless the clock was wrong.
        let low = of.message.map_or(*low, |message| (message - HOUR).max(*low));
        let shard = rows::shard(*scope);
        let first_status = query.status_codes.map(|(first, _)| i64::from(first));
        let last_status = query.status_codes.map(|(_, last)| i64::from(last));
        let parameters = [
            int4(&shard),
            int8(&scope.environment),
            int8(&scope.application),
            int8(&low),
            int8(high),
            int8(&of.message),
            int8(&of.endpoint),
            boolean(&query.succeeded),
            boolean(&query.retrying),
            int8(&first_status),
            int8(&last_status),
            int8s(&keys),
            int8(&limit),
        ];
        self.transaction.rows(&sql, &parameters).await
    }

    /// The nonces of those of the messages that the query lets pass.
    async fn messages(&self, mut keys: Vec<Key>) -> Result<HashMap<Key, u64>, Error> {
        keys.sort_unstable();
        keys.dedup();
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return Ok(HashMap::new());
        };
        let List { scope, query, .. } = self;
        let shard = rows::shard(*scope);
        let event_types = rows::filter(&query.event_types);
        let parameters = [
            int4(&shard),
            int8s(&keys),
            int8(&scope.application),
            int8(first),
            int8(last),
            texts(&event_types),
            text(&query.channel),
            text(&query.tag),
        ];
        let sql = include_str!("queries/attempts_messages.sql");
        let found = self.transaction.rows(sql, &parameters).await?;
        Ok(found.iter().map(|row| (row.get(0), row.get::<_, i64>(1) as u64)).collect())
    }
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
        rendering: row.get(16),
    }
}
