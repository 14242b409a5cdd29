//! What is sealed: walking it, and sealing it anew.

use ringback_domain::time::Timestamp;
use rusqlite::{Connection, Row};

use super::Sqlite;
use crate::{
    BoxFuture, Reseal, Resealed, SealedKind, SealedPlace, SealedValue, SealedWalk, Unavailable,
    reseal::Column,
};

impl Reseal for Sqlite {
    fn sealed_values(
        &self,
        walk: SealedWalk,
    ) -> BoxFuture<'_, Result<Vec<SealedValue>, Unavailable>> {
        self.read(move |connection| Ok(values(connection, walk)?))
    }

    fn reseal(
        &self,
        kind: SealedKind,
        values: Vec<Resealed>,
    ) -> BoxFuture<'_, Result<usize, Unavailable>> {
        self.change_if(
            |replaced| *replaced > 0,
            move |transaction| Ok(reseal(transaction.connection, kind, &values)?),
        )
    }

    fn sealed_answers(
        &self,
        head: Vec<u8>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, Unavailable>> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/sealed_answers.sql"))?;
            let count: i64 = select.query_row((head, now.millis()), |row| row.get(0))?;
            Ok(count as u64)
        })
    }
}

fn values(connection: &Connection, walk: SealedWalk) -> rusqlite::Result<Vec<SealedValue>> {
    let SealedWalk { kind, after: SealedPlace([_, owner, key]), limit, bytes } = walk;
    // More than that is everything; a negative number would count from the end.
    let (limit, bytes) = (limit as i64, i32::try_from(bytes).unwrap_or(i32::MAX));
    let Some(column) = Column::of(kind) else {
        let mut select = connection.prepare_cached(include_str!("queries/sealed_headers.sql"))?;
        return select.query_map((0, owner, key, limit), from_row)?.collect();
    };
    let sql = column.sql(include_str!("queries/sealed_values.sql"));
    let mut select = connection.prepare_cached(&sql)?;
    select.query_map((0, owner, key, limit, bytes), from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<SealedValue> {
    Ok(SealedValue {
        place: SealedPlace([row.get(0)?, row.get(1)?, row.get(2)?]),
        environment: row.get(3)?,
        owner: row.get(4)?,
        value: row.get(5)?,
    })
}

fn reseal(
    connection: &Connection,
    kind: SealedKind,
    values: &[Resealed],
) -> rusqlite::Result<usize> {
    let sql = match Column::of(kind) {
        Some(column) => column.sql(include_str!("queries/reseal.sql")),
        None => include_str!("queries/reseal_headers.sql").to_owned(),
    };
    let mut update = connection.prepare_cached(&sql)?;
    values.iter().try_fold(0, |replaced, Resealed { place, before, after }| {
        let [shard, owner, key] = place.0;
        Ok(replaced + update.execute((shard, owner, key, before, after))?)
    })
}
