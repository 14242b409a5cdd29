//! Makes the parts from the configuration and ties them together.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use ringback_domain::{
    address::Policy,
    breaker::Waits,
    callback::{UrlKeys, redirect::Target},
    id::KeySequence,
    retry::Schedule,
    seal::Keyring,
    target, token,
};
use ringback_store::Store;
use tokio::{runtime::Handle, sync::oneshot, sync::watch};

use super::Error;
use crate::{
    api::{self, Api},
    auth::{Authenticator, Bootstrap},
    callback::{self, Callbacks, Errands},
    config::{self, Config, HostPort},
    contract,
    control::DEFAULT_ENVIRONMENT,
    control::tokens::Tokens,
    core::{Core, Mailbox, Phase},
    deliver::{self, Breakers, Engine, Services},
    http, keyring,
    keyring::Rotation,
    listen::{self, Listeners, Streams},
    log::{Ears, Lanes, Log, Pressure, Taps},
    oauth::{self, Oauth},
    outbound::{self, Connector, Guard, Hosts, Ports, Proxy, Tls},
    payloads::{self, Payloads},
    quota::Quotas,
    receive::{self, Accounts, Catalog, Directory},
    seam::World,
    send::Door,
    tasks::Bell,
    telemetry::metrics::Metrics,
    transform::{self, Sandbox},
    wiring,
};

/// Files kept for the store, logs and the listener, out of what the system allows.
const OTHER_FILES: u64 = 128;

/// The parts of the process.
#[derive(Clone)]
pub(super) struct Assembled {
    pub(super) store: Arc<dyn Store>,
    pub(super) world: World,
    pub(super) metrics: Metrics,
    pub(super) engine: Engine,
    pub(super) tokens: Tokens,
    pub(super) rotation: Rotation,
    pub(super) auth: Arc<Authenticator>,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) bell: Arc<Bell>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) callbacks: Callbacks,
    pub(super) errands: Errands,
    pub(super) oauth: Oauth,
    pub(super) listeners: Listeners,
    pub(super) payloads: Option<Payloads>,
    streams: Streams,
    services: Arc<Services>,
    door: Door,
    sources: receive::Door,
    callback_door: callback::Door,
    api: Api,
}

/// Where the connections for each core are posted.
type Dealt = Vec<Arc<Mailbox<http::Dealt>>>;

/// A core that runs.
pub(super) struct Running {
    core: Core,
    clients: oneshot::Receiver<()>,
}

impl Running {
    /// Waits until the core has no clients any more.
    pub(super) async fn without_clients(&mut self) {
        // The sender is dropped when the last connection has ended.
        let _ = (&mut self.clients).await;
    }

    /// Waits for the core to end.
    pub(super) fn join(self) {
        self.core.join();
    }
}

