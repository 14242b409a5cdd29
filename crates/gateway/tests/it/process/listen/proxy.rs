//! `ringback listen` where the only way out is an HTTP proxy.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use super::*;
use crate::listen::{body, send, source};

/// A proxy that knows the way to one server, by whatever name; it ends with the test.
struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<Tunnel>>>,
}

/// A request for a tunnel, and the connection that it became.
struct Tunnel {
    head: String,
    stream: TcpStream,
}

impl Proxy {
    fn start(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (server, tunnels) = (server.to_owned(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, tunnels) = (server.clone(), Arc::clone(&tunnels));
                std::thread::spawn(move || carry(stream.unwrap(), &server, &tunnels));
            }
        });
        Proxy { port, seen }
    }

    /// The heads of all requests up to now.
    fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|tunnel| tunnel.head.clone()).collect()
    }

    /// Breaks what goes through it.
    fn cut(&self) {
        for tunnel in &*self.seen.lock().unwrap() {
            // Those that are over cannot be shut down any more.
            let _ = tunnel.stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, server: &str, tunnels: &Mutex<Vec<Tunnel>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8(head).unwrap();
    tunnels.lock().unwrap().push(Tunnel { head, stream: from.try_clone().unwrap() });
    let mut to = TcpStream::connect(server).unwrap();
    from.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut back, mut forth) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_through_a_proxy_but_localhost() {
    let server = Server::start(Settings::default());
    let path = source(&server, "github", "hub", json!({})).await;
    let receiver = Receiver::ok();
    let proxy = Proxy::start(server.url.strip_prefix("http://").unwrap());
    // A name that nobody but the proxy can make anything of.
    let far = "http://hooks.invalid:8071";
    let words = ["listen", "hub", "--forward", &receiver.url(), "--once", "2"];
    let listening = |far: &str, proxy: &str| {
        let mut command = command(&words, &env(far));
        for name in ["http_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
            command.env_remove(name);
        }
        command.env("HTTP_PROXY", proxy).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let without = listening(far, "").output().unwrap();
    assert_eq!(without.status.code(), Some(1), "there is another way than the proxy");

    let address = format!("http://ada:made-up@127.0.0.1:{}", proxy.port);
    let mut child = listening(far, &address).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = |what: &str| {
        let mut said = lines.by_ref().map(Result::unwrap);
        assert!(said.any(|line| line.contains(what)), "nothing was said of {what}");
    };
    told("listening as");
    send(&server, &path, "push", "0", &body(0)).await;
    receiver.arrived(1).await;
    proxy.cut();
    told("connection lost");
    send(&server, &path, "push", "1", &body(1)).await;
    told("connected again");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let receipts = receiver.receipts();
    let bodies: Vec<_> = receipts.iter().map(|receipt| receipt.body.clone()).collect();
    assert_eq!(bodies, [body(0), body(1)]);
    let heads = proxy.heads();
    // The terms, the connection, and the connection once more.
    assert!(heads.len() >= 3, "{heads:?}");
    for head in heads {
        assert!(head.starts_with("CONNECT hooks.invalid:8071 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic YWRhOm1hZGUtdXA=\r\n"), "{head}");
    }
}
