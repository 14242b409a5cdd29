//! The receiver: an HTTP/1.1 server in this process that writes down what arrives.
//!
//! One runtime per core; one listener hands connections out in turn, so that every core owns the
//! same number. `POST /{k}` is endpoint `k`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::ledger::{self, Receipt};
use crate::{clock, payload};

/// How the receiver answers.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// 204, always.
    Take,
    /// 500 to `percent` of the attempts, yet at most `at_most` times per delivery, so that a
    /// server that does retry has none left over.
    RefuseSome { percent: u8, at_most: u8 },
    /// Reads the request and never answers.
    Hang,
}

/// A running receiver on the loopback interface; stops when dropped.
pub struct Receiver {
    addr: SocketAddr,
    shelves: Vec<Arc<Shelf>>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free port with `cores` runtimes.
    pub fn start(cores: usize, behaviour: Behaviour) -> io::Result<Self> {
        Self::on(std::net::TcpListener::bind("127.0.0.1:0")?, cores, behaviour)
    }

    /// Listens where `listener` does.
    pub fn on(
        listener: std::net::TcpListener,
        cores: usize,
        behaviour: Behaviour,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let refusals = Arc::new(Mutex::new(HashMap::new()));

        let (mut shelves, mut threads, mut doors) = (Vec::new(), Vec::new(), Vec::new());
        for core in 0..cores.max(1) {
            let shelf = Arc::new(Shelf::default());
            let (door, incoming) = mpsc::unbounded_channel();
            let desk = Arc::new(Desk {
                behaviour,
                shelf: Arc::clone(&shelf),
                refusals: Arc::clone(&refusals),
            });
            let stopped = stopped.clone();
            threads.push(spawn(format!("receive-{core}"), stopped, serve(incoming, desk))?);
            shelves.push(shelf);
            doors.push(door);
        }
        threads.push(spawn("receive-accept".into(), stopped, accept(listener, doors))?);
        Ok(Self { addr, shelves, stop, threads })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many requests have been answered with 2xx so far.
    pub fn taken(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.taken.load(Ordering::Relaxed)).sum()
    }

    /// How many requests have arrived so far, however they were answered.
    pub fn arrived(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.arrived.load(Ordering::Relaxed)).sum()
    }

    /// Everything written down so far, in no particular order.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.shelves.iter().flat_map(|shelf| shelf.lock().clone()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A panicked receiver shows as lost messages; nothing more to say here.
            let _ = thread.join();
        }
    }
}

/// What one core wrote down. The lock is never contended while load runs.
#[derive(Default)]
struct Shelf {
    receipts: Mutex<Vec<Receipt>>,
    taken: AtomicU64,
    arrived: AtomicU64,
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Receipt>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Desk {
    behaviour: Behaviour,
    shelf: Arc<Shelf>,
    /// Refusals so far per delivery, over all cores; untouched unless some are refused.
    refusals: Arc<Mutex<HashMap<(u32, u16), u8>>>,
}

impl Desk {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let endpoint = request.uri().path()[1..].parse().unwrap_or(u16::MAX);
        let id = request
            .headers()
            .get("webhook-id")
            .map_or(0, |value| ledger::fingerprint(value.as_bytes()));
        let Ok(body) = request.into_body().collect().await else {
            return Ok(status(StatusCode::BAD_REQUEST));
        };
        let at = clock::now();
        let Some(seq) = payload::seq(&body.to_bytes()) else {
            // Not one of the generator's messages; taken, and not counted.
            return Ok(status(StatusCode::NO_CONTENT));
        };
        let taken = self.takes(seq, endpoint);
        self.shelf.lock().push(Receipt { seq, endpoint, at, id, taken });
        self.shelf.arrived.fetch_add(1, Ordering::Relaxed);
        if taken {
            self.shelf.taken.fetch_add(1, Ordering::Relaxed);
            return Ok(status(StatusCode::NO_CONTENT));
        }
        if matches!(self.behaviour, Behaviour::Hang) {
            std::future::pending::<()>().await;
        }
        Ok(status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    fn takes(&self, seq: u32, endpoint: u16) -> bool {
        match self.behaviour {
            Behaviour::Take => true,
            Behaviour::Hang => false,
            Behaviour::RefuseSome { percent, at_most } => {
                let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                let so_far = refusals.entry((seq, endpoint)).or_default();
                // The same attempts are refused in every run: a hash decides, not chance.
                let dice =
                    ledger::fingerprint(&[&seq.to_le_bytes()[..], &[*so_far]].concat()) >> 16;
                let refuse = *so_far < at_most && dice % 100 < u64::from(percent);
                if refuse {
                    *so_far += 1;
                }
                !refuse
            }
        }
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// Runs `task` on a runtime of its own until it ends or `stopped` turns true.
fn spawn(
    name: String,
    mut stopped: watch::Receiver<bool>,
    task: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = task => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    })
}

async fn accept(
    listener: std::net::TcpListener,
    doors: Vec<mpsc::UnboundedSender<std::net::TcpStream>>,
) {
    let listener = TcpListener::from_std(listener).expect("a runtime is running");
    for door in doors.iter().cycle() {
        // Running out of descriptors passes; the peer sees a connection that waits.
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        // The connection moves to another runtime, so it is taken off this one's poller first.
        let Ok(stream) = stream.into_std() else { continue };
        if door.send(stream).is_err() {
            return;
        }
    }
}

async fn serve(mut incoming: mpsc::UnboundedReceiver<std::net::TcpStream>, desk: Arc<Desk>) {
    while let Some(stream) = incoming.recv().await {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| Arc::clone(&desk).answer(request));
            // A connection that breaks is the server's affair: it will try again, or be caught.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
