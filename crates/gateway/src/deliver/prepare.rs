//! From an endpoint's row to what an attempt needs, and from a message to the exact request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use ringback_domain::{
    application::OPERATIONAL_UID,
    breaker::Waits,
    delivery::{Delivery, Pins},
    destination::kind_of,
    endpoint::State,
    filter::{Event, Expression, Outcome},
    id::{ApplicationId, EndpointId, Key},
    provider::State as Proof,
    retry::{Ending, KeptBack, Meaning, parse_retry_after},
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
    services::Services,
    style::Style,
};
use crate::outbound::Answer;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("Ringback/", env!("CARGO_PKG_VERSION")));
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
    /// Attempts a second, at most.
    pub(super) rate: Option<f64>,
    /// Requests open at once, at most.
    pub(super) concurrency: u32,
    /// How long its circuit stays open; none if it never opens.
    pub(super) breaker: Option<Waits>,
    /// What to dial and how to sign; or the word that says why that cannot be known.
    pub(super) route: Result<Route, &'static str>,
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
pub(super) struct Http {
    pub(super) target: Target,
    host: HeaderValue,
    way: Way,
    headers: HeaderMap,
}

/// What a message becomes.
enum Way {
    /// What it is, signed.
    Endpoint { keys: Vec<(SigningKey, Option<Timestamp>)>, style: Option<Style> },
    /// What a kind of destination takes.
    Destination(Destination),
}

impl Prepared {
    /// Prepares what the store knows about an endpoint.
    pub(super) fn new(lane: Lane, services: &Services) -> Prepared {
        let filter = lane.endpoint.filter.as_deref().map(Expression::parse).transpose();
        let filter = filter.map(|it| it.map(Arc::new)).map_err(|_| "filter_unreadable");
        let (filter, route) = match filter {
            Ok(filter) => (filter, Route::new(&lane, services)),
            // To send what the filter may not want would be worse than to send nothing.
            Err(reason) => (None, Err(reason)),
        };
        // What was deleted has nothing left to be prepared with, and nobody sends to it.
        if let (Err(reason), true) = (&route, lane.endpoint.state != State::Deleted) {
            tracing::error!(endpoint = %lane.endpoint.id, reason, "an endpoint cannot be sent to");
        }
        let wanted = lane.endpoint.delivery.as_deref().map(serde_json::from_str::<Delivery>);
        let wanted = wanted.and_then(Result::ok).unwrap_or_default();
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
            rate: least(lane.endpoint.throttle_rate, route.as_ref().ok()),
            concurrency: wanted.concurrency.unwrap_or(u32::MAX),
            breaker,
            route,
        }
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
            rate,
            concurrency: u32::MAX,
            breaker: None,
            route: Err("none"),
        }
    }
}

/// The smaller of what the endpoint asks for and what its kind of destination takes, in attempts a
/// second.
fn least(own: Option<u32>, route: Option<&Route>) -> Option<f64> {
    own.map(f64::from).into_iter().chain(route.and_then(Route::rate)).reduce(f64::min)
}

impl Route {
    fn new(lane: &Lane, services: &Services) -> Result<Route, &'static str> {
        let Services { keyring, require_https, .. } = services;
        let rules = Rules { require_https: *require_https };
        let sealed = Sealed { scope: lane.scope, secrets: &lane.secrets, keyring };
        let url = &lane.endpoint.url;
        let (target, way) = match kind_of(url) {
            None => {
                let target = Target::parse(url, rules).map_err(|_| "url_refused")?;
                (
                    target,
                    Way::Endpoint { keys: sealed.keys()?, style: style(lane, &sealed, services)? },
                )
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
        if let (Way::Endpoint { .. }, Some(credentials)) = (&way, sealed.credentials()?) {
            headers.entry(header::AUTHORIZATION).or_insert(sensitive(&credentials)?);
        }
        let host = HeaderValue::from_str(&target.host_header).map_err(|_| "url_refused")?;
        Ok(Route::Http(Arc::new(Http { target, host, way, headers })))
    }

    /// Attempts a second that its kind of destination takes at most.
    fn rate(&self) -> Option<f64> {
        match self {
            Route::Http(http) => match &http.way {
                Way::Endpoint { .. } => None,
                Way::Destination(destination) => destination.rate(),
            },
            Route::Handover(destination) => destination.rate(),
        }
    }
}

impl Http {
    /// The request for one attempt, made and signed at `now`.
    ///
    /// # Errors
    /// [`Unsent`]: there is no such request.
    pub(super) fn request(
        &self,
        content: &Content,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let mut request = match &self.way {
            Way::Endpoint { keys, style } => {
                let mut request = Request::new(Full::new(content.payload.clone()));
                *request.method_mut() = Method::POST;
                if let Ok(uri) = self.target.path_and_query.parse() {
                    *request.uri_mut() = uri;
                }
                *request.headers_mut() = signed(keys, style.as_ref(), content, now)?;
                request
            }
            Way::Destination(destination) => destination.request(&self.target, content, now)?,
        };
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    /// What an answer that came at `now` means: how it ended, and what it asks for in a header.
    pub(super) fn read(&self, answer: &Answer, now: Timestamp) -> (Ending, Option<Control>) {
        let (meaning, wait, control) = match &self.way {
            Way::Endpoint { .. } => (Meaning::ByStatus, None, Control::of(&answer.headers)),
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

/// The headers that say which message it is, signed at `now` by every key that has not expired,
/// beside those that the message came with.
///
/// # Errors
/// See [`Style::sign`].
fn signed(
    keys: &[(SigningKey, Option<Timestamp>)],
    style: Option<&Style>,
    content: &Content,
    now: Timestamp,
) -> Result<HeaderMap, &'static str> {
    let id = content.id.to_string();
    let signature = signature(keys, &id, &content.payload, now);
    let came_with = content.headers.as_deref().unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(16 + came_with.len());
    for (name, value) in came_with {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            headers.append(name, value);
        }
    }
    let content_type = content.content_type.as_deref().map(HeaderValue::from_str);
    headers.insert(header::CONTENT_TYPE, content_type.and_then(Result::ok).unwrap_or(JSON));
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
    } else if let Some(style) = style {
        style.sign(&mut headers, &id, &content.payload, now)?;
    }
    Ok(headers)
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

impl Sealed<'_> {
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
