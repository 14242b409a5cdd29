//! Endpoints that keep an order: one after the other by ordering key, whatever happens meanwhile.
//!
//! The messages say themselves where they belong: `{"key": "k", "number": 2}`. What arrived is held
//! against that as the receiver saw it.

mod lasting;

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, text};
use crate::support::{Answer, Receipt, Receiver, call};

/// What says where a request stands in its order.
const SEQUENCE: &str = "ringback-sequence";

impl Bench {
    /// A new endpoint that keeps an order.
    async fn ordered(&self, url: &str, on_exhausted: &str) -> String {
        self.endpoint_with(json!({ "url": url, "delivery": order(on_exhausted) })).await
    }

    /// Sends a message with this ordering key; returns its id.
    async fn send_in(&self, key: &str, number: u64) -> String {
        self.send_as(message(key, number)).await
    }

    /// Sends so many with this ordering key; returns their ids.
    async fn send_many_in(&self, key: &str, count: u64) -> Vec<String> {
        let mut sent = Vec::new();
        for number in 1..=count {
            sent.push(self.send_in(key, number).await);
        }
        sent
    }

    async fn skip(&self, endpoint: &str, body: Value) -> (u16, Value) {
        let path = self.path(&format!("/endpoint/{endpoint}/order/skip"));
        self.server.call(Method::POST, &path, Some(body)).await
    }
}

fn order(on_exhausted: &str) -> Value {
    json!({ "order": { "onExhausted": on_exhausted } })
}

fn message(key: &str, number: u64) -> Value {
    let payload = json!({ "key": key, "number": number });
    json!({ "eventType": "order.test", "orderingKey": key, "payload": payload })
}

/// The ordering key and the number of a message that arrived.
fn place(receipt: &Receipt) -> (String, u64) {
    let body: Value = serde_json::from_slice(&receipt.body).unwrap();
    (text(&body["key"]), body["number"].as_u64().unwrap())
}

/// The numbers of a key, in the order in which they arrived.
fn numbers(receipts: &[Receipt], key: &str) -> Vec<u64> {
    let places = receipts.iter().map(place);
    places.filter(|(of, _)| of == key).map(|(_, number)| number).collect()
}

/// A receiver that does not take this message the first few times.
fn refusing(key: &'static str, number: u64, times: usize) -> Receiver {
    Receiver::with(move |receipt, before| {
        let refused = place(receipt) == (key.to_owned(), number) && before < times;
        Answer::status(if refused { 500 } else { 204 })
    })
}

