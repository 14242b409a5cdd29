//! From a request's bytes to an acknowledged message.
//!
//! The same door serves the hot route on the cores and, as a handler of the shared router, whatever
//! reaches that one. An answer of 202 means that the message, its idempotency key and its
//! deliveries are on the disk.

use std::{rc::Rc, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, header, request};
use ringback_domain::{
    access::Right,
    id::{Key, Kind},
    idempotency::Claim,
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{Append, AppendError, Appended, Store, WriteError, audit};
use tokio::time::{Instant, sleep};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{self, Error, MessageOut, PostedMessage, Rules},
    auth::{Authenticator, Wish},
    contract,
    core::Random,
    http::Upload,
    log::{Batch, Log, Pressure},
    quota::Quotas,
    seam::World,
    telemetry::metrics::{Metrics, Rejection},
};

/// The door's only route.
const ROUTE: &str = "/api/v1/app/{app_id}/msg";
/// So many deliveries may wait for the engine before the intake slows down.
const PRESSURE: usize = 256;
/// How long a request is held back at most, and between two looks.
const PATIENCE: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_millis(1);

/// What the door is made of.
pub struct Parts {
    /// Where accepted messages go.
    pub log: Log,
    /// Where applications are made that come with their first message.
    pub store: Arc<dyn Store>,
    /// Tells who calls.
    pub auth: Arc<Authenticator>,
    /// Clock and randomness.
    pub world: World,
    /// What is accepted.
    pub rules: Rules,
    /// How long content is kept.
    pub retention: Duration,
    /// How much waits for the engine.
    pub pressure: Arc<Pressure>,
    /// What applications may use.
    pub quotas: Arc<Quotas>,
    /// What payloads of event types look like.
    pub contracts: contract::Directory,
    /// What is counted.
    pub metrics: Metrics,
}

/// The door. Clones share it.
#[derive(Clone)]
pub struct Door(Arc<Parts>);

/// The door as one core uses it: appends of the same moment go to the store together.
pub struct OnCore {
    door: Door,
    way: Together,
}

/// How a message gets into the log: alone, or together with the others of its moment.
trait Appends {
    /// Appends one message.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;
    /// The random bits of a message's id.
    fn nonce(&self, world: &World) -> u64;
}

/// The way into the log on a core.
struct Together {
    batch: Rc<Batch>,
    random: Random,
}

impl Appends for Log {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut results = Log::append(self, vec![append]).await;
        results.pop().unwrap_or(Err(AppendError::NoApplication))
    }

    fn nonce(&self, world: &World) -> u64 {
        u64::from_ne_bytes(world.entropy.bytes())
    }
}

impl Appends for Together {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.batch.append(append).await
    }

    fn nonce(&self, _: &World) -> u64 {
        self.random.next()
    }
}

/// The door's routes, for the shared router and for the API's document.
pub fn routes(door: Door) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(create)).with_state(door)
}

/// What the document says of those routes; that takes no door.
pub fn described() -> utoipa::openapi::OpenApi {
    OpenApiRouter::<Door>::default().routes(routes!(create)).into_openapi()
}

