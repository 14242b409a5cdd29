//! Callbacks from outside: what the other side calls, and what whoever waits gets.

mod crash;
mod door;
mod page;
mod proof;
mod secrets;
mod time;
mod wait;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answered, Receiver, Server, Settings, TOKEN, call, tried};

/// A server with one application, whose endpoint gets the messages about its callbacks.
struct Bench {
    server: Server,
    receiver: Receiver,
    app: String,
}

/// A callback that was made.
struct Made {
    id: String,
    /// The path of its URL.
    path: String,
    wait_token: String,
}

impl Bench {
    async fn new() -> Bench {
        Bench::on(Settings::default()).await
    }

    async fn on(settings: Settings) -> Bench {
        let server = Server::start(settings);
        let receiver = Receiver::ok();
        let (app, _) = server.application(&receiver.url()).await;
        Bench { server, receiver, app }
    }

    /// A callback with these fields.
    async fn made(&self, mut body: Value) -> Made {
        body["application"] = json!(self.app);
        let made = self.server.post("/api/v1/callback", body).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let url = text("url");
        let path = url[url.find("/cb/").unwrap()..].to_owned();
        Made { id: text("id"), path, wait_token: text("waitToken") }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let body = Bytes::copy_from_slice(body.as_bytes());
        call(&self.server.url, method, path, headers, body).await
    }

    /// Posts JSON to a URL.
    async fn post(&self, path: &str, body: &str) -> Answered {
        self.call(Method::POST, path, &[("content-type", "application/json")], body).await
    }

    /// A callback as the API shows it.
    async fn shown(&self, made: &Made) -> Value {
        self.server.get(&format!("/api/v1/callback/{}", made.id)).await
    }

    /// What arrived at it, the oldest first: what was wanted, what became of it, and why.
    async fn requests(&self, made: &Made) -> Vec<(String, String, String)> {
        let path = format!("/api/v1/callback/{}/request?order=ascending", made.id);
        let listed = self.server.get(&path).await;
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let all = listed["data"].as_array().unwrap().iter();
        all.map(|one| (text(one, "act"), text(one, "verdict"), text(one, "reason"))).collect()
    }

    /// Waits for so many messages; the types and data of all.
    fn told(&self, count: usize) -> Vec<(String, Value)> {
        let mut all: Vec<(String, Value)> = self
            .receiver
            .wait_for(count)
            .iter()
            .map(|receipt| {
                let body: Value = serde_json::from_slice(&receipt.body).unwrap();
                (body["type"].as_str().unwrap().to_owned(), body["data"].clone())
            })
            .collect();
        all.sort_by_key(|(kind, _)| kind.clone());
        all
    }
}

/// The header that the API wants.
fn bearer() -> String {
    format!("Bearer {TOKEN}")
}
