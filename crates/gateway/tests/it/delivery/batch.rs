//! Several messages in one request.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, text, verify};
use crate::support::{Answer, Receipt, Receiver, Settings};

/// What an endpoint at this receiver is that wants batches like this.
fn wanting(receiver: &Receiver, messages: u32, wait: f64) -> Value {
    json!({ "url": receiver.url(), "delivery": { "batch": { "messages": messages, "wait": wait } } })
}

fn elements(receipt: &Receipt) -> Vec<Value> {
    serde_json::from_slice(&receipt.body).unwrap()
}

fn ids(receipt: &Receipt) -> Vec<String> {
    elements(receipt).iter().map(|element| text(&element["id"])).collect()
}

/// Waits for so many messages, in however many requests.
async fn arrived(receiver: &Receiver, messages: usize) -> Vec<Receipt> {
    receiver
        .arrived_until(move |receipts| {
            receipts.iter().map(|receipt| elements(receipt).len()).sum::<usize>() >= messages
        })
        .await;
    receiver.receipts()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_batch_goes_at_once_and_is_signed_once() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    // Nobody would wait so long.
    let endpoint = bench.endpoint_with(wanting(&receiver, 3, 60.0)).await;
    let mut sent = Vec::new();
    for number in 0..3 {
        sent.push(bench.send(&format!("number.{number}")).await);
    }
    let receipt = arrived(&receiver, 3).await.remove(0);
    assert_eq!(ids(&receipt), sent);
    let id = verify(&bench.secret(&endpoint).await, &receipt).unwrap();
    assert!(id.starts_with("batch_"), "{id}");
    assert_eq!(receipt.header("content-type"), "application/json");
    let message = bench.server.get(&bench.path(&format!("/msg/{}", sent[1]))).await;
    let expected = json!({
        "id": sent[1], "type": "number.1", "timestamp": message["timestamp"],
        "payload": { "type": "number.1" },
    });
    assert_eq!(elements(&receipt)[1], expected);
    for message in &sent {
        let attempt = bench.attempts(message, 1).await.remove(0);
        assert_eq!(attempt["responseStatusCode"], 204, "{attempt}");
        assert_eq!(attempt["batchId"], id, "{attempt}");
        bench.explained(message, &endpoint, "delivered", "success").await;
    }
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_not_full_goes_when_the_oldest_has_waited() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    bench.endpoint_with(wanting(&receiver, 1_000, 1.0)).await;
    let sent = [bench.send("a.one").await, bench.send("a.two").await];
    let receipts = arrived(&receiver, 2).await;
    assert_eq!(ids(&receipts[0]), sent, "{} requests", receipts.len());
    // A batch of one is one, too.
    let alone = bench.send("a.three").await;
    let receipts = arrived(&receiver, 3).await;
    assert_eq!(ids(&receipts[1]), std::slice::from_ref(&alone));
    // What somebody asks for goes at once.
    let endpoint = bench.server.get(&bench.path("/endpoint")).await;
    let endpoint = text(&endpoint["data"][0]["id"]);
    assert_eq!(bench.resend(&alone, &endpoint).await.0, 202);
    assert_eq!(ids(&arrived(&receiver, 4).await[2]), [alone]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_failed_is_tried_again_under_the_same_id() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let bench = Bench::new(schedule("1,600")).await;
    let endpoint = bench.endpoint_with(wanting(&receiver, 2, 60.0)).await;
    let sent = [bench.send("a.one").await, bench.send("a.two").await];
    let receipts = arrived(&receiver, 4).await;
    assert_eq!(receipts[0].body, receipts[1].body);
    assert_eq!(receipts[0].id(), receipts[1].id());
    for receipt in &receipts {
        verify(&bench.secret(&endpoint).await, receipt).unwrap();
    }
    for message in &sent {
        let statuses: Vec<_> = bench.attempts(message, 2).await;
        let statuses: Vec<_> = statuses.iter().map(|it| it["responseStatusCode"].clone()).collect();
        assert_eq!(statuses, [json!(500), json!(204)]);
        bench.explained(message, &endpoint, "delivered", "success").await;
    }
    assert_eq!(receiver.count(), 2);
}

/// A request has no more than 1 MiB of what was made, and the message that passes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_large_goes_in_several_requests() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let endpoint = bench.endpoint_with(wanting(&receiver, 4, 60.0)).await;
    let code = "function handler(webhook) { \
        webhook.payload.more = 'x'.repeat(600000); return webhook }";
    let path = bench.path(&format!("/endpoint/{endpoint}/transformation"));
    let change = Some(json!({ "code": code }));
    assert_eq!(bench.server.call(Method::PATCH, &path, change).await.0, 204);
    // The last two wait for more, as there were four.
    bench.patch(&endpoint, wanting(&receiver, 4, 0.2)).await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(bench.send_as(json!({ "eventType": "a.b", "payload": {} })).await);
    }
    let receipts = arrived(&receiver, 4).await;
    let mut got: Vec<_> = receipts.iter().flat_map(ids).collect();
    got.sort_unstable();
    assert_eq!(got, sent, "each once");
    for receipt in &receipts {
        assert!(elements(receipt).len() <= 2, "{} in one", elements(receipt).len());
    }
    for message in &sent {
        bench.explained(message, &endpoint, "delivered", "success").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_filter_keeps_back_drops_out_by_itself() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let mut wanted = wanting(&receiver, 3, 60.0);
    wanted["filter"] = json!({ "body": { "keep": true } });
    let endpoint = bench.endpoint_with(wanted).await;
    let mut sent = Vec::new();
    for keep in [true, false, true] {
        let message = json!({ "eventType": "a.b", "payload": { "keep": keep } });
        sent.push(bench.send_as(message).await);
    }
    let receipt = arrived(&receiver, 2).await.remove(0);
    assert_eq!(ids(&receipt), [sent[0].clone(), sent[2].clone()]);
    bench.explained(&sent[1], &endpoint, "not_sent", "filter").await;
    for message in [&sent[0], &sent[2]] {
        bench.explained(message, &endpoint, "delivered", "success").await;
    }
    // Three that nobody wants are no request.
    for _ in 0..3 {
        sent.push(bench.send_as(json!({ "eventType": "a.b", "payload": {} })).await);
    }
    for message in &sent[3..] {
        bench.explained(message, &endpoint, "not_sent", "filter").await;
    }
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloudevents_have_a_batch_format_of_their_own_and_bodies_are_compressed() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let batch = json!({ "messages": 2, "wait": 60 });
    let delivery = json!({ "format": "cloudevents", "source": "/shop", "batch": batch });
    bench.endpoint_with(json!({ "url": receiver.url(), "delivery": delivery })).await;
    let sent = [bench.send("a.one").await, bench.send("a.two").await];
    let receipt = arrived(&receiver, 2).await.remove(0);
    assert_eq!(receipt.header("content-type"), "application/cloudevents-batch+json");
    assert_eq!(ids(&receipt), sent);
    for event in elements(&receipt) {
        assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/shop")));
        assert_eq!(event["data"]["type"], event["type"]);
    }
    let delivery = json!({ "format": "raw", "batch": { "messages": 2 } });
    let wanted = json!({ "url": receiver.url(), "delivery": delivery });
    let (status, body) =
        bench.server.call(Method::POST, &bench.path("/endpoint"), Some(wanted)).await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", "delivery", "batch"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gone_endpoint_is_told_once_and_holds_all_of_the_batch() {
    let receiver = Receiver::with(|_, _| Answer::status(410));
    let told = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let listener = json!({ "url": told.url(), "filterTypes": ["endpoint.disabled"] });
    bench.server.post("/api/v1/operational-webhook/endpoint", listener).await;
    let endpoint = bench.endpoint_with(wanting(&receiver, 3, 60.0)).await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(bench.send("a.b").await);
    }
    for message in &sent {
        bench.explained(message, &endpoint, "held", "endpoint_disabled_gone").await;
    }
    told.arrived(1).await;
    assert_eq!((receiver.count(), told.count()), (1, 1));
}

