//! Deliveries through the operator's proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Bench, schedule};
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
