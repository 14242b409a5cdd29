//! The destinations of a source: those of its application.

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Within;
use crate::api::{
    Api,
    endpoint::destination::{self, DestinationIn, DestinationOut, DryRunIn, DryRunOut},
    error::Error,
    extract::{self, Json, Named, Who},
    idempotency::{Answered, Posted},
    list::List,
    query::{Paging, Query},
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, patch, delete))
        .routes(routes!(dry_run))
}

/// List the destinations of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/destination",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"), Paging),
    responses((status = 200, body = List<DestinationOut>)))]
async fn list(
    State(api): State<Api>,
    Within(scoped): Within,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    destination::listed(&api, scoped.scope, paging).await
}

/// Create a destination of a source
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/destination",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 201, body = DestinationOut)))]
async fn create(
    State(api): State<Api>,
    Within(scoped): Within,
    Who(identity): Who,
    Posted { body, once }: Posted<DestinationIn>,
) -> Result<Response, Answered> {
    sent_to(&body)?;
    destination::created(&api, scoped, &identity, body, once).await
}

/// Get a destination of a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/destination/{destination_id}",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = DestinationOut)))]
async fn get(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(destination): Named<extract::Destination>,
) -> Result<Response, Error> {
    destination::got(&api, scoped.scope, destination).await
}

/// Replace a destination of a source, or create it
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/destination/{destination_id}",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 200, body = DestinationOut), (status = 201, body = DestinationOut)))]
async fn upsert(
    State(api): State<Api>,
    Within(scoped): Within,
    Who(identity): Who,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DestinationIn>,
) -> Result<Response, Error> {
    sent_to(&body)?;
    destination::upserted(&api, scoped, &identity, destination, body).await
}

/// Change some of a destination of a source
#[utoipa::path(patch, path = "/ingest/api/v1/source/{source_id}/destination/{destination_id}",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 200, body = DestinationOut)))]
async fn patch(
    State(api): State<Api>,
    Within(scoped): Within,
    Who(identity): Who,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DestinationIn>,
) -> Result<Response, Error> {
    destination::patched(&api, scoped, &identity, destination, body).await
}

/// Delete a destination of a source; what was pending for it is canceled
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}/destination/{destination_id}",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(destination): Named<extract::Destination>,
) -> Result<Response, Error> {
    destination::removed(&api, scoped, destination).await
}

/// Show what a message of a source would become at a destination
#[utoipa::path(post,
    path = "/ingest/api/v1/source/{source_id}/destination/{destination_id}/dry-run",
    tag = "Source Destination",
    params(("source_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DryRunIn,
    responses((status = 200, body = DryRunOut)))]
async fn dry_run(
    State(api): State<Api>,
    Within(scoped): Within,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DryRunIn>,
) -> Result<Response, Error> {
    destination::ran(&api, scoped, destination, body).await
}

/// Refuses a destination that is read: what arrives at sources is read with listeners.
fn sent_to(body: &DestinationIn) -> Result<(), Error> {
    let what = "what arrives at a source is read with a listener: see `docs/listen.md`";
    if body.is_pulled() { Err(Error::invalid("body", "type", what)) } else { Ok(()) }
}
