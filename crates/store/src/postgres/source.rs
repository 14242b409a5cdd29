//! Sources: each with the application that it owns, and the tokens by which it is called.
//!
//! Who changes a source locks that application, as everybody does who changes something of it.

use std::sync::Arc;

use ringback_domain::{
    id::{ApplicationId, Id, Key, MessageId, RequestId, SourceId},
    scope::{Reference, Scope},
    source::{Received, Source},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, answer, append, application,
    fault::{self, Stop},
    partitions, redeliver, request, rows,
    transaction::{Transaction, bytea, int4, int8, text},
};
use crate::{
    ApplicationChange, BoxFuture, Due, Found, Listed, NewApplication, NewRequest, NewSource, Page,
    ReadError, Release, Released, RequestQuery, RotateSourceToken, SOURCE_TOKENS, SourceChange,
    Sources, Unavailable, WriteError, pages::Cut,
};

/// The column of the environment in the rows of sources.
const ENVIRONMENT: usize = 14;

impl Sources for Postgres {
    fn create_source(&self, new: NewSource) -> BoxFuture<'_, Result<Source, WriteError>> {
        Box::pin(async move {
            let (node, now) = (Arc::clone(&self.node), new.source.created_at);
            let made = async move { partitions::make_for_sources(&node, now).await };
            let made = self.runtime.handle.spawn(made).await;
            made.unwrap_or(Err(Unavailable::Closed))?;
            self.change(move |transaction| Box::pin(async move { create(transaction, new).await }))
                .await
        })
    }

    fn source(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Source, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let missing = || Stop::Refused(ReadError::NotFound("source"));
                find(transaction, environment, &source).await?.ok_or_else(missing)
            })
        })
    }

    fn sources(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Source>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, environment, &page).await?) })
        })
    }

    fn change_source(
        &self,
        environment: Key,
        source: Reference,
        change: SourceChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        self.change(move |transaction| {
            Box::pin(
                async move { self::change(transaction, environment, &source, change, now).await },
            )
        })
    }

    fn delete_source(
        &self,
        environment: Key,
        source: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { delete(transaction, environment, &source, now).await })
        })
    }

    fn rotate_source_token(
        &self,
        rotate: RotateSourceToken,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { self::rotate(transaction, rotate).await })
        })
    }

    fn source_by_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<(Key, Source)>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(by_token(transaction, hash, now).await?) })
        })
    }

    fn log_request(&self, new: NewRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(async move {
            let logged = self.node.health.minded(self.requests.ask(vec![new])).await??;
            logged.into_iter().next().unwrap_or(Err(Unavailable::Closed.into()))
        })
    }

    fn request(
        &self,
        environment: Key,
        source: Reference,
        request: RequestId,
    ) -> BoxFuture<'_, Result<Received, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { request::get(transaction, environment, &source, request).await })
        })
    }

    fn requests(
        &self,
        environment: Key,
        source: Reference,
        query: RequestQuery,
    ) -> BoxFuture<'_, Result<Found<Received>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { request::list(transaction, environment, &source, &query).await })
        })
    }

    fn release(&self, release: Release) -> BoxFuture<'_, Result<Released, WriteError>> {
        Box::pin(append::release(self, release))
    }

    fn redeliver(
        &self,
        scope: Scope,
        message: MessageId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Due>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(
                async move { Ok(redeliver::redeliver(transaction, scope, message, now).await?) },
            )
        })
    }
}

async fn create(transaction: &Transaction<'_>, new: NewSource) -> Result<Source, Stop<WriteError>> {
    let NewSource { environment, source, application, token_hash, answer } = new;
    check_uid(transaction, environment, source.uid.as_deref(), None).await?;
    let owned = NewApplication { environment, application, answer: None };
    application::create(transaction, &owned).await?;
    insert(transaction, environment, &source).await.map_err(fault::conflict)?;
    insert_token(transaction, source.id, token_hash).await?;
    answer::keep(transaction, source.created_at, answer.as_ref()).await?;
    Ok(source)
}

