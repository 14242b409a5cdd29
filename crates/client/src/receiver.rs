//! From a provider's request to the handler that is registered for its type, and to the answer.
//!
//! Nothing is handled that is not verified. A handler's end decides the answer, and with it whether
//! the event is sent again. A handler that has begun is not cut off: neither by the deadline nor by a
//! sender that goes away.

use std::any::Any;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header, request};
use ringback_domain::provider::{
    Event as Happened, Judgement, Provider, Reason, Reply as Prescribed, Request, Settings, State,
    Strength,
};
use ringback_domain::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::BoxError;
use crate::dedupe::{Claim, Dedupe};
use crate::event::{Event, Failure, Problem, Reply};
use crate::keys::{Fetch, Keys};
use crate::running::Running;
use crate::secret::{Secret, SetupError, set_up};

/// The longest that a request waits for its handler, unless it is said otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// Events that are handled at once, unless it is said otherwise.
const MAX_RUNNING: u32 = 1_000;
/// Keys that one request may need to have fetched: one, and one more where a set was renewed.
const FETCHES: usize = 3;

type Handler = Arc<dyn Fn(Event) -> Pin<Box<dyn Future<Output = End> + Send>> + Send + Sync>;
/// How a handler ends: well, perhaps with a reply, or not.
type End = Result<Option<Reply>, Failure>;

/// Receives the webhooks of one provider, and calls your functions.
///
/// It is a `tower` service, which goes where your server takes one, and a layer: then what has no
/// handler goes on to the service inside, verified, with its [`Event`] among the extensions.
///
/// ```no_run
/// use std::time::Duration;
/// use ringback_client::{Event, Receiver, Reject, Retry, dedupe};
///
/// # async fn book(_: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// // The provider's id, as `ringback providers` lists it: `stripe`, `github`, `ringback` …
/// let receiver = Receiver::new("ringback", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])?
///     .dedupe(dedupe::Memory::default())
///     .on("invoice.paid", |event: Event| async move {
///         let body: serde_json::Value = event.json()?;
///         let Some(invoice) = body["invoice"].as_str() else {
///             return Err(Reject::new("an invoice without a number").into());
///         };
///         Ok(book(invoice).await?)
///     })
///     .on("invoice.*", |_| async {
///         Err(Retry::new("the books are closed").after(Duration::from_secs(3600)).into())
///     });
/// let app: axum::Router = axum::Router::new().route_service("/hooks", receiver.clone());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver {
    rules: Arc<Rules>,
    keys: Arc<Keys>,
    running: Arc<Running>,
}

