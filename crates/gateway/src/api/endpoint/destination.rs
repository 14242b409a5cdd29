//! Destinations: endpoints for which something else is made of a message than an HTTP request with
//! its payload.
//!
//! What makes an endpoint one is its URL, whose scheme is the kind, and what is sealed beside it: the
//! JSON of a [`Wanted`](ringback_domain::destination::Wanted). So whatever takes an endpoint's id takes a
//! destination's; made, changed and listed they are here, in the shape of the SDKs.

mod dry_run;
mod kinds;
mod model;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    access::Right,
    destination::kind_of,
    endpoint::Endpoint,
    id::Kind,
    poll,
    scope::{Reference, Scope},
};
use ringback_store::{NewEndpoint, Order, Targets};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(in crate::api) use self::{
    dry_run::{DryRunIn, DryRunOut, ran},
    model::{DestinationIn, DestinationOut},
};
use self::{
    kinds::Reach,
    model::{Config, Sent},
};
use super::{
    build, deleted, insert,
    model::{Wanted, credentials_of},
    transformation::{
        self, TransformationDryRunIn, TransformationDryRunOut, TransformationOut,
        TransformationPatch,
    },
    uid_for,
};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Json, Named, Scoped, Who, found},
        idempotency::{Answered, Once, Posted},
        list::{List, shown},
        query::{Paging, Query},
        reply::{json, render, rendered},
    },
    auth::Identity,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, patch, delete))
        .routes(routes!(get_transformation, patch_transformation))
        .routes(routes!(dry_run_transformation))
        .merge(dry_run::routes())
}

/// List destinations
#[utoipa::path(get, path = "/api/v1/app/{app_id}/destination", tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"), Paging),
    responses((status = 200, body = List<DestinationOut>)))]
async fn list(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    listed(&api, scope, paging).await
}

/// Create a destination
///
/// A destination is an endpoint for which each message becomes what its kind takes: a message in a
/// chat, a build, a row. `docs/destinations.md` describes the kinds.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/destination", tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 201, body = DestinationOut)))]
async fn create(
    State(api): State<Api>,
    scoped: Scoped,
    Who(identity): Who,
    Posted { body, once }: Posted<DestinationIn>,
) -> Result<Response, Answered> {
    created(&api, scoped, &identity, body, once).await
}

/// Get a destination
#[utoipa::path(get, path = "/api/v1/app/{app_id}/destination/{destination_id}",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = DestinationOut)))]
async fn get(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(destination): Named<extract::Destination>,
) -> Result<Response, Error> {
    got(&api, scope, destination).await
}

/// Replace a destination, or create it
#[utoipa::path(put, path = "/api/v1/app/{app_id}/destination/{destination_id}",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 200, body = DestinationOut), (status = 201, body = DestinationOut)))]
async fn upsert(
    State(api): State<Api>,
    scoped: Scoped,
    Who(identity): Who,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DestinationIn>,
) -> Result<Response, Error> {
    upserted(&api, scoped, &identity, destination, body).await
}

/// Change some of a destination
///
/// What is absent stays, settings too; the `config` of another `type` replaces all of it.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/destination/{destination_id}",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DestinationIn,
    responses((status = 200, body = DestinationOut)))]
async fn patch(
    State(api): State<Api>,
    scoped: Scoped,
    Who(identity): Who,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DestinationIn>,
) -> Result<Response, Error> {
    patched(&api, scoped, &identity, destination, body).await
}

/// Delete a destination; what was pending for it is canceled
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/destination/{destination_id}",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    scoped: Scoped,
    Named(destination): Named<extract::Destination>,
) -> Result<Response, Error> {
    removed(&api, scoped, destination).await
}

/// Get the transformation of a destination
///
/// The kind's mapping sees what it makes of the payload.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/destination/{destination_id}/transformation",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = TransformationOut)))]
async fn get_transformation(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(destination): Named<extract::Destination>,
) -> Result<Response, Error> {
    transformation::got(&api, scope, destination).await
}

/// Change the transformation of a destination
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/destination/{destination_id}/transformation",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = TransformationPatch,
    responses((status = 200, body = Object)))]
async fn patch_transformation(
    State(api): State<Api>,
    scoped: Scoped,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<TransformationPatch>,
) -> Result<Response, Error> {
    transformation::patched(&api, scoped, destination, body).await?;
    // Otherwise than for endpoints: the official SDKs read an object here.
    Ok(json(StatusCode::OK, &serde_json::json!({})))
}

/// Show what a transformation would make of a message for a destination
#[utoipa::path(post,
    path = "/api/v1/app/{app_id}/destination/{destination_id}/transformation/dry-run",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = TransformationDryRunIn,
    responses((status = 200, body = TransformationDryRunOut)))]
async fn dry_run_transformation(
    State(api): State<Api>,
    scoped: Scoped,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<TransformationDryRunIn>,
) -> Result<Response, Error> {
    transformation::tried(&api, scoped, destination, body).await
}

// What the routes above do, and those of sources.

pub(in crate::api) async fn listed(
    api: &Api,
    scope: Scope,
    paging: Paging,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Endpoint, Order::Descending)?;
    let listed = api.store.endpoints(scope, Targets::Destinations, page.clone()).await?;
    let mut items = Vec::with_capacity(listed.items.len());
    for endpoint in &listed.items {
        items.push(opened(api, scope, endpoint).await?.shown(endpoint.clone()));
    }
    let mut items = items.into_iter();
    let show = |_| items.next();
    Ok(json(StatusCode::OK, &shown(Kind::Endpoint, &page, listed, show)))
}