async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    page: &Page,
) -> Result<Listed<Source>, Error> {
    let Cut { walk, low, high } = Cut::new(page);
    let sql = walk.sql(include_str!("queries/sources.sql"));
    let limit = walk.rows();
    let parameters = [int8(&environment), int8(&low), int8(&high), int8(&limit)];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

async fn change(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    change: SourceChange,
    now: Timestamp,
) -> Result<Source, Stop<WriteError>> {
    let mut source = to_change(transaction, environment, reference).await?;
    if let Some(uid) = &change.uid {
        check_uid(transaction, environment, uid.as_deref(), Some(source.id.key())).await?;
    }
    if change.settings.as_ref().is_some_and(|settings| settings.expected != source.settings) {
        return Err(Stop::Refused(WriteError::Conflict("settings")));
    }
    if let Some(name) = &change.name {
        let owned = Reference::Id(source.application.0);
        let change = ApplicationChange { name: Some(name.clone()), ..Default::default() };
        application::change(transaction, environment, &owned, change, now).await?;
    }
    change.apply(&mut source);
    source.updated_at = now;
    update(transaction, &source).await.map_err(fault::conflict)?;
    Ok(source)
}

async fn delete(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    now: Timestamp,
) -> Result<Vec<Key>, Stop<WriteError>> {
    let source = to_change(transaction, environment, reference).await?;
    let owned = Reference::Id(source.application.0);
    application::delete(transaction, environment, &owned, now).await
}

/// Deletes the source that owns an application, if one does. The caller has locked the application.
pub(super) async fn delete_owner(
    transaction: &Transaction<'_>,
    application: Key,
) -> Result<(), Error> {
    let sql = include_str!("queries/source_delete.sql");
    transaction.execute(sql, &[int8(&application)]).await?;
    Ok(())
}

async fn rotate(
    transaction: &Transaction<'_>,
    rotate: RotateSourceToken,
) -> Result<Source, Stop<WriteError>> {
    let RotateSourceToken { environment, source, hash, sealed, old_until, now, answer } = rotate;
    let mut source = to_change(transaction, environment, &source).await?;
    let (key, until, millis) = (source.id.key(), old_until.millis(), now.millis());
    let sql = include_str!("queries/source_tokens_expire.sql");
    transaction.execute(sql, &[int8(&key), int8(&until)]).await?;
    let sql = include_str!("queries/source_tokens_drop_expired.sql");
    transaction.execute(sql, &[int8(&key), int8(&millis)]).await?;
    let sql = include_str!("queries/source_tokens_count.sql");
    let others: i64 = transaction.row(sql, &[int8(&key)]).await?.map_or(0, |row| row.get(0));
    if others >= SOURCE_TOKENS as i64 {
        return Err(Stop::Refused(WriteError::Limit("source tokens")));
    }
    insert_token(transaction, source.id, hash).await?;
    source.token = sealed;
    source.updated_at = now;
    update(transaction, &source).await?;
    answer::keep(transaction, now, answer.as_ref()).await?;
    Ok(source)
}

async fn by_token(
    transaction: &Transaction<'_>,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<(Key, Source)>, Error> {
    let (hash, now) = (hash.as_slice(), now.millis());
    let sql = include_str!("queries/source_by_token.sql");
    let row = transaction.row(sql, &[bytea(&hash), int8(&now)]).await?;
    Ok(row.as_ref().map(|row| (row.get(ENVIRONMENT), from_row(row))))
}

/// Where the requests of a source are: its key, and the key of its application.
pub(super) async fn place(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<(Key, Key), Stop<ReadError>> {
    let found = find(transaction, environment, reference).await?;
    let source = found.ok_or(Stop::Refused(ReadError::NotFound("source")))?;
    Ok((source.id.key(), source.application.key()))
}

/// A source as it stays until it is written back: its application is locked.
pub(super) async fn to_change(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Source, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("source"));
    let found = find(transaction, environment, reference).await?.ok_or_else(missing)?;
    let scope = Scope { environment, application: found.application.key() };
    application::lock(transaction, scope).await?;
    // Somebody may have changed it, or deleted it, before.
    find(transaction, environment, &Reference::Id(found.id.0)).await?.ok_or_else(missing)
}

async fn find(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Option<Source>, Error> {
    let row = match reference {
        Reference::Id(id) => {
            let sql = include_str!("queries/source.sql");
            let nonce = id.nonce as i64;
            transaction.row(sql, &[int8(&environment), int8(&id.key), int8(&nonce)]).await?
        }
        Reference::Uid(uid) => {
            let sql = include_str!("queries/source_by_uid.sql");
            transaction.row(sql, &[int8(&environment), text(uid)]).await?
        }
    };
    Ok(row.as_ref().map(from_row))
}

fn from_row(row: &Row) -> Source {
    let armed_until: Option<i64> = row.get(10);
    Source {
        id: SourceId(rows::id(row, 0, 1)),
        uid: row.get(2),
        name: row.get(3),
        provider: row.get(4),
        application: ApplicationId(rows::id(row, 5, 6)),
        config: row.get(7),
        settings: row.get(8),
        token: row.get(9),
        armed_until: armed_until.map(Timestamp),
        metadata: rows::parsed(row, 11),
        created_at: Timestamp(row.get(12)),
        updated_at: Timestamp(row.get(13)),
    }
}

async fn check_uid(
    transaction: &Transaction<'_>,
    environment: Key,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let reference = Reference::Uid(uid.to_owned());
    let other = find(transaction, environment, &reference).await?;
    if other.is_some_and(|other| Some(other.id.key()) != mine) {
        return Err(Stop::Refused(WriteError::Conflict("source uid")));
    }
    Ok(())
}

async fn insert(
    transaction: &Transaction<'_>,
    environment: Key,
    source: &Source,
) -> Result<(), Error> {
    let Id { key, nonce, .. } = source.id.0;
    let sql = include_str!("queries/source_insert.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&key),
                int8(&(nonce as i64)),
                int4(&rows::shard_of(source.application.key())),
                int8(&environment),
                int8(&source.application.key()),
                text(&source.uid),
                text(&source.name),
                text(&source.provider),
                text(&source.config),
                bytea(&source.settings),
                bytea(&source.token),
                int8(&source.armed_until.map(Timestamp::millis)),
                text(&rows::json(&source.metadata)),
                int8(&source.created_at.millis()),
                int8(&source.updated_at.millis()),
            ],
        )
        .await?;
    Ok(())
}

async fn insert_token(
    transaction: &Transaction<'_>,
    source: SourceId,
    hash: [u8; 32],
) -> Result<(), Stop<WriteError>> {
    let (key, hash) = (source.key(), hash.as_slice());
    let sql = include_str!("queries/source_token_insert.sql");
    let inserted = transaction.execute(sql, &[bytea(&hash), int8(&key)]).await;
    inserted.map(drop).map_err(fault::conflict)
}

async fn update(transaction: &Transaction<'_>, source: &Source) -> Result<(), Error> {
    let sql = include_str!("queries/source_update.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&source.id.key()),
                text(&source.uid),
                text(&source.name),
                text(&source.provider),
                text(&source.config),
                bytea(&source.settings),
                bytea(&source.token),
                int8(&source.armed_until.map(Timestamp::millis)),
                text(&rows::json(&source.metadata)),
                int8(&source.updated_at.millis()),
            ],
        )
        .await?;
    Ok(())
}
