//! Polling endpoints: endpoints that are read instead of called.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ringback_domain::{
    endpoint::{self, Endpoint},
    poll::{self, Cursor},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::audit;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    field::Problems,
    idempotency::{Answered, Posted},
    query::{FromQuery, LIMIT_DEFAULT, LIMIT_MAX, Params, Query},
    reply::json,
};
use crate::{
    callback::wait_of,
    listen::{Asked, Followed, Given, Polled},
};

/// What an answer was waited for.
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(poll))
        .routes(routes!(consumer_poll))
        .routes(routes!(consumer_seek))
        .routes(routes!(consumer_commit))
        .routes(routes!(consumer_stream))
}

/// How many messages, and from where.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Going {
    /// How many messages, 1 to 250; 50 if not given.
    #[param(minimum = 1, maximum = 250)]
    limit: Option<usize>,
    /// The `iterator` of the answer before.
    #[param(value_type = Option<String>)]
    iterator: Option<Cursor>,
}

impl FromQuery for Going {
    fn read(query: &mut Params) -> Going {
        let limit = query.number("limit").and_then(|limit| match limit {
            1..=LIMIT_MAX => Some(limit),
            _ => query.wrong("limit", format!("it is between 1 and {LIMIT_MAX}")),
        });
        let iterator = query.text("iterator").and_then(|text| match text.parse() {
            Ok(cursor) => Some(cursor),
            Err(what) => query.wrong("iterator", what),
        });
        Going { limit, iterator }
    }
}

/// Which messages, of those that the endpoint wants.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Narrowed {
    /// Only this event type.
    event_type: Option<String>,
    /// Only with this channel.
    channel: Option<String>,
    /// Where no `iterator` says it: only accepted at this time or later; since the endpoint was made
    /// if not given.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

impl FromQuery for Narrowed {
    fn read(query: &mut Params) -> Narrowed {
        let (event_type, channel) = (query.text("event_type"), query.text("channel"));
        Narrowed { event_type, channel, after: query.time("after") }
    }
}

/// What there is to read.
#[derive(Serialize, ToSchema)]
struct PollingEndpointOut {
    /// Messages, in the order in which they were accepted. There may be none although there is more.
    data: Vec<Given>,
    /// Where to go on.
    iterator: String,
    /// Whether there is nothing beyond at the moment.
    done: bool,
}

/// Read what a polling endpoint gets
///
/// Messages in the order in which they were accepted, from the `iterator` on. With `Prefer: wait=30`
/// this waits for the first of them, at most 60 seconds.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/poller/{sink_id}", tag = "Message Poller",
    params(("app_id" = String, Path, description = "id or uid"),
        ("sink_id" = String, Path, description = "id or uid of the polling endpoint"),
        Going, Narrowed,
        ("prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for it")),
    responses((status = 200, body = PollingEndpointOut)))]
async fn poll(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(sink): Named<extract::Sink>,
    Query(going): Query<Going>,
    Query(narrowed): Query<Narrowed>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let endpoint = readable(&api, scope, sink).await?;
    let cursor = of(&endpoint, "query", going.iterator)?;
    let Narrowed { event_type, channel, after } = narrowed;
    let since = after.map_or(endpoint.created_at, |after| after.min(now));
    let after = cursor.map_or(poll::start(since), |cursor| cursor.place);
    let turn = cursor.map_or(0, |cursor| cursor.turn);
    let asked = Asked { after, event_type, channel, ..asked(&going, &headers) };
    let polled = api.listeners.poll(scope, &endpoint, asked).await?;
    Ok(answer(&endpoint, turn, polled, &headers))
}