#[derive(Clone)]
struct Rules {
    provider: Arc<Provider>,
    settings: Settings,
    handlers: HashMap<String, Handler>,
    public_url: Option<String>,
    deadline: Duration,
    body_limit: usize,
    dedupe: Option<Arc<dyn Dedupe>>,
    fetch: Option<Fetch>,
    on_problem: Arc<dyn Fn(&Problem) + Send + Sync>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What became of a request.
pub(crate) enum Received {
    /// This is to be answered.
    Answer(Response<Bytes>),
    /// A verified event that no handler is for.
    Unhandled(Event),
}

impl Receiver {
    /// A receiver without handlers.
    ///
    /// `provider` is an id as `ringback providers` lists it; `ringback` is for what Ringback
    /// delivers. `secrets` are what its file asks for: values, or pairs of a setting's name and its
    /// value. Several of one setting are a rotation: all of them count.
    ///
    /// # Errors
    /// [`SetupError`] if requests could never be verified with this.
    pub fn new<S: Into<Secret>>(
        provider: &str,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SetupError> {
        let (provider, settings) = set_up(provider, secrets.into_iter().map(Into::into))?;
        // What is left of the provider's patience is for the way there and back.
        let patience = provider.answer.deadline.map(|seconds| seconds.clamp(0.0, 3600.0) * 0.8);
        let rules = Rules {
            settings,
            handlers: HashMap::new(),
            public_url: None,
            deadline: patience.map_or(DEADLINE, |own| DEADLINE.min(Duration::from_secs_f64(own))),
            body_limit: provider.answer.body_limit,
            dedupe: None,
            fetch: None,
            on_problem: Arc::new(|_| {}),
            clock: Arc::new(clock),
            provider,
        };
        let running = Arc::new(Running::new(MAX_RUNNING));
        Ok(Self { rules: Arc::new(rules), keys: Arc::default(), running })
    }

    /// Calls `handler` for events of a type: `invoice.paid`, `invoice.*` (what begins with
    /// `invoice.`), or `*`. The most exact one is called, and no other.
    ///
    /// It runs to its end even if the sender goes away or the deadline passes. If it panics, the
    /// answer is 500, as for any error.
    ///
    /// # Panics
    /// If `kind` is none of these, or has a handler already: mistakes of the program, as they are
    /// for a router.
    #[must_use]
    pub fn on<F, R>(self, kind: &str, handler: F) -> Self
    where
        F: Fn(Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.register(
            kind,
            Arc::new(move |event| {
                let ending = handler(event);
                Box::pin(async { ending.await.map(|()| None) })
            }),
        )
    }

    /// The same for handlers whose caller reads the answer, such as a chat command: what they end
    /// with is answered.
    ///
    /// # Panics
    /// As [`Receiver::on`] does.
    #[must_use]
    pub fn on_reply<F, R>(self, kind: &str, handler: F) -> Self
    where
        F: Fn(Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        self.register(
            kind,
            Arc::new(move |event| {
                let ending = handler(event);
                Box::pin(async { ending.await.map(Some) })
            }),
        )
    }

    fn register(mut self, kind: &str, handler: Handler) -> Self {
        let plain = kind.strip_suffix(".*").unwrap_or(kind);
        assert!(
            kind == "*" || (!plain.is_empty() && !plain.contains('*')),
            "`{kind}` is no type: invoice.paid, invoice.* or * is expected"
        );
        let before = self.rules().handlers.insert(kind.to_owned(), handler);
        assert!(before.is_none(), "`{kind}` has a handler already");
        self
    }

    /// Handles each event once, if it has an id; without this, one that is sent again is handled
    /// again.
    #[must_use]
    pub fn dedupe(mut self, dedupe: impl Dedupe) -> Self {
        self.rules().dedupe = Some(Arc::new(dedupe));
        self
    }

    /// How long a request waits for its handler; 10 s, or less if the provider is less patient.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.rules().deadline = deadline;
        self
    }

    /// How far a signed time may be off, in seconds, instead of what the provider's file says.
    #[must_use]
    pub fn tolerance(mut self, seconds: u32) -> Self {
        self.rules().settings.set_tolerance(Some(i64::from(seconds)));
        self
    }

    /// The longest body, in bytes, instead of what the provider's file says.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.rules().body_limit = bytes;
        self
    }

    /// How many events are handled at once; 1000. Beyond it the answer is 503.
    #[must_use]
    pub fn max_running(mut self, events: u32) -> Self {
        self.running = Arc::new(Running::new(events));
        self
    }

