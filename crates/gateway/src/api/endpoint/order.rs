//! Orders that somebody lets go on.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{id::MessageId, message};
use ringback_store::{Canceled, Skipped};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    extract::{self, Named, Scoped},
    field::Problems,
    idempotency::{Answered, Posted},
    reply::json,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(skip))
}

/// An order that does not go on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SkipIn {
    /// The ordering key of its messages; empty for those without one.
    #[schema(required, nullable = false, example = "customer-42")]
    ordering_key: Option<String>,
    /// The id of the message that is given up. If another one blocks the order, nothing happens: so the
    /// request can be repeated.
    #[schema(nullable = false)]
    msg_id: Option<String>,
}

/// What was skipped.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SkippedOut {
    /// The message whose delivery is given up.
    #[schema(value_type = String)]
    msg_id: MessageId,
}

/// Give up the message that blocks an order of an endpoint, and send those after it
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/order/skip",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = SkipIn,
    responses((status = 200, body = SkippedOut)))]
async fn skip(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Posted { body, .. }: Posted<SkipIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    if let Some(key) = problems.required("orderingKey", body.ordering_key.as_ref()) {
        problems.check("orderingKey", message::check_ordering_key(key));
    }
    let named = body.msg_id.and_then(|id| problems.check("msgId", id.parse::<MessageId>()));
    problems.done().map_err(Answered::from)?;
    let key = body.ordering_key.unwrap_or_default();
    let Skipped { endpoint, delivery, message } =
        api.store.skip(scope, endpoint, key, named).await?;
    api.lanes.canceled(vec![Canceled { endpoint, delivery }]);
    Ok(json(StatusCode::OK, &SkippedOut { msg_id: message }))
}
