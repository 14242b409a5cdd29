//! Operational webhooks: where an environment's own messages go, those about its deliveries.
//!
//! Their endpoints are those of the environment's hidden application, so they can as well be
//! reached under `/app/ringback.operational/endpoint`. What differs is the shape, which has no
//! channels, and that a rotation does not show the secret.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::Response,
};
use ringback_domain::{
    application::{Metadata, OPERATIONAL_UID},
    endpoint::Endpoint,
    id::EndpointId,
    scope::{Reference, Scope},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    headers::{self, EndpointHeadersIn, EndpointHeadersOut},
    model::{EndpointIn, EndpointOut},
    secret::{self, EndpointSecretOut, EndpointSecretRotateIn, Told},
};
use crate::api::{
    Api,
    error::Error,
    extract::{self, Caller, Json, Named, Scoped},
    idempotency::{Answered, Posted},
    list::List,
    patch,
    query::{Paging, Query},
};

/// The routes of this resource.
pub(in crate::api) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, delete))
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(get_headers, set_headers))
}

/// A caller and the hidden application of the environment.
struct Operational(Scoped);

impl FromRequestParts<Api> for Operational {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Operational, Error> {
        let Caller { environment, now } = Caller::from_request_parts(parts, api).await?;
        let hidden = Reference::Uid(OPERATIONAL_UID.to_owned());
        let application = api.store.application(environment, hidden).await?.id.key();
        Ok(Operational(Scoped { scope: Scope { environment, application }, now }))
    }
}

/// An operational endpoint to create, or what replaces one (then without `secret` and `headers`).
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperationalWebhookEndpointIn {
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
    /// Only these event types, such as `endpoint.disabled`; all if not given.
    event_types: Option<Vec<String>>,
    /// The old spelling of `eventTypes`.
    #[schema(deprecated)]
    filter_types: Option<Vec<String>>,
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

impl From<OperationalWebhookEndpointIn> for EndpointIn {
    fn from(body: OperationalWebhookEndpointIn) -> EndpointIn {
        EndpointIn {
            url: body.url,
            description: body.description,
            uid: body.uid,
            disabled: body.disabled,
            event_types: body.event_types,
            filter_types: body.filter_types,
            throttle_rate: body.throttle_rate,
            rate_limit: body.rate_limit,
            metadata: body.metadata,
            secret: body.secret,
            headers: body.headers,
            ..EndpointIn::default()
        }
    }
}

/// An operational endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperationalWebhookEndpointOut {
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
    /// The old spelling of `eventTypes`.
    #[schema(deprecated)]
    filter_types: Option<Vec<String>>,
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

impl From<Endpoint> for OperationalWebhookEndpointOut {
    fn from(endpoint: Endpoint) -> OperationalWebhookEndpointOut {
        let all = EndpointOut::from(endpoint);
        OperationalWebhookEndpointOut {
            id: all.id,
            uid: all.uid,
            url: all.url,
            description: all.description,
            disabled: all.disabled,
            state: all.state,
            failing_since: all.failing_since,
            event_types: all.event_types,
            filter_types: all.filter_types,
            throttle_rate: all.throttle_rate,
            rate_limit: all.rate_limit,
            metadata: all.metadata,
            created_at: all.created_at,
            updated_at: all.updated_at,
        }
    }
}

/// List operational endpoints
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint",
    tag = "Operational Webhook Endpoint", params(Paging),
    responses((status = 200, body = List<OperationalWebhookEndpointOut>)))]
async fn list(
    State(api): State<Api>,
    Operational(Scoped { scope, .. }): Operational,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    super::listed::<OperationalWebhookEndpointOut>(&api, scope, paging).await
}

/// Create an operational endpoint
#[utoipa::path(post, path = "/api/v1/operational-webhook/endpoint",
    tag = "Operational Webhook Endpoint", request_body = OperationalWebhookEndpointIn,
    responses((status = 201, body = OperationalWebhookEndpointOut)))]
async fn create(
    State(api): State<Api>,
    Operational(scoped): Operational,
    Posted { body, once }: Posted<OperationalWebhookEndpointIn>,
) -> Result<Response, Answered> {
    super::created::<OperationalWebhookEndpointOut>(&api, scoped, body.into(), once).await
}

/// Get an operational endpoint
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = OperationalWebhookEndpointOut)))]
async fn get(
    State(api): State<Api>,
    Operational(Scoped { scope, .. }): Operational,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    super::got::<OperationalWebhookEndpointOut>(&api, scope, endpoint).await
}

/// Replace an operational endpoint, or create it
#[utoipa::path(put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    request_body = OperationalWebhookEndpointIn,
    responses((status = 200, body = OperationalWebhookEndpointOut),
        (status = 201, body = OperationalWebhookEndpointOut)))]
async fn upsert(
    State(api): State<Api>,
    Operational(scoped): Operational,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<OperationalWebhookEndpointIn>,
) -> Result<Response, Error> {
    super::upserted::<OperationalWebhookEndpointOut>(&api, scoped, endpoint, body.into()).await
}

/// Delete an operational endpoint; what was pending for it is canceled
#[utoipa::path(delete, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Operational(scoped): Operational,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    super::deleted(&api, scoped, endpoint).await
}

/// Get the secret of an operational endpoint
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointSecretOut<'_>)))]
async fn get_secret(
    State(api): State<Api>,
    Operational(Scoped { scope, .. }): Operational,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    secret::got(&api, scope, endpoint).await
}

/// Sign with a new secret; the old one signs too for a while
#[utoipa::path(post, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointSecretRotateIn,
    responses((status = 204)))]
async fn rotate_secret(
    State(api): State<Api>,
    Operational(scoped): Operational,
    Named(endpoint): Named<extract::Endpoint>,
    posted: Posted<EndpointSecretRotateIn>,
) -> Result<Response, Answered> {
    secret::rotated(&api, scoped, endpoint, posted, Told::Nothing).await
}

/// Get the headers of an operational endpoint
#[utoipa::path(get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointHeadersOut)))]
async fn get_headers(
    State(api): State<Api>,
    Operational(Scoped { scope, .. }): Operational,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    headers::got(&api, scope, endpoint).await
}

/// Replace the headers of an operational endpoint
#[utoipa::path(put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointHeadersIn,
    responses((status = 204)))]
async fn set_headers(
    State(api): State<Api>,
    Operational(scoped): Operational,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointHeadersIn>,
) -> Result<Response, Error> {
    headers::replaced(&api, scoped, endpoint, body).await
}