pub(in crate::api) async fn created(
    api: &Api,
    scoped: Scoped,
    identity: &Identity,
    body: DestinationIn,
    once: Once,
) -> Result<Response, Answered> {
    let (wanted, config) = body.complete(None, api.reach())?;
    config.may_be_made(identity)?;
    let new = build(api, scoped, wanted)?;
    let body = render(&config.shown(new.endpoint.clone()));
    let answer = once.answer(StatusCode::CREATED, &body);
    let created = insert(api, NewEndpoint { answer, ..new }).await?;
    api.lanes.changed(created.id.key()).await;
    Ok(rendered(StatusCode::CREATED, body))
}

pub(in crate::api) async fn got(
    api: &Api,
    scope: Scope,
    destination: Reference,
) -> Result<Response, Error> {
    let (endpoint, config) = existing(api, scope, destination).await?;
    Ok(json(StatusCode::OK, &config.shown(endpoint)))
}

pub(in crate::api) async fn upserted(
    api: &Api,
    scoped: Scoped,
    identity: &Identity,
    reference: Reference,
    body: DestinationIn,
) -> Result<Response, Error> {
    let Some(endpoint) = found(api.store.endpoint(scoped.scope, reference.clone()).await)? else {
        let (mut wanted, config) = body.complete(None, api.reach())?;
        config.may_be_made(identity)?;
        wanted.uid = Some(Some(uid_for(wanted.uid, reference)?));
        let created = insert(api, build(api, scoped, wanted)?).await?;
        api.lanes.changed(created.id.key()).await;
        return Ok(json(StatusCode::CREATED, &config.shown(created)));
    };
    let former = opened(api, scoped.scope, &endpoint).await?;
    let (wanted, config) = body.complete(Some(&former), api.reach())?;
    config.may_be_made(identity)?;
    changed(api, scoped, &endpoint, wanted, config).await
}

pub(in crate::api) async fn patched(
    api: &Api,
    scoped: Scoped,
    identity: &Identity,
    reference: Reference,
    body: DestinationIn,
) -> Result<Response, Error> {
    let (endpoint, former) = existing(api, scoped.scope, reference).await?;
    let (wanted, config) = body.changing(former, api.reach())?;
    config.may_be_made(identity)?;
    changed(api, scoped, &endpoint, wanted, config).await
}

pub(in crate::api) async fn removed(
    api: &Api,
    scoped: Scoped,
    reference: Reference,
) -> Result<Response, Error> {
    let (endpoint, _) = existing(api, scoped.scope, reference).await?;
    deleted(api, scoped, Reference::Id(endpoint.id.0)).await
}

impl Api {
    fn reach(&self) -> Reach<'_> {
        Reach { rules: self.rules.target, hosts: &self.hosts }
    }
}

impl Config {
    /// What dials by itself is made by admins alone: it is not held by the guard.
    ///
    /// # Errors
    /// 403
    fn may_be_made(&self, identity: &Identity) -> Result<(), Error> {
        if !self.sent().is_some_and(|sent| sent.kind.has_code()) {
            return Ok(());
        }
        let has = identity.grant.role;
        identity.grant.permits(Right::Manage).map_err(|needs| Error::Forbidden { needs, has })
    }
}

/// Writes a change and answers when the next attempt is made with it.
async fn changed(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: &Endpoint,
    wanted: Wanted,
    config: Config,
) -> Result<Response, Error> {
    let change = wanted.change(endpoint, scope, &api.vault)?;
    let reference = Reference::Id(endpoint.id.0);
    let changed = api.store.change_endpoint(scope, reference, change, now).await?;
    api.lanes.changed(changed.id.key()).await;
    Ok(json(StatusCode::OK, &config.shown(changed)))
}

/// The destination that is named.
async fn existing(
    api: &Api,
    scope: Scope,
    reference: Reference,
) -> Result<(Endpoint, Config), Error> {
    let missing = Error::NotFound("destination");
    let endpoint = found(api.store.endpoint(scope, reference).await)?.ok_or(missing)?;
    let config = opened(api, scope, &endpoint).await?;
    Ok((endpoint, config))
}

/// What a destination was made with.
///
/// # Errors
/// 404 for an endpoint that is none.
async fn opened(api: &Api, scope: Scope, endpoint: &Endpoint) -> Result<Config, Error> {
    if endpoint.url == poll::URL {
        return Ok(Config::Pulled);
    }
    let kind = kind_of(&endpoint.url).ok_or(Error::NotFound("destination"))?;
    let secrets = api.store.endpoint_secrets(scope, Reference::Id(endpoint.id.0)).await?;
    let sealed = secrets.credentials.ok_or(Error::Internal)?;
    let text = api.vault.open(&credentials_of(scope, endpoint.id.key()), &sealed)?;
    let given = serde_json::from_slice(&text).map_err(|error| {
        tracing::error!(%error, endpoint = %endpoint.id, "a destination cannot be read");
        Error::Internal
    })?;
    Ok(Config::Sent(Sent { kind: kinds::find(kind).ok_or(Error::Internal)?, given }))
}
