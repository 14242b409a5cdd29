//! The operator's proxy: what it is asked for, and whose fault it is when it is of no use.

use std::sync::{Arc, Mutex};

use ringback::outbound::{Connector, Guard, Ports, Proxy, Reason, Tls};
use ringback_domain::{address::Policy, attempt::Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::world::{CONNECT_LIMIT, Line, PUBLIC, World, connect, read_request};

const PROXY: &str = "10.0.0.9:3128";

type Asked = Arc<Mutex<Vec<String>>>;

async fn read_head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A world with a proxy that answers this, and then is the receiver.
fn world(answer: &'static str) -> (Arc<World>, Asked) {
    let world = World::new();
    world.name("hook.example", &[PUBLIC]);
    world.name("proxy.example", &["10.0.0.9"]);
    let asked = Asked::default();
    let heads = Arc::clone(&asked);
    world.serve(PROXY, move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            let head = read_head(&mut stream).await;
            heads.lock().unwrap().push(head);
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains(" 200 ") {
                read_request(&mut stream).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    (world, asked)
}

fn through(world: &Arc<World>, url: &str, except: &[&str]) -> Connector {
    let except = except.iter().map(|network| network.parse().unwrap()).collect();
    let guard = Guard::new(Policy::default(), Ports::default(), Vec::new());
    let tls = Tls::new([]).unwrap();
    Connector::new(Arc::clone(world) as _, guard, tls, CONNECT_LIMIT)
        .through(Proxy::parse(url, except).unwrap())
}

#[tokio::test]
async fn it_is_asked_for_the_address_that_was_judged() {
    let (world, asked) = world("HTTP/1.1 200 Connection established\r\n\r\n");
    let connector = through(&world, "http://ada:a%40b@proxy.example:3128", &[]);
    let mut line = Line::of(connect(&connector, "http://hook.example/hook").await.unwrap());
    assert_eq!(line.post(b"{}").await.unwrap().body.as_ref(), b"ok");
    assert_eq!(world.dialled(), [PROXY]);
    let head = format!(
        "CONNECT {PUBLIC}:80 HTTP/1.1\r\nHost: {PUBLIC}:80\r\n\
         Proxy-Authorization: Basic YWRhOmFAYg==\r\n\r\n"
    );
    assert_eq!(*asked.lock().unwrap(), [head]);
}

#[tokio::test]
async fn it_is_not_asked_for_what_may_not_be_dialled() {
    let (world, asked) = world("HTTP/1.1 200 Connection established\r\n\r\n");
    world.name("inside.example", &["10.0.0.1"]);
    world.name("both.example", &[PUBLIC, "169.254.169.254"]);
    let connector = through(&world, "http://proxy.example:3128", &["203.0.113.0/24"]);
    for url in [
        "http://inside.example/",
        "http://both.example/",
        "http://10.0.0.9:3128/",
        "http://proxy.example:3128/",
        "http://[::1]/",
        "http://hook.example:25/",
    ] {
        let failure = connect(&connector, url).await.err().unwrap();
        assert_eq!(
            (failure.phase, failure.reason),
            (Phase::Guard, Reason::RefusedByPolicy),
            "{url}"
        );
    }
    assert!(asked.lock().unwrap().is_empty() && world.dialled().is_empty());
}

#[tokio::test]
async fn networks_may_be_dialled_without_it() {
    let (world, asked) = world("HTTP/1.1 200 Connection established\r\n\r\n");
    world.serve(&format!("{PUBLIC}:80"), |_| async {});
    let connector = through(&world, "http://proxy.example:3128", &["93.184.0.0/16"]);
    connect(&connector, "http://hook.example/").await.unwrap();
    assert_eq!(world.dialled(), [format!("{PUBLIC}:80")]);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_its_fault_or_the_receivers() {
    for (answer, reason, is_our_own) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Reason::ProxyRefused, true),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Reason::ProxyRefused, true),
        ("SSH-2.0-made-up\r\n\r\n", Reason::ProxyRefused, true),
        ("", Reason::ProxyUnreachable, true),
        ("HTTP/1.1 500 Unable to connect\r\n\r\n", Reason::ConnectFailed, false),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Reason::ConnectFailed, false),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Reason::ConnectFailed, false),
        ("HTTP/1.1 504 Gateway Timeout\r\n\r\n", Reason::ConnectTimeout, false),
    ] {
        let (world, _) = world(answer);
        let connector = through(&world, "http://proxy.example:3128", &[]);
        let failure = connect(&connector, "http://hook.example/").await.err().unwrap();
        assert_eq!((failure.phase, failure.reason), (Phase::Connect, reason), "{answer}");
        assert_eq!(failure.reason.is_our_own(), is_our_own, "{answer}");
    }
    // Nobody is there, at its address or at its name; or it waits for the receiver.
    let (world, _) = world("");
    for url in ["http://10.0.0.8:3128", "http://nowhere.example:3128"] {
        let failure =
            connect(&through(&world, url, &[]), "http://hook.example/").await.err().unwrap();
        assert_eq!(failure.reason, Reason::ProxyUnreachable, "{url}");
    }
    world.swallow("10.0.0.7:3128");
    let connector = through(&world, "http://10.0.0.7:3128", &[]);
    let failure = connect(&connector, "http://hook.example/").await.err().unwrap();
    assert_eq!(failure.reason, Reason::ProxyUnreachable);
    world.serve("10.0.0.6:3128", |mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending().await
    });
    let connector = through(&world, "http://10.0.0.6:3128", &[]);
    let failure = connect(&connector, "http://hook.example/").await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (Phase::Connect, Reason::ConnectTimeout));
}

#[test]
fn what_is_no_proxy_is_refused_without_its_password() {
    for url in [
        "proxy.example:3128",
        "socks5://ada:made-up@proxy.example",
        "https://ada:made-up@proxy.example",
        "http://ada:made-up@proxy.example/path",
    ] {
        let refused = Proxy::parse(url, Vec::new()).unwrap_err().to_string();
        assert!(!refused.is_empty() && !refused.contains("made-up"), "{refused}");
    }
    let proxy = Proxy::parse("http://ada:made-up@proxy.example:3128", Vec::new()).unwrap();
    assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example:3128)");
}
