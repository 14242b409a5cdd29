//! The API, called in the process: the router and the real store, with a clock that tests set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod audit;
mod callback;
mod document;
mod hints;
mod idempotency;
mod import;
mod limits;
mod nul;
mod operational;
mod parity;
mod portal;
mod quota;
mod resources;
mod task;
mod tenancy;
mod tokens;

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode};
use ringback::{
    api::{self, Api, Probes, Rules},
    auth::Authenticator,
    callback::{Callbacks, Parts as CallbackParts},
    config::{Config, Secret},
    listen::{self, Listeners, Streams},
    log::{Ears, Lanes, Log},
    oauth::{self, Oauth},
    outbound::{Connector, Guard, Ports, Tls},
    quota::Quotas,
    receive::{self, Catalog, Directory},
    seam::{BoxFuture, Clock, World},
    send::{self, Door},
    telemetry::metrics::Metrics,
    wiring,
};
use ringback_domain::{
    access::Grant,
    address::Policy,
    callback::{UrlKeys, redirect::Target},
    id::{ApplicationId, ConnectionId, Key, RequestId, SourceId, TokenId},
    oauth::{Connection, connection},
    pace::Wait,
    quota::Quota,
    scope::Scope,
    seal::{Context, Keyring, MasterKey},
    source::{Fate, Received},
    target,
    time::Timestamp,
    token::Token,
};
use ringback_store::{Canceled, Due, Keeping, NewRequest, NewToken, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::support;

const BODY_LIMIT: usize = 16 * 1024;
/// What secrets are sealed with.
const MASTER: [u8; 32] = [7; 32];
/// Where browsers may be sent on to.
const PAGE: &str = "https://app.example.com/connected";

/// Everything behind one router, and one environment with a token.
struct Bench {
    router: Router,
    store: Arc<dyn Store>,
    auth: Arc<Authenticator>,
    lanes: Arc<Told>,
    clock: Arc<Hand>,
    world: World,
    quotas: Arc<Quotas>,
    token: String,
    /// What the store is, and what is kept beside it.
    kind: support::Store,
    directory: TempDir,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    /// The body.
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks status and code of an error.
    #[track_caller]
    fn error(&self, status: u16, code: &str) {
        assert_eq!(self.expect(status)["code"], code, "{self:?}");
    }

    /// Checks that it is a 422 whose first problem is at this place.
    #[track_caller]
    fn invalid(&self, loc: &str) {
        let body = self.expect(422);
        let path = body["detail"][0]["loc"].as_array().unwrap().iter();
        let path: Vec<_> = path.map(|part| part.as_str().unwrap()).collect();
        assert_eq!(path.join("."), loc, "{self:?}");
    }
}

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// Lanes that only note what they are told.
#[derive(Default)]
struct Told {
    delivered: Mutex<Vec<Due>>,
    canceled: Mutex<Vec<Canceled>>,
    changed: Mutex<Vec<Key>>,
}

impl Lanes for Told {
    fn deliver(&self, due: Vec<Due>) {
        self.delivered.lock().unwrap().extend(due);
    }

    fn look(&self, _: Key) {}

    fn canceled(&self, canceled: Vec<Canceled>) {
        self.canceled.lock().unwrap().extend(canceled);
    }

    fn changed(&self, endpoint: Key) -> BoxFuture<'static, ()> {
        self.changed.lock().unwrap().push(endpoint);
        Box::pin(async {})
    }

    fn waits(&self, _: Key) -> BoxFuture<'static, Option<Wait>> {
        Box::pin(async { None })
    }
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(Quota::default()).await
    }

    /// With these quotas for each application.
    async fn with(defaults: Quota) -> Bench {
        Bench::make(defaults, true).await
    }

    async fn make(defaults: Quota, require_https: bool) -> Bench {
        let data = tempfile::tempdir().unwrap();
        let kind = support::Store::fresh();
        let mut config = Config::default();
        config.store.url = kind.url().map(Secret::new);
        let store = wiring::store(&config, data.path(), &Metrics::new()).unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        let mut world = wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
        world.clock = clock.clone();
        let auth = Arc::new(Authenticator::new(store.clone(), None));
        let lanes = Arc::new(Told::default());
        let rules = Rules {
            target: target::Rules { require_https },
            rotation_overlap: Duration::from_secs(86_400),
            body_limit: BODY_LIMIT,
            json_depth: 64,
            read_timeout: Duration::from_secs(5),
            retention: Duration::from_secs(90 * 86_400),
            longest_timeout: Duration::from_secs(60),
            keeps_payloads: false,
        };
        let quotas = Arc::new(Quotas::new(defaults));
        let metrics: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(|| "# EOF\n".to_owned());
        let keyring = Arc::new(Keyring::new(&MasterKey::new(MASTER), []));
        let catalog = Catalog::default();
        let directory = Directory::new(store.clone(), keyring.clone(), catalog.clone());
        let public_url = "https://hooks.example.com".to_owned();
        let guard = Guard::new(Policy::default(), Ports::default(), Vec::new());
        let tls = Tls::new([]).unwrap();
        let wait = Duration::from_secs(5);
        let connector = Arc::new(Connector::new(world.network.clone(), guard, tls, wait));
        let url_keys = UrlKeys::new([(1, Zeroizing::new([8; 32]))]);
        let pages = [Target::parse(PAGE).unwrap()];
        let callbacks = Callbacks::new(CallbackParts {
            store: store.clone(),
            lanes: lanes.clone(),
            world: world.clone(),
            keyring: keyring.clone(),
            keys: url_keys.clone(),
            public_url: public_url.clone(),
            retention: rules.retention,
            targets: pages.to_vec(),
        });
        let oauth = Oauth::new(oauth::Parts {
            store: store.clone(),
            lanes: lanes.clone(),
            world: world.clone(),
            keyring: keyring.clone(),
            keys: url_keys,
            connector: connector.clone(),
            providers: Arc::new(|id| ringback_builtin::oauth(id)?.parsed()),
            public_url: public_url.clone(),
            targets: pages.to_vec(),
            retention: rules.retention,
            require_https: true,
            settings: Default::default(),
        });
        let ears = Ears::default();
        let replies = Arc::default();
        let sandbox = support::sandbox();
        let contracts = ringback::contract::Directory::new(store.clone(), sandbox.clone());
        let listeners = Listeners::new(listen::Parts {
            store: store.clone(),
            world: world.clone(),
            directory: directory.clone(),
            replies: Arc::clone(&replies),
            bells: ears.bells.clone(),
            contracts: contracts.clone(),
            sandbox: sandbox.clone(),
            keyring: keyring.clone(),
        });
        let sources = receive::Door::new(receive::Parts {
            log: Log::new(store.clone(), lanes.clone(), ears.clone()),
            store: store.clone(),
            callbacks: callbacks.clone(),
            directory: directory.clone(),
            world: world.clone(),
            keys: receive::Keys::new(connector),
            keyring: keyring.clone(),
            public_url: public_url.clone(),
            spool: data.path().to_owned(),
            read_timeout: rules.read_timeout,
            retention: rules.retention,
            metrics: Metrics::new(),
            replies,
            listeners: listeners.clone(),
        });
        let api = Api::new(api::Parts {
            contracts: contracts.clone(),
            store: store.clone(),
            world: world.clone(),
            keyring: keyring.clone(),
            auth: auth.clone(),
            lanes: lanes.clone(),
            bell: Arc::default(),
            catalog,
            directory,
            sources,
            callbacks,
            oauth: oauth.clone(),
            streams: Streams::new(listeners.clone()),
            listeners,
            taps: ears.taps.clone(),
            public_url,
            quotas: quotas.clone(),
            rules,
            hosts: Arc::default(),
            sandbox,
            probes: Probes { metrics, draining: Arc::new(AtomicBool::new(false)) },
        });
        let door = Door::new(send::Parts {
            contracts,
            log: Log::new(store.clone(), lanes.clone(), ears),
            store: store.clone(),
            auth: auth.clone(),
            world: world.clone(),
            rules,
            retention: Duration::from_secs(90 * 86_400),
            pressure: Arc::default(),
            quotas: quotas.clone(),
            metrics: Metrics::new(),
        });
        let router = api::router(api, send::routes(door), oauth::routes(oauth));
        let token = String::new();
        let mut bench = Bench {
            router,
            store,
            auth,
            lanes,
            clock,
            world,
            quotas,
            token,
            kind,
            directory: data,
        };
        bench.token = bench.token_of("default").await.1;
        bench
    }

    /// A new token of an environment, which is made if needed.
    async fn token_of(&self, environment: &str) -> (TokenId, String) {
        self.token_for(environment, Grant::default()).await
    }

    /// A new token that grants this.
    async fn token_for(&self, environment: &str, grant: Grant) -> (TokenId, String) {
        self.token_until(environment, grant, None).await
    }

    /// A new token that grants this until then.
    async fn token_until(
        &self,
        environment: &str,
        grant: Grant,
        expires_at: Option<Timestamp>,
    ) -> (TokenId, String) {
        let now = self.clock.now();
        let environment = self.store.environment(environment.to_owned(), now).await.unwrap();
        let token = Token::mint(self.world.entropy.bytes());
        let id = ringback_store::mint(now, self.world.entropy.bytes(), TokenId);
        let new = NewToken {
            id,
            environment,
            hash: token.hash(),
            hint: token.hint(),
            name: "test".to_owned(),
            grant,
            session: None,
            created_at: now,
            expires_at,
            answer: None,
        };
        self.store.create_token(new).await.unwrap();
        (id, token.as_str().to_owned())
    }

    /// A request without a token.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path)
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request with this token and body.
    async fn call_as(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        self.call_as(&self.token, method, path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &body.to_string()).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &body.to_string()).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &body.to_string()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, "").await
    }

    /// How often lanes were told of a change since this was last asked.
    fn changes(&self) -> usize {
        std::mem::take(&mut *self.lanes.changed.lock().unwrap()).len()
    }
}

