//! Sources: creating and changing them with their applications, and their tokens.

use ringback_domain::{
    application::Application,
    id::{ApplicationId, Id, Key, MessageId, RequestId, SourceId},
    scope::{Reference, Scope},
    source::{Received, Source},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::oneshot;

use super::{
    Sqlite, answer, append, application, fault::Stop, queue::Job, request, resend, rows,
    writer::Transaction,
};
use crate::{
    ApplicationChange, BoxFuture, Due, Found, Listed, NewApplication, NewRequest, NewSource, Page,
    ReadError, Release, Released, RequestQuery, RotateSourceToken, SOURCE_TOKENS, SettingsChange,
    SourceChange, Sources, Unavailable, WriteError, pages::Cut,
};

impl Sources for Sqlite {
    fn create_source(&self, new: NewSource) -> BoxFuture<'_, Result<Source, WriteError>> {
        self.change(move |transaction| create(transaction, new))
    }

    fn source(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Source, ReadError>> {
        self.read(move |connection| {
            let key = existing(connection, environment, &source)?;
            Ok(by_key(connection, key)?)
        })
    }

    fn sources(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Source>, ReadError>> {
        self.read(move |connection| Ok(list(connection, environment, &page)?))
    }

    fn change_source(
        &self,
        environment: Key,
        source: Reference,
        change: SourceChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        self.change(move |transaction| self::change(transaction, environment, &source, change, now))
    }

    fn delete_source(
        &self,
        environment: Key,
        source: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>> {
        self.change(move |transaction| {
            let source = writable(transaction.connection, environment, &source)?;
            application::remove(transaction, source.application.key(), now)
        })
    }

    fn rotate_source_token(
        &self,
        rotate: RotateSourceToken,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        self.change(move |transaction| self::rotate(transaction, rotate))
    }

    fn source_by_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<(Key, Source)>, Unavailable>> {
        self.read(move |connection| Ok(by_token(connection, hash, now)?))
    }

    fn log_request(&self, new: NewRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.push(Job::Request(Box::new(new), reply));
        Box::pin(async move {
            queued.map_err(|(_, reason)| reason)?;
            answer.await.unwrap_or(Err(Unavailable::Closed.into()))
        })
    }

    fn request(
        &self,
        environment: Key,
        source: Reference,
        request: RequestId,
    ) -> BoxFuture<'_, Result<Received, ReadError>> {
        self.read(move |connection| request::get(connection, environment, &source, request))
    }

    fn requests(
        &self,
        environment: Key,
        source: Reference,
        query: RequestQuery,
    ) -> BoxFuture<'_, Result<Found<Received>, ReadError>> {
        self.read(move |connection| request::list(connection, environment, &source, &query))
    }

    fn release(&self, release: Release) -> BoxFuture<'_, Result<Released, WriteError>> {
        self.change_if(Released::is_now, move |transaction| append::release(transaction, &release))
    }

    fn redeliver(
        &self,
        scope: Scope,
        message: MessageId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Due>, Unavailable>> {
        self.write(move |transaction| Ok(resend::redeliver(transaction, scope, message, now)?))
    }
}

fn create(transaction: &mut Transaction<'_>, new: NewSource) -> Result<Source, Stop<WriteError>> {
    let NewSource { environment, source, application, token_hash, answer } = new;
    let connection = transaction.connection;
    let key = source.id.key();
    if rows::exists(connection, include_str!("queries/source_exists.sql"), [key])? {
        return Err(Stop::Refused(WriteError::Conflict("source id")));
    }
    check_uid(connection, environment, source.uid.as_deref(), None)?;
    let Application { id, .. } = application;
    application::create(transaction, &NewApplication { environment, application, answer: None })?;
    let source = Source { application: id, ..source };
    insert(connection, environment, &source)?;
    insert_token(connection, key, token_hash)?;
    answer::keep(transaction, source.created_at, answer.as_ref())?;
    Ok(source)
}

fn list(
    connection: &Connection,
    environment: Key,
    page: &Page,
) -> rusqlite::Result<Listed<Source>> {
    let Cut { walk, low, high } = Cut::new(page);
    let mut select = connection.prepare_cached(&walk.sql(include_str!("queries/sources.sql")))?;
    let found = select.query_map((environment, low, high, walk.rows()), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn change(
    transaction: &mut Transaction<'_>,
    environment: Key,
    reference: &Reference,
    change: SourceChange,
    now: Timestamp,
) -> Result<Source, Stop<WriteError>> {
    let connection = transaction.connection;
    let mut source = writable(connection, environment, reference)?;
    if let Some(uid) = &change.uid {
        check_uid(connection, environment, uid.as_deref(), Some(source.id.key()))?;
    }
    if let Some(SettingsChange { expected, .. }) = &change.settings
        && *expected != source.settings
    {
        return Err(Stop::Refused(WriteError::Conflict("settings")));
    }
    if let Some(name) = change.name.clone().filter(|name| *name != source.name) {
        let application = Reference::Id(source.application.0);
        let name = ApplicationChange { name: Some(name), ..ApplicationChange::default() };
        application::change(transaction, environment, &application, name, now)?;
    }
    change.apply(&mut source);
    source.updated_at = now;
    update(connection, &source)?;
    Ok(source)
}

fn rotate(
    transaction: &mut Transaction<'_>,
    rotate: RotateSourceToken,
) -> Result<Source, Stop<WriteError>> {
    let RotateSourceToken { environment, source, hash, sealed, old_until, now, answer } = rotate;
    let connection = transaction.connection;
    let mut source = writable(connection, environment, &source)?;
    let key = source.id.key();
    connection
        .prepare_cached(include_str!("queries/source_tokens_expire.sql"))?
        .execute((key, old_until.millis()))?;
    connection
        .prepare_cached(include_str!("queries/source_tokens_drop_expired.sql"))?
        .execute((key, now.millis()))?;
    let others: i64 = connection
        .prepare_cached(include_str!("queries/source_tokens_count.sql"))?
        .query_row([key], |row| row.get(0))?;
    if others >= SOURCE_TOKENS as i64 {
        return Err(Stop::Refused(WriteError::Limit("source tokens")));
    }
    insert_token(connection, key, hash)?;
    source.token = sealed;
    source.updated_at = now;
    update(connection, &source)?;
    answer::keep(transaction, now, answer.as_ref())?;
    Ok(source)
}

fn by_token(
    connection: &Connection,
    hash: [u8; 32],
    now: Timestamp,
) -> rusqlite::Result<Option<(Key, Source)>> {
    let mut select = connection.prepare_cached(include_str!("queries/source_by_token.sql"))?;
    select.query_row((hash, now.millis()), |row| Ok((row.get(14)?, from_row(row)?))).optional()
}

/// Deletes the source that owns an application, if one does.
pub(super) fn delete_of(connection: &Connection, application: Key) -> rusqlite::Result<()> {
    for sql in [
        include_str!("queries/source_tokens_delete.sql"),
        include_str!("queries/source_streams_delete.sql"),
        include_str!("queries/source_delete.sql"),
    ] {
        connection.prepare_cached(sql)?.execute([application])?;
    }
    Ok(())
}

/// The key of a source that has to be there.
pub(super) fn existing(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<Key, Stop<ReadError>> {
    let found = key(connection, environment, reference)?;
    found.ok_or(Stop::Refused(ReadError::NotFound("source")))
}

fn key(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> rusqlite::Result<Option<Key>> {
    match reference {
        Reference::Id(Id { key, nonce, .. }) => connection
            .prepare_cached(include_str!("queries/source_key.sql"))?
            .query_row((key, *nonce as i64, environment), |row| row.get(0))
            .optional(),
        Reference::Uid(uid) => connection
            .prepare_cached(include_str!("queries/source_key_by_uid.sql"))?
            .query_row((environment, uid), |row| row.get(0))
            .optional(),
    }
}

/// A source that is to be changed.
pub(super) fn writable(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> Result<Source, Stop<WriteError>> {
    let found = key(connection, environment, reference)?;
    let key = found.ok_or(Stop::Refused(WriteError::NotFound("source")))?;
    Ok(by_key(connection, key)?)
}

fn by_key(connection: &Connection, key: Key) -> rusqlite::Result<Source> {
    connection.prepare_cached(include_str!("queries/source.sql"))?.query_row([key], from_row)
}

fn check_uid(
    connection: &Connection,
    environment: Key,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let other = key(connection, environment, &Reference::Uid(uid.to_owned()))?;
    if other.is_some() && other != mine {
        return Err(Stop::Refused(WriteError::Conflict("source uid")));
    }
    Ok(())
}

fn insert(connection: &Connection, environment: Key, source: &Source) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/source_insert.sql"))?;
    insert.execute((
        source.id.key(),
        source.id.0.nonce as i64,
        environment,
        source.application.key(),
        &source.uid,
        &source.name,
        &source.provider,
        &source.config,
        &source.settings,
        &source.token,
        source.armed_until.map(Timestamp::millis),
        rows::json(&source.metadata)?,
        source.created_at.millis(),
        source.updated_at.millis(),
    ))?;
    Ok(())
}

fn update(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(include_str!("queries/source_update.sql"))?;
    update.execute((
        source.id.key(),
        &source.uid,
        &source.name,
        &source.provider,
        &source.config,
        &source.settings,
        &source.token,
        source.armed_until.map(Timestamp::millis),
        rows::json(&source.metadata)?,
        source.updated_at.millis(),
    ))?;
    Ok(())
}

/// Adds a token that holds until there is another.
fn insert_token(
    connection: &Connection,
    source: Key,
    hash: [u8; 32],
) -> Result<(), Stop<WriteError>> {
    let mut insert = connection.prepare_cached(include_str!("queries/source_token_insert.sql"))?;
    match insert.execute((hash, source))? {
        1 => Ok(()),
        _ => Err(Stop::Refused(WriteError::Conflict("source token"))),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Source> {
    let armed_until: Option<i64> = row.get(10)?;
    Ok(Source {
        id: SourceId(rows::id(row, 0, 1)?),
        application: ApplicationId(rows::id(row, 2, 3)?),
        uid: row.get(4)?,
        name: row.get(5)?,
        provider: row.get(6)?,
        config: row.get(7)?,
        settings: row.get(8)?,
        token: row.get(9)?,
        armed_until: armed_until.map(Timestamp),
        metadata: rows::parsed(row, 11)?,
        created_at: Timestamp(row.get(12)?),
        updated_at: Timestamp(row.get(13)?),
    })
}
