//! Reading messages.

use ringback_domain::{
    id::{Key, MessageId},
    message::{Message, Origin},
    scope::{Reference, Scope},
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{fault::Stop, rows};
use crate::{Listed, MessageQuery, ReadError, pages::Cut};

/// One message.
pub(super) fn get(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
    with_content: bool,
) -> Result<Message, Stop<ReadError>> {
    let key = existing(connection, scope, reference)?;
    // The sweep may delete it between the two reads.
    let found = by_key(connection, key, with_content)?;
    found.ok_or(Stop::Refused(ReadError::NotFound("message")))
}

/// The message with this key.
pub(super) fn by_key(
    connection: &Connection,
    key: Key,
    with_content: bool,
) -> rusqlite::Result<Option<Message>> {
    let mut select = connection.prepare_cached(include_str!("queries/message.sql"))?;
    select.query_row((key, with_content), from_row).optional()
}

/// A page of the application's messages.
pub(super) fn list(
    connection: &Connection,
    scope: Scope,
    query: &MessageQuery,
) -> rusqlite::Result<Listed<Message>> {
    let Cut { walk, low, high } = Cut::new(&query.page).between(query.after, query.before);
    let mut select = connection.prepare_cached(&walk.sql(include_str!("queries/messages.sql")))?;
    let found = select.query_map(
        (
            scope.application,
            scope.environment,
            low,
            high,
            query.with_content,
            rows::json_filter(&query.event_types),
            &query.channel,
            &query.tag,
            walk.rows(),
        ),
        from_row,
    )?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

/// The key of a message, by its id or the caller's.
pub(super) fn key(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> rusqlite::Result<Option<Key>> {
    let by_id = include_str!("queries/message_key.sql");
    let by_uid = include_str!("queries/message_key_by_event_id.sql");
    rows::key_in_scope(connection, scope, reference, by_id, by_uid)
}

/// The key of a message that has to be there.
pub(super) fn existing(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<Key, Stop<ReadError>> {
    key(connection, scope, reference)?.ok_or(Stop::Refused(ReadError::NotFound("message")))
}

/// Whether there still is something to send.
pub(super) fn has_content(connection: &Connection, message: Key) -> rusqlite::Result<bool> {
    rows::exists(connection, include_str!("queries/message_has_content.sql"), [message])
}

/// Whether the message is there and belongs to the scope.
pub(super) fn is_in_scope(
    connection: &Connection,
    scope: Scope,
    message: Key,
) -> rusqlite::Result<bool> {
    let sql = include_str!("queries/message_in_scope.sql");
    rows::exists(connection, sql, [message, scope.environment, scope.application])
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let id = rows::id(row, 0, 1)?;
    Ok(Message {
        id: MessageId(id),
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        channels: rows::optional(row, 4)?,
        tags: rows::optional(row, 5)?,
        content_type: row.get(6)?,
        origin: Origin::from_number(row.get(7)?).unwrap_or_default(),
        version: row.get(8)?,
        fits_schema: row.get(9)?,
        ordering_key: row.get(10)?,
        payload: row.get(11)?,
        headers: rows::optional(row, 12)?,
        created_at: id.created_at(),
    })
}
