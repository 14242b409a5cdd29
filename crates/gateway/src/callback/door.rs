//! The public door: what the other side calls to answer, and what a page calls to follow.
//!
//! A request is taken durably before it is replied to. Whatever arrives at an open URL is written down
//! with what became of it; beyond the limits it is turned away and not written down.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request};
use ringback_domain::{
    callback::{Act, By, Callback, Kind, Mode, Presented, Purpose, Turn, state},
    time::Timestamp,
};
use ringback_store::{NewCallbackRequest, WriteError};

use super::{
    CallbackOut, Callbacks, Secrets, Terms,
    commit::answer,
    completer::{self, Proof, Unproven},
    judge::{Arrived, content, judge},
    limits::Limits,
    page, reply,
};
use crate::{api, http::Upload, receive};

/// Where callbacks are answered.
pub const PREFIX: &str = "/cb/";
/// Where callbacks are followed.
pub const WAIT_PREFIX: &str = "/wait/";
/// How long a page's browser remembers that it may ask, in seconds.
const PREFLIGHT: HeaderValue = HeaderValue::from_static("600");

/// What the door is made of.
pub struct Doors {
    /// What is answered.
    pub callbacks: Callbacks,
    /// Judges those who have to prove themselves as a provider does.
    pub sources: receive::Door,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
    /// Requests a second to one URL.
    pub requests_per_url: u32,
    /// Requests a second from one address.
    pub requests_per_address: u32,
    /// Origins whose pages may follow callbacks.
    pub allowed_origins: Vec<String>,
    /// Whether plain `http` is not dialled to ask a gateway.
    pub require_https: bool,
}

/// The door. Clones share it.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    doors: Doors,
    limits: Limits,
}

/// What a path asks for. It holds a secret, and is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Route {
    /// To answer, or what else the verb says.
    Answer {
        /// What opens it.
        token: String,
        /// What is wanted.
        verb: Verb,
    },
    /// To follow: the result, or the events.
    Wait {
        /// What lets look.
        token: String,
        /// Whether it is the events.
        events: bool,
    },
    /// Nothing there is.
    Nowhere,
}

/// What is wanted of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To answer, or to see the page.
    Answer,
    /// `/fail`
    Fail,
    /// `/progress`
    Progress,
    /// `/heartbeat`
    Heartbeat,
    /// `/close`
    Close,
    /// `/hold/…`: a browser that is held until then, in milliseconds since 1970.
    Hold(Timestamp),
}

impl Verb {
    /// How the path of a browser begins that is held.
    pub(super) const HOLD: &'static str = "hold";

    /// What it is kept as.
    fn act(self) -> Act {
        match self {
            Verb::Answer | Verb::Hold(_) => Act::Complete,
            Verb::Fail => Act::Fail,
            Verb::Progress => Act::Progress,
            Verb::Heartbeat => Act::Heartbeat,
            Verb::Close => Act::Close,
        }
    }

    /// As it stands in the path.
    fn path(self) -> &'static str {
        match self {
            Verb::Answer => "",
            Verb::Fail => "/fail",
            Verb::Progress => "/progress",
            Verb::Heartbeat => "/heartbeat",
            Verb::Close => "/close",
            Verb::Hold(_) => "/hold",
        }
    }
}

/// What a request asks for, if it is to this door. Whatever begins like a URL of it is, so that no
/// part of one gets anywhere else.
pub fn route<B>(request: &http::Request<B>) -> Option<Route> {
    let path = request.uri().path();
    let (rest, waits) = match path.strip_prefix(PREFIX) {
        Some(rest) => (rest, false),
        None => (path.strip_prefix(WAIT_PREFIX)?, true),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (token, verb) = rest.split_once('/').unwrap_or((rest, ""));
    let token = token.to_owned();
    Some(match (waits, verb) {
        (true, "") => Route::Wait { token, events: false },
        (true, "events") => Route::Wait { token, events: true },
        (false, "") => Route::Answer { token, verb: Verb::Answer },
        (false, "fail") => Route::Answer { token, verb: Verb::Fail },
        (false, "progress") => Route::Answer { token, verb: Verb::Progress },
        (false, "heartbeat") => Route::Answer { token, verb: Verb::Heartbeat },
        (false, "close") => Route::Answer { token, verb: Verb::Close },
        (false, other) => match other.split_once('/').map(|(name, at)| (name, at.parse())) {
            Some((Verb::HOLD, Ok(until))) => {
                Route::Answer { token, verb: Verb::Hold(Timestamp(until)) }
            }
            _ => Route::Nowhere,
        },
        _ => Route::Nowhere,
    })
}

/// A request to a URL that is open.
pub(super) struct Hit<'a> {
    pub(super) callback: Callback,
    pub(super) terms: Terms,
    pub(super) verb: Verb,
    pub(super) parts: &'a request::Parts,
    pub(super) peer: SocketAddr,
    pub(super) now: Timestamp,
}

