//! From a target to an open HTTP connection: resolve, vet, dial, shake hands.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ringback_domain::{
    attempt::{Phase, Timings},
    target::{Host, Scheme, Target},
};
use rustls::pki_types::ServerName;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Guard, Proxy, Reason, Tls,
    meter::{Meter, Metered, Transport},
};
use crate::seam::{BoxStream, Network, ResolveError};

/// Bytes of an answer's head, and of anything else that is buffered while reading or writing.
pub(super) const BUFFER: usize = 32 * 1024;

/// Of a name with many addresses, as many are tried: each gets a fair share of the connect limit,
/// and a smaller one would be too short for a far host.
const ADDRESSES_TRIED: usize = 4;

/// Opens connections, through the guard and nowhere else.
pub struct Connector {
    network: Arc<dyn Network>,
    guard: Guard,
    tls: Tls,
    proxy: Option<Proxy>,
    connect_limit: Duration,
    http: http1::Builder,
}

/// A connection that has been opened.
pub struct Opened {
    /// Sends requests over it, one at a time.
    pub sender: Sender,
    /// Moves its bytes. The owner polls it beside the exchanges until it ends.
    pub connection: Connection,
    /// Who was dialled.
    pub address: SocketAddr,
    /// How long name, connection and TLS took; the rest is zero.
    pub timings: Timings,
}

/// The sending half of an open connection; [`exchange`](super::exchange()) uses it.
pub struct Sender {
    pub(super) http: http1::SendRequest<Full<Bytes>>,
    pub(super) meter: Arc<Meter>,
    /// Ends the connection at once; gone once that is done.
    end: Option<oneshot::Sender<()>>,
}

/// Moves the bytes of an open connection.
///
/// It ends when the peer ends it, when the sender is dropped, and at once when an exchange has
/// left the connection unusable. Dropping it closes the socket.
#[must_use = "nothing is sent or received unless this is polled"]
pub struct Connection {
    http: http1::Connection<TokioIo<Metered>, Full<Bytes>>,
    /// Heard before anything else: the HTTP library would first finish writing to a peer that
    /// may never read. None once the sender is gone.
    end: Option<oneshot::Receiver<()>>,
}

/// Why no connection was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} failed: {reason}", .phase.name())]
pub struct ConnectFailure {
    /// One of `Dns`, `Guard`, `Connect`, `Tls`.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// How long each phase took, the failed one included.
    pub timings: Timings,
}