/// Read what a consumer of a polling endpoint has not acknowledged
///
/// The server knows how far a consumer is. Asking with the `iterator` of the answer before says that
/// what was in it is dealt with; without one, what was not acknowledged is given again. Waits as
/// `poll` does.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}",
    tag = "Message Poller",
    params(("app_id" = String, Path, description = "id or uid"),
        ("sink_id" = String, Path, description = "id or uid of the polling endpoint"),
        ("consumer_id" = String, Path, description = "your own name for who reads"),
        Going,
        ("prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for it")),
    responses((status = 200, body = PollingEndpointOut)))]
async fn consumer_poll(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(sink): Named<extract::Sink>,
    Named(name): Named<extract::Consumer>,
    Query(going): Query<Going>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let endpoint = readable(&api, scope, sink).await?;
    let cursor = of(&endpoint, "query", going.iterator)?;
    let mut consumer = api.listeners.consumer(&endpoint, &name, now).await?;
    if let Some(cursor) = cursor {
        consumer = api.listeners.acknowledge(consumer, cursor, now).await?;
    }
    let asked = Asked { after: consumer.after(cursor), ..asked(&going, &headers) };
    let polled = api.listeners.poll(scope, &endpoint, asked).await?;
    Ok(answer(&endpoint, consumer.turn, polled, &headers))
}

/// Where a consumer is to go on.
#[derive(Deserialize, ToSchema)]
struct PollingEndpointConsumerSeekIn {
    /// With what was accepted at this time or later.
    #[schema(required, nullable = false, format = DateTime)]
    after: Option<String>,
}

/// Where a consumer is.
#[derive(Serialize, ToSchema)]
struct PollingEndpointConsumerSeekOut {
    /// Its place: everything up to there is dealt with.
    iterator: String,
}

/// Move a consumer of a polling endpoint, forward or back
///
/// What was given before does not count any more as an acknowledgement.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/seek",
    tag = "Message Poller",
    params(("app_id" = String, Path, description = "id or uid"),
        ("sink_id" = String, Path, description = "id or uid of the polling endpoint"),
        ("consumer_id" = String, Path, description = "your own name for who reads")),
    request_body = PollingEndpointConsumerSeekIn,
    responses((status = 200, body = PollingEndpointConsumerSeekOut)))]
async fn consumer_seek(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(sink): Named<extract::Sink>,
    Named(name): Named<extract::Consumer>,
    Posted { body, .. }: Posted<PollingEndpointConsumerSeekIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let after = problems.required("after", body.after);
    let after = after.and_then(|time| problems.time("after", &time));
    problems.done()?;
    let endpoint = existing(&api, scope, sink).await?;
    audit::about("sink_id", endpoint.id.to_string());
    let (key, after) = (endpoint.id.key(), after.unwrap_or(now));
    let consumer = api.listeners.seek(scope, key, name, after, now).await?;
    Ok(placed(consumer.cursor()))
}

/// What is dealt with.
#[derive(Deserialize, ToSchema)]
struct PollingEndpointConsumerCommitIn {
    /// The `iterator` of an answer, or the id of an event of the stream.
    #[schema(required, nullable = false)]
    iterator: Option<String>,
}

/// Acknowledge what a consumer of a polling endpoint was given
#[utoipa::path(post, path = "/api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/commit",
    tag = "Message Poller",
    params(("app_id" = String, Path, description = "id or uid"),
        ("sink_id" = String, Path, description = "id or uid of the polling endpoint"),
        ("consumer_id" = String, Path, description = "your own name for who reads")),
    request_body = PollingEndpointConsumerCommitIn,
    responses((status = 200, body = PollingEndpointConsumerSeekOut)))]
async fn consumer_commit(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(sink): Named<extract::Sink>,
    Named(name): Named<extract::Consumer>,
    Posted { body, .. }: Posted<PollingEndpointConsumerCommitIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let iterator = problems.required("iterator", body.iterator);
    let cursor = iterator.map(|text| text.parse::<Cursor>());
    let cursor = cursor.and_then(|cursor| problems.check("iterator", cursor));
    problems.done()?;
    let endpoint = existing(&api, scope, sink).await?;
    let mut consumer = api.listeners.consumer(&endpoint, &name, now).await?;
    if let Some(cursor) = of(&endpoint, "body", cursor)? {
        consumer = api.listeners.acknowledge(consumer, cursor, now).await?;
    }
    Ok(placed(consumer.cursor()))
}