impl Door {
    /// A door made of these parts.
    pub fn new(doors: Doors) -> Door {
        let limits = Limits::new(doors.requests_per_url, doors.requests_per_address);
        Door(Arc::new(Inner { doors, limits }))
    }

    /// Answers a request.
    pub async fn accept(
        &self,
        route: Route,
        parts: &request::Parts,
        body: Upload,
        peer: SocketAddr,
    ) -> Response {
        let now = self.now();
        if let Err(after) = self.0.limits.from(peer.ip(), now) {
            return reply::guarded(reply::too_often(after));
        }
        let response = match route {
            Route::Nowhere => reply::unknown(),
            Route::Answer { token, verb } => match self.open(Purpose::Answer, &token).await {
                Ok(Some(callback)) => {
                    let terms = Terms::of(&callback);
                    self.hit(Hit { callback, terms, verb, parts, peer, now }, body).await
                }
                Ok(None) => reply::unknown(),
                Err(response) => response,
            },
            Route::Wait { token, events } => {
                let response = self.follow(&token, events, parts).await;
                self.shared_with_origins(parts, response)
            }
        };
        let nothing = response.status() == StatusCode::NOT_FOUND;
        reply::guarded(if nothing && page::is_wanted(parts) { page::nothing() } else { response })
    }

    /// The callback that this opens. A wrong secret takes as long as the right one, and an id that
    /// names nothing as long as one that does.
    async fn open(&self, purpose: Purpose, token: &str) -> Result<Option<Callback>, Response> {
        let Some(presented) = Presented::parse(token) else { return Ok(None) };
        let parts = self.callbacks().parts();
        let found = parts.store.callback_by_id(presented.id).await.map_err(|error| {
            tracing::warn!(%error, "a callback could not be looked up");
            unavailable()
        })?;
        let turn = found.as_ref().map_or(Turn { version: 0, turn: 0 }, |found| found.turn);
        let opens = parts.keys.opens(purpose, &presented, turn);
        Ok(found.filter(|_| opens).map(|found| found.at(self.now())))
    }

    async fn hit(&self, hit: Hit<'_>, body: Upload) -> Response {
        if let Err(after) = self.0.limits.to(hit.callback.id.key(), hit.now) {
            return reply::too_often(after);
        }
        match hit.callback.kind {
            Kind::Result => self.result(hit, body).await,
            Kind::Redirect => self.redirect(hit, body).await,
        }
    }

    /// A request to a callback that a machine answers, or a person who confirms.
    async fn result(&self, hit: Hit<'_>, body: Upload) -> Response {
        let method = &hit.parts.method;
        let allow = allowed(&hit.terms, hit.verb);
        let takes = match hit.verb {
            Verb::Answer => hit.terms.takes(method),
            _ => *method == Method::POST,
        };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if *method == Method::OPTIONS {
            self.note(&hit, "only_looked", Bytes::new()).await;
            return reply::options(&allow);
        }
        // Somebody looks: a person, a browser that prepares, or a scanner of links.
        let may_look = hit.terms.has_page() || hit.terms.takes(&Method::GET);
        if hit.verb == Verb::Answer && reads && may_look {
            let prepares = page::is_prefetch(&hit.parts.headers);
            if !takes || prepares || *method == Method::HEAD {
                self.note(&hit, "only_looked", Bytes::new()).await;
                return match hit.terms.has_page() {
                    true => page::show(&hit.terms, hit.callback.course.state),
                    false => reply::empty(StatusCode::NO_CONTENT),
                };
            }
        }
        if !takes {
            self.note(&hit, "method_not_allowed", Bytes::new()).await;
            return reply::method_not_allowed(&allow);
        }
        let Doors { body_limit, read_timeout, .. } = &self.0.doors;
        match api::read_body(&hit.parts.headers, body, *body_limit, *read_timeout).await {
            Ok(body) => self.answer(hit, body).await,
            Err(error) => {
                if let api::Error::TooLarge { .. } = error {
                    self.note(&hit, "too_large", Bytes::new()).await;
                }
                axum::response::IntoResponse::into_response(error)
            }
        }
    }

