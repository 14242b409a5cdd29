//! Listeners: named places in what arrived, from which somebody goes on listening.

use std::time::Duration;

use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::Response,
};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::OnUpgrade;
use ringback_domain::{
    id::{Id, Key, Kind, ListenerId, MessageId},
    listener::Listener,
    scope::{Reference, check_uid},
    time::Timestamp,
};
use ringback_store::{Order, PutListener, ReadError, audit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Origin,
    error::Error,
    extract::{self, Caller, Json, Named, found},
    field::Problems,
    idempotency::{Answered, Posted},
    list::List,
    query::{FromQuery, Paging, Params, Query},
    reply::{json, nothing},
};
use crate::listen::{self, Coming, Event, Pulling, Refused, Seen, Terms};

/// The most events that are given at a time.
const MOST: usize = 100;
/// How many are given where nobody says.
const USUAL: usize = 10;
/// The longest wait for an event, in seconds.
const LONGEST: u64 = 60;
/// The longest name of a client, in characters.
const CLIENT: usize = 128;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(seek))
        .routes(routes!(disconnect))
        .routes(routes!(take))
        .routes(routes!(connect))
}

/// What to listen to, and how.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ListenerIn {
    /// Which sources, by id or uid; all of the environment when empty, those to come as well.
    sources: Vec<String>,
    /// Which event types: `push`, or `invoice.*` for all that begin like that; all when empty.
    event_types: Vec<String>,
    /// Only what this filter takes; see `docs/filters.md`.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// Only what was proven to come from its provider.
    verified_only: bool,
    /// Whether several clients share what arrives. Otherwise there is one: who comes takes over.
    shared: bool,
    /// Whether its client answers for sources that let their destination answer, in place of their
    /// endpoints. Where a source has no endpoint that wants an event, it does anyway.
    answers: bool,
    /// Where it begins, if it is made by this: `now`, `start`, a time, or after a message's id.
    #[schema(example = "now")]
    from: Option<String>,
}

/// A listener.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListenerOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "lsn_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: ListenerId,
    /// The caller's name for it.
    name: String,
    /// The ids of the sources; all when empty.
    #[schema(value_type = Vec<String>)]
    sources: Vec<ringback_domain::id::SourceId>,
    /// Which event types; all when empty.
    event_types: Vec<String>,
    /// Only what this filter takes.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// Only what was proven.
    verified_only: bool,
    /// Whether several clients share what arrives.
    shared: bool,
    /// Whether its client answers in place of endpoints.
    answers: bool,
    /// Everything that arrived before is dealt with.
    #[schema(value_type = String, format = DateTime)]
    place_time: Timestamp,
    /// How many messages there are from there on, wanted or not; counted up to 10000.
    behind: u64,
    /// Whether there are no more than that.
    behind_is_exact: bool,
    /// When the oldest of them arrived.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_waiting: Option<Timestamp>,
    /// Who is connected.
    connections: Vec<ListenerConnectionOut>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When somebody was there last, or changed it.
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

/// A client that is connected to a listener.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListenerConnectionOut {
    /// Its number, at this listener.
    id: u64,
    /// What it calls itself.
    client: Option<String>,
    /// The address that it came from.
    address: Option<String>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Events that it was given and has not dealt with.
    in_flight: usize,
}

impl ListenerOut {
    fn new(listener: Listener, terms: Terms, seen: Seen) -> ListenerOut {
        let Seen { place, behind, is_exact, connected } = seen;
        let connection = |one: listen::Connected| ListenerConnectionOut {
            id: one.number,
            client: one.client,
            address: one.address.map(|address| address.to_string()),
            since: one.since,
            in_flight: one.in_flight,
        };
        ListenerOut {
            id: listener.id,
            name: listener.name,
            sources: terms.sources,
            event_types: terms.event_types,
            filter: terms.filter,
            verified_only: terms.verified_only,
            shared: terms.shared,
            answers: terms.answers,
            place_time: Id { key: place, shard: 0, nonce: 0 }.created_at(),
            behind: behind.count,
            behind_is_exact: is_exact,
            oldest_waiting: behind.oldest,
            connections: connected.into_iter().map(connection).collect(),
            created_at: listener.created_at,
            seen_at: listener.seen_at,
        }
    }
}

