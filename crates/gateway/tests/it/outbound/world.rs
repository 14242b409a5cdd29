//! An invented network: names, and servers that are scripts.

use std::{
    collections::HashMap,
    future::{Future, pending},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use ringback::{
    outbound::{
        Answer, ConnectFailure, Connector, ExchangeFailure, Guard, Limits, Opened, Ports, Sender,
        Tls, exchange,
    },
    seam::{BoxFuture, BoxStream, Listener, Network, ResolveError},
};
use ringback_domain::{
    address::Policy,
    target::{Rules, Target},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinSet,
    time::Instant,
};

/// A public address nobody dials here: the network is invented.
pub(super) const PUBLIC: &str = "93.184.216.34";

pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
pub(super) const TOTAL: Duration = Duration::from_secs(15);

type Script = Arc<dyn Fn(DuplexStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is at an address.
enum Place {
    Server(Script),
    /// Swallows packets.
    Nothing,
}

/// What a name leads to.
enum Name {
    Addresses(Vec<IpAddr>),
    Failing(ResolveError),
    Silent,
}

/// A network in which only what was put there exists.
#[derive(Default)]
pub(super) struct World {
    names: Mutex<HashMap<String, Name>>,
    places: Mutex<HashMap<SocketAddr, Place>>,
    dialled: Mutex<Vec<SocketAddr>>,
    servers: Mutex<JoinSet<()>>,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A world with one server, at port 80 of [`PUBLIC`].
    pub(super) fn with_server<F>(
        script: impl Fn(DuplexStream) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let world = Self::new();
        world.serve(&format!("{PUBLIC}:80"), script);
        world
    }

    pub(super) fn serve<F>(
        &self,
        at: &str,
        script: impl Fn(DuplexStream) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |stream| Box::pin(script(stream)));
        self.places.lock().unwrap().insert(at.parse().unwrap(), Place::Server(script));
    }

    pub(super) fn swallow(&self, at: &str) {
        self.places.lock().unwrap().insert(at.parse().unwrap(), Place::Nothing);
    }

    pub(super) fn name(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(name.into(), Name::Addresses(addresses));
    }

    pub(super) fn failing_name(&self, name: &str, error: ResolveError) {
        self.names.lock().unwrap().insert(name.into(), Name::Failing(error));
    }

    pub(super) fn silent_name(&self, name: &str) {
        self.names.lock().unwrap().insert(name.into(), Name::Silent);
    }

    pub(super) fn dialled(&self) -> Vec<String> {
        self.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    /// A connector into this world, with the default policy.
    pub(super) fn connector(self: &Arc<Self>) -> Connector {
        connector(Arc::clone(self) as _, Policy::default())
    }
}

impl Network for World {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            let silent = match self.names.lock().unwrap().get(host) {
                None => return Err(ResolveError::NotFound),
                Some(Name::Addresses(addresses)) => return Ok(addresses.clone()),
                Some(Name::Failing(error)) => return Err(error.clone()),
                Some(Name::Silent) => pending(),
            };
            silent.await
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.dialled.lock().unwrap().push(address);
        Box::pin(async move {
            let nothing = match self.places.lock().unwrap().get(&address) {
                None => return Err(io::ErrorKind::ConnectionRefused.into()),
                Some(Place::Server(script)) => {
                    let (ours, theirs) = tokio::io::duplex(16 * 1024);
                    self.servers.lock().unwrap().spawn(script(theirs));
                    return Ok(Box::new(ours) as BoxStream);
                }
                Some(Place::Nothing) => pending(),
            };
            nothing.await
        })
    }

    fn listen(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

pub(super) fn connector(network: Arc<dyn Network>, policy: Policy) -> Connector {
    let guard = Guard::new(policy, Ports::default(), Vec::new());
    Connector::new(network, guard, Tls::new([]).unwrap(), CONNECT_LIMIT)
}

pub(super) fn target(url: &str) -> Target {
    Target::parse(url, Rules { require_https: false }).unwrap()
}

pub(super) async fn connect(connector: &Connector, url: &str) -> Result<Opened, ConnectFailure> {
    connector.connect(&target(url), Instant::now() + TOTAL).await
}

/// A connection with its moving half polled in the background, as a lane does it.
pub(super) struct Line {
    pub(super) sender: Sender,
    moving: JoinSet<()>,
}

impl Line {
    pub(super) fn of(opened: Opened) -> Self {
        let mut moving = JoinSet::new();
        moving.spawn(opened.connection);
        Self { sender: opened.sender, moving }
    }

    /// To the one server of a world.
    pub(super) async fn open(world: &Arc<World>) -> Self {
        Self::of(connect(&world.connector(), &format!("http://{PUBLIC}/hook")).await.unwrap())
    }

    pub(super) async fn post(&mut self, body: &[u8]) -> Result<Answer, ExchangeFailure> {
        let request = Request::post("/hook")
            .header("host", PUBLIC)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        exchange(&mut self.sender, request, &Limits::default(), Instant::now() + TOTAL).await
    }

    /// Waits until the connection has ended, which it must do whatever the peer does or does not
    /// do, and although the sender still lives.
    pub(super) async fn ended(mut self) {
        assert!(self.sender.is_closed());
        let end = tokio::time::timeout(Duration::from_secs(1), self.moving.join_next());
        end.await.expect("the connection goes on").unwrap().unwrap();
    }
}

/// Reads one request with its body and returns it as text.
pub(super) async fn read_request(stream: &mut DuplexStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return String::from_utf8(request).unwrap();
        }
    }
}

/// Writes as long as somebody reads; returns how many bytes were taken.
pub(super) async fn write_endlessly(stream: &mut DuplexStream, piece: &[u8]) -> usize {
    let mut written = 0;
    while stream.write_all(piece).await.is_ok() {
        written += piece.len();
    }
    written
}

/// Writes one byte a second as long as somebody reads.
pub(super) async fn drip(stream: &mut DuplexStream, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
