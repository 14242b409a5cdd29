//! API tokens, of which only hashes are stored.

use std::sync::Arc;

use ringback_domain::{
    access::{Capabilities, Grant, Role},
    id::{ApplicationId, Id, TokenId},
    scope::Scope,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{answer, application, fault::Stop, rows, writer::Transaction};
use crate::{NewToken, TokenRow, WriteError};

/// Stores a token's hash.
pub(super) fn create(
    transaction: &mut Transaction<'_>,
    new: &NewToken,
) -> Result<(), Stop<WriteError>> {
    let connection = transaction.connection;
    let environments = include_str!("queries/environment_exists.sql");
    if !rows::exists(connection, environments, [new.environment])? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    if let Some(application) = new.grant.application {
        let (environment, application) = (new.environment, application.key());
        application::check_scope(connection, Scope { environment, application })?;
    }
    let known = include_str!("queries/token_exists.sql");
    if rows::exists(connection, known, (new.id.key(), new.hash))? {
        return Err(Stop::Refused(WriteError::Conflict("token")));
    }
    connection.prepare_cached(include_str!("queries/token_insert.sql"))?.execute((
        new.id.key(),
        new.id.0.nonce as i64,
        new.environment,
        new.hash,
        &new.hint,
        &new.name,
        new.created_at.millis(),
        new.expires_at.map(Timestamp::millis),
        new.grant.role.number(),
        new.grant.application.map(ApplicationId::key),
        new.grant.capabilities.number(),
        rows::json_list(new.grant.flags.as_deref()),
        &new.session,
    ))?;
    answer::keep(transaction, new.created_at, new.answer.as_ref())?;
    Ok(())
}

/// All tokens, newest first.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<TokenRow>> {
    let mut select = connection.prepare_cached(include_str!("queries/tokens.sql"))?;
    select.query_map([], from_row)?.collect()
}

/// Revokes a token; the first revocation's time stays.
pub(super) fn revoke(
    transaction: &Transaction<'_>,
    token: TokenId,
    now: Timestamp,
) -> Result<TokenRow, Stop<WriteError>> {
    let connection = transaction.connection;
    let Id { key, nonce, .. } = token.0;
    connection.prepare_cached(include_str!("queries/token_revoke.sql"))?.execute((
        key,
        nonce as i64,
        now.millis(),
    ))?;
    one(connection, token)?.ok_or(Stop::Refused(WriteError::NotFound("token")))
}

/// A token by its id.
pub(super) fn one(connection: &Connection, token: TokenId) -> rusqlite::Result<Option<TokenRow>> {
    let Id { key, nonce, .. } = token.0;
    connection
        .prepare_cached(include_str!("queries/token.sql"))?
        .query_row((key, nonce as i64), from_row)
        .optional()
}

/// The token with this hash.
pub(super) fn by_hash(
    connection: &Connection,
    hash: [u8; 32],
) -> rusqlite::Result<Option<TokenRow>> {
    connection
        .prepare_cached(include_str!("queries/token_by_hash.sql"))?
        .query_row([hash], from_row)
        .optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    Ok(TokenRow {
        id: TokenId(rows::id(row, 0, 1)?),
        environment: row.get(2)?,
        environment_name: row.get(3)?,
        hint: row.get(4)?,
        name: row.get(5)?,
        grant: grant(row)?,
        created_at: Timestamp(row.get(6)?),
        expires_at: time(7)?,
        revoked_at: time(8)?,
    })
}

/// What the columns after the first nine say. A role that this program does not know allows
/// nothing.
fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    let application: Option<i64> = row.get(10)?;
    let application = application.map(|_| rows::id(row, 10, 11)).transpose()?;
    Ok(Grant {
        role: Role::from_number(row.get(9)?).unwrap_or(Role::Portal),
        application: application.map(ApplicationId),
        capabilities: Capabilities::from_number(row.get(12)?),
        flags: rows::optional::<Vec<String>>(row, 13)?.map(Arc::from),
    })
}