/// The root of the repository.
/// The body that gives an endpoint a client certificate.
fn identity() -> &'static str {
    static BODY: LazyLock<String> = LazyLock::new(|| {
        let made = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
        let identity = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        json!({ "identity": identity }).to_string()
    });
    &BODY
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A connection of this client, as if somebody had granted it, and a webhook that it has registered.
async fn connection(bench: &Bench, client: &str) -> [String; 2] {
    let client = bench.store.oauth_client_by_id(client.parse().unwrap()).await.unwrap().unwrap();
    let now = bench.clock.now();
    let id = ringback_store::mint(now, bench.world.entropy.bytes(), ConnectionId);
    let hook = format!("hook-{}", id.key());
    let subscription = json!({"id": hook, "source": SourceId(id.0), "createdAt": now,
        "target": {"repository": "owner/name"}, "events": ["push"]});
    let environment = client.scope.environment;
    let place = Context { environment, owner: id.key(), purpose: "connection-tokens" };
    let tokens = json!({"accessToken": "made-up", "tokenType": "Bearer"}).to_string();
    let keyring = Keyring::new(&MasterKey::new(MASTER), []);
    let sealed = keyring.seal(bench.world.entropy.bytes(), &place, tokens.as_bytes()).unwrap();
    let connection = Connection {
        id,
        scope: client.scope,
        application: client.application,
        client: client.id,
        provider: client.provider,
        user_ref: "user-1".to_owned(),
        state: connection::State::Active,
        reason: None,
        version: 1,
        grant: connection::Grant { sealed, ..Default::default() },
        lease: None,
        failures: 0,
        retry_at: None,
        subscriptions: vec![serde_json::from_value(subscription).unwrap()],
        metadata: Default::default(),
        created_at: now,
        refreshed_at: now,
    };
    let keeping = Keeping { nonce: 1, expires_at: now + Duration::from_secs(60) };
    bench.store.create_connection(connection, None, keeping).await.unwrap();
    [id.to_string(), hook]
}

