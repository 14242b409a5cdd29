//! Planning one extra attempt: a delivery of its own, so that the schedule's stays as it is.

use ringback_domain::{attempt::Trigger, endpoint::State, id::Key};

use super::{answer, due, endpoint, fault::Stop, message, writer::Transaction};
use crate::{Due, Resend, ResendError};

/// Adds a manual delivery that is due now.
pub(super) fn resend(
    transaction: &mut Transaction<'_>,
    resend: &Resend,
) -> Result<Due, Stop<ResendError>> {
    let connection = transaction.connection;
    let refused = |word| Stop::Refused(ResendError::NotFound(word));
    let message = message::key(connection, resend.scope, &resend.message)?
        .ok_or_else(|| refused("message"))?;
    let endpoint = endpoint::key(connection, resend.scope, &resend.endpoint)?
        .ok_or_else(|| refused("endpoint"))?;
    check_state(transaction, endpoint)?;
    if !message::has_content(connection, message)? {
        return Err(Stop::Refused(ResendError::NoContent));
    }
    let key = transaction.memory.keys.next(resend.now, 0);
    let mut insert = connection.prepare_cached(include_str!("queries/delivery_insert.sql"))?;
    insert.execute((
        key,
        message,
        resend.scope.environment,
        resend.scope.application,
        endpoint,
        transaction.memory.epoch,
        Trigger::Manual as i64,
        resend.now.millis(),
    ))?;
    answer::keep(transaction, resend.now, resend.answer.as_ref())?;
    due::one_due(connection, key)?.ok_or_else(|| refused("message"))
}

fn check_state(transaction: &Transaction<'_>, endpoint: Key) -> Result<(), Stop<ResendError>> {
    let mut select =
        transaction.connection.prepare_cached(include_str!("queries/endpoint_state.sql"))?;
    let number: i64 = select.query_row([endpoint], |row| row.get(0))?;
    let state = State::from_number(number).unwrap_or_default();
    if state.takes_messages() { Ok(()) } else { Err(Stop::Refused(ResendError::State(state))) }
}
