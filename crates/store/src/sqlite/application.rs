//! Applications: creating, changing, deleting with all that hangs on them.

use ringback_domain::{
    application::Application,
    id::{ApplicationId, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{answer, endpoint, fault::Stop, oauth, rows, source, writer::Transaction};
use crate::{ApplicationChange, Listed, NewApplication, Page, ReadError, WriteError, pages::Cut};

/// Creates an application.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    new: &NewApplication,
) -> Result<Application, Stop<WriteError>> {
    let connection = transaction.connection;
    let application = &new.application;
    let environments = include_str!("queries/environment_exists.sql");
    if !rows::exists(connection, environments, [new.environment])? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    let id = application.id;
    if rows::exists(connection, include_str!("queries/application_exists.sql"), [id.key()])? {
        return Err(Stop::Refused(WriteError::Conflict("application id")));
    }
    check_uid(connection, new.environment, application.uid.as_deref(), None)?;
    let mut insert = connection.prepare_cached(include_str!("queries/application_insert.sql"))?;
    insert.execute((
        id.key(),
        id.0.nonce as i64,
        new.environment,
        &application.uid,
        &application.name,
        rows::json(&application.metadata)?,
        application.throttle_rate,
        application.created_at.millis(),
        application.updated_at.millis(),
    ))?;
    answer::keep(transaction, application.created_at, new.answer.as_ref())?;
    Ok(application.clone())
}

/// One application; the hidden one can be asked for by its uid.
pub(super) fn get(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<Application, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("application"));
    let key = rows::application_key(connection, environment, reference).optional()?;
    Ok(by_key(connection, key.ok_or_else(missing)?)?)
}

/// A page of the environment's applications.
pub(super) fn list(
    connection: &Connection,
    environment: Key,
    page: &Page,
) -> rusqlite::Result<Listed<Application>> {
    let Cut { walk, low, high } = Cut::new(page);
    let mut select =
        connection.prepare_cached(&walk.sql(include_str!("queries/applications.sql")))?;
    let found = select.query_map((environment, low, high, walk.rows()), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

/// Changes an application.
pub(super) fn change(
    transaction: &mut Transaction<'_>,
    environment: Key,
    reference: &Reference,
    change: ApplicationChange,
    now: Timestamp,
) -> Result<Application, Stop<WriteError>> {
    let connection = transaction.connection;
    let key = visible(connection, environment, reference)?;
    let mut application = by_key(connection, key)?;
    if let Some(uid) = change.uid {
        check_uid(connection, environment, uid.as_deref(), Some(key))?;
        application.uid = uid;
    }
    application.name = change.name.unwrap_or(application.name);
    application.metadata = change.metadata.unwrap_or(application.metadata);
    application.throttle_rate = change.throttle_rate.unwrap_or(application.throttle_rate);
    application.updated_at = now;
    let mut update = connection.prepare_cached(include_str!("queries/application_update.sql"))?;
    update.execute((
        key,
        &application.uid,
        &application.name,
        rows::json(&application.metadata)?,
        application.throttle_rate,
        now.millis(),
    ))?;
    transaction.memory.routes.forget(key);
    Ok(application)
}

/// Deletes an application with its endpoints and its source; the sweep cancels what is pending.
/// Returns the keys of the endpoints.
pub(super) fn delete(
    transaction: &mut Transaction<'_>,
    environment: Key,
    reference: &Reference,
    now: Timestamp,
) -> Result<Vec<Key>, Stop<WriteError>> {
    let key = visible(transaction.connection, environment, reference)?;
    remove(transaction, key, now)
}

/// Deletes an application that exists, and the source that owns it.
pub(super) fn remove(
    transaction: &mut Transaction<'_>,
    key: Key,
    now: Timestamp,
) -> Result<Vec<Key>, Stop<WriteError>> {
    let connection = transaction.connection;
    source::delete_of(connection, key)?;
    let mut select =
        connection.prepare_cached(include_str!("queries/application_endpoints.sql"))?;
    let endpoints: Vec<Key> =
        select.query_map([key], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for endpoint in &endpoints {
        endpoint::mark_deleted(transaction, *endpoint, now)?;
    }
    let mut cancel = connection.prepare_cached(include_str!("queries/callbacks_cancel.sql"))?;
    cancel.execute((key, now.millis()))?;
    oauth::delete_of(connection, key)?;
    let mut delete = connection.prepare_cached(include_str!("queries/application_delete.sql"))?;
    delete.execute((key, now.millis()))?;
    transaction.memory.routes.forget(key);
    Ok(endpoints)
}

/// Refuses a scope whose application does not exist, or belongs to another environment.
pub(super) fn check_scope(connection: &Connection, scope: Scope) -> Result<(), Stop<WriteError>> {
    let sql = include_str!("queries/application_in_scope.sql");
    if rows::exists(connection, sql, [scope.application, scope.environment])? {
        Ok(())
    } else {
        Err(Stop::Refused(WriteError::NotFound("application")))
    }
}

/// The key of an application that may be changed: operational messages need the hidden one as it
/// is.
pub(super) fn visible(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<Key, Stop<WriteError>> {
    let key = rows::application_key(connection, environment, reference).optional()?;
    if let Some(key) = key
        && !rows::exists(connection, include_str!("queries/application_hidden.sql"), [key])?
    {
        return Ok(key);
    }
    Err(Stop::Refused(WriteError::NotFound("application")))
}

fn check_uid(
    connection: &Connection,
    environment: Key,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let reference = Reference::Uid(uid.to_owned());
    let other = rows::application_key(connection, environment, &reference).optional()?;
    if other.is_some() && other != mine {
        return Err(Stop::Refused(WriteError::Conflict("application uid")));
    }
    Ok(())
}

fn by_key(connection: &Connection, key: Key) -> rusqlite::Result<Application> {
    connection.prepare_cached(include_str!("queries/application.sql"))?.query_row([key], from_row)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Application> {
    Ok(Application {
        id: ApplicationId(rows::id(row, 0, 1)?),
        uid: row.get(2)?,
        name: row.get(3)?,
        metadata: rows::parsed(row, 4)?,
        throttle_rate: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        updated_at: Timestamp(row.get(7)?),
    })
}
