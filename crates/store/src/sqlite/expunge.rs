//! Deleting content, with the deliveries that would have sent it.

use ringback_domain::{
    id::{AttemptId, Key},
    scope::{Reference, Scope},
    task::Task,
    time::Timestamp,
};
use rusqlite::Connection;

use super::{Sqlite, attempt, message, request, task};
use crate::{
    BoxFuture, Canceled, EXPUNGED, Expunge, Expunged, ReadError, Stepped, Turn, Unavailable,
    expunge::{PURGED, purged},
};

impl Expunge for Sqlite {
    fn expunge(
        &self,
        scope: Scope,
        messages: Vec<Reference>,
    ) -> BoxFuture<'_, Result<Expunged, Unavailable>> {
        let found = |expunged: &Expunged| expunged.found.contains(&true);
        self.change_if(found, move |transaction| {
            let connection = transaction.connection;
            let mut expunged = Expunged::default();
            for reference in &messages {
                let key = message::key(connection, scope, reference)?;
                expunged.found.push(key.is_some());
                if let Some(key) = key {
                    empty(connection, key, &mut expunged.canceled)?;
                }
            }
            Ok(expunged)
        })
    }

    fn expunge_attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            attempt::get(connection, scope, &message, attempt)?;
            connection
                .prepare_cached("UPDATE attempt SET response = ?2 WHERE key = ?1")?
                .execute((attempt.key(), EXPUNGED.as_bytes()))?;
            Ok(())
        })
    }

    fn purge(&self, task: Task, now: Timestamp) -> BoxFuture<'_, Result<Stepped, Unavailable>> {
        self.write(move |transaction| Ok(purge(transaction.connection, task, now)?))
    }
}

fn purge(connection: &Connection, task: Task, now: Timestamp) -> rusqlite::Result<Stepped> {
    if !task::is_at(connection, &task)? {
        return Ok(Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    }
    let mut select = connection.prepare_cached(include_str!("queries/purge_page.sql"))?;
    let page = select.query_map(
        (task.application, task.environment, task.span.cursor, task.span.end, PURGED as i64),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let page: Vec<(Key, bool)> = page.collect::<rusqlite::Result<_>>()?;
    let (mut emptied, mut canceled) = (0, Vec::new());
    for (key, has_content) in &page {
        if *has_content {
            empty(connection, *key, &mut canceled)?;
            emptied += 1;
        }
    }
    let cursor = task.span.cursor;
    let last = page.last().map(|(key, _)| *key);
    let task = purged(task, page.len(), emptied, last, now);
    task::put(connection, cursor, &task)?;
    Ok(Stepped { turn: Turn::after(&task), planned: 0, canceled })
}

/// Deletes a message's content, and the deliveries that wait for it.
fn empty(
    connection: &Connection,
    message: Key,
    canceled: &mut Vec<Canceled>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE message SET payload = NULL, headers = NULL WHERE key = ?1")?
        .execute([message])?;
    request::empty(connection, message)?;
    for sql in
        [include_str!("queries/expunge_scheduled.sql"), include_str!("queries/expunge_manual.sql")]
    {
        let mut delete = connection.prepare_cached(sql)?;
        let gone = delete.query_map([message], |row| {
            Ok(Canceled { delivery: row.get(0)?, endpoint: row.get(1)? })
        })?;
        for one in gone {
            canceled.push(one?);
        }
    }
    Ok(())
}
