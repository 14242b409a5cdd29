//! From a provider's request to an acknowledged message.
//!
//! Durable first: an event is answered with success only once its message is on the disk. Whatever
//! is refused is written down with its reason, in a bounded way.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header, request};
use hyper::body::Incoming;
use ringback_domain::{
    idempotency::Claim,
    message::Origin,
    provider::{Event, Judgement, Provider, Reason, Reply, Request, State, Template, Verdict},
    scope::Reference,
    source::{Fate, Received, TARGET_HEADER, VERDICT_HEADER},
    time::Timestamp,
};
use ringback_store::{
    Append, AppendError, Arrival, NewMessage, NewRequest, SettingsChange, SourceChange, Store,
};

use super::{
    DedupeBy, Directory, OnViolation, Ready,
    config::acknowledgement,
    headers::{self, Header},
    keys::Keys,
    limits::Limits,
    read::{self, Unread},
};
use crate::{
    core::Random,
    log::{Batch, Log},
    seam::World,
    telemetry::metrics::Metrics,
};

/// Where sources are called.
pub const PREFIX: &str = "/in/";
/// Keys that one request may need to have fetched: one, and one more where a set was renewed.
const FETCHES: usize = 3;
/// Bytes of a refused request's body that are kept.
const REFUSED_BODY: usize = 64 * 1024;
/// How long the record of a refused request is kept.
const REFUSED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is said when the store cannot take anything.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// What the door is made of.
pub struct Parts {
    /// Where accepted messages go.
    pub log: Log,
    /// Where everything else goes.
    pub store: Arc<dyn Store>,
    /// Finds sources.
    pub directory: Directory,
    /// Clock and randomness.
    pub world: World,
    /// Keys that providers publish.
    pub keys: Keys,
    /// Seals what a handshake brings.
    pub keyring: Arc<ringback_domain::seal::Keyring>,
    /// Where all sources are called from outside: `https://hooks.example.com`.
    pub public_url: String,
    /// Where large bodies are kept while they arrive.
    pub spool: std::path::PathBuf,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
    /// How long content is kept, unless a source says otherwise.
    pub retention: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// The door. Clones share it.
#[derive(Clone)]
pub struct Door(Arc<Shared>);

struct Shared {
    parts: Parts,
    limits: Limits,
}

/// The door as one core uses it: appends of the same moment go to the store together.
pub struct OnCore {
    door: Door,
    batch: Rc<Batch>,
    random: Random,
}

/// The secret of a source's URL, if this request is to one.
pub fn route<B>(request: &http::Request<B>) -> Option<&str> {
    let rest = request.uri().path().strip_prefix(PREFIX)?;
    let token = rest.strip_suffix('/').unwrap_or(rest);
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(token)
}

impl Door {
    /// A door made of these parts.
    pub fn new(parts: Parts) -> Door {
        Door(Arc::new(Shared { parts, limits: Limits::default() }))
    }

    /// The door for one core. To be called there.
    pub fn on_core(&self) -> OnCore {
        let batch = Batch::new(self.0.parts.log.clone());
        let random = Random::new(Arc::clone(&self.0.parts.world.entropy));
        OnCore { door: self.clone(), batch, random }
    }
}

/// A request while it is looked at.
struct Call<'a> {
    ready: &'a Ready,
    provider: &'a Provider,
    parts: &'a request::Parts,
    peer: SocketAddr,
    now: Timestamp,
}

/// What became of a request that is no message.
struct Refused {
    fate: Fate,
    verdict: &'static str,
    reason: Option<String>,
    reply: Reply,
    event: Event,
    body: Bytes,
    bytes: u64,
}

impl OnCore {
    /// Answers a request to the source with this token.
    pub async fn accept(
        &self,
        token: &str,
        parts: &request::Parts,
        body: Incoming,
        peer: SocketAddr,
    ) -> Response {
        let shared = &*self.door.0;
        let now = shared.parts.world.clock.now();
        let ready = match shared.parts.directory.find(token, now).await {
            Ok(Some(ready)) => ready,
            Ok(None) => return plain(StatusCode::NOT_FOUND),
            Err(error) => {
                tracing::warn!(%error, "a source could not be looked up");
                return unavailable();
            }
        };
        let Some(provider) = ready.provider.clone() else {
            tracing::error!(source = %ready.source.id, "no file describes the source's provider");
            return unavailable();
        };
        let call = Call { ready: &ready, provider: &provider, parts, peer, now };
        match self.handle(&call, body).await {
            Ok(reply) => answer(reply),
            Err(Busy) => unavailable(),
        }
    }