/// Makes every part; nothing runs yet but the store.
pub(super) async fn assemble(
    config: &Config,
    world: World,
    data: &Path,
    address: SocketAddr,
    files: u64,
    (catalog, accounts): (Catalog, Accounts),
) -> Result<Assembled, Error> {
    let (keyring, key_file) = keyring::load(&config.secrets, data, &*world.entropy)?;
    let keyring = Arc::new(keyring);
    let url_keys = callback::keys::load(&config.callback, data, &*world.entropy)?;
    let metrics = Metrics::new();
    let store = wiring::store(config, data, &metrics)?;
    keyring::check(&keyring, &*store, &*world.entropy).await?;
    callback::keys::check(&config.callback, &url_keys, &*store).await?;
    let now = world.clock.now();
    let environment = store.environment(DEFAULT_ENVIRONMENT.to_owned(), now).await?;
    let bootstrap = config.bootstrap_token.as_ref();
    let bootstrap =
        bootstrap.map(|text| Bootstrap { hash: token::hash(text.expose()), environment });
    let auth = Arc::new(Authenticator::new(Arc::clone(&store), bootstrap));
    let engine = Engine::new(wiring::cores());
    let lanes: Arc<dyn Lanes> = Arc::new(engine.clone());
    let ears = Ears::default();
    let payloads = payloads(config, &world, &url_keys)?;
    let services = Arc::new(services(Given {
        payloads: payloads.clone(),
        config,
        world: &world,
        store: &store,
        keyring: &keyring,
        metrics: &metrics,
        engine: &engine,
        catalog: &catalog,
        address,
        files,
        taps: ears.taps.clone(),
    })?);
    let contracts = services.contracts.clone();
    let rules = api::Rules {
        target: target::Rules { require_https: config.delivery.require_https },
        rotation_overlap: config.delivery.rotation_overlap,
        body_limit: config.limits.body_bytes,
        json_depth: config.limits.json_depth,
        read_timeout: config.limits.read_timeout,
        retention: config.retention(),
        longest_timeout: config.delivery.longest_timeout(),
        keeps_payloads: payloads.is_some(),
    };
    let quotas = Arc::new(Quotas::new(config.quota()));
    quotas.read(&*store).await?;
    let door = Door::new(crate::send::Parts {
        log: Log::new(Arc::clone(&store), Arc::clone(&lanes), ears.clone()),
        store: Arc::clone(&store),
        auth: Arc::clone(&auth),
        world: world.clone(),
        rules,
        retention: config.retention(),
        pressure: Arc::clone(&services.pressure),
        quotas: Arc::clone(&quotas),
        contracts: contracts.clone(),
        metrics: metrics.clone(),
    });
    let directory = Directory::new(Arc::clone(&store), Arc::clone(&keyring), catalog.clone());
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let targets = &config.callback.redirect_targets;
    let callbacks = Callbacks::new(callback::Parts {
        store: Arc::clone(&store),
        lanes: Arc::clone(&lanes),
        world: world.clone(),
        keyring: Arc::clone(&keyring),
        keys: url_keys.clone(),
        public_url: public_url.clone(),
        retention: config.retention(),
        // Checked when the configuration was read.
        targets: targets.iter().filter_map(|text| Target::parse(text).ok()).collect(),
    });
    let errands = Errands::new(callbacks.clone(), Arc::clone(&services.connector));
    let oauth = Oauth::new(oauth::Parts {
        store: Arc::clone(&store),
        lanes: Arc::clone(&lanes),
        world: world.clone(),
        keyring: Arc::clone(&keyring),
        keys: url_keys,
        connector: Arc::clone(&services.connector),
        providers: Arc::new(move |id| accounts.get(id)),
        public_url: public_url.clone(),
        targets: targets.iter().filter_map(|text| Target::parse(text).ok()).collect(),
        retention: config.retention(),
        require_https: rules.target.require_https,
        settings: config.oauth.clone(),
    });
    let listeners = Listeners::new(listen::Parts {
        store: Arc::clone(&store),
        world: world.clone(),
        directory: directory.clone(),
        replies: Arc::clone(&services.replies),
        bells: ears.bells.clone(),
        contracts: contracts.clone(),
        sandbox: services.sandbox.clone(),
        keyring: Arc::clone(&keyring),
    });
    let streams = Streams::new(listeners.clone());
    let sources = receive::Door::new(receive::Parts {
        log: Log::new(Arc::clone(&store), Arc::clone(&lanes), ears.clone()),
        store: Arc::clone(&store),
        callbacks: callbacks.clone(),
        directory: directory.clone(),
        world: world.clone(),
        keys: receive::Keys::new(Arc::clone(&services.connector)),
        keyring: Arc::clone(&keyring),
        public_url: public_url.clone(),
        spool: data.to_owned(),
        replies: Arc::clone(&services.replies),
        listeners: listeners.clone(),
        read_timeout: config.limits.read_timeout,
        retention: config.retention(),
        metrics: metrics.clone(),
    });
    let callback_door = callback::Door::new(callback::Doors {
        callbacks: callbacks.clone(),
        sources: sources.clone(),
        body_limit: config.limits.body_bytes,
        read_timeout: config.limits.read_timeout,
        requests_per_url: config.callback.requests_per_url,
        requests_per_address: config.callback.requests_per_address,
        allowed_origins: config.callback.allowed_origins.clone(),
        require_https: rules.target.require_https,
    });
    let draining = Arc::new(AtomicBool::new(false));
    let encoded = metrics.clone();
    let probes = api::Probes {
        metrics: Arc::new(move || encoded.encode()),
        draining: Arc::clone(&draining),
    };
    let rotation = Rotation::new(Arc::clone(&keyring), Arc::clone(&store), world.clone(), key_file);
    let tokens = Tokens::new(Arc::clone(&store), world.clone()).with_keys(rotation.clone());
    let bell = Arc::<Bell>::default();
    let parts = api::Parts {
        store: Arc::clone(&store),
        world: world.clone(),
        keyring,
        auth: Arc::clone(&auth),
        lanes,
        bell: Arc::clone(&bell),
        catalog,
        directory,
        sources: sources.clone(),
        callbacks: callbacks.clone(),
        oauth: oauth.clone(),
        listeners: listeners.clone(),
        streams: streams.clone(),
        taps: ears.taps.clone(),
        contracts,
        public_url,
        quotas: Arc::clone(&quotas),
        rules,
        hosts: Arc::clone(&services.hosts),
        sandbox: services.sandbox.clone(),
        probes,
    };
    let api = Api::new(parts);
    Ok(Assembled {
        store,
        world,
        metrics,
        engine,
        tokens,
        rotation,
        auth,
        draining,
        bell,
        quotas,
        callbacks,
        errands,
        oauth,
        listeners,
        payloads,
        streams,
        services,
        door,
        sources,
        callback_door,
        api,
    })
}

