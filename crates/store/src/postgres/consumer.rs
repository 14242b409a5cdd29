//! Consumers: how far those are who read an endpoint.

use ringback_domain::{
    id::Key,
    poll::{CONSUMERS, Consumer, Cursor},
    time::Timestamp,
};
use tokio_postgres::Row;

use super::{
    Postgres,
    fault::Stop,
    transaction::{Transaction, int8, text},
};
use crate::{BoxFuture, Consumers, Unavailable, WriteError};

impl Consumers for Postgres {
    fn consumer(
        &self,
        endpoint: Key,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Consumer>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let sql = include_str!("queries/consumer.sql");
                let row = transaction.row(sql, &[int8(&endpoint), text(&name)]).await?;
                Ok(row.as_ref().map(from_row))
            })
        })
    }

    fn advance_consumer(
        &self,
        name: String,
        cursor: Cursor,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Consumer, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let Cursor { endpoint, place, turn } = cursor;
                make_room(transaction, endpoint, &name).await?;
                let place = place.min(transaction.node().keys.settled());
                let (turn, now) = (i64::from(turn), now.millis());
                let parameters =
                    [int8(&endpoint), text(&name), int8(&place), int8(&turn), int8(&now)];
                let sql = include_str!("queries/consumer_advance.sql");
                let row = transaction.row(sql, &parameters).await?;
                row.as_ref().map(from_row).ok_or(missing())
            })
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
            Box::pin(async move {
                make_room(transaction, endpoint, &name).await?;
                let place = place.min(transaction.node().keys.settled());
                let now = now.millis();
                let parameters = [int8(&endpoint), text(&name), int8(&place), int8(&now)];
                let sql = include_str!("queries/consumer_seek.sql");
                let row = transaction.row(sql, &parameters).await?;
                row.as_ref().map(from_row).ok_or(missing())
            })
        })
    }
}

fn missing() -> Stop<WriteError> {
    Stop::Refused(WriteError::NotFound("consumer"))
}

/// Refuses a consumer that is one too many.
async fn make_room(
    transaction: &Transaction<'_>,
    endpoint: Key,
    name: &str,
) -> Result<(), Stop<WriteError>> {
    let named = [int8(&endpoint), text(&name)];
    if transaction.row(include_str!("queries/consumer.sql"), &named).await?.is_some() {
        return Ok(());
    }
    let sql = include_str!("queries/consumers_count.sql");
    let there = transaction.row(sql, &[int8(&endpoint)]).await?;
    let there = there.map_or(0, |row| row.get::<_, i64>(0));
    if there as u64 >= CONSUMERS {
        return Err(Stop::Refused(WriteError::Limit("consumers")));
    }
    Ok(())
}

fn from_row(row: &Row) -> Consumer {
    Consumer {
        endpoint: row.get(0),
        name: row.get(1),
        place: row.get(2),
        turn: row.get::<_, i64>(3) as u32,
        created_at: Timestamp(row.get(4)),
        seen_at: Timestamp(row.get(5)),
    }
}