    async fn handle(&self, call: &Call<'_>, body: Incoming) -> Result<Reply, Busy> {
        let shared = &*self.door.0;
        let Call { ready, provider, parts, now, .. } = *call;
        let config = &ready.config;
        let source = ready.source.id.key();
        if !call.address_is_allowed() {
            let refused = Refused::early(Fate::AddressNotAllowed, StatusCode::FORBIDDEN);
            return self.refuse(call, refused).await;
        }
        if let Some(rate) = config.rate_limit
            && let Err(after) = shared.limits.call(source, rate, now)
        {
            let mut refused = Refused::early(Fate::RateLimited, StatusCode::TOO_MANY_REQUESTS);
            let seconds = after.as_secs() + 1;
            refused.reply.headers.push(("retry-after".to_owned(), seconds.to_string()));
            return self.refuse(call, refused).await;
        }
        let method = parts.method.as_str();
        let is_event = config.methods.iter().any(|one| one == method);
        if !is_event && !provider.challenges_by(method) {
            let mut refused =
                Refused::early(Fate::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED);
            refused.reply.headers.push(("allow".to_owned(), config.methods.join(", ")));
            return self.refuse(call, refused).await;
        }
        let limit = config.body_limit.unwrap_or(provider.answer.body_limit);
        let read =
            read::body(&parts.headers, body, limit, shared.parts.read_timeout, &shared.parts.spool);
        let body = match read.await {
            Ok(body) => body,
            Err(Unread::TooLarge { at_least }) => {
                let mut refused = Refused::early(Fate::TooLarge, StatusCode::PAYLOAD_TOO_LARGE);
                refused.reason = Some(format!("more than {limit} bytes"));
                refused.bytes = at_least;
                return self.refuse(call, refused).await;
            }
            Err(Unread::Slow) => return Ok(Reply::empty(StatusCode::REQUEST_TIMEOUT.as_u16())),
            Err(Unread::Broken) => return Ok(Reply::empty(StatusCode::BAD_REQUEST.as_u16())),
            Err(Unread::Spool(error)) => {
                tracing::error!(%error, "a large body could not be kept while it arrived");
                return Err(Busy);
            }
        };
        self.judge(call, body, is_event).await
    }

    async fn judge(&self, call: &Call<'_>, body: Bytes, is_event: bool) -> Result<Reply, Busy> {
        let shared = &*self.door.0;
        let url = call.url(&shared.parts.public_url);
        let sent = headers::all(&call.parts.headers);
        let request = Request::new(call.parts.method.as_str(), &url, &sent, &body);
        let mut renewed = false;
        for _ in 0..FETCHES {
            let keys = shared.parts.keys.at(call.now);
            match call.provider.judge(&request, &call.ready.settings, &keys, call.now) {
                Judgement::Fetch(key) => {
                    if !shared.limits.fetch(call.ready.source.id.key(), call.now) {
                        break;
                    }
                    shared.parts.keys.fetch(&key.url, call.now).await;
                }
                Judgement::Challenge(answered) => {
                    return self.challenge(call, answered, body).await;
                }
                Judgement::RefusedChallenge { reply, verdict } => {
                    let refused = Refused::of(Fate::Unverified, &verdict, reply, body);
                    return self.refuse(call, refused).await;
                }
                Judgement::Event { verdict, .. }
                    if verdict.reason == Some(Reason::UnknownKey)
                        && !renewed
                        && shared.parts.keys.outdated(call.now) =>
                {
                    renewed = true;
                }
                Judgement::Event { verdict, event } if is_event => {
                    return self.event(call, &request, body.clone(), verdict, event).await;
                }
                Judgement::Event { .. } => {
                    let mut refused =
                        Refused::early(Fate::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED);
                    let allow = call.ready.config.methods.join(", ");
                    refused.reply.headers.push(("allow".to_owned(), allow));
                    return self.refuse(call, refused).await;
                }
            }
        }
        let verdict =
            Verdict { state: State::Failed, reason: Some(Reason::KeyUnavailable), claims: None };
        let refused = Refused::of(Fate::Unverified, &verdict, call.provider.refusal(), body);
        self.refuse(call, refused).await
    }

