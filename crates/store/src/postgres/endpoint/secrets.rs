//! The sealed parts of an endpoint: signing secrets, headers, credentials, its transformation, what opens it.

use ringback_domain::{
    endpoint::SealedSecret,
    id::Key,
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::super::{
    answer, application,
    fault::Stop,
    transaction::{Transaction, bytea, int8, text},
};
use crate::{EndpointSecrets, ReadError, RotateSecret, SECRETS_LIMIT, SealedAccess, WriteError};

/// The sealed parts of one endpoint.
pub(in crate::postgres) async fn secrets(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<EndpointSecrets, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("endpoint"));
    let key = super::key(transaction, scope, reference).await?.ok_or_else(missing)?;
    let rows = transaction.rows(include_str!("../queries/secrets.sql"), &[int8(&key)]).await?;
    Ok(from_rows(key, &rows, 0))
}

/// Puts a new secret in front; the others end at `old_until` or before. Returns the endpoint's key.
pub(in crate::postgres) async fn rotate(
    transaction: &Transaction<'_>,
    rotate: &RotateSecret,
) -> Result<Key, Stop<WriteError>> {
    application::lock(transaction, rotate.scope).await?;
    let key = super::existing(transaction, rotate.scope, &rotate.endpoint).await?;
    let (until, now) = (rotate.old_until.millis(), rotate.now.millis());
    let sql = include_str!("../queries/secrets_expire.sql");
    transaction.execute(sql, &[int8(&key), int8(&until)]).await?;
    let sql = include_str!("../queries/secrets_drop_expired.sql");
    transaction.execute(sql, &[int8(&key), int8(&now)]).await?;
    let sql = include_str!("../queries/secrets_count.sql");
    let others: i64 = transaction.row(sql, &[int8(&key)]).await?.map_or(0, |row| row.get(0));
    if others >= SECRETS_LIMIT as i64 {
        return Err(Stop::Refused(WriteError::Limit("signing secrets")));
    }
    insert(transaction, key, &rotate.secret, rotate.now).await?;
    let sql = include_str!("../queries/endpoint_touch.sql");
    transaction.execute(sql, &[int8(&key), int8(&now)]).await?;
    answer::keep(transaction, rotate.now, rotate.answer.as_ref()).await?;
    Ok(key)
}

/// Replaces the sealed headers, unless someone else did so in between. Returns the endpoint's key.
pub(in crate::postgres) async fn set_headers(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, sealed): (Option<Vec<u8>>, Option<Vec<u8>>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    application::lock(transaction, scope).await?;
    let key = super::existing(transaction, scope, reference).await?;
    let sql = include_str!("../queries/endpoint_set_headers.sql");
    let now = now.millis();
    let parameters = [int8(&key), bytea(&expected), bytea(&sealed), int8(&now)];
    let changed = transaction.execute(sql, &parameters).await?;
    if changed == 1 { Ok(key) } else { Err(Stop::Refused(WriteError::Conflict("header change"))) }
}

/// Replaces the sealed transformation, unless someone else did so in between. Returns the endpoint's
/// key.
pub(in crate::postgres) async fn set_transformation(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, sealed): (Option<Vec<u8>>, Option<Vec<u8>>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    application::lock(transaction, scope).await?;
    let key = super::existing(transaction, scope, reference).await?;
    let sql = include_str!("../queries/endpoint_set_transformation.sql");
    let now = now.millis();
    let parameters = [int8(&key), bytea(&expected), bytea(&sealed), int8(&now)];
    let changed = transaction.execute(sql, &parameters).await?;
    let conflict = || Stop::Refused(WriteError::Conflict("transformation change"));
    if changed == 1 { Ok(key) } else { Err(conflict()) }
}

/// Replaces what opens the endpoint, unless someone else did so in between. Returns its key.
pub(in crate::postgres) async fn set_access(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    (expected, access): (Option<Vec<u8>>, Option<SealedAccess>),
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    application::lock(transaction, scope).await?;
    let key = super::existing(transaction, scope, reference).await?;
    let (sealed, shown) = access.map(|access| (access.sealed, access.shown)).unzip();
    let sql = include_str!("../queries/endpoint_set_access.sql");
    let now = now.millis();
    let parameters = [int8(&key), bytea(&expected), bytea(&sealed), text(&shown), int8(&now)];
    let changed = transaction.execute(sql, &parameters).await?;
    if changed == 1 { Ok(key) } else { Err(Stop::Refused(WriteError::Conflict("access change"))) }
}

/// Adds a secret, in front of those that are there.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    endpoint: Key,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    let key = transaction.next_key(now);
    let sql = include_str!("../queries/secret_insert.sql");
    transaction.execute(sql, &[int8(&key), int8(&endpoint), bytea(&sealed)]).await?;
    Ok(())
}

/// The sealed parts of an endpoint from rows that have the columns of `secrets.sql` from `first`
/// on.
pub(super) fn from_rows(endpoint: Key, rows: &[Row], first: usize) -> EndpointSecrets {
    let secret = |row: &Row| {
        let expires_at: Option<i64> = row.get(first + 1);
        let sealed: Option<Vec<u8>> = row.get(first);
        sealed.map(|sealed| SealedSecret { sealed, expires_at: expires_at.map(Timestamp) })
    };
    // They are the same in every row.
    let common = rows.first();
    EndpointSecrets {
        endpoint,
        secrets: rows.iter().filter_map(secret).collect(),
        headers: common.and_then(|row| row.get(first + 2)),
        credentials: common.and_then(|row| row.get(first + 3)),
        transformation: common.and_then(|row| row.get(first + 4)),
        access: common.and_then(|row| row.get(first + 5)),
    }
}
