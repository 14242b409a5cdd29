//! Endpoints: where an application's messages go.

mod access;
pub(super) mod destination;
mod example;
mod headers;
mod model;
pub(super) mod operational;
mod order;
mod pause;
mod replay;
mod secret;
mod sign_as;
pub(super) mod transformation;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    delivery::Pins,
    endpoint::Endpoint,
    id::{EndpointId, Key, Kind},
    scope::{Reference, Scope, check_uid},
};
use ringback_store::{EndpointChange, NewEndpoint, Order, Targets, audit};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Json, Named, Scoped, found},
    field::Problems,
    idempotency::{Answered, Once, Posted},
    list::{List, shown},
    query::{Paging, Query},
    reply::{json, nothing, render, rendered},
};
pub(super) use headers::{
    EndpointHeadersIn, EndpointHeadersOut, got as headers_got, replaced as headers_replaced,
};
pub(super) use model::{EndpointIn, EndpointOut};
use model::{EndpointPatch, Wanted};
pub(super) use secret::{
    EndpointSecretOut, EndpointSecretRotateIn, Told, got as secret_got, rotated as secret_rotated,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, patch, delete))
        .merge(secret::routes())
        .merge(headers::routes())
        .merge(order::routes())
        .merge(pause::routes())
        .merge(replay::routes())
        .merge(example::routes())
        .merge(transformation::routes())
        .merge(access::routes())
        .merge(destination::routes())
}

/// List endpoints
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"), Paging),
    responses((status = 200, body = List<EndpointOut>)))]
async fn list(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    listed::<EndpointOut>(&api, scope, paging).await
}

/// Create an endpoint
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = EndpointIn,
    responses((status = 201, body = EndpointOut)))]
async fn create(
    State(api): State<Api>,
    scoped: Scoped,
    Posted { body, once }: Posted<EndpointIn>,
) -> Result<Response, Answered> {
    created::<EndpointOut>(&api, scoped, body, once).await
}

/// Get an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointOut)))]
async fn get(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    got::<EndpointOut>(&api, scope, endpoint).await
}

/// Replace an endpoint, or create it
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointIn,
    responses((status = 200, body = EndpointOut), (status = 201, body = EndpointOut)))]
async fn upsert(
    State(api): State<Api>,
    scoped: Scoped,
    Named(reference): Named<extract::Endpoint>,
    Json(body): Json<EndpointIn>,
) -> Result<Response, Error> {
    upserted::<EndpointOut>(&api, scoped, reference, body).await
}

/// Change some of an endpoint
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointPatch,
    responses((status = 200, body = EndpointOut)))]
async fn patch(
    State(api): State<Api>,
    scoped: Scoped,
    Named(reference): Named<extract::Endpoint>,
    Json(body): Json<EndpointPatch>,
) -> Result<Response, Error> {
    let current = api.store.endpoint(scoped.scope, reference.clone()).await?;
    let wanted = possible(&api, scoped.scope, body.check(&api.rules.target)?).await?;
    let change = wanted.change(&current, scoped.scope, &api.vault)?;
    changed::<EndpointOut>(&api, scoped, reference, change).await
}

/// Delete an endpoint; what was pending for it is canceled
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    deleted(&api, scoped, endpoint).await
}

// What the routes above do, whichever shape `Out` the endpoint is shown in: see `operational`.

/// An endpoint as an answer shows it.
pub(super) trait Shape: From<Endpoint> + Serialize {}

impl<T: From<Endpoint> + Serialize> Shape for T {}

pub(super) async fn listed<Out: Shape>(
    api: &Api,
    scope: Scope,
    paging: Paging,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Endpoint, Order::Descending)?;
    let listed = api.store.endpoints(scope, Targets::Urls, page.clone()).await?;
    Ok(json(StatusCode::OK, &shown(Kind::Endpoint, &page, listed, Out::from)))
}

pub(super) async fn created<Out: Shape>(
    api: &Api,
    scoped: Scoped,
    body: EndpointIn,
    once: Once,
) -> Result<Response, Answered> {
    let wanted = possible(api, scoped.scope, body.check(&api.rules.target)?).await?;
    let new = build(api, scoped, wanted)?;
    let body = render(&Out::from(new.endpoint.clone()));
    let answer = once.answer(StatusCode::CREATED, &body);
    let created = insert(api, NewEndpoint { answer, ..new }).await?;
    api.lanes.changed(created.id.key()).await;
    Ok(rendered(StatusCode::CREATED, body))
}

pub(super) async fn got<Out: Shape>(
    api: &Api,
    scope: Scope,
    endpoint: Reference,
) -> Result<Response, Error> {
    let endpoint = api.store.endpoint(scope, endpoint).await?;
    Ok(json(StatusCode::OK, &Out::from(endpoint)))
}