    /// The URL as it is registered with the provider, without its query; for those that sign it. It
    /// is never taken from the `Host` header, which the caller chooses.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        self.rules().public_url = Some(url.to_owned());
        self
    }

    /// How the text at an `https` URL is had, for providers that publish their keys or want a
    /// subscription to be confirmed by a visit. It is asked for URLs at the provider's hosts only;
    /// it must follow no redirects, and end in time.
    #[must_use]
    pub fn fetch_with<F, R>(mut self, fetch: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        self.rules().fetch = Some(Arc::new(move |url| Box::pin(fetch(url))));
        self
    }

    /// Is told of whatever goes wrong; without this, nobody is.
    #[must_use]
    pub fn on_problem(mut self, tell: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.rules().on_problem = Arc::new(tell);
        self
    }

    /// The present in Unix seconds, for tests.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.rules().clock = Arc::new(move || Timestamp(now().saturating_mul(1000)));
        self
    }

    /// Refuses what arrives from now on (503), and waits until the handlers under way have ended.
    /// Also for every clone.
    pub async fn close(&self) {
        self.running.close().await;
    }

    /// Verifies a request, calls its handler, and says what to answer: for servers that know nothing
    /// of `tower`.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        match self.receive(&parts, body).await {
            Received::Answer(answer) => answer,
            // Nobody wants it: to refuse it would have it sent for days.
            Received::Unhandled(_) => self.rules.accepted(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.rules.body_limit
    }

    pub(crate) async fn receive(&self, parts: &request::Parts, body: Bytes) -> Received {
        let event = match self.verified(parts, body).await {
            Ok(event) => event,
            Err(answer) => return Received::Answer(answer),
        };
        match self.rules.handler_of(&event.kind) {
            Some(handler) => Received::Answer(self.run(event, handler).await),
            None => Received::Unhandled(event),
        }
    }

    /// The event, or what is answered instead.
    async fn verified(
        &self,
        parts: &request::Parts,
        body: Bytes,
    ) -> Result<Event, Response<Bytes>> {
        let rules = &*self.rules;
        let is_event = parts.method == http::Method::POST;
        if !is_event && !rules.provider.challenges_by(parts.method.as_str()) {
            return Err(method_not_allowed());
        }
        if body.len() > rules.body_limit {
            return Err(too_large());
        }
        // What is refused now comes again, to a process that has time for it.
        if self.running.is_closing() {
            return Err(plain(StatusCode::SERVICE_UNAVAILABLE, "closing"));
        }
        let now = (rules.clock)();
        let mut renewed = false;
        for _ in 0..FETCHES {
            match rules.judge(parts, &body, &self.keys, now) {
                Judgement::Fetch(key) => self.fetch(&key.url, now).await,
                Judgement::Challenge(answered) => {
                    let cannot = !answered.learned.is_empty()
                        || !self.visited(answered.visit.as_deref()).await;
                    if cannot {
                        rules.tell(&Problem::Challenge(answered.name));
                        return Err(plain(StatusCode::SERVICE_UNAVAILABLE, "challenge"));
                    }
                    return Err(reply(answered.reply));
                }
                Judgement::RefusedChallenge { reply, verdict } => {
                    return Err(rules.refused(reply.status, verdict.reason));
                }
                Judgement::Event { .. } if !is_event => return Err(method_not_allowed()),
                Judgement::Event { verdict, .. }
                    if verdict.reason == Some(Reason::UnknownKey)
                        && !renewed
                        && self.keys.outdated(now) =>
                {
                    renewed = true;
                }
                Judgement::Event { verdict, event } => {
                    let proves_nothing = rules.provider.strength == Strength::None
                        && verdict.state == State::Unattempted;
                    if !verdict.is_proven() && !proves_nothing {
                        return Err(rules.refused(rules.provider.answer.refused, verdict.reason));
                    }
                    let Happened { id, kind } = event;
                    let kind = kind.unwrap_or_default();
                    return Ok(Event { id, kind, headers: parts.headers.clone(), body });
                }
            }
        }
        Err(rules.refused(rules.provider.answer.refused, Some(Reason::KeyUnavailable)))
    }

    async fn fetch(&self, url: &str, now: Timestamp) {
        let fetched = match &self.rules.fetch {
            Some(fetch) => self.keys.fetch(url, fetch, now).await,
            None => Err("`fetch_with` says how".into()),
        };
        if let Err(error) = fetched {
            self.rules.tell(&Problem::Fetch { url: url.to_owned(), error });
        }
    }

    /// Whether a subscription was confirmed, if that is to be done.
    async fn visited(&self, url: Option<&str>) -> bool {
        match (url, &self.rules.fetch) {
            (None, _) => true,
            (Some(url), Some(fetch)) => fetch(url.to_owned()).await.is_ok(),
            (Some(_), None) => false,
        }
    }

    /// Calls the handler in a task of its own, and waits for it until the deadline.
    async fn run(&self, event: Event, handler: Handler) -> Response<Bytes> {
        let place = match self.running.enter() {
            Ok(place) => place,
            Err(full) => return plain(StatusCode::SERVICE_UNAVAILABLE, full.code()),
        };
        let rules = Arc::clone(&self.rules);
        let kind = event.kind.clone();
        let (ended, end) = oneshot::channel();
        self.running.spawn(async move {
            let answer = rules.once(event, handler).await;
            // Nobody listens any more if the deadline has passed.
            drop(ended.send(answer));
            drop(place);
        });
        match tokio::time::timeout(self.rules.deadline, end).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "handler_failed"),
            Err(_) => {
                self.rules.tell(&Problem::Deadline { kind, after: self.rules.deadline });
                plain(StatusCode::SERVICE_UNAVAILABLE, "deadline")
            }
        }
    }

    fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }
}

