//! Deliveries seen from outside: the real program, and receivers that do as they are told.
//!
//! That something is *not* sent is shown by order, not by waiting: another message goes the same
//! way later, and when that one has arrived, the first would have.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod access;
mod attempted;
mod backlog;
mod batch;
mod breaker;
mod deadline;
mod destination;
mod editing;
mod explain;
mod filter;
mod format;
mod handover;
mod handshake;
mod kinds;
mod large;
mod notices;
mod order;
mod pace;
mod proxy;
mod replay;
mod request;
mod resend;
mod restart;
mod status;
mod throttle;
mod transformation;
mod usage;
mod wire;

use std::time::Duration;

use http::Method;
use ringback_client::Webhook;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{PATIENCE, Receipt, Receiver, Server, Settings};

/// Between two looks at what the API says, which gives no signal.
const LOOK: Duration = Duration::from_millis(20);

/// A server with one application.
struct Bench {
    server: Server,
    app: String,
}

/// Settings with these gaps between attempts, in seconds, and no jitter.
fn schedule(gaps: &str) -> Settings {
    Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", gaps)
        .env("RINGBACK_DELIVERY_RETRY_JITTER", "0")
}

impl Bench {
    async fn new(settings: Settings) -> Bench {
        let server = Server::start(settings);
        let app = server.post("/api/v1/app", json!({ "name": "test" })).await;
        let app = text(&app["id"]);
        Bench { server, app }
    }

    fn path(&self, below: &str) -> String {
        format!("/api/v1/app/{}{below}", self.app)
    }

    /// A new endpoint at this URL.
    async fn endpoint(&self, url: &str) -> String {
        self.endpoint_with(json!({ "url": url })).await
    }

    async fn endpoint_with(&self, endpoint: Value) -> String {
        text(&self.server.post(&self.path("/endpoint"), endpoint).await["id"])
    }

    async fn patch(&self, endpoint: &str, change: Value) -> Value {
        let path = self.path(&format!("/endpoint/{endpoint}"));
        let (status, json) = self.server.call(Method::PATCH, &path, Some(change)).await;
        assert_eq!(status, 200, "{json}");
        json
    }

    async fn delete(&self, below: &str) {
        let (status, json) = self.server.call(Method::DELETE, &self.path(below), None).await;
        assert_eq!(status, 204, "{json}");
    }

    /// Sends a message of this event type; returns its id.
    async fn send(&self, event_type: &str) -> String {
        self.send_as(json!({ "eventType": event_type, "payload": { "type": event_type } })).await
    }

    async fn send_as(&self, message: Value) -> String {
        text(&self.server.post(&self.path("/msg"), message).await["id"])
    }

    /// Asks for one more attempt; the status and body of the answer.
    async fn resend(&self, message: &str, endpoint: &str) -> (u16, Value) {
        let path = self.path(&format!("/msg/{message}/endpoint/{endpoint}/resend"));
        self.server.call(Method::POST, &path, None).await
    }

    /// The attempts of a message, oldest first, once there are this many.
    async fn attempts(&self, message: &str, count: usize) -> Vec<Value> {
        let path = self.path(&format!("/attempt/msg/{message}?limit=100"));
        eventually(&format!("{count} attempts of {message}"), async || {
            let mut attempts = self.server.get(&path).await["data"].as_array().unwrap().clone();
            attempts.reverse();
            if attempts.len() < count { Err(json!(attempts)) } else { Ok(attempts) }
        })
        .await
    }

    /// What `explain` says of a message at an endpoint.
    async fn explain(&self, message: &str, endpoint: &str) -> Value {
        let explained = self.server.get(&self.path(&format!("/msg/{message}/explain"))).await;
        let lines = explained["endpoints"].as_array().unwrap();
        let line = lines.iter().find(|line| line["endpointId"] == endpoint);
        line.unwrap_or_else(|| panic!("{endpoint} is not in {explained}")).clone()
    }

    /// Waits until `explain` says this.
    async fn explained(&self, message: &str, endpoint: &str, state: &str, reason: &str) -> Value {
        eventually(&format!("{state}/{reason} of {message}"), async || {
            let line = self.explain(message, endpoint).await;
            let said = line["state"] == state && line["reason"] == reason;
            if said { Ok(line) } else { Err(line) }
        })
        .await
    }

    async fn get_endpoint(&self, endpoint: &str) -> Value {
        self.server.get(&self.path(&format!("/endpoint/{endpoint}"))).await
    }

    /// Waits until an endpoint is in this state.
    async fn endpoint_is(&self, endpoint: &str, state: &str) {
        eventually(&format!("state {state}"), async || {
            let json = self.get_endpoint(endpoint).await;
            if json["state"] == state { Ok(()) } else { Err(json) }
        })
        .await;
    }

    /// What a receiver verifies with.
    async fn secret(&self, endpoint: &str) -> String {
        let path = self.path(&format!("/endpoint/{endpoint}/secret"));
        text(&self.server.get(&path).await["key"])
    }
}

/// Asks until the answer is what is waited for; an error says what was found instead.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, Value>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(found) => assert!(begun.elapsed() < PATIENCE, "no {what}: {found}"),
        }
        sleep(LOOK).await;
    }
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_else(|| panic!("{json} is no text")).to_owned()
}

/// Milliseconds of a time that the API shows.
fn millis(json: &Value) -> i64 {
    let time: ringback_domain::time::Timestamp = text(json).parse().unwrap();
    time.millis()
}

#[allow(clippy::disallowed_methods, reason = "a receiver has a clock of its own")]
fn unix_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() as i64
}

/// Checks the signature as a receiver does; gives the id.
pub(crate) fn verify(key: &str, receipt: &Receipt) -> Result<String, ringback_client::Error> {
    let header = |name: &str| receipt.headers.get(name).and_then(|value| value.to_str().ok());
    let webhook = Webhook::new(key).unwrap();
    webhook.verify(header, &receipt.body, unix_seconds()).map(str::to_owned)
}

/// How often each of these messages arrived.
fn times(receiver: &Receiver, messages: &[&str]) -> Vec<usize> {
    let by_id = receiver.by_id();
    messages.iter().map(|id| by_id.get(*id).copied().unwrap_or_default()).collect()
}
