//! API tokens, of which only hashes are stored.

use std::sync::Arc;

use ringback_domain::{
    access::{Capabilities, Grant, Role},
    id::{ApplicationId, Id, TokenId},
    scope::Scope,
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    answer, application,
    fault::Stop,
    rows,
    transaction::{Transaction, bytea, int8, text},
};
use crate::{NewToken, TokenRow, WriteError};

/// Stores a token's hash.
pub(super) async fn create(
    transaction: &Transaction<'_>,
    new: &NewToken,
) -> Result<(), Stop<WriteError>> {
    let environments = include_str!("queries/environment_exists.sql");
    if !transaction.holds(environments, &[int8(&new.environment)]).await? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    if let Some(application) = new.grant.application {
        let (environment, application) = (new.environment, application.key());
        application::check_scope(transaction, Scope { environment, application }).await?;
    }
    let (key, nonce, hash) = (new.id.key(), new.id.0.nonce as i64, new.hash.as_slice());
    let created_at = new.created_at.millis();
    let expires_at = new.expires_at.map(Timestamp::millis);
    let (role, capabilities) = (new.grant.role.number(), new.grant.capabilities.number());
    let application = new.grant.application.map(ApplicationId::key);
    let flags = rows::json_list(new.grant.flags.as_deref());
    let parameters = [
        int8(&key),
        int8(&nonce),
        int8(&new.environment),
        bytea(&hash),
        text(&new.hint),
        text(&new.name),
        int8(&created_at),
        int8(&expires_at),
        int8(&role),
        int8(&application),
        int8(&capabilities),
        text(&flags),
        text(&new.session),
    ];
    let inserted = transaction.execute(include_str!("queries/token_insert.sql"), &parameters);
    if inserted.await? == 0 {
        return Err(Stop::Refused(WriteError::Conflict("token")));
    }
    answer::keep(transaction, new.created_at, new.answer.as_ref()).await?;
    Ok(())
}

/// All tokens, newest first.
pub(super) async fn list(transaction: &Transaction<'_>) -> Result<Vec<TokenRow>, Error> {
    let found = transaction.rows(include_str!("queries/tokens.sql"), &[]).await?;
    Ok(found.iter().map(from_row).collect())
}

/// Revokes a token; the first revocation's time stays.
pub(super) async fn revoke(
    transaction: &Transaction<'_>,
    token: TokenId,
    now: Timestamp,
) -> Result<TokenRow, Stop<WriteError>> {
    let Id { key, nonce, .. } = token.0;
    let (nonce, now) = (nonce as i64, now.millis());
    let parameters = [int8(&key), int8(&nonce), int8(&now)];
    transaction.execute(include_str!("queries/token_revoke.sql"), &parameters).await?;
    one(transaction, token).await?.ok_or(Stop::Refused(WriteError::NotFound("token")))
}

/// A token by its id.
pub(super) async fn one(
    transaction: &Transaction<'_>,
    token: TokenId,
) -> Result<Option<TokenRow>, Error> {
    let Id { key, nonce, .. } = token.0;
    let nonce = nonce as i64;
    let sql = include_str!("queries/token.sql");
    let row = transaction.row(sql, &[int8(&key), int8(&nonce)]).await?;
    Ok(row.as_ref().map(from_row))
}

/// The token with this hash.
pub(super) async fn by_hash(
    transaction: &Transaction<'_>,
    hash: [u8; 32],
) -> Result<Option<TokenRow>, Error> {
    let hash = hash.as_slice();
    let row = transaction.row(include_str!("queries/token_by_hash.sql"), &[bytea(&hash)]).await?;
    Ok(row.as_ref().map(from_row))
}

fn from_row(row: &Row) -> TokenRow {
    let time = |column| row.get::<_, Option<i64>>(column).map(Timestamp);
    TokenRow {
        id: TokenId(rows::id(row, 0, 1)),
        environment: row.get(2),
        environment_name: row.get(3),
        hint: row.get(4),
        name: row.get(5),
        grant: grant(row),
        created_at: Timestamp(row.get(6)),
        expires_at: time(7),
        revoked_at: time(8),
    }
}

/// What the columns after the first nine say. A role that this program does not know allows
/// nothing.
fn grant(row: &Row) -> Grant {
    let application: Option<i64> = row.get(10);
    Grant {
        role: Role::from_number(row.get(9)).unwrap_or(Role::Portal),
        application: application.map(|_| ApplicationId(rows::id(row, 10, 11))),
        capabilities: Capabilities::from_number(row.get(12)),
        flags: rows::optional::<Vec<String>>(row, 13).map(Arc::from),
    }
}
