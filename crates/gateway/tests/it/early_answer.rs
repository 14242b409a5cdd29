//! Answers that are given before the request is there: whoever is still sending gets them.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use crate::support::{PATIENCE, Server, Settings, TOKEN};

/// Of a body that is sent whole.
const LENGTH: usize = 5 * 1024 * 1024;
static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];
/// More than the server lets be sent after its answer.
const ENDLESS: usize = 256 * 1024 * 1024;
/// Less than the time for which the server discards.
const SOON: Duration = Duration::from_secs(3);
const MESSAGES: &str = "/api/v1/app/a/msg";
const NOBODY: &str = "made-up-token-of-nobody";

/// A client that writes bytes.
struct Client(TcpStream);

impl Client {
    /// Sends the head of a POST.
    fn post(server: &Server, path: &str, token: &str, lines: &str) -> Client {
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{lines}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Client(stream)
    }

    /// Waits until there is an answer, and leaves it where it is.
    fn wait_for_answer(&self) {
        assert_ne!(self.0.peek(&mut [0]).unwrap(), 0, "it is closed without an answer");
    }

    /// Sends so much of a body.
    fn send(&mut self, length: usize) -> std::io::Result<()> {
        (0..length / PIECE.len()).try_for_each(|_| self.0.write_all(&PIECE))
    }

    /// As [`Client::send`], each piece with its length before it.
    fn send_chunked(&mut self, length: usize) {
        for _ in 0..length / PIECE.len() {
            write!(self.0, "{:x}\r\n", PIECE.len()).unwrap();
            self.0.write_all(&PIECE).unwrap();
            self.0.write_all(b"\r\n").unwrap();
        }
    }

    /// All that is answered until the connection is closed.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

async fn server() -> Server {
    let server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({ "name": "n", "uid": "a" })).await;
    server
}

/// The status, and that the answer is whole.
fn status(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length.parse(), Ok(body.len()), "{answer}");
    &head["HTTP/1.1 ".len()..][..3]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_still_sending_gets_the_answer() {
    let server = server().await;
    for (path, token, expect) in [
        (MESSAGES, TOKEN, "413"),
        (MESSAGES, NOBODY, "401"),
        ("/api/v1/app", TOKEN, "413"),
        ("/api/v1/app", NOBODY, "401"),
        ("/api/v1/nothing", TOKEN, "404"),
        ("/health/live", TOKEN, "405"),
        ("/in/madeuptokenofnobody", TOKEN, "404"),
        ("/cb/made-up", TOKEN, "404"),
        ("/oauth/made-up", TOKEN, "404"),
    ] {
        let lines = format!("connection: close\r\ncontent-length: {LENGTH}\r\n");
        let mut client = Client::post(&server, path, token, &lines);
        client.wait_for_answer();
        client.send(LENGTH).unwrap_or_else(|error| panic!("{path} {expect}: {error}"));
        assert_eq!(status(&client.rest()), expect, "{path}");
    }
}

/// Only while it is read does it show that it is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_say_how_much_comes_gets_the_answer() {
    let server = server().await;
    for path in [MESSAGES, "/api/v1/app"] {
        let lines = "connection: close\r\ntransfer-encoding: chunked\r\n";
        let mut client = Client::post(&server, path, TOKEN, lines);
        client.send_chunked(LENGTH / 2);
        client.wait_for_answer();
        client.send_chunked(LENGTH / 2);
        client.0.write_all(b"0\r\n\r\n").unwrap();
        assert_eq!(status(&client.rest()), "413", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_is_kept_for_the_next_request() {
    let server = server().await;
    let lines = format!("content-length: {LENGTH}\r\n");
    let mut client = Client::post(&server, MESSAGES, NOBODY, &lines);
    client.wait_for_answer();
    client.send(LENGTH).unwrap();
    let next = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.0.write_all(next).unwrap();
    let answers = client.rest();
    let (first, second) = answers.split_at(answers.rfind("HTTP/1.1 ").unwrap());
    assert_eq!((status(first), status(second)), ("401", "200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_for_ever_is_cut_off() {
    let server = server().await;
    let mut client =
        Client::post(&server, MESSAGES, TOKEN, &format!("content-length: {ENDLESS}\r\n"));
    client.wait_for_answer();
    let begun = Instant::now();
    client.send(ENDLESS).expect_err("all of it was taken");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    // Who sends nothing more holds the connection for a while, but not for long.
    let client = Client::post(&server, MESSAGES, TOKEN, &format!("content-length: {LENGTH}\r\n"));
    client.wait_for_answer();
    let begun = Instant::now();
    assert_eq!(status(&client.rest()), "413");
    assert!(begun.elapsed() < 3 * SOON, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_too_slow_is_cut_off_at_once() {
    let server = Server::start(Settings::default().env("RINGBACK_LIMITS_READ_TIMEOUT", "0.2"));
    server.post("/api/v1/app", json!({ "name": "n", "uid": "a" })).await;
    let mut client = Client::post(&server, MESSAGES, TOKEN, "content-length: 1000\r\n");
    client.0.write_all(b"{").unwrap();
    client.wait_for_answer();
    let begun = Instant::now();
    assert_eq!(status(&client.rest()), "408");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

/// Who asks before sending is told no, and sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_first_is_not_told_to_go_on() {
    let server = server().await;
    for (path, token, expect) in [
        (MESSAGES, TOKEN, "413"),
        (MESSAGES, NOBODY, "401"),
        ("/api/v1/app", TOKEN, "413"),
        ("/in/madeuptokenofnobody", TOKEN, "404"),
    ] {
        let lines = format!("expect: 100-continue\r\ncontent-length: {LENGTH}\r\n");
        let client = Client::post(&server, path, token, &lines);
        let begun = Instant::now();
        assert_eq!(status(&client.rest()), expect, "{path}");
        assert!(begun.elapsed() < SOON, "{path}: {:?}", begun.elapsed());
    }
    let message = r#"{"eventType":"a.b","payload":{}}"#;
    let lines = format!(
        "connection: close\r\nexpect: 100-continue\r\ncontent-length: {}\r\n",
        message.len()
    );
    let mut client = Client::post(&server, MESSAGES, TOKEN, &lines);
    client.wait_for_answer();
    client.0.write_all(message.as_bytes()).unwrap();
    let answer = client.rest();
    let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    assert_eq!(status(answer), "202");
}
