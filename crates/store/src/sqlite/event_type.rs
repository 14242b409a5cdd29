//! Event types: a catalogue by name, in which what is no longer wanted is archived.

use ringback_domain::{
    event_type::EventType,
    id::{EventTypeId, Key},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{answer, contract, fault::Stop, rows, writer::Transaction};
use crate::{
    EventTypeChange, EventTypeQuery, Listed, NewEventType, Position, ReadError, WriteError,
    change::later, pages::Walk,
};

/// Creates an event type, or takes an archived one out of the archive with what is new about it.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    new: &NewEventType,
) -> Result<EventType, Stop<WriteError>> {
    let connection = transaction.connection;
    let environments = include_str!("queries/environment_exists.sql");
    if !rows::exists(connection, environments, [new.environment])? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    let event_type = match by_name(connection, new.environment, &new.event_type.name)? {
        Some(known) if known.archived => {
            let (id, created_at) = (known.id, known.created_at);
            let event_type = EventType { id, created_at, ..new.event_type.clone() };
            let name = (new.environment, &*event_type.name);
            contract::amend(connection, name, new.contract.as_ref())?;
            update(connection, &event_type)?;
            event_type
        }
        Some(_) => return Err(Stop::Refused(WriteError::Conflict("event type"))),
        None => {
            insert(connection, new)?;
            let name = (new.environment, &*new.event_type.name);
            contract::amend(connection, name, new.contract.as_ref())?;
            new.event_type.clone()
        }
    };
    answer::keep(transaction, event_type.updated_at, new.answer.as_ref())?;
    Ok(event_type)
}

/// One event type, archived or not.
pub(super) fn get(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> Result<EventType, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("event type"));
    by_name(connection, environment, name)?.ok_or_else(missing)
}

/// A page of the environment's event types, by name.
pub(super) fn list(
    connection: &Connection,
    environment: Key,
    query: &EventTypeQuery,
) -> rusqlite::Result<Listed<EventType>> {
    let walk = Walk::new(query.limit, &query.from, query.order);
    let cursor = match &query.from {
        Position::Start => None,
        Position::After(name) | Position::Before(name) => Some(name),
    };
    let (low, high) = if walk.ascending() { (cursor, None) } else { (None, cursor) };
    let mut select =
        connection.prepare_cached(&walk.sql(include_str!("queries/event_types.sql")))?;
    let flags = rows::json_list(query.flags.as_deref());
    let parameters = (environment, low, high, query.include_archived, walk.rows(), flags);
    let found = select.query_map(parameters, from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

/// Changes an event type.
pub(super) fn change(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
    change: EventTypeChange,
    now: Timestamp,
) -> Result<EventType, Stop<WriteError>> {
    let known = existing(transaction.connection, environment, name)?;
    contract::amend(transaction.connection, (environment, name), change.contract.as_ref())?;
    let event_type = EventType {
        description: change.description.unwrap_or(known.description),
        schemas: change.schemas.unwrap_or(known.schemas),
        archived: change.archived.unwrap_or(known.archived),
        deprecated: change.deprecated.unwrap_or(known.deprecated),
        feature_flag: change.feature_flag.unwrap_or(known.feature_flag),
        group_name: change.group_name.unwrap_or(known.group_name),
        updated_at: later(known.updated_at, now),
        ..known
    };
    update(transaction.connection, &event_type)?;
    Ok(event_type)
}

/// Archives an event type, or removes it for good.
pub(super) fn delete(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
    expunge: bool,
    now: Timestamp,
) -> Result<(), Stop<WriteError>> {
    let connection = transaction.connection;
    let known = existing(connection, environment, name)?;
    if expunge {
        contract::delete(connection, known.id.key())?;
        connection
            .prepare_cached(include_str!("queries/event_type_delete.sql"))?
            .execute([known.id.key()])?;
    } else {
        let updated_at = later(known.updated_at, now);
        update(connection, &EventType { archived: true, updated_at, ..known })?;
    }
    Ok(())
}

fn existing(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> Result<EventType, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    by_name(connection, environment, name)?.ok_or_else(missing)
}

pub(super) fn by_name(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> rusqlite::Result<Option<EventType>> {
    connection
        .prepare_cached(include_str!("queries/event_type.sql"))?
        .query_row((environment, name), from_row)
        .optional()
}

pub(super) fn insert(connection: &Connection, new: &NewEventType) -> Result<(), Stop<WriteError>> {
    let event_type = &new.event_type;
    let id = event_type.id;
    if rows::exists(connection, include_str!("queries/event_type_exists.sql"), [id.key()])? {
        return Err(Stop::Refused(WriteError::Conflict("event type id")));
    }
    let mut insert = connection.prepare_cached(include_str!("queries/event_type_insert.sql"))?;
    insert.execute((
        id.key(),
        id.0.nonce as i64,
        new.environment,
        &event_type.name,
        &event_type.description,
        event_type.schemas.as_ref().map(ToString::to_string),
        event_type.archived,
        event_type.deprecated,
        &event_type.feature_flag,
        &event_type.group_name,
        event_type.created_at.millis(),
        event_type.updated_at.millis(),
    ))?;
    Ok(())
}

pub(super) fn update(connection: &Connection, event_type: &EventType) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(include_str!("queries/event_type_update.sql"))?;
    update.execute((
        event_type.id.key(),
        &event_type.description,
        event_type.schemas.as_ref().map(ToString::to_string),
        event_type.archived,
        event_type.deprecated,
        &event_type.feature_flag,
        &event_type.group_name,
        event_type.updated_at.millis(),
    ))?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<EventType> {
    Ok(EventType {
        id: EventTypeId(rows::id(row, 0, 1)?),
        name: row.get(2)?,
        description: row.get(3)?,
        schemas: rows::optional(row, 4)?,
        archived: row.get(5)?,
        deprecated: row.get(6)?,
        feature_flag: row.get(7)?,
        group_name: row.get(8)?,
        created_at: Timestamp(row.get(9)?),
        updated_at: Timestamp(row.get(10)?),
    })
}