async fn shown(api: &Api, environment: Key, listener: Listener) -> Result<ListenerOut, Error> {
    let seen = api.listeners.seen(environment, &listener).await?;
    let terms = Terms::read(&listener.terms);
    Ok(ListenerOut::new(listener, terms, seen))
}

/// List listeners, with how far each is and who is connected
#[utoipa::path(get, path = "/api/v1/listener", tag = "Listener", params(Paging),
    responses((status = 200, body = List<ListenerOut>)))]
async fn list(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Listener, Order::Descending)?;
    let listed = api.store.listeners(environment, page.clone()).await?;
    let ids = listed.items.iter().map(|listener| listener.id.0).collect();
    let mut data = Vec::with_capacity(listed.items.len());
    for listener in listed.items {
        data.push(shown(&api, environment, listener).await?);
    }
    Ok(json(StatusCode::OK, &List::new(Kind::Listener, &page, ids, data, listed.done)))
}

/// Get a listener, with how far it is and who is connected
#[utoipa::path(get, path = "/api/v1/listener/{listener_id}", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    responses((status = 200, body = ListenerOut)))]
async fn get(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(listener): Named<extract::Listener>,
) -> Result<Response, Error> {
    let listener = api.store.listener(environment, listener).await?;
    Ok(json(StatusCode::OK, &shown(&api, environment, listener).await?))
}

/// Make a listener, or change what one listens to; its place stays then
#[utoipa::path(put, path = "/api/v1/listener/{listener_id}", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    request_body = ListenerIn,
    responses((status = 200, body = ListenerOut), (status = 201, body = ListenerOut)))]
async fn put(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(listener): Named<extract::Listener>,
    Json(body): Json<ListenerIn>,
) -> Result<Response, Error> {
    if let Reference::Uid(name) = &listener
        && let Err(error) = check_uid(Kind::Listener, name)
    {
        return Err(Error::invalid("path", "listener_id", error));
    }
    let (terms, place) = body.checked(&api, environment, now).await?;
    let id = match found(api.store.listener(environment, listener.clone()).await)? {
        Some(listener) => listener.id,
        None => api.mint(now, ListenerId),
    };
    audit::about("listener_id", id.to_string());
    let put =
        PutListener { environment, listener, id, terms: terms.text(), place, now, answer: None };
    let (listener, is_new) = api.store.put_listener(put).await?;
    api.listeners.changed(&listener);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &shown(&api, environment, listener).await?))
}

impl ListenerIn {
    async fn checked(
        self,
        api: &Api,
        environment: Key,
        now: Timestamp,
    ) -> Result<(Terms, Option<Key>), Error> {
        let mut problems = Problems::of_body();
        if self.sources.len() > listen::SOURCES {
            problems.add("sources", format!("there are at most {}", listen::SOURCES));
        }
        if self.event_types.len() > listen::EVENT_TYPES {
            problems.add("eventTypes", format!("there are at most {}", listen::EVENT_TYPES));
        }
        let mut sources = Vec::new();
        for name in self.sources.iter().take(listen::SOURCES) {
            match api.store.source(environment, Reference::parse(Kind::Source, name)).await {
                Ok(source) => sources.push(source.id),
                Err(ReadError::NotFound(_)) => {
                    problems.add("sources", format!("there is no source `{name}`"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        sources.sort_unstable();
        sources.dedup();
        let place = match self.from.as_deref().map(|from| place(from, now)) {
            None => None,
            Some(Ok(place)) => place,
            Some(Err(what)) => {
                problems.add("from", what);
                None
            }
        };
        let Self { event_types, filter, verified_only, shared, answers, .. } = self;
        let terms = Terms { sources, event_types, filter, verified_only, shared, answers };
        if let Err(mistake) = terms.filter() {
            let path: Vec<String> = std::iter::once("filter".to_owned())
                .chain(mistake.place.split('/').skip(1).map(str::to_owned))
                .collect();
            problems.add_at(&path, mistake);
        }
        problems.done()?;
        Ok((terms, place))
    }
}

/// A place as it is written; none for `now`.
fn place(text: &str, now: Timestamp) -> Result<Option<Key>, &'static str> {
    if let Ok(message) = text.parse::<MessageId>() {
        return Ok(Some(message.key()));
    }
    match text {
        "now" => Ok(None),
        "start" => Ok(Some(0)),
        time => match time.parse::<Timestamp>() {
            Ok(time) => Ok(Some((Id::first_key_at(time.min(now)) - 1).max(0))),
            Err(_) => Err("it is now, start, an RFC 3339 time, or the id of a message"),
        },
    }
}

/// Delete a listener; whoever is connected is sent away
#[utoipa::path(delete, path = "/api/v1/listener/{listener_id}", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(listener): Named<extract::Listener>,
) -> Result<Response, Error> {
    let found = api.store.listener(environment, listener).await?;
    audit::about("listener_id", found.id.to_string());
    api.store.delete_listener(environment, Reference::Id(found.id.0), now).await?;
    api.listeners.deleted(found.id);
    Ok(nothing())
}

/// Where a listener is to go on.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ListenerSeekIn {
    /// `now`, `start`, a time, or after a message's id.
    #[schema(example = "now")]
    to: String,
}

/// Move a listener, forward or back
///
/// `now` drops what it has not dealt with; what is further back is told again.
#[utoipa::path(post, path = "/api/v1/listener/{listener_id}/seek", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    request_body = ListenerSeekIn,
    responses((status = 200, body = ListenerOut)))]