/// Create a message
///
/// It is delivered to every endpoint that wants it. 202 means that it is stored durably.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"), api::WithContent),
    request_body = inline(api::MessageIn<'_>),
    responses((status = 202, body = inline(MessageOut<'_>))))]
async fn create(
    State(door): State<Door>,
    application: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // What is not UTF-8 once it is decoded names nothing.
    let Ok(Path(application)) = application else { return Error::NoRoute.into_response() };
    let (parts, body) = request.into_parts();
    door.accept(&application, &parts, body, &door.0.log).await
}

impl OnCore {
    /// Answers a request to create a message for `application`, an id or uid.
    pub async fn accept(
        &self,
        application: &str,
        parts: &request::Parts,
        body: Upload,
    ) -> Response {
        self.door.accept(application, parts, body, &self.way).await
    }
}

impl Door {
    /// A door made of these parts.
    pub fn new(parts: Parts) -> Door {
        Door(Arc::new(parts))
    }

    /// The door for one core. To be called there.
    pub fn on_core(&self) -> OnCore {
        let batch = Batch::new(self.0.log.clone());
        let random = Random::new(Arc::clone(&self.0.world.entropy));
        OnCore { door: self.clone(), way: Together { batch, random } }
    }

    async fn accept<B>(
        &self,
        application: &str,
        parts: &request::Parts,
        body: B,
        log: &impl Appends,
    ) -> Response
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
    {
        let started = Instant::now();
        match self.create(application, parts, body, log).await {
            Ok(response) => {
                self.0.metrics.messages_accepted.inc();
                self.0.metrics.accept.observe(started.elapsed());
                response
            }
            Err(error) => {
                self.0.metrics.rejected(reason(&error));
                error.into_response()
            }
        }
    }

    async fn create<B>(
        &self,
        application: &str,
        parts: &request::Parts,
        body: B,
        log: &impl Appends,
    ) -> Result<Response, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
    {
        let Parts { world, auth, rules, retention, .. } = &*self.0;
        let now = world.clock.now();
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let reference = Reference::parse(Kind::Application, application);
        let wish = Wish { method: &parts.method, route: ROUTE, application: Some(&reference) };
        let identity = auth.admit(authorization, wish, now).await?;
        let environment = identity.environment;
        // A name may come to mean another application; the one that was checked stays.
        let reference = identity.grant.application.map_or(reference, |own| Reference::Id(own.0));
        let with_content = api::WithContent::read(parts.uri.query().unwrap_or_default())?;
        let body =
            api::read_body(&parts.headers, body, rules.body_limit, rules.read_timeout).await?;
        // Copied: a slice would keep the connection's whole read buffer while it waits.
        let body = Bytes::copy_from_slice(&body);
        self.0.quotas.admit(environment, &reference, body.len(), now)?;
        let claim = claim(environment, parts, &body, now)?;
        let nonce = log.nonce(world);
        let mut posted = PostedMessage::read(&body, rules.json_depth, nonce, now, *retention)?;
        self.admit(environment, &mut posted, now).await?;
        let message = posted.message.clone();
        let new = Append { environment, application: reference.clone(), message, claim };
        self.wait_for_the_engine().await;
        // What is needed if the application comes with its first message.
        let again = posted.application.is_some().then(|| new.clone());
        let mut appended = log.append(new).await;
        if let (Err(AppendError::NoApplication), Some(described), Some(again)) =
            (&appended, &posted.application, again)
        {
            // Its own role, too: sending is not making applications.
            let permitted = identity.grant.permits(Right::Manage);
            let has = identity.grant.role;
            permitted.map_err(|needs| Error::Forbidden { needs, has })?;
            let describe = described.clone();
            let origin = parts.extensions.get::<api::Origin>();
            let act = api::act(&identity, "application.create", origin, now);
            let create = async {
                audit::note(act);
                self.create_application(environment, describe, &reference, now).await
            };
            Box::pin(audit::scope(create)).await?;
            appended = log.append(again).await;
        }
        let Appended { id, application, .. } = appended?;
        let scope = Scope { environment, application };
        self.0.quotas.learn(scope, &reference, body.len(), now);
        let out = MessageOut::appended(&posted, id, with_content);
        Ok(api::json(StatusCode::ACCEPTED, &out))
    }

    /// Holds a message against the contract of its event type.
    async fn admit(
        &self,
        environment: Key,
        posted: &mut PostedMessage,
        now: Timestamp,
    ) -> Result<(), Error> {
        let PostedMessage { message, schema_version, .. } = posted;
        let named = schema_version.as_deref();
        let admitted = self.0.contracts.admit(environment, message, named, now).await;
        let contract::Admitted { version, label, fits_schema, ordering_key } =
            admitted.map_err(api::not_admitted)?;
        *schema_version = label;
        message.version = version;
        message.fits_schema = fits_schema;
        message.ordering_key = message.ordering_key.take().or(ordering_key);
        Ok(())
    }

    /// Holds a request back while more waits for the engine than it can begin soon, so that waiting
    /// happens here, where the caller notices, and not in a queue that grows.
    async fn wait_for_the_engine(&self) {
        let begun = Instant::now();
        while self.0.pressure.waiting() > PRESSURE && begun.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
    }

    async fn create_application(
        &self,
        environment: Key,
        described: api::ApplicationIn,
        reference: &Reference,
        now: Timestamp,
    ) -> Result<(), Error> {
        let random = self.0.world.entropy.bytes();
        let id = ringback_store::mint(now, random, ringback_domain::id::ApplicationId);
        let application = described.describe(id, now, Some(reference))?;
        audit::about("app_id", application.id.to_string());
        let new = ringback_store::NewApplication { environment, application, answer: None };
        match self.0.store.create_application(new).await {
            // Someone else's first message was quicker.
            Ok(_) | Err(WriteError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn claim(
    environment: Key,
    parts: &request::Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<Claim>, Error> {
    let Some(key) = api::idempotency_key(&parts.headers)? else { return Ok(None) };
    Ok(Some(Claim::new(environment, "POST", parts.uri.path(), key, body, now)?))
}

fn reason(error: &Error) -> Rejection {
    match error {
        Error::Unauthenticated(_) | Error::Forbidden { .. } => Rejection::Unauthorized,
        Error::NotFound(_) => Rejection::NotFound,
        Error::TooLarge { .. } => Rejection::TooLarge,
        Error::OverQuota { .. } => Rejection::Quota,
        Error::Conflict { .. } => Rejection::Conflict,
        Error::Unavailable { code: "disk_full", .. } => Rejection::DiskFull,
        Error::Unavailable { .. } => Rejection::Overload,
        Error::Internal => Rejection::Internal,
        _ => Rejection::Invalid,
    }
}
