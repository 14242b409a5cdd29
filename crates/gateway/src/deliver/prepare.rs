//! From an endpoint's row to what an attempt needs, and from a message to the exact request.

use std::{io::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use ringback_domain::{
    application::OPERATIONAL_UID,
    breaker::Waits,
    delivery::{Delivery, OnExhausted, Pins, Plain, Shape, Shaped, Unfit},
    destination::kind_of,
    endpoint::State,
    filter::{Event, Expression, Outcome},
    id::{ApplicationId, EndpointId, Key},
    provider::State as Proof,
    retry::{Ending, KeptBack, Meaning, Schedule, parse_retry_after},
    scope::Scope,
    seal::{Context, Keyring},
    signature::SigningKey,
    source::TARGET_HEADER,
    target::{Rules, Target},
    time::Timestamp,
};
use ringback_store::{Content, EndpointSecrets, Lane};
use zeroize::Zeroizing;

use super::{
    destination::{Destination, Unsent},
    fixed::Fixed,
    handshake::Handshake,
    services::Services,
    style::Style,
};
use crate::{
    outbound::Answer,
    transform::{self, Transformation},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("Ringback/", env!("CARGO_PKG_VERSION")));
/// The place of a delivery among those with its ordering key: what comes later has a greater one.
const SEQUENCE: HeaderName = HeaderName::from_static("ringback-sequence");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An endpoint, ready to be sent to.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) application: ApplicationId,
    pub(super) application_uid: Option<String>,
    pub(super) endpoint: EndpointId,
    pub(super) endpoint_uid: Option<String>,
    pub(super) revision: Key,
    pub(super) state: State,
    pub(super) failing_since: Option<Timestamp>,
    filter: Option<Arc<Expression>>,
    /// Which versions of payloads it gets.
    pub(super) pins: Option<Pins>,
    /// When it was made: of types that are not pinned it gets what was their default then.
    pub(super) created_at: Timestamp,
    /// What is made of its messages, if anything is.
    pub(super) transformation: Option<Arc<Transformation>>,
    /// What programs and people know its place as, without credentials.
    pub(super) url: Arc<str>,
    /// Attempts a second that it asks for, or its kind of destination takes, at most.
    rate: Option<f64>,
    /// Requests open at once, at most.
    pub(super) concurrency: u32,
    /// Whether a delivery that has no attempts left blocks its order.
    pub(super) blocks: bool,
    /// How long its circuit stays open; none if it never opens.
    pub(super) breaker: Option<Waits>,
    /// When to try again, if it has an opinion of its own.
    pub(super) schedule: Option<Arc<Schedule>>,
    /// What to dial and how to sign; or the word that says why that cannot be known.
    pub(super) route: Result<Route, &'static str>,
}

/// How a message becomes a signed request.
struct Signed {
    keys: Vec<(SigningKey, Option<Timestamp>)>,
    style: Option<Style>,
    shape: Shape,
    gzip: bool,
    /// What the source of its events is unless it names another.
    source: String,
}

/// The way to an endpoint.
#[derive(Clone)]
pub(super) enum Route {
    /// Over HTTP.
    Http(Arc<Http>),
    /// To a destination with a protocol of its own.
    Handover(Arc<Destination>),
}

/// What to dial, what to make of a message, which headers to add.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) target: Target,
    host: HeaderValue,
    /// Of what is sent as it is; a kind of destination has its own.
    method: Method,
    way: Arc<Way>,
    headers: HeaderMap,
    /// The total time of an attempt.
    pub(super) timeout: Duration,
    /// Asked before anything is sent.
    pub(super) handshake: Option<Arc<Handshake>>,
}

/// What a message becomes.
enum Way {
    /// What it is, in the shape that the endpoint wants, signed.
    Endpoint(Box<Signed>),
    /// What a kind of destination takes.
    Destination(Destination),
}

