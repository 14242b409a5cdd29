//! The process: what is started in which order, and how it ends.

mod assemble;
mod signals;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::assemble::Assembled;
pub(crate) use self::signals::Signals;
use crate::{
    config::Config,
    control::{self, Request, Response, tokens::Tokens},
    core::{Phase, Shared},
    data_lock::{DataLock, LockError},
    dev, fd_limit, housekeeping, http, keyring,
    keyring::Rotation,
    outbound,
    receive::catalog::{self, Accounts, Catalog},
    seam::Listener,
    tasks, telemetry, wiring,
};

/// Threads of the shared runtime: API calls wait for the store, they do not compute.
const SHARED_THREADS: usize = 2;

/// Which command runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ringback serve`
    Serve,
    /// `ringback dev`
    Dev,
}

/// Why the server did not start, or ended other than as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that shows only when it is used to be wrong (exit 64).
    #[error("{0}")]
    Setting(String),
    /// The data directory cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] wiring::OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ringback_store::Unavailable),
    /// There is no key to seal with.
    #[error(transparent)]
    Key(#[from] keyring::Error),
    /// The name servers cannot be used.
    #[error(transparent)]
    Resolver(#[from] outbound::ResolverError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}{}", listen_elsewhere(reason))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// The system gives no threads, signals or sockets.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// What to do where somebody else listens already.
fn listen_elsewhere(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            "; perhaps a server runs already: --listen 127.0.0.1:0 takes a free port"
        }
        _ => "",
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// [`Error`] says what is missing. An orderly end is no error.
pub fn run(config: Config, mode: Mode) -> Result<(), Error> {
    telemetry::logs::init(&config.log).map_err(|error| Error::Setting(error.to_string()))?;
    let wrong = |error: catalog::Error| Error::Setting(error.to_string());
    let catalog = Catalog::open(config.providers.as_deref()).map_err(wrong)?;
    let accounts = Accounts::open(config.oauth.providers.as_deref()).map_err(wrong)?;
    let catalogs = (catalog, accounts);
    let files = fd_limit::raise();
    let mut lock = DataLock::acquire(&config.data)?;
    let shared = Shared::start(SHARED_THREADS)?;
    let result = shared.run(serve(config, mode, catalogs, &mut lock, &shared, files));
    shared.stop();
    result
}

/// Does on the store itself what a server would do through its control socket.
///
/// # Errors
/// When the store cannot be opened.
pub fn control(config: &Config, lock: DataLock, request: Request) -> Result<Response, Error> {
    let shared = Shared::start(1)?;
    let response = shared.run(async {
        let world = wiring::world(&[], shared.handle())?;
        let store = wiring::visited(config, lock.dir())?;
        let tokens = Tokens::new(Arc::clone(&store), world.clone());
        let response = if request == (Request::RotateKeys {}) && config.store.url.is_some() {
            // A server elsewhere could not read what is sealed from then on.
            let reason = "with a database, the key is rotated through the server that works on it";
            Response::Refused { reason: reason.to_owned() }
        } else if request.is_about_keys() {
            let (keys, file) = keyring::load(&config.secrets, lock.dir(), &*world.entropy)?;
            keyring::check(&keys, &*store, &*world.entropy).await?;
            let keys = Rotation::new(Arc::new(keys), Arc::clone(&store), world, file);
            let response = tokens.with_keys(keys.clone()).handle(request).await;
            if let Response::Rotated { .. } = response {
                // A server does this by itself.
                keys.reseal().await?;
            }
            response
        } else {
            tokens.handle(request).await
        };
        store.close().await;
        Ok(response)
    });
    shared.stop();
    response
}

async fn serve(
    config: Config,
    mode: Mode,
    (catalog, accounts): (Catalog, Accounts),
    lock: &mut DataLock,
    shared: &Shared,
    files: u64,
) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let world = wiring::world(&config.delivery.name_servers, shared.handle())?;
    let (listener, address) = listen(&world, config.listen).await?;
    let control = control::Server::bind(lock.dir())?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let assembled = assemble::assemble(
        &config,
        world,
        lock.dir(),
        address,
        files,
        (catalog.clone(), accounts.clone()),
    )
    .await?;
    let Assembled { store, world, metrics, engine, tokens, auth, draining, bell, quotas, .. } =
        assembled.clone();
    let (callbacks, errands) = (assembled.callbacks.clone(), assembled.errands.clone());
    let oauth = assembled.oauth.clone();
    let (listeners, payloads) = (assembled.listeners.clone(), assembled.payloads.clone());
    let rotation = assembled.rotation.clone();
    let (mut cores, mailboxes) = assembled.start_cores(&config, shared.handle(), phases)?;

    let mut tasks = JoinSet::new();
    let dealing = tasks.spawn(http::deal(listener, mailboxes));
    tasks.spawn(housekeeping::run(
        Arc::clone(&store),
        world.clone(),
        metrics,
        config.audit_retention(),
        config.retention(),
    ));
    tasks.spawn(async move { rotation.keep().await });
    let timer = callbacks.clone();
    tasks.spawn(async move { timer.keep_time().await });
    tasks.spawn(async move { errands.run().await });
    if let Some(payloads) = payloads {
        tasks.spawn(payloads.keep_tidy());
    }
    let places = listeners.clone();
    tasks.spawn(async move { places.keep().await });
    tasks.spawn(catalog.keep());
    tasks.spawn(accounts.keep());
    tasks.spawn(quotas.keep(Arc::clone(&store), world.clone()));
    let (lanes, clock) = (Arc::new(engine.clone()), world.clone());
    let (tasks_store, retention) = (Arc::clone(&store), config.retention());
    let runner = tasks::Runner { store: tasks_store, lanes, world: clock, bell, retention };
    tasks.spawn(runner.run());
    tasks.spawn(async move {
        let tokens = Arc::new(tokens);
        let answer = |request| {
            let (tokens, auth) = (Arc::clone(&tokens), Arc::clone(&auth));
            async move {
                let response = tokens.handle(request).await;
                // A revocation counts from now on, not from when the memory of it fades.
                auth.forget();
                response
            }
        };
        control.run(answer).await;
    });
    if let Err(error) = lock.announce(address) {
        tracing::warn!(%error, "the lock file does not say where this server listens");
    }
    announce(address)?;
    if let (Mode::Dev, Some(token)) = (mode, &config.bootstrap_token) {
        let token = token.expose().to_owned();
        tasks.spawn(dev::run(world, dev::Server { listen: address, token }));
    }

    signals.stop().await;
    tracing::info!("stopping: finishing what is under way");
    draining.store(true, Ordering::Relaxed);
    dealing.abort();
    callbacks.close();
    let ending = async {
        // Clients first: what they are told to be accepted must be committed.
        let _ = phase.send(Phase::Closing);
        listeners.close().await;
        for core in &mut cores {
            core.without_clients().await;
        }
        oauth.land().await;
        engine.drain().await;
    };
    tokio::select! {
        finished = timeout(config.limits.shutdown, ending) => {
            if finished.is_err() {
                tracing::warn!("the time to finish is over: what is under way will be sent again");
            }
        }
        () = signals.stop() => tracing::warn!("told to stop again: ending at once"),
    }
    let _ = phase.send(Phase::Ended);
    tasks.shutdown().await;
    store.close().await;
    cores.into_iter().for_each(assemble::Running::join);
    tracing::info!("stopped");
    Ok(())
}

async fn listen(
    world: &crate::seam::World,
    address: SocketAddr,
) -> Result<(Box<dyn Listener>, SocketAddr), Error> {
    let failed = |reason| Error::Listen { address, reason };
    let listener = world.network.listen(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The one line on the standard output: programs wait for it and read the address from it.
fn announce(address: SocketAddr) -> io::Result<()> {
    use std::io::Write;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}