/// In an order a batch has one message of each key, and no message overtakes another of its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_kept() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let delivery = json!({ "order": {}, "batch": { "messages": 4, "wait": 0.2 } });
    bench.endpoint_with(json!({ "url": receiver.url(), "delivery": delivery })).await;
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..12 {
        let key = format!("key-{}", number % 2);
        let message = json!({ "eventType": "a.b", "payload": { "key": key }, "orderingKey": key });
        sent.entry(key).or_default().push(bench.send_as(message).await);
    }
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for receipt in arrived(&receiver, 12).await {
        let mut keys = Vec::new();
        for element in elements(&receipt) {
            let key = text(&element["payload"]["key"]);
            assert_eq!(text(&element["sequence"]).len(), 19, "{element}");
            assert!(!keys.contains(&key), "two of {key} in one request");
            got.entry(key.clone()).or_default().push(text(&element["id"]));
            keys.push(key);
        }
    }
    assert_eq!(got, sent);
}

/// What waits for more is as durable as anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_that_waits_for_more() {
    let receiver = Receiver::ok();
    let mut bench = Bench::new(Settings::default()).await;
    bench.endpoint_with(wanting(&receiver, 3, 60.0)).await;
    let mut sent = vec![bench.send("a.one").await, bench.send("a.two").await];
    bench.server.kill();
    assert_eq!(receiver.count(), 0);
    bench.server.restart();
    sent.push(bench.send("a.three").await);
    let receipt = arrived(&receiver, 3).await.remove(0);
    assert_eq!(ids(&receipt), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_goes_in_full_batches() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default().env("RINGBACK_LIMITS_LANE_HEAD", "64")).await;
    let mut wanted = wanting(&receiver, 50, 60.0);
    wanted["disabled"] = json!(false);
    let endpoint = bench.endpoint_with(wanted).await;
    let pause = bench.path(&format!("/endpoint/{endpoint}/pause"));
    bench.server.post(&pause, json!({})).await;
    for _ in 0..200 {
        bench.send("a.b").await;
    }
    let resume = bench.path(&format!("/endpoint/{endpoint}/resume"));
    bench.server.post(&resume, json!({})).await;
    let receipts = arrived(&receiver, 200).await;
    let sizes: Vec<_> = receipts.iter().map(|receipt| elements(receipt).len()).collect();
    assert_eq!(sizes, [50; 4]);
}
