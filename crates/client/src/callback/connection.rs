//! Requests that survive a server that is away for a while: what is safe to repeat is repeated, with
//! pauses that grow, until the patience is at its end.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ringback_tls::Trust;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::Error;
use crate::BoxError;

/// How long a server may take for an answer that it does not hold back.
const LIMIT: Duration = Duration::from_secs(15);
/// How long it holds a request back for which there is no answer yet.
const POLL: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A server, and what every request to it carries.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) base: Uri,
    pub(super) headers: HeaderMap,
    /// Only for a server behind https.
    pub(super) tls: Option<TlsConnector>,
    pub(super) patience: Duration,
}

/// A request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    pub(super) limit: Duration,
    /// Repeated only where it is certain that it was not taken.
    pub(super) is_once: bool,
}

/// A whole response.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Connection {
    pub(super) fn new(base: &str, token: &str, patience: Duration) -> Result<Self, Error> {
        let uri: Option<Uri> = base.trim_end_matches('/').parse().ok();
        let uri = uri.filter(|uri| uri.host().is_some());
        let wrong = || Error::Setup(format!("{base:?} is not the URL of a server"));
        let base = uri.ok_or_else(wrong)?;
        let tls = match base.scheme_str() {
            Some("http") => None,
            Some("https") => Some(tls()?),
            _ => return Err(wrong()),
        };
        let unsendable = |_| Error::Setup("the token cannot be sent".to_owned());
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(unsendable)?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, token),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ]);
        if let Some(host) = base.authority().and_then(|it| it.as_str().rsplit('@').next()) {
            headers.insert(header::HOST, HeaderValue::from_str(host).map_err(unsendable)?);
        }
        Ok(Self { base, headers, tls, patience })
    }

    /// What the server says, if it is a success.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Said, Error> {
        let mut away = self.away();
        loop {
            let mut is_not_taken = false;
            let (problem, after) = match timeout(ask.limit, self.once(ask)).await {
                Ok(Ok(said)) if said.status.is_success() => return Ok(said),
                Ok(Ok(said)) => {
                    let refused = Error::refusal(said.status, &said.body);
                    if !is_temporary(said.status) {
                        return Err(refused);
                    }
                    // The server says so before it does anything.
                    is_not_taken = matches!(said.status.as_u16(), 429 | 503);
                    (refused.into(), said.retry_after())
                }
                Ok(Err(error)) => (error, None),
                Err(elapsed) => (elapsed.into(), None),
            };
            if ask.is_once && !is_not_taken {
                return Err(Error::Unavailable(problem));
            }
            away.pause(problem, after).await?;
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Said, BoxError> {
        self.open(ask).await?.whole().await
    }

    /// Sends it once, without limits of time.
    pub(super) async fn open(&self, ask: &Ask) -> Result<Opened, BoxError> {
        let path = format!("{}{}", self.base.path().trim_end_matches('/'), ask.path);
        let mut request = Request::builder().method(&ask.method).uri(path);
        for (name, value) in &ask.headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        let mut request = request.body(Full::new(ask.body.clone()))?;
        request.headers_mut().extend(self.headers.clone());
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.dial().await?)).await?;
        // Its error is only an echo of the exchange's.
        let mut carrier = Carrier(Some(Box::pin(async move { drop(connection.await) })));
        let mut sending = Box::pin(sender.send_request(request));
        let response = poll_fn(|context| {
            carrier.poll(context);
            sending.as_mut().poll(context)
        });
        let (parts, body) = response.await?.into_parts();
        Ok(Opened { status: parts.status, headers: parts.headers, body, carrier })
    }

    async fn dial(&self) -> Result<Box<dyn Io>, BoxError> {
        let host = self.base.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.base.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(host.to_owned().try_into()?, stream).await?),
        })
    }

    /// Counts how long the server has been away.
    pub(super) fn away(&self) -> Away {
        Away { patience: self.patience, since: Instant::now(), attempts: 0 }
    }
}

/// Without the token.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Ask {
    pub(super) fn new(method: Method, path: &str) -> Self {
        let (path, headers, body) = (path.to_owned(), Vec::new(), Bytes::new());
        Self { method, path, headers, body, limit: LIMIT, is_once: false }
    }

    /// The server is to hold it back until there is an answer.
    pub(super) fn patient(self) -> Self {
        let ask = self.header("prefer", &format!("wait={}", POLL.as_secs()));
        Self { limit: POLL + LIMIT, ..ask }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Said {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        text.parse().ok().map(Duration::from_secs)
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What moves the bytes of a connection; polled by whoever reads from it, so that it needs no task.
struct Carrier(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Carrier {
    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(carrier) = &mut self.0
            && carrier.as_mut().poll(context).is_ready()
        {
            self.0 = None;
        }
    }
}

/// A response whose body is still to come.
pub(super) struct Opened {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    carrier: Carrier,
}

impl Opened {
    /// The next piece of the body. Dropping the future loses nothing.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, BoxError> {
        loop {
            let frame = poll_fn(|context| {
                self.carrier.poll(context);
                Pin::new(&mut self.body).poll_frame(context)
            });
            match frame.await.transpose()?.map(|frame| frame.into_data()) {
                Some(Ok(data)) => return Ok(Some(data)),
                // Trailers.
                Some(Err(_)) => {}
                None => return Ok(None),
            }
        }
    }

    pub(super) async fn whole(mut self) -> Result<Said, BoxError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(Said { status: self.status, headers: self.headers, body: body.into() })
    }
}

/// How long the server has been away, and the pauses before it is asked again.
#[derive(Debug)]
pub(super) struct Away {
    patience: Duration,
    since: Instant,
    attempts: u32,
}

impl Away {
    /// It has just been there.
    pub(super) fn ended(&mut self) {
        (self.since, self.attempts) = (Instant::now(), 0);
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if that would be too late.
    pub(super) async fn pause(
        &mut self,
        problem: BoxError,
        after: Option<Duration>,
    ) -> Result<(), Error> {
        let longest = SHORTEST_PAUSE * 2_u32.saturating_pow(self.attempts.min(16));
        self.attempts += 1;
        // Those who were cut off together do not come back together.
        let share = 0.5 + f64::from(u16::from_be_bytes(random())) / f64::from(u16::MAX) / 2.0;
        let pause = longest.min(LONGEST_PAUSE).mul_f64(share).max(after.unwrap_or_default());
        if self.since.elapsed() + pause > self.patience {
            return Err(Error::Unavailable(problem));
        }
        sleep(pause).await;
        Ok(())
    }
}

/// Whether the server is away or busy, or something before it says so.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502..=504)
}

/// An idempotency key that nobody else has.
pub(super) fn random_key() -> String {
    format!("{:032x}", u128::from_be_bytes(random()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only where the system has no randomness, and then nothing encrypted works either.
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    debug_assert!(filled.is_ok());
    bytes
}

fn tls() -> Result<TlsConnector, Error> {
    let config = ringback_tls::client(Trust::Name(ringback_tls::system()));
    let config = config.map_err(|wrong| Error::Setup(wrong.to_string()))?;
    Ok(TlsConnector::from(Arc::new(config)))
}
