//! Event types: a catalogue by name, in which what is no longer wanted is archived.

use ringback_domain::{
    event_type::EventType,
    id::{EventTypeId, Key},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    answer, contract,
    fault::Stop,
    rows,
    transaction::{Transaction, boolean, int8, text, texts},
};
use crate::{
    EventTypeChange, EventTypeQuery, Listed, NewEventType, Position, ReadError, WriteError,
    change::later, pages::Walk,
};

/// Creates an event type, or takes an archived one out of the archive with what is new about it.
pub(super) async fn create(
    transaction: &Transaction<'_>,
    new: &NewEventType,
) -> Result<EventType, Stop<WriteError>> {
    let environments = include_str!("queries/environment_exists.sql");
    if !transaction.holds(environments, &[int8(&new.environment)]).await? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    let event_type = match locked(transaction, new.environment, &new.event_type.name).await? {
        Some(known) if known.archived => {
            let (id, created_at) = (known.id, known.created_at);
            let event_type = EventType { id, created_at, ..new.event_type.clone() };
            let name = (new.environment, &*event_type.name);
            contract::amend(transaction, name, new.contract.as_ref()).await?;
            update(transaction, &event_type).await?;
            event_type
        }
        Some(_) => return Err(Stop::Refused(WriteError::Conflict("event type"))),
        None => {
            insert(transaction, new).await?;
            let name = (new.environment, &*new.event_type.name);
            contract::amend(transaction, name, new.contract.as_ref()).await?;
            new.event_type.clone()
        }
    };
    answer::keep(transaction, event_type.updated_at, new.answer.as_ref()).await?;
    Ok(event_type)
}

/// One event type, archived or not.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
) -> Result<EventType, Stop<ReadError>> {
    let sql = include_str!("queries/event_type.sql");
    let row = transaction.row(sql, &[int8(&environment), text(&name)]).await?;
    row.as_ref().map(from_row).ok_or(Stop::Refused(ReadError::NotFound("event type")))
}

/// A page of the environment's event types, by name.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    query: &EventTypeQuery,
) -> Result<Listed<EventType>, Error> {
    let walk = Walk::new(query.limit, &query.from, query.order);
    let cursor = match &query.from {
        Position::Start => None,
        Position::After(name) | Position::Before(name) => Some(name),
    };
    let (low, high) = if walk.ascending() { (cursor, None) } else { (None, cursor) };
    let sql = walk.sql(include_str!("queries/event_types.sql"));
    let limit = walk.rows();
    let parameters = [
        int8(&environment),
        text(&low),
        text(&high),
        boolean(&query.include_archived),
        int8(&limit),
        texts(&query.flags),
    ];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

/// Changes an event type.
pub(super) async fn change(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
    change: EventTypeChange,
    now: Timestamp,
) -> Result<EventType, Stop<WriteError>> {
    let known = existing(transaction, environment, name).await?;
    contract::amend(transaction, (environment, name), change.contract.as_ref()).await?;
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
    update(transaction, &event_type).await?;
    Ok(event_type)
}

/// Archives an event type, or removes it for good.
pub(super) async fn delete(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
    expunge: bool,
    now: Timestamp,
) -> Result<(), Stop<WriteError>> {
    let known = existing(transaction, environment, name).await?;
    if expunge {
        contract::delete(transaction, known.id.key()).await?;
        let sql = include_str!("queries/event_type_delete.sql");
        transaction.execute(sql, &[int8(&known.id.key())]).await?;
    } else {
        let updated_at = later(known.updated_at, now);
        update(transaction, &EventType { archived: true, updated_at, ..known }).await?;
    }
    Ok(())
}

async fn existing(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
) -> Result<EventType, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    locked(transaction, environment, name).await?.ok_or_else(missing)
}

/// An event type that nobody else changes until this transaction ends: what is written follows from
/// what was read.
async fn locked(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
) -> Result<Option<EventType>, Error> {
    let sql = concat!(include_str!("queries/event_type.sql"), "FOR UPDATE");
    let row = transaction.row(sql, &[int8(&environment), text(&name)]).await?;
    Ok(row.as_ref().map(from_row))
}

async fn insert(transaction: &Transaction<'_>, new: &NewEventType) -> Result<(), Stop<WriteError>> {
    let event_type = &new.event_type;
    let (key, nonce) = (event_type.id.key(), event_type.id.0.nonce as i64);
    let schemas = event_type.schemas.as_ref().map(ToString::to_string);
    let (created_at, updated_at) = (event_type.created_at.millis(), event_type.updated_at.millis());
    let parameters = [
        int8(&key),
        int8(&nonce),
        int8(&new.environment),
        text(&event_type.name),
        text(&event_type.description),
        text(&schemas),
        boolean(&event_type.archived),
        boolean(&event_type.deprecated),
        text(&event_type.feature_flag),
        text(&event_type.group_name),
        int8(&created_at),
        int8(&updated_at),
    ];
    let sql = include_str!("queries/event_type_insert.sql");
    if transaction.execute(sql, &parameters).await? == 1 {
        return Ok(());
    }
    // The id is taken, or somebody else was quicker with the name.
    let sql = include_str!("queries/event_type_exists.sql");
    let word =
        if transaction.holds(sql, &[int8(&key)]).await? { "event type id" } else { "event type" };
    Err(Stop::Refused(WriteError::Conflict(word)))
}

async fn update(transaction: &Transaction<'_>, event_type: &EventType) -> Result<(), Error> {
    let key = event_type.id.key();
    let schemas = event_type.schemas.as_ref().map(ToString::to_string);
    let updated_at = event_type.updated_at.millis();
    let parameters = [
        int8(&key),
        text(&event_type.description),
        text(&schemas),
        boolean(&event_type.archived),
        boolean(&event_type.deprecated),
        text(&event_type.feature_flag),
        text(&event_type.group_name),
        int8(&updated_at),
    ];
    transaction.execute(include_str!("queries/event_type_update.sql"), &parameters).await?;
    Ok(())
}

pub(super) fn from_row(row: &Row) -> EventType {
    EventType {
        id: EventTypeId(rows::id(row, 0, 1)),
        name: row.get(2),
        description: row.get(3),
        schemas: rows::optional(row, 4),
        archived: row.get(5),
        deprecated: row.get(6),
        feature_flag: row.get(7),
        group_name: row.get(8),
        created_at: Timestamp(row.get(9)),
        updated_at: Timestamp(row.get(10)),
    }
}
