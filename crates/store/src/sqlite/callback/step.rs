//! What happens to callbacks: each step in the transaction that is open.

use ringback_domain::{
    callback::{Answer, Callback, Price, told},
    id::{CallbackId, Key, MessageId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::{by_id, counts};
use crate::{
    Append, CallbackStep, CallbackStepped, Correlation, CreatedCallback, Keeping, Notified,
    WriteError,
    callback::{Met, Worked},
    sqlite::{append, fault::Stop, rows, writer::Transaction},
};

/// Makes one step. The outer error fails the transaction, the inner one only this step.
pub(super) fn step(
    transaction: &mut Transaction<'_>,
    step: &CallbackStep,
) -> rusqlite::Result<Result<CallbackStepped, WriteError>> {
    let Some(callback) = by_id(transaction.connection, step.callback)? else {
        return Ok(Err(WriteError::NotFound("callback")));
    };
    let key = transaction.memory.keys.next(step.now, 0);
    let worked = step.work(callback, key);
    let told = write(transaction, &worked)?;
    Ok(Ok(worked.told(told)))
}

/// The message about a callback that was just inserted; and if what it waits for was there before it,
/// its end.
pub(super) fn begin(
    transaction: &mut Transaction<'_>,
    callback: Callback,
    keeping: Keeping,
) -> Result<CreatedCallback, Stop<WriteError>> {
    let now = callback.created_at;
    let mut told =
        tell(transaction, &keeping.messages(&callback, [told::created(&callback)], now))?;
    let mut created = CreatedCallback { callback, repeated: false, told: Vec::new() };
    if let Some(reference) = &created.callback.reference {
        let (owner, environment) = (created.callback.owner(), created.callback.scope.environment);
        let met = met(transaction.connection, owner, reference, environment)?;
        if met.as_ref().is_some_and(|met| met.callback.is_some()) {
            return Err(Stop::Refused(WriteError::Conflict("callback reference")));
        }
        let met = Met::with(met, created.callback.id, now);
        put(transaction.connection, owner, reference, environment, &met)?;
        if let Some(correlation) = met.correlation(&created.callback, keeping, now) {
            let answer = correlation.step(created.callback.id);
            if let Ok(stepped) = step(transaction, &answer)? {
                created.callback = stepped.callback;
                told.extend(stepped.told);
            }
        }
    }
    created.told = told;
    Ok(created)
}

/// Lets a message of a source meet the callback with its reference.
pub(super) fn correlate(
    transaction: &mut Transaction<'_>,
    correlation: &Correlation,
) -> rusqlite::Result<Option<CallbackStepped>> {
    let Correlation { source, reference, environment, .. } = correlation;
    let met = met(transaction.connection, *source, reference, *environment)?;
    match met {
        Some(Met { callback: Some(callback), .. }) => {
            Ok(step(transaction, &correlation.step(callback))?.ok())
        }
        // The first one is what a callback finds that is made later.
        Some(Met { forget_at: Some(until), .. }) if until > correlation.now => Ok(None),
        _ => {
            let met = Met::of(correlation);
            put(transaction.connection, *source, reference, *environment, &met)?;
            Ok(None)
        }
    }
}

fn met(
    connection: &Connection,
    owner: Key,
    reference: &str,
    environment: Key,
) -> rusqlite::Result<Option<Met>> {
    let mut select = connection.prepare_cached(include_str!("../queries/callback_meeting.sql"))?;
    select
        .query_row((owner, reference, environment), |row| {
            let callback: Option<Key> = row.get(0)?;
            let message: Option<Key> = row.get(2)?;
            let answer: Option<[u8; 32]> = row.get(5)?;
            Ok(Met {
                callback: callback.map(|_| rows::id(row, 0, 1).map(CallbackId)).transpose()?,
                message: message.map(|_| rows::id(row, 2, 3).map(MessageId)).transpose()?,
                answer: row
                    .get::<_, Option<bool>>(4)?
                    .zip(answer)
                    .map(|(failed, body)| Answer { failed, body }),
                content_type: row.get(6)?,
                body: row.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default().into(),
                forget_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
                price: Price { amount: row.get(9)?, currency: row.get(10)? },
            })
        })
        .optional()
}

fn put(
    connection: &Connection,
    owner: Key,
    reference: &str,
    environment: Key,
    met: &Met,
) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(include_str!("../queries/callback_meeting_put.sql"))?;
    put.execute(rusqlite::params![
        owner,
        reference,
        environment,
        met.callback.map(CallbackId::key),
        met.callback.map(|id| id.0.nonce as i64),
        met.message.map(MessageId::key),
        met.message.map(|id| id.0.nonce as i64),
        met.answer.map(|answer| answer.failed),
        met.answer.map(|answer| answer.body),
        met.content_type,
        met.message.map(|_| &met.body[..]),
        met.forget_at.map(|at| at.millis()),
        met.price.amount,
        met.price.currency,
    ])?;
    Ok(())
}

/// Writes what a step changes; returns what goes to the lanes.
fn write(transaction: &mut Transaction<'_>, worked: &Worked) -> rusqlite::Result<Vec<Notified>> {
    let Worked { callback, request, .. } = worked;
    let course = &callback.course;
    let due_at = callback.settled_at.filter(|_| !course.state.is_open());
    let (taken, _) = counts(course.mode);
    let connection = transaction.connection;
    let mut update = connection.prepare_cached(include_str!("../queries/callback_update.sql"))?;
    update.execute(rusqlite::params![
        callback.id.key(),
        course.state.number(),
        due_at.unwrap_or_else(|| course.due_at()).millis(),
        course.expires_at.millis(),
        course.heartbeat.map(|it| it.seen_at.millis()),
        taken,
        course.answered.map(|it| it.failed),
        course.answered.map(|it| it.body),
        callback.settled_at.map(|at| at.millis()),
        callback.settled_by.map(|id| id.key()),
        callback.settled_by.map(|id| id.0.nonce as i64),
        callback.requests,
    ])?;
    if let Some(request) = request {
        let sql = include_str!("../queries/callback_request_insert.sql");
        connection.prepare_cached(sql)?.execute(rusqlite::params![
            request.id.key(),
            request.id.0.nonce as i64,
            callback.id.key(),
            request.act.number(),
            request.by.number(),
            request.fate.number(),
            request.item,
            request.reason,
            request.method,
            request.target,
            request.address,
            request.content_type,
            rows::json(&request.headers)?,
            request.bytes as i64,
            request.message.map(MessageId::key),
            request.message.map(|id| id.0.nonce as i64),
            request.body,
        ])?;
    }
    tell(transaction, &worked.messages)
}

/// Appends messages to the application. One that is gone is told nothing.
fn tell(transaction: &mut Transaction<'_>, messages: &[Append]) -> rusqlite::Result<Vec<Notified>> {
    let mut told = Vec::with_capacity(messages.len());
    for message in messages {
        if let Ok(appended) = append::append(transaction, message)? {
            told.push((appended.id, appended.endpoints));
        }
    }
    Ok(told)
}
