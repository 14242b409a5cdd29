//! Steps of tasks that send messages again.

use ringback_domain::{
    endpoint::State,
    id::Key,
    message::Origin,
    replay::{Facts, Selection},
    route::Filter,
    task::Task,
    time::Timestamp,
};
use tokio_postgres::{Error, Row, types::Type};

use super::{
    Postgres, resend, rows, task,
    transaction::{Transaction, int4, int8},
};
use crate::{
    BoxFuture, DUE_LIMIT, Replay, Stepped, Turn, Unavailable, ordering,
    replay::{Plan, SEEN, selection},
};

/// The keys of one day: attempts are looked for from a day before their message on, in case the
/// clock was set back in between. What is older need not be looked through.
pub(super) const DAY: i64 = 86_400_000 << ringback_domain::id::SEQUENCE_BITS;

impl Replay for Postgres {
    fn replay(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(step(transaction, task, now).await?) })
        })
    }
}

/// What a step works on.
struct Place {
    shard: i32,
    application: Key,
    endpoint: Key,
}

async fn step(transaction: &Transaction<'_>, task: Task, now: Timestamp) -> Result<Stepped, Error> {
    if !task::is_at(transaction, &task).await? {
        return Ok(Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    }
    let (Some(selection), Some(application), Some(endpoint)) =
        (selection(&task), task.application, task.endpoint)
    else {
        return stop(transaction, task, "request_unreadable", now).await;
    };
    match task::endpoint_state(transaction, endpoint).await? {
        State::Deleted => return stop(transaction, task, "endpoint_deleted", now).await,
        state if !state.takes_messages() => {
            return stop(transaction, task, "endpoint_disabled", now).await;
        }
        _ => {}
    }
    let place = Place { shard: rows::shard_of(application), application, endpoint };
    if due(transaction, &place, now).await? >= DUE_LIMIT {
        return Ok(Stepped { turn: Turn::Waits, ..Stepped::default() });
    }
    let plan = plan(transaction, &task, &place, &selection, now).await?;
    let planned = plan.send.len();
    let keys = insert(transaction, &task, &place, &plan.send, now).await?;
    resend::shape(transaction, place.shard, keys, selection.version).await?;
    let cursor = task.span.cursor;
    let task = plan.done(task, planned, now);
    task::put(transaction, cursor, &task).await?;
    Ok(Stepped { turn: Turn::after(&task), planned, ..Stepped::default() })
}

/// Ends a task that cannot go on.
async fn stop(
    transaction: &Transaction<'_>,
    mut task: Task,
    reason: &str,
    now: Timestamp,
) -> Result<Stepped, Error> {
    task.fail(reason);
    task.updated_at = now;
    task::put(transaction, task.span.cursor, &task).await?;
    Ok(Stepped { turn: Turn::Over, ..Stepped::default() })
}

/// How many deliveries of the endpoint are due, as far as it matters.
async fn due(transaction: &Transaction<'_>, place: &Place, now: Timestamp) -> Result<usize, Error> {
    let (now, limit) = (now.millis(), DUE_LIMIT as i64);
    let parameters = [int4(&place.shard), int8(&place.endpoint), int8(&now), int8(&limit)];
    let row = transaction.row(include_str!("queries/replay_due.sql"), &parameters).await?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0)) as usize)
}

async fn plan(
    transaction: &Transaction<'_>,
    task: &Task,
    place: &Place,
    selection: &Selection,
    now: Timestamp,
) -> Result<Plan, Error> {
    let filter = filter(transaction, place.endpoint).await?;
    let limit = SEEN as i64;
    let parameters = [
        int4(&place.shard),
        int8(&place.application),
        int8(&task.environment),
        int8(&task.span.cursor),
        int8(&task.span.end),
        int8(&place.endpoint),
        int8(&DAY),
        int8(&limit),
    ];
    let found = transaction.rows(include_str!("queries/replay_facts.sql"), &parameters).await?;
    let mut plan = Plan::default();
    for row in &found {
        if !plan.add(row.get(0), selection.choose(&facts(row), &filter, now)) {
            break;
        }
    }
    Ok(plan)
}

/// What the endpoint wants now, whatever state it is in.
async fn filter(transaction: &Transaction<'_>, endpoint: Key) -> Result<Filter, Error> {
    let sql = "SELECT event_types, channels FROM endpoint WHERE key = $1";
    let row = transaction.row(sql, &[int8(&endpoint)]).await?;
    Ok(row.map_or_else(Filter::default, |row| Filter {
        event_types: rows::optional(&row, 0),
        channels: rows::optional(&row, 1),
        state: State::Enabled,
    }))
}

fn facts(row: &Row) -> Facts {
    let last_status_code: Option<i32> = row.get(7);
    Facts {
        origin: Origin::from_number(row.get::<_, i16>(1).into()).unwrap_or_default(),
        event_type: row.get(2),
        channels: rows::optional(row, 3),
        tags: rows::optional(row, 4),
        has_content: row.get(5),
        succeeded: row.get(6),
        last_status_code: last_status_code.map(|code| code as u16),
        scheduled: row.get::<_, Option<i64>>(8).and_then(ordering::planned),
        asked_for: row.get(9),
    }
}

async fn insert(
    transaction: &Transaction<'_>,
    task: &Task,
    place: &Place,
    messages: &Vec<Key>,
    now: Timestamp,
) -> Result<Vec<Key>, Error> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Key> = messages.iter().map(|_| transaction.next_key(now)).collect();
    let (epoch, due_at) = (transaction.epoch(), now.millis());
    let parameters = [
        int4(&place.shard),
        (&keys as _, Type::INT8_ARRAY),
        (messages as _, Type::INT8_ARRAY),
        int8(&task.environment),
        int8(&place.application),
        int8(&place.endpoint),
        int8(&epoch),
        int8(&due_at),
    ];
    transaction.execute(include_str!("queries/replay_insert.sql"), &parameters).await?;
    Ok(keys)
}
