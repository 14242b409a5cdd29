//! Steps of tasks that send messages again.
//!
//! A reader chooses, so that the writer's transaction only holds what is written; there, each chosen
//! message is looked at once more.

use ringback_domain::{
    attempt::Trigger,
    endpoint::State,
    id::Key,
    message::Origin,
    replay::{Choice, Facts, Selection},
    route::Filter,
    task::Task,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, resend, rows, task, writer::Transaction};
use crate::{
    BoxFuture, DUE_LIMIT, Replay, Stepped, Turn, Unavailable, ordering,
    replay::{Plan, SEEN, selection},
};

impl Replay for Sqlite {
    fn replay(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>> {
        Box::pin(async move {
            let known = task.clone();
            let found: Result<_, Unavailable> =
                self.read(move |connection| Ok(find(connection, &known, now)?)).await;
            let found = found?;
            self.write(move |transaction| Ok(apply(transaction, task, &found, now)?)).await
        })
    }
}

/// What a reader found out.
enum Found {
    /// What to do.
    Plan { selection: Selection, filter: Filter, plan: Plan },
    /// Nothing now: the endpoint has enough to do.
    Busy,
    /// Nothing ever again: the reason.
    Stopped(&'static str),
}

fn find(connection: &Connection, task: &Task, now: Timestamp) -> rusqlite::Result<Found> {
    let (Some(selection), Some(endpoint)) = (selection(task), task.endpoint) else {
        return Ok(Found::Stopped("request_unreadable"));
    };
    if due(connection, endpoint, now)? >= DUE_LIMIT {
        return Ok(Found::Busy);
    }
    let filter = filter(connection, endpoint)?;
    let mut plan = Plan::default();
    let mut select = connection.prepare_cached(include_str!("queries/replay_facts.sql"))?;
    let mut rows = select.query(rusqlite::params![
        task.application,
        task.environment,
        task.span.cursor,
        task.span.end,
        endpoint,
        SEEN as i64,
    ])?;
    while let Some(row) = rows.next()? {
        if !plan.add(row.get(0)?, selection.choose(&facts(row)?, &filter, now)) {
            break;
        }
    }
    Ok(Found::Plan { selection, filter, plan })
}

fn apply(
    transaction: &mut Transaction<'_>,
    mut task: Task,
    found: &Found,
    now: Timestamp,
) -> rusqlite::Result<Stepped> {
    let connection = transaction.connection;
    if !task::is_at(connection, &task)? {
        return Ok(Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    }
    let cursor = task.span.cursor;
    let Some(endpoint) = task.endpoint else {
        return stop(connection, task, "request_unreadable", now);
    };
    match (task::endpoint_state(connection, endpoint)?, found) {
        (State::Deleted, _) => stop(connection, task, "endpoint_deleted", now),
        (state, _) if !state.takes_messages() => stop(connection, task, "endpoint_disabled", now),
        (_, Found::Stopped(reason)) => stop(connection, task, reason, now),
        (_, Found::Busy) => Ok(Stepped { turn: Turn::Waits, ..Stepped::default() }),
        (_, Found::Plan { selection, filter, plan }) => {
            let mut planned = 0;
            for message in &plan.send {
                let facts = facts_of(connection, &task, endpoint, *message)?;
                let choice = facts.map(|facts| selection.choose(&facts, filter, now));
                if choice == Some(Choice::Send) {
                    let key = insert(transaction, &task, endpoint, *message, now)?;
                    resend::shape(transaction.connection, key, selection.version)?;
                    planned += 1;
                }
            }
            task = plan.done(task, planned, now);
            task::put(connection, cursor, &task)?;
            Ok(Stepped { turn: Turn::after(&task), planned, ..Stepped::default() })
        }
    }
}

/// Ends a task that cannot go on.
fn stop(
    connection: &Connection,
    mut task: Task,
    reason: &str,
    now: Timestamp,
) -> rusqlite::Result<Stepped> {
    task.fail(reason);
    task.updated_at = now;
    task::put(connection, task.span.cursor, &task)?;
    Ok(Stepped { turn: Turn::Over, ..Stepped::default() })
}

/// How many deliveries of the endpoint are due, as far as it matters.
fn due(connection: &Connection, endpoint: Key, now: Timestamp) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(include_str!("queries/replay_due.sql"))?;
    let count: i64 =
        select.query_row((endpoint, now.millis(), DUE_LIMIT as i64), |row| row.get(0))?;
    Ok(count as usize)
}

/// What the endpoint wants now, whatever state it is in.
fn filter(connection: &Connection, endpoint: Key) -> rusqlite::Result<Filter> {
    let sql = "SELECT event_types, channels FROM endpoint WHERE key = ?1";
    connection.prepare_cached(sql)?.query_row([endpoint], |row| {
        Ok(Filter {
            event_types: rows::optional(row, 0)?,
            channels: rows::optional(row, 1)?,
            state: State::Enabled,
        })
    })
}

fn facts_of(
    connection: &Connection,
    task: &Task,
    endpoint: Key,
    message: Key,
) -> rusqlite::Result<Option<Facts>> {
    let mut select = connection.prepare_cached(include_str!("queries/replay_facts.sql"))?;
    select
        .query_row(
            (task.application, task.environment, message - 1, message + 1, endpoint, 1),
            facts,
        )
        .optional()
}

fn facts(row: &Row<'_>) -> rusqlite::Result<Facts> {
    let scheduled: Option<i64> = row.get(8)?;
    Ok(Facts {
        origin: Origin::from_number(row.get(1)?).unwrap_or_default(),
        event_type: row.get(2)?,
        channels: rows::optional(row, 3)?,
        tags: rows::optional(row, 4)?,
        has_content: row.get(5)?,
        succeeded: row.get(6)?,
        last_status_code: row.get(7)?,
        scheduled: scheduled.and_then(ordering::planned),
        asked_for: row.get(9)?,
    })
}

fn insert(
    transaction: &mut Transaction<'_>,
    task: &Task,
    endpoint: Key,
    message: Key,
    now: Timestamp,
) -> rusqlite::Result<Key> {
    let key = transaction.memory.keys.next(now, 0);
    let sql = include_str!("queries/delivery_insert.sql");
    transaction.connection.prepare_cached(sql)?.execute((
        key,
        message,
        task.environment,
        task.application,
        endpoint,
        transaction.memory.epoch,
        Trigger::Manual as i64,
        now.millis(),
    ))?;
    Ok(key)
}
