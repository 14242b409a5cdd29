//! Many messages once more, examples, and content that is taken back.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Bench, eventually, schedule, text, times};
use crate::support::{Answer, Receiver, Settings};

/// Since always.
const SINCE: &str = "2020-01-01T00:00:00Z";

impl Bench {
    /// Asks for a task; its answer.
    async fn begin(&self, path: &str, body: Value) -> Value {
        let (status, task) = self.server.call(Method::POST, &self.path(path), Some(body)).await;
        assert_eq!(status, 202, "{task}");
        assert_eq!(task["status"], "running");
        task
    }

    /// The task once it has ended.
    async fn ended(&self, task: &Value) -> Value {
        let path = format!("/api/v1/background-task/{}", text(&task["id"]));
        eventually("end of the task", async || {
            let task = self.server.get(&path).await;
            if task["status"] == "running" { Err(task) } else { Ok(task) }
        })
        .await
    }

    /// Sends this many messages, and waits until each was tried.
    async fn sent(&self, receiver: &Receiver, count: usize) -> Vec<String> {
        let before = receiver.by_id().len();
        let mut messages = Vec::with_capacity(count);
        for number in 0..count {
            let payload = json!({ "number": number });
            let message = json!({ "eventType": "replay.test", "payload": payload });
            messages.push(self.send_as(message).await);
        }
        receiver.wait_until(|_, by_id| by_id.len() == before + count);
        self.attempts(messages.last().unwrap(), 1).await;
        messages
    }
}

/// Messages with odd numbers fail the first time.
fn half(receipt: &crate::support::Receipt, before: usize) -> Answer {
    let body: Value = serde_json::from_slice(&receipt.body).unwrap();
    let odd = body["number"].as_u64().is_some_and(|number| number % 2 == 1);
    Answer::status(if odd && before == 0 { 500 } else { 204 })
}

/// No second attempts by themselves, and no circuit, however many fail.
fn patient() -> Settings {
    schedule("3600").env("RINGBACK_DELIVERY_BREAKER", "false")
}