impl Prepared {
    /// Prepares what the store knows about an endpoint.
    pub(super) fn new(lane: Lane, services: &Services) -> Prepared {
        let filter = lane.endpoint.filter.as_deref().map(Expression::parse).transpose();
        let filter = filter.map(|it| it.map(Arc::new)).map_err(|_| "filter_unreadable");
        let transformation = Sealed::of(&lane, services).transformation();
        let delivery = delivery(lane.endpoint.delivery.as_deref());
        let (filter, transformation, route) = match (filter, transformation, &delivery) {
            (Ok(filter), Ok(made), Ok(delivery)) => {
                (filter, made, Route::new(&lane, delivery, services))
            }
            // To send what the filter may not want, or as it is what should be transformed, would be
            // worse than to send nothing.
            (Err(reason), ..) | (_, Err(reason), _) => (None, None, Err(reason)),
            (.., Err(reason)) => (None, None, Err(*reason)),
        };
        // What was deleted has nothing left to be prepared with, and nobody sends to it.
        if let (Err(reason), true) = (&route, lane.endpoint.state != State::Deleted) {
            tracing::error!(endpoint = %lane.endpoint.id, reason, "an endpoint cannot be sent to");
        }
        let wanted = delivery.unwrap_or_default();
        let breaker = services.breakers.waits.filter(|_| wanted.breaker != Some(false));
        Prepared {
            application: lane.application,
            application_uid: lane.application_uid,
            endpoint: lane.endpoint.id,
            endpoint_uid: lane.endpoint.uid,
            revision: lane.endpoint.revision,
            state: lane.endpoint.state,
            failing_since: lane.endpoint.failing_since,
            filter,
            pins: wanted.versions,
            created_at: lane.endpoint.created_at,
            transformation,
            url: lane.endpoint.url.as_str().into(),
            rate: least(lane.endpoint.throttle_rate, route.as_ref().ok()),
            concurrency: wanted.concurrency.unwrap_or(u32::MAX),
            blocks: wanted.order.is_some_and(|order| order.on_exhausted == OnExhausted::Block),
            breaker,
            schedule: wanted.retry.map(|retry| Arc::new(retry.schedule(&services.schedule))),
            route,
        }
    }

    /// Attempts a second, at most; what the receiver allows is known once it was asked.
    pub(super) fn rate(&self) -> Option<f64> {
        let Ok(Route::Http(http)) = &self.route else { return self.rate };
        let allowed = http.handshake.as_deref().and_then(Handshake::rate);
        self.rate.into_iter().chain(allowed).reduce(f64::min)
    }

    /// The same endpoint in another state.
    pub(super) fn stopped(&self, state: State) -> Prepared {
        Prepared { state, ..self.clone() }
    }

    /// Whether the endpoint's filter keeps a message from being sent. Asked before each attempt, so
    /// that the filter as it is now decides.
    pub(super) fn keeps_back(&self, content: &Content) -> Option<KeptBack> {
        let headers = content.headers.as_deref().unwrap_or_default();
        let target = headers.iter().find(|(name, _)| name == TARGET_HEADER);
        let event = Event {
            headers,
            content_type: content.content_type.as_deref(),
            body: &content.payload,
            target: target.map(|(_, target)| target.as_str()),
        };
        match self.filter.as_ref()?.judge(&event) {
            Outcome::Match => None,
            Outcome::NoMatch => Some(KeptBack::NotWanted),
            Outcome::Overrun => Some(KeptBack::Overrun),
        }
    }

    /// Whether its messages are operational ones, about which nothing operational is told.
    pub(super) fn is_operational(&self) -> bool {
        self.application_uid.as_deref() == Some(OPERATIONAL_UID)
    }
}

#[cfg(test)]
impl Prepared {
    /// The same endpoint with a circuit that stays open for this long.
    pub(super) fn with_breaker(self, waits: Waits) -> Prepared {
        Prepared { breaker: Some(waits), ..self }
    }

