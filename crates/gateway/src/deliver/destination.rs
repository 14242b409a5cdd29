//! Deliveries to destinations: what an event becomes there, and what is made of the answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use ringback_connect::{Client, Handed};
use ringback_domain::{
    destination::{Answered, Event, Given, Kind, OnMissing, Unfilled, Wanted},
    retry::{KeptBack, Meaning},
    target::{Rules, Target},
    time::Timestamp,
};
use ringback_store::Content;
use serde_json::{Map, Value};

use crate::outbound::{Answer, Hosts};

/// A destination, ready to be sent to.
#[derive(Debug)]
pub(super) struct Destination {
    kind: Arc<Kind>,
    given: Given,
    /// What hands over, for kinds with a protocol of their own.
    client: Option<Arc<dyn Client>>,
}

/// Why nothing is sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The endpoint cannot be used as it is; the word says why.
    Unprepared(&'static str),
    /// The message is not for the destination, or cannot become what it takes, as the text explains.
    KeptBack(KeptBack, String),
    /// The message lacks what the text says, and may have it later.
    Lacking(String),
}

impl From<&'static str> for Unsent {
    fn from(reason: &'static str) -> Unsent {
        Unsent::Unprepared(reason)
    }
}

impl Destination {
    /// The destination of this kind that was given this: the JSON of a [`Wanted`].
    ///
    /// # Errors
    /// A word that says why it cannot be used.
    pub(super) fn new(kind: &str, given: &str, hosts: &Hosts) -> Result<Destination, &'static str> {
        let kind = ringback_builtin::kind(kind).and_then(|file| file.parsed());
        let kind = kind.ok_or("destination_unknown")?;
        let wanted: Wanted = serde_json::from_str(given).map_err(|_| "destination_unreadable")?;
        let given = kind.given(&wanted).map_err(|_| "destination_unreadable")?;
        let client = if kind.has_code() { Some(client(&kind, &given, hosts)?) } else { None };
        Ok(Destination { kind, given, client })
    }

    /// What hands over, if the kind has a protocol of its own.
    pub(super) fn client(&self) -> Option<&dyn Client> {
        self.client.as_deref()
    }

    /// What is handed over, if the kind has a protocol of its own.
    ///
    /// # Errors
    /// [`Unsent`]: the message lacks something.
    pub(super) fn handed(&self, content: &Content) -> Result<Handed, Unsent> {
        let id = content.id.to_string();
        let fields = self.kind.fields(&self.given, &event(content, &id));
        let fields = match fields.map_err(|unfilled| self.unsent(&unfilled))? {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Ok(Handed {
            kind: content.event_type.to_string(),
            at: content.id.0.created_at().millis(),
            content_type: content.content_type.clone(),
            body: content.payload.clone(),
            fields,
            id,
        })
    }

    /// Whom to connect to.
    ///
    /// # Errors
    /// A word that says why that cannot be known.
    pub(super) fn target(&self, rules: Rules) -> Result<Target, &'static str> {
        let base = self.kind.base(&self.given).ok_or("destination_unknown")?;
        let base = base.map_err(|_| "destination_unreadable")?;
        Target::parse(&base, rules).map_err(|_| "url_refused")
    }

    /// The request that a message becomes, signed at `now` if the kind signs.
    ///
    /// # Errors
    /// [`Unsent`]: the message lacks something, or leads away from `target`.
    pub(super) fn request(
        &self,
        target: &Target,
        content: &Content,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let id = content.id.to_string();
        let filled =
            self.kind.fill(&self.given, &event(content, &id), now).ok_or("destination_unknown")?;
        let filled = filled.map_err(|unfilled| self.unsent(&unfilled))?;
        let unfit = |what: &str| Unsent::KeptBack(KeptBack::Unfit, what.to_owned());
        let to = Target::parse(&filled.url, Rules { require_https: false })
            .map_err(|error| unfit(&error.to_string()))?;
        if (to.scheme, &to.host, to.port) != (target.scheme, &target.host, target.port) {
            return Err(unfit("the event changes where the request goes"));
        }
        let mut request = Request::new(Full::new(Bytes::from(filled.body)));
        *request.method_mut() = Method::try_from(filled.method.as_str())
            .map_err(|_| Unsent::Unprepared("destination_unreadable"))?;
        *request.uri_mut() =
            to.path_and_query.parse().map_err(|_| unfit("the event makes no URL"))?;
        *request.headers_mut() = headers(filled.headers)
            .ok_or_else(|| unfit("the event makes a header that cannot be sent"))?;
        Ok(request)
    }

    /// Requests a second that it takes at most.
    pub(super) fn rate(&self) -> Option<f64> {
        self.kind.limits.rate
    }

    /// What an answer means, and for how long it asks to wait if the kind's file knows.
    pub(super) fn meaning(&self, answer: &Answer, now: Timestamp) -> (Meaning, Option<Duration>) {
        let named = answer.headers.iter();
        let headers =
            named.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        let status = answer.status.as_u16();
        self.kind.meaning(&Answered { status, headers, body: &answer.body }, now)
    }

    fn unsent(&self, unfilled: &Unfilled) -> Unsent {
        let why = unfilled.to_string();
        match (unfilled, self.given.on_missing) {
            (Unfilled::Missing(_), OnMissing::Skip) => Unsent::KeptBack(KeptBack::Lacking, why),
            (Unfilled::Missing(_), OnMissing::Retry) => Unsent::Lacking(why),
            _ => Unsent::KeptBack(KeptBack::Unfit, why),
        }
    }
}

/// The way to a destination, if the operator allows it: asked again here, as the settings may have
/// changed since it was made.
fn client(kind: &Kind, given: &Given, hosts: &Hosts) -> Result<Arc<dyn Client>, &'static str> {
    let (id, settings) = (&kind.id, &given.settings);
    let dials = ringback_connect::dials(id, settings).ok_or("destination_unknown")?;
    let dials = dials.map_err(|_| "destination_unreadable")?;
    if !dials.iter().all(|(host, port)| hosts.allow(host, *port)) {
        return Err("refused_by_policy");
    }
    let client = ringback_connect::open(id, settings).ok_or("destination_unknown")?;
    client.map_err(|_| "destination_unreadable")
}

/// What templates see of a message.
fn event<'a>(content: &'a Content, id: &'a str) -> Event<'a> {
    Event {
        id,
        kind: &content.event_type,
        at: content.id.0.created_at().millis(),
        content_type: content.content_type.as_deref(),
        body: &content.payload,
        headers: content.headers.as_deref().unwrap_or_default(),
    }
}

/// Headers as they are sent; none if one cannot be.
fn headers(named: Vec<(String, String)>) -> Option<HeaderMap> {
    let one = |(name, value): (String, String)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    named.into_iter().map(one).collect()
}
