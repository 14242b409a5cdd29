//! A receiver of webhooks on loopback: answers 200 and tells what it was sent.

use std::convert::Infallible;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::seam::Listener;

/// Longest body that is read, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;
/// What every request is answered with.
pub(super) const ANSWER: &str = r#"{"received":true}"#;

/// One request that arrived.
pub(super) struct Received {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

impl Received {
    /// A header's value, empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(mut listener: Box<dyn Listener>, received: mpsc::Sender<Received>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = accepted.and_then(|(accepted, _)| accepted());
        let Ok(stream) = stream else { continue };
        let received = received.clone();
        let service = service_fn(move |request| answer(request, received.clone()));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new());
        connections.spawn(server.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    received: mpsc::Sender<Received>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LONGEST_BODY).collect().await else {
        return Ok(response(StatusCode::PAYLOAD_TOO_LARGE, ""));
    };
    let request = Received { head, body: body.to_bytes(), at };
    // A full channel means a flood, which nobody reads on a screen anyway.
    let _ = received.try_send(request);
    Ok(response(StatusCode::OK, ANSWER))
}

fn response(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