struct Given<'a> {
    payloads: Option<Payloads>,
    config: &'a Config,
    world: &'a World,
    store: &'a Arc<dyn Store>,
    keyring: &'a Arc<Keyring>,
    metrics: &'a Metrics,
    engine: &'a Engine,
    catalog: &'a Catalog,
    address: SocketAddr,
    files: u64,
    taps: Taps,
}

fn services(given: Given<'_>) -> Result<Services, Error> {
    let Given { config, world, store, keyring, metrics, engine, catalog, address, .. } = given;
    let Given { payloads, files, taps, .. } = given;
    let catalog = catalog.clone();
    let limits = limits(config, files, engine.mailboxes().len());
    let sandbox = sandbox(limits, engine.mailboxes().len(), metrics)?;
    Ok(Services {
        contracts: contract::Directory::new(Arc::clone(store), sandbox.clone()),
        sandbox,
        world: world.clone(),
        providers: Arc::new(move |id| catalog.get(id)),
        store: Arc::clone(store),
        connector: Arc::new(connector(config, world, address)?),
        hosts: Arc::new(hosts(config)),
        payloads,
        keyring: Arc::clone(keyring),
        schedule: Schedule {
            gaps: config.delivery.retry_schedule.clone(),
            jitter: config.delivery.retry_jitter,
            disable_after: config.delivery.disable_after,
        },
        breakers: Arc::new(Breakers::new(breaker(&config.delivery), metrics.clone())),
        limits,
        require_https: config.delivery.require_https,
        retention: config.retention(),
        metrics: metrics.clone(),
        engine: engine.clone(),
        pressure: Arc::new(Pressure::default()),
        replies: Arc::default(),
        taps,
        consents: deliver::Consents::default(),
        tokens: deliver::Tokens::default(),
        origin: origin(config, address),
        attempt_keys: Mutex::new(KeySequence::after(store.last_attempt_key())),
    })
}

/// Children for programs: as many tenants as there are cores may do their worst, and others still
/// have a turn. What waits for one holds no more than a quarter of what attempts need.
fn sandbox(limits: deliver::Limits, cores: usize, metrics: &Metrics) -> io::Result<Sandbox> {
    let least = limits.in_flight.min(limits.sockets as usize);
    let settings = transform::Settings {
        program: transform::this_program()?,
        children: (cores + 1) * transform::PER_TENANT,
        waiting: (least * cores / 4).clamp(8, 1_024),
    };
    Ok(Sandbox::new(settings, Handle::current(), metrics.clone()))
}

/// The name that receivers know this installation by.
fn origin(config: &Config, address: SocketAddr) -> String {
    let public = config.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let host = public.and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| address.ip().to_string())
}

fn hosts(config: &Config) -> Hosts {
    let allowed = config.delivery.destination_hosts.iter();
    Hosts::new(allowed.map(|HostPort { host, port }| (host.clone(), *port)))
}

/// What keeps large payloads, if the operator wants that. Its address is the operator's, so whatever it
/// is may be dialled.
fn payloads(config: &Config, world: &World, keys: &UrlKeys) -> Result<Option<Payloads>, Error> {
    let network = Arc::clone(&world.network);
    let limit = config.delivery.connect_timeout;
    let parts = payloads::Parts {
        settings: &config.payloads,
        public_url: config.public_url.as_deref(),
        keys: keys.clone(),
        connector: Connector::new(network, Guard::open(), tls(config)?, limit),
        world: world.clone(),
        runtime: Handle::current(),
    };
    Payloads::open(parts).map_err(|error| Error::Setting(error.to_string()))
}

fn connector(config: &Config, world: &World, address: SocketAddr) -> Result<Connector, Error> {
    let delivery = &config.delivery;
    let setting = |error: &dyn std::fmt::Display| Error::Setting(error.to_string());
    let policy = Policy::new(
        delivery.allow_cidrs.iter().copied(),
        delivery.deny_cidrs.iter().copied(),
        delivery.nat64_prefixes.iter().copied(),
    );
    let policy = policy.map_err(|error| setting(&error))?;
    let ports = Ports::new(delivery.allowed_ports.ranges().to_vec());
    let guard = Guard::new(policy, ports, vec![address]);
    let network = Arc::clone(&world.network);
    let connector = Connector::new(network, guard, tls(config)?, delivery.connect_timeout);
    let Some(url) = &delivery.proxy else { return Ok(connector) };
    let proxy = Proxy::parse(url.expose(), delivery.proxy_except_cidrs.clone());
    Ok(connector.through(proxy.map_err(|error| setting(&error))?))
}

