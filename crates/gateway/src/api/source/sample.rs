//! Samples for a source: what its provider might send, signed with the source's own settings.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::provider::vector::WireRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ingest_url, opened_settings};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named},
        reply::json,
    },
    receive::Config,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(sample))
}

/// Which sample.
#[derive(Deserialize, ToSchema)]
struct SourceSampleIn {
    /// One of the sample events that `ringback providers show` lists; the first if not given.
    #[schema(example = "invoice.paid")]
    event: Option<String>,
}

/// A request as the provider would send it now.
#[derive(Serialize, ToSchema)]
struct SourceSampleOut {
    /// The sample event.
    event: String,
    /// The method.
    method: String,
    /// The source's URL.
    url: String,
    /// Headers, the provider's proof and `x-ringback-sample` among them.
    headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    body: String,
}

/// Make a sample event for a source
///
/// The answer is a request that is signed with the source's settings, as its provider would sign it
/// now. Send it to its URL, and it goes the way of any event; its header `x-ringback-sample` goes
/// on to the endpoints.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/sample", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = SourceSampleIn,
    responses((status = 200, body = SourceSampleOut)))]
async fn sample(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(source): Named<extract::Source>,
    Json(body): Json<SourceSampleIn>,
) -> Result<Response, Error> {
    let source = api.store.source(environment, source).await?;
    let provider = api.catalog.get(&source.provider).ok_or(Error::Internal)?;
    let wrong = |what: String| Error::invalid("body", "event", what);
    let sample = provider.sample(body.event.as_deref()).ok_or_else(|| {
        let known: Vec<_> = provider.samples.iter().map(|one| one.event.as_str()).collect();
        wrong(format!("there is no such sample: there is {}", known.join(", ")))
    })?;
    let url = ingest_url(&api, environment, &source).ok_or(Error::Internal)?;
    let config: Config = serde_json::from_str(&source.config).map_err(|_| Error::Internal)?;
    let settings = opened_settings(&api, environment, &source);
    let random = u64::from_be_bytes(api.world.entropy.bytes());
    let id = format!("sample_{random:016x}");
    let made = provider
        .request_of(sample, &url, random)
        .sign(&provider, &settings, config.public_url.as_deref(), &id, now)
        .map_err(|error| wrong(format!("it cannot be signed: {error}")))?;
    let WireRequest { method, headers, body, .. } = made;
    let method = config.methods.first().cloned().unwrap_or(method);
    let event = sample.event.clone();
    Ok(json(StatusCode::OK, &SourceSampleOut { event, method, url, headers, body }))
}
