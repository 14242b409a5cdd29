//! Whoever calls a URL from outside: one request, nothing followed, nothing kept.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The header, if there is one.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, what became of it, and the state of the callback.
    pub(crate) fn told(&self) -> (u16, String, String) {
        let state = self.json()["status"].as_str().unwrap_or_default().to_owned();
        (self.status, self.header("callback-status").to_owned(), state)
    }
}

/// One request on a connection of its own.
pub(crate) async fn call(
    server: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answered {
    tried(server, method, path, headers, body).await.unwrap()
}

/// The same, of a server that may be killed meanwhile.
pub(crate) async fn tried(
    server: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Option<Answered> {
    let address = server.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut connections = tokio::task::JoinSet::new();
    connections.spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "evil.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.ok()?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Answered { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// A browser that opens this URL and goes wherever it is sent on this machine: the last URL, and the page
/// there if that is on this machine.
pub(crate) async fn browse(url: &str) -> (String, Option<Answered>) {
    let mut url = url::Url::parse(url).unwrap();
    // No flow has more steps.
    for _ in 0..10 {
        if url.host_str() != Some("127.0.0.1") {
            return (url.into(), None);
        }
        let (server, path) = url.as_str().split_at(url[..url::Position::BeforePath].len());
        let page = call(server, Method::GET, path, &[], Bytes::new()).await;
        if page.status != 303 {
            return (url.into(), Some(page));
        }
        url = url.join(page.header("location")).unwrap();
    }
    panic!("it is sent in circles: {url}");
}