    /// An endpoint with this rate that takes messages, for tests of what does not send any.
    pub(super) fn with_rate(rate: Option<f64>) -> Prepared {
        let id = ringback_domain::id::Id { key: 3, shard: 0, nonce: 0 };
        Prepared {
            application: ApplicationId(id),
            application_uid: None,
            endpoint: EndpointId(id),
            endpoint_uid: None,
            revision: 0,
            state: State::Enabled,
            failing_since: None,
            filter: None,
            pins: None,
            created_at: Timestamp(0),
            transformation: None,
            url: "".into(),
            blocks: false,
            rate,
            concurrency: u32::MAX,
            breaker: None,
            schedule: None,
            route: Err("none"),
        }
    }
}

/// The smaller of what the endpoint asks for and what its kind of destination takes, in attempts a
/// second.
fn least(own: Option<u32>, route: Option<&Route>) -> Option<f64> {
    own.map(f64::from).into_iter().chain(route.and_then(Route::rate)).reduce(f64::min)
}

/// How the endpoint wants its deliveries.
fn delivery(text: Option<&str>) -> Result<Delivery, &'static str> {
    let Some(text) = text else { return Ok(Delivery::default()) };
    let value = serde_json::from_str(text).map_err(|_| "delivery_unreadable")?;
    Delivery::read(&value).map_err(|_| "delivery_unreadable")
}

impl Route {
    fn new(lane: &Lane, delivery: &Delivery, services: &Services) -> Result<Route, &'static str> {
        let rules = Rules { require_https: services.require_https };
        let sealed = Sealed::of(lane, services);
        let url = &lane.endpoint.url;
        let (target, way) = match kind_of(url) {
            None => {
                let target = Target::parse(url, rules).map_err(|_| "url_refused")?;
                let signed = Signed {
                    keys: sealed.keys()?,
                    style: style(lane, &sealed, services)?,
                    shape: delivery.shape(),
                    gzip: delivery.gzip,
                    source: format!("/app/{}", lane.application),
                };
                (target, Way::Endpoint(Box::new(signed)))
            }
            Some(kind) => {
                let given = sealed.credentials()?.ok_or("destination_unreadable")?;
                let destination = Destination::new(kind, &given, &services.hosts)?;
                if destination.client().is_some() {
                    return Ok(Route::Handover(Arc::new(destination)));
                }
                (destination.target(rules)?, Way::Destination(destination))
            }
        };
        let mut headers = sealed.headers()?;
        if let (Way::Endpoint(_), Some(credentials)) = (&way, sealed.credentials()?) {
            headers.entry(header::AUTHORIZATION).or_insert(sensitive(&credentials)?);
        }
        let host = HeaderValue::from_str(&target.host_header).map_err(|_| "url_refused")?;
        let timeout = delivery.timeout.map(Duration::from_secs_f64);
        let timeout =
            timeout.map_or(services.limits.timeout, |own| own.min(services.limits.longest));
        Ok(Route::Http(Arc::new(Http {
            target,
            host,
            method: Method::from_bytes(delivery.method.as_str().as_bytes())
                .map_err(|_| "delivery_unreadable")?,
            way: Arc::new(way),
            headers,
            timeout,
            handshake: delivery.handshake.then(|| Arc::new(Handshake::new(lane, services))),
        })))
    }

    /// Attempts a second that its kind of destination takes at most.
    fn rate(&self) -> Option<f64> {
        match self {
            Route::Http(http) => match &*http.way {
                Way::Endpoint(_) => None,
                Way::Destination(destination) => destination.rate(),
            },
            Route::Handover(destination) => destination.rate(),
        }
    }
}

