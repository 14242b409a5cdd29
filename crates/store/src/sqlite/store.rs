//! The seam, operation by operation: what writes goes to the writer, what reads to the readers.

use std::{path::Path, sync::PoisonError};

use ringback_domain::{
    application::Application,
    attempt::Attempt,
    endpoint::Endpoint,
    event_type::EventType,
    id::{AttemptId, Key, MessageId, TokenId},
    idempotency::Claim,
    message::Message,
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{
    Sqlite, answer, application, attempt, audit, due, endpoint, environment, event_type, explain,
    message, order, queue::Job, resend, sweep, token,
};
use crate::*;

impl Store for Sqlite {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        let count = batch.len();
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.push(Job::Append(batch, reply));
        Box::pin(async move {
            let refused = |reason: Unavailable| vec![Err(reason.into()); count];
            match queued {
                Ok(()) => answer.await.unwrap_or_else(|_| refused(Unavailable::Closed)),
                Err((_, reason)) => refused(reason),
            }
        })
    }

    fn record(&self, batch: Vec<Record>) -> BoxFuture<'_, Result<Vec<Recorded>, Unavailable>> {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.push(Job::Record(batch, reply));
        Box::pin(async move {
            queued.map_err(|(_, reason)| reason)?;
            answer.await.unwrap_or(Err(Unavailable::Closed))
        })
    }

    fn resend(&self, resend: Resend) -> BoxFuture<'_, Result<Due, ResendError>> {
        self.change(move |transaction| resend::resend(transaction, &resend))
    }

    fn skip(
        &self,
        scope: Scope,
        endpoint: Reference,
        ordering_key: String,
        message: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Skipped, WriteError>> {
        self.change(move |transaction| {
            order::skip(transaction, scope, &endpoint, &ordering_key, message)
        })
    }

    fn due(&self, query: DueQuery) -> BoxFuture<'_, Result<DuePage, Unavailable>> {
        self.read(move |connection| Ok(due::due(connection, query)?))
    }

    fn waiting_endpoints(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Waiting>, Unavailable>> {
        self.read(move |connection| Ok(due::waiting(connection, after, limit)?))
    }

    fn lane(&self, endpoint: Key) -> BoxFuture<'_, Result<Option<Lane>, Unavailable>> {
        self.read(move |connection| Ok(endpoint::lane(connection, endpoint)?))
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, Unavailable>> {
        self.read(|connection| Ok(due::backlog(connection)?))
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async move {
            let progress = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            let found = self
                .read::<_, Unavailable, _>(move |connection| {
                    Ok(sweep::find(connection, progress, now)?)
                })
                .await?;
            let next = found.next;
            let more = self
                .write::<_, Unavailable, _>(move |transaction| {
                    Ok(sweep::delete(transaction, &found, now)?)
                })
                .await?;
            *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = next;
            Ok(more)
        })
    }

    fn claimed(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Claimed>, Unavailable>> {
        self.write(move |transaction| Ok(answer::find(transaction, claim, now)?))
    }

    fn create_application(
        &self,
        new: NewApplication,
    ) -> BoxFuture<'_, Result<Application, WriteError>> {
        self.change(move |transaction| application::create(transaction, &new))
    }

    fn application(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<Application, ReadError>> {
        self.read(move |connection| application::get(connection, environment, &application))
    }

    fn applications(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Application>, ReadError>> {
        self.read(move |connection| Ok(application::list(connection, environment, &page)?))
    }

    fn change_application(
        &self,
        environment: Key,
        application: Reference,
        change: ApplicationChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Application, WriteError>> {
        self.change(move |transaction| {
            application::change(transaction, environment, &application, change, now)
        })
    }

    fn delete_application(
        &self,
        environment: Key,
        application: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>> {
        self.change(move |transaction| {
            application::delete(transaction, environment, &application, now)
        })
    }

    fn create_endpoint(&self, new: NewEndpoint) -> BoxFuture<'_, Result<Endpoint, WriteError>> {
        self.change(move |transaction| endpoint::create(transaction, &new))
    }

    fn endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<Endpoint, ReadError>> {
        self.read(move |connection| endpoint::get(connection, scope, &endpoint))
    }

    fn endpoints(
        &self,
        scope: Scope,
        targets: Targets,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Endpoint>, ReadError>> {
        self.read(move |connection| Ok(endpoint::list(connection, scope, targets, &page)?))
    }

    fn change_endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
        change: EndpointChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Endpoint, WriteError>> {
        let changed = self.change(move |transaction| {
            endpoint::change(transaction, scope, &endpoint, change, now)
        });
        Box::pin(async move {
            let (endpoint, more) = changed.await?;
            if more {
                self.release(endpoint.id.key()).await;
            }
            Ok(endpoint)
        })
    }

    fn delete_endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| endpoint::delete(transaction, scope, &endpoint, now))
    }

    fn endpoint_secrets(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<EndpointSecrets, ReadError>> {
        self.read(move |connection| endpoint::secrets(connection, scope, &endpoint))
    }

    fn rotate_secret(&self, rotate: RotateSecret) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| endpoint::rotate(transaction, &rotate))
    }

    fn set_headers(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        sealed: Option<Vec<u8>>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            endpoint::set_headers(transaction, scope, &endpoint, (expected, sealed), now)
        })
    }

    fn set_transformation(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        sealed: Option<Vec<u8>>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            endpoint::set_transformation(transaction, scope, &endpoint, (expected, sealed), now)
        })
    }

    fn set_access(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        access: Option<SealedAccess>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            endpoint::set_access(transaction, scope, &endpoint, (expected, access), now)
        })
    }

    fn create_event_type(&self, new: NewEventType) -> BoxFuture<'_, Result<EventType, WriteError>> {
        self.change(move |transaction| event_type::create(transaction, &new))
    }

    fn event_type(
        &self,
        environment: Key,
        name: String,
    ) -> BoxFuture<'_, Result<EventType, ReadError>> {
        self.read(move |connection| event_type::get(connection, environment, &name))
    }

    fn event_types(
        &self,
        environment: Key,
        query: EventTypeQuery,
    ) -> BoxFuture<'_, Result<Listed<EventType>, ReadError>> {
        self.read(move |connection| Ok(event_type::list(connection, environment, &query)?))
    }

    fn change_event_type(
        &self,
        environment: Key,
        name: String,
        change: EventTypeChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<EventType, WriteError>> {
        self.change(move |transaction| {
            event_type::change(transaction, environment, &name, change, now)
        })
    }

    fn delete_event_type(
        &self,
        environment: Key,
        name: String,
        expunge: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            event_type::delete(transaction, environment, &name, expunge, now)
        })
    }

    fn message(
        &self,
        scope: Scope,
        message: Reference,
        with_content: bool,
    ) -> BoxFuture<'_, Result<Message, ReadError>> {
        self.read(move |connection| message::get(connection, scope, &message, with_content))
    }

    fn messages(
        &self,
        scope: Scope,
        query: MessageQuery,
    ) -> BoxFuture<'_, Result<Listed<Message>, ReadError>> {
        self.read(move |connection| Ok(message::list(connection, scope, &query)?))
    }

    fn attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Listed<Attempt>, ReadError>> {
        self.read(move |connection| attempt::list(connection, scope, &query))
    }

    fn attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<Attempt, ReadError>> {
        self.read(move |connection| attempt::get(connection, scope, &message, attempt))
    }

    fn explain(
        &self,
        scope: Scope,
        message: Reference,
    ) -> BoxFuture<'_, Result<Explanation, ReadError>> {
        self.read(move |connection| explain::explain(connection, scope, &message))
    }

    fn environment(&self, name: String, now: Timestamp) -> BoxFuture<'_, Result<Key, Unavailable>> {
        let act = crate::audit::current();
        self.write(move |transaction| {
            let (key, made) = environment::ensure(transaction, &name, now)?;
            if made {
                audit::insert(transaction, &Act::environment_made(act, key, &name, now))?;
            }
            Ok(key)
        })
    }

    fn create_token(&self, new: NewToken) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| token::create(transaction, &new))
    }

    fn tokens(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, Unavailable>> {
        self.read(|connection| Ok(token::list(connection)?))
    }

    fn revoke_token(
        &self,
        token: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<TokenRow, WriteError>> {
        self.change(move |transaction| token::revoke(transaction, token, now))
    }

    fn token(&self, token: TokenId) -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>> {
        self.read(move |connection| Ok(token::one(connection, token)?))
    }

    fn token_by_hash(
        &self,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>> {
        self.read(move |connection| Ok(token::by_hash(connection, hash)?))
    }

    fn keep_first(
        &self,
        name: String,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, Unavailable>> {
        self.write(move |transaction| Ok(environment::keep_first(transaction, &name, &value)?))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.write(|transaction| {
            let sql = include_str!("queries/check.sql");
            let _: i64 =
                transaction.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(())
        })
    }

    fn space(&self) -> Space {
        let size = |suffix: &str| {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            std::fs::metadata(Path::new(&path)).map_or(0, |file| file.len())
        };
        let parts = [("database", ""), ("log", "-wal"), ("log_index", "-shm")];
        let parts: std::collections::BTreeMap<_, _> =
            parts.map(|(name, suffix)| (name, size(suffix))).into();
        let disk = rustix::fs::statvfs(&self.path).ok();
        let free = disk.map(|disk| disk.f_bavail * disk.f_frsize);
        Space { used: parts.values().sum(), free, parts }
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }

    fn last_attempt_key(&self) -> Key {
        self.last_attempt
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let closing = self.closing();
        let (reply, closed) = oneshot::channel();
        // Joining blocks, which must not happen on a runtime's thread.
        let waiter = std::thread::Builder::new().name("store-close".to_owned()).spawn(move || {
            closing.finish();
            let _ = reply.send(());
        });
        Box::pin(async move {
            if waiter.is_ok() {
                let _ = closed.await;
            }
        })
    }
}

impl Sqlite {
    /// Lets everything go that waits at an endpoint without an order, so much at a time that nobody
    /// else waits for long.
    async fn release(&self, endpoint: Key) {
        loop {
            let released: Result<bool, Unavailable> = self
                .write(move |transaction| Ok(order::release(transaction.connection, endpoint)?))
                .await;
            match released {
                Ok(true) => {}
                Ok(false) => return,
                Err(reason) => {
                    return tracing::warn!(%reason, "what waited goes on in the order that it had");
                }
            }
        }
    }
}
