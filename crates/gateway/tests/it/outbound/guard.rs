//! Nobody inside is ever called, however the caller is sent there.
//!
//! Each check has a victim: a listener on loopback that must not see a connection. The network is
//! the real one towards loopback; dials to anywhere else are only noted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use ringback::{
    outbound::{Connector, Guard, Ports, Reason, SystemNetwork, Tls},
    seam::{BoxFuture, BoxStream, Listener, Network, ResolveError},
};
use ringback_domain::{address::Policy, attempt::Phase};
use tokio::{net::TcpListener, runtime::Handle};

use super::{
    name_server::{NameServer, Question, Reply},
    world::{CONNECT_LIMIT, connect, connector},
};

/// The real network for names and for loopback; everything else is refused and noted.
struct Fenced {
    real: SystemNetwork,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl Fenced {
    fn new(name_servers: &[SocketAddr]) -> Arc<Self> {
        let real = SystemNetwork::new(name_servers, Handle::current()).unwrap();
        Arc::new(Self { real, dialled: Mutex::default() })
    }

    fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Network for Fenced {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        self.real.resolve(host)
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.dialled.lock().unwrap().push(address);
        if address.ip().to_canonical().is_loopback() {
            return self.real.connect(address);
        }
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.real.listen(address)
    }
}

/// A listener that must not be called.
struct Victim(TcpListener);

impl Victim {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// A connection made before this would be accepted at once.
    async fn was_not_called(&self) {
        let called = tokio::time::timeout(Duration::from_millis(20), self.0.accept()).await;
        assert!(called.is_err(), "the victim was called");
    }
}

fn addresses(list: &[&str]) -> Reply {
    Reply::Addresses(list.iter().map(|address| address.parse().unwrap()).collect())
}

/// What the names of these tests lead to.
fn zone(question: &Question) -> Reply {
    match question.name.as_str() {
        "rebind.example" if question.nth == 0 => addresses(&["93.184.216.34"]),
        "rebind.example" => addresses(&["127.0.0.1"]),
        "loopback.example" => addresses(&["127.0.0.1"]),
        "alias.example" => Reply::Alias("second.example"),
        "second.example" => Reply::Alias("third.example"),
        "third.example" => Reply::Alias("loopback.example"),
        "v6.example" => addresses(&["::1"]),
        "mapped.example" => addresses(&["::ffff:127.0.0.1"]),
        "nat64.example" => addresses(&["64:ff9b::7f00:1"]),
        "mixed.example" => addresses(&["93.184.216.34", "127.0.0.1"]),
        "mixed-families.example" => addresses(&["93.184.216.34", "::1"]),
        "metadata.example" => addresses(&["169.254.169.254"]),
        "0x7f000001.example" => addresses(&["0.0.0.0"]),
        _ => Reply::Error(3),
    }
}

async fn check_refused(connector: &Connector, url: &str) {
    let failure = connect(connector, url).await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (Phase::Guard, Reason::RefusedByPolicy), "{url}");
    // Neither does the text say where it would have led.
    assert_eq!(failure.to_string(), "guard failed: refused_by_policy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn names_that_lead_inside_are_refused() {
    let victim = Victim::new().await;
    let names = NameServer::start(zone).await;
    let network = Fenced::new(&[names.address]);
    let connector = connector(Arc::clone(&network) as _, Policy::default());
    for name in [
        "loopback",
        "alias",
        "v6",
        "mapped",
        "nat64",
        "mixed",
        "mixed-families",
        "metadata",
        "0x7f000001",
    ] {
        check_refused(&connector, &format!("http://{name}.example:{}/", victim.port())).await;
    }
    assert!(network.dialled().is_empty());
    victim.was_not_called().await;
    assert!(names.asked("loopback.example") > 0, "the alias was not followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_name_that_is_rebound_is_judged_again() {
    let victim = Victim::new().await;
    let names = NameServer::start(zone).await;
    let network = Fenced::new(&[names.address]);
    let connector = connector(Arc::clone(&network) as _, Policy::default());
    let url = format!("http://rebind.example:{}/", victim.port());

    let first = connect(&connector, &url).await.err().unwrap();
    assert_eq!(first.reason, Reason::ConnectionRefused);
    let public = SocketAddr::from(([93, 184, 216, 34], victim.port()));
    assert_eq!(network.dialled(), [public]);

    check_refused(&connector, &url).await;
    assert_eq!(network.dialled(), [public]);
    victim.was_not_called().await;
}

/// Every way to write 127.0.0.1 into a URL, with `PORT` for the victim's.
const LITERALS: [&str; 13] = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://１２７.0.0.1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://user@127.0.0.1:PORT/",
];

/// Forms that lead to loopback only through something that is not here.
const LITERALS_ELSEWHERE: [&str; 5] = [
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[2001:0:7f00:1::80ff:fffe]:PORT/",
];

#[tokio::test]
async fn literal_addresses_are_judged_in_every_spelling() {
    let victim = Victim::new().await;
    let network = Fenced::new(&[]);
    let strict = connector(Arc::clone(&network) as _, Policy::default());
    for url in LITERALS.iter().chain(&LITERALS_ELSEWHERE) {
        check_refused(&strict, &url.replace("PORT", &victim.port().to_string())).await;
    }
    assert!(network.dialled().is_empty());
    victim.was_not_called().await;

    let loopback = Policy::new(["127.0.0.0/8".parse().unwrap()], [], []).unwrap();
    let open = connector(Arc::clone(&network) as _, loopback.clone());
    for url in LITERALS {
        let opened = connect(&open, &url.replace("PORT", &victim.port().to_string())).await;
        assert_eq!(opened.unwrap().address.port(), victim.port());
        victim.0.accept().await.unwrap();
    }
}

#[tokio::test]
async fn ports_of_other_services_are_refused() {
    let network = Fenced::new(&[]);
    let loopback = Policy::new(["127.0.0.0/8".parse().unwrap()], [], []).unwrap();
    let connector = connector(Arc::clone(&network) as _, loopback);
    for port in [1, 22, 25, 53, 79, 81, 111, 389, 444, 1023] {
        check_refused(&connector, &format!("http://93.184.216.34:{port}/")).await;
        check_refused(&connector, &format!("http://127.0.0.1:{port}/")).await;
    }
    assert!(network.dialled().is_empty());
}

#[tokio::test]
async fn the_process_does_not_call_its_own_public_address() {
    let network = Fenced::new(&[]);
    let own = "93.184.216.34:8071".parse().unwrap();
    let guard = Guard::new(Policy::default(), Ports::default(), vec![own]);
    let connector =
        Connector::new(Arc::clone(&network) as _, guard, Tls::new([]).unwrap(), CONNECT_LIMIT);
    check_refused(&connector, "http://93.184.216.34:8071/").await;
    check_refused(&connector, "http://[::ffff:93.184.216.34]:8071/").await;
    assert!(network.dialled().is_empty());
    let other = connect(&connector, "http://93.184.216.34:8072/").await.err().unwrap();
    assert_eq!(other.reason, Reason::ConnectionRefused);
}