/// Follow what a consumer of a polling endpoint has not acknowledged
///
/// Server-sent events of the name `message`. It goes on after `Last-Event-ID`, which is no
/// acknowledgement: that is `commit`, with the id of an event.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/stream",
    tag = "Message Poller",
    params(("app_id" = String, Path, description = "id or uid"),
        ("sink_id" = String, Path, description = "id or uid of the polling endpoint"),
        ("consumer_id" = String, Path, description = "your own name for who reads"),
        ("last-event-id" = Option<String>, Header, description = "the id of the last event seen")),
    responses((status = 200, description = "Server-sent events",
        content_type = "text/event-stream", body = String)))]
async fn consumer_stream(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(sink): Named<extract::Sink>,
    Named(name): Named<extract::Consumer>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let endpoint = readable(&api, scope, sink).await?;
    let consumer = api.listeners.consumer(&endpoint, &name, now).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    // What is none of ours was kept by the client for something else.
    let last = last.and_then(|text| text.trim().parse::<Cursor>().ok());
    let last = last.filter(|cursor| cursor.endpoint == endpoint.id.key());
    Ok(Followed::response(&api.listeners, scope, &endpoint, consumer, last))
}

/// The polling endpoint that is named.
///
/// # Errors
/// 404 if it is an endpoint that is called.
async fn existing(api: &Api, scope: Scope, sink: Reference) -> Result<Endpoint, Error> {
    let found = extract::found(api.store.endpoint(scope, sink).await)?;
    found.filter(|endpoint| endpoint.url == poll::URL).ok_or(Error::NotFound("polling endpoint"))
}

/// The polling endpoint that is named, if it may be read now.
///
/// # Errors
/// 404, and 409 while it is disabled: an empty answer would say that there is nothing.
async fn readable(api: &Api, scope: Scope, sink: Reference) -> Result<Endpoint, Error> {
    let endpoint = existing(api, scope, sink).await?;
    if endpoint.state == endpoint::State::Pulled {
        return Ok(endpoint);
    }
    let detail = format!("the endpoint is {}", endpoint.state.name());
    Err(Error::Conflict { code: "endpoint_disabled", detail })
}

/// The cursor, if it is one of this endpoint.
fn of(endpoint: &Endpoint, place: &str, cursor: Option<Cursor>) -> Result<Option<Cursor>, Error> {
    match cursor {
        Some(cursor) if cursor.endpoint != endpoint.id.key() => {
            Err(Error::invalid(place, "iterator", poll::NoCursor))
        }
        cursor => Ok(cursor),
    }
}

fn asked(going: &Going, headers: &HeaderMap) -> Asked {
    let wait = Duration::from_secs(wait_of(headers).unwrap_or(0));
    Asked { limit: going.limit.unwrap_or(LIMIT_DEFAULT), wait, ..Asked::default() }
}

fn answer(endpoint: &Endpoint, turn: u32, polled: Polled, asked: &HeaderMap) -> Response {
    let Polled { given, reached, done } = polled;
    let iterator = Cursor { endpoint: endpoint.id.key(), place: reached, turn }.to_string();
    let data = given.into_iter().map(|(_, given)| given).collect();
    let mut response = json(StatusCode::OK, &PollingEndpointOut { data, iterator, done });
    let headers = response.headers_mut();
    let wait = wait_of(asked);
    if let Some(wait) = wait.and_then(|wait| HeaderValue::from_str(&format!("wait={wait}")).ok()) {
        headers.insert(APPLIED, wait);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn placed(cursor: Cursor) -> Response {
    json(StatusCode::OK, &PollingEndpointConsumerSeekOut { iterator: cursor.to_string() })
}
