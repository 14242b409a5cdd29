//! The composition root: the only file that names concrete backends.

use std::{net::SocketAddr, path::Path, sync::Arc};

use aws_lc_rs::rand;
use ringback_domain::time::Timestamp;
use ringback_store::{
    Commit, Observer, Store, postgres,
    postgres::Postgres,
    sqlite,
    sqlite::Sqlite,
    transfer::{Leftovers, Transfer},
};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    config::Config,
    outbound::{ResolverError, SystemNetwork},
    seam::{Clock, Entropy, World},
    telemetry::metrics::Metrics,
};

/// The real world. Name look-ups run on `shared`.
///
/// # Errors
/// When the name servers cannot be used.
pub fn world(name_servers: &[SocketAddr], shared: Handle) -> Result<World, ResolverError> {
    Ok(World {
        clock: clock(),
        entropy: Arc::new(SystemEntropy),
        network: Arc::new(SystemNetwork::new(name_servers, shared)?),
    })
}

/// The clock of the real world, for a command that needs nothing else of it.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Random bytes of the real world, likewise.
pub fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

pub use ringback_store::transfer::Error as TransferError;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The one in the data directory.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The database that the configuration names.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// The store that the configuration names, or else that of the data directory, whose lock is held.
/// Reading a directory or reaching a server takes its time; the runtime is told that this blocks.
///
/// # Errors
/// When its files or its server cannot be used.
pub fn store(config: &Config, data: &Path, metrics: &Metrics) -> Result<Arc<dyn Store>, OpenError> {
    opened(|| match &config.store.url {
        Some(url) => {
            Ok(Arc::new(Postgres::open(url.expose(), &on_a_server(config, metrics))?) as _)
        }
        None => Ok(Arc::new(Sqlite::open(data, &embedded(config, metrics))?) as _),
    })
}

/// The same store for a command, beside whose work a server on the same database goes on.
///
/// # Errors
/// As [`store`].
pub fn visited(config: &Config, data: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let metrics = Metrics::new();
    opened(|| match &config.store.url {
        Some(url) => {
            Ok(Arc::new(Postgres::visit(url.expose(), &on_a_server(config, &metrics))?) as _)
        }
        // Its lock is held, so there is no server.
        None => Ok(Arc::new(Sqlite::open(data, &embedded(config, &metrics))?) as _),
    })
}

/// A copy of what is in the data directory, whose lock is held, into the database at `url`.
///
/// # Errors
/// When one of them cannot be used.
pub fn transfer(data: &Path, url: &str, leftovers: Leftovers) -> Result<Transfer, TransferError> {
    Transfer::open(data, url, leftovers)
}

fn opened(
    open: impl FnOnce() -> Result<Arc<dyn Store>, OpenError>,
) -> Result<Arc<dyn Store>, OpenError> {
    // A runtime of one thread has nobody else to tell.
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(open),
        _ => open(),
    }
}

fn embedded(config: &Config, metrics: &Metrics) -> sqlite::Options {
    sqlite::Options {
        cache_bytes: u64::from(config.store.cache_mib) << 20,
        log_bytes: u64::from(config.store.checkpoint_mib) << 20,
        readers: config.store.readers,
        queue: config.limits.intake_queue,
        queue_bytes: config.limits.intake_bytes,
        claims: config.limits.idempotency_entries,
        observer: observer(metrics),
    }
}

fn on_a_server(config: &Config, metrics: &Metrics) -> postgres::Options {
    postgres::Options {
        connections: config.store.connections,
        queue: config.limits.intake_queue,
        queue_bytes: config.limits.intake_bytes,
        retention: config.retention(),
        observer: observer(metrics),
        ..postgres::Options::default()
    }
}

fn observer(metrics: &Metrics) -> Observer {
    let metrics = metrics.clone();
    Arc::new(move |commit: Commit| {
        metrics.commit.observe(commit.took);
        metrics.commit_batch.count(u32::try_from(commit.writes).unwrap_or(u32::MAX));
    })
}

/// How many cores there are to run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // It only fails when the system has no randomness, and then no secret may be made.
        if rand::fill(bytes).is_err() {
            tracing::error!("the system gives no random bytes: ending");
            std::process::exit(70);
        }
    }
}