    async fn answer(&self, hit: Hit<'_>, body: Bytes) -> Response {
        let content_type = hit.content_type();
        let by_form = page::is_form(&hit.parts.headers, content_type, &body);
        match self.prove(&hit, &body).await {
            Proof::Given => {}
            Proof::Challenge(answered) => return receive::answer(answered),
            Proof::Missing(reason) => {
                self.note(&hit, reason, body).await;
                return reply::unproven();
            }
        }
        let query = hit.parts.uri.query().unwrap_or_default();
        let (content_type, content) = content(&hit.parts.method, query, content_type, &body);
        let (content_type, content) =
            (content_type.map(str::to_owned), Bytes::copy_from_slice(content));
        let judged = match hit.verb {
            Verb::Answer => {
                let arrived = Arrived {
                    target: &hit.target(),
                    headers: &hit.headers(&[]),
                    content_type: content_type.as_deref(),
                    content: &content,
                };
                judge(&hit.terms, &arrived)
            }
            Verb::Fail => Ok((answer(true, &content), Act::Fail)),
            Verb::Progress => Ok((state::Act::Progress, Act::Progress)),
            Verb::Heartbeat => Ok((state::Act::Heartbeat, Act::Heartbeat)),
            Verb::Close if hit.callback.course.mode == Mode::Single => {
                self.note(&hit, "not_a_stream", content).await;
                let detail = "only a stream is closed: this callback takes one answer";
                return reply::error(StatusCode::BAD_REQUEST, "not_a_stream", detail);
            }
            Verb::Close => Ok((state::Act::Close, Act::Close)),
            Verb::Hold(_) => return reply::unknown(),
        };
        let (act, kept_as) = match judged {
            Ok(judged) => judged,
            // Where it has ended, that is what is said of it.
            Err(_) if !hit.callback.course.state.is_open() => {
                (answer(false, &content), Act::Complete)
            }
            Err(refused) => {
                self.note(&hit, refused.reason(), content).await;
                return if by_form { page::refused(&hit.terms) } else { reply::refused(&refused) };
            }
        };
        let request =
            NewCallbackRequest { act: kept_as, content_type, ..self.request(&hit, None, content) };
        let step = self.callbacks().act(hit.callback.id, act, request, hit.now);
        match self.callbacks().step(step).await {
            Ok(_) if by_form => page::again(),
            Ok(stepped) => {
                let literal = hit.terms.acknowledge.as_ref();
                let literal = literal.filter(|_| hit.verb == Verb::Answer);
                reply::stepped(literal, &stepped.callback, stepped.verdict)
            }
            Err(WriteError::NotFound(_)) => reply::unknown(),
            Err(error) => {
                tracing::warn!(callback = %hit.callback.id, %error, "an answer was not taken");
                unavailable()
            }
        }
    }

    async fn prove(&self, hit: &Hit<'_>, body: &[u8]) -> Proof {
        let parts = self.callbacks().parts();
        let query = hit.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let request = Unproven {
            callback: &hit.callback,
            method: hit.parts.method.as_str(),
            url: &format!("{}{}{query}", parts.public_url, hit.parts.uri.path()),
            headers: &hit.parts.headers,
            body,
            now: hit.now,
        };
        let secrets = Secrets::open(&parts.keyring, &hit.callback);
        completer::prove(&hit.terms, secrets, &self.0.doors.sources, &request).await
    }

    /// Writes down what is not taken.
    async fn note(&self, hit: &Hit<'_>, reason: &str, body: Bytes) {
        let step = self.callbacks().refuse(
            hit.callback.id,
            self.request(hit, Some(reason), body),
            hit.now,
        );
        if let Err(error) = self.callbacks().step(step).await {
            // It is refused all the same.
            tracing::debug!(callback = %hit.callback.id, %error, "a refusal was not written down");
        }
    }

    pub(super) fn request(
        &self,
        hit: &Hit<'_>,
        refused: Option<&str>,
        body: Bytes,
    ) -> NewCallbackRequest {
        let provider = match &hit.terms.completer {
            Some(super::Scheme::Provider(id)) => self.0.doors.sources.provider(id),
            _ => None,
        };
        let secret = provider.as_ref().map(|it| it.secret_headers()).unwrap_or_default();
        NewCallbackRequest {
            act: hit.verb.act(),
            by: By::Url,
            refused: refused.map(str::to_owned),
            method: hit.parts.method.as_str().to_owned(),
            target: hit.target(),
            address: Some(hit.peer.ip().to_canonical().to_string()),
            content_type: hit.content_type().map(str::to_owned),
            headers: hit.headers(&secret),
            body,
            message: None,
        }
    }

    /// What happened to a callback, for whoever has its wait token.
    async fn follow(&self, token: &str, events: bool, parts: &request::Parts) -> Response {
        if parts.method == Method::OPTIONS {
            return reply::options("GET, OPTIONS");
        }
        if parts.method != Method::GET {
            return reply::method_not_allowed("GET, OPTIONS");
        }
        let callback = match self.open(Purpose::Wait, token).await {
            Ok(Some(callback)) => callback,
            Ok(None) => return reply::unknown(),
            Err(response) => return response,
        };
        let (callbacks, environment) = (self.callbacks(), callback.scope.environment);
        let headers = &parts.headers;
        let followed = if events {
            callbacks.events(environment, callback.id, headers).await
        } else {
            let show = CallbackOut::for_strangers;
            callbacks.result(environment, callback.id, headers, show).await
        };
        followed.unwrap_or_else(|error| match error {
            ringback_store::ReadError::NotFound(_) => reply::unknown(),
            ringback_store::ReadError::Unavailable(_) => unavailable(),
        })
    }