impl Http {
    /// The same way with what a transformation made of it. A destination's kind knows the way itself:
    /// there it stays.
    ///
    /// # Errors
    /// What cannot be, for people.
    pub(super) fn changed(&self, by: &Fixed, rules: Rules) -> Result<Http, String> {
        let mut http = self.clone();
        if let Way::Endpoint(_) = &*self.way {
            if let Some(url) = &by.url {
                let unfit = |what: &dyn std::fmt::Display| format!("url: {what}");
                let target = Target::parse(url, rules).map_err(|error| unfit(&error))?;
                if target.credentials.is_some() {
                    return Err(unfit(&"it has a user or a password: set a header instead"));
                }
                let host = HeaderValue::from_str(&target.host_header);
                http.host = host.map_err(|error| unfit(&error))?;
                http.target = target;
            }
            if by.puts {
                http.method = Method::PUT;
            }
        }
        for (name, value) in &by.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("headers: {name}"))?;
            let value = sensitive(value).map_err(|_| format!("headers: {name}"))?;
            http.headers.insert(name, value);
        }
        Ok(http)
    }

    /// Whether requests go to the same place, so that connections to it can be used for both.
    pub(super) fn goes_where(&self, other: &Http) -> bool {
        let place = |http: &Http| (http.target.scheme, http.target.host.clone(), http.target.port);
        place(self) == place(other)
    }

    /// The request for one attempt, made and signed at `now`.
    ///
    /// # Errors
    /// [`Unsent`]: there is no such request.
    pub(super) fn request(
        &self,
        content: &Content,
        sequence: Option<i64>,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let mut request = match &*self.way {
            Way::Endpoint(signed) => {
                let mut request = signed.request(content, &self.method, now)?;
                if let Ok(uri) = self.target.path_and_query.parse() {
                    *request.uri_mut() = uri;
                }
                request
            }
            Way::Destination(destination) => destination.request(&self.target, content, now)?,
        };
        self.address(request.headers_mut());
        if let (Some(sequence), Way::Endpoint(_)) = (sequence, &*self.way) {
            // So long that sequences compare as text does.
            request.headers_mut().insert(SEQUENCE, text(&format!("{sequence:019}")));
        }
        Ok(request)
    }

    /// The request that asks whether the endpoint wants to be sent to.
    pub(super) fn question(&self, asked: HeaderMap) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::OPTIONS;
        if let Ok(uri) = self.target.path_and_query.parse() {
            *request.uri_mut() = uri;
        }
        *request.headers_mut() = asked;
        self.address(request.headers_mut());
        request
    }

    /// Adds what every request to the endpoint has.
    fn address(&self, headers: &mut HeaderMap) {
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }

    /// What an answer that came at `now` means: how it ended, and what it asks for in a header.
    pub(super) fn read(&self, answer: &Answer, now: Timestamp) -> (Ending, Option<Control>) {
        let (meaning, wait, control) = match &*self.way {
            Way::Endpoint(_) => (Meaning::ByStatus, None, Control::of(&answer.headers)),
            Way::Destination(destination) => {
                let (meaning, wait) = destination.meaning(answer, now);
                (meaning, wait, None)
            }
        };
        let header = answer.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
        let retry_after = wait.or_else(|| parse_retry_after(header?, now));
        let ending = Ending { meaning, retry_after, ..Ending::of(answer.status.as_u16()) };
        match control {
            Some(Control::Disable) => (Ending { disable: true, ..ending }, control),
            Some(Control::Abort) if !ending.is_success() => {
                (Ending { meaning: Meaning::Permanent, ..ending }, control)
            }
            // What was taken needs no second attempt anyway.
            Some(Control::Abort) | None => (ending, None),
        }
    }
}

/// What a receiver asks for in the header `webhook-delivery` of its answer, whatever the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// `disable`: nothing more is to be sent to it.
    Disable,
    /// `abort-message`: this message is not to be sent again.
    Abort,
}

