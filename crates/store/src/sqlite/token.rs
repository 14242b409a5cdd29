//! API tokens, of which only hashes are stored.

use ringback_domain::{
    id::{Id, TokenId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{fault::Stop, rows, writer::Transaction};
use crate::{NewToken, TokenRow, WriteError};

/// Stores a token's hash.
pub(super) fn create(
    transaction: &Transaction<'_>,
    new: &NewToken,
) -> Result<(), Stop<WriteError>> {
    let connection = transaction.connection;
    let environments = include_str!("queries/environment_exists.sql");
    if !rows::exists(connection, environments, [new.environment])? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
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
    ))?;
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
    connection
        .prepare_cached(include_str!("queries/token.sql"))?
        .query_row((key, nonce as i64), from_row)
        .optional()?
        .ok_or(Stop::Refused(WriteError::NotFound("token")))
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
        created_at: Timestamp(row.get(6)?),
        expires_at: time(7)?,
        revoked_at: time(8)?,
    })
}