impl Rules {
    fn judge(
        &self,
        parts: &request::Parts,
        body: &Bytes,
        keys: &Keys,
        now: Timestamp,
    ) -> Judgement {
        let headers: Vec<(&str, &[u8])> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let url = match (&self.public_url, parts.uri.query()) {
            (Some(url), Some(query)) => format!("{url}?{query}"),
            (Some(url), None) => url.clone(),
            (None, _) => parts.uri.to_string(),
        };
        let request = Request::new(parts.method.as_str(), &url, &headers, body);
        self.provider.judge(&request, &self.settings, &keys.at(now), now)
    }

    /// The handler of the most exact type.
    fn handler_of(&self, kind: &str) -> Option<Handler> {
        let wildcards = kind.rmatch_indices('.').map(|(dot, _)| format!("{}.*", &kind[..dot]));
        let mut patterns = [kind.to_owned()].into_iter().chain(wildcards).chain(["*".to_owned()]);
        patterns.find_map(|pattern| self.handlers.get(&pattern)).map(Arc::clone)
    }

    /// Handles an event unless it was, or is being, handled.
    async fn once(&self, event: Event, handler: Handler) -> Response<Bytes> {
        let kind = event.kind.clone();
        let (Some(dedupe), Some(id)) = (&self.dedupe, event.id.clone()) else {
            return self.ended(&kind, call(event, handler).await);
        };
        match dedupe.begin(&id).await {
            Ok(Claim::New) => {}
            Ok(Claim::Done) => return self.accepted(),
            Ok(Claim::InFlight) => return plain(StatusCode::SERVICE_UNAVAILABLE, "in_flight"),
            Err(error) => {
                self.tell(&Problem::Dedupe { kind, error });
                return plain(StatusCode::SERVICE_UNAVAILABLE, "dedupe_failed");
            }
        }
        let end = call(event, handler).await;
        let settled = if end.is_ok() { dedupe.done(&id).await } else { dedupe.forget(&id).await };
        if let Err(error) = settled {
            // What the handler has done stays done, so its answer stays, too.
            self.tell(&Problem::Dedupe { kind: kind.clone(), error });
        }
        self.ended(&kind, end)
    }

    /// The answer to how a handler ended.
    fn ended(&self, kind: &str, end: End) -> Response<Bytes> {
        match end {
            Ok(None) => self.accepted(),
            Ok(Some(reply)) => reply.into(),
            Err(Failure::Retry(retry)) => {
                let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, &retry.message);
                if let Some(after) = retry.after {
                    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                }
                answer
            }
            Err(Failure::Reject(reject)) => {
                plain(StatusCode::UNPROCESSABLE_ENTITY, &reject.message)
            }
            Err(Failure::Error(error)) => {
                self.tell(&Problem::Handler { kind: kind.to_owned(), error });
                plain(StatusCode::INTERNAL_SERVER_ERROR, "handler_failed")
            }
        }
    }

    /// What the provider expects of who has taken an event.
    fn accepted(&self) -> Response<Bytes> {
        reply(self.provider.acknowledgement())
    }

    fn refused(&self, status: u16, reason: Option<Reason>) -> Response<Bytes> {
        let reason = reason.unwrap_or(Reason::SignatureMismatch);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        let answer = plain(status, reason.code());
        self.tell(&Problem::Refused(reason));
        answer
    }

    fn tell(&self, problem: &Problem) {
        (self.on_problem)(problem);
    }
}

/// Calls a handler; a panic is an error of it.
async fn call(event: Event, handler: Handler) -> End {
    let mut task = JoinSet::new();
    task.spawn(async move { handler(event).await });
    match task.join_next().await {
        Some(Ok(end)) => end,
        Some(Err(error)) => Err(Failure::Error(panic_message(error.try_into_panic().ok()).into())),
        None => Ok(None),
    }
}

fn panic_message(panic: Option<Box<dyn Any + Send>>) -> String {
    let panic = panic.as_deref();
    let text = panic.and_then(|panic| {
        let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        literal.or_else(|| panic.downcast_ref::<String>().cloned())
    });
    format!("the handler panicked: {}", text.as_deref().unwrap_or("without a text"))
}

#[allow(clippy::disallowed_methods, reason = "the one clock of this crate; tests give another")]
fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn too_large() -> Response<Bytes> {
    plain(StatusCode::PAYLOAD_TOO_LARGE, "too_large")
}

pub(crate) fn unreadable() -> Response<Bytes> {
    plain(StatusCode::BAD_REQUEST, "unreadable")
}

fn method_not_allowed() -> Response<Bytes> {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    answer
}

fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn reply(reply: Prescribed) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(reply.body));
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}