pub(super) async fn upserted<Out: Shape>(
    api: &Api,
    scoped: Scoped,
    reference: Reference,
    body: EndpointIn,
) -> Result<Response, Error> {
    let Some(current) = found(api.store.endpoint(scoped.scope, reference.clone()).await)? else {
        let mut wanted = possible(api, scoped.scope, body.check(&api.rules.target)?).await?;
        wanted.uid = Some(Some(uid_for(wanted.uid, reference)?));
        let created = insert(api, build(api, scoped, wanted)?).await?;
        return Ok(json(StatusCode::CREATED, &Out::from(created)));
    };
    let wanted = possible(api, scoped.scope, body.replacement(&api.rules.target)?).await?;
    let change = wanted.change(&current, scoped.scope, &api.vault)?;
    changed::<Out>(api, scoped, reference, change).await
}

/// Writes a change and answers when the next attempt is made with it.
async fn changed<Out: Shape>(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    change: EndpointChange,
) -> Result<Response, Error> {
    let changed = api.store.change_endpoint(scope, endpoint, change, now).await?;
    api.lanes.changed(changed.id.key()).await;
    Ok(json(StatusCode::OK, &Out::from(changed)))
}

pub(super) async fn deleted(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
) -> Result<Response, Error> {
    let endpoint = api.store.delete_endpoint(scope, endpoint, now).await?;
    api.lanes.changed(endpoint).await;
    Ok(nothing())
}

/// Creates an endpoint, if the application's quota has room for it.
async fn insert(api: &Api, new: NewEndpoint) -> Result<Endpoint, Error> {
    let most = api.quotas.of(new.scope).endpoints;
    let created = api.store.create_endpoint(NewEndpoint { most, ..new }).await;
    created.map_err(|error| crate::api::quota::endpoint_refused(error, most))
}

/// The same, if what it asks for can be done here.
///
/// # Errors
/// 422 that says what cannot.
async fn possible(api: &Api, scope: Scope, wanted: Wanted) -> Result<Wanted, Error> {
    let longest = api.rules.longest_timeout.as_secs_f64();
    if wanted.timeout.is_some_and(|seconds| seconds > longest) {
        let what = format!("it is at most {longest} seconds here");
        let mut problems = Problems::at(&["body", "delivery"]);
        problems.add("timeout", what);
        problems.done()?;
    }
    if wanted.keeps_large_payloads && !api.rules.keeps_payloads {
        let what = "there is no object store here: an operator sets payloads.store";
        let mut problems = Problems::at(&["body", "delivery"]);
        problems.add("largeOver", what.to_owned());
        problems.done()?;
    }
    if let Some(pins) = wanted.pins.as_ref().filter(|pins| !pins.types.is_empty()) {
        check_pins(api, scope.environment, pins).await?;
    }
    sign_as::checked(&api.catalog, wanted)
}

/// Refuses labels that their types do not have; of types without versions nothing is known yet.
async fn check_pins(api: &Api, environment: Key, pins: &Pins) -> Result<(), Error> {
    let contracts = api.store.contracts(environment).await?;
    let mut problems = Problems::of_body();
    for (name, label) in &pins.types {
        let contract = contracts.iter().find(|contract| contract.name == *name);
        let versions = contract.map(|contract| &*contract.versions).unwrap_or_default();
        if !versions.is_empty() && !versions.iter().any(|row| row.version.label == *label) {
            let path = ["delivery", "versions", "types", name].map(str::to_owned);
            problems.add_at(&path, format!("{name} has no version `{label}`"));
        }
    }
    problems.done()
}

/// The endpoint with everything that is sealed.
fn build(api: &Api, Scoped { scope, now }: Scoped, wanted: Wanted) -> Result<NewEndpoint, Error> {
    let id = api.mint(now, EndpointId);
    audit::about("endpoint_id", id.to_string());
    let secret = secret::seal(api, scope, id.key(), wanted.secret.clone())?;
    let headers = headers::seal(&api.vault, scope, id.key(), &wanted.headers)?;
    let credentials = wanted.sealed_credentials(scope, id.key(), &api.vault)?;
    let access = wanted.sealed_access(scope, id.key(), &api.vault)?;
    let endpoint = wanted.into_endpoint(id, now);
    let (most, answer) = (None, None);
    Ok(NewEndpoint { scope, endpoint, secret, headers, credentials, access, most, answer })
}

/// The uid of an endpoint that a PUT creates: the body's, else the path's.
fn uid_for(wanted: Option<Option<String>>, path: Reference) -> Result<String, Error> {
    let Reference::Uid(path) = path else { return Err(Error::NotFound("endpoint")) };
    check_uid(Kind::Endpoint, &path).map_err(|what| Error::invalid("path", "endpoint_id", what))?;
    Ok(wanted.flatten().unwrap_or(path))
}
