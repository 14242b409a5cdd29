//! An endpoint that is away is probed, and one that says what it takes gets no more than that.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Bench, backlog::burst, eventually, millis, schedule, text};
use crate::support::{Answer, Receiver};

/// An address where nobody listens, and nobody else will.
pub(super) fn unused(network: u8) -> SocketAddr {
    let free = std::net::TcpListener::bind(SocketAddr::from(([127, 81, 7, network], 0))).unwrap();
    free.local_addr().unwrap()
}

/// The attempts at an endpoint, oldest first, once there are this many.
pub(super) async fn attempts_at(bench: &Bench, endpoint: &str, count: usize) -> Vec<Value> {
    let path = bench.path(&format!("/attempt/endpoint/{endpoint}?limit=250"));
    eventually(&format!("{count} attempts at {endpoint}"), async || {
        let mut attempts = bench.server.get(&path).await["data"].as_array().unwrap().clone();
        attempts.reverse();
        if attempts.len() < count { Err(json!(attempts.len())) } else { Ok(attempts) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_away_is_probed_and_then_gets_everything() {
    let address = unused(2);
    // Without the pause, each of them would be tried every half second.
    let bench = Bench::new(schedule(&["0.5"; 50].join(","))).await;
    let endpoint = bench.endpoint(&format!("http://{address}/hook")).await;
    let messages = burst(&bench, 100).await;
    let attempts = attempts_at(&bench, &endpoint, 6).await;
    let at: Vec<_> = attempts.iter().map(|one| millis(&one["timestamp"])).collect();
    for (index, pair) in at.windows(2).enumerate() {
        let least = (100 << index).min(5_000) * 8 / 10;
        assert!(pair[1] - pair[0] >= least - 2, "pause {index} of {at:?}");
    }
    assert!(attempts.len() < 20, "{} attempts", attempts.len());
    let line = bench.explained(&messages[99], &endpoint, "pending", "endpoint_not_answering").await;
    let probed = millis(&line["nextAttempt"]);
    assert!(probed > *at.last().unwrap() && probed < at.last().unwrap() + 10_000, "{line}");

    // Whoever asks for an attempt does not wait for the next probe.
    let begun = Instant::now();
    for asked in 1..=5 {
        bench.resend(&messages[0], &endpoint).await;
        let is_manual = |one: &&Value| one["triggerType"] == 1;
        eventually("the attempt that was asked for", async || {
            let attempts = bench.attempts(&messages[0], asked).await;
            let made = attempts.iter().filter(is_manual).count();
            if made == asked { Ok(()) } else { Err(json!(attempts)) }
        })
        .await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    let back = Instant::now();
    let receiver = Receiver::at(address, |_, _| Answer::status(204));
    receiver.wait_until(|_, by_id| messages.iter().all(|id| by_id.contains_key(id)));
    let first = receiver.receipts()[0].at - back;
    assert!(first < Duration::from_millis(6_000), "the first attempt came after {first:?}");
    let all = back.elapsed() - first;
    assert!(all < Duration::from_secs(3), "the others came {all:?} later");
    assert!(receiver.by_id().values().all(|times| *times == 1), "{:?}", receiver.by_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_a_server_is_a_server_that_is_away() {
    let proxy = Receiver::with(|_, _| Answer::status(503));
    let alive = Receiver::with(|_, _| Answer::status(500));
    let bench = Bench::new(schedule("3600")).await;
    bench.endpoint(&proxy.url()).await;
    bench.endpoint(&alive.url()).await;
    burst(&bench, 50).await;
    // A receiver that answers gets everything at once, until it failed ten times.
    alive.wait_for(10);
    assert!(proxy.count() < 10, "{} attempts", proxy.count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_probe_survives_a_crash_and_keeps_its_count() {
    let address = unused(3);
    let mut bench = Bench::new(schedule("3600,3600")).await;
    let endpoint = bench.endpoint(&format!("http://{address}/hook")).await;
    let messages = burst(&bench, 60).await;
    attempts_at(&bench, &endpoint, 4).await;
    bench.server.kill();
    // It would be found after the longest pause at the latest; a new process has none.
    let receiver = Receiver::at(address, |_, _| Answer::status(204));
    bench.server.restart();
    let untried = receiver.wait_for(60 - 10).into_iter().map(|one| one.id().to_owned());
    for message in untried.collect::<Vec<_>>() {
        let attempts = bench.attempts(&message, 1).await;
        assert_eq!((attempts.len(), &attempts[0]["attemptNumber"]), (1, &json!(1)));
    }
    assert!(receiver.by_id().keys().all(|id| messages.contains(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_to_be_left_alone_is() {
    let receiver = Receiver::with(|receipt, before| {
        let first = receipt.body.windows(5).any(|part| part == b"first");
        match (first, before) {
            (true, 0) => Answer::Status(429, vec![("retry-after", "2".to_owned())]),
            _ => Answer::status(204),
        }
    });
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let refused = bench.send("first").await;
    bench.attempts(&refused, 1).await;
    let other = bench.send("second").await;
    bench.explained(&other, &endpoint, "pending", "endpoint_busy").await;
    assert_eq!(bench.resend(&refused, &endpoint).await.0, 202);
    let receipts = receiver.wait_for(3);
    for receipt in &receipts[1..] {
        let after = receipt.at - receipts[0].at;
        assert!((2..4).contains(&after.as_secs()), "{after:?}");
    }
    assert_eq!(bench.attempts(&other, 1).await.len(), 1);
    assert_eq!(receipts[1].id(), text(&json!(refused)), "who asks goes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_url_is_tried_at_once() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint(&format!("http://{}/hook", unused(4))).await;
    let messages = burst(&bench, 20).await;
    // The next probe comes three seconds after the sixth.
    attempts_at(&bench, &endpoint, 6).await;
    let begun = Instant::now();
    bench.patch(&endpoint, json!({ "url": receiver.url() })).await;
    receiver.wait_for(messages.len() - 6);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
