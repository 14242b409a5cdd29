//! What was acknowledged survives: the process is killed while a provider sends, again and again.

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;

use super::*;
use crate::support::Answer;

/// Rounds of sending and killing.
const ROUNDS: usize = 3;
/// Events of a round.
const EVENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost() {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let receiver = Receiver::with(move |_, _| {
        Answer::status(if opened.load(Ordering::Acquire) { 204 } else { 503 })
    });
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    let config = json!({ "secret": SECRET });
    let mut bench = Bench::on(settings, "github", receiver, config, json!({})).await;
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        for number in 0..EVENTS {
            let id = format!("{round}-{number}");
            let headers = [("x-github-event", "push"), ("x-github-delivery", id.as_str())];
            let body = json!({ "id": id }).to_string();
            if bench.event(&headers, &body).await.status == 200 {
                acknowledged.insert(body);
            }
        }
        bench.server.kill();
        bench.server.restart();
    }
    assert_eq!(acknowledged.len(), ROUNDS * EVENTS);
    let before = bench.receiver.count();
    open.store(true, Ordering::Release);
    bench.receiver.wait_until(|receipts, _| {
        let after = receipts.iter().skip(before);
        let got: HashSet<&[u8]> = after.map(|receipt| &receipt.body[..]).collect();
        acknowledged.iter().all(|body| got.contains(body.as_bytes()))
    });
}

/// Events of senders that do not wait.
const ABANDONED: usize = 20;

/// Some senders write and close, and never read what is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_sender_that_does_not_wait_is_delivered() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    for number in 0..ABANDONED {
        let body = json!({ "id": number }).to_string();
        let delivery = number.to_string();
        let headers = [("x-github-event", "push"), ("x-github-delivery", delivery.as_str())];
        let made = signed("github", SECRET, now(), &bench.url(), &headers, &body);
        let mut request = format!("POST {} HTTP/1.1\r\nhost: x\r\n", bench.path);
        let made = made.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in made.chain(headers) {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        write!(request, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let address = bench.server.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    }
    tokio::task::block_in_place(|| bench.receiver.wait_for(ABANDONED));
}
