//! What applications may use.

use ringback_domain::{
    id::Key,
    quota::Quota,
    scope::{Reference, Scope},
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, application, fault::Stop, rows};
use crate::{BoxFuture, Quotas, ReadError, Unavailable, WriteError};

impl Quotas for Sqlite {
    fn quota(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<(Scope, Quota), ReadError>> {
        self.read(move |connection| get(connection, environment, &application))
    }

    fn set_quota(
        &self,
        environment: Key,
        application: Reference,
        quota: Quota,
    ) -> BoxFuture<'_, Result<Scope, WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            let key = application::visible(connection, environment, &application)?;
            let quota = (!quota.is_empty()).then(|| rows::json(&quota)).transpose()?;
            let sql = include_str!("queries/quota_set.sql");
            connection.prepare_cached(sql)?.execute((key, quota))?;
            Ok(Scope { environment, application: key })
        })
    }

    fn quotas(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Scope, Quota)>, Unavailable>> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(include_str!("queries/quotas.sql"))?;
            let found = select.query_map((after, limit as i64), from_row)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn pending(&self, scope: Scope, most: u64) -> BoxFuture<'_, Result<u64, Unavailable>> {
        self.read(move |connection| {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut count = connection.prepare_cached(include_str!("queries/pending.sql"))?;
            let parameters = (scope.application, scope.environment, most);
            Ok(count.query_row(parameters, |row| row.get::<_, i64>(0))? as u64)
        })
    }
}

fn get(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<(Scope, Quota), Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("application"));
    let key = rows::application_key(connection, environment, reference).optional()?;
    let mut select = connection.prepare_cached(include_str!("queries/quota.sql"))?;
    let found = select.query_row([key.ok_or_else(missing)?], from_row).optional()?;
    found.ok_or_else(missing)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Scope, Quota)> {
    let scope = Scope { environment: row.get(1)?, application: row.get(0)? };
    Ok((scope, rows::optional(row, 2)?.unwrap_or_default()))
}
