//! Counting what happened.

use ringback_domain::{
    id::{Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, endpoint,
    fault::Stop,
    rows,
    transaction::{Transaction, int4, int8},
};
use crate::{
    AttemptStats, BoxFuture, EndpointStats, Rank, ReadError, Statistics, Unavailable, Usage, Window,
};

impl Statistics for Postgres {
    fn endpoint_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<EndpointStats, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let counted = Counted::new(transaction, scope, &endpoint).await?;
                Ok(counted.endpoint_stats(window).await?)
            })
        })
    }

    fn attempt_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<AttemptStats, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let counted = Counted::new(transaction, scope, &endpoint).await?;
                Ok(counted.attempt_stats(window).await?)
            })
        })
    }

    fn usage(
        &self,
        scope: Scope,
        window: Window,
        after: Key,
    ) -> BoxFuture<'_, Result<Usage, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(usage(transaction, scope, window, after).await?) })
        })
    }
}

/// The endpoint that is counted for.
struct Counted<'a> {
    transaction: &'a Transaction<'a>,
    shard: i32,
    endpoint: Key,
}

impl<'a> Counted<'a> {
    async fn new(
        transaction: &'a Transaction<'a>,
        scope: Scope,
        reference: &Reference,
    ) -> Result<Counted<'a>, Stop<ReadError>> {
        // One snapshot for all the reads.
        let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        transaction.execute(snapshot, &[]).await?;
        let missing = Stop::Refused(ReadError::NotFound("endpoint"));
        let endpoint = endpoint::key(transaction, scope, reference).await?.ok_or(missing)?;
        Ok(Counted { transaction, shard: rows::shard(scope), endpoint })
    }

    async fn endpoint_stats(&self, window: Window) -> Result<EndpointStats, Error> {
        // Messages of the window are attempted in it and afterwards.
        let later = Window { until: Timestamp(i64::MAX), ..window };
        let window = window.after(self.oldest_attempt(later).await?);
        let window = window.after(self.oldest_due(window).await?);
        let (first, end) = window.keys();
        let since = window.since.millis();
        let parameters =
            [int4(&self.shard), int8(&self.endpoint), int8(&first), int8(&end), int8(&since)];
        let sql = include_str!("queries/stats_endpoint.sql");
        let row = self.transaction.row(sql, &parameters).await?;
        let count = |column| row.as_ref().map_or(0, |row| number(row, column));
        Ok(EndpointStats {
            success: count(0),
            pending: count(1),
            sending: count(2),
            fail: count(3),
            since: window.since,
        })
    }

    async fn attempt_stats(&self, window: Window) -> Result<AttemptStats, Error> {
        let window = window.after(self.oldest_attempt(window).await?);
        let (first, end) = window.keys();
        let parameters = [int4(&self.shard), int8(&self.endpoint), int8(&first), int8(&end)];
        let sql = include_str!("queries/stats_attempts.sql");
        let row = self.transaction.row(sql, &parameters).await?;
        let count = |column| row.as_ref().map_or(0, |row| number(row, column));
        Ok(AttemptStats { success: count(0), fail: count(1), since: window.since })
    }

    /// When the first attempt began that is one too many to be counted, if there is one.
    async fn oldest_attempt(&self, window: Window) -> Result<Option<Timestamp>, Error> {
        let (first, end) = window.keys();
        let skip = window.most as i64;
        let parameters =
            [int4(&self.shard), int8(&self.endpoint), int8(&first), int8(&end), int8(&skip)];
        let sql = include_str!("queries/stats_reach_attempts.sql");
        let row = self.transaction.row(sql, &parameters).await?;
        Ok(row.map(|row| Id { key: row.get(0), shard: 0, nonce: 0 }.created_at()))
    }

    /// When the first delivery is due that is one too many to be counted, if there is one.
    async fn oldest_due(&self, window: Window) -> Result<Option<Timestamp>, Error> {
        let (since, skip) = (window.since.millis(), window.most as i64);
        let parameters = [int4(&self.shard), int8(&self.endpoint), int8(&since), int8(&skip)];
        let sql = include_str!("queries/stats_reach_deliveries.sql");
        let row = self.transaction.row(sql, &parameters).await?;
        Ok(row.map(|row| Rank::read(row.get(0)).1))
    }
}

async fn usage(
    transaction: &Transaction<'_>,
    scope: Scope,
    window: Window,
    after: Key,
) -> Result<Usage, Error> {
    let (first, end) = window.keys();
    let (shard, after, step) = (rows::shard(scope), after.max(first - 1), window.most as i64);
    let parameters = [
        int4(&shard),
        int8(&scope.application),
        int8(&scope.environment),
        int8(&after),
        int8(&end),
        int8(&step),
    ];
    let row = transaction.row(include_str!("queries/usage.sql"), &parameters).await?;
    let Some(row) = row else { return Ok(Usage::default()) };
    let messages = number(&row, 0);
    let last: Option<Key> = row.get(2);
    let reached = last.filter(|_| messages == window.most as u64);
    Ok(Usage { messages, destinations: number(&row, 1), reached })
}

/// A column that counts.
fn number(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column) as u64
}
