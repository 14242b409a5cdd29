//! Counting what happened.

use ringback_domain::{
    id::{Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, endpoint, fault::Stop};
use crate::{
    AttemptStats, BoxFuture, EndpointStats, Rank, ReadError, Statistics, Unavailable, Usage, Window,
};

impl Statistics for Sqlite {
    fn endpoint_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<EndpointStats, ReadError>> {
        self.read(move |connection| {
            // One snapshot for all the reads.
            let snapshot = connection.unchecked_transaction()?;
            let endpoint = existing(&snapshot, scope, &endpoint)?;
            Ok(endpoint_stats(&snapshot, endpoint, window)?)
        })
    }

    fn attempt_stats(
        &self,
        scope: Scope,
        endpoint: Reference,
        window: Window,
    ) -> BoxFuture<'_, Result<AttemptStats, ReadError>> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let endpoint = existing(&snapshot, scope, &endpoint)?;
            Ok(attempt_stats(&snapshot, endpoint, window)?)
        })
    }

    fn usage(
        &self,
        scope: Scope,
        window: Window,
        after: Key,
    ) -> BoxFuture<'_, Result<Usage, Unavailable>> {
        self.read(move |connection| Ok(usage(connection, scope, window, after)?))
    }
}

fn existing(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
) -> Result<Key, Stop<ReadError>> {
    let missing = Stop::Refused(ReadError::NotFound("endpoint"));
    endpoint::key(connection, scope, reference)?.ok_or(missing)
}

fn endpoint_stats(
    connection: &Connection,
    endpoint: Key,
    window: Window,
) -> rusqlite::Result<EndpointStats> {
    // Messages of the window are attempted in it and afterwards.
    let later = Window { until: Timestamp(i64::MAX), ..window };
    let window = window.after(oldest_attempt(connection, endpoint, later)?);
    let mut pending =
        connection.prepare_cached(include_str!("queries/stats_reach_deliveries.sql"))?;
    let oldest_due = pending
        .query_row((endpoint, window.since.millis(), window.most as i64), |row| row.get(0))
        .optional()?;
    let window = window.after(oldest_due.map(|due_at| Rank::read(due_at).1));
    let (first, end) = window.keys();
    connection.prepare_cached(include_str!("queries/stats_endpoint.sql"))?.query_row(
        (endpoint, first, end, window.since.millis()),
        |row| {
            Ok(EndpointStats {
                success: number(row, 0)?,
                pending: number(row, 1)?,
                sending: number(row, 2)?,
                fail: number(row, 3)?,
                since: window.since,
            })
        },
    )
}

fn attempt_stats(
    connection: &Connection,
    endpoint: Key,
    window: Window,
) -> rusqlite::Result<AttemptStats> {
    let window = window.after(oldest_attempt(connection, endpoint, window)?);
    let (first, end) = window.keys();
    connection.prepare_cached(include_str!("queries/stats_attempts.sql"))?.query_row(
        (endpoint, first, end),
        |row| {
            let (success, fail) = (number(row, 0)?, number(row, 1)?);
            Ok(AttemptStats { success, fail, since: window.since })
        },
    )
}

/// When the first attempt began that is one too many to be counted, if there is one.
fn oldest_attempt(
    connection: &Connection,
    endpoint: Key,
    window: Window,
) -> rusqlite::Result<Option<Timestamp>> {
    let (first, end) = window.keys();
    let mut select = connection.prepare_cached(include_str!("queries/stats_reach_attempts.sql"))?;
    let key: Option<Key> = select
        .query_row((endpoint, first, end, window.most as i64), |row| row.get(0))
        .optional()?;
    Ok(key.map(|key| Id { key, shard: 0, nonce: 0 }.created_at()))
}

fn usage(
    connection: &Connection,
    scope: Scope,
    window: Window,
    after: Key,
) -> rusqlite::Result<Usage> {
    let (first, end) = window.keys();
    let after = after.max(first - 1);
    let step = window.most as u64;
    connection.prepare_cached(include_str!("queries/usage.sql"))?.query_row(
        (scope.application, scope.environment, after, end, step as i64),
        |row| {
            let messages = number(row, 0)?;
            let last: Option<Key> = row.get(2)?;
            Ok(Usage {
                messages,
                destinations: number(row, 1)?,
                reached: last.filter(|_| messages == step),
            })
        },
    )
}

/// A column that counts.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}
