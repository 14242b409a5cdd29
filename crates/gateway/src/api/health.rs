//! Whether the process lives, and whether it can take work; and its metrics.

use std::{
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderValue, StatusCode, header};
use ringback_domain::time::Timestamp;
use ringback_store::Unavailable;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::OldSdk,
    reply::{json, nothing},
};
use crate::telemetry::metrics::CONTENT_TYPE;

/// For how long the store's answer is believed: checking it writes, and anybody may ask.
const BELIEVED: Duration = Duration::from_secs(1);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The routes of the API.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get))
}

/// What operators and their load balancers ask, outside the API.
pub(super) fn probes() -> Router<Api> {
    Router::new()
        .route("/health/live", routing::get(live))
        .route("/health/ready", routing::get(ready))
        .route("/health", routing::get(ready))
        .route("/metrics", routing::get(metrics))
        .route("/", routing::get(hint))
}

/// What the last check of the store said.
#[derive(Default)]
pub(super) struct Checked {
    // Held to read or replace it, never across an await.
    last: Mutex<Option<(Timestamp, Result<(), Unavailable>)>>,
}

/// The health of the server.
#[derive(Serialize, ToSchema)]
struct HealthOut {
    /// Always `ok`; otherwise the answer is an error.
    status: &'static str,
}

const OK: HealthOut = HealthOut { status: "ok" };

/// Tell whether the server can take work
#[utoipa::path(get, path = "/api/v1/health", tag = "Health", security(()),
    responses((status = 200, body = HealthOut),
        (status = 204, description = "to SDKs of 2024 and before")))]
async fn get(State(api): State<Api>, OldSdk(old_sdk): OldSdk) -> Result<Response, Error> {
    check(&api).await?;
    Ok(if old_sdk { nothing() } else { json(StatusCode::OK, &OK) })
}

async fn live() -> Response {
    json(StatusCode::OK, &OK)
}

async fn ready(State(api): State<Api>) -> Result<Response, Error> {
    check(&api).await?;
    Ok(json(StatusCode::OK, &OK))
}

async fn metrics(State(api): State<Api>) -> Response {
    let mut response = (api.probes.metrics)().into_response();
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

async fn hint() -> Response {
    let hint = serde_json::json!({
        "name": "Ringback",
        "version": env!("CARGO_PKG_VERSION"),
        "api": "/api/v1",
        "openapi": "/api/v1/openapi.json",
    });
    json(StatusCode::OK, &hint)
}

async fn check(api: &Api) -> Result<(), Error> {
    if api.probes.draining.load(Ordering::Relaxed) {
        return Err(Unavailable::Closed.into());
    }
    let now = api.world.clock.now();
    if let Some(known) = api.checked.known(now) {
        return Ok(known?);
    }
    let checked = tokio::time::timeout(PATIENCE, api.store.check()).await;
    let checked = checked.unwrap_or(Err(Unavailable::Overloaded));
    api.checked.learn(now, checked.clone());
    Ok(checked?)
}

impl Checked {
    fn known(&self, now: Timestamp) -> Option<Result<(), Unavailable>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that went back says nothing about how old it is.
        let fresh = |at: Timestamp| at <= now && now.since(at) < BELIEVED;
        last.as_ref().filter(|(at, _)| fresh(*at)).map(|(_, checked)| checked.clone())
    }

    fn learn(&self, now: Timestamp, checked: Result<(), Unavailable>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, checked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_answer_is_believed_for_a_while() {
        let checked = Checked::default();
        assert_eq!(checked.known(Timestamp(0)), None);
        checked.learn(Timestamp(1_000), Err(Unavailable::Full));
        assert_eq!(checked.known(Timestamp(1_999)), Some(Err(Unavailable::Full)));
        assert_eq!(checked.known(Timestamp(2_000)), None);
        assert_eq!(checked.known(Timestamp(999)), None);
    }
}
