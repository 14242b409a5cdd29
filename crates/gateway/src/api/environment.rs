//! Environments: for admins only, who still need a token of each to see what is in it.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    id::{EnvironmentId, Id, Kind},
    time::Timestamp,
};
use ringback_store::{Environment, NewEnvironment, Order, audit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::Caller,
    field::Problems,
    idempotency::{Answered, Posted},
    list::{List, shown},
    query::{Paging, Query},
    reply::{json, render, rendered},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create))
}

/// An environment to create.
#[derive(Debug, Deserialize, ToSchema)]
struct EnvironmentIn {
    /// 1 to 64 letters, digits, `-`, `_` or `.`.
    #[schema(required, nullable = false, min_length = 1, max_length = 64)]
    name: Option<String>,
}

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EnvironmentOut {
    /// Ringback's name for it.
    #[schema(value_type = String)]
    id: EnvironmentId,
    /// Its name.
    name: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Environment> for EnvironmentOut {
    fn from(Environment { id, name, created_at }: Environment) -> EnvironmentOut {
        EnvironmentOut { id, name, created_at }
    }
}

/// List environments
#[utoipa::path(get, path = "/api/v1/environment", tag = "Environment", params(Paging),
    responses((status = 200, body = List<EnvironmentOut>)))]
async fn list(
    State(api): State<Api>,
    _: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Environment, Order::Ascending)?;
    let listed = api.store.environments(page.clone()).await?;
    Ok(json(StatusCode::OK, &shown(Kind::Environment, &page, listed, EnvironmentOut::from)))
}

/// Create an environment
///
/// Tokens of it are made with `ringback token create --environment NAME`.
#[utoipa::path(post, path = "/api/v1/environment", tag = "Environment",
    request_body = EnvironmentIn,
    responses((status = 201, body = EnvironmentOut)))]
async fn create(
    State(api): State<Api>,
    Caller { now, .. }: Caller,
    Posted { body, once }: Posted<EnvironmentIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let name = problems.required("name", body.name).unwrap_or_default();
    problems.check("name", ringback_domain::scope::check_environment(&name));
    problems.done()?;
    // The nonce is not stored: nobody asks for an environment by its id.
    let id = EnvironmentId(Id { nonce: 0, ..api.mint(now, |id| id) });
    audit::about("environment_id", id.to_string());
    audit::about("name", name.clone());
    let environment = Environment { id, name, created_at: now };
    let out = render(&EnvironmentOut::from(environment.clone()));
    let answer = once.answer(StatusCode::CREATED, &out);
    api.store.create_environment(NewEnvironment { environment, answer }).await?;
    Ok(rendered(StatusCode::CREATED, out))
}
