//! Listeners: places in what arrived, and reading on from them; the event streams of sources.
//!
//! That nothing is passed over needs nothing of its own here. Whoever writes a message does so on the
//! writer's thread, which gives out its key and commits it before it gives one to a later
//! transaction: appends, what is released, what callbacks and connections tell, and operational
//! messages. So whatever a reader does not see yet has a greater key than all that it sees.

use std::{cmp::Reverse, collections::BinaryHeap};

use ringback_domain::{
    id::{Id, Key, ListenerId, MessageId, SourceId},
    listener::Listener,
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};

use super::{Sqlite, answer, fault::Stop, rows, source, writer::Transaction};
use crate::{
    ArrivalQuery, Arrivals, Arrived, ArrivedRequest, Behind, BehindQuery, BoxFuture, LISTENER_KEPT,
    Listed, Listeners, Page, PutListener, PutStream, ReadError, Stream, Unavailable, WriteError,
    pages::Cut,
};

impl Listeners for Sqlite {
    fn put_listener(
        &self,
        put: PutListener,
    ) -> BoxFuture<'_, Result<(Listener, bool), WriteError>> {
        self.change(move |transaction| self::put(transaction, &put))
    }

    fn listener(
        &self,
        environment: Key,
        listener: Reference,
    ) -> BoxFuture<'_, Result<Listener, ReadError>> {
        self.read(move |connection| {
            let found = find(connection, environment, &listener)?;
            found.ok_or(Stop::Refused(ReadError::NotFound("listener")))
        })
    }

    fn listeners(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Listener>, ReadError>> {
        self.read(move |connection| Ok(list(connection, environment, &page)?))
    }

    fn seek_listener(
        &self,
        environment: Key,
        listener: Reference,
        place: Key,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Listener, WriteError>> {
        self.change(move |transaction| {
            let found = existing(transaction.connection, environment, &listener)?;
            let place = place.min(transaction.memory.keys.last());
            let sql = include_str!("queries/listener_seek.sql");
            let mut update = transaction.connection.prepare_cached(sql)?;
            update.execute((found.id.key(), place, now.millis()))?;
            Ok(Listener { place, seen_at: now, ..found })
        })
    }

    fn delete_listener(
        &self,
        environment: Key,
        listener: Reference,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            let key = existing(transaction.connection, environment, &listener)?.id.key();
            let sql = include_str!("queries/listener_delete.sql");
            transaction.connection.prepare_cached(sql)?.execute([key])?;
            Ok(key)
        })
    }

    fn advance_listeners(
        &self,
        places: Vec<(Key, Key)>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.write(move |transaction| {
            let last = transaction.memory.keys.last();
            let sql = include_str!("queries/listener_advance.sql");
            let mut update = transaction.connection.prepare_cached(sql)?;
            for (listener, place) in places {
                update.execute((listener, place.min(last), now.millis()))?;
            }
            Ok(())
        })
    }

    fn arrivals(&self, query: ArrivalQuery) -> BoxFuture<'_, Result<Arrivals, Unavailable>> {
        self.read(move |connection| Ok(arrivals(connection, &query)?))
    }

    fn behind(&self, query: BehindQuery) -> BoxFuture<'_, Result<Behind, Unavailable>> {
        self.read(move |connection| Ok(behind(connection, &query)?))
    }

    fn put_stream(&self, put: PutStream) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| put_stream(transaction, &put))
    }

    fn stream(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Option<Stream>, ReadError>> {
        self.read(move |connection| {
            let source = source::existing(connection, environment, &source)?;
            let sql = include_str!("queries/source_stream.sql");
            let mut select = connection.prepare_cached(sql)?;
            let stream = |row: &Row<'_>| {
                Ok(Stream { sealed: row.get(0)?, created_at: Timestamp(row.get(1)?) })
            };
            Ok(select.query_row([source], stream).optional()?)
        })
    }

    fn delete_stream(
        &self,
        environment: Key,
        source: Reference,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            let source = source::writable(transaction.connection, environment, &source)?;
            let sql = include_str!("queries/source_stream_delete.sql");
            match transaction.connection.prepare_cached(sql)?.execute([source.id.key()])? {
                0 => Err(Stop::Refused(WriteError::NotFound("event stream"))),
                _ => Ok(()),
            }
        })
    }

    fn stream_by_token(
        &self,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Scope, SourceId)>, Unavailable>> {
        self.read(move |connection| {
            let sql = include_str!("queries/source_stream_by_token.sql");
            let mut select = connection.prepare_cached(sql)?;
            let whose = |row: &Row<'_>| {
                let scope = Scope { environment: row.get(0)?, application: row.get(1)? };
                Ok((scope, SourceId(rows::id(row, 2, 3)?)))
            };
            Ok(select.query_row([hash], whose).optional()?)
        })
    }
}