    /// Lets pages of the allowed origins read the answer (CORS).
    fn shared_with_origins(&self, parts: &request::Parts, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let origin = parts.headers.get(header::ORIGIN);
        let is_allowed = |origin: &&HeaderValue| {
            let allowed = &self.0.doors.allowed_origins;
            allowed.iter().any(|one| one.as_bytes() == origin.as_bytes())
        };
        let Some(origin) = origin.filter(is_allowed) else { return response };
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET")),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("prefer, last-event-id, cache-control"),
            ),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("preference-applied, retry-after"),
            ),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("cross-origin"),
            ),
        ] {
            headers.insert(name, value);
        }
        response
    }

    pub(super) fn callbacks(&self) -> &Callbacks {
        &self.0.doors.callbacks
    }

    /// How long a body may take to arrive.
    pub(super) fn read_timeout(&self) -> Duration {
        self.0.doors.read_timeout
    }

    /// Whether plain `http` is not dialled.
    pub(super) fn require_https(&self) -> bool {
        self.0.doors.require_https
    }

    fn now(&self) -> Timestamp {
        self.callbacks().parts().world.clock.now()
    }
}

impl Hit<'_> {
    /// Query and further path.
    pub(super) fn target(&self) -> String {
        let query = self.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", self.verb.path())
    }

    pub(super) fn content_type(&self) -> Option<&str> {
        self.parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }

    /// Names and values, without credentials.
    pub(super) fn headers(&self, secret: &[&str]) -> Vec<(String, String)> {
        receive::shown_headers(&receive::all_headers(&self.parts.headers), secret)
    }
}

/// The methods that an address takes, for `Allow`.
fn allowed(terms: &Terms, verb: Verb) -> String {
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let takes = |method: &Method| match verb {
        Verb::Answer if matches!(*method, Method::GET | Method::HEAD) => {
            terms.has_page() || terms.takes(&Method::GET)
        }
        Verb::Answer => terms.takes(method),
        _ => *method == Method::POST,
    };
    let taken: Vec<&str> =
        methods.iter().filter(|method| takes(method)).map(Method::as_str).collect();
    format!("{}, OPTIONS", taken.join(", "))
}

/// The store cannot take it: whoever it is comes again.
pub(super) fn unavailable() -> Response {
    let detail = "the server cannot take this at the moment";
    let mut response = reply::error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_begins_like_a_url_stays_here() {
        let check = |path: &str, expect: Option<&str>| {
            let request = http::Request::builder().uri(path).body(()).unwrap();
            let found = route(&request).map(|route| match route {
                Route::Answer { token, verb } => format!("answer {token} {verb:?}"),
                Route::Wait { token, events } => format!("wait {token} {events}"),
                Route::Nowhere => "nowhere".to_owned(),
            });
            assert_eq!(found.as_deref(), expect, "{path}");
        };
        check("/cb/abc", Some("answer abc Answer"));
        check("/cb/abc/?a=b", Some("answer abc Answer"));
        check("/cb/abc/fail", Some("answer abc Fail"));
        check("/cb/abc/heartbeat/", Some("answer abc Heartbeat"));
        check("/cb/abc/hold/17", Some("answer abc Hold(Timestamp(17))"));
        check("/cb/abc/hold/x", Some("nowhere"));
        check("/cb/abc/hold", Some("nowhere"));
        check("/cb/abc/else", Some("nowhere"));
        check("/cb/abc/fail/again", Some("nowhere"));
        check("/cb/", Some("answer  Answer"));
        check("/wait/abc", Some("wait abc false"));
        check("/wait/abc/events", Some("wait abc true"));
        check("/wait/abc/fail", Some("nowhere"));
        check("/cb", None);
        check("/api/v1/callback", None);
    }

    #[test]
    fn what_is_taken_is_said() {
        for (terms, verb, expect) in [
            ("{}", Verb::Answer, "GET, HEAD, POST, OPTIONS"),
            (r#"{"completer":"bearer"}"#, Verb::Answer, "POST, OPTIONS"),
            (r#"{"methods":["GET"]}"#, Verb::Answer, "GET, HEAD, OPTIONS"),
            (r#"{"methods":["PUT"]}"#, Verb::Answer, "PUT, OPTIONS"),
            (r#"{"methods":["PUT"]}"#, Verb::Fail, "POST, OPTIONS"),
        ] {
            let terms: Terms = serde_json::from_str(terms).unwrap();
            assert_eq!(allowed(&terms, verb), expect);
        }
    }
}
