//! One core's side of the listener: it speaks HTTP, answers the hot route itself and lets the
//! shared runtime answer everything else.

use std::{cell::Cell, convert::Infallible, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use http::{Method, Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle, spawn_local},
};
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::{
    Dealt,
    upload::{Left, Upload, discard},
};
use crate::{
    api::Origin,
    callback,
    core::{Mailbox, Phase},
    listen, oauth, payloads, receive,
    seam::Entropy,
    send::{self, OnCore},
    telemetry::{metrics::Metrics, trace::TraceContext},
};

/// The most bytes of a request's head.
const HEAD: usize = 64 * 1024;

/// What a core needs to answer requests.
pub struct Front {
    /// The hot route.
    pub door: OnCore,
    /// What providers call.
    pub sources: receive::OnCore,
    /// Where callbacks are answered and followed.
    pub callbacks: callback::Door,
    /// Everything else, and where it runs.
    pub api: Router,
    /// The shared runtime.
    pub shared: Handle,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// Makes the ids of traces.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Metrics,
    /// Connections of this core; more are closed at once.
    pub connections: usize,
    /// Says when no more requests are taken.
    pub phase: watch::Receiver<Phase>,
}

/// Serves the connections that are dealt to this core; ends when it is told to stop and the last
/// connection has.
pub async fn serve(front: Front, mailbox: Arc<Mailbox<Dealt>>) {
    let front = Rc::new(front);
    let open = Rc::new(Open::default());
    let mut phase = front.phase.clone();
    loop {
        tokio::select! {
            accepted = mailbox.take() => {
                for dealt in accepted {
                    if open.count.get() < front.connections {
                        let guard = Open::enter(&open, &front.metrics);
                        spawn_local(connection(Rc::clone(&front), dealt, guard));
                    }
                }
            }
            _ = phase.wait_for(|phase| *phase >= Phase::Closing) => break,
        }
    }
    while open.count.get() > 0 {
        open.left.notified().await;
    }
}

