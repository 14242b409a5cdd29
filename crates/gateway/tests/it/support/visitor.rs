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
