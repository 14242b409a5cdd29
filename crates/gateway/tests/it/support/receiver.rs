//! A receiver on a thread of its own: answers as it is told and remembers what it got.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;

/// What a receiver answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This status with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// Nothing, until the other side gives up.
    Never,
    /// A success with this body.
    Body(Bytes),
    /// This status with these headers and this body.
    Whole(u16, Vec<(&'static str, String)>, Bytes),
    /// This status after a while: what a slow receiver is.
    Slowly(u16, Duration),
}

impl Answer {
    /// Only a status.
    pub(crate) fn status(status: u16) -> Answer {
        Answer::Status(status, Vec::new())
    }
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Receipt {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The message's id.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

type Decide = dyn Fn(&Receipt, usize) -> Answer + Send + Sync;

#[derive(Default)]
struct Seen {
    receipts: Vec<Receipt>,
    by_id: HashMap<String, usize>,
}

struct Shared {
    decide: Box<Decide>,
    seen: Mutex<Seen>,
    arrived: Condvar,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Receiver {
    /// Answers everything with 204.
    pub(crate) fn ok() -> Receiver {
        Receiver::with(|_, _| Answer::status(204))
    }

    /// `decide` is told the request and how often its message arrived before.
    pub(crate) fn with(
        decide: impl Fn(&Receipt, usize) -> Answer + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::at(SocketAddr::from(([127, 0, 0, 1], 0)), decide)
    }

    /// The same at this address.
    pub(crate) fn at(
        address: SocketAddr,
        decide: impl Fn(&Receipt, usize) -> Answer + Send + Sync + 'static,
    ) -> Receiver {
        Receiver::start(address, None, decide)
    }

    /// The same over TLS.
    pub(crate) fn secure(
        config: rustls::ServerConfig,
        decide: impl Fn(&Receipt, usize) -> Answer + Send + Sync + 'static,
    ) -> Receiver {
        let tls = TlsAcceptor::from(Arc::new(config));
        Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), Some(tls), decide)
    }

    fn start(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        decide: impl Fn(&Receipt, usize) -> Answer + Send + Sync + 'static,
    ) -> Receiver {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            decide: Box::new(decide),
            seen: Mutex::default(),
            arrived: Condvar::new(),
        });
        runtime.spawn(serve(listener, tls, Arc::clone(&shared)));
        Receiver { address, shared, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Where it listens over TLS.
    pub(crate) fn secure_url(&self) -> String {
        format!("https://{}/hook", self.address)
    }

    /// Everything that arrived until now.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.shared.seen.lock().unwrap().receipts.clone()
    }

    /// How many requests arrived until now.
    pub(crate) fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().receipts.len()
    }

    /// How often each message arrived.
    pub(crate) fn by_id(&self) -> HashMap<String, usize> {
        self.shared.seen.lock().unwrap().by_id.clone()
    }

    /// Waits for this many requests.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Receipt> {
        self.wait_until(|receipts, _| receipts.len() >= count);
        self.receipts()
    }

    /// The same where something else is done meanwhile.
    pub(crate) async fn arrived(&self, count: usize) -> Vec<Receipt> {
        self.arrived_until(move |receipts| receipts.len() >= count).await;
        self.receipts()
    }

    /// The same until what arrived is enough.
    pub(crate) async fn arrived_until(&self, done: impl Fn(&[Receipt]) -> bool + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let waiting = move || shared.wait_until(|receipts, _| done(receipts));
        tokio::task::spawn_blocking(waiting).await.unwrap();
    }

    /// Waits until what arrived is enough.
    pub(crate) fn wait_until(&self, done: impl Fn(&[Receipt], &HashMap<String, usize>) -> bool) {
        self.shared.wait_until(done);
    }
}

impl Shared {
    fn wait_until(&self, done: impl Fn(&[Receipt], &HashMap<String, usize>) -> bool) {
        let seen = self.seen.lock().unwrap();
        let (seen, waited) = self
            .arrived
            .wait_timeout_while(seen, PATIENCE, |seen| !done(&seen.receipts, &seen.by_id))
            .unwrap();
        let (requests, messages) = (seen.receipts.len(), seen.by_id.len());
        assert!(!waited.timed_out(), "{requests} requests of {messages} messages arrived");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Requests that hang must not hold the test up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let http = http1::Builder::new();
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let receipt = Receipt {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        at: Instant::now(),
    };
    let before = {
        let mut seen = shared.seen.lock().unwrap();
        let count = seen.by_id.entry(receipt.id().to_owned()).or_default();
        *count += 1;
        let before = *count - 1;
        seen.receipts.push(receipt.clone());
        before
    };
    shared.arrived.notify_all();
    let (status, headers, body) = match (shared.decide)(&receipt, before) {
        Answer::Status(status, headers) => (status, headers, Bytes::new()),
        Answer::Body(body) => (200, Vec::new(), body),
        Answer::Whole(status, headers, body) => (status, headers, body),
        Answer::Never => std::future::pending().await,
        Answer::Slowly(status, wait) => {
            tokio::time::sleep(wait).await;
            (status, Vec::new(), Bytes::new())
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}