impl Control {
    fn of(headers: &HeaderMap) -> Option<Control> {
        let values = headers.get_all("webhook-delivery").iter();
        let words = values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
        let said = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
            "disable" => Some(Control::Disable),
            "abort-message" => Some(Control::Abort),
            _ => None,
        };
        // Who asks for both wants nothing more at all.
        words.filter_map(said).min_by_key(|control| *control != Control::Disable)
    }

    /// Why an attempt had this consequence, in a word that stays the same.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Control::Disable => "disabled_by_receiver",
            Control::Abort => "aborted_by_receiver",
        }
    }
}

/// Whose style a lane signs in, too.
fn style(
    lane: &Lane,
    sealed: &Sealed<'_>,
    services: &Services,
) -> Result<Option<Style>, &'static str> {
    let Some(provider) = &lane.endpoint.sign_as else { return Ok(None) };
    Ok(Some(Style {
        providers: Arc::clone(&services.providers),
        provider: provider.clone(),
        url: lane.endpoint.url.clone(),
        secret: sealed.newest()?,
    }))
}

impl Signed {
    /// The request in its shape, signed at `now` over its body by every key that has not expired;
    /// with the headers that the message came with.
    ///
    /// Compression is part of the way, so that is not signed: whoever handles the request gets the
    /// body from a framework or proxy that has undone it.
    ///
    /// # Errors
    /// [`Unsent`]: the message cannot have the shape; see also [`Style::sign`].
    fn request(
        &self,
        content: &Content,
        method: &Method,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let id = content.id.to_string();
        let Shaped { body: made, content_type, headers: shaped } = self.shape(content, &id)?;
        let is_made = made.is_some();
        let body = made.map_or_else(|| content.payload.clone(), Bytes::from);
        let signature = signature(&self.keys, &id, &body, now);
        let came_with = content.headers.as_deref().unwrap_or_default();
        let mut headers = HeaderMap::with_capacity(16 + came_with.len());
        for (name, value) in came_with {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = pair {
                headers.append(name, value);
            }
        }
        if is_made {
            // It was about the payload as it came.
            headers.remove(header::CONTENT_ENCODING);
        }
        for (name, value) in shaped {
            headers.insert(HeaderName::from_static(name), text(&value));
        }
        let content_type = HeaderValue::try_from(content_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(JSON));
        // Both families (Standard Webhooks 1.0.0 and the older names): every verifier finds its own.
        for (names, value) in [
            (["webhook-id", "svix-id"], text(&id)),
            (["webhook-timestamp", "svix-timestamp"], HeaderValue::from(now.seconds())),
            (["webhook-signature", "svix-signature"], text(&signature)),
        ] {
            let [first, second] = names.map(HeaderName::from_static);
            headers.insert(first, value.clone());
            headers.insert(second, value);
        }
        if is_unproven(came_with) {
            // A forgery must not become genuine by our signature.
            for name in ["webhook-signature", "svix-signature"] {
                headers.remove(name);
            }
        } else if let Some(style) = &self.style {
            style.sign(method.as_str(), &mut headers, &id, &body, now)?;
        }
        // What came compressed already stays as it is.
        let body = if self.gzip && !headers.contains_key(header::CONTENT_ENCODING) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed(&body)?
        } else {
            body
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn shape(&self, content: &Content, id: &str) -> Result<Shaped, Unsent> {
        let at = content.id.0.created_at().to_string();
        let plain = Plain {
            id,
            kind: &content.event_type,
            at: &at,
            source: &self.source,
            content_type: content.content_type.as_deref(),
            body: &content.payload,
        };
        let unfit = |unfit: Unfit| Unsent::KeptBack(KeptBack::Unfit, unfit.to_string());
        self.shape.of(&plain).map_err(unfit)
    }
}

/// The body as `gzip` (RFC 1952).
fn compressed(body: &[u8]) -> Result<Bytes, &'static str> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.map(Bytes::from).map_err(|_| "body_uncompressed")
}

