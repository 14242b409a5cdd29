//! Consumers: how far those are who read an endpoint.

use ringback_domain::{
    id::Key,
    poll::{CONSUMERS, Consumer, Cursor},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, fault::Stop};
use crate::{BoxFuture, CONSUMER_KEPT, Consumers, Unavailable, WriteError};

impl Consumers for Sqlite {
    fn consumer(
        &self,
        endpoint: Key,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Consumer>, Unavailable>> {
        self.read(move |connection| {
            let sql = include_str!("queries/consumer.sql");
            let mut select = connection.prepare_cached(sql)?;
            Ok(select.query_row((endpoint, name), from_row).optional()?)
        })
    }

    fn advance_consumer(
        &self,
        name: String,
        cursor: Cursor,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Consumer, WriteError>> {
        self.change(move |transaction| {
            let Cursor { endpoint, place, turn } = cursor;
            make_room(transaction.connection, endpoint, &name)?;
            let place = place.min(transaction.memory.keys.last());
            let sql = include_str!("queries/consumer_advance.sql");
            let mut put = transaction.connection.prepare_cached(sql)?;
            Ok(put.query_row((endpoint, name, place, turn, now.millis()), from_row)?)
        })
    }

    fn seek_consumer(
        &self,
        endpoint: Key,
        name: String,
        place: Key,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Consumer, WriteError>> {
        self.change(move |transaction| {
            make_room(transaction.connection, endpoint, &name)?;
            let place = place.min(transaction.memory.keys.last());
            let sql = include_str!("queries/consumer_seek.sql");
            let mut put = transaction.connection.prepare_cached(sql)?;
            Ok(put.query_row((endpoint, name, place, now.millis()), from_row)?)
        })
    }
}

/// Refuses a consumer that is one too many.
fn make_room(connection: &Connection, endpoint: Key, name: &str) -> Result<(), Stop<WriteError>> {
    if connection.prepare_cached(include_str!("queries/consumer.sql"))?.exists((endpoint, name))? {
        return Ok(());
    }
    let mut count = connection.prepare_cached(include_str!("queries/consumers_count.sql"))?;
    let there: i64 = count.query_row([endpoint], |row| row.get(0))?;
    if there as u64 >= CONSUMERS {
        return Err(Stop::Refused(WriteError::Limit("consumers")));
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Consumer> {
    Ok(Consumer {
        endpoint: row.get(0)?,
        name: row.get(1)?,
        place: row.get(2)?,
        turn: row.get(3)?,
        created_at: Timestamp(row.get(4)?),
        seen_at: Timestamp(row.get(5)?),
    })
}

/// Deletes consumers at which nobody was for long, up to a bound. Returns how many.
pub(super) fn sweep(
    connection: &Connection,
    now: Timestamp,
    bound: usize,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(include_str!("queries/sweep_consumers.sql"))?;
    delete.execute((now.millis() - CONSUMER_KEPT, bound as i64))
}