/// Checks what requests say of their places: it is the same for each attempt of a message, and grows
/// from message to message of a key.
fn check_sequences(receipts: &[Receipt]) {
    let mut last: HashMap<String, (u64, String)> = HashMap::new();
    for receipt in receipts {
        let (key, number) = place(receipt);
        let sequence = receipt.header(SEQUENCE).to_owned();
        assert_eq!(sequence.len(), 19, "{key} {number}: {sequence:?}");
        match last.insert(key.clone(), (number, sequence.clone())) {
            Some((same, before)) if same == number => assert_eq!(before, sequence),
            Some((_, before)) => assert!(before < sequence, "{key} {number}: {before} {sequence}"),
            None => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_26_a_retry_holds_up_its_own_key_and_no_other() {
    let receiver = refusing("k", 1, 2);
    let bench = Bench::new(schedule("1.5,1.5")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let beside = bench.endpoint(&receiver.url()).await;
    bench.patch(&beside, json!({ "eventTypes": ["nothing"] })).await;
    let sent = bench.send_many_in("k", 3).await;
    bench.send_many_in("j", 3).await;
    bench.explained(&sent[1], &endpoint, "pending", "order_waits").await;
    let receipts = receiver.arrived(8).await;
    assert_eq!(numbers(&receipts, "k"), [1, 1, 1, 2, 3]);
    assert_eq!(numbers(&receipts, "j"), [1, 2, 3]);
    let last_of_j = receipts.iter().rposition(|it| place(it).0 == "j").unwrap();
    let tries = receipts.iter().enumerate().filter(|(_, it)| place(it) == ("k".to_owned(), 1));
    let (third, _) = tries.last().unwrap();
    assert!(last_of_j < third, "the other key did not wait");
    check_sequences(&receipts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_27_what_is_exhausted_blocks_its_order_until_it_is_skipped() {
    let receiver = refusing("k", 1, usize::MAX);
    let bench = Bench::new(schedule("0.2")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let sent = bench.send_many_in("k", 2).await;
    let [first, second] = &*sent else { unreachable!() };
    bench.explained(first, &endpoint, "failed", "order_blocked").await;
    bench.explained(second, &endpoint, "pending", "order_waits").await;
    let other = bench.send_in("j", 1).await;
    bench.explained(&other, &endpoint, "delivered", "success").await;
    assert_eq!(numbers(&receiver.receipts(), "k"), [1, 1]);

    for (body, status) in [
        (json!({}), 422),
        (json!({ "orderingKey": "k", "msgId": "none" }), 422),
        (json!({ "orderingKey": "j" }), 404),
        (json!({ "orderingKey": "k", "msgId": second }), 404),
    ] {
        assert_eq!(bench.skip(&endpoint, body.clone()).await.0, status, "{body}");
    }
    let skip = json!({ "orderingKey": "k", "msgId": first });
    assert_eq!(bench.skip(&endpoint, skip.clone()).await, (200, json!({ "msgId": first })));
    bench.explained(second, &endpoint, "delivered", "success").await;
    // The gap is told, and nothing is skipped twice.
    bench.explained(first, &endpoint, "failed", "order_skipped").await;
    let (status, answer) = bench.skip(&endpoint, skip).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")));
    assert_eq!(numbers(&receiver.receipts(), "k"), [1, 1, 2]);
    check_sequences(&receiver.receipts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_27_where_it_is_wanted_what_is_exhausted_is_skipped() {
    let receiver = refusing("k", 1, usize::MAX);
    let bench = Bench::new(schedule("0.2")).await;
    let endpoint = bench.ordered(&receiver.url(), "skip").await;
    let sent = bench.send_many_in("k", 2).await;
    bench.explained(&sent[1], &endpoint, "delivered", "success").await;
    bench.explained(&sent[0], &endpoint, "failed", "exhausted").await;
    assert_eq!(numbers(&receiver.receipts(), "k"), [1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocks_an_order_goes_by_hand_too() {
    let receiver = refusing("k", 1, 2);
    let bench = Bench::new(schedule("0.2")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let sent = bench.send_many_in("k", 2).await;
    bench.explained(&sent[0], &endpoint, "failed", "order_blocked").await;
    assert_eq!(bench.resend(&sent[0], &endpoint).await.0, 202);
    let receipts = receiver.arrived(4).await;
    assert_eq!(numbers(&receipts, "k"), [1, 1, 1, 2]);
    let by_hand: Vec<bool> = receipts.iter().map(|it| it.header(SEQUENCE).is_empty()).collect();
    assert_eq!(by_hand, [false, false, true, false], "who sends by hand goes past the order");
    bench.explained(&sent[0], &endpoint, "delivered", "success").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocked_is_skipped_when_the_endpoint_no_longer_wants_to_wait() {
    let receiver = refusing("k", 1, usize::MAX);
    let bench = Bench::new(schedule("0.2")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let sent = bench.send_many_in("k", 2).await;
    bench.explained(&sent[0], &endpoint, "failed", "order_blocked").await;
    bench.patch(&endpoint, json!({ "delivery": order("skip") })).await;
    bench.explained(&sent[1], &endpoint, "delivered", "success").await;
    bench.explained(&sent[0], &endpoint, "failed", "order_skipped").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_28_what_was_in_flight_comes_again_before_the_next() {
    // The first request arrives, and is still open when the process dies.
    let receiver = Receiver::with(|receipt, before| match (place(receipt).1, before) {
        (1, 0) => Answer::Never,
        _ => Answer::status(204),
    });
    let mut bench = Bench::new(schedule("3600")).await;
    bench.ordered(&receiver.url(), "block").await;
    bench.send_many_in("k", 3).await;
    receiver.arrived(1).await;
    bench.server.kill();
    bench.server.restart();
    let receipts = receiver.arrived(4).await;
    assert_eq!(numbers(&receipts, "k"), [1, 1, 2, 3]);
    check_sequences(&receipts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_goes_on_after_what_is_not_wanted() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let filter = json!({ "body": { "number": { "$neq": 2 } } });
    let endpoint = json!({ "url": receiver.url(), "filter": filter, "delivery": order("block") });
    let endpoint = bench.endpoint_with(endpoint).await;
    let sent = bench.send_many_in("k", 3).await;
    let receipts = receiver.arrived(2).await;
    assert_eq!(numbers(&receipts, "k"), [1, 3]);
    bench.explained(&sent[1], &endpoint, "not_sent", "filter").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_fails_blocks_an_order_and_one_that_cancels_does_not() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let code = "function handler(webhook) {
        if (webhook.payload.number == 2) webhook.cancel = true;
        if (webhook.payload.number == 3) throw new Error('made up');
        return webhook;
    }";
    let path = bench.path(&format!("/endpoint/{endpoint}/transformation"));
    let changed = bench.server.call(Method::PATCH, &path, Some(json!({ "code": code }))).await;
    assert_eq!(changed.0, 204, "{}", changed.1);
    let sent = bench.send_many_in("k", 4).await;
    bench.explained(&sent[2], &endpoint, "failed", "order_blocked").await;
    bench.explained(&sent[1], &endpoint, "not_sent", "transform_canceled").await;
    bench.explained(&sent[3], &endpoint, "pending", "order_waits").await;
    assert_eq!(bench.skip(&endpoint, json!({ "orderingKey": "k" })).await.0, 200);
    bench.explained(&sent[3], &endpoint, "delivered", "success").await;
    bench.explained(&sent[2], &endpoint, "failed", "transform_error").await;
    assert_eq!(numbers(&receiver.receipts(), "k"), [1, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_stops_goes_on_where_its_order_was() {
    let receiver = Receiver::with(|receipt, before| {
        Answer::status(if (place(receipt).1, before) == (2, 0) { 410 } else { 204 })
    });
    let bench = Bench::new(schedule("0.2,0.2")).await;
    let endpoint = bench.ordered(&receiver.url(), "block").await;
    let change = async |verb: &str| {
        let path = bench.path(&format!("/endpoint/{endpoint}/{verb}"));
        assert!(bench.server.call(Method::POST, &path, None).await.0 < 300, "{verb}");
    };
    change("pause").await;
    let sent = bench.send_many_in("k", 3).await;
    change("resume").await;
    bench.endpoint_is(&endpoint, "disabled_gone").await;
    bench.explained(&sent[2], &endpoint, "held", "endpoint_disabled_gone").await;
    bench.patch(&endpoint, json!({ "disabled": false })).await;
    receiver.arrived(4).await;

    change("pause").await;
    bench.send_in("k", 4).await;
    let last = bench.send_in("k", 5).await;
    bench.explained(&last, &endpoint, "held", "endpoint_paused").await;
    change("resume").await;
    let receipts = receiver.arrived(6).await;
    assert_eq!(numbers(&receipts, "k"), [1, 2, 2, 3, 4, 5]);
    check_sequences(&receipts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_about_a_callback_come_one_after_the_other() {
    // What is told of a callback is told by a message of a type, with the callback's id.
    let about = |receipt: &Receipt| {
        let body: Value = serde_json::from_slice(&receipt.body).unwrap();
        (text(&body["type"]), text(&body["data"]["reference"]))
    };
    let receiver = Receiver::with(move |receipt, before| {
        let refused = about(receipt) == ("callback.created".to_owned(), "first".to_owned());
        Answer::status(if refused && before < 1 { 500 } else { 204 })
    });
    let bench = Bench::new(schedule("1.5")).await;
    bench.ordered(&receiver.url(), "block").await;
    let mut made = Vec::new();
    for reference in ["first", "second"] {
        let new = json!({ "application": bench.app, "reference": reference });
        let callback = bench.server.post("/api/v1/callback", new).await;
        let url = text(&callback["url"]);
        let path = &url[url.find("/cb/").unwrap()..];
        let json = [("content-type", "application/json")];
        let body = Bytes::from_static(b"{}");
        let answer = call(&bench.server.url, Method::POST, path, &json, body).await;
        assert_eq!(answer.status, 200);
        made.push(text(&callback["id"]));
    }
    let receipts = receiver.arrived(5).await;
    let told: Vec<_> = receipts.iter().map(about).collect();
    let of = |reference: &str| -> Vec<_> {
        let those = told.iter().filter(|(_, of)| of == reference);
        those.map(|(event_type, _)| event_type.as_str()).collect()
    };
    assert_eq!(of("first"), ["callback.created", "callback.created", "callback.completed"]);
    assert_eq!(of("second"), ["callback.created", "callback.completed"]);
    assert_eq!(told[4].1, "first", "the other callback did not wait: {told:?}");
    for receipt in &receipts {
        let message = bench.server.get(&bench.path(&format!("/msg/{}", receipt.id()))).await;
        let expect = &made[usize::from(about(receipt).1 == "second")];
        assert_eq!(message["orderingKey"], **expect);
    }
}