    /// An answered challenge: keeps what it brings, confirms what it asks for.
    async fn challenge(
        &self,
        call: &Call<'_>,
        answered: ringback_domain::provider::Answered,
        body: Bytes,
    ) -> Result<Reply, Busy> {
        let shared = &*self.door.0;
        let source = &call.ready.source;
        let mut note = Refused::early(Fate::Challenge, StatusCode::OK);
        note.reason = Some(answered.name);
        note.bytes = body.len() as u64;
        note.body = body;
        note.reply = answered.reply;
        if !answered.learned.is_empty() {
            let armed = source.armed_until.is_some_and(|until| call.now < until);
            if !armed {
                note.fate = Fate::Unverified;
                note.reason = Some("not_armed".to_owned());
                note.reply = call.provider.refusal();
                return self.refuse(call, note).await;
            }
            self.learn(call, answered.learned).await?;
        }
        if let Some(url) = answered.visit
            && let Err(reason) = shared.parts.keys.visit(&url).await
        {
            tracing::warn!(source = %source.id, reason, "a subscription could not be confirmed");
            return Err(Busy);
        }
        self.refuse(call, note).await
    }

    async fn learn(
        &self,
        call: &Call<'_>,
        learned: std::collections::BTreeMap<String, String>,
    ) -> Result<(), Busy> {
        let shared = &*self.door.0;
        let source = &call.ready.source;
        let mut values: std::collections::BTreeMap<&str, Vec<&str>> = call
            .ready
            .settings
            .iter()
            .map(|(name, values)| (name, values.iter().map(|value| value.as_str()).collect()))
            .collect();
        for (name, value) in &learned {
            // The newest first; the one before it holds on for what is still under way.
            let kept = values.entry(name).or_default();
            kept.retain(|one| one != value);
            kept.insert(0, value);
            kept.truncate(2);
        }
        let plain = serde_json::to_vec(&values).map_err(|_| Busy)?;
        let context = ringback_domain::seal::Context {
            environment: call.ready.scope.environment,
            owner: source.id.key(),
            purpose: super::directory::SETTINGS,
        };
        let entropy = &shared.parts.world.entropy;
        let sealed = shared.parts.keyring.seal(entropy.bytes(), &context, &plain);
        let change = SourceChange {
            settings: Some(SettingsChange {
                expected: source.settings.clone(),
                sealed: Some(sealed.map_err(|_| Busy)?),
            }),
            ..SourceChange::default()
        };
        let environment = call.ready.scope.environment;
        let reference = Reference::Id(source.id.0);
        let changed = shared.parts.store.change_source(environment, reference, change, call.now);
        changed.await.map_err(|error| {
            tracing::warn!(source = %source.id, %error, "a learned secret could not be kept");
            Busy
        })?;
        shared.parts.directory.forget();
        Ok(())
    }

    /// An event, proven or not.
    async fn event(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        body: Bytes,
        verdict: Verdict,
        event: Event,
    ) -> Result<Reply, Busy> {
        let config = &call.ready.config;
        let proves_nothing = call.provider.strength == ringback_domain::provider::Strength::None;
        let passes = verdict.is_proven()
            || !config.enforce
            || (proves_nothing && verdict.state == State::Unattempted);
        if !passes {
            let fate = match verdict.reason {
                Some(Reason::Stale(_) | Reason::FromFuture(_) | Reason::Expired) => Fate::Stale,
                _ => Fate::Unverified,
            };
            let mut refused = Refused::of(fate, &verdict, call.provider.refusal(), body);
            refused.event = event;
            return self.refuse(call, refused).await;
        }
        let reply = acknowledgement(config.acknowledge.as_ref(), request)
            .unwrap_or_else(|| call.provider.acknowledgement());
        let kind = call.event_type(request, &event);
        let mut mark = verdict.reason.as_ref().map(|reason| reason.code().to_owned());
        if let Some(violation) = call.violation(&kind, request) {
            match config.on_violation {
                OnViolation::Mark => mark = Some("schema_invalid".to_owned()),
                OnViolation::Quarantine => {
                    let mut kept = Refused::of(Fate::Quarantined, &verdict, reply, body);
                    kept.reason = Some(violation);
                    kept.event = event;
                    return self.keep(call, kept).await;
                }
                OnViolation::Reject => {
                    let status = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
                    let mut refused =
                        Refused::of(Fate::SchemaInvalid, &verdict, Reply::empty(status), body);
                    refused.reason = Some(violation);
                    refused.event = event;
                    return self.refuse(call, refused).await;
                }
            }
        }
        let accepted = Accepted { request, body, verdict, event, kind, mark, status: reply.status };
        self.append(call, accepted).await?;
        Ok(reply)
    }

