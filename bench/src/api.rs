//! The few calls of the HTTP API that set a run up. Not for load: one connection per call.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);

/// A server's API and the token to use it with.
#[derive(Clone, Debug)]
pub struct Api {
    pub addr: SocketAddr,
    pub token: String,
}

/// Where a provider calls.
#[derive(Clone, Debug)]
pub struct Source {
    /// That what arrives belongs to.
    pub application: String,
    pub path: String,
}

impl Api {
    /// Creates an application; its id.
    pub fn create_application(&self, name: &str) -> Result<String> {
        id(&self.post("/api/v1/app", &json!({ "name": name }))?)
    }

    /// Creates an endpoint of `application`; its id.
    pub fn create_endpoint(&self, application: &str, url: &str) -> Result<String> {
        id(&self.post(&format!("/api/v1/app/{application}/endpoint"), &json!({ "url": url }))?)
    }

    /// Creates one message with `payload`, which is JSON; its id.
    pub fn create_message(&self, application: &str, payload: &[u8]) -> Result<String> {
        let payload: Value = serde_json::from_slice(payload)?;
        let body = json!({ "eventType": "bench.sent", "payload": payload });
        id(&self.post(&format!("/api/v1/app/{application}/msg"), &body)?)
    }

    /// Creates a source for GitHub that has `secret`.
    pub fn create_source(&self, name: &str, secret: &str) -> Result<Source> {
        let body = json!({ "name": name, "type": "github", "config": { "secret": secret } });
        let answer = self.post("/ingest/api/v1/source", &body)?;
        let url = answer["ingestUrl"].as_str().context("a source without a URL")?;
        let path = url.find("/in/").map(|at| url[at..].to_owned());
        let application = answer["appId"].as_str().context("a source without an application")?;
        Ok(Source {
            application: application.to_owned(),
            path: path.with_context(|| format!("a source at {url}"))?,
        })
    }

    /// Sends what failed at this endpoint since `since` (RFC 3339) again.
    pub fn recover(&self, application: &str, endpoint: &str, since: &str) -> Result<()> {
        let path = format!("/api/v1/app/{application}/endpoint/{endpoint}/recover");
        self.post(&path, &json!({ "since": since })).map(drop)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, answer) = runtime
            .block_on(async { tokio::time::timeout(LIMIT, self.exchange(path, body)).await })
            .with_context(|| format!("POST {path}: no answer in {LIMIT:?}"))?
            .with_context(|| format!("POST {path}"))?;
        if !status.is_success() {
            bail!("POST {path}: {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(serde_json::from_slice(&answer)?)
    }

    async fn exchange(&self, path: &str, body: &Value) -> Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.addr).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::post(path)
            .header(HOST, self.addr.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, answer))
    }
}

fn id(answer: &Value) -> Result<String> {
    let id = answer["id"].as_str().with_context(|| format!("an answer without an id: {answer}"))?;
    Ok(id.to_owned())
}