async fn seek(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(listener): Named<extract::Listener>,
    Posted { body, .. }: Posted<ListenerSeekIn>,
) -> Result<Response, Answered> {
    let wrong = |what| Error::invalid("body", "to", what);
    let place = place(&body.to, now).map_err(wrong)?;
    let place = place.unwrap_or_else(|| Id::first_key_at(now) - 1);
    let found = api.store.listener(environment, listener).await?;
    audit::about("listener_id", found.id.to_string());
    api.listeners.moved(found.id).await;
    let named = Reference::Id(found.id.0);
    let listener = api.store.seek_listener(environment, named, place, now).await?;
    api.listeners.moved(listener.id).await;
    Ok(json(StatusCode::OK, &shown(&api, environment, listener).await?))
}

/// How many were sent away.
#[derive(Serialize, ToSchema)]
struct ListenerDisconnectOut {
    /// Connections that were open.
    disconnected: usize,
}

/// Send away whoever is connected; they do not come again by themselves
#[utoipa::path(post, path = "/api/v1/listener/{listener_id}/disconnect", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    responses((status = 200, body = ListenerDisconnectOut)))]
async fn disconnect(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(listener): Named<extract::Listener>,
) -> Result<Response, Error> {
    let listener = api.store.listener(environment, listener).await?;
    let disconnected = api.listeners.disconnect(listener.id);
    Ok(json(StatusCode::OK, &ListenerDisconnectOut { disconnected }))
}

/// What to give.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ListenerTakeIn {
    /// At most so many events, 1 to 100; 10 if not given.
    #[schema(minimum = 1, maximum = 100)]
    max: Option<usize>,
    /// How long to wait for the first of them, in seconds, 0 to 60; not at all if not given.
    #[schema(minimum = 0, maximum = 60)]
    wait_seconds: Option<u64>,
    /// The last event that was dealt with, by its message's id: it and all before do not come again.
    acknowledge: Option<String>,
}

/// What arrived.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListenerTakeOut {
    /// Events, in the order in which they arrived.
    events: Vec<ListenerEventOut>,
    /// How many messages there are from the listener's place on, wanted or not, these among them;
    /// counted up to 10000.
    behind: u64,
}

/// An event, as it came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListenerEventOut {
    #[serde(flatten)]
    head: Event,
    /// The body, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in Base64, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl ListenerEventOut {
    fn new((head, body): (Event, bytes::Bytes)) -> ListenerEventOut {
        let (body, body_base64) = match String::from_utf8(body.to_vec()) {
            Ok(text) => (Some(text), None),
            Err(_) => (None, Some(data_encoding::BASE64.encode(&body))),
        };
        ListenerEventOut { head, body, body_base64 }
    }
}

/// Take what arrived after a listener's place, and acknowledge what was taken before
///
/// What is not acknowledged comes again with the next call: at least once, and in order.
#[utoipa::path(post, path = "/api/v1/listener/{listener_id}/take", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name")),
    request_body = ListenerTakeIn,
    responses((status = 200, body = ListenerTakeOut)))]