/// Whom connections to the outside believe.
fn tls(config: &Config) -> Result<Tls, Error> {
    let roots = match &config.delivery.extra_roots {
        Some(path) => vec![std::fs::read(path).map_err(|error| {
            Error::Setting(format!("delivery.extra_roots: {}: {error}", path.display()))
        })?],
        None => Vec::new(),
    };
    Tls::new(roots.iter().map(Vec::as_slice)).map_err(|error| Error::Setting(error.to_string()))
}

/// How long circuits stay open; none if they never open.
fn breaker(delivery: &config::Delivery) -> Option<Waits> {
    delivery.breaker.then_some(Waits {
        shortest: delivery.breaker_wait,
        longest: delivery.breaker_longest_wait.max(delivery.breaker_wait),
    })
}

fn limits(config: &Config, files: u64, cores: usize) -> deliver::Limits {
    // Half of the files that are left are for connections to targets, half for clients.
    let derived = (files.saturating_sub(OTHER_FILES) / 2).clamp(64, 20_000);
    let sockets = config.delivery.max_connections.map_or(derived, u64::from);
    deliver::Limits {
        timeout: config.delivery.timeout,
        longest: config.delivery.longest_timeout(),
        per_endpoint: config.delivery.in_flight_per_endpoint,
        sockets: u32::try_from(sockets / cores as u64).unwrap_or(u32::MAX),
        in_flight: config.limits.in_flight.div_ceil(cores),
        head: config.limits.lane_head,
        heads: config.limits.lane_heads.div_ceil(cores),
        head_bytes: config.limits.lane_bytes.div_ceil(cores),
        refill_bytes: config.limits.lane_bytes / 16,
        answer: outbound::Limits {
            keep: config.delivery.response_kept,
            read: config.delivery.response_read,
            ..outbound::Limits::default()
        },
    }
}

impl Assembled {
    /// Starts the cores. Each runs a share of the lanes and of the clients' connections.
    pub(super) fn start_cores(
        self,
        config: &Config,
        shared: Handle,
        phase: watch::Receiver<Phase>,
    ) -> io::Result<(Vec<Running>, Dealt)> {
        let Assembled { services, door, sources, callback_door, api, engine, oauth, .. } =
            self.clone();
        let Assembled { metrics, world, streams, payloads, .. } = self;
        let browsers = oauth::routes(oauth).merge(listen::routes(streams));
        let browsers = browsers.merge(payloads::routes(payloads));
        let router = api::router(api, crate::send::routes(door.clone()), browsers);
        let mut running = Vec::new();
        let mut mailboxes = Vec::new();
        let connections = config.limits.connections.div_ceil(engine.mailboxes().len());
        for (number, posts) in engine.mailboxes().iter().enumerate() {
            let dealt: Arc<Mailbox<http::Dealt>> = Arc::default();
            mailboxes.push(Arc::clone(&dealt));
            let (leaving, clients) = oneshot::channel();
            let (services, posts) = (Arc::clone(&services), Arc::clone(posts));
            let (door, router, shared) = (door.clone(), router.clone(), shared.clone());
            let (sources, callbacks) = (sources.clone(), callback_door.clone());
            let (metrics, mut phase) = (metrics.clone(), phase.clone());
            let entropy = Arc::clone(&world.entropy);
            let header_timeout = config.limits.header_timeout;
            let body = move || async move {
                let front = http::Front {
                    door: door.on_core(),
                    sources: sources.on_core(),
                    callbacks,
                    api: router,
                    shared,
                    header_timeout,
                    entropy,
                    metrics,
                    connections,
                    phase: phase.clone(),
                };
                tokio::task::spawn_local(deliver::work(services, posts, number == 0));
                let mut end = phase.clone();
                tokio::select! {
                    () = http::serve(front, dealt) => {}
                    // The time to finish is over, whatever clients still hold on to.
                    _ = end.wait_for(|phase| *phase == Phase::Ended) => {}
                }
                drop::<oneshot::Sender<()>>(leaving);
                // The lanes go on until all that they began is recorded.
                let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
            };
            let core = Core::start(&format!("core-{number}"), body)?;
            running.push(Running { core, clients });
        }
        Ok((running, mailboxes))
    }
}