// ── listeners ──────────────────────────────────────────────────────────────────────────────────────

fn put(
    transaction: &mut Transaction<'_>,
    put: &PutListener,
) -> Result<(Listener, bool), Stop<WriteError>> {
    let connection = transaction.connection;
    let (listener, made) = match &put.listener {
        Reference::Id(Id { key, nonce, .. }) => {
            let sql = include_str!("queries/listener_change.sql");
            let mut update = connection.prepare_cached(sql)?;
            let parameters = (put.environment, key, *nonce as i64, &put.terms, put.now.millis());
            let changed = update.query_row(parameters, from_row).optional()?;
            (changed.ok_or(Stop::Refused(WriteError::NotFound("listener")))?, false)
        }
        Reference::Uid(name) => {
            // Whatever comes later has a greater key than the last one.
            let last = transaction.memory.keys.last();
            let place = put.place.map_or(last, |place| place.min(last));
            let Id { key, nonce, .. } = put.id.0;
            let mut upsert = connection.prepare_cached(include_str!("queries/listener_put.sql"))?;
            let parameters =
                (key, nonce as i64, put.environment, name, &put.terms, place, put.now.millis());
            let listener = upsert.query_row(parameters, from_row)?;
            let made = listener.id.key() == key;
            (listener, made)
        }
    };
    answer::keep(transaction, put.now, put.answer.as_ref())?;
    Ok((listener, made))
}