async fn take(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(listener): Named<extract::Listener>,
    Posted { body, .. }: Posted<ListenerTakeIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let max = body.max.unwrap_or(USUAL);
    if !(1..=MOST).contains(&max) {
        problems.add("max", format!("it is from 1 to {MOST}"));
    }
    let wait = body.wait_seconds.unwrap_or(0);
    if wait > LONGEST {
        problems.add("waitSeconds", format!("it is at most {LONGEST}"));
    }
    let acknowledged = match body.acknowledge.map(|text| text.parse::<MessageId>()).transpose() {
        Ok(acknowledged) => acknowledged,
        Err(error) => {
            problems.add("acknowledge", error);
            None
        }
    };
    problems.done()?;
    let listener = api.store.listener(environment, listener).await?;
    let pulling = Pulling { max, wait: Duration::from_secs(wait), acknowledged };
    let pulled = api.listeners.pull(environment, listener, pulling).await?;
    let events = pulled.events.into_iter().map(ListenerEventOut::new).collect();
    Ok(json(StatusCode::OK, &ListenerTakeOut { events, behind: pulled.behind }))
}

/// How a client introduces itself.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Introduction {
    /// What it calls itself, for those who look who is connected.
    client: Option<String>,
    /// The last event that it has dealt with, by its message's id: it goes on after that, or after
    /// the listener's place if that is later.
    after: Option<String>,
}

impl FromQuery for Introduction {
    fn read(query: &mut Params) -> Introduction {
        let after = query.text("after");
        if after.as_ref().is_some_and(|text| text.parse::<MessageId>().is_err()) {
            query.wrong::<()>("after", "it is the id of a message");
        }
        let client = query.text("client");
        let client = client.map(|name| name.chars().take(CLIENT).collect());
        Introduction { client, after }
    }
}

/// The connection that the request came over, if it can become another protocol's.
struct Upgradable(Option<OnUpgrade>);

impl<S: Sync> FromRequestParts<S> for Upgradable {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Upgradable, Self::Rejection> {
        Ok(Upgradable(parts.extensions.remove::<OnUpgrade>()))
    }
}

/// Listen: events over a WebSocket, with the protocol `ringback.listen.v1`
///
/// `docs/listen.md` has the messages. `ringback listen` is a client of this.
#[utoipa::path(get, path = "/api/v1/listener/{listener_id}/connect", tag = "Listener",
    params(("listener_id" = String, Path, description = "id or name"), Introduction),
    responses((status = 101, description = "Switching Protocols")))]
async fn connect(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(listener): Named<extract::Listener>,
    Query(introduction): Query<Introduction>,
    origin: Option<Extension<Origin>>,
    headers: HeaderMap,
    Upgradable(on_upgrade): Upgradable,
) -> Result<Response, Error> {
    let listener = api.store.listener(environment, listener).await?;
    let coming = Coming {
        client: introduction.client,
        address: origin.map(|Extension(origin)| origin.address.ip()),
        after: introduction.after.and_then(|text| text.parse().ok()),
        now,
    };
    let served = (environment, listener);
    listen::upgrade(&api.listeners, served, &headers, on_upgrade, coming).map_err(|refused| {
        match refused {
            Refused::NoUpgrade => {
                Error::Refused { code: "no_upgrade", detail: refused.to_string() }
            }
            Refused::Stopping => Error::Unavailable {
                code: "stopping",
                detail: "the server is stopping",
                retry_after: "1",
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_in_every_spelling() {
        let now = Timestamp(1_800_000_000_000);
        let id = MessageId(Id { key: 77, shard: 0, nonce: 1 }).to_string();
        for (text, expect) in [
            ("now", Ok(None)),
            ("start", Ok(Some(0))),
            (&*id, Ok(Some(77))),
            ("1970-01-01T00:00:00.001Z", Ok(Some((1 << 20) - 1))),
            ("1970-01-01T00:00:00Z", Ok(Some(0))),
            ("yesterday", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(place(text, now).map_err(|_| ()), expect, "{text}");
        }
        let later = place("2999-01-01T00:00:00Z", now);
        assert_eq!(later, Ok(Some(Id::first_key_at(now) - 1)), "the future is now");
    }
}