/// The original cuts its pages by attempts and orders them by messages, and so leaves some out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_skips_no_message_and_sends_none_twice() {
    let receiver = Receiver::with(half);
    let bench = Bench::new(patient()).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let messages = bench.sent(&receiver, 60).await;
    for message in &messages {
        bench.attempts(message, 1).await;
    }
    let path = format!("/endpoint/{endpoint}/recover");
    let task = bench.begin(&path, json!({ "since": SINCE })).await;
    assert_eq!(
        (&task["task"], &task["data"]["messagesSent"]),
        (&json!("endpoint.recover"), &json!(0))
    );
    let task = bench.ended(&task).await;
    assert_eq!((&task["status"], &task["progress"]), (&json!("finished"), &json!(100)));
    let data = json!({ "messagesSent": 30, "messagesSeen": 60, "messagesWithoutContent": 0 });
    assert_eq!(task["data"], data);
    receiver.wait_for(90);
    let again = bench.ended(&bench.begin(&path, json!({ "since": SINCE })).await).await;
    let marker = bench.send("marker").await;
    bench.explained(&marker, &endpoint, "delivered", "success").await;
    let expect: Vec<_> = (0..60).map(|number| 1 + number % 2).collect();
    let all: Vec<_> = messages.iter().map(String::as_str).collect();
    assert_eq!(times(&receiver, &all), expect, "{again}");
    for message in messages.iter().skip(1).step_by(2) {
        let line = bench.explained(message, &endpoint, "delivered", "success").await;
        assert_eq!(line["attempts"], 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_goes_on_after_a_crash() {
    let receiver = Receiver::with(half);
    let mut bench = Bench::new(patient()).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let messages = bench.sent(&receiver, 600).await;
    for message in messages.iter().skip(1).step_by(2) {
        bench.attempts(message, 1).await;
    }
    let path = format!("/endpoint/{endpoint}/recover");
    let task = bench.begin(&path, json!({ "since": SINCE })).await;
    bench.server.kill();
    bench.server.restart();
    let task = bench.ended(&task).await;
    assert_eq!((&task["status"], &task["data"]["messagesSent"]), (&json!("finished"), &json!(300)));
    receiver.wait_until(|_, by_id| {
        messages.iter().skip(1).step_by(2).all(|message| by_id.get(message) >= Some(&2))
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_endpoint_gets_what_it_missed() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let messages = [bench.send("wanted").await, bench.send("other").await];
    let late =
        bench.endpoint_with(json!({ "url": receiver.url(), "eventTypes": ["wanted"] })).await;
    let marker = bench.send("wanted").await;
    receiver.wait_for(1);
    bench.attempts(&marker, 1).await;
    let path = format!("/endpoint/{late}/replay-missing");
    for sent in [1, 0] {
        let task = bench.ended(&bench.begin(&path, json!({ "since": SINCE })).await).await;
        assert_eq!(
            (&task["task"], &task["data"]["messagesSent"]),
            (&json!("endpoint.replay"), &json!(sent))
        );
        bench.explained(&messages[0], &late, "delivered", "success").await;
    }
    assert_eq!(times(&receiver, &[&messages[0], &messages[1], &marker]), [1, 0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_sent_again_as_it_was_asked_for() {
    let receiver = Receiver::with(half);
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let messages = bench.sent(&receiver, 4).await;
    for message in &messages {
        bench.attempts(message, 1).await;
    }
    let path = format!("/endpoint/{endpoint}/bulk-replay");
    let mut expect = [1, 1, 1, 1];
    for (filter, again) in [
        (json!({ "status": 3 }), [0, 1, 0, 1]),
        (json!({ "statusCodeClass": 200, "eventTypes": ["replay.test"] }), [1, 1, 1, 1]),
        (json!({ "eventTypes": ["another"] }), [0, 0, 0, 0]),
        (json!({ "until": SINCE }), [0, 0, 0, 0]),
        (json!({ "tag": "none" }), [0, 0, 0, 0]),
        (json!({}), [1, 1, 1, 1]),
    ] {
        let mut body = json!({ "since": SINCE });
        body.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let task = bench.ended(&bench.begin(&path, body).await).await;
        assert_eq!(task["task"], "endpoint.bulk-replay");
        assert_eq!(task["data"]["messagesSent"], again.iter().sum::<usize>(), "{filter}");
        for (number, again) in again.into_iter().enumerate() {
            expect[number] += again;
            bench.attempts(&messages[number], expect[number]).await;
        }
    }
    let all: Vec<_> = messages.iter().map(String::as_str).collect();
    assert_eq!(times(&receiver, &all), expect);
}

/// The original accepts an example for an endpoint that does not want its type, and sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_reaches_an_endpoint_that_filters_its_type() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let event_type =
        json!({ "name": "user.created", "description": "d", "schemas": { "1": schema } });
    bench.server.post("/api/v1/event-type", event_type).await;
    let chosen =
        bench.endpoint_with(json!({ "url": receiver.url(), "eventTypes": ["other"] })).await;
    let other = bench.endpoint(&receiver.url()).await;
    let path = format!("/endpoint/{chosen}/send-example");
    let (status, sent) = bench
        .server
        .call(Method::POST, &bench.path(&path), Some(json!({ "eventType": "user.created" })))
        .await;
    assert_eq!((status, &sent["payload"]), (202, &json!({ "name": "string" })), "{sent}");
    let message = text(&sent["id"]);
    bench.explained(&message, &chosen, "delivered", "success").await;
    bench.explained(&message, &other, "not_sent", "example_for_another").await;
    let marker = bench.send("user.created").await;
    bench.explained(&marker, &other, "delivered", "success").await;
    assert_eq!(times(&receiver, &[&message, &marker]), [1, 1]);
    // What was for one endpoint is not missing at another.
    let path = format!("/endpoint/{other}/replay-missing");
    let task = bench.ended(&bench.begin(&path, json!({ "since": SINCE })).await).await;
    assert_eq!(task["data"]["messagesSent"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_expunged_is_not_sent() {
    // One after the other, so that the rest waits in memory.
    let receiver = Receiver::with(|_, _| Answer::Slowly(204, Duration::from_millis(300)));
    let settings = Settings::default().env("RINGBACK_DELIVERY_IN_FLIGHT_PER_ENDPOINT", "1");
    let bench = Bench::new(settings).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let mut messages = Vec::new();
    for _ in 0..5 {
        messages.push(bench.send("expunge.test").await);
    }
    receiver.wait_for(1);
    bench.delete(&format!("/msg/{}/content", messages[4])).await;
    let ids = json!({ "ids": [messages[3], "nobody"] });
    let answer = bench.server.post(&bench.path("/msg/bulk-expunge"), ids).await;
    let results = json!({ &messages[3]: "expunged", "nobody": "not-found" });
    assert_eq!(answer["results"], results);
    let marker = bench.send("expunge.test").await;
    bench.explained(&marker, &endpoint, "delivered", "success").await;
    let all: Vec<_> = messages.iter().map(String::as_str).collect();
    assert_eq!(times(&receiver, &all), [1, 1, 1, 0, 0]);
    assert_eq!(bench.resend(&messages[3], &endpoint).await.0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_empties_an_application() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let delivered = bench.sent(&receiver, 1).await.remove(0);
    let (status, _) = bench
        .server
        .call(Method::POST, &bench.path(&format!("/endpoint/{endpoint}/pause")), None)
        .await;
    assert_eq!(status, 200);
    let held = bench.send("expunge.test").await;
    let task = bench.begin("/msg/expunge-all-contents", json!({})).await;
    assert_eq!(task["task"], "application.purge_content");
    let task = bench.ended(&task).await;
    assert_eq!((&task["status"], &task["data"]["messagesPurged"]), (&json!("finished"), &json!(2)));
    for message in [&delivered, &held] {
        let message = bench.server.get(&bench.path(&format!("/msg/{message}"))).await;
        assert_eq!(message["payload"], json!({ "expired": true }));
    }
    let path = bench.path(&format!("/endpoint/{endpoint}/resume"));
    assert_eq!(bench.server.call(Method::POST, &path, None).await.0, 200);
    let marker = bench.send("expunge.test").await;
    bench.explained(&marker, &endpoint, "delivered", "success").await;
    assert_eq!(times(&receiver, &[&delivered, &held, &marker]), [1, 0, 1]);
}
