//! Endpoints: creating, changing, deleting, and the revisions of all that.
//!
//! Whatever decides which messages an endpoint gets, or where they go, is a revision: a row under a
//! key that is greater than every message accepted before, and smaller than every one after.

mod secrets;

use ringback_domain::{
    endpoint::{Endpoint, State},
    id::{ApplicationId, EndpointId, Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

pub(super) use self::secrets::{rotate, secrets, set_access, set_headers, set_transformation};
use super::{answer, application, fault::Stop, order, rows, writer::Transaction};
use crate::{
    EndpointChange, Lane, Listed, NewEndpoint, Page, ReadError, Targets, WriteError,
    ordering::Turned, pages::Cut,
};

/// Creates an endpoint with its first secret.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    new: &NewEndpoint,
) -> Result<Endpoint, Stop<WriteError>> {
    let connection = transaction.connection;
    application::check_scope(connection, new.scope)?;
    let key = new.endpoint.id.key();
    if rows::exists(connection, include_str!("queries/endpoint_exists.sql"), [key])? {
        return Err(Stop::Refused(WriteError::Conflict("endpoint id")));
    }
    check_uid(connection, new.scope, new.endpoint.uid.as_deref(), None)?;
    check_count(connection, new)?;
    let now = new.endpoint.created_at;
    let revision = transaction.memory.keys.next(now, 0);
    let endpoint = Endpoint { revision, ..new.endpoint.clone() };
    insert(connection, new, &endpoint)?;
    insert_revision(connection, key)?;
    secrets::insert(transaction, key, &new.secret, now)?;
    transaction.memory.routes.forget(new.scope.application);
    answer::keep(transaction, now, new.answer.as_ref())?;
    Ok(endpoint)
}

/// Refuses an endpoint that is one too many.
fn check_count(connection: &Connection, new: &NewEndpoint) -> Result<(), Stop<WriteError>> {
    let Some(most) = new.most else { return Ok(()) };
    let mut count = connection.prepare_cached(include_str!("queries/endpoints_count.sql"))?;
    let there: i64 = count.query_row([new.scope.application], |row| row.get(0))?;
    if there as u64 >= most { Err(Stop::Refused(WriteError::Limit("endpoints"))) } else { Ok(()) }
}

/// One endpoint.
pub(super) fn get(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<Endpoint, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("endpoint"));
    let key = key(connection, scope, reference)?.ok_or_else(missing)?;
    Ok(by_key(connection, key)?)
}