    /// Appends one message, or one for each event of a batch.
    async fn append(&self, call: &Call<'_>, accepted: Accepted<'_>) -> Result<(), Busy> {
        let mut appends = Vec::new();
        let items =
            if call.ready.config.split { call.provider.items(accepted.request) } else { None };
        match items.filter(|items| !items.is_empty()) {
            None => {
                let id = call.identity(accepted.request, &accepted.event, &accepted.body);
                appends.push(self.message(
                    call,
                    &accepted,
                    &accepted.kind,
                    accepted.body.clone(),
                    id,
                    true,
                ));
            }
            Some(items) => {
                let whole = call.identity(accepted.request, &accepted.event, &accepted.body);
                for (index, item) in items.iter().enumerate() {
                    let id = match (&item.event.id, &whole) {
                        (Some(id), _) => Some(id.clone()),
                        (None, Some(whole)) => Some(format!("{whole}/{index}")),
                        (None, None) => None,
                    };
                    let kind = item.event.kind.as_deref().unwrap_or(&accepted.kind);
                    let body = Bytes::copy_from_slice(item.body.as_bytes());
                    appends.push(self.message(call, &accepted, kind, body, id, index == 0));
                }
            }
        }
        let mut failed = false;
        for append in appends {
            match self.batch.append(append).await {
                Ok(appended) if appended.repeated => self.again(call, appended.id).await,
                Ok(_) => {
                    self.door.0.parts.metrics.messages_accepted.inc();
                    self.door.0.parts.metrics.received(Fate::Accepted);
                }
                Err(AppendError::NoApplication) => {
                    // Deleted between the look-up and now.
                    self.door.0.parts.directory.forget();
                    failed = true;
                }
                Err(error) => {
                    tracing::warn!(source = %call.ready.source.id, %error, "an event was not taken");
                    failed = true;
                }
            }
        }
        if failed { Err(Busy) } else { Ok(()) }
    }

    fn message(
        &self,
        call: &Call<'_>,
        accepted: &Accepted<'_>,
        kind: &str,
        payload: Bytes,
        id: Option<String>,
        first: bool,
    ) -> Append {
        let Call { ready, now, .. } = *call;
        let proven = accepted.verdict.is_proven();
        let claim = id.as_deref().filter(|_| proven).and_then(|id| call.claim(id, &payload));
        let mut kept = headers::forwarded(&call.parts.headers, &call.provider.secret_headers());
        kept.extend(call.marks(accepted, kind, id.as_deref()));
        let retention = match ready.config.retention_days {
            Some(days) => Duration::from_secs(u64::from(days) * 86_400),
            None => self.door.0.parts.retention,
        };
        let content_type = kept.iter().find(|(name, _)| name == "content-type");
        let arrival = Arrival {
            source: ready.source.id.key(),
            nonce: self.random.next(),
            existing: None,
            verdict: accepted.verdict.state.as_str().to_owned(),
            reason: accepted.mark.clone(),
            status: accepted.status,
            method: call.parts.method.as_str().to_owned(),
            target: call.target(),
            address: Some(call.peer.ip().to_string()),
            event_id: id,
        };
        Append {
            environment: ready.scope.environment,
            application: Reference::Id(ready.source.application.0),
            message: NewMessage {
                nonce: self.random.next(),
                accepted_at: now,
                expires_at: now + retention,
                origin: Origin::Receive,
                event_type: kind.to_owned(),
                content_type: content_type.map(|(_, value)| value.clone()),
                payload,
                headers: Some(kept.into()),
                arrival: first.then(|| Box::new(arrival)),
                ..NewMessage::default()
            },
            claim,
        }
    }

