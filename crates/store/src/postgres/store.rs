//! The seam, operation by operation.

use std::sync::Arc;

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

use super::{
    Postgres, answer, application, attempt, audit, due, endpoint, environment, event_type, explain,
    message, order, resend, sweep, token,
};
use crate::*;

impl Store for Postgres {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        Box::pin(async move {
            let count = batch.len();
            match self.node.health.minded(self.appends.ask(batch)).await {
                Ok(Ok(answers)) => answers,
                Ok(Err(reason)) | Err(reason) => vec![Err(reason.into()); count],
            }
        })
    }

    fn record(&self, batch: Vec<Record>) -> BoxFuture<'_, Result<Vec<Recorded>, Unavailable>> {
        Box::pin(self.records.ask(batch))
    }

    fn resend(&self, resend: Resend) -> BoxFuture<'_, Result<Due, ResendError>> {
        self.change(move |transaction| {
            Box::pin(async move { resend::resend(transaction, &resend).await })
        })
    }

    fn skip(
        &self,
        scope: Scope,
        endpoint: Reference,
        ordering_key: String,
        message: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Skipped, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                order::skip(transaction, scope, &endpoint, &ordering_key, message).await
            })
        })
    }

    fn due(&self, query: DueQuery) -> BoxFuture<'_, Result<DuePage, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(due::due(transaction, query).await?) })
        })
    }

    fn waiting_endpoints(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Waiting>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(due::waiting(transaction, after, limit).await?) })
        })
    }

    fn lane(&self, endpoint: Key) -> BoxFuture<'_, Result<Option<Lane>, Unavailable>> {
        Box::pin(async move {
            let mut lanes = self.node.health.minded(self.lanes.ask(vec![endpoint])).await??;
            Ok(lanes.pop().flatten())
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(due::backlog(transaction).await?) })
        })
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async move {
            let node = Arc::clone(&self.node);
            let swept = self.runtime.handle.spawn(async move { sweep::sweep(&node, now).await });
            swept.await.unwrap_or(Err(Unavailable::Closed))
        })
    }

    fn claimed(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Claimed>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(answer::find(transaction, claim, now).await?) })
        })
    }

    fn create_application(
        &self,
        new: NewApplication,
    ) -> BoxFuture<'_, Result<Application, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { application::create(transaction, &new).await })
        })
    }

    fn application(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<Application, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { application::get(transaction, environment, &application).await })
        })
    }

    fn applications(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Application>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(application::list(transaction, environment, &page).await?) })
        })
    }

    fn change_application(
        &self,
        environment: Key,
        application: Reference,
        change: ApplicationChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Application, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                application::change(transaction, environment, &application, change, now).await
            })
        })
    }

    fn delete_application(
        &self,
        environment: Key,
        application: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                application::delete(transaction, environment, &application, now).await
            })
        })
    }

    fn create_endpoint(&self, new: NewEndpoint) -> BoxFuture<'_, Result<Endpoint, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { endpoint::create(transaction, &new).await })
        })
    }

    fn endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<Endpoint, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { endpoint::get(transaction, scope, &endpoint).await })
        })
    }

    fn endpoints(
        &self,
        scope: Scope,
        targets: Targets,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Endpoint>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(endpoint::list(transaction, scope, targets, &page).await?) })
        })
    }

    fn change_endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
        change: EndpointChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Endpoint, WriteError>> {
        let changed = self.change(move |transaction| {
            Box::pin(
                async move { endpoint::change(transaction, scope, &endpoint, change, now).await },
            )
        });
        Box::pin(async move {
            let (endpoint, more) = changed.await?;
            if more {
                self.release(scope.application, endpoint.id.key()).await;
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
        self.change(move |transaction| {
            Box::pin(async move { endpoint::delete(transaction, scope, &endpoint, now).await })
        })
    }

    fn endpoint_secrets(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<EndpointSecrets, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { endpoint::secrets(transaction, scope, &endpoint).await })
        })
    }

    fn rotate_secret(&self, rotate: RotateSecret) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { endpoint::rotate(transaction, &rotate).await })
        })
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
            Box::pin(async move {
                endpoint::set_headers(transaction, scope, &endpoint, (expected, sealed), now).await
            })
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
            Box::pin(async move {
                let change = (expected, sealed);
                endpoint::set_transformation(transaction, scope, &endpoint, change, now).await
            })
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
            Box::pin(async move {
                endpoint::set_access(transaction, scope, &endpoint, (expected, access), now).await
            })
        })
    }

    fn create_event_type(&self, new: NewEventType) -> BoxFuture<'_, Result<EventType, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { event_type::create(transaction, &new).await })
        })
    }

    fn event_type(
        &self,
        environment: Key,
        name: String,
    ) -> BoxFuture<'_, Result<EventType, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { event_type::get(transaction, environment, &name).await })
        })
    }

    fn event_types(
        &self,
        environment: Key,
        query: EventTypeQuery,
    ) -> BoxFuture<'_, Result<Listed<EventType>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(event_type::list(transaction, environment, &query).await?) })
        })
    }

    fn change_event_type(
        &self,
        environment: Key,
        name: String,
        change: EventTypeChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<EventType, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                event_type::change(transaction, environment, &name, change, now).await
            })
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
            Box::pin(async move {
                event_type::delete(transaction, environment, &name, expunge, now).await
            })
        })
    }

    fn message(
        &self,
        scope: Scope,
        message: Reference,
        with_content: bool,
    ) -> BoxFuture<'_, Result<Message, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { message::get(transaction, scope, &message, with_content).await })
        })
    }

    fn messages(
        &self,
        scope: Scope,
        query: MessageQuery,
    ) -> BoxFuture<'_, Result<Listed<Message>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(message::list(transaction, scope, &query).await?) })
        })
    }

    fn attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Listed<Attempt>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { attempt::list(transaction, scope, &query).await })
        })
    }

    fn attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<Attempt, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { attempt::get(transaction, scope, &message, attempt).await })
        })
    }

    fn explain(
        &self,
        scope: Scope,
        message: Reference,
    ) -> BoxFuture<'_, Result<Explanation, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { explain::explain(transaction, scope, &message).await })
        })
    }

    fn environment(&self, name: String, now: Timestamp) -> BoxFuture<'_, Result<Key, Unavailable>> {
        let act = crate::audit::current();
        self.transact(move |transaction| {
            Box::pin(async move {
                let (key, made) = environment::ensure(transaction, &name, now).await?;
                if made {
                    let act = Act::environment_made(act, key, &name, now);
                    audit::insert(transaction, &act).await?;
                }
                Ok(key)
            })
        })
    }

    fn create_token(&self, new: NewToken) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { token::create(transaction, &new).await })
        })
    }

    fn tokens(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(token::list(transaction).await?) })
        })
    }

    fn revoke_token(
        &self,
        token: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<TokenRow, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { token::revoke(transaction, token, now).await })
        })
    }

    fn token(&self, token: TokenId) -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(token::one(transaction, token).await?) })
        })
    }

    fn token_by_hash(
        &self,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(token::by_hash(transaction, hash).await?) })
        })
    }

    fn keep_first(
        &self,
        name: String,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(environment::keep_first(transaction, &name, &value).await?) })
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                // It takes the lock that a write takes, and leaves the row as it is.
                transaction.row("SELECT epoch FROM node FOR UPDATE", &[]).await?;
                Ok(transaction.measure().await?)
            })
        })
    }

    fn space(&self) -> Space {
        self.node.space()
    }

    fn epoch(&self) -> i64 {
        self.node.epoch
    }

    fn last_attempt_key(&self) -> Key {
        self.last_attempt
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.finish())
    }
}

impl Postgres {
    /// Lets everything go that waits at an endpoint without an order, so much at a time that nobody
    /// else waits for long.
    async fn release(&self, application: Key, endpoint: Key) {
        loop {
            let released: Result<bool, Unavailable> = self
                .transact(move |transaction| {
                    Box::pin(async move {
                        Ok(order::release(transaction, application, endpoint).await?)
                    })
                })
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
