//! A source's event stream: a URL of its own, for clients of smee.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{id::Key, scope::Reference, seal::Context, source::Source, time::Timestamp};
use ringback_store::PutStream;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::mint_token;
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Named},
        reply::{json, nothing},
    },
    listen, receive,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(
        get_event_stream,
        put_event_stream,
        delete_event_stream
    ))
}

/// A source's event stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SourceEventStreamOut {
    /// Where it is. Whoever knows this hears everything that arrives.
    url: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Get the URL of a source's event stream
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/event-stream/token", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = SourceEventStreamOut)))]
async fn get_event_stream(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    let source = api.store.source(environment, source).await?;
    let stream = api.store.stream(environment, Reference::Id(source.id.0)).await?;
    let stream = stream.ok_or(Error::NotFound("event stream"))?;
    let token = api.vault.open(&place(environment, &source), &stream.sealed)?;
    let token = std::str::from_utf8(&token).map_err(|_| Error::Internal)?;
    let out = SourceEventStreamOut { url: url(&api, token), created_at: stream.created_at };
    Ok(json(StatusCode::OK, &out))
}

/// Give a source an event stream
///
/// Whoever has the URL hears everything that arrives at the source and is accepted, as clients of
/// smee.io read it. Called again, it makes another URL, and the one before stops.
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/event-stream/token", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = SourceEventStreamOut)))]
async fn put_event_stream(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    let source = api.store.source(environment, source).await?;
    let token = mint_token(&api);
    let put = PutStream {
        environment,
        source: Reference::Id(source.id.0),
        hash: ringback_domain::token::hash(&token),
        sealed: api.vault.seal(&place(environment, &source), token.as_bytes())?,
        now,
        answer: None,
    };
    api.store.put_stream(put).await?;
    api.streams.changed();
    let out = SourceEventStreamOut { url: url(&api, &token), created_at: now };
    Ok(json(StatusCode::OK, &out))
}

/// Take a source's event stream away
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}/event-stream/token",
    tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete_event_stream(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    api.store.delete_stream(environment, source, now).await?;
    api.streams.changed();
    Ok(nothing())
}

fn place(environment: Key, source: &Source) -> Context<'static> {
    Context { environment, owner: source.id.key(), purpose: receive::STREAM }
}

fn url(api: &Api, token: &str) -> String {
    format!("{}{}{token}", api.public_url, listen::PREFIX)
}
