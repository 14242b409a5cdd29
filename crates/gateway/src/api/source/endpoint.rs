//! The endpoints of a source: those of its application, in the shape of the ingest API.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use ringback_domain::{application::Metadata, endpoint::Endpoint, id::EndpointId, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Within;
use crate::api::{
    Api,
    endpoint::{
        self, EndpointHeadersIn, EndpointHeadersOut, EndpointIn, EndpointOut, EndpointSecretOut,
        EndpointSecretRotateIn, Told,
        transformation::{
            self, TransformationDryRunIn, TransformationDryRunOut, TransformationOut,
            TransformationPatch,
        },
    },
    error::Error,
    extract::{self, Json, Named, Scoped},
    idempotency::{Answered, Posted},
    list::List,
    patch,
    query::{Paging, Query},
    reply,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, delete))
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(get_headers, set_headers))
        .routes(routes!(get_transformation, patch_transformation))
        .routes(routes!(dry_run_transformation))
}

/// An endpoint of a source to create, or what replaces one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct IngestEndpointIn {
    /// Where requests go. A user and a password in it become a Basic header.
    #[schema(required, nullable = false, example = "https://example.com/webhook")]
    url: Option<String>,
    /// For people.
    description: Option<String>,
    /// Your own name for it, usable in every path.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    /// Takes no messages for now.
    disabled: Option<bool>,
    /// Only these event types; all if not given.
    event_types: Option<Vec<String>>,
    /// Only messages with such content; all if null. The SDKs do not know it, so what replaces an
    /// endpoint without naming it keeps it. `docs/filters.md` describes the language.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"body": {"amount": {"$gte": 100}}}))]
    filter: Option<Option<Value>>,
    /// Signs deliveries as this provider signs its webhooks, too, with the endpoint's secret.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>, example = "stripe")]
    sign_as: Option<Option<String>>,
    /// How it wants its deliveries; as usual if null.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"concurrency": 4}))]
    delivery: Option<Option<Value>>,
    /// What opens it, as of other endpoints; nothing if null.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"type": "bearer", "token": "made-up"}))]
    access: Option<Option<Value>>,
    /// Attempts a second, at most: in any second no more than 1.05 times as many, or one more.
    #[schema(minimum = 1)]
    throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    rate_limit: Option<u32>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// `whsec_…` or `whsk_…`; a random one if not given.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: Option<String>,
    /// Sent with every request.
    headers: Option<BTreeMap<String, String>>,
}

impl From<IngestEndpointIn> for EndpointIn {
    fn from(body: IngestEndpointIn) -> EndpointIn {
        EndpointIn {
            url: body.url,
            description: body.description,
            uid: body.uid,
            disabled: body.disabled,
            event_types: body.event_types,
            filter: body.filter,
            sign_as: body.sign_as,
            delivery: body.delivery,
            access: body.access,
            throttle_rate: body.throttle_rate,
            rate_limit: body.rate_limit,
            metadata: body.metadata,
            secret: body.secret,
            headers: body.headers,
            ..EndpointIn::default()
        }
    }
}

/// An endpoint of a source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct IngestEndpointOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: EndpointId,
    /// Your own name for it.
    uid: Option<String>,
    /// Where requests go, without credentials.
    url: String,
    /// For people.
    description: String,
    /// Whether it takes no messages for now; `state` says why.
    disabled: bool,
    /// `enabled`, `disabled`, `disabled_gone` (it answered 410), `disabled_failing` (for days) or
    /// `paused`.
    state: &'static str,
    /// Since when every attempt failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Only these event types; all if null.
    event_types: Option<Vec<String>>,
    /// Only messages with such content; all if null.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// Signs as this provider does, too.
    sign_as: Option<String>,
    /// How it wants its deliveries; as usual if null.
    #[schema(value_type = Option<Object>)]
    delivery: Option<Box<RawValue>>,
    /// What opens it, without what is secret; nothing if null.
    #[schema(value_type = Option<Object>)]
    access: Option<Box<RawValue>>,
    /// Attempts a second, at most: in any second no more than 1.05 times as many, or one more.
    throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(deprecated)]
    rate_limit: Option<u32>,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Endpoint> for IngestEndpointOut {
    fn from(endpoint: Endpoint) -> IngestEndpointOut {
        let all = EndpointOut::from(endpoint);
        IngestEndpointOut {
            id: all.id,
            uid: all.uid,
            url: all.url,
            description: all.description,
            disabled: all.disabled,
            state: all.state,
            failing_since: all.failing_since,
            event_types: all.event_types,
            filter: all.filter,
            sign_as: all.sign_as,
            delivery: all.delivery,
            access: all.access,
            throttle_rate: all.throttle_rate,
            rate_limit: all.rate_limit,
            metadata: all.metadata,
            created_at: all.created_at,
            updated_at: all.updated_at,
        }
    }
}