    /// A duplicate is not delivered again, unless the first is undelivered: then at once.
    async fn again(&self, call: &Call<'_>, first: ringback_domain::id::MessageId) {
        let shared = &*self.door.0;
        shared.parts.metrics.received(Fate::Duplicate);
        let due = shared.parts.store.redeliver(call.ready.scope, first, call.now).await;
        match due {
            Ok(due) if due.is_empty() => {}
            Ok(due) => shared.parts.log.deliver(due),
            // It is stored and will be tried as planned.
            Err(error) => tracing::debug!(%error, "a repeated event could not be hastened"),
        }
    }

    /// Writes a request down as far as the bound allows, and answers it.
    async fn refuse(&self, call: &Call<'_>, refused: Refused) -> Result<Reply, Busy> {
        let shared = &*self.door.0;
        shared.parts.metrics.received(refused.fate);
        if shared.limits.note(call.ready.source.id.key(), call.now) {
            let mut noted = refused;
            noted.body.truncate(REFUSED_BODY);
            let reply = noted.reply.clone();
            if let Err(Busy) = self.note(call, noted).await {
                tracing::debug!(source = %call.ready.source.id, "a refusal was not written down");
            }
            return Ok(reply);
        }
        Ok(refused.reply)
    }

    /// Writes a whole request down; only then it is answered.
    async fn keep(&self, call: &Call<'_>, kept: Refused) -> Result<Reply, Busy> {
        self.door.0.parts.metrics.received(kept.fate);
        let reply = kept.reply.clone();
        self.note(call, kept).await?;
        Ok(reply)
    }

    async fn note(&self, call: &Call<'_>, refused: Refused) -> Result<(), Busy> {
        let shared = &*self.door.0;
        let random = shared.parts.world.entropy.bytes();
        let id = ringback_store::mint(call.now, random, ringback_domain::id::RequestId);
        let secret = call.provider.secret_headers();
        let request = Received {
            id,
            fate: refused.fate,
            reason: refused.reason,
            verdict: refused.verdict.to_owned(),
            status: refused.reply.status,
            method: call.parts.method.as_str().to_owned(),
            target: call.target(),
            headers: headers::shown(&call.parts.headers, &secret),
            address: Some(call.peer.ip().to_string()),
            event_id: refused.event.id,
            event_type: refused.event.kind,
            bytes: refused.bytes,
            body: Some(refused.body.to_vec()),
            message: None,
            received_at: call.now,
        };
        let new = NewRequest {
            scope: call.ready.scope,
            source: call.ready.source.id.key(),
            request,
            expires_at: call.now + REFUSED_KEPT.min(shared.parts.retention),
        };
        shared.parts.store.log_request(new).await.map_err(|_| Busy)
    }
}

/// An event that passed.
struct Accepted<'a> {
    request: &'a Request<'a>,
    body: Bytes,
    verdict: Verdict,
    event: Event,
    kind: String,
    mark: Option<String>,
    status: u16,
}

/// The store cannot take anything: the provider comes again.
struct Busy;

impl Refused {
    fn early(fate: Fate, status: StatusCode) -> Refused {
        Refused {
            fate,
            verdict: State::Unattempted.as_str(),
            reason: None,
            reply: Reply::empty(status.as_u16()),
            event: Event { id: None, kind: None },
            body: Bytes::new(),
            bytes: 0,
        }
    }

    fn of(fate: Fate, verdict: &Verdict, reply: Reply, body: Bytes) -> Refused {
        Refused {
            fate,
            verdict: verdict.state.as_str(),
            reason: verdict.reason.as_ref().map(|reason| reason.code().to_owned()),
            reply,
            event: Event { id: None, kind: None },
            bytes: body.len() as u64,
            body,
        }
    }
}

