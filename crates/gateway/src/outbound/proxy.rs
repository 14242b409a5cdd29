//! The operator's way out: a proxy that opens tunnels to addresses that were judged here.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use ringback_domain::target::{Host, Rules, Scheme, Target, TargetError};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::{Reason, tunnel};
use crate::seam::{BoxStream, Network};

/// The operator is told at most this often that the proxy is of no use.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A proxy. It is never asked for a name: which address is dialled is decided here.
pub struct Proxy {
    host: Host,
    port: u16,
    shown: String,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Zeroizing<String>>,
    /// Networks that are dialled without it.
    except: Vec<IpNet>,
    told: Mutex<Option<Instant>>,
}

/// Why a URL names no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It is no URL, or one that cannot be dialled.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// It is another one than `http://[user:password@]host:port`.
    #[error("it is no URL such as http://user:password@proxy.example.com:3128")]
    Form,
}

impl Proxy {
    /// The proxy at `http://[user:password@]host:port`, but not for these networks.
    ///
    /// # Errors
    /// [`ProxyError`], which does not repeat the password.
    pub fn parse(url: &str, except: Vec<IpNet>) -> Result<Proxy, ProxyError> {
        let target = Target::parse(url, Rules { require_https: false })?;
        if target.scheme != Scheme::Http || target.path_and_query != "/" {
            return Err(ProxyError::Form);
        }
        Ok(Proxy {
            authorization: target.credentials.map(|basic| basic.header_value()),
            shown: target.host_header,
            host: target.host,
            port: target.port,
            except,
            told: Mutex::default(),
        })
    }

    /// Whether this address is dialled through it.
    pub(super) fn is_for(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !self.except.iter().any(|network| network.contains(&address))
    }

    /// A tunnel to an address that was judged, before `limit`.
    ///
    /// # Errors
    /// A [`Reason`]: whether the proxy is of no use, or the address cannot be reached through it.
    pub(super) async fn dial(
        &self,
        network: &dyn Network,
        address: SocketAddr,
        limit: Instant,
    ) -> Result<BoxStream, Reason> {
        let mut stream = self.reach(network, limit).await.map_err(|why| {
            self.tell(&why);
            Reason::ProxyUnreachable
        })?;
        let authorization = self.authorization.as_ref().map(|value| &***value);
        let place = address.to_string();
        let asked = tunnel::ask(&mut stream, &place, authorization);
        match timeout_at(limit, asked).await {
            // It waits for the address as we do.
            Err(_) | Ok(Ok((504, _))) => Err(Reason::ConnectTimeout),
            Ok(Ok((200..=299, _))) => Ok(stream),
            Ok(Ok((500..=599, _))) => Err(Reason::ConnectFailed),
            Ok(Ok((_, line))) => {
                self.tell(&format_args!("it answers {line:?}"));
                Err(Reason::ProxyRefused)
            }
            Ok(Err(error)) => {
                self.tell(&error);
                Err(Reason::ProxyUnreachable)
            }
        }
    }

    /// A connection to the proxy itself. The operator has named it, so nobody judges where it is.
    async fn reach(&self, network: &dyn Network, limit: Instant) -> io::Result<BoxStream> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let addresses = match &self.host {
            Host::Ip(ip) => vec![*ip],
            Host::Domain(name) => {
                let found = timeout_at(limit, network.resolve(name)).await.map_err(late)?;
                found.map_err(io::Error::other)?
            }
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (index, ip) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = limit.saturating_duration_since(now);
            let share = now + left / (addresses.len() - index) as u32;
            let dialled = timeout_at(share, network.connect(SocketAddr::new(*ip, self.port))).await;
            match dialled.map_err(late).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Tells the operator. It is nothing that a tenant could do something about.
    fn tell(&self, why: &dyn fmt::Display) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::error!(proxy = %self.shown, %why, "delivery.proxy opens no way out");
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.shown)
    }
}
