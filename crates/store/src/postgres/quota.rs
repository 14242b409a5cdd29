//! What applications may use.

use ringback_domain::{
    id::Key,
    quota::Quota,
    scope::{Reference, Scope},
};
use tokio_postgres::Row;

use super::{
    Postgres, application,
    fault::Stop,
    rows,
    transaction::{Transaction, int4, int8, text},
};
use crate::{BoxFuture, Quotas, ReadError, Unavailable, WriteError};

impl Quotas for Postgres {
    fn quota(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<(Scope, Quota), ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { get(transaction, environment, &application).await })
        })
    }

    fn set_quota(
        &self,
        environment: Key,
        application: Reference,
        quota: Quota,
    ) -> BoxFuture<'_, Result<Scope, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let key = application::visible(transaction, environment, &application).await?;
                let quota = (!quota.is_empty()).then(|| rows::json(&quota));
                let sql = include_str!("queries/quota_set.sql");
                transaction.execute(sql, &[int8(&key), text(&quota)]).await?;
                Ok(Scope { environment, application: key })
            })
        })
    }

    fn quotas(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Scope, Quota)>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let limit = limit as i64;
                let sql = include_str!("queries/quotas.sql");
                let found = transaction.rows(sql, &[int8(&after), int8(&limit)]).await?;
                Ok(found.iter().map(from_row).collect())
            })
        })
    }

    fn pending(&self, scope: Scope, most: u64) -> BoxFuture<'_, Result<u64, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (shard, most) = (rows::shard(scope), i64::try_from(most).unwrap_or(i64::MAX));
                let Scope { environment, application } = scope;
                let parameters =
                    [int4(&shard), int8(&application), int8(&environment), int8(&most)];
                let row = transaction.row(include_str!("queries/pending.sql"), &parameters).await?;
                Ok(row.map_or(0, |row| row.get::<_, i64>(0)) as u64)
            })
        })
    }
}

async fn get(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<(Scope, Quota), Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("application"));
    let key = rows::application_key(transaction, environment, reference).await?;
    let key = key.ok_or_else(missing)?;
    let row = transaction.row(include_str!("queries/quota.sql"), &[int8(&key)]).await?;
    row.as_ref().map(from_row).ok_or_else(missing)
}

fn from_row(row: &Row) -> (Scope, Quota) {
    let scope = Scope { environment: row.get(1), application: row.get(0) };
    (scope, rows::optional(row, 2).unwrap_or_default())
}
