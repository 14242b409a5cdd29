//! The sealed parts of an endpoint: signing secrets, headers, credentials, its transformation, what opens it.

use ringback_domain::{
    endpoint::SealedSecret,
    id::Key,
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::Connection;

use super::super::{answer, fault::Stop, writer::Transaction};
use crate::{EndpointSecrets, ReadError, RotateSecret, SECRETS_LIMIT, SealedAccess, WriteError};

/// The sealed parts of one endpoint.
pub(in crate::sqlite) fn secrets(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<EndpointSecrets, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("endpoint"));
    let key = super::key(connection, scope, reference)?.ok_or_else(missing)?;
    Ok(of(connection, key)?)
}

/// Puts a new secret in front; the others end at `old_until` or before. Returns the endpoint's key.
pub(in crate::sqlite) fn rotate(
    transaction: &mut Transaction<'_>,
    rotate: &RotateSecret,
) -> Result<Key, Stop<WriteError>> {
    let connection = transaction.connection;
    let key = super::existing(connection, rotate.scope, &rotate.endpoint)?;
    connection
        .prepare_cached(include_str!("../queries/secrets_expire.sql"))?
        .execute((key, rotate.old_until.millis()))?;
    connection
        .prepare_cached(include_str!("../queries/secrets_drop_expired.sql"))?
        .execute((key, rotate.now.millis()))?;
    let others: i64 = connection
        .prepare_cached(include_str!("../queries/secrets_count.sql"))?
        .query_row([key], |row| row.get(0))?;
    if others >= SECRETS_LIMIT as i64 {
        return Err(Stop::Refused(WriteError::Limit("signing secrets")));
    }
    insert(transaction, key, &rotate.secret, rotate.now)?;
    connection
        .prepare_cached(include_str!("../queries/endpoint_touch.sql"))?
        .execute((key, rotate.now.millis()))?;
    answer::keep(transaction, rotate.now, rotate.answer.as_ref())?;
    Ok(key)
}

/// Replaces the sealed headers, unless someone else did so in between. Returns the endpoint's key.
pub(in crate::sqlite) fn set_headers(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, sealed): (Option<Vec<u8>>, Option<Vec<u8>>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    let connection = transaction.connection;
    let key = super::existing(connection, scope, reference)?;
    let changed = connection
        .prepare_cached(include_str!("../queries/endpoint_set_headers.sql"))?
        .execute((key, expected, sealed, now.millis()))?;
    if changed == 1 { Ok(key) } else { Err(Stop::Refused(WriteError::Conflict("header change"))) }
}

/// Replaces the sealed transformation, unless someone else did so in between. Returns the endpoint's
/// key.
pub(in crate::sqlite) fn set_transformation(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, sealed): (Option<Vec<u8>>, Option<Vec<u8>>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    let connection = transaction.connection;
    let key = super::existing(connection, scope, reference)?;
    let changed = connection
        .prepare_cached(include_str!("../queries/endpoint_set_transformation.sql"))?
        .execute((key, expected, sealed, now.millis()))?;
    let conflict = || Stop::Refused(WriteError::Conflict("transformation change"));
    if changed == 1 { Ok(key) } else { Err(conflict()) }
}

/// Replaces what opens the endpoint, unless someone else did so in between. Returns its key.
pub(in crate::sqlite) fn set_access(
    transaction: &mut Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, access): (Option<Vec<u8>>, Option<SealedAccess>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    let connection = transaction.connection;
    let key = super::existing(connection, scope, reference)?;
    let (sealed, shown) = access.map(|access| (access.sealed, access.shown)).unzip();
    let changed = connection
        .prepare_cached(include_str!("../queries/endpoint_set_access.sql"))?
        .execute((key, expected, sealed, shown, now.millis()))?;
    if changed == 1 { Ok(key) } else { Err(Stop::Refused(WriteError::Conflict("access change"))) }
}

/// Adds a secret, in front of those that are there.
pub(super) fn insert(
    transaction: &mut Transaction<'_>,
    endpoint: Key,
    sealed: &[u8],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let key = transaction.memory.keys.next(now, 0);
    transaction
        .connection
        .prepare_cached(include_str!("../queries/secret_insert.sql"))?
        .execute((key, endpoint, sealed))?;
    Ok(())
}

/// The sealed parts of the endpoint with this key.
pub(super) fn of(connection: &Connection, endpoint: Key) -> rusqlite::Result<EndpointSecrets> {
    let mut select = connection.prepare_cached(include_str!("../queries/secrets.sql"))?;
    let secrets = select
        .query_map([endpoint], |row| {
            let expires_at: Option<i64> = row.get(1)?;
            Ok(SealedSecret { sealed: row.get(0)?, expires_at: expires_at.map(Timestamp) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut sealed = connection.prepare_cached(include_str!("../queries/endpoint_sealed.sql"))?;
    sealed.query_row([endpoint], |row| {
        Ok(EndpointSecrets {
            endpoint,
            secrets,
            headers: row.get(0)?,
            credentials: row.get(1)?,
            transformation: row.get(2)?,
            access: row.get(3)?,
        })
    })
}
