//! Changes of an endpoint count from the next attempt on, and drop nothing silently.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, times, verify};
use crate::support::{Answer, Receiver};

fn failing() -> Receiver {
    Receiver::with(|_, _| Answer::status(500))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_attempt_uses_the_new_url_headers_and_secret() {
    let (old, new) = (failing(), Receiver::ok());
    let bench = Bench::new(schedule("1")).await;
    let endpoint = bench.endpoint(&old.url()).await;
    let message = bench.send("edit.test").await;
    bench.attempts(&message, 1).await;

    bench.patch(&endpoint, json!({ "url": new.url() })).await;
    let headers = json!({ "headers": { "x-edited": "yes" } });
    let path = bench.path(&format!("/endpoint/{endpoint}/headers"));
    assert_eq!(bench.server.call(Method::PATCH, &path, Some(headers)).await.0, 204);
    let path = bench.path(&format!("/endpoint/{endpoint}/secret/rotate"));
    bench.server.post(&path, json!({ "gracePeriodSeconds": 0 })).await;

    let receipt = new.wait_for(1).remove(0);
    assert_eq!((receipt.id(), receipt.header("x-edited")), (message.as_str(), "yes"));
    verify(&bench.secret(&endpoint).await, &receipt).unwrap();
    let urls: Vec<_> =
        bench.attempts(&message, 2).await.iter().map(|one| one["url"].clone()).collect();
    assert_eq!(urls, [old.url(), new.url()], "each attempt keeps the URL it was made to");
    assert_eq!(old.receipts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_endpoint_gets_nothing_and_what_was_pending_is_held() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let beside = failing();
    let bench = Bench::new(schedule("0.5")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let held = bench.send("disable.test").await;
    bench.attempts(&held, 1).await;
    bench.patch(&endpoint, json!({ "disabled": true })).await;
    let line = bench.explain(&held, &endpoint).await;
    assert_eq!((&line["state"], &line["reason"]), (&json!("held"), &json!("endpoint_disabled")));
    assert_eq!(line["nextAttempt"], Value::Null);

    // A lane beside it gets both attempts of a later message: the time of the held one is over.
    bench.endpoint(&beside.url()).await;
    let passed = bench.send("disable.test").await;
    beside.wait_for(2);
    assert_eq!(receiver.receipts().len(), 1);
    bench.explained(&passed, &endpoint, "not_sent", "endpoint_disabled").await;

    bench.patch(&endpoint, json!({ "disabled": false })).await;
    bench.explained(&held, &endpoint, "delivered", "success").await;
    bench.explained(&passed, &endpoint, "not_sent", "endpoint_disabled").await;
    assert_eq!(times(&receiver, &[&held, &passed]), [2, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_cancels_what_was_pending() {
    let (deleted, beside) = (failing(), failing());
    let bench = Bench::new(schedule("0.5")).await;
    let endpoint = bench.endpoint(&deleted.url()).await;
    let message = bench.send("delete.test").await;
    bench.attempts(&message, 1).await;
    bench.delete(&format!("/endpoint/{endpoint}")).await;
    bench.explained(&message, &endpoint, "canceled", "endpoint_deleted").await;

    // The whole application, with a message pending.
    let doomed = Bench { app: bench.server.application(&deleted.url()).await.0, ..bench };
    let other = doomed.send("delete.test").await;
    doomed.attempts(&other, 1).await;
    doomed.delete("").await;
    let (status, _) = doomed.server.call(Method::GET, &doomed.path("/msg"), None).await;
    assert_eq!(status, 404);

    let marker = Bench { app: doomed.server.application(&beside.url()).await.0, ..doomed };
    marker.send("marker").await;
    beside.wait_for(2);
    assert_eq!(times(&deleted, &[&message, &other]), [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_endpoint_keeps_everything_and_gets_it_when_resumed() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let beside = failing();
    let bench = Bench::new(schedule("0.3")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let before = bench.send("pause.test").await;
    bench.attempts(&before, 1).await;
    let path = |word| bench.path(&format!("/endpoint/{endpoint}/{word}"));
    let paused = bench.server.post(&path("pause"), json!({})).await;
    assert_eq!((&paused["state"], &paused["disabled"]), (&json!("paused"), &json!(false)));
    bench.endpoint(&beside.url()).await;
    let during = bench.send("pause.test").await;
    beside.wait_for(2);
    for message in [&before, &during] {
        bench.explained(message, &endpoint, "held", "endpoint_paused").await;
    }
    assert_eq!(times(&receiver, &[&before, &during]), [1, 0]);

    let resumed = bench.server.post(&path("resume"), json!({})).await;
    assert_eq!(resumed["state"], "enabled");
    for message in [&before, &during] {
        bench.explained(message, &endpoint, "delivered", "success").await;
    }
}

/// An answer to a request that was sent to the old URL says nothing about the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_gone_from_the_old_url_does_not_disable_the_new_one() {
    let old = Receiver::with(|_, _| Answer::Slowly(410, Duration::from_millis(700)));
    let new = Receiver::ok();
    let bench = Bench::new(schedule("0.3")).await;
    let endpoint = bench.endpoint(&old.url()).await;
    let message = bench.send("edit.test").await;
    old.wait_for(1);
    bench.patch(&endpoint, json!({ "url": new.url() })).await;
    let line = bench.explained(&message, &endpoint, "delivered", "success").await;
    assert_eq!((&line["attempts"], &line["endpointState"]), (&json!(2), &json!("enabled")));
    let statuses: Vec<_> = bench.attempts(&message, 2).await;
    assert_eq!(statuses[0]["responseStatusCode"], 410);
    assert_eq!(bench.get_endpoint(&endpoint).await["state"], "enabled");
}
