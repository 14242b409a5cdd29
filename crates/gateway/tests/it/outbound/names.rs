//! The resolver itself, against a name server of our own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use ringback::{
    outbound::{Limits, Reason, SystemNetwork, exchange},
    seam::{Network, ResolveError},
};
use ringback_domain::{address::Policy, attempt::Phase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::{Builder, Handle, Runtime},
    task::{JoinSet, LocalSet},
    time::Instant,
};

use super::{
    name_server::{NameServer, Question, Reply},
    world::{Line, TOTAL, connect, connector},
};

fn zone(question: &Question) -> Reply {
    let addresses = |list: &[&str]| {
        Reply::Addresses(list.iter().map(|address| address.parse().unwrap()).collect())
    };
    match question.name.as_str() {
        "both.example" => addresses(&["93.184.216.34", "2606:2800:220:1::1"]),
        "v6.example" => addresses(&["2606:2800:220:1::1"]),
        "alias.example" => Reply::Alias("both.example"),
        "loop.example" => Reply::Alias("loop.example"),
        "long-a.example" | "long-b.example" | "long-c.example" => addresses(&["93.184.216.34"]),
        "here.example" => addresses(&["127.0.0.1"]),
        "half.example" if question.v6 => Reply::Error(2),
        "half.example" => addresses(&["93.184.216.34"]),
        "none.example" => addresses(&[]),
        "broken.example" => Reply::Error(2),
        "silent.example" => Reply::Silence,
        _ => Reply::Error(3),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_names_resolve_to() {
    let server = NameServer::start(zone).await;
    let network = SystemNetwork::new(&[server.address], Handle::current()).unwrap();
    for (name, expected) in [
        ("both.example", &["93.184.216.34", "2606:2800:220:1::1"][..]),
        ("both.example.", &["93.184.216.34", "2606:2800:220:1::1"]),
        ("v6.example", &["2606:2800:220:1::1"]),
        ("alias.example", &["93.184.216.34", "2606:2800:220:1::1"]),
        ("half.example", &["93.184.216.34"]),
    ] {
        let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(network.resolve(name).await.unwrap(), expected, "{name}");
    }
    for name in ["none.example", "missing.example"] {
        let error = network.resolve(name).await.unwrap_err();
        assert!(matches!(error, ResolveError::NotFound), "{name}: {error}");
    }
    for name in ["broken.example", "loop.example"] {
        network.resolve(name).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_silent_name_server_takes_no_longer_than_the_connect_limit() {
    let server = NameServer::start(zone).await;
    let network = SystemNetwork::new(&[server.address], Handle::current()).unwrap();
    let connector = connector(Arc::new(network), Policy::default());
    let begin = Instant::now();
    let failure = connect(&connector, "http://silent.example/").await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (Phase::Dns, Reason::DnsTimeout));
    assert!(begin.elapsed() < Duration::from_millis(5_500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_system_knows_localhost() {
    let network = SystemNetwork::new(&[], Handle::current()).unwrap();
    let found = network.resolve("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
}

/// A runtime as a core has it.
fn core() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What the resolver keeps between look-ups (its connections, moved by tasks) must not depend on
/// the runtime of whoever looked up first: that one may stand still, or be gone.
#[test]
fn cores_share_a_resolver() {
    let shared = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = shared.block_on(NameServer::start(zone));
    let network = SystemNetwork::new(&[server.address], shared.handle().clone()).unwrap();
    let resolve = |core: &Runtime, name| {
        let found = async { network.resolve(name).await };
        let limited = async { tokio::time::timeout(Duration::from_secs(2), found).await };
        let found = LocalSet::new().block_on(core, limited);
        assert!(!found.expect("the look-up hangs").unwrap().is_empty());
    };
    let (first, second) = (core(), core());
    resolve(&first, "long-a.example");
    resolve(&second, "long-b.example");
    drop(first);
    resolve(&second, "long-c.example");
    resolve(&second, "both.example");
}

/// Accepts connections, reads a request from each, and answers it.
async fn receiver(listener: TcpListener, answer: &'static [u8]) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_buf(&mut Vec::new()).await.unwrap();
        stream.write_all(answer).await.unwrap();
        if answer.is_empty() {
            // Closing with this set resets the connection instead of ending it.
            stream.set_zero_linger().unwrap();
        }
    }
}

async fn start_receiver(answer: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(receiver(listener, answer));
    (address, serving)
}

fn loopback() -> Policy {
    Policy::new(["127.0.0.0/8".parse().unwrap()], [], []).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_over_the_real_network() {
    let names = NameServer::start(zone).await;
    let (receiver, _serving) =
        start_receiver(b"HTTP/1.1 202 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let network = SystemNetwork::new(&[names.address], Handle::current()).unwrap();
    let connector = connector(Arc::new(network), loopback());
    let opened = connect(&connector, &format!("http://here.example:{}/", receiver.port())).await;
    let opened = opened.unwrap();
    assert_eq!(opened.address, receiver);
    assert!(opened.timings.dns > Duration::ZERO && opened.timings.connect > Duration::ZERO);
    let mut line = Line::of(opened);
    let request = Request::post("/").header("host", "here.example").body(Full::new(Bytes::new()));
    let answer =
        exchange(&mut line.sender, request.unwrap(), &Limits::default(), Instant::now() + TOTAL)
            .await
            .unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (202, &b"ok"[..]));
    assert!(answer.timings.first_byte > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_real_reset_before_any_byte() {
    let (receiver, _serving) = start_receiver(b"").await;
    let network = SystemNetwork::new(&[], Handle::current()).unwrap();
    let connector = connector(Arc::new(network), loopback());
    let mut line = Line::of(connect(&connector, &format!("http://{receiver}/")).await.unwrap());
    let failure = line.post(b"{}").await.unwrap_err();
    assert_eq!((failure.phase, failure.reason), (Phase::FirstByte, Reason::Reset));
    assert!(failure.ended_unanswered());
    line.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nobody_listens() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let network = SystemNetwork::new(&[], Handle::current()).unwrap();
    let connector = connector(Arc::new(network), loopback());
    let failure = connect(&connector, &format!("http://{unused}/")).await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (Phase::Connect, Reason::ConnectionRefused));
}
