//! The real network: sockets of the operating system and a resolver of our own.
//!
//! The resolver never blocks a thread, and all that it spawns lives on one runtime (the shared
//! one): per-core runtimes come and go with their cores, and a socket registered with one of them
//! must not be what another waits for. A look-up is rare beside an exchange, since lanes keep
//! their connections, so the hop costs nothing that matters.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
        ResolverOpts,
    },
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinSet,
};

use crate::seam::{Accepted, BoxFuture, BoxStream, Listener, Network, ResolveError};

/// A name's answer is believed for at most this long, whatever its owner says: an endpoint that
/// moves is found again within a minute.
const LONGEST_TTL: Duration = Duration::from_secs(60);

/// That a name does not exist is believed for less, since it is often just being made.
const LONGEST_NEGATIVE_TTL: Duration = Duration::from_secs(10);

/// One question to one name server. With one repetition it stays inside the connect limit.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers kept in memory.
const CACHED_ANSWERS: u64 = 16 * 1024;

/// The operating system's network.
pub struct SystemNetwork {
    resolver: TokioResolver,
    runtime: Handle,
}

/// Why no resolver could be made.
#[derive(Debug, thiserror::Error)]
#[error("the name resolver cannot be configured: {0}")]
pub struct ResolverError(#[source] Box<NetError>);

impl SystemNetwork {
    /// A network that asks `name_servers`, or, where there are none, what the system is configured
    /// to ask (`/etc/resolv.conf`, its search domains and `/etc/hosts`). Look-ups run on `runtime`.
    pub fn new(name_servers: &[SocketAddr], runtime: Handle) -> Result<Self, ResolverError> {
        let resolver = resolver(name_servers).map_err(|error| ResolverError(Box::new(error)))?;
        Ok(Self { resolver, runtime })
    }
}

impl Network for SystemNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            let resolver = self.resolver.clone();
            let host = host.to_owned();
            // A set of one: dropping this future ends the look-up as well.
            let mut lookup = JoinSet::new();
            lookup.spawn_on(async move { resolver.lookup_ip(host).await }, &self.runtime);
            match lookup.join_next().await {
                Some(Ok(Ok(found))) => addresses(found.iter()),
                Some(Ok(Err(error))) => Err(failed(&error)),
                Some(Err(_)) | None => Err(ResolveError::Failed("the look-up was ended".into())),
            }
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            // Requests are written whole; waiting for more to send only adds latency.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxStream)
        })
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Listening(listener)) as Box<dyn Listener>)
        })
    }
}

struct Listening(TcpListener);

impl Listener for Listening {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Accepted, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            let stream = stream.into_std()?;
            let attach = move || Ok(Box::new(TcpStream::from_std(stream)?) as BoxStream);
            Ok((Box::new(attach) as Accepted, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn resolver(name_servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if name_servers.is_empty() {
        system()?
    } else {
        let mut builder = asking(name_servers);
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    bound(builder.options_mut());
    builder.build()
}

fn system() -> Result<ResolverBuilder<TokioRuntimeProvider>, NetError> {
    match TokioResolver::builder_tokio() {
        // As resolv.conf(5) says: without the file, the machine itself is asked.
        Err(NetError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(asking(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]))
        }
        other => other,
    }
}

fn asking(name_servers: &[SocketAddr]) -> ResolverBuilder<TokioRuntimeProvider> {
    let servers = name_servers.iter().copied().map(name_server).collect();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

/// Ours are the limits and which addresses are asked for; the rest stays as the system has it.
fn bound(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = options.timeout.min(QUESTION_TIMEOUT);
    options.attempts = options.attempts.min(1);
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(LONGEST_TTL);
    options.negative_max_ttl = Some(LONGEST_NEGATIVE_TTL);
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn addresses(found: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, ResolveError> {
    let found: Vec<IpAddr> = found.collect();
    if found.is_empty() { Err(ResolveError::NotFound) } else { Ok(found) }
}

fn failed(error: &NetError) -> ResolveError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => ResolveError::NotFound,
        NetError::Timeout => ResolveError::TimedOut,
        other => ResolveError::Failed(other.to_string()),
    }
}
