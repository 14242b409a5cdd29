//! A small client of our own HTTP API, for the commands: one connection a request, JSON in and out.

mod proxy;
mod websocket;

pub(crate) use proxy::Proxy;
pub(crate) use websocket::Opened;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use url::{Host, Url};

use crate::outbound::{Reason, Tls, TlsError};
use crate::seam::{BoxStream, Network, ResolveError};
use crate::terminal::printable;

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// For a whole exchange.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and the token to speak to it with.
#[derive(Clone)]
pub struct ApiClient {
    base: Url,
    token: String,
    network: Arc<dyn Network>,
    /// Only for a server behind https.
    tls: Option<Tls>,
    /// For a whole exchange; of what is followed, for each piece.
    patience: Duration,
    /// What stands between this machine and the server, if something does.
    proxy: Option<Proxy>,
}

/// How a followed answer ended.
#[derive(Debug)]
pub enum Followed {
    /// The other side ended it.
    Ended,
    /// There was nothing to follow: an answer that is no success.
    Refused(Answer),
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status, of whatever class.
    pub status: StatusCode,
    /// As received.
    pub headers: HeaderMap,
    /// As received; our API's is JSON or empty.
    pub body: Bytes,
}

impl Answer {
    /// The body, null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What the server says of why it does not do it: `404 Not Found: there is no such application`.
    pub fn refusal(&self) -> String {
        let json = self.json();
        let text = match &json["detail"] {
            Value::String(detail) => detail.clone(),
            Value::Array(problems) => problems.iter().map(problem).collect::<Vec<_>>().join("; "),
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        };
        format!("{}: {}", self.status, printable(&text))
    }
}