/// Writes down that something arrived at a source of the token's environment; its id.
async fn arrived(bench: &Bench, token: &str, source: &str, fate: Fate) -> String {
    let path = format!("/ingest/api/v1/source/{source}");
    let shown = bench.call_as(token, Method::GET, &path, "").await.expect(200);
    let application: ApplicationId = shown["appId"].as_str().unwrap().parse().unwrap();
    let name = if token == bench.token { "default" } else { "another" };
    let now = bench.clock.now();
    let environment = bench.store.environment(name.to_owned(), now).await.unwrap();
    let new = NewRequest {
        scope: Scope { environment, application: application.key() },
        source: source.parse::<SourceId>().unwrap().key(),
        request: Received {
            id: ringback_store::mint(now, bench.world.entropy.bytes(), RequestId),
            fate,
            reason: None,
            verdict: "unattempted".to_owned(),
            status: 200,
            method: "POST".to_owned(),
            target: String::new(),
            headers: Vec::new(),
            address: None,
            event_id: None,
            event_type: None,
            bytes: 2,
            body: Some(b"{}".to_vec()),
            message: None,
            received_at: now,
        },
        expires_at: now + Duration::from_secs(86_400),
    };
    bench.store.log_request(new).await.unwrap();
    let listed =
        bench.call_as(token, Method::GET, &format!("{path}/request"), "").await.expect(200);
    listed["data"][0]["id"].as_str().unwrap().to_owned()
}
