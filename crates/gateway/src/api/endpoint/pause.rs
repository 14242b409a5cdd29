//! Pausing: messages for the endpoint are kept and wait, other than with `disabled`.

use axum::{extract::State, response::Response};
use ringback_domain::endpoint;
use ringback_store::EndpointChange;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{changed, model::EndpointOut};
use crate::api::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    idempotency::{Answered, Posted},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(pause)).routes(routes!(resume))
}

/// Nothing, or an object that says nothing.
#[derive(serde::Deserialize)]
pub(super) struct Nothing {}

/// Keep messages for an endpoint back until it is resumed
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/pause", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointOut)))]
async fn pause(
    State(api): State<Api>,
    scoped: Scoped,
    Named(reference): Named<extract::Endpoint>,
    Posted { .. }: Posted<Nothing>,
) -> Result<Response, Answered> {
    let current = api.store.endpoint(scoped.scope, reference.clone()).await?;
    if current.state.is_disabled() {
        let detail = format!("the endpoint is {}", current.state.name());
        return Err(Error::Conflict { code: "endpoint_disabled", detail }.into());
    }
    if current.state == endpoint::State::Pulled {
        let detail = "nothing is sent to a polling endpoint".to_owned();
        return Err(Error::Conflict { code: "endpoint_pulled", detail }.into());
    }
    // What is done twice here is done once, so there is nothing to remember for the claim.
    let change = EndpointChange { state: Some(endpoint::State::Paused), ..Default::default() };
    Ok(changed::<EndpointOut>(&api, scoped, reference, change).await?)
}

/// Send what was kept back, and messages as they come
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/resume", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointOut)))]
async fn resume(
    State(api): State<Api>,
    scoped: Scoped,
    Named(reference): Named<extract::Endpoint>,
    Posted { .. }: Posted<Nothing>,
) -> Result<Response, Answered> {
    let current = api.store.endpoint(scoped.scope, reference.clone()).await?;
    let paused = current.state == endpoint::State::Paused;
    let state = paused.then_some(endpoint::State::Enabled);
    let change = EndpointChange { state, ..Default::default() };
    Ok(changed::<EndpointOut>(&api, scoped, reference, change).await?)
}
