//! SIGTERM: what is under way is finished and recorded; a second one ends at once.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Answer, Receiver, Server, Settings, TOKEN};

const SLOW: Duration = Duration::from_secs(2);

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// A connection over which one request was answered, and which is kept.
fn kept_connection(server: &Server) -> TcpStream {
    let mut stream = connect(server);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    stream
}

/// A request to create a message whose body never comes to its end.
fn half_a_request(server: &Server, app: &str) -> TcpStream {
    // After a whole request, so that the server surely has the connection.
    let mut stream = kept_connection(server);
    let head = format!(
        "POST /api/v1/app/{app}/msg HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

async fn send(server: &Server, app: &str) -> String {
    let message = json!({ "eventType": "stop.test", "payload": {} });
    let json = server.post(&format!("/api/v1/app/{app}/msg"), message).await;
    json["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_is_under_way_and_records_it() {
    let receiver = Receiver::with(|_, _| Answer::Slowly(200, SLOW));
    let mut server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    let message = send(&server, &app).await;
    receiver.wait_for(1);
    // Connections that nothing happens on hold nothing up.
    let idle = [kept_connection(&server), connect(&server)];

    let begun = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    let took = begun.elapsed();
    assert!(took > SLOW / 2 && took < SLOW * 2, "{took:?}");
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "it was closed");
    }

    server.restart();
    let attempts = server.get(&format!("/api/v1/app/{app}/attempt/msg/{message}")).await;
    assert_eq!(attempts["data"].as_array().unwrap().len(), 1, "{attempts}");
    assert_eq!(attempts["data"][0]["responseStatusCode"], 200);
    assert_eq!(receiver.receipts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_hold_a_stop_up() {
    let mut server = Server::start(Settings::default());
    let _idle = [kept_connection(&server), connect(&server), kept_connection(&server)];
    let begun = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let receiver = Receiver::with(|_, _| Answer::Never);
    let mut server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    let message = send(&server, &app).await;
    receiver.wait_for(1);
    let _slow = half_a_request(&server, &app);

    server.signal(Signal::TERM);
    server.wait_for_log("finishing what is under way");
    let begun = Instant::now();
    server.signal(Signal::INT);
    server.wait();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    // Nothing is lost by that: it is sent again.
    server.restart();
    receiver.wait_for(2);
    assert!(receiver.receipts().iter().all(|receipt| receipt.id() == message));
}

/// The time to finish is limited, whatever clients and receivers do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_ever() {
    let receiver = Receiver::with(|_, _| Answer::Never);
    let settings = Settings::default().env("RINGBACK_LIMITS_SHUTDOWN", "1");
    let mut server = Server::start(settings);
    let (app, _) = server.application(&receiver.url()).await;
    send(&server, &app).await;
    receiver.wait_for(1);
    let _slow = half_a_request(&server, &app);
    let begun = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    let took = begun.elapsed();
    assert!((1..3).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_lets_nobody_in() {
    let receiver = Receiver::with(|_, _| Answer::Slowly(200, SLOW));
    let mut server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    send(&server, &app).await;
    receiver.wait_for(1);
    server.signal(Signal::TERM);
    server.wait_for_log("finishing what is under way");
    let address = server.url.strip_prefix("http://").unwrap();
    let begun = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < SLOW / 2, "clients are still let in");
    }
    assert_eq!(server.wait().code(), Some(0));
}