/// List the endpoints of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint", tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"), Paging),
    responses((status = 200, body = List<IngestEndpointOut>)))]
async fn list(
    State(api): State<Api>,
    Within(scoped): Within,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    endpoint::listed::<IngestEndpointOut>(&api, scoped.scope, paging).await
}

/// Create an endpoint of a source
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/endpoint", tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = IngestEndpointIn,
    responses((status = 201, body = IngestEndpointOut)))]
async fn create(
    State(api): State<Api>,
    Within(scoped): Within,
    Posted { body, once }: Posted<IngestEndpointIn>,
) -> Result<Response, Answered> {
    endpoint::created::<IngestEndpointOut>(&api, scoped, body.into(), once).await
}

/// Get an endpoint of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = IngestEndpointOut)))]
async fn get(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    endpoint::got::<IngestEndpointOut>(&api, scoped.scope, endpoint).await
}

/// Replace an endpoint of a source, or create it
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = IngestEndpointIn,
    responses((status = 200, body = IngestEndpointOut), (status = 201, body = IngestEndpointOut)))]
async fn upsert(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<IngestEndpointIn>,
) -> Result<Response, Error> {
    endpoint::upserted::<IngestEndpointOut>(&api, scoped, endpoint, body.into()).await
}

/// Delete an endpoint of a source; what was pending for it is canceled
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    endpoint::deleted(&api, scoped, endpoint).await
}

/// Get the secret of an endpoint of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/secret",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointSecretOut<'_>)))]
async fn get_secret(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    endpoint::secret_got(&api, scoped.scope, endpoint).await
}

/// Sign with a new secret; the old one signs too for a while
#[utoipa::path(post,
    path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/secret/rotate",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointSecretRotateIn,
    responses((status = 204)))]
async fn rotate_secret(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
    posted: Posted<EndpointSecretRotateIn>,
) -> Result<Response, Answered> {
    endpoint::secret_rotated(&api, scoped, endpoint, posted, Told::Nothing).await
}

/// Get the headers of an endpoint of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/headers",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointHeadersOut)))]
async fn get_headers(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    endpoint::headers_got(&api, scoped.scope, endpoint).await
}

/// Replace the headers of an endpoint of a source
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/headers",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointHeadersIn,
    responses((status = 204)))]
async fn set_headers(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointHeadersIn>,
) -> Result<Response, Error> {
    endpoint::headers_replaced(&api, scoped, endpoint, body).await
}

/// Get the transformation of an endpoint of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/transformation",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = TransformationOut)))]
async fn get_transformation(
    State(api): State<Api>,
    Within(Scoped { scope, .. }): Within,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    transformation::got(&api, scope, endpoint).await
}

/// Change the transformation of an endpoint of a source
#[utoipa::path(patch, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/transformation",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = TransformationPatch,
    responses((status = 204)))]
async fn patch_transformation(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<TransformationPatch>,
) -> Result<Response, Error> {
    transformation::patched(&api, scoped, endpoint, body).await?;
    Ok(reply::nothing())
}

/// Show what a transformation would make of a message for an endpoint of a source
#[utoipa::path(post,
    path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/transformation/dry-run",
    tag = "Source Endpoint",
    params(("source_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = TransformationDryRunIn,
    responses((status = 200, body = TransformationDryRunOut)))]
async fn dry_run_transformation(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<TransformationDryRunIn>,
) -> Result<Response, Error> {
    transformation::tried(&api, scoped, endpoint, body).await
}
