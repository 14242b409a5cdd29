//! More is pending than fits into memory, or than the endpoint takes at once.

use std::{
    io::Write,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Bench,
    pace::{attempts_at, unused},
    schedule, text,
    wire::{Wire, read_request},
};
use crate::support::{Answer, Receiver, Settings};

/// Sends this many messages, 16 at a time; returns their ids.
pub(super) async fn burst(bench: &Bench, count: usize) -> Vec<String> {
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let (api, path) = (bench.server.client(), bench.path("/msg"));
        clients.spawn(async move {
            let mut ids = Vec::new();
            for number in (client..count).step_by(16) {
                let body = json!({ "eventType": "burst.test", "payload": { "n": number } });
                let body = Some(body.to_string().into());
                let answer = api.call(Method::POST, &path, body).await.unwrap();
                assert_eq!(answer.status, 202);
                let json: Value = serde_json::from_slice(&answer.body).unwrap();
                ids.push(text(&json["id"]));
            }
            ids
        });
    }
    clients.join_all().await.concat()
}

fn assert_each_once(receiver: &Receiver, messages: &[String]) {
    receiver.wait_until(|_, by_id| messages.iter().all(|id| by_id.contains_key(id)));
    let by_id = receiver.by_id();
    assert_eq!(by_id.len(), messages.len());
    assert!(by_id.values().all(|times| *times == 1), "{by_id:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_head_of_a_lane_arrives_once_each() {
    let receiver = Receiver::with(|_, _| Answer::Slowly(204, Duration::from_millis(2)));
    let settings = Settings::default().env("RINGBACK_LIMITS_LANE_HEAD", "4");
    let bench = Bench::new(settings).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let mut messages = burst(&bench, 300).await;
    assert_each_once(&receiver, &messages);

    // A thousand that were kept back, read from the store four by four.
    let path = |word| bench.path(&format!("/endpoint/{endpoint}/{word}"));
    bench.server.post(&path("pause"), json!({})).await;
    messages.extend(burst(&bench, 1_000).await);
    assert_eq!(receiver.receipts().len(), 300, "it is paused");
    bench.server.post(&path("resume"), json!({})).await;
    assert_each_once(&receiver, &messages);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_endpoints_share_few_places_in_memory() {
    let receiver = Receiver::ok();
    let settings = Settings::default()
        .env("RINGBACK_LIMITS_LANE_HEAD", "4")
        .env("RINGBACK_LIMITS_LANE_HEADS", "8")
        .env("RINGBACK_LIMITS_IN_FLIGHT", "8");
    let bench = Bench::new(settings).await;
    for _ in 0..20 {
        bench.endpoint(&receiver.url()).await;
    }
    let messages = burst(&bench, 50).await;
    receiver.wait_until(|receipts, _| receipts.len() >= messages.len() * 20);
    let by_id = receiver.by_id();
    assert!(messages.iter().all(|id| by_id[id] == 20), "{by_id:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_missed_while_it_was_down_is_delivered() {
    let address = unused(1);
    let settings = schedule("0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5")
        .env("RINGBACK_LIMITS_LANE_HEAD", "16");
    let bench = Bench::new(settings).await;
    let endpoint = bench.endpoint(&format!("http://{address}/hook")).await;
    let messages = burst(&bench, 100).await;
    let refused = attempts_at(&bench, &endpoint, 1).await;
    assert_eq!(refused[0]["reason"], "connection_refused");

    let receiver = Receiver::at(address, |_, _| Answer::status(204));
    assert_each_once(&receiver, &messages);
}

/// A receiver that closes kept connections, before or at the moment of the next request, is not at
/// fault: the request is made again over a new connection, and that is one attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_that_was_closed_costs_no_attempt() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let rude = Wire::new(|mut stream| {
        if read_request(&mut stream) {
            TAKEN.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            // The next request over this connection is read and never answered.
            read_request(&mut stream);
        }
    });
    let closing = Wire::new(|mut stream| {
        if read_request(&mut stream) {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
    });
    let bench = Bench::new(schedule("")).await;
    for wire in [&rude, &closing] {
        let endpoint = bench.endpoint(&wire.url()).await;
        for _ in 0..5 {
            let message = bench.send("idle.test").await;
            let attempts = bench.attempts(&message, 1).await;
            assert_eq!(attempts[0]["status"], 0, "{attempts:?}");
        }
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    assert_eq!(TAKEN.load(Ordering::SeqCst), 5);
    assert!(rude.connections() >= 5, "every second request needed a new one");
}

/// Connections that are kept for the next delivery do not take the room of those in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connections_stay_within_the_limit() {
    const ENDPOINTS: usize = 60;
    let open = Arc::new((Mutex::new(0), Condvar::new()));
    let counted = Arc::clone(&open);
    let wire = Wire::new(move |mut stream| {
        let (open, changed) = &*counted;
        *open.lock().unwrap() += 1;
        while read_request(&mut stream) {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
        *open.lock().unwrap() -= 1;
        changed.notify_all();
    });
    let settings = schedule("").env("RINGBACK_DELIVERY_MAX_CONNECTIONS", "20");
    let bench = Bench::new(settings).await;
    for _ in 0..ENDPOINTS {
        bench.endpoint(&wire.url()).await;
    }
    for _ in 0..3 {
        let message = bench.send("idle.test").await;
        let attempts = bench.attempts(&message, ENDPOINTS).await;
        assert!(attempts.iter().all(|attempt| attempt["status"] == 0), "{attempts:?}");
    }
    assert!(wire.connections() >= ENDPOINTS, "each has one of its own");
    let (open, changed) = &*open;
    let limit = Duration::from_secs(10);
    let (left, late) =
        changed.wait_timeout_while(open.lock().unwrap(), limit, |open| *open > 20).unwrap();
    assert!(!late.timed_out(), "{left} are open");
}
