//! The seams: everything the process asks of the world.
//!
//! Clock, randomness and network are traits, so that the whole can be run on a simulated world.
//! The executor is one too: timers are `tokio::time` (whose clock a simulation can pause), and
//! every thread and runtime is made in `core`, nowhere else. The store has its own crate.

use std::{future::Future, io, net::IpAddr, net::SocketAddr, pin::Pin, sync::Arc};

use ringback_domain::time::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The three small seams, as they are handed through the process.
#[derive(Clone)]
pub struct World {
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Names, connections, listeners.
    pub network: Arc<dyn Network>,
}

/// Wall-clock time. Durations and deadlines are `tokio::time`'s, never this clock's.
pub trait Clock: Send + Sync {
    /// The present, in milliseconds since 1970 UTC.
    fn now(&self) -> Timestamp;
}

/// Randomness, from a source fit for secrets.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The network as the process sees it. Only `outbound` calls `resolve` and `connect`.
pub trait Network: Send + Sync {
    /// Every address that a host name has now.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>>;

    /// Opens a TCP connection to exactly this address.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>>;

    /// Listens on this address.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
}

/// A byte stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A byte stream whose kind does not matter.
pub type BoxStream = Box<dyn Stream>;

/// A connection that was accepted, not yet tied to a runtime: whoever serves it calls this on the
/// runtime that will, so that its events arrive there and nowhere else.
pub type Accepted = Box<dyn FnOnce() -> io::Result<BoxStream> + Send>;

/// A listening socket.
pub trait Listener: Send {
    /// The next connection, with the peer's address.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Accepted, SocketAddr)>>;

    /// The address that it listens on (the port is known here when 0 was asked for).
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ResolveError {
    /// The name exists nowhere, or has no address.
    #[error("the host name has no address")]
    NotFound,
    /// The name servers did not give an answer.
    #[error("the name lookup failed: {0}")]
    Failed(String),
    /// The name servers did not answer in time.
    #[error("the name lookup timed out")]
    TimedOut,
}