/// `body.returnTo: is not listed`
fn problem(problem: &Value) -> String {
    let place = problem["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let place = place.collect::<Vec<_>>().join(".");
    format!("{place}: {}", problem["msg"].as_str().unwrap_or_default())
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is no http or https URL.
    #[error("{0:?} is not the URL of a server, such as http://127.0.0.1:8071")]
    Url(String),
    /// Certificates cannot be checked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server's certificate or protocol is refused.
    #[error("no secure connection to {0}: {1}")]
    Handshake(Url, Reason),
    /// The server's name has no address.
    #[error("cannot find {0}: {1}")]
    Resolve(Url, ResolveError),
    /// Nobody listens there.
    #[error("cannot connect to {0}: {1}")]
    Connect(Url, io::Error),
    /// The token or a name in the path cannot be sent.
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    /// The connection broke before the answer's end.
    #[error("no answer from {0}: {1}")]
    Broken(Url, Box<dyn std::error::Error + Send + Sync>),
    /// It takes too long.
    #[error("no answer from {0} within {secs} s", secs = .1.as_secs())]
    TimedOut(Url, Duration),
    /// The proxy does not let us through.
    #[error("the proxy does not connect to {0}: {1}")]
    Proxy(Url, String),
    /// What answers agrees to another protocol than the one that was asked for.
    #[error("{0} does not speak WebSocket: {1}")]
    WebSocket(Url, &'static str),
}

impl ApiClient {
    /// A client of the server at `base`.
    ///
    /// # Errors
    /// [`CallError::Url`], or [`CallError::Tls`] for an https URL.
    pub fn new(base: &str, token: String, network: Arc<dyn Network>) -> Result<Self, CallError> {
        let url = Url::parse(base).ok().filter(|url| url.has_host());
        let url = url.ok_or_else(|| CallError::Url(base.to_owned()))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(Tls::new([])?),
            _ => return Err(CallError::Url(base.to_owned())),
        };
        Ok(Self { base: url, token, network, tls, patience: PATIENCE, proxy: None })
    }

    /// The same client, which waits so long for an answer.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self { token, ..self }
    }

    /// The same client through a proxy, or through none.
    #[must_use]
    pub(crate) fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// The server's URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Sends a request and waits for the answer. `path` is below the server's URL: `/api/v1/app`.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer; a 4xx or 5xx is one.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, CallError> {
        self.call_with(method, path, [], body).await
    }

    /// As [`ApiClient::call`], with more headers.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer; a 4xx or 5xx is one.
    pub async fn call_with<'a>(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Option<Bytes>,
    ) -> Result<Answer, CallError> {
        let mut request = self.authorized(method, path).header(CONNECTION, "close");
        request = request.header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request =
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        self.exchange(request.body(Full::new(body.unwrap_or_default()))?).await
    }

    /// Sends what somebody else would send to the same server: with these headers, without token.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer; a 4xx or 5xx is one.
    pub async fn send<'a>(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let request = self.request(method, path).header(CONNECTION, "close");
        let request =
            headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        self.exchange(request.body(Full::new(body))?).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        tokio::time::timeout(self.patience, self.converse(request))
            .await
            .map_err(|_| self.timed_out())?
    }

    fn timed_out(&self) -> CallError {
        CallError::TimedOut(self.base.clone(), self.patience)
    }

    /// Gets a body that does not end soon and hands each line of it over, without its line break, as
    /// it comes.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer, it breaks off, or nothing comes for as long as this client
    /// waits.
    pub async fn follow(
        &self,
        path: &str,
        mut line: impl FnMut(&str),
    ) -> Result<Followed, CallError> {
        let broken = |error| CallError::Broken(self.base.clone(), error);
        let request = self.authorized(Method::GET, path);
        let request = request.header(ACCEPT, "text/event-stream").header(CONNECTION, "close");
        let request = request.body(Full::new(Bytes::new()))?;
        let patience = self.patience;
        let connected = tokio::time::timeout(patience, self.connect()).await;
        let io = TokioIo::new(connected.map_err(|_| self.timed_out())??);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| broken(error.into()))?;
        let exchange = async {
            let response = tokio::time::timeout(patience, sender.send_request(request)).await;
            let response =
                response.map_err(|_| self.timed_out())?.map_err(|error| broken(error.into()))?;
            let (head, mut body) = response.into_parts();
            if !head.status.is_success() {
                let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(broken)?;
                drop(sender);
                let body = body.to_bytes();
                let answer = Answer { status: head.status, headers: head.headers, body };
                return Ok(Followed::Refused(answer));
            }
            let mut rest: Vec<u8> = Vec::new();
            loop {
                let frame = tokio::time::timeout(patience, body.frame()).await;
                let frame = match frame.map_err(|_| self.timed_out())? {
                    None => break,
                    Some(frame) => frame.map_err(|error| broken(error.into()))?,
                };
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let whole: Vec<u8> = rest.drain(..=end).collect();
                    line(String::from_utf8_lossy(&whole).trim_end_matches(['\r', '\n']));
                }
                if rest.len() > LONGEST_ANSWER {
                    return Err(broken("a line does not end".into()));
                }
            }
            drop(sender);
            Ok(Followed::Ended)
        };
        drive(exchange, connection).await
    }

    async fn converse(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let broken = |error| CallError::Broken(self.base.clone(), error);
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| broken(error.into()))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
            drop(sender);
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        drive(exchange, connection).await.map_err(broken)
    }

    fn authorized(&self, method: Method, path: &str) -> http::request::Builder {
        self.request(method, path)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(USER_AGENT, concat!("ringback/", env!("CARGO_PKG_VERSION")))
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base.path().trim_end_matches('/')))
            .header(HOST, &self.base[url::Position::BeforeHost..url::Position::AfterPort])
    }

    async fn connect(&self) -> Result<BoxStream, CallError> {
        let stream = match &self.proxy {
            Some(proxy) => self.tunnel(proxy).await?,
            None => self.dial(&self.base).await?,
        };
        let Some(tls) = &self.tls else { return Ok(stream) };
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = host.to_owned().try_into();
        let name = name.map_err(|_| CallError::Url(self.base.to_string()))?;
        match tls.handshake(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(reason) => Err(CallError::Handshake(self.base.clone(), reason)),
        }
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>, CallError> {
        match url.host() {
            Some(Host::Ipv4(address)) => Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => Ok(vec![address.into()]),
            Some(Host::Domain(name)) => {
                let found = self.network.resolve(name).await;
                found.map_err(|error| CallError::Resolve(url.clone(), error))
            }
            None => Ok(Vec::new()),
        }
    }

    /// The first address that answers; the last one's error otherwise.
    async fn dial(&self, url: &Url) -> Result<BoxStream, CallError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
        for address in self.addresses(url).await? {
            outcome = self.network.connect(SocketAddr::new(address, port)).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map_err(|error| CallError::Connect(url.clone(), error))
    }

    /// A connection to the server by way of the proxy.
    async fn tunnel(&self, proxy: &Proxy) -> Result<BoxStream, CallError> {
        let mut stream = self.dial(proxy.url()).await?;
        proxy
            .ask(&mut stream, &self.base)
            .await
            .map_err(|error| CallError::Proxy(self.base.clone(), format!("{proxy}: {error}")))?;
        Ok(stream)
    }
}

/// Runs an exchange and the connection that carries it in one task; the connection's own error is
/// only an echo of the exchange's.
async fn drive<T>(exchange: impl Future<Output = T>, connection: impl Future) -> T {
    tokio::join!(exchange, connection).0
}
