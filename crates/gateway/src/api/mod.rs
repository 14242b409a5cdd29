//! The HTTP API: `/api/v1` in the shape that the Svix SDKs speak, and the health and metrics paths.
//!
//! A handler is: typed extractors, one call of the store, a response. Reading order: how a request
//! comes in ([`extract`], [`query`], [`idempotency`]), what goes out ([`reply`], [`list`],
//! [`error`]), the resources, and how they are put together ([`router`]).
//!
//! Invariants: every route under `/api/v1` but health and the document needs a bearer token, before
//! anything else is told; cookies are never looked at; every error is JSON; a handler that panics
//! answers 500 and harms nobody else.

mod error;
mod extract;
mod field;
mod idempotency;
mod list;
mod patch;
mod query;
mod reply;
mod vault;

mod application;
mod attempt;
mod attempted;
mod audit;
mod callback;
mod endpoint;
mod environment;
mod event_type;
mod explain;
mod health;
mod listener;
mod message;
mod oauth;
mod poller;
mod portal;
mod quota;
mod source;
mod statistics;
mod tail;
mod task;
mod usage;

mod edge;
mod not_implemented;
mod openapi;

use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::Router;
use ringback_domain::{id::Id, seal::Keyring, target, time::Timestamp};
use ringback_store::Store;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    auth::Authenticator,
    callback::Callbacks,
    contract,
    listen::{Listeners, Streams},
    log::{Lanes, Taps},
    oauth::Oauth,
    outbound::Hosts,
    quota::Quotas,
    receive::{self, Catalog, Directory},
    seam::World,
    tasks::Bell,
    transform::Sandbox,
};
use idempotency::Turns;
use vault::Vault;

pub use application::ApplicationIn;
pub use audit::{Origin, act};
pub use error::{Error, Problem};
pub(crate) use extract::read_body;
pub use idempotency::key as idempotency_key;
pub use message::{MessageIn, MessageOut, Posted as PostedMessage, WithContent, not_admitted};
pub use openapi::document;
pub use reply::json;
pub(crate) use vault::{ACCESS, CREDENTIALS, HEADERS, SECRET, TRANSFORMATION};

/// What the API works with. Clones share it.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What the API is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Clock and randomness.
    pub world: World,
    /// Seals secrets.
    pub keyring: Arc<Keyring>,
    /// Tells who calls.
    pub auth: Arc<Authenticator>,
    /// Is told of changes.
    pub lanes: Arc<dyn Lanes>,
    /// Is rung when there is a new task.
    pub bell: Arc<Bell>,
    /// Who the providers are.
    pub catalog: Catalog,
    /// Is told of changed sources.
    pub directory: Directory,
    /// Takes what arrived at sources and was not taken before.
    pub sources: receive::Door,
    /// Makes callbacks, and waits for them.
    pub callbacks: Callbacks,
    /// Asks people for authorizations, and keeps what they grant.
    pub oauth: Oauth,
    /// Those who listen.
    pub listeners: Listeners,
    /// Event streams of sources.
    pub streams: Streams,
    /// What happens, for whoever looks.
    pub taps: Taps,
    /// What payloads of event types look like.
    pub contracts: contract::Directory,
    /// Where this server is reached from outside: `https://hooks.example.com`.
    pub public_url: String,
    /// What applications may use.
    pub quotas: Arc<Quotas>,
    /// What is accepted.
    pub rules: Rules,
    /// Whom destinations with a protocol of their own may dial.
    pub hosts: Arc<Hosts>,
    /// Where programs run.
    pub sandbox: Sandbox,
    /// What operators look at.
    pub probes: Probes,
}

/// What is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Of endpoints' URLs.
    pub target: target::Rules,
    /// How long old secrets sign after a rotation, if the request does not say.
    pub rotation_overlap: Duration,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// The deepest JSON.
    pub json_depth: usize,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
    /// How long content is kept.
    pub retention: Duration,
    /// The longest total time of an attempt that an endpoint may ask for.
    pub longest_timeout: Duration,
    /// Whether payloads that are too large for a request can be kept elsewhere.
    pub keeps_payloads: bool,
}

/// What operators look at.
#[derive(Clone)]
pub struct Probes {
    /// Writes the metrics, in the `OpenMetrics` text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Set as soon as the process no longer takes requests: it is not ready then.
    pub draining: Arc<AtomicBool>,
}

/// [`Parts`], and what is made of them.
pub struct Shared {
    store: Arc<dyn Store>,
    world: World,
    auth: Arc<Authenticator>,
    lanes: Arc<dyn Lanes>,
    bell: Arc<Bell>,
    quotas: Arc<Quotas>,
    rules: Rules,
    hosts: Arc<Hosts>,
    sandbox: Sandbox,
    probes: Probes,
    catalog: Catalog,
    directory: Directory,
    sources: receive::Door,
    callbacks: Callbacks,
    oauth: Oauth,
    listeners: Listeners,
    streams: Streams,
    taps: Taps,
    contracts: contract::Directory,
    public_url: String,
    keyring: Arc<Keyring>,
    vault: Vault,
    turns: Turns,
    checked: health::Checked,
}

impl Api {
    /// The API that these parts make.
    pub fn new(parts: Parts) -> Api {
        let Parts { store, world, keyring, auth, lanes, bell, quotas, rules, probes, .. } = parts;
        let (catalog, directory, public_url) = (parts.catalog, parts.directory, parts.public_url);
        let (sources, callbacks, hosts) = (parts.sources, parts.callbacks, parts.hosts);
        let (oauth, contracts, sandbox) = (parts.oauth, parts.contracts, parts.sandbox);
        let (listeners, streams, taps) = (parts.listeners, parts.streams, parts.taps);
        let vault = Vault::new(Arc::clone(&keyring), Arc::clone(&world.entropy));
        let (turns, checked) = Default::default();
        Api(Arc::new(Shared {
            store,
            world,
            auth,
            lanes,
            bell,
            quotas,
            rules,
            hosts,
            sandbox,
            probes,
            catalog,
            directory,
            sources,
            callbacks,
            oauth,
            listeners,
            streams,
            taps,
            contracts,
            public_url,
            keyring,
            vault,
            turns,
            checked,
        }))
    }

    /// A new id, wrapped in its type.
    fn mint<I>(&self, now: Timestamp, wrap: impl FnOnce(Id) -> I) -> I {
        ringback_store::mint(now, self.world.entropy.bytes(), wrap)
    }
}

impl Deref for Api {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The API as it is served. `door` has the routes of the doors (message create), which have their
/// own state, and `browsers` those where people come.
pub fn router(api: Api, door: OpenApiRouter, browsers: Router) -> Router {
    edge::guarded(openapi::assemble(door, api).merge(browsers))
}