fn signature(
    keys: &[(SigningKey, Option<Timestamp>)],
    id: &str,
    payload: &[u8],
    now: Timestamp,
) -> String {
    let mut signature = String::with_capacity(48 * keys.len());
    let valid = |until: &Option<Timestamp>| until.is_none_or(|until| now < until);
    for (key, _) in keys.iter().filter(|(_, until)| valid(until)) {
        if !signature.is_empty() {
            signature.push(' ');
        }
        key.sign_into(id, now.seconds(), payload, &mut signature);
    }
    signature
}

/// Whether the message came to a source and nothing proved who sent it.
fn is_unproven(came_with: &[(String, String)]) -> bool {
    let verdict =
        came_with.iter().find(|(name, _)| name == ringback_domain::source::VERDICT_HEADER);
    verdict.is_some_and(|(_, verdict)| {
        ![Proof::Verified, Proof::Authenticated].map(Proof::as_str).contains(&verdict.as_str())
    })
}

/// Ids and signatures are ASCII by their making.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

struct Sealed<'a> {
    scope: Scope,
    secrets: &'a EndpointSecrets,
    keyring: &'a Keyring,
}

impl<'a> Sealed<'a> {
    fn of(lane: &'a Lane, services: &'a Services) -> Sealed<'a> {
        Sealed { scope: lane.scope, secrets: &lane.secrets, keyring: &services.keyring }
    }
}

impl Sealed<'_> {
    /// What is made of the endpoint's messages; none if nothing is.
    fn transformation(&self) -> Result<Option<Arc<Transformation>>, &'static str> {
        let Some(sealed) = &self.secrets.transformation else { return Ok(None) };
        let json = self.open(transform::PURPOSE, sealed)?;
        let made: Transformation =
            serde_json::from_str(&json).map_err(|_| "transformation_unreadable")?;
        Ok(made.in_use().is_some().then(|| Arc::new(made)))
    }

    fn keys(&self) -> Result<Vec<(SigningKey, Option<Timestamp>)>, &'static str> {
        let one = |secret: &ringback_domain::endpoint::SealedSecret| {
            let text = self.open("endpoint-secret", &secret.sealed)?;
            let key = SigningKey::parse(&text).map_err(|_| "secret_unreadable")?;
            Ok((key, secret.expires_at))
        };
        self.secrets.secrets.iter().map(one).collect()
    }

    /// The text of the newest secret.
    fn newest(&self) -> Result<Zeroizing<String>, &'static str> {
        let newest = self.secrets.secrets.iter().find(|secret| secret.expires_at.is_none());
        let newest = newest.ok_or("secret_unreadable")?;
        self.open("endpoint-secret", &newest.sealed).map(Zeroizing::new)
    }

    /// What belongs to the URL: the value of a header, or what a destination was given.
    fn credentials(&self) -> Result<Option<Zeroizing<String>>, &'static str> {
        let sealed = self.secrets.credentials.as_deref();
        sealed
            .map(|sealed| self.open("endpoint-credentials", sealed).map(Zeroizing::new))
            .transpose()
    }

    fn headers(&self) -> Result<HeaderMap, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(sealed) = &self.secrets.headers {
            let json = self.open("endpoint-headers", sealed)?;
            let named: std::collections::BTreeMap<String, String> =
                serde_json::from_str(&json).map_err(|_| "headers_unreadable")?;
            for (name, value) in named {
                let name: HeaderName = name.parse().map_err(|_| "headers_unreadable")?;
                headers.insert(name, sensitive(&value)?);
            }
        }
        Ok(headers)
    }

    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<String, &'static str> {
        let owner = self.secrets.endpoint;
        let context = Context { environment: self.scope.environment, owner, purpose };
        let plain = self.keyring.open(&context, sealed).map_err(|error| {
            tracing::error!(%error, purpose, "a sealed value cannot be opened");
            "secret_unreadable"
        })?;
        String::from_utf8(plain.to_vec()).map_err(|_| "secret_unreadable")
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(value).map_err(|_| "headers_unreadable")?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long an idle connection is kept: shorter than most receivers keep theirs.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);
