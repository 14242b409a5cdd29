//! A source's event stream, as smee.io has it: its clients work unchanged.
//!
//! What they are told is theirs: the body as JSON that they write anew, so a signature over bytes
//! holds only if the provider writes JSON as they do. `ringback listen` has the bytes. Whoever has
//! the URL hears everything, so it is a secret, and its source has one only while it wants to.
//!
//! The format is that of <https://github.com/probot/smee.io>: `ready`, `ping`, and unnamed events
//! whose data has each header under its name, and `body`, `query` and `timestamp`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ringback_domain::{
    id::{Id, Key, MessageId},
    scope::{Reference, Scope},
    token,
};
use ringback_store::{ArrivalQuery, ReadError, Unavailable};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tokio::{sync::watch, time::Instant};

use super::{Event, Listeners, hub::Parts};
use crate::{
    http::{Happening, event, event_stream},
    log::Bell,
    receive::Ready,
};

/// Where event streams are.
pub const PREFIX: &str = "/events/";
/// How often something is sent, so that nothing in between gives up.
const PING: Duration = Duration::from_secs(30);
/// Messages that are read at a time.
const PAGE: usize = 32;
/// Bytes of payload that are read at a time.
const PAGE_BYTES: usize = 1024 * 1024;
/// How long a ring may stay out until the store is looked at all the same.
const LOOK: Duration = Duration::from_secs(5);

/// Event streams of sources. Clones share it.
#[derive(Clone)]
pub struct Streams {
    listeners: Listeners,
    /// Rung when a URL may not count any more.
    changed: Arc<watch::Sender<()>>,
}

/// The routes of the door.
pub fn routes(streams: Streams) -> Router {
    Router::new().route(&format!("{PREFIX}{{token}}"), routing::get(follow)).with_state(streams)
}

impl Streams {
    /// Those of the sources that can be listened to.
    pub fn new(listeners: Listeners) -> Streams {
        Streams { listeners, changed: Arc::new(watch::Sender::new(())) }
    }

    /// Somebody's URL may not count any more: who follows it is to be asked again.
    pub fn changed(&self) {
        self.changed.send_replace(());
    }

    async fn find(&self, hash: [u8; 32]) -> Result<Option<(Scope, Arc<Ready>)>, Unavailable> {
        let Parts { store, directory, .. } = self.listeners.parts();
        let Some((scope, source)) = store.stream_by_token(hash).await? else { return Ok(None) };
        match store.source(scope.environment, Reference::Id(source.0)).await {
            Ok(source) => Ok(Some((scope, Arc::new(directory.ready(scope.environment, source))))),
            Err(ReadError::NotFound(_)) => Ok(None),
            Err(ReadError::Unavailable(error)) => Err(error),
        }
    }
}

async fn follow(
    State(streams): State<Streams>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let plain = |status: StatusCode| {
        let mut response = Response::default();
        *response.status_mut() = status;
        response
    };
    let hash = token::hash(&path);
    let (scope, ready) = match streams.find(hash).await {
        Ok(Some(found)) => found,
        Ok(None) => return plain(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::warn!(%error, "an event stream could not be looked up");
            return plain(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    let Parts { world, bells, .. } = streams.listeners.parts();
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = last.and_then(|text| text.trim().parse::<MessageId>().ok()).map(MessageId::key);
    let following = Following {
        hash,
        scope,
        ready,
        bell: bells.wait_for(vec![scope.application]),
        after: last.unwrap_or(Id::first_key_at(world.clock.now()) - 1),
        changed: streams.changed.subscribe(),
        closing: streams.listeners.closing(),
        streams,
        has_begun: false,
        pinged: Instant::now(),
    };
    event_stream(following)
}

/// Somebody who follows a source.
struct Following {
    streams: Streams,
    hash: [u8; 32],
    scope: Scope,
    ready: Arc<Ready>,
    bell: Bell,
    after: Key,
    changed: watch::Receiver<()>,
    closing: watch::Receiver<bool>,
    has_begun: bool,
    pinged: Instant,
}

impl Happening for Following {
    async fn next(mut self) -> Option<(Bytes, Following)> {
        if !self.has_begun {
            self.has_begun = true;
            // Whoever loses the connection before the first event goes on from here.
            let place = MessageId(Id { key: self.after, shard: 0, nonce: 0 });
            return Some((event(Some("ready"), Some(&place), "{}").into(), self));
        }
        loop {
            if self.changed.has_changed().ok()? {
                self.changed.mark_unchanged();
                let (_, ready) = self.streams.find(self.hash).await.ok().flatten()?;
                self.ready = ready;
            }
            let text = self.told().await.ok()?;
            if !text.is_empty() {
                return Some((text.into(), self));
            }
            if self.pinged.elapsed() >= PING {
                self.pinged = Instant::now();
                return Some((event(Some("ping"), None, "{}").into(), self));
            }
            let until_ping = PING.saturating_sub(self.pinged.elapsed());
            tokio::select! {
                () = self.bell.rung(LOOK.min(until_ping)) => {}
                _ = self.changed.changed() => self.changed.mark_changed(),
                _ = self.closing.wait_for(|closing| *closing) => return None,
            }
        }
    }
}

impl Following {
    /// What has arrived since the last time.
    async fn told(&mut self) -> Result<String, Unavailable> {
        let query = ArrivalQuery {
            environment: self.scope.environment,
            applications: vec![self.scope.application],
            after: self.after,
            limit: PAGE,
            bytes: PAGE_BYTES,
        };
        let page = self.streams.listeners.parts().store.arrivals(query).await?;
        self.after = page.reached;
        let told = page.items.iter().map(|arrived| {
            let told = Event::of(arrived, &self.ready);
            let data = data(&told, arrived.content_type.as_deref(), &arrived.payload);
            event(None, Some(&told.id), &data)
        });
        Ok(told.collect())
    }
}

/// An event as smee's clients read it. A header that has the name of a field is hidden by it.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    headers: BTreeMap<&'a str, &'a str>,
    body: Body<'a>,
    query: Value,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    /// As it was written: clients write it anew, and keep the order of its keys.
    Json(&'a RawValue),
    Other(Value),
}

fn data(event: &Event, content_type: Option<&str>, body: &[u8]) -> String {
    let query = event.target.split_once('?').map_or("", |(_, query)| query);
    let is_form =
        content_type.is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
    let body = match serde_json::from_slice(body) {
        _ if is_form => Body::Other(form(body)),
        Ok(json) => Body::Json(json),
        Err(_) => Body::Other(Value::from(String::from_utf8_lossy(body))),
    };
    let headers = event.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let data = Data {
        headers: headers.collect(),
        body,
        query: form(query.as_bytes()),
        timestamp: event.received_at.millis(),
    };
    // What has only text as keys is always JSON. Its strings have no line breaks, and elsewhere a
    // space is as good.
    serde_json::to_string(&data).unwrap_or_default().replace(['\n', '\r'], " ")
}

fn form(text: &[u8]) -> Value {
    let pairs = url::form_urlencoded::parse(text);
    Value::Object(pairs.map(|(name, value)| (name.into_owned(), Value::from(value))).collect())
}
