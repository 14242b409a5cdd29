//! Why a message went where it went, for every endpoint of its application.
//!
//! The verdict is not stored: it follows from the endpoint's revision with the greatest key up to
//! what the message's append knew, by the same rule that decided then.

use std::collections::HashMap;

use ringback_domain::{
    id::Key,
    message::Message,
    route::{Filter, Verdict},
    scope::{Reference, Scope},
};
use tokio_postgres::{Error, Row};

use super::{
    attempt, endpoint,
    fault::Stop,
    message, rows,
    transaction::{Transaction, int4, int8},
};
use crate::{Explained, Explanation, Pending, Rank, ReadError};

/// How far the deliveries of one endpoint are.
struct Progress {
    attempts: u32,
    last: Key,
    delivered: bool,
}

/// One line per endpoint that the application has, or had when the message was accepted.
pub(super) async fn explain(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Explanation, Stop<ReadError>> {
    // One snapshot for all the reads.
    let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    transaction.execute(snapshot, &[]).await?;
    let message = message::get(transaction, scope, reference, false).await?;
    let key = message.id.key();
    let pending = pending(transaction, scope, key).await?;
    let progress = progress(transaction, scope, key).await?;
    let mut endpoints = lines(transaction, scope, &message).await?;
    for line in &mut endpoints {
        let endpoint = line.endpoint.id.key();
        line.pending = pending.get(&endpoint).copied();
        let Some(progress) = progress.get(&endpoint) else { continue };
        line.attempts = progress.attempts;
        line.delivered = progress.delivered;
        line.last = attempt::by_key(transaction, scope, key, progress.last).await?;
    }
    Ok(Explanation { message, endpoints })
}

async fn lines(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: &Message,
) -> Result<Vec<Explained>, Error> {
    let (shard, key) = (rows::shard(scope), message.id.key());
    let sql = include_str!("queries/explain_endpoints.sql");
    let found = transaction.rows(sql, &[int4(&shard), int8(&key)]).await?;
    let line = |row: &Row| Explained {
        endpoint: endpoint::from_row(row),
        verdict: verdict(row, message),
        pending: None,
        attempts: 0,
        last: None,
        delivered: false,
    };
    Ok(found.iter().map(line).collect())
}

fn verdict(row: &Row, message: &Message) -> Verdict {
    if row.get::<_, Option<i16>>(20).is_none() {
        return Verdict::Later;
    }
    let filter = Filter {
        event_types: rows::optional(row, 18),
        channels: rows::optional(row, 19),
        state: rows::state(row, 20),
    };
    filter.verdict(&message.event_type, message.channels.as_deref())
}

async fn pending(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: Key,
) -> Result<HashMap<Key, Pending>, Error> {
    let shard = rows::shard(scope);
    let sql = include_str!("queries/explain_pending.sql");
    let found = transaction.rows(sql, &[int4(&shard), int8(&message)]).await?;
    let one = |row: &Row| {
        let attempts = row.get::<_, i32>(2) as u32;
        let (rank, due_at) = Rank::read(row.get(1));
        (row.get(0), Pending { due_at, rank, attempts })
    };
    Ok(found.iter().map(one).collect())
}

async fn progress(
    transaction: &Transaction<'_>,
    scope: Scope,
    message: Key,
) -> Result<HashMap<Key, Progress>, Error> {
    let shard = rows::shard(scope);
    let sql = include_str!("queries/explain_attempts.sql");
    let found = transaction.rows(sql, &[int4(&shard), int8(&message)]).await?;
    let one = |row: &Row| {
        let attempts = row.get::<_, i64>(1) as u32;
        (row.get(0), Progress { attempts, last: row.get(2), delivered: row.get(3) })
    };
    Ok(found.iter().map(one).collect())
}