impl Connector {
    /// A connector in which the look-up, TCP (over all addresses) and TLS each end within
    /// `connect_limit`.
    pub fn new(network: Arc<dyn Network>, guard: Guard, tls: Tls, connect_limit: Duration) -> Self {
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER);
        // Head and payload are small: one buffer is cheaper than a list of two.
        http.writev(false);
        Self { network, guard, tls, proxy: None, connect_limit, http }
    }

    /// The same, through this proxy.
    #[must_use]
    pub fn through(self, proxy: Proxy) -> Self {
        Self { proxy: Some(proxy), ..self }
    }

    /// Opens a connection to `target` before `deadline`, the whole attempt's.
    pub async fn connect(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Opened, ConnectFailure> {
        self.connect_with(target, None, deadline).await
    }

    /// The same with TLS of the target's own, which is made of [`tls`](Self::tls).
    pub async fn connect_with(
        &self,
        target: &Target,
        own: Option<&Tls>,
        deadline: Instant,
    ) -> Result<Opened, ConnectFailure> {
        let mut timings = Timings::default();
        let tls = own.unwrap_or(&self.tls);
        self.open(target, tls, deadline, &mut timings)
            .await
            .map_err(|Failed(phase, reason)| ConnectFailure { phase, reason, timings })
    }

    /// The TLS of targets that have none of their own.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    async fn open(
        &self,
        target: &Target,
        tls: &Tls,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Opened, Failed> {
        let (address, stream) = self.reach(target, deadline, timings).await?;
        let transport = match target.scheme {
            Scheme::Http => Transport::Plain(stream),
            Scheme::Https => {
                let limit = self.limit(deadline);
                timed(&mut timings.tls, secure(tls, &target.host, stream, limit)).await?
            }
        };
        let meter = Arc::new(Meter::new());
        let io = TokioIo::new(Metered::new(transport, Arc::clone(&meter)));
        let (sender, connection) = self
            .http
            .handshake(io)
            .await
            .map_err(|_| Failed(Phase::Connect, Reason::ConnectFailed))?;
        let (end, ended) = oneshot::channel();
        Ok(Opened {
            sender: Sender { http: sender, meter, end: Some(end) },
            connection: Connection { http: connection, end: Some(ended) },
            address,
            timings: *timings,
        })
    }

    /// A TCP connection to the target, by whichever of its addresses answers.
    async fn reach(
        &self,
        target: &Target,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(SocketAddr, BoxStream), Failed> {
        let addresses = match &target.host {
            Host::Ip(ip) => vec![*ip],
            Host::Domain(name) => {
                let limit = self.limit(deadline);
                timed(&mut timings.dns, self.resolve(name, limit)).await?
            }
        };
        self.guard.vet(&addresses, target.port).map_err(|refused| {
            tracing::debug!(%refused, "refused to dial");
            Failed(Phase::Guard, Reason::RefusedByPolicy)
        })?;
        let order = alternate(addresses);
        let limit = self.limit(deadline);
        timed(&mut timings.connect, self.dial_first(&order, target.port, limit)).await
    }

    async fn resolve(&self, name: &str, limit: Instant) -> Result<Vec<IpAddr>, Failed> {
        let reason = match timeout_at(limit, self.network.resolve(name)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
            Ok(Ok(_) | Err(ResolveError::NotFound)) => Reason::DnsNotFound,
            Ok(Err(ResolveError::TimedOut)) | Err(_) => Reason::DnsTimeout,
            Ok(Err(error @ ResolveError::Failed(_))) => {
                tracing::debug!(%error, "a name lookup failed");
                Reason::DnsFailed
            }
        };
        Err(Failed(Phase::Dns, reason))
    }

    /// Tries one address after the other; each may use its share of what is left of the time, so
    /// that one that swallows packets leaves some to the next.
    async fn dial_first(
        &self,
        addresses: &[IpAddr],
        port: u16,
        limit: Instant,
    ) -> Result<(SocketAddr, BoxStream), Failed> {
        let mut last = Failed(Phase::Connect, Reason::ConnectFailed);
        let tried = addresses.len().min(ADDRESSES_TRIED);
        for (index, ip) in addresses.iter().take(tried).enumerate() {
            let now = Instant::now();
            let share = limit.saturating_duration_since(now) / (tried - index) as u32;
            let address = SocketAddr::new(*ip, port);
            match self.dial(address, now + share).await {
                Ok(stream) => return Ok((address, stream)),
                Err(failed) => last = failed,
            }
        }
        Err(last)
    }

    /// The only place that opens a socket to the outside, or a tunnel: the guard is asked on the line
    /// before.
    async fn dial(&self, address: SocketAddr, limit: Instant) -> Result<BoxStream, Failed> {
        self.guard.check(address).map_err(|_| Failed(Phase::Guard, Reason::RefusedByPolicy))?;
        if let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.is_for(address.ip())) {
            let dialled = proxy.dial(&*self.network, address, limit).await;
            return dialled.map_err(|reason| Failed(Phase::Connect, reason));
        }
        match timeout_at(limit, self.network.connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Failed(Phase::Connect, dial_reason(&error))),
            Err(_) => Err(Failed(Phase::Connect, Reason::ConnectTimeout)),
        }
    }

    /// Until when a step that begins now may take.
    fn limit(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.connect_limit)
    }
}

impl Sender {
    /// Whether the connection is known to be unusable. An open one may still turn out to have
    /// been closed by the peer a moment ago.
    pub fn is_closed(&self) -> bool {
        self.end.is_none() || self.http.is_closed()
    }

    /// Ends the connection, whatever it is doing.
    pub(super) fn abandon(&mut self) {
        if let Some(end) = self.end.take() {
            // Whether it has ended by itself before makes no difference.
            let _ = end.send(());
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = &mut self.end {
            match Pin::new(end).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(()),
                // The sender was dropped, so the connection will end in its own way.
                Poll::Ready(Err(_)) => self.end = None,
                Poll::Pending => {}
            }
        }
        // Whoever waits for an answer is told the error; nobody else needs it.
        Pin::new(&mut self.http).poll(cx).map(|_| ())
    }
}

struct Failed(Phase, Reason);

async fn secure(
    tls: &Tls,
    host: &Host,
    stream: BoxStream,
    limit: Instant,
) -> Result<Transport, Failed> {
    let name = server_name(host).ok_or(Failed(Phase::Tls, Reason::TlsFailed))?;
    match timeout_at(limit, tls.handshake(name, stream)).await {
        Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
        Ok(Err(reason)) => Err(Failed(Phase::Tls, reason)),
        Err(_) => Err(Failed(Phase::Tls, Reason::TlsTimeout)),
    }
}

/// Adds the time that `step` takes to `spent`.
async fn timed<T>(spent: &mut Duration, step: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = step.await;
    *spent += started.elapsed();
    outcome
}

/// The two families in turn, each in its own order: where one of them leads nowhere, the second
/// try is of the other.
fn alternate(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let mut order = Vec::with_capacity(v4.len() + v6.len());
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    loop {
        let before = order.len();
        order.extend(v4.next());
        order.extend(v6.next());
        if order.len() == before {
            return order;
        }
    }
}

fn dial_reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::ConnectionRefused,
        io::ErrorKind::TimedOut => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    }
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
        Host::Domain(name) => ServerName::try_from(name.as_str()).ok().map(|name| name.to_owned()),
    }
}
