//! Versions of payloads, seen from outside. The cases have the numbers of the list that the feature
//! was built from.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod accept;
mod again;
mod deliver;
mod publish;
mod told;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Receipt, Receiver, Server, Settings};

/// The event type of these tests.
const TYPE: &str = "order.paid";

/// A server with an application and an event type.
struct Versions {
    server: Server,
    app: String,
}

/// A schema with this property, which is required.
fn of(property: &str) -> Value {
    json!({
        "type": "object",
        "properties": { property: { "type": "string" }, "amount": { "type": "number" } },
        "required": [property],
    })
}

/// What makes a v2 (`created_at`) into a v1 (`creation_date`).
fn renaming(from: &str, path: &str, to: &str) -> Value {
    json!({ "from": from, "steps": [{ "op": "rename", "path": path, "to": to }] })
}

/// The version that a request says it has.
fn version_of(receipt: &Receipt) -> &str {
    receipt.header("ringback-schema-version")
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

fn body_of(receipt: &Receipt) -> &str {
    std::str::from_utf8(&receipt.body).unwrap()
}

impl Versions {
    async fn new() -> Versions {
        let settings = Settings::default()
            .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1")
            .env("RINGBACK_DELIVERY_RETRY_JITTER", "0");
        let server = Server::start(settings);
        let app = server.post("/api/v1/app", json!({ "name": "test" })).await;
        let app = app["id"].as_str().unwrap().to_owned();
        let made = json!({ "name": TYPE, "description": "d", "validation": "warn" });
        server.post("/api/v1/event-type", made).await;
        Versions { server, app }
    }

    /// v1 with `creation_date`, v2 with `created_at`, and the conversion between them.
    async fn two() -> Versions {
        let versions = Versions::new().await;
        versions.draft("1", of("creation_date"), json!({ "creation_date": "x" })).await;
        versions.publish("1").await;
        versions.draft("2", of("created_at"), json!({ "created_at": "x" })).await;
        versions.convert(renaming("2", "/created_at", "creation_date")).await;
        versions.publish("2").await;
        versions
    }

    /// The same, and a v3 with `made_at`.
    async fn three() -> Versions {
        let versions = Versions::two().await;
        versions.draft("3", of("made_at"), json!({ "made_at": "x" })).await;
        versions.convert(renaming("3", "/made_at", "created_at")).await;
        versions.publish("3").await;
        versions
    }

    async fn call(&self, method: Method, below: &str, body: Value) -> (u16, Value) {
        let path = format!("/api/v1/event-type/{TYPE}{below}");
        self.server.call(method, &path, Some(body)).await
    }

    async fn draft(&self, label: &str, schema: Value, payload: Value) {
        let examples = json!([{ "name": "one", "payload": payload }]);
        let draft = json!({ "label": label, "schema": schema, "examples": examples });
        let (status, answer) = self.call(Method::POST, "/version", draft).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn publish(&self, label: &str) {
        let below = format!("/version/{label}/publish");
        let (status, answer) = self.call(Method::POST, &below, json!({})).await;
        assert_eq!((status, &answer["published"]), (200, &json!(true)), "{answer}");
    }

    async fn convert(&self, conversion: Value) {
        let (status, answer) = self.call(Method::POST, "/conversion", conversion).await;
        assert_eq!(status, 201, "{answer}");
    }

    fn path(&self, below: &str) -> String {
        format!("/api/v1/app/{}{below}", self.app)
    }

    /// An endpoint that is pinned to this version.
    async fn endpoint(&self, receiver: &Receiver, label: &str) -> String {
        self.endpoint_with(receiver, json!({ "types": { TYPE: label } })).await
    }

    async fn endpoint_with(&self, receiver: &Receiver, versions: Value) -> String {
        let endpoint = json!({ "url": receiver.url(), "delivery": { "versions": versions } });
        let made = self.server.post(&self.path("/endpoint"), endpoint).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// Sends a payload, byte for byte; returns the message's id.
    async fn send(&self, payload: &str, label: Option<&str>) -> String {
        let (status, answer) = self.try_send(payload, label).await;
        assert_eq!(status, 202, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn try_send(&self, payload: &str, label: Option<&str>) -> (u16, Value) {
        let version =
            label.map(|label| format!(r#","schemaVersion":"{label}""#)).unwrap_or_default();
        let body = format!(r#"{{"eventType":"{TYPE}"{version},"payload":{payload}}}"#);
        let client = self.server.client();
        let answer =
            client.call(Method::POST, &self.path("/msg"), Some(body.into())).await.unwrap();
        (answer.status.as_u16(), answer.json())
    }

    /// The newest attempt of a message at an endpoint, once there is one with this reason.
    async fn kept_back(&self, message: &str, endpoint: &str, reason: &str) -> Value {
        let path = self.path(&format!("/msg/{message}/explain"));
        let begun = tokio::time::Instant::now();
        loop {
            let explained = self.server.get(&path).await;
            let lines = explained["endpoints"].as_array().unwrap();
            let line = lines.iter().find(|line| line["endpointId"] == endpoint);
            if let Some(line) = line.filter(|line| line["lastAttempt"]["reason"] == reason) {
                return line.clone();
            }
            assert!(begun.elapsed() < crate::support::PATIENCE, "no {reason}: {explained}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// The attempts of a message at an endpoint once there are so many, the oldest first.
    async fn attempts(&self, message: &str, endpoint: &str, count: usize) -> Vec<Value> {
        let path = self.path(&format!("/attempt/msg/{message}?endpoint_id={endpoint}"));
        let begun = tokio::time::Instant::now();
        loop {
            let mut found = self.server.get(&path).await["data"].as_array().unwrap().clone();
            if found.len() >= count {
                found.reverse();
                return found;
            }
            assert!(begun.elapsed() < crate::support::PATIENCE, "{found:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
