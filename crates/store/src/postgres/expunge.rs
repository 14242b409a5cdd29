//! Deleting content, with the deliveries that would have sent it.

use ringback_domain::{
    id::{AttemptId, Key},
    scope::{Reference, Scope},
    task::Task,
    time::Timestamp,
};
use tokio_postgres::{Error, types::Type};

use super::{
    Postgres, attempt, message, order, rows, task,
    transaction::{Transaction, bytea, int4, int8},
};
use crate::{
    BoxFuture, Canceled, EXPUNGED, Expunge, Expunged, ReadError, Stepped, Turn, Unavailable,
    expunge::{PURGED, purged},
};

impl Expunge for Postgres {
    fn expunge(
        &self,
        scope: Scope,
        messages: Vec<Reference>,
    ) -> BoxFuture<'_, Result<Expunged, Unavailable>> {
        let found = |expunged: &Expunged| expunged.found.contains(&true);
        self.change_if(found, move |transaction| {
            Box::pin(async move {
                let (mut found, mut keys) = (Vec::new(), Vec::new());
                for reference in &messages {
                    let key = message::key(transaction, scope, reference).await?;
                    found.push(key.is_some());
                    keys.extend(key);
                }
                let canceled = empty(transaction, rows::shard(scope), &keys).await?;
                Ok(Expunged { found, canceled })
            })
        })
    }

    fn expunge_attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                attempt::get(transaction, scope, &message, attempt).await?;
                let (shard, key) = (rows::shard(scope), attempt.key());
                let response = EXPUNGED.as_bytes();
                let sql = "UPDATE attempt SET response = $3 WHERE shard = $1 AND key = $2";
                transaction.execute(sql, &[int4(&shard), int8(&key), bytea(&response)]).await?;
                Ok(())
            })
        })
    }

    fn purge(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(purge(transaction, task, now).await?) })
        })
    }
}

async fn purge(
    transaction: &Transaction<'_>,
    task: Task,
    now: Timestamp,
) -> Result<Stepped, Error> {
    if !task::is_at(transaction, &task).await? {
        return Ok(Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    }
    let application = task.application.unwrap_or_default();
    let (shard, limit) = (rows::shard_of(application), PURGED as i64);
    let parameters = [
        int4(&shard),
        int8(&application),
        int8(&task.environment),
        int8(&task.span.cursor),
        int8(&task.span.end),
        int8(&limit),
    ];
    let page = transaction.rows(include_str!("queries/purge_page.sql"), &parameters).await?;
    let with_content = page.iter().filter(|row| row.get(1));
    let emptied: Vec<Key> = with_content.map(|row| row.get(0)).collect();
    let canceled = empty(transaction, shard, &emptied).await?;
    let cursor = task.span.cursor;
    let last = page.last().map(|row| row.get(0));
    let task = purged(task, page.len(), emptied.len(), last, now);
    task::put(transaction, cursor, &task).await?;
    Ok(Stepped { turn: Turn::after(&task), planned: 0, canceled })
}

/// Deletes messages' content, and the deliveries that wait for it.
async fn empty(
    transaction: &Transaction<'_>,
    shard: i32,
    messages: &Vec<Key>,
) -> Result<Vec<Canceled>, Error> {
    let orders = order::of(transaction, shard, messages).await?;
    order::hold(transaction, &orders).await?;
    let parameters = [int4(&shard), (messages as _, Type::INT8_ARRAY)];
    let gone = transaction.rows(include_str!("queries/expunge.sql"), &parameters).await?;
    Ok(gone.iter().map(|row| Canceled { delivery: row.get(0), endpoint: row.get(1) }).collect())
}
