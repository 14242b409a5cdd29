//! What arrived at a source, what became of it, and what may still become of it.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    id::{Kind, MessageId, RequestId},
    scope::Reference,
    source::{Fate, Received},
    time::Timestamp,
};
use ringback_store::{Order, RequestQuery};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Named},
        field::Problems,
        list::List,
        query::{FromQuery, Paging, Params, Query},
        reply::json,
    },
    receive::{Again, How},
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(release))
        .routes(routes!(replay))
}

/// Which requests to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only what became this: `accepted`, `duplicate`, `challenge`, `unverified`, `stale`,
    /// `schema_invalid`, `quarantined`, `method_not_allowed`, `too_large`, `rate_limited`,
    /// `address_not_allowed`, `malformed`; may be given several times.
    #[param(required = false)]
    status: Vec<String>,
    /// Only with this id of the provider.
    event_id: Option<String>,
    /// Only of this event type.
    event_type: Option<String>,
    /// Only received before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only received after.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter {
            status: query.list("status"),
            event_id: query.text("event_id"),
            event_type: query.text("event_type"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

/// A request that arrived at a source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SourceRequestOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "req_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: RequestId,
    /// What became of it.
    status: &'static str,
    /// Why, in a stable word.
    reason: Option<String>,
    /// Whether it was proven: `verified`, `authenticated`, `failed` or `unattempted`.
    verdict: String,
    /// The status that was answered; 0 where the source lets its destination answer (the attempts
    /// of the message have that).
    response_status_code: u16,
    /// How it was sent.
    method: String,
    /// The query that it was sent with.
    query: String,
    /// Its headers, secrets replaced; only of a single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    /// Its body as text, as much as is kept; only of a single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Bytes of its body as it arrived.
    bytes: u64,
    /// The address that it came from.
    address: Option<String>,
    /// The provider's id of it.
    event_id: Option<String>,
    /// The type of the event.
    event_type: Option<String>,
    /// The message that it became or repeats.
    #[schema(value_type = Option<String>)]
    msg_id: Option<MessageId>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

impl SourceRequestOut {
    fn whole(request: Received) -> SourceRequestOut {
        let headers = joined(&request.headers);
        let body = request.body.as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
        SourceRequestOut { headers: Some(headers), body, ..SourceRequestOut::listed(request) }
    }

    fn listed(request: Received) -> SourceRequestOut {
        SourceRequestOut {
            id: request.id,
            status: request.fate.as_str(),
            reason: request.reason,
            verdict: request.verdict,
            response_status_code: request.status,
            method: request.method,
            query: request.target,
            headers: None,
            body: None,
            bytes: request.bytes,
            address: request.address,
            event_id: request.event_id,
            event_type: request.event_type,
            msg_id: request.message,
            timestamp: request.received_at,
        }
    }
}

/// What is kept with the headers and is none has a name that begins with a colon.
fn joined(headers: &[(String, String)]) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        let entry = joined.entry(name.clone()).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(value);
    }
    joined
}

/// A kept request that is a message now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SourceRequestReplayOut {
    /// Whether it was one before this call, which then has changed nothing.
    already_accepted: bool,
    /// The request, with its message: `accepted`, or `duplicate` if its event arrived meanwhile.
    request: SourceRequestOut,
}

/// List what arrived at a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/request", tag = "Source Request",
    params(("source_id" = String, Path, description = "id or uid"), Paging, Filter),
    responses((status = 200, body = List<SourceRequestOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Request, Order::Descending)?;
    let mut problems = Problems::at(&["query"]);
    let fate = |name: &String| Fate::ALL.into_iter().find(|fate| fate.as_str() == name);
    let fates: Vec<Fate> = filter.status.iter().filter_map(fate).collect();
    if fates.len() != filter.status.len() {
        problems.add("status", "there is no such status");
    }
    problems.done()?;
    let query = RequestQuery {
        page: page.clone(),
        fates,
        event_id: filter.event_id,
        event_type: filter.event_type,
        before: filter.before,
        after: filter.after,
    };
    let found = api.store.requests(caller.environment, source, query).await?;
    let ids = found.items.iter().map(|request| request.id.0).collect();
    let data = found.items.into_iter().map(SourceRequestOut::listed).collect();
    let end = (found.done, found.reached);
    Ok(json(StatusCode::OK, &List::found(Kind::Request, &page, ids, data, end)))
}

/// Get a request that arrived at a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/request/{request_id}",
    tag = "Source Request",
    params(("source_id" = String, Path, description = "id or uid"),
        ("request_id" = String, Path, description = "id")),
    responses((status = 200, body = SourceRequestOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
    Named(request): Named<extract::Arrived>,
) -> Result<Response, Error> {
    let request = api.store.request(caller.environment, source, request).await?;
    Ok(json(StatusCode::OK, &SourceRequestOut::whole(request)))
}

/// Let a request pass that its schema refuses
///
/// What is `quarantined`, or `schema_invalid`, becomes a message as if the schema had taken it. Its
/// proof counts as it was judged when it came. Asking twice makes one message.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/request/{request_id}/release",
    tag = "Source Request",
    params(("source_id" = String, Path, description = "id or uid"),
        ("request_id" = String, Path, description = "id")),
    responses((status = 200, body = SourceRequestReplayOut)))]
async fn release(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
    Named(request): Named<extract::Arrived>,
) -> Result<Response, Error> {
    again(&api, caller, source, request, How::Release).await
}

/// Judge a request again, and take it if nothing speaks against it any more
///
/// For what was refused for a reason that is mended: the secret, the schema, the provider's file. It
/// is judged as of the time when it came, by the source as it is now. What is refused again stays
/// as it is (409 `still_refused`). Asking twice makes one message.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/request/{request_id}/replay",
    tag = "Source Request",
    params(("source_id" = String, Path, description = "id or uid"),
        ("request_id" = String, Path, description = "id")),
    responses((status = 200, body = SourceRequestReplayOut)))]
async fn replay(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
    Named(request): Named<extract::Arrived>,
) -> Result<Response, Error> {
    again(&api, caller, source, request, How::Replay).await
}

async fn again(
    api: &Api,
    Caller { environment, now }: Caller,
    source: Reference,
    request: RequestId,
    how: How,
) -> Result<Response, Error> {
    let replayed = api.sources.replay(Again { environment, source, request, how, now }).await?;
    let out = SourceRequestReplayOut {
        already_accepted: replayed.before,
        request: SourceRequestOut::whole(replayed.request),
    };
    Ok(json(StatusCode::OK, &out))
}
