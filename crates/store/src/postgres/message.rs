//! Reading messages.

use std::collections::HashMap;

use ringback_domain::{
    id::{Key, MessageId},
    message::{Message, Origin},
    scope::{Reference, Scope},
};
use tokio_postgres::{Error, Row};

use super::{
    fault::Stop,
    rows,
    transaction::{Parameter, Transaction, boolean, int4, int8, int8s, text, texts},
};
use crate::{Listed, MessageQuery, ReadError, pages::Cut};

/// The column of the time at which a message of a list expires.
const EXPIRES_AT: usize = 12;

/// One message.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    with_content: bool,
) -> Result<Message, Stop<ReadError>> {
    let key = existing(transaction, scope, reference).await?;
    let shard = rows::shard(scope);
    let parameters = [int4(&shard), int8(&key), boolean(&with_content)];
    // The sweep may delete it between the two reads.
    let row = transaction.row(include_str!("queries/message.sql"), &parameters).await?;
    let row = row.ok_or(Stop::Refused(ReadError::NotFound("message")))?;
    Ok(Message { headers: rows::headers(&row, 12), ..from_row(&row) })
}

/// A page of the application's messages.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    scope: Scope,
    query: &MessageQuery,
) -> Result<Listed<Message>, Error> {
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let walk = cut.walk;
    let sql = walk.sql(include_str!("queries/messages.sql"));
    let asked = Asked::new(scope, query, cut);
    let found = transaction.rows(&sql, &asked.parameters()).await?;
    Ok(walk.page(several(transaction, scope, &found, query.with_content).await?))
}

/// What every list of messages is asked for with: its first nine parameters.
pub(super) struct Asked<'a> {
    shard: i32,
    scope: Scope,
    low: Key,
    high: Key,
    event_types: Option<&'a [String]>,
    query: &'a MessageQuery,
    limit: i64,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        scope: Scope,
        query: &'a MessageQuery,
        Cut { walk, low, high }: Cut,
    ) -> Asked<'a> {
        let event_types = rows::filter(&query.event_types);
        let (shard, limit) = (rows::shard(scope), walk.rows());
        Asked { shard, scope, low, high, event_types, query, limit }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            int4(&self.shard),
            int8(&self.scope.application),
            int8(&self.scope.environment),
            int8(&self.low),
            int8(&self.high),
            texts(&self.event_types),
            text(&self.query.channel),
            text(&self.query.tag),
            int8(&self.limit),
        ]
    }
}

/// The messages of rows that end with when each expires. Their contents are in partitions by that
/// time, so they are looked for apart, in as few as can be.
pub(super) async fn several(
    transaction: &Transaction<'_>,
    scope: Scope,
    found: &[Row],
    with_content: bool,
) -> Result<Vec<Message>, Error> {
    let mut messages: Vec<Message> = found.iter().map(from_row).collect();
    let expiries: Vec<i64> = found.iter().map(|row| row.get(EXPIRES_AT)).collect();
    if let (true, Some(first), Some(last)) =
        (with_content, expiries.iter().min(), expiries.iter().max())
    {
        let keys: Vec<Key> = messages.iter().map(|message| message.id.key()).collect();
        let shard = rows::shard(scope);
        let parameters = [int4(&shard), int8s(&keys), int8s(&expiries), int8(first), int8(last)];
        let contents = transaction.rows(include_str!("queries/contents.sql"), &parameters).await?;
        let contents: HashMap<Key, &Row> = contents.iter().map(|row| (row.get(0), row)).collect();
        for message in &mut messages {
            if let Some(row) = contents.get(&message.id.key()) {
                message.payload = row.get(1);
                message.headers = rows::headers(row, 2);
            }
        }
    }
    Ok(messages)
}

/// The key of a message, by its id or the caller's.
pub(super) async fn key(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Option<Key>, Error> {
    let Scope { environment, application } = scope;
    let shard = rows::shard(scope);
    let row = match reference {
        Reference::Id(id) => {
            let nonce = id.nonce as i64;
            let parameters =
                [int4(&shard), int8(&id.key), int8(&nonce), int8(&environment), int8(&application)];
            transaction.row(include_str!("queries/message_key.sql"), &parameters).await?
        }
        Reference::Uid(uid) => {
            let parameters = [int4(&shard), text(uid), int8(&environment), int8(&application)];
            let sql = include_str!("queries/message_key_by_event_id.sql");
            transaction.row(sql, &parameters).await?
        }
    };
    Ok(row.map(|row| row.get(0)))
}

/// The key of a message that has to be there.
pub(super) async fn existing(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Key, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("message"));
    key(transaction, scope, reference).await?.ok_or_else(missing)
}

/// Whether there still is something to send.
pub(super) async fn has_content(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: Key,
) -> Result<bool, Error> {
    let shard = rows::shard(scope);
    let sql = include_str!("queries/message_has_content.sql");
    transaction.holds(sql, &[int4(&shard), int8(&message)]).await
}

pub(super) fn from_row(row: &Row) -> Message {
    let id = rows::id(row, 0, 1);
    Message {
        id: MessageId(id),
        event_id: row.get(2),
        event_type: row.get(3),
        channels: rows::optional(row, 4),
        tags: rows::optional(row, 5),
        content_type: row.get(6),
        origin: Origin::from_number(row.get::<_, i16>(7).into()).unwrap_or_default(),
        version: rows::version(row, 8),
        fits_schema: row.get(9),
        ordering_key: row.get(10),
        payload: row.get(11),
        headers: None,
        created_at: id.created_at(),
    }
}
