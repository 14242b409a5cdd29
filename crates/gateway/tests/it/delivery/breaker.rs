//! An endpoint that fails too often is left alone for a while, probed with one, and comes back slowly.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{Bench, backlog::burst, eventually, millis, pace::attempts_at, schedule, text};
use crate::support::{Answer, Receiver, Settings};

/// A first wait of a second, and no second attempts.
fn settings() -> Settings {
    schedule("3600").env("RINGBACK_DELIVERY_BREAKER_WAIT", "1")
}

/// Sends one message after the other, each once the one before was attempted.
async fn one_by_one(bench: &Bench, count: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let message = bench.send("breaker.test").await;
        bench.attempts(&message, 1).await;
        messages.push(message);
    }
    messages
}

/// What was told to the operator about the circuit, in this order.
fn turns(operator: &Receiver) -> Vec<Value> {
    let bodies = operator.receipts().into_iter();
    let bodies = bodies.map(|one| serde_json::from_slice::<Value>(&one.body).unwrap());
    bodies.filter(|body| text(&body["type"]).starts_with("endpoint.breaker.")).collect()
}

/// 20 requests, 10 of which fail: the circuit opens; nothing is sent until one probe, which fails,
/// then another; then a ramp. What waited has spent no attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_29_half_of_twenty_fail_and_the_endpoint_is_left_alone() {
    const WAITING: usize = 70;
    const TAKES: Duration = Duration::from_millis(100);
    let arrived = AtomicUsize::new(0);
    let receiver = Receiver::with(move |_, _| match arrived.fetch_add(1, Ordering::SeqCst) {
        number @ 0..20 if number % 2 == 0 => Answer::status(500),
        0..20 => Answer::status(204),
        20 => Answer::status(500),
        _ => Answer::Slowly(204, TAKES),
    });
    let operator = Receiver::ok();
    let bench = Bench::new(settings()).await;
    let types = ["endpoint.breaker.opened", "endpoint.breaker.closed"];
    let told = json!({ "url": operator.url(), "eventTypes": types });
    bench.server.post("/api/v1/operational-webhook/endpoint", told).await;
    let endpoint = bench.endpoint(&receiver.url()).await;

    one_by_one(&bench, 20).await;
    let messages = burst(&bench, WAITING).await;
    let line = bench
        .explained(&messages[WAITING - 1], &endpoint, "pending", "endpoint_circuit_open")
        .await;
    assert!(line["nextAttempt"].is_string(), "{line}");
    eventually("an open circuit", async || {
        let metrics = bench.server.metrics().await;
        let open = metrics.lines().any(|line| line == "ringback_breakers_open 1");
        if open { Ok(()) } else { Err(json!(metrics)) }
    })
    .await;

    let receipts = receiver.arrived(20 + WAITING).await;
    let since = |later: usize, earlier: usize| receipts[later].at - receipts[earlier].at;
    let wait = since(20, 19);
    assert!(wait >= Duration::from_millis(790), "the probe came after {wait:?}");
    let wait = since(21, 20);
    assert!(wait >= Duration::from_millis(1_590), "the second probe came after {wait:?}");
    // One at a time from then on, for five seconds; after that two.
    let alone = (22..20 + WAITING).take_while(|index| since(*index, 21).as_secs_f64() < 5.0);
    for index in alone {
        let gap = since(index, index - 1);
        assert!(gap >= TAKES - Duration::from_millis(20), "number {index} came after {gap:?}");
    }
    let together = since(19 + WAITING, 21).as_secs_f64();
    assert!(together > 5.0, "the ramp was not reached: {together} s");

    let attempts = attempts_at(&bench, &endpoint, 20 + WAITING).await;
    assert_eq!(attempts.len(), 20 + WAITING);
    assert!(attempts.iter().all(|one| one["attemptNumber"] == 1), "{attempts:?}");
    operator.arrived(2).await;
    let turns = turns(&operator);
    assert_eq!(turns.iter().map(|turn| &turn["type"]).collect::<Vec<_>>(), types);
    assert_eq!(turns[0]["data"]["endpointId"], endpoint.as_str());
    assert!(turns[0]["data"]["until"].is_string(), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_failures_in_a_row_open_a_circuit_unless_it_is_switched_off() {
    let receiver = Receiver::with(|_, _| Answer::status(400));
    let settings = schedule("3600");
    let bench = Bench::new(settings).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let messages = burst(&bench, 30).await;
    receiver.arrived(10).await;
    bench.explained(&messages[29], &endpoint, "pending", "endpoint_circuit_open").await;
    // One request at a time, as it failed from the start.
    assert_eq!(receiver.count(), 10);
    // Whoever asks for an attempt gets it; and a change of the endpoint starts anew.
    assert_eq!(bench.resend(&messages[29], &endpoint).await.0, 202);
    receiver.arrived(11).await;
    bench.patch(&endpoint, json!({ "url": format!("http://{}/other", receiver.address) })).await;
    receiver.arrived(21).await;

    let off = Bench::new(schedule("3600").env("RINGBACK_DELIVERY_BREAKER", "false")).await;
    let other = Receiver::with(|_, _| Answer::status(400));
    off.endpoint(&other.url()).await;
    burst(&off, 30).await;
    assert_eq!(other.arrived(30).await.len(), 30);
}

/// After 429 with `Retry-After: 120` nothing is sent for 120 s; after 410 nothing at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_30_a_receiver_that_says_when_or_never() {
    let receiver = Receiver::with(|receipt, _| match receipt.path.as_str() {
        "/later" => Answer::Status(429, vec![("retry-after", "120".to_owned())]),
        _ => Answer::status(410),
    });
    let bench = Bench::new(schedule("1")).await;
    let at = |path: &str| format!("http://{}/{path}", receiver.address);
    let later = bench.endpoint_with(json!({ "url": at("later"), "eventTypes": ["later"] })).await;
    let gone = bench.endpoint_with(json!({ "url": at("gone"), "eventTypes": ["gone"] })).await;

    let refused = bench.send("later").await;
    let attempt = bench.attempts(&refused, 1).await.remove(0);
    let made = millis(&attempt["timestamp"]);
    assert!(millis(&attempt["nextAttempt"]) >= made + 120_000, "{attempt}");
    // Not that delivery alone: nothing is sent to the endpoint.
    let other = bench.send("later").await;
    let line = bench.explained(&other, &later, "pending", "endpoint_busy").await;
    // What is left is counted on another clock than times of attempts, and cut to milliseconds.
    assert!(millis(&line["nextAttempt"]) >= made + 120_000 - 5, "{line}");

    let message = bench.send("gone").await;
    bench.endpoint_is(&gone, "disabled_gone").await;
    bench.explained(&message, &gone, "held", "endpoint_disabled_gone").await;
    let unwanted = bench.send("gone").await;
    bench.explained(&unwanted, &gone, "not_sent", "endpoint_disabled_gone").await;
    assert_eq!(receiver.count(), 2);
}

