//! The way to an endpoint: what is dialed, the exact request, and what an answer means.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use ringback_domain::{
    delivery::{Batched, Delivery},
    destination::kind_of,
    retry::{Ending, Meaning, parse_retry_after},
    target::{Rules, Target},
    time::Timestamp,
};
use ringback_store::{Content, Lane};

use super::{
    access::{Access, Pass},
    batch::Batch,
    control::Control,
    destination::{Destination, Unsent},
    fixed::Fixed,
    handshake::Handshake,
    sealed::{Sealed, sensitive},
    services::Services,
    signed::Signed,
};
use crate::outbound::Answer;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("Ringback/", env!("CARGO_PKG_VERSION")));
const SEQUENCE: HeaderName = HeaderName::from_static("ringback-sequence");

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
    /// The URL that a transformation made of the endpoint's.
    url: Option<Arc<str>>,
    headers: HeaderMap,
    /// What opens the endpoint: at its own place only, wherever a transformation leads.
    pub(super) access: Option<Arc<Access>>,
    /// Payloads with more bytes are kept for the receiver to fetch.
    large_over: Option<usize>,
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

impl Route {
    pub(super) fn new(
        lane: &Lane,
        delivery: &Delivery,
        services: &Services,
    ) -> Result<Route, &'static str> {
        let rules = Rules { require_https: services.require_https };
        let sealed = Sealed::of(lane, services);
        let url = &lane.endpoint.url;
        let (target, way, access) = match kind_of(url) {
            None => {
                let target = Target::parse(url, rules).map_err(|_| "url_refused")?;
                let signed = Signed::new(lane, delivery, &sealed, services)?;
                let access = Access::of(lane, sealed.access(rules)?, services)?;
                (target, Way::Endpoint(Box::new(signed)), access)
            }
            Some(kind) => {
                let given = sealed.credentials()?.ok_or("destination_unreadable")?;
                let destination = Destination::new(kind, &given, &services.hosts)?;
                if destination.client().is_some() {
                    return Ok(Route::Handover(Arc::new(destination)));
                }
                (destination.target(rules)?, Way::Destination(destination), None)
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
            url: None,
            headers,
            access: access.map(Arc::new),
            large_over: large_over(delivery, services),
            timeout,
            handshake: delivery.handshake.then(|| Arc::new(Handshake::new(lane, services))),
        })))
    }

    /// Attempts a second that its kind of destination takes at most.
    pub(super) fn rate(&self) -> Option<f64> {
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
                http.url = Some(Arc::from(&**url));
                if !http.goes_where(self) {
                    if http.handshake.is_some() {
                        let what = "it is another place than the one that is asked (handshake)";
                        return Err(unfit(&what));
                    }
                    // What opens the endpoint is for its own place, and so are its headers.
                    http.access = None;
                    http.headers.clear();
                }
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

    /// Whether a payload is too large to be sent, and kept for the receiver to fetch. A destination's
    /// kind has its own bounds.
    pub(super) fn is_too_large(&self, content: &Content) -> bool {
        let is_over = self.large_over.is_some_and(|limit| content.payload.len() > limit);
        is_over && self.is_ours()
    }

    /// The content type of a message's payload, as this endpoint has it.
    pub(super) fn content_type<'a>(&'a self, content: &'a Content) -> &'a str {
        match &*self.way {
            Way::Endpoint(signed) => signed.content_type(content),
            Way::Destination(_) => content.content_type.as_deref().unwrap_or("application/json"),
        }
    }

    /// Whether requests go to the same place, so that connections to it can be used for both.
    pub(super) fn goes_where(&self, other: &Http) -> bool {
        let place = |http: &Http| (http.target.scheme, http.target.host.clone(), http.target.port);
        place(self) == place(other)
    }

    /// The request for one attempt, with what opens the endpoint, made and signed at `now`.
    ///
    /// # Errors
    /// [`Unsent`]: there is no such request.
    pub(super) fn request(
        &self,
        content: &Content,
        sequence: Option<i64>,
        pass: Option<&Pass>,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let mut request = match &*self.way {
            Way::Endpoint(signed) => {
                let mut request =
                    signed.request(content, &self.method, self.url.as_deref(), now)?;
                if let Ok(uri) = self.target.path_and_query.parse() {
                    *request.uri_mut() = uri;
                }
                request
            }
            Way::Destination(destination) => destination.request(&self.target, content, now)?,
        };
        self.address(request.headers_mut(), pass);
        if let (Some(sequence), Way::Endpoint(_)) = (sequence, &*self.way) {
            request.headers_mut().insert(SEQUENCE, in_order(sequence));
        }
        Ok(request)
    }

    /// The request for one attempt with several messages, likewise.
    ///
    /// # Errors
    /// [`Unsent`]: there is no such request.
    pub(super) fn batch_request(
        &self,
        batch: &Batch,
        pass: Option<&Pass>,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let Way::Endpoint(signed) = &*self.way else {
            return Err(Unsent::Unprepared("delivery_unreadable"));
        };
        let mut request = signed.batch_request(batch, &self.method, now)?;
        if let Ok(uri) = self.target.path_and_query.parse() {
            *request.uri_mut() = uri;
        }
        self.address(request.headers_mut(), pass);
        Ok(request)
    }

    /// Several messages as one body; of each the sequence that it has. None where a kind of
    /// destination makes the requests.
    pub(super) fn batched(&self, messages: &[(Arc<Content>, Option<i64>)]) -> Option<Batched> {
        match &*self.way {
            Way::Endpoint(signed) => Some(signed.batched(messages)),
            Way::Destination(_) => None,
        }
    }

    /// Whether it is the endpoint that decides what requests look like.
    pub(super) fn is_ours(&self) -> bool {
        matches!(&*self.way, Way::Endpoint(_))
    }

    /// The request that asks whether the endpoint wants to be sent to.
    pub(super) fn question(&self, asked: HeaderMap, pass: Option<&Pass>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::OPTIONS;
        if let Ok(uri) = self.target.path_and_query.parse() {
            *request.uri_mut() = uri;
        }
        *request.headers_mut() = asked;
        self.address(request.headers_mut(), pass);
        request
    }

    /// Adds what every request to the endpoint has.
    fn address(&self, headers: &mut HeaderMap, pass: Option<&Pass>) {
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        if let Some(pass) = pass {
            headers.insert(pass.name.clone(), pass.value.clone());
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

fn large_over(delivery: &Delivery, services: &Services) -> Option<usize> {
    let payloads = services.payloads.as_ref()?;
    delivery.large_over.or(payloads.limit()).map(|bytes| bytes as usize)
}

/// So long that sequences compare as text does.
fn in_order(sequence: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("{sequence:019}")).unwrap_or(HeaderValue::from_static(""))
}
