//! What happens, as it happens: for people who look.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use bytes::Bytes;
use ringback_domain::{
    id::{Key, Kind},
    scope::Reference,
    time::Timestamp,
};
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::Caller,
    query::{FromQuery, Params, Query},
};
use crate::{
    http::{Happening, event, event_stream},
    log::taps::{Happened, What},
};

/// How often something is sent, so that nothing in between gives up.
const ALIVE: Duration = Duration::from_secs(15);
const KINDS: [&str; 4] = ["request", "message", "attempt", "breaker"];

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(tail))
}

/// What to tell.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only these: `request`, `message`, `attempt`, `breaker`; may be given several times.
    #[param(required = false)]
    what: Vec<String>,
    /// Only of this source, by id or uid.
    source: Option<String>,
    /// Only of this application, by id or uid.
    application: Option<String>,
    /// Only of this event type; may be given several times.
    #[param(required = false)]
    event_type: Vec<String>,
    /// Only requests that were not accepted, attempts that failed and circuits that were opened
    /// (`true`), or only the others.
    failed: Option<bool>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        let what = query.list("what");
        if what.iter().any(|one| !KINDS.contains(&one.as_str())) {
            query.wrong::<()>("what", "there is request, message, attempt and breaker");
        }
        Filter {
            what,
            source: query.text("source"),
            application: query.text("application"),
            event_type: query.list("event_type"),
            failed: query.flag("failed"),
        }
    }
}

/// Follow what happens, as it happens
///
/// Server-sent events, each with one JSON object: a request that arrived at a source, a message that
/// was accepted, an attempt that ended, or an endpoint's circuit that was opened or closed. Nothing of it is kept for whoever is away; who is too
/// slow is told how much they missed.
#[utoipa::path(get, path = "/api/v1/tail", tag = "Listener", params(Filter),
    responses((status = 200, description = "Server-sent events",
        content_type = "text/event-stream", body = String)))]
async fn tail(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let mut application = None;
    if let Some(name) = &filter.source {
        let source = api.store.source(environment, Reference::parse(Kind::Source, name)).await?;
        application = Some(source.application.key());
    }
    if let Some(name) = &filter.application {
        let named = Reference::parse(Kind::Application, name);
        application = Some(api.store.application(environment, named).await?.id.key());
    }
    let Filter { what, event_type, failed, .. } = filter;
    let wanted = Wanted { environment, application, what, event_types: event_type, failed };
    let (happened, closing) = (api.taps.look(), api.listeners.closing());
    Ok(event_stream(Looking { wanted, happened, closing, has_begun: false }))
}

struct Wanted {
    environment: Key,
    application: Option<Key>,
    what: Vec<String>,
    event_types: Vec<String>,
    failed: Option<bool>,
}

impl Wanted {
    fn wants(&self, happened: &Happened) -> bool {
        let (kind, event_type, failed) = match &happened.what {
            What::Request { status, event_type, .. } => {
                let failed = !matches!(*status, "accepted" | "duplicate" | "challenge");
                ("request", event_type.as_deref(), failed)
            }
            What::Message { event_type, .. } => ("message", Some(event_type.as_str()), false),
            What::Attempt { event_type, outcome, .. } => {
                let failed = !matches!(*outcome, "delivered" | "filtered");
                ("attempt", Some(event_type.as_str()), failed)
            }
            What::Breaker { state, .. } => ("breaker", None, *state == "opened"),
        };
        let among = |list: &[String], one: Option<&str>| {
            list.is_empty() || one.is_some_and(|one| list.iter().any(|other| other == one))
        };
        happened.environment == self.environment
            && self.application.is_none_or(|application| application == happened.application)
            && among(&self.what, Some(kind))
            && among(&self.event_types, event_type)
            && self.failed.is_none_or(|wanted| wanted == failed)
    }
}

/// Somebody who looks.
struct Looking {
    wanted: Wanted,
    happened: broadcast::Receiver<Arc<Happened>>,
    closing: watch::Receiver<bool>,
    has_begun: bool,
}

/// What is told.
#[derive(Serialize)]
struct Told<'a> {
    time: Timestamp,
    #[serde(flatten)]
    what: &'a What,
}

impl Happening for Looking {
    async fn next(mut self) -> Option<(Bytes, Looking)> {
        if !self.has_begun {
            self.has_begun = true;
            // Sent at once, so that whoever looks knows that they do.
            return Some((Bytes::from_static(b": looking\n\n"), self));
        }
        loop {
            let came = tokio::select! {
                came = tokio::time::timeout(ALIVE, self.happened.recv()) => came,
                _ = self.closing.wait_for(|closing| *closing) => return None,
            };
            let data = match came {
                Err(_) => return Some((Bytes::from_static(b": still here\n\n"), self)),
                Ok(Err(broadcast::error::RecvError::Closed)) => return None,
                Ok(Err(broadcast::error::RecvError::Lagged(count))) => {
                    serde_json::json!({ "what": "missed", "count": count }).to_string()
                }
                Ok(Ok(happened)) if self.wanted.wants(&happened) => {
                    let told = Told { time: happened.at, what: &happened.what };
                    serde_json::to_string(&told).unwrap_or_default()
                }
                Ok(Ok(_)) => continue,
            };
            return Some((event(None, None, &data).into(), self));
        }
    }
}