impl Call<'_> {
    fn address_is_allowed(&self) -> bool {
        let allowed = &self.ready.config.allowed_addresses;
        let address = self.peer.ip().to_canonical();
        allowed.is_empty() || allowed.iter().any(|network| network.contains(&address))
    }

    /// The URL as the provider knows it. Never from the `Host` header, which the caller chooses.
    fn url(&self, public_url: &str) -> String {
        let base = match &self.ready.config.public_url {
            Some(url) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            None => format!("{public_url}{}", self.parts.uri.path()),
        };
        match self.parts.uri.query() {
            Some(query) => format!("{base}?{query}"),
            None => base,
        }
    }

    /// What of the request's target can be shown: the query. The path is the secret.
    fn target(&self) -> String {
        self.parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default()
    }

    fn event_type(&self, request: &Request<'_>, event: &Event) -> String {
        let own = self.ready.config.event_type.as_deref();
        let own = own.and_then(|text| Template::parse(text).ok()?.for_request(request));
        let own = own.filter(|kind| !kind.is_empty()).map(|kind| Event::type_of(&kind));
        own.or_else(|| event.kind.clone()).unwrap_or_else(|| self.provider.id.clone())
    }

    /// By what this request is recognised when it comes again.
    fn identity(&self, request: &Request<'_>, event: &Event, body: &[u8]) -> Option<String> {
        let dedupe = &self.ready.config.dedupe;
        match dedupe.by {
            DedupeBy::None => None,
            DedupeBy::Provider => event.id.clone(),
            DedupeBy::Field => Template::parse(dedupe.field.as_deref()?).ok()?.for_request(request),
            DedupeBy::Body => Some(super::hex_digest(body)),
        }
    }

    fn claim(&self, id: &str, body: &[u8]) -> Option<Claim> {
        let path = format!("{PREFIX}{}", self.ready.source.id);
        let environment = self.ready.scope.environment;
        // Ids of providers may be anything; a digest of them always is a key.
        let key = super::hex_digest(id.as_bytes());
        let claim = Claim::new(environment, "POST", &path, &key, body, self.now).ok()?;
        Some(Claim { expires_at: self.now + self.ready.config.window(), ..claim })
    }

    /// What Ringback says of an event to whoever receives it.
    fn marks(&self, accepted: &Accepted<'_>, kind: &str, id: Option<&str>) -> Vec<Header> {
        let mut marks = vec![
            ("ringback-source".to_owned(), self.ready.source.id.to_string()),
            ("ringback-event".to_owned(), kind.to_owned()),
            (VERDICT_HEADER.to_owned(), accepted.verdict.state.as_str().to_owned()),
            (TARGET_HEADER.to_owned(), self.target()),
        ];
        let printable = |text: &&str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if let Some(id) = id.filter(printable) {
            marks.push(("ringback-event-id".to_owned(), id.to_owned()));
        }
        if let Some(mark) = &accepted.mark {
            marks.push(("ringback-mark".to_owned(), mark.clone()));
        }
        marks
    }

    /// Where the body is not what the source's schema says.
    fn violation(&self, kind: &str, request: &Request<'_>) -> Option<String> {
        let schemas = &self.ready.schemas;
        match schemas.get(kind).or_else(|| schemas.get("*"))? {
            Ok(schema) => schema.check(request.body).err().map(|violation| violation.to_string()),
            // Checked when it was saved; a later version may take less. Nothing passes unchecked.
            Err(mistake) => Some(format!("the schema cannot be used: {mistake}")),
        }
    }
}

fn answer(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn plain(status: StatusCode) -> Response {
    answer(Reply::empty(status.as_u16()))
}

fn unavailable() -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_source_is_a_source() {
        let check = |path: &str, expect: Option<&str>| {
            let request = http::Request::builder().uri(path).body(()).unwrap();
            assert_eq!(route(&request), expect, "{path}");
        };
        check("/in/abc123", Some("abc123"));
        check("/in/abc123/", Some("abc123"));
        check("/in/abc123?hub.mode=subscribe", Some("abc123"));
        check("/in/", None);
        check("/in/a/b", None);
        check("/in/a%2Fb", None);
        check("/api/v1/app", None);
    }
}