/// When a third of all endpoints begin to fail at once, it may be the way out of this machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everything_fails_at_once_circuits_stay_closed_and_that_is_told() {
    let receiver = Receiver::with(|_, _| Answer::status(500));
    let bench = Bench::new(schedule("3600")).await;
    for number in 0..30 {
        bench.endpoint(&format!("http://{}/{number}", receiver.address)).await;
    }
    burst(&bench, 12).await;
    bench.server.wait_for_log("is the way out of this machine broken?");
    // Nobody is left alone but those that were first.
    let arrived = receiver.arrived(30 * 12 - 9 * 2).await;
    let mut by_path = std::collections::HashMap::<_, usize>::new();
    arrived.iter().for_each(|one| *by_path.entry(one.path.clone()).or_default() += 1);
    let opened = by_path.values().filter(|count| **count < 12).count();
    assert!(opened <= 9, "{by_path:?}");
    let metrics = bench.server.metrics().await;
    assert!(metrics.contains("ringback_breakers_suspended 1"), "{metrics}");
}

/// What a receiver may ask for in a header, with any status.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_controls_deliveries_with_a_header() {
    let asked = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::with(move |receipt, _| {
        asked.fetch_add(1, Ordering::SeqCst);
        let mut parts = receipt.path.trim_start_matches('/').split('/');
        let status = parts.next().unwrap().parse().unwrap();
        Answer::Status(status, vec![("webhook-delivery", parts.next().unwrap().to_owned())])
    });
    let operator = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let told = json!({ "url": operator.url(), "eventTypes": ["endpoint.disabled"] });
    bench.server.post("/api/v1/operational-webhook/endpoint", told).await;
    for (path, state, explained, reason) in [
        ("204/disable", "disabled_gone", ("delivered", "success"), json!("disabled_by_receiver")),
        (
            "500/Disable",
            "disabled_gone",
            ("held", "endpoint_disabled_gone"),
            json!("disabled_by_receiver"),
        ),
        ("500/abort-message", "enabled", ("failed", "exhausted"), json!("aborted_by_receiver")),
        ("204/abort-message", "enabled", ("delivered", "success"), Value::Null),
        ("500/something-else", "enabled", ("pending", "retrying"), json!("server_error_status")),
    ] {
        let url = format!("http://{}/{path}", receiver.address);
        let endpoint = bench.endpoint(&url).await;
        let message = bench.send("control.test").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        assert_eq!(attempt["reason"], reason, "{path}: {attempt}");
        bench.explained(&message, &endpoint, explained.0, explained.1).await;
        bench.endpoint_is(&endpoint, state).await;
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    for receipt in operator.arrived(2).await {
        let body: Value = serde_json::from_slice(&receipt.body).unwrap();
        assert_eq!(body["data"]["trigger"], "requested", "{body}");
    }
}
