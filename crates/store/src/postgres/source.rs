//! Sources on a server: still to come.

use ringback_domain::{
    id::{Key, MessageId, RequestId},
    scope::{Reference, Scope},
    source::{Received, Source},
    time::Timestamp,
};

use super::Postgres;
use crate::{
    BoxFuture, Due, Found, Listed, NewRequest, NewSource, Page, ReadError, RequestQuery,
    RotateSourceToken, SourceChange, Sources, Unavailable, WriteError,
};

fn missing<T, E: From<Unavailable> + Send + 'static>() -> BoxFuture<'static, Result<T, E>>
where
    T: Send + 'static,
{
    let reason = "sources are not kept on PostgreSQL yet".to_owned();
    Box::pin(std::future::ready(Err(Unavailable::Failed(reason).into())))
}

impl Sources for Postgres {
    fn create_source(&self, _: NewSource) -> BoxFuture<'_, Result<Source, WriteError>> {
        missing()
    }

    fn source(&self, _: Key, _: Reference) -> BoxFuture<'_, Result<Source, ReadError>> {
        missing()
    }

    fn sources(&self, _: Key, _: Page) -> BoxFuture<'_, Result<Listed<Source>, ReadError>> {
        missing()
    }

    fn change_source(
        &self,
        _: Key,
        _: Reference,
        _: SourceChange,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        missing()
    }

    fn delete_source(
        &self,
        _: Key,
        _: Reference,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>> {
        missing()
    }

    fn rotate_source_token(
        &self,
        _: RotateSourceToken,
    ) -> BoxFuture<'_, Result<Source, WriteError>> {
        missing()
    }

    fn source_by_token(
        &self,
        _: [u8; 32],
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Option<(Key, Source)>, Unavailable>> {
        missing()
    }

    fn log_request(&self, _: NewRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        missing()
    }

    fn request(
        &self,
        _: Key,
        _: Reference,
        _: RequestId,
    ) -> BoxFuture<'_, Result<Received, ReadError>> {
        missing()
    }

    fn requests(
        &self,
        _: Key,
        _: Reference,
        _: RequestQuery,
    ) -> BoxFuture<'_, Result<Found<Received>, ReadError>> {
        missing()
    }
    fn redeliver(
        &self,
        _: Scope,
        _: MessageId,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Due>, Unavailable>> {
        missing()
    }
}
