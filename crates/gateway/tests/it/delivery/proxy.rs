//! Deliveries through the operator's proxy.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Bench, eventually, schedule};
use crate::support::Receiver;

/// A proxy that opens a tunnel to whatever it is asked for, and remembers that.
struct Tunnels {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Tunnels {
    async fn start() -> Tunnels {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&heads)));
        Tunnels { address, heads, _serving: serving }
    }

    fn asked(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, heads: Arc<Mutex<Vec<String>>>) {
    let mut tunnels = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tunnels.spawn(tunnel(stream, Arc::clone(&heads)));
    }
}

async fn tunnel(mut stream: TcpStream, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let place = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    let answer: &[u8] = match TcpStream::connect(&place).await {
        Ok(mut other) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            drop(copy_bidirectional(&mut stream, &mut other).await);
            return;
        }
        Err(_) => b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    };
    drop(stream.write_all(answer).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivery_goes_through_it() {
    let (proxy, receiver) = (Tunnels::start().await, Receiver::ok());
    let url = format!("http://made-up-user:made-up-password@{}", proxy.address);
    let settings = schedule("3600").env("RINGBACK_DELIVERY_PROXY", &url);
    let bench = Bench::new(settings).await;
    let tokens = Receiver::with(|_, _| {
        let token = json!({ "access_token": "made-up", "token_type": "bearer" });
        crate::support::Answer::Body(token.to_string().into())
    });
    let access = json!({ "type": "oauth2", "tokenUrl": tokens.url(),
        "clientId": "made-up", "clientSecret": "made-up" });
    bench.endpoint_with(json!({ "url": receiver.url(), "access": access })).await;
    let message = bench.send("through").await;
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert_eq!(attempt["responseStatusCode"], 204, "{attempt}");
    let expect = |place: SocketAddr| {
        format!(
            "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\
             Proxy-Authorization: Basic bWFkZS11cC11c2VyOm1hZGUtdXAtcGFzc3dvcmQ=\r\n\r\n"
        )
    };
    assert_eq!(proxy.asked(), [expect(tokens.address), expect(receiver.address)]);
    assert!(!bench.server.log().contains("made-up-password"));
}

/// `tinyproxy`, which ends with the test.
struct Tinyproxy {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Tinyproxy {
    async fn start() -> Tinyproxy {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let settings = directory.path().join("conf");
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Connect\n\
             LogFile \"{}\"\nBasicAuth made-up-user made-up-password\n",
            log.display()
        );
        std::fs::write(&settings, text).unwrap();
        let child = Command::new("tinyproxy")
            .args(["-d", "-c"])
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tinyproxy is needed: cargo xtask test installs it");
        eventually("tinyproxy", async || {
            let open = TcpStream::connect(("127.0.0.1", port)).await;
            open.map(drop).map_err(|error| json!(error.to_string()))
        })
        .await;
        Tinyproxy { child, port, directory }
    }

    fn url(&self, password: &str) -> String {
        format!("http://made-up-user:{password}@127.0.0.1:{}", self.port)
    }

    /// The addresses that it was asked for.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let asked = log.lines().filter_map(|line| line.split_once("): CONNECT "));
        asked.map(|(_, rest)| rest.split(' ').next().unwrap().to_owned()).collect()
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_not_ours_lets_it_through_and_refuses() {
    let (proxy, receiver) = (Tinyproxy::start().await, Receiver::ok());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/hook", free.local_addr().unwrap());
    drop(free);
    for (password, url, expect) in [
        ("made-up-password", receiver.url(), json!([204, null, null])),
        ("made-up-password", closed, json!([0, "connect", "connect_failed"])),
        ("another", receiver.url(), json!([0, "connect", "proxy_refused"])),
    ] {
        let settings = schedule("3600").env("RINGBACK_DELIVERY_PROXY", &proxy.url(password));
        let bench = Bench::new(settings).await;
        bench.endpoint(&url).await;
        let message = bench.send("through").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        let told =
            json!([attempt["responseStatusCode"], attempt["failedPhase"], attempt["reason"]]);
        assert_eq!(told, expect, "{attempt}");
    }
    assert_eq!(receiver.count(), 1);
    assert_eq!(proxy.asked()[0], receiver.address.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_dead_no_endpoint_is_blamed() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let receiver = Receiver::ok();
    let settings = schedule("0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,3600")
        .env("RINGBACK_DELIVERY_PROXY", &dead);
    let bench = Bench::new(settings).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("lost").await;
    // Ten failures of its own would have opened its circuit.
    let attempts = bench.attempts(&message, 12).await;
    for attempt in &attempts {
        let told = (&attempt["failedPhase"], &attempt["reason"]);
        assert_eq!(told, (&json!("connect"), &json!("proxy_unreachable")), "{attempt}");
    }
    assert_eq!(bench.get_endpoint(&endpoint).await["failingSince"], serde_json::Value::Null);
    assert!(bench.server.metrics().await.contains("ringback_breakers_open 0"));
    assert_eq!(bench.server.logged("delivery.proxy opens no way out"), 1);
    assert_eq!(receiver.count(), 0);
}