/// A page of the application's endpoints.
pub(super) fn list(
    connection: &Connection,
    scope: Scope,
    targets: Targets,
    page: &Page,
) -> rusqlite::Result<Listed<Endpoint>> {
    let Cut { walk, low, high } = Cut::new(page);
    let Scope { environment, application } = scope;
    let mut select = connection.prepare_cached(&walk.sql(include_str!("queries/endpoints.sql")))?;
    let destinations = targets.are_destinations();
    let found = select
        .query_map((application, environment, low, high, walk.rows(), destinations), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

/// Changes an endpoint, under a new revision. Returns it, and whether more is left to be let go of an order
/// that it gave up.
pub(super) fn change(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    change: EndpointChange,
    now: Timestamp,
) -> Result<(Endpoint, bool), Stop<WriteError>> {
    let connection = transaction.connection;
    let key = existing(connection, scope, reference)?;
    let mut endpoint = by_key(connection, key)?;
    if let Some(uid) = &change.uid {
        check_uid(connection, scope, uid.as_deref(), Some(key))?;
    }
    if let Some((_, credentials)) = &change.url {
        connection
            .prepare_cached(include_str!("queries/endpoint_set_credentials.sql"))?
            .execute((key, credentials))?;
    }
    if let Some(access) = &change.access {
        connection
            .prepare_cached(include_str!("queries/endpoint_seal_access.sql"))?
            .execute((key, access.as_ref().map(|access| &access.sealed)))?;
    }
    let before = endpoint.delivery.clone();
    change.apply(&mut endpoint);
    endpoint.revision = transaction.memory.keys.next(now, 0);
    endpoint.updated_at = now;
    update(connection, &endpoint)?;
    let turned = Turned::between(before.as_deref(), endpoint.delivery.as_deref());
    let more = order::turn(connection, key, turned)?;
    insert_revision(connection, key)?;
    transaction.memory.routes.forget(scope.application);
    Ok((endpoint, more))
}

/// Deletes an endpoint; the sweep cancels what is pending. Returns its key.
pub(super) fn delete(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    let key = existing(transaction.connection, scope, reference)?;
    mark_deleted(transaction, key, now)?;
    transaction.memory.routes.forget(scope.application);
    Ok(key)
}

/// Marks an endpoint as deleted, under a new revision; its secrets and headers are gone. The caller
/// forgets the application's routes.
pub(super) fn mark_deleted(
    transaction: &mut Transaction<'_>,
    endpoint: Key,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let connection = transaction.connection;
    let revision = transaction.memory.keys.next(now, 0);
    connection.prepare_cached(include_str!("queries/endpoint_delete.sql"))?.execute((
        endpoint,
        State::Deleted.number(),
        revision,
        now.millis(),
    ))?;
    connection.prepare_cached(include_str!("queries/secrets_delete.sql"))?.execute([endpoint])?;
    insert_revision(connection, endpoint)
}

/// What a lane needs to know, of a deleted endpoint too.
pub(super) fn lane(connection: &Connection, endpoint: Key) -> rusqlite::Result<Option<Lane>> {
    let mut select = connection.prepare_cached(include_str!("queries/lane.sql"))?;
    let owner = select
        .query_row([endpoint], |row| {
            let scope = Scope { environment: row.get(0)?, application: row.get(1)? };
            Ok((scope, row.get::<_, i64>(2)? as u64, row.get(3)?))
        })
        .optional()?;
    let Some((scope, nonce, application_uid)) = owner else { return Ok(None) };
    Ok(Some(Lane {
        scope,
        application_uid,
        application: ApplicationId(Id { key: scope.application, shard: 0, nonce }),
        endpoint: by_key(connection, endpoint)?,
        secrets: secrets::of(connection, endpoint)?,
    }))
}

/// Writes down what is in force from now on: the endpoint's row as it is, under its new revision.
pub(super) fn insert_revision(connection: &Connection, endpoint: Key) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/revision_insert.sql"))?;
    insert.execute([endpoint])?;
    Ok(())
}

/// The key of an endpoint that is not deleted.
pub(super) fn key(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> rusqlite::Result<Option<Key>> {
    let by_id = include_str!("queries/endpoint_key.sql");
    let by_uid = include_str!("queries/endpoint_key_by_uid.sql");
    rows::key_in_scope(connection, scope, reference, by_id, by_uid)
}

/// An endpoint from a row that begins with the columns of `endpoint.sql`.
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let failing_since: Option<i64> = row.get(10)?;
    Ok(Endpoint {
        id: EndpointId(rows::id(row, 0, 1)?),
        uid: row.get(2)?,
        url: row.get(3)?,
        description: row.get(4)?,
        event_types: rows::optional(row, 5)?,
        channels: rows::optional(row, 6)?,
        metadata: rows::parsed(row, 7)?,
        throttle_rate: row.get(8)?,
        state: rows::state(row, 9)?,
        failing_since: failing_since.map(Timestamp),
        revision: row.get(11)?,
        created_at: Timestamp(row.get(12)?),
        updated_at: Timestamp(row.get(13)?),
        filter: row.get(14)?,
        sign_as: row.get(15)?,
        delivery: row.get(16)?,
        access: row.get(17)?,
    })
}

fn existing(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<Key, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("endpoint"));
    key(connection, scope, reference)?.ok_or_else(missing)
}

fn by_key(connection: &Connection, key: Key) -> rusqlite::Result<Endpoint> {
    connection.prepare_cached(include_str!("queries/endpoint.sql"))?.query_row([key], from_row)
}

fn check_uid(
    connection: &Connection,
    scope: Scope,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let other = key(connection, scope, &Reference::Uid(uid.to_owned()))?;
    if other.is_some() && other != mine {
        return Err(Stop::Refused(WriteError::Conflict("endpoint uid")));
    }
    Ok(())
}

fn insert(connection: &Connection, new: &NewEndpoint, endpoint: &Endpoint) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/endpoint_insert.sql"))?;
    insert.execute(rusqlite::params![
        endpoint.id.key(),
        endpoint.id.0.nonce as i64,
        new.scope.environment,
        new.scope.application,
        endpoint.uid,
        endpoint.url,
        endpoint.description,
        rows::json_list(endpoint.event_types.as_deref()),
        rows::json_list(endpoint.channels.as_deref()),
        rows::json(&endpoint.metadata)?,
        endpoint.throttle_rate,
        endpoint.state.number(),
        endpoint.failing_since.map(Timestamp::millis),
        endpoint.revision,
        new.headers,
        new.credentials,
        endpoint.created_at.millis(),
        endpoint.updated_at.millis(),
        endpoint.filter,
        endpoint.sign_as,
        endpoint.delivery,
        new.access,
        endpoint.access,
    ])?;
    Ok(())
}

fn update(connection: &Connection, endpoint: &Endpoint) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(include_str!("queries/endpoint_update.sql"))?;
    update.execute(rusqlite::params![
        endpoint.id.key(),
        endpoint.uid,
        endpoint.url,
        endpoint.description,
        rows::json_list(endpoint.event_types.as_deref()),
        rows::json_list(endpoint.channels.as_deref()),
        rows::json(&endpoint.metadata)?,
        endpoint.throttle_rate,
        endpoint.state.number(),
        endpoint.failing_since.map(Timestamp::millis),
        endpoint.revision,
        endpoint.updated_at.millis(),
        endpoint.filter,
        endpoint.sign_as,
        endpoint.delivery,
        endpoint.access,
    ])?;
    Ok(())
}
