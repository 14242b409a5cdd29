//! Whether a message would go anywhere.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    endpoint::Endpoint,
    event_type::check_name,
    route::{Filter, Verdict},
};
use ringback_store::{Order, Page, Position, Targets};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    extract::Scoped,
    field::Problems,
    idempotency::{Answered, Posted},
    reply::json,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(precheck))
}

/// How many endpoints are read at a time.
const PAGE: usize = 250;

/// What such a message would be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PrecheckIn {
    /// What happened.
    #[schema(required, nullable = false, example = "user.created")]
    event_type: Option<String>,
    /// Whom it concerns.
    channels: Option<Vec<String>>,
}

/// Whether it would go anywhere.
#[derive(Serialize, ToSchema)]
pub(super) struct PrecheckOut {
    /// Whether there is an endpoint that would get it.
    active: bool,
}

/// Tell whether any endpoint would get such a message
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/precheck/active", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = PrecheckIn,
    responses((status = 200, body = PrecheckOut)))]
async fn precheck(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Posted { body, .. }: Posted<PrecheckIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let name = problems.required("eventType", body.event_type).unwrap_or_default();
    problems.check("eventType", check_name(&name));
    problems.labels("channels", body.channels.as_ref());
    problems.done()?;
    let (mut from, mut active) = (Position::Start, false);
    loop {
        let page = Page { limit: PAGE, from, order: Order::Ascending };
        let listed = api.store.endpoints(scope, Targets::All, page).await?;
        active |= listed.items.iter().any(|one| wants(one, &name, body.channels.as_deref()));
        match listed.items.last() {
            Some(last) if !active && !listed.done => from = Position::After(last.id.0),
            _ => return Ok(json(StatusCode::OK, &PrecheckOut { active })),
        }
    }
}

fn wants(endpoint: &Endpoint, event_type: &str, channels: Option<&[String]>) -> bool {
    let filter = Filter {
        event_types: endpoint.event_types.clone(),
        channels: endpoint.channels.clone(),
        state: endpoint.state,
    };
    filter.verdict(event_type, channels) == Verdict::Matched
}
