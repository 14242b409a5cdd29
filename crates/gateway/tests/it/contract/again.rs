//! What is sent again: retries are what was sent first, replays what the endpoint gets now.

use std::sync::{Mutex, mpsc};

use http::Method;
use serde_json::{Value, json};

use super::{TYPE, Versions, body_of, renaming, sha256, version_of};
use crate::support::{Answer, PATIENCE, Receipt, Receiver};

const V1: &str = r#"{"creation_date":"now","amount":1.50}"#;
const V2: &str = r#"{"created_at":"now","amount":1.50}"#;
const V3: &str = r#"{"made_at":"now","amount":1.50}"#;
/// What a later conversion makes of it.
const V1_LATER: &str = r#"{"creation_date":"now","amount":1.50,"note":"late"}"#;

impl Versions {
    async fn resend(&self, message: &str, endpoint: &str, query: &str) {
        let path = self.path(&format!("/msg/{message}/endpoint/{endpoint}/resend{query}"));
        let (status, answer) = self.server.call(Method::POST, &path, None).await;
        assert_eq!(status, 202, "{answer}");
    }

    async fn replay(&self, endpoint: &str, more: Value) {
        let mut body = json!({ "since": "2020-01-01T00:00:00Z" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = self.path(&format!("/endpoint/{endpoint}/bulk-replay"));
        let (status, answer) = self.server.call(Method::POST, &path, Some(body)).await;
        assert_eq!(status, 202, "{answer}");
    }

    async fn pin(&self, endpoint: &str, label: &str) {
        let pins = json!({ "delivery": { "versions": { "types": { TYPE: label } } } });
        let path = self.path(&format!("/endpoint/{endpoint}"));
        let (status, answer) = self.server.call(Method::PATCH, &path, Some(pins)).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn transform(&self, endpoint: &str, body: &str) {
        let code = format!("function handler(webhook) {{ {body} return webhook }}");
        let path = self.path(&format!("/endpoint/{endpoint}/transformation"));
        let change = json!({ "code": code });
        assert_eq!(self.server.call(Method::PATCH, &path, Some(change)).await.0, 204);
    }
}

/// Acceptance cases 3 and 10: older versions step by step, and what is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_3_and_10_a_v1_pinned_a_v2_pinned_and_a_v3_pinned_endpoint_receive_the_right_bytes_across_replays()
 {
    let versions = Versions::three().await;
    let receivers = [Receiver::ok(), Receiver::ok(), Receiver::ok()];
    let mut endpoints = Vec::new();
    for (receiver, label) in receivers.iter().zip(["1", "2", "3"]) {
        endpoints.push(versions.endpoint(receiver, label).await);
    }
    let message = versions.send(V3, None).await;
    for (((receiver, endpoint), bytes), label) in
        receivers.iter().zip(&endpoints).zip([V1, V2, V3]).zip(["1", "2", "3"])
    {
        receiver.arrived(1).await;
        versions.attempts(&message, endpoint, 1).await;
        versions.resend(&message, endpoint, "").await;
        receiver.arrived(2).await;
        versions.attempts(&message, endpoint, 2).await;
        versions.replay(endpoint, json!({})).await;
        for receipt in receiver.arrived(3).await {
            let got = (version_of(&receipt), body_of(&receipt), receipt.id());
            assert_eq!(got, (label, bytes, &*message));
        }
        let attempts = versions.attempts(&message, endpoint, 3).await;
        let sums: Vec<_> = attempts.iter().map(|it| &it["rendering"]["bodySha256"]).collect();
        assert_eq!(sums, [&json!(sha256(bytes)); 3], "{attempts:?}");
    }

    // The first goes on to version 2, and the way to version 1 is another by now.
    let (receiver, endpoint) = (&receivers[0], &*endpoints[0]);
    let steps = json!([{ "op": "rename", "path": "/created_at", "to": "creation_date" },
        { "op": "set", "path": "/note", "value": "late" }]);
    versions.convert(json!({ "from": "2", "steps": steps })).await;
    let mut count = 3;
    for (label, query, version, bytes) in [
        ("2", "", "2", V2),
        ("2", "?version=current", "2", V2),
        ("2", "?version=original", "1", V1),
        ("1", "", "1", V1_LATER),
        ("1", "?version=original", "1", V1),
    ] {
        versions.pin(endpoint, label).await;
        versions.resend(&message, endpoint, query).await;
        count += 1;
        let receipt = receiver.arrived(count).await.pop().unwrap();
        let got = (version_of(&receipt), body_of(&receipt), receipt.id());
        assert_eq!(got, (version, bytes, &*message), "{label} {query}");
        versions.attempts(&message, endpoint, count).await;
    }
    for (more, bytes) in [(json!({ "version": "original" }), V1), (json!({}), V1_LATER)] {
        versions.replay(endpoint, more).await;
        count += 1;
        let receipt = receiver.arrived(count).await.pop().unwrap();
        assert_eq!(body_of(&receipt), bytes);
        versions.attempts(&message, endpoint, count).await;
    }
    for query in ["?version=1", "?version=first"] {
        let path = versions.path(&format!("/msg/{message}/endpoint/{endpoint}/resend{query}"));
        let (status, answer) = versions.server.call(Method::POST, &path, None).await;
        let loc = &answer["detail"][0]["loc"];
        assert_eq!((status, loc), (422, &json!(["query", "version"])), "{answer}");
    }
    assert_eq!([receivers[1].count(), receivers[2].count()], [3, 3], "it concerns nobody else");
}

/// A conversion that takes nothing but the examples of these tests.
fn throwing(from: &str, path: &str, to: &str) -> Value {
    let program = format!(
        "function convert(payload) {{ \
         if (payload.{path} !== 'x') throw new Error('on purpose'); \
         return {{ {to}: payload.{path} }} }}"
    );
    json!({ "from": from, "steps": [{ "javascript": program }] })
}

/// A receiver that answers 500 to what comes first, once it is told to.
fn held() -> (Receiver, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let answer = move |_: &Receipt, before: usize| {
        if before > 0 {
            return Answer::status(204);
        }
        let _ = held.lock().unwrap().recv_timeout(PATIENCE);
        Answer::status(500)
    };
    (Receiver::with(answer), release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_9_a_retry_is_what_was_sent_first_whatever_changes() {
    let versions = Versions::three().await;
    let (receiver, release) = held();
    let endpoint = versions.endpoint(&receiver, "1").await;
    versions.transform(&endpoint, "webhook.payload.made = 'first';").await;
    let message = versions.send(V3, None).await;
    receiver.arrived(1).await;
    // While the first attempt is under way, everything changes.
    versions.pin(&endpoint, "2").await;
    for (from, path, to) in [("3", "made_at", "created_at"), ("2", "created_at", "creation_date")] {
        versions.convert(throwing(from, path, to)).await;
    }
    versions.transform(&endpoint, "webhook.payload = { made: 'second' };").await;
    release.send(()).unwrap();
    let receipts = receiver.arrived(2).await;
    let made = r#"{"creation_date":"now","amount":1.5,"made":"first"}"#;
    for receipt in &receipts {
        assert_eq!((version_of(receipt), body_of(receipt)), ("1", made));
    }
    let attempts = versions.attempts(&message, &endpoint, 2).await;
    assert_eq!(attempts[0]["rendering"], attempts[1]["rendering"]);
    let rendering = &attempts[0]["rendering"];
    assert_eq!(rendering["bodySha256"], sha256(made));
    let of = (&rendering["version"], &rendering["transformation"]);
    assert_eq!(of, (&json!("1"), &json!("1")), "{rendering}");
    assert_eq!(rendering["conversions"].as_array().unwrap().len(), 2, "{rendering}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_sent_as_it_is_stays_so() {
    let versions = Versions::new().await;
    let (receiver, release) = held();
    let endpoint = json!({ "url": receiver.url() });
    let made = versions.server.post(&versions.path("/endpoint"), endpoint).await;
    let endpoint = made["id"].as_str().unwrap();
    let payload = r#"{ "n":1.50 }"#;
    let message = versions.send(payload, None).await;
    receiver.arrived(1).await;
    versions.transform(endpoint, "webhook.payload = { made: 'late' };").await;
    release.send(()).unwrap();
    let bodies = receiver.arrived(2).await;
    assert_eq!(bodies.iter().map(body_of).collect::<Vec<_>>(), [payload; 2]);
    let attempts = versions.attempts(&message, endpoint, 2).await;
    assert!(attempts.iter().all(|it| it.get("rendering").is_none()), "nothing was made of it");
    versions.resend(&message, endpoint, "").await;
    let receipt = receiver.arrived(3).await.pop().unwrap();
    assert_eq!(body_of(&receipt), r#"{"made":"late"}"#, "by hand it is made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_that_failed_is_told_mended_and_replayed() {
    let versions = Versions::two().await;
    let (old, new, operator) = (Receiver::ok(), Receiver::ok(), Receiver::ok());
    let told = json!({ "url": operator.url(), "eventTypes": ["message.attempt.exhausted"] });
    versions.server.post("/api/v1/operational-webhook/endpoint", told).await;
    let first = versions.endpoint(&old, "1").await;
    versions.endpoint(&new, "2").await;
    versions.convert(throwing("2", "created_at", "creation_date")).await;
    let message = versions.send(r#"{"created_at":"now"}"#, None).await;
    let line = versions.kept_back(&message, &first, "conversion_failed").await;
    let why = (&line["state"], &line["reason"], &line["nextAttempt"]);
    assert_eq!(why, (&json!("failed"), &json!("conversion_failed"), &Value::Null), "{line}");
    assert!(line["lastAttempt"]["response"].as_str().unwrap().contains("on purpose"), "{line}");
    let receipt = new.arrived(1).await.remove(0);
    assert_eq!(receipt.id(), message, "nobody else is hurt");
    let receipt = operator.arrived(1).await.remove(0);
    let said: Value = serde_json::from_slice(&receipt.body).unwrap();
    let data = &said["data"];
    assert_eq!((&data["msgId"], &data["endpointId"]), (&json!(message), &json!(first)));
    assert_eq!(data["lastAttempt"]["reason"], "conversion_failed");

    versions.convert(renaming("2", "/created_at", "creation_date")).await;
    let path = versions.path(&format!("/endpoint/{first}/recover"));
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let (status, answer) = versions.server.call(Method::POST, &path, Some(since)).await;
    assert_eq!(status, 202, "{answer}");
    let receipt = old.arrived(1).await.remove(0);
    assert_eq!(body_of(&receipt), r#"{"creation_date":"now"}"#);
    assert_eq!((old.count(), new.count()), (1, 1));
}
