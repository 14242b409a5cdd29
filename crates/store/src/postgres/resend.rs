//! Planning one extra attempt: a delivery of its own, so that the schedule's stays as it is.

use ringback_domain::{attempt::Trigger, endpoint::State, id::Key, replay::Shape};
use tokio_postgres::{Error, types::Type};

use super::{
    answer, due, endpoint,
    fault::Stop,
    message,
    replay::DAY,
    rows,
    transaction::{Transaction, int4, int8},
};
use crate::{Due, Resend, ResendError};

/// Adds a manual delivery that is due now.
pub(super) async fn resend(
    transaction: &Transaction<'_>,
    resend: &Resend,
) -> Result<Due, Stop<ResendError>> {
    let refused = |word| Stop::Refused(ResendError::NotFound(word));
    let scope = resend.scope;
    let message = message::key(transaction, scope, &resend.message)
        .await?
        .ok_or_else(|| refused("message"))?;
    let endpoint = endpoint::key(transaction, scope, &resend.endpoint)
        .await?
        .ok_or_else(|| refused("endpoint"))?;
    check_state(transaction, endpoint).await?;
    if !message::has_content(transaction, scope, message).await? {
        return Err(Stop::Refused(ResendError::NoContent));
    }
    let key = transaction.next_key(resend.now);
    let (shard, epoch) = (rows::shard(scope), transaction.epoch());
    let (manual, now) = (Trigger::Manual as i64, resend.now.millis());
    let parameters = [
        int4(&shard),
        int8(&key),
        int8(&message),
        int8(&scope.environment),
        int8(&scope.application),
        int8(&endpoint),
        int8(&epoch),
        int8(&manual),
        int8(&now),
    ];
    transaction.execute(include_str!("queries/delivery_insert.sql"), &parameters).await?;
    shape(transaction, shard, vec![key], resend.version).await?;
    answer::keep(transaction, resend.now, resend.answer.as_ref()).await?;
    due::one_due(transaction, scope, key).await?.ok_or_else(|| refused("message"))
}

/// Notes in which version deliveries that were planned are sent.
pub(super) async fn shape(
    transaction: &Transaction<'_>,
    shard: i32,
    deliveries: Vec<Key>,
    version: Shape,
) -> Result<(), Error> {
    if version == Shape::Original {
        let parameters = [int4(&shard), (&deliveries as _, Type::INT8_ARRAY), int8(&DAY)];
        let sql = include_str!("queries/delivery_as_first.sql");
        transaction.execute(sql, &parameters).await?;
    }
    Ok(())
}

async fn check_state(
    transaction: &Transaction<'_>,
    endpoint: Key,
) -> Result<(), Stop<ResendError>> {
    let sql = "SELECT state FROM endpoint WHERE key = $1";
    let row = transaction.row(sql, &[int8(&endpoint)]).await?;
    let state = row.map_or(State::Deleted, |row| rows::state(&row, 0));
    if state.takes_messages() { Ok(()) } else { Err(Stop::Refused(ResendError::State(state))) }
}
