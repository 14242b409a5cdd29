//! Recording an attempt: its row, what becomes of the delivery, the endpoint's health, notices.

use std::sync::Arc;

use ringback_domain::{
    attempt::{Outcome, Phase, Trigger},
    endpoint::State,
    id::{Key, MessageId},
    message::Origin,
    scope::Scope,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::{append, audit, endpoint, message, order, writer::Transaction};
use crate::{Act, HealthChange, NewMessage, Record, Recorded, timings};

/// Records one attempt. If it was recorded before, or its delivery moved on or belongs to a later
/// epoch, nothing changes but the list of attempts.
pub(super) fn record(
    transaction: &mut Transaction<'_>,
    record: &Record,
) -> rusqlite::Result<Recorded> {
    let connection = transaction.connection;
    let lapsed = record.outcome == Outcome::Blocked && !order::blocks(connection, record.endpoint)?;
    let unblocked = lapsed.then(|| record.unblocked());
    let record = unblocked.as_ref().unwrap_or(record);
    // Every delivery belongs to the process that is running.
    let current = record.epoch >= transaction.memory.epoch;
    let applied = current && advance(connection, record)?;
    // What was applied is in its scope, as its delivery was; the rest has to show it.
    if !applied && !message::is_in_scope(connection, record.scope, record.message)? {
        return Ok(Recorded::default());
    }
    insert_attempt(connection, record)?;
    if !applied {
        return Ok(Recorded::default());
    }
    let settled = settle_scheduled(connection, record)?;
    if let Some(health) = record.health {
        change_health(transaction, record, health)?;
    }
    let notified = append_notices(transaction, record)?;
    Ok(Recorded { applied, notified, settled })
}

fn insert_attempt(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/attempt_insert.sql"))?;
    insert.execute(rusqlite::params![
        record.id.key(),
        record.id.0.nonce as i64,
        record.scope.environment,
        record.scope.application,
        record.message,
        record.endpoint,
        record.revision,
        record.epoch,
        record.number,
        record.trigger as i64,
        record.outcome.number(),
        record.status_code,
        record.failed.map(Phase::number),
        record.reason,
        record.next_at.map(Timestamp::millis),
        timings::pack(&record.timings),
        record.response.as_ref(),
        record.rendering,
    ])?;
    Ok(())
}

/// Moves the delivery on, or deletes it; false if it is not there as the record expects it.
fn advance(connection: &Connection, record: &Record) -> rusqlite::Result<bool> {
    let Scope { environment, application } = record.scope;
    let Record { delivery, epoch, message, endpoint, number, .. } = *record;
    let changed = if record.moves() {
        connection.prepare_cached(include_str!("queries/delivery_retry.sql"))?.execute((
            delivery,
            epoch,
            environment,
            application,
            message,
            endpoint,
            number,
            record.next_at.map(Timestamp::millis),
            record.fix.as_deref(),
        ))?
    } else {
        connection.prepare_cached(include_str!("queries/delivery_delete.sql"))?.execute((
            delivery,
            epoch,
            environment,
            application,
            message,
            endpoint,
        ))?
    };
    Ok(changed == 1)
}

/// A message that was resent with success need not be tried again.
fn settle_scheduled(connection: &Connection, record: &Record) -> rusqlite::Result<Option<Key>> {
    if record.trigger != Trigger::Manual || record.outcome != Outcome::Delivered {
        return Ok(None);
    }
    let Scope { environment, application } = record.scope;
    let mut delete = connection.prepare_cached(include_str!("queries/delivery_settle.sql"))?;
    delete
        .query_row((record.message, record.endpoint, environment, application), |row| row.get(0))
        .optional()
}

fn change_health(
    transaction: &mut Transaction<'_>,
    record: &Record,
    change: HealthChange,
) -> rusqlite::Result<()> {
    let connection = transaction.connection;
    let Scope { environment, application } = record.scope;
    let failing_since = change.failing_since.map(Timestamp::millis);
    connection.prepare_cached(include_str!("queries/endpoint_health.sql"))?.execute((
        record.endpoint,
        environment,
        application,
        failing_since,
    ))?;
    let Some(state) = change.disable else { return Ok(()) };
    let at = record.id.0.created_at();
    let revision = transaction.memory.keys.next(at, 0);
    let disabled =
        connection.prepare_cached(include_str!("queries/endpoint_disable.sql"))?.execute((
            record.endpoint,
            environment,
            application,
            state.number(),
            State::Enabled.number(),
            revision,
            at.millis(),
            // Whoever changed the endpoint meanwhile meant what they wrote.
            record.revision,
        ))?;
    if disabled == 1 {
        endpoint::insert_revision(connection, record.endpoint)?;
        let mut select = connection.prepare_cached("SELECT nonce FROM endpoint WHERE key = ?1")?;
        let nonce: i64 = select.query_row([record.endpoint], |row| row.get(0))?;
        audit::insert(transaction, &Act::of_disabling(record, state, nonce as u64))?;
        transaction.memory.routes.forget(application);
    }
    Ok(())
}

fn append_notices(
    transaction: &mut Transaction<'_>,
    record: &Record,
) -> rusqlite::Result<Vec<(MessageId, Arc<[Key]>)>> {
    let mut notified = Vec::new();
    for notice in &record.notices {
        let message = NewMessage {
            nonce: notice.nonce,
            accepted_at: notice.at,
            expires_at: notice.expires_at,
            origin: Origin::Operational,
            event_type: notice.event_type.to_owned(),
            payload: notice.payload.clone(),
            ..NewMessage::default()
        };
        let environment = record.scope.environment;
        let appended = append::append_operational(transaction, environment, message)?;
        notified.extend(appended.map(|appended| (appended.id, appended.endpoints)));
    }
    Ok(notified)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An endpoint that was down has as many deliveries as there were messages, and each that is
    /// delivered by hand settles one of them.
    #[test]
    fn what_is_settled_is_found_by_its_message_however_much_waits_for_the_endpoint() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema.sql")).unwrap();
        let sql = concat!("EXPLAIN QUERY PLAN ", include_str!("queries/delivery_settle.sql"));
        let mut explain = connection.prepare(sql).unwrap();
        let plan = explain.query_map([1, 2, 3, 4], |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert!(
            plan.iter().any(|step| step.contains("delivery USING INTEGER PRIMARY KEY")),
            "{plan:?}"
        );
        assert!(plan.iter().all(|step| !step.contains("delivery_due")), "{plan:?}");
    }
}