async fn connection(front: Rc<Front>, (accepted, peer): Dealt, _guard: Guard) {
    let stream = match accepted() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a connection could not be served"),
    };
    let mut phase = front.phase.clone();
    let header_timeout = front.header_timeout;
    let left = Left::default();
    let service = service_fn(move |request: Request<Incoming>| {
        let begun = begin(&front, peer, Upload::of(request, &left));
        let (front, left) = (Rc::clone(&front), left.clone());
        async move {
            let answer = match begun {
                Begun::Carried(answer) => answer.await.unwrap_or_else(|_| failed()),
                Begun::Asked(request) => respond(&front, peer, request).await,
            };
            linger(&left, &answer);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEAD)
        // Head and body of an answer are small: one buffer is cheaper than a list of two.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service)
        // Those who listen go on with another protocol.
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here is the client's: it went away, or does not speak HTTP.
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase >= Phase::Closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// A request that is being answered, or is as long as somebody waits for the answer.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment, on the hot route")]
enum Begun {
    Carried(JoinHandle<Response>),
    Asked(Request<Upload>),
}

/// Whoever tells something and goes away at once has told it: it is carried through. That begins
/// before an answer is asked for, as a connection that was closed meanwhile asks for none.
fn begin(front: &Rc<Front>, peer: SocketAddr, request: Request<Upload>) -> Begun {
    if let Some(token) = receive::route(&request).map(str::to_owned) {
        return Begun::Carried(spawn_local(received(Rc::clone(front), token, peer, request)));
    }
    match callback::route(&request) {
        None | Some(callback::Route::Wait { .. }) => Begun::Asked(request),
        Some(route) => {
            Begun::Carried(spawn_local(called_back(Rc::clone(front), route, peer, request)))
        }
    }
}

/// Discards what is left of a request's body, beside its answer. That is over soon, and as soon as the
/// connection is.
fn linger(left: &Left, answer: &Response) {
    // Whoever was too slow has had the time for it.
    if let Some(rest) = left.take()
        && answer.status() != StatusCode::REQUEST_TIMEOUT
    {
        spawn_local(discard(rest));
    }
}

/// A provider calls: answered on this core, as events come in numbers. The path is a secret: it is
/// in no span.
async fn received(
    front: Rc<Front>,
    token: String,
    peer: SocketAddr,
    request: Request<Upload>,
) -> Response {
    let (parts, body) = request.into_parts();
    front.sources.accept(&token, &parts, body, peer).await
}

/// Somebody answers, or follows. The path is a secret: it is in no span.
async fn called_back(
    front: Rc<Front>,
    route: callback::Route,
    peer: SocketAddr,
    request: Request<Upload>,
) -> Response {
    let (parts, body) = request.into_parts();
    front.callbacks.accept(route, &parts, body, peer).await
}

async fn respond(front: &Rc<Front>, peer: SocketAddr, request: Request<Upload>) -> Response {
    if let Some(route) = callback::route(&request) {
        return Box::pin(called_back(Rc::clone(front), route, peer, request)).await;
    }
    let secret = [oauth::PREFIX, listen::PREFIX, payloads::PREFIX];
    if secret.iter().any(|it| request.uri().path().starts_with(it)) {
        // What stands in its path is a secret: it is in no span.
        return Box::pin(unseen(front, request)).await;
    }
    let Some(application) = send::route(&request).map(str::to_owned) else {
        // Boxed, so that the hot route does not carry its state around.
        return Box::pin(shared(front, peer, request)).await;
    };
    let given = given_trace(&request);
    let span = given.map(|given| span(&request, given.child(front.entropy.bytes())));
    let (parts, body) = request.into_parts();
    let accept = front.door.accept(&application, &parts, body);
    // Without a caller's trace the hot route is spared making one up.
    match span {
        Some(span) => Box::pin(accept.instrument(span)).await,
        None => accept.await,
    }
}

/// A browser begins a flow, or comes back, or somebody follows a source or fetches a payload. It is
/// carried through: a code comes once.
async fn unseen(front: &Front, request: Request<Upload>) -> Response {
    let answer = front.api.clone().oneshot(request.map(Body::new));
    match front.shared.spawn(answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => failed(),
    }
}

/// The shared runtime answers, so that a slow list never holds up the hot route's core.
async fn shared(front: &Front, peer: SocketAddr, mut request: Request<Upload>) -> Response {
    let trace = match given_trace(&request) {
        Some(given) => given.child(front.entropy.bytes()),
        None => TraceContext::start(front.entropy.bytes()),
    };
    let span = span(&request, trace);
    request.extensions_mut().insert(Origin { trace_id: trace.trace_id, address: peer });
    let method = request.method().clone();
    let answer = front.api.clone().oneshot(request.map(Body::new)).instrument(span);
    // Whoever reads and goes away leaves no wait behind. What changes something is carried through.
    let reads = method == Method::GET;
    let running = front.shared.spawn(answer);
    let _abandoned = reads.then(|| Abandoned(running.abort_handle()));
    match running.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => failed(),
    }
}

/// Ends what runs for a client, once nobody waits for it.
struct Abandoned(AbortHandle);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The caller's trace (W3C Trace Context).
fn given_trace(request: &Request<Upload>) -> Option<TraceContext> {
    TraceContext::parse(request.headers().get("traceparent")?.to_str().ok()?)
}

/// What log lines about a request carry.
fn span(request: &Request<Upload>, trace: TraceContext) -> Span {
    tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        trace_id = %format_args!("{:032x}", trace.trace_id),
        span_id = %format_args!("{:016x}", trace.span_id),
    )
}

/// The shared runtime is gone: the process is ending.
fn failed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// The open connections of a core.
#[derive(Default)]
struct Open {
    count: Cell<usize>,
    left: Notify,
}

/// One open connection.
struct Guard(Rc<Open>, Metrics);

impl Open {
    fn enter(open: &Rc<Open>, metrics: &Metrics) -> Guard {
        open.count.set(open.count.get() + 1);
        metrics.client_connections_open.inc();
        Guard(Rc::clone(open), metrics.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.1.client_connections_open.dec();
        self.0.left.notify_one();
    }
}
