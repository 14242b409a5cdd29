//! To localhost: the request as the provider sent it, over connections that are kept.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Position, Url};

use super::event::{Answered, Event, Headers, Unreached};
use super::secure::Secure;
use crate::cli::outward::{below, is_own};
use crate::cli::span;
use crate::seam::{BoxStream, Network};

/// Bytes of an answer that are kept.
pub(super) const KEPT: usize = 64 * 1024;
/// Bytes that are read so that the connection can be used again.
const READ: usize = 1024 * 1024;

/// An application that takes requests.
pub(super) struct Forward {
    url: Url,
    /// What is set in every request.
    headers: Vec<(HeaderName, HeaderValue)>,
    network: Arc<dyn Network>,
    /// Only for https.
    secure: Option<Secure>,
    patience: Duration,
    /// Connections that wait for the next request.
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    /// What moves their bytes.
    connections: Mutex<JoinSet<()>>,
}

impl Forward {
    pub(super) fn new(
        url: Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        network: Arc<dyn Network>,
        secure: Option<Secure>,
        patience: Duration,
    ) -> Self {
        let (idle, connections) = Default::default();
        Self { url, headers, network, secure, patience, idle, connections }
    }

    /// Hands the event over, and waits for the answer.
    pub(super) async fn hand(&self, event: &Event) -> Result<Answered, Unreached> {
        timeout(self.patience, self.exchange(event)).await.unwrap_or_else(|_| {
            let patience = span::shown(self.patience);
            Err(Unreached(format!("no answer within {patience}")))
        })
    }

    async fn exchange(&self, event: &Event) -> Result<Answered, Unreached> {
        // A connection that was kept may have been closed by the other side a moment ago.
        while let Some(mut kept) = self.kept() {
            if kept.ready().await.is_err() {
                continue;
            }
            match kept.send_request(self.request(event)).await {
                Ok(response) => return self.read(kept, response).await,
                Err(_) => break,
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(self.request(event)).await;
        let response = response.map_err(|error| Unreached(said(&error)))?;
        self.read(sender, response).await
    }

    async fn read(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: http::Response<Incoming>,
    ) -> Result<Answered, Unreached> {
        let (head, mut body) = response.into_parts();
        let (mut kept, mut read) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unreached(said(&error)))?;
            let Ok(data) = frame.into_data() else { continue };
            read += data.len();
            kept.extend_from_slice(&data[..data.len().min(KEPT - kept.len())]);
            if read > READ {
                break;
            }
        }
        if read <= READ {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Headers =
            head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let is_truncated = read > kept.len();
        Ok(Answered { status: head.status.as_u16(), headers, body: kept.into(), is_truncated })
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn request(&self, event: &Event) -> Request<Full<Bytes>> {
        request(&self.url, &self.headers, event)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Unreached> {
        let mut stream = self.dial().await?;
        if let Some(secure) = &self.secure {
            let name = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            stream = secure.handshake(name, stream).await.map_err(Unreached)?;
        }
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| Unreached(said(&error)))?;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while connections.try_join_next().is_some() {}
        connections.spawn(ended(connection));
        Ok(sender)
    }

    async fn dial(&self) -> Result<BoxStream, Unreached> {
        let port = self.url.port_or_known_default().unwrap_or_default();
        let mut outcome = Err(Unreached("the name has no address".to_owned()));
        for address in self.addresses().await? {
            match self.network.connect(SocketAddr::new(address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    outcome = Err(Unreached("connection refused".to_owned()));
                }
                Err(error) => outcome = Err(Unreached(error.to_string())),
            }
        }
        outcome
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, Unreached> {
        match self.url.host() {
            Some(Host::Ipv4(address)) => Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => Ok(vec![address.into()]),
            Some(Host::Domain(name)) => {
                let found = self.network.resolve(name).await;
                found.map_err(|error| Unreached(error.to_string()))
            }
            None => Ok(Vec::new()),
        }
    }
}

/// Whoever waits for an answer is told the error; nobody else needs it.
async fn ended<T>(connection: impl Future<Output = T>) {
    let _ = connection.await;
}

fn said(error: &hyper::Error) -> String {
    match error.is_incomplete_message() || error.is_canceled() {
        true => "the connection was closed before an answer".to_owned(),
        false => format!("no answer: {error}"),
    }
}

/// The request: what the provider sent, but for what belongs to the connection.
fn request(base: &Url, set: &[(HeaderName, HeaderValue)], event: &Event) -> Request<Full<Bytes>> {
    let url = below(base, &event.target);
    let mut request = Request::new(Full::new(event.body.clone()));
    *request.method_mut() = Method::from_bytes(event.method.as_bytes()).unwrap_or(Method::POST);
    if let Ok(uri) = url[Position::BeforePath..Position::AfterQuery].parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    let host = &url[Position::BeforeHost..Position::AfterPort];
    headers.extend(HeaderValue::from_str(host).ok().map(|host| (header::HOST, host)));
    for (name, value) in given(&event.headers) {
        headers.append(name, value);
    }
    for (name, value) in set {
        headers.insert(name.clone(), value.clone());
    }
    let has_body =
        !event.body.is_empty() || !matches!(*request.method(), Method::GET | Method::HEAD);
    if has_body {
        request.headers_mut().insert(header::CONTENT_LENGTH, event.body.len().into());
    }
    request
}

/// The headers that can be written, without those of the connection.
fn given(headers: &Headers) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let written = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    written.filter(|(name, _)| !is_own(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::sample::event;
    use super::*;

    #[test]
    fn headers_go_on_as_they_came() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            pair("x-b", "2"),
            pair("x-a", "1"),
            pair("X-B", "é"),
            pair("connection", "close"),
            pair("content-length", "99"),
            pair("host", "hooks.example"),
            pair("proxy-authorization", "x"),
            pair("te", "trailers"),
            pair("x-last", "3"),
        ];
        let event = Event { headers, body: "{}".into(), ..event("msg_1") };
        let set = [(HeaderName::from_static("x-a"), HeaderValue::from_static("mine"))];
        let made = request(&Url::parse("http://localhost:3000/h").unwrap(), &set, &event);
        let made: Vec<_> = made
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let expected = [
            "host: localhost:3000",
            "x-b: 2",
            "x-b: é",
            "x-a: mine",
            "x-last: 3",
            "content-length: 2",
        ];
        assert_eq!(made, expected);
    }
}
