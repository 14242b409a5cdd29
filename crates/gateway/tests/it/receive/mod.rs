//! Sources from outside: what a provider sends to the real process, and what an endpoint gets.

mod challenge;
mod content;
mod correlate;
mod crash;
mod event;
mod kept;
mod refused;
mod reply;
mod style;

use bytes::Bytes;
use http::Method;
use ringback::receive::Catalog;
use ringback_domain::{
    provider::{self, Settings as Supplied},
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::support::{Answered, Receiver, Server, Settings, call, tried};

/// A secret that looks made up and is.
const SECRET: &str = "whsec_cmItdGVzdC1zZWNyZXQtb2YtYS1zb3VyY2U=";

/// A server with one source that has one endpoint.
struct Bench {
    server: Server,
    receiver: Receiver,
    provider: String,
    /// The source's id.
    id: String,
    /// The path of its URL.
    path: String,
    /// The application that it owns.
    app: String,
}

impl Bench {
    /// A source of this provider with the secret, and an endpoint at `receiver`.
    async fn new(provider: &str, receiver: Receiver, options: Value) -> Bench {
        Bench::with(provider, receiver, json!({ "secret": SECRET }), options).await
    }

    async fn with(provider: &str, receiver: Receiver, config: Value, options: Value) -> Bench {
        Bench::on(Settings::default(), provider, receiver, config, options).await
    }

    async fn on(
        settings: Settings,
        provider: &str,
        receiver: Receiver,
        config: Value,
        options: Value,
    ) -> Bench {
        let server = Server::start(settings);
        let body = json!({
            "name": "test", "uid": "test", "type": provider, "config": config, "options": options,
        });
        let source = server.post("/ingest/api/v1/source", body).await;
        let endpoint = json!({ "url": receiver.url(), "uid": "one" });
        server.post("/ingest/api/v1/source/test/endpoint", endpoint).await;
        let text = |name: &str| source[name].as_str().unwrap().to_owned();
        let url = text("ingestUrl");
        let path = url[url.find("/in/").unwrap()..].to_owned();
        let (id, app) = (text("id"), text("appId"));
        Bench { server, receiver, provider: provider.to_owned(), id, path, app }
    }

    /// Sends what the provider would send now: signed with the secret.
    async fn event(&self, headers: &[(&str, &str)], body: &str) -> Answered {
        self.event_signed_at(now(), SECRET, headers, body).await
    }

    async fn event_signed_at(
        &self,
        at: Timestamp,
        secret: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let made = signed(&self.provider, secret, at, &self.url(), headers, body);
        let all: Vec<(&str, &str)> = headers
            .iter()
            .copied()
            .chain(made.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .collect();
        self.call(Method::POST, "", &all, body).await
    }

    /// Sends this to the source.
    async fn call(
        &self,
        method: Method,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        call(&self.server.url, method, &format!("{}{query}", self.path), headers, bytes).await
    }

    fn url(&self) -> String {
        format!("{}{}", self.server.url, self.path)
    }

    /// What arrived, the newest first.
    async fn requests(&self, query: &str) -> Vec<Value> {
        let path = format!("/ingest/api/v1/source/test/request{query}");
        self.server.get(&path).await["data"].as_array().unwrap().clone()
    }

    /// The last thing that arrived: what became of it, and why.
    async fn last(&self) -> (String, String) {
        let last = &self.requests("?limit=1").await[0];
        let text = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }
}

/// The headers that make a request this provider's.
pub(crate) fn signed(
    provider: &str,
    secret: &str,
    at: Timestamp,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<(String, String)> {
    let provider = Catalog::default().get(provider).unwrap();
    let mut supplied = Supplied::new();
    supplied.set("secret", vec![secret.to_owned()]);
    let sent: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    let request = provider::Request::new("POST", url, &sent, body.as_bytes());
    provider.sign(&request, &supplied, "rb-test-1", at).unwrap()
}

pub(crate) fn now() -> Timestamp {
    let runtime = tokio::runtime::Handle::current();
    ringback::wiring::world(&[], runtime).unwrap().clock.now()
}