fn list(
    connection: &Connection,
    environment: Key,
    page: &Page,
) -> rusqlite::Result<Listed<Listener>> {
    let Cut { walk, low, high } = Cut::new(page);
    let mut select = connection.prepare_cached(&walk.sql(include_str!("queries/listeners.sql")))?;
    let found = select.query_map((environment, low, high, walk.rows()), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn find(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> rusqlite::Result<Option<Listener>> {
    match reference {
        Reference::Id(Id { key, nonce, .. }) => connection
            .prepare_cached(include_str!("queries/listener.sql"))?
            .query_row((environment, key, *nonce as i64), from_row)
            .optional(),
        Reference::Uid(name) => connection
            .prepare_cached(include_str!("queries/listener_by_name.sql"))?
            .query_row((environment, name), from_row)
            .optional(),
    }
}

/// A listener that is to be changed.
fn existing(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<Listener, Stop<WriteError>> {
    let found = find(connection, environment, reference)?;
    found.ok_or(Stop::Refused(WriteError::NotFound("listener")))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Listener> {
    Ok(Listener {
        id: ListenerId(rows::id(row, 0, 1)?),
        name: row.get(2)?,
        terms: row.get(3)?,
        place: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        seen_at: Timestamp(row.get(6)?),
    })
}

/// Deletes listeners at which nobody was for long, up to a bound. Returns how many.
pub(super) fn sweep(
    connection: &Connection,
    now: Timestamp,
    bound: usize,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(include_str!("queries/sweep_listeners.sql"))?;
    delete.execute((now.millis() - LISTENER_KEPT, bound as i64))
}

// ── reading on ─────────────────────────────────────────────────────────────────────────────────────

fn arrivals(connection: &Connection, query: &ArrivalQuery) -> rusqlite::Result<Arrivals> {
    // One state of the database for all that is read.
    let snapshot = connection.unchecked_transaction()?;
    let mut next = Next {
        select: snapshot.prepare_cached(include_str!("queries/arrival_next.sql"))?,
        environment: query.environment,
        heads: BinaryHeap::with_capacity(query.applications.len()),
    };
    for application in &query.applications {
        next.look(*application, query.after)?;
    }
    let mut arrived = Arrivals { reached: query.after, ..Arrivals::default() };
    let (mut looked, mut bytes) = (0, 0);
    while looked < query.limit
        && let Some(&Reverse(Head { key, application, size })) = next.heads.peek()
    {
        bytes += size.unwrap_or(0);
        if bytes > query.bytes && !arrived.items.is_empty() {
            break;
        }
        next.heads.pop();
        next.look(application, key)?;
        (looked, arrived.reached) = (looked + 1, key);
        if size.is_some() {
            arrived.items.push(arrival(&snapshot, key)?);
        }
    }
    arrived.done = next.heads.is_empty();
    Ok(arrived)
}

/// The next message of each application that has one, the oldest first: however many there are of
/// either, a page takes a look into the index for each application and one for each of its messages.
struct Next<'a> {
    select: CachedStatement<'a>,
    environment: Key,
    heads: BinaryHeap<Reverse<Head>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Key,
    application: Key,
    /// Bytes of payload, unless that is gone.
    size: Option<usize>,
}

impl Next<'_> {
    /// Looks for what follows a key in an application.
    fn look(&mut self, application: Key, after: Key) -> rusqlite::Result<()> {
        let found = self
            .select
            .query_row((application, self.environment, after), |row| {
                let size: Option<i64> = row.get(1)?;
                Ok(Head { key: row.get(0)?, application, size: size.map(|size| size as usize) })
            })
            .optional()?;
        self.heads.extend(found.map(Reverse));
        Ok(())
    }
}

fn arrival(connection: &Connection, key: Key) -> rusqlite::Result<Arrived> {
    let mut select = connection.prepare_cached(include_str!("queries/arrival.sql"))?;
    let arrived = select.query_row([key], |row| {
        let id = rows::id(row, 0, 1)?;
        Ok(Arrived {
            id: MessageId(id),
            scope: Scope { environment: row.get(2)?, application: row.get(3)? },
            event_type: row.get(4)?,
            event_id: row.get(5)?,
            channels: rows::optional(row, 9)?,
            tags: rows::optional(row, 10)?,
            content_type: row.get(6)?,
            version: row.get(11)?,
            payload: row.get::<_, Vec<u8>>(7)?.into(),
            headers: rows::optional::<Vec<_>>(row, 8)?.unwrap_or_default().into(),
            created_at: id.created_at(),
            request: None,
        })
    })?;
    let mut select = connection.prepare_cached(include_str!("queries/arrival_request.sql"))?;
    let request = select.query_row([key], |row| {
        Ok(ArrivedRequest {
            method: row.get(0)?,
            target: row.get(1)?,
            verdict: row.get(2)?,
            address: row.get(3)?,
            event_id: row.get(4)?,
        })
    });
    Ok(Arrived { request: request.optional()?, ..arrived })
}

fn behind(connection: &Connection, query: &BehindQuery) -> rusqlite::Result<Behind> {
    let snapshot = connection.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(include_str!("queries/arrivals_behind.sql"))?;
    let mut count = 0;
    let mut oldest: Option<Key> = None;
    for application in &query.applications {
        // When enough are counted, one is still looked for: it may be the oldest.
        let limit = (query.at_most - count).max(1);
        let parameters = (application, query.environment, query.after, limit as i64);
        let (found, first): (i64, Option<Key>) =
            select.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        count = (count + found as u64).min(query.at_most);
        oldest = oldest.into_iter().chain(first).min();
    }
    let oldest = oldest.map(|key| Id { key, shard: 0, nonce: 0 }.created_at());
    Ok(Behind { count, oldest })
}

// ── event streams ──────────────────────────────────────────────────────────────────────────────────

fn put_stream(transaction: &mut Transaction<'_>, put: &PutStream) -> Result<(), Stop<WriteError>> {
    let connection = transaction.connection;
    let source = source::writable(connection, put.environment, &put.source)?.id.key();
    let sql = include_str!("queries/source_stream_delete.sql");
    connection.prepare_cached(sql)?.execute([source])?;
    let sql = include_str!("queries/source_stream_insert.sql");
    let mut insert = connection.prepare_cached(sql)?;
    if insert.execute((source, put.hash, &put.sealed, put.now.millis()))? == 0 {
        return Err(Stop::Refused(WriteError::Conflict("stream token")));
    }
    answer::keep(transaction, put.now, put.answer.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a page costs follows from how many applications it is about and how many messages are on
    /// it, not from how many there are.
    #[test]
    fn what_comes_next_is_found_by_its_application_and_key() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema.sql")).unwrap();
        connection.execute_batch(include_str!("migrations/0002_sources.sql")).unwrap();
        let plan = |sql: &str| -> Vec<String> {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = vec![1; explain.parameter_count()];
            let parameters = rusqlite::params_from_iter(parameters);
            let steps = explain.query_map(parameters, |row| row.get(3)).unwrap();
            steps.map(Result::unwrap).collect()
        };
        for sql in
            [include_str!("queries/arrival_next.sql"), include_str!("queries/arrivals_behind.sql")]
        {
            let plan = plan(sql);
            let search = "message USING INDEX message_application (application=? AND rowid>?)";
            assert!(plan.iter().any(|step| step.contains(search)), "{plan:?}");
            assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
        }
        let plan = plan(include_str!("queries/arrival_request.sql"));
        assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{plan:?}");
    }
}
