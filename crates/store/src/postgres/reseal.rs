//! What is sealed: walking it, and sealing it anew.

use ringback_domain::time::Timestamp;
use tokio_postgres::{Error, Row};

use super::{
    Postgres,
    transaction::{Transaction, bytea, int4, int8},
};
use crate::{
    BoxFuture, Reseal, Resealed, SealedKind, SealedPlace, SealedValue, SealedWalk, Unavailable,
    reseal::Column,
};

impl Reseal for Postgres {
    fn sealed_values(
        &self,
        walk: SealedWalk,
    ) -> BoxFuture<'_, Result<Vec<SealedValue>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(values(transaction, walk).await?) })
        })
    }

    fn reseal(
        &self,
        kind: SealedKind,
        values: Vec<Resealed>,
    ) -> BoxFuture<'_, Result<usize, Unavailable>> {
        self.change_if(
            |replaced| *replaced > 0,
            move |transaction| {
                Box::pin(async move { Ok(reseal(transaction, kind, &values).await?) })
            },
        )
    }

    fn sealed_answers(
        &self,
        head: Vec<u8>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let sql = include_str!("queries/sealed_answers.sql");
                let row = transaction.row(sql, &[bytea(&head), int8(&now.millis())]).await?;
                Ok(row.map_or(0, |row| row.get::<_, i64>(0) as u64))
            })
        })
    }
}

async fn values(
    transaction: &Transaction<'_>,
    walk: SealedWalk,
) -> Result<Vec<SealedValue>, Error> {
    let SealedWalk { kind, after: SealedPlace([shard, owner, key]), limit, bytes } = walk;
    let (shard, limit) = (shard as i32, limit as i64);
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    let common = [int4(&shard), int8(&owner), int8(&key), int8(&limit)];
    let found = match Column::of(kind) {
        Some(column) => {
            let sql = column.sql(include_str!("queries/sealed_values.sql"));
            let parameters: Vec<_> = common.into_iter().chain([int4(&bytes)]).collect();
            transaction.rows(&sql, &parameters).await?
        }
        None => transaction.rows(include_str!("queries/sealed_headers.sql"), &common).await?,
    };
    Ok(found.iter().map(from_row).collect())
}

fn from_row(row: &Row) -> SealedValue {
    SealedValue {
        place: SealedPlace([0, 1, 2].map(|column| number(row, column))),
        environment: number(row, 3),
        owner: number(row, 4),
        value: row.get(5),
    }
}

/// A number of either size: a constant is a small one.
fn number(row: &Row, column: usize) -> i64 {
    row.try_get(column).unwrap_or_else(|_| row.get::<_, i32>(column).into())
}

async fn reseal(
    transaction: &Transaction<'_>,
    kind: SealedKind,
    values: &[Resealed],
) -> Result<usize, Error> {
    let sql = match Column::of(kind) {
        Some(column) => column.sql(include_str!("queries/reseal.sql")),
        None => include_str!("queries/reseal_headers.sql").to_owned(),
    };
    let mut replaced = 0;
    for Resealed { place: SealedPlace([shard, owner, key]), before, after } in values {
        let shard = *shard as i32;
        let parameters = [int4(&shard), int8(owner), int8(key), bytea(before), bytea(after)];
        replaced += transaction.execute(&sql, &parameters).await? as usize;
    }
    Ok(replaced)
}
