//! Every operation that the installed SDK has, read from its source by `build.rs`, against what the
//! server says.
//!
//! What the server's OpenAPI document has is called with things that exist, and has to succeed.
//! Whatever else the SDK has answers 501 `not_implemented`; which of them may is the Python suite's
//! matter.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use svix::api::{Svix, SvixOptions};

use crate::destinations;
use crate::receiver::Receiver;

/// A call that is under way.
type Call<'a> = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error>>> + 'a>>;

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// The server, and the token of the suite.
pub struct Ground {
    pub url: String,
    pub token: String,
    pub api: Svix,
}

/// Each operation with what came of it.
pub async fn matrix(ground: &Ground) -> Vec<(String, Result<(), Box<dyn Error>>)> {
    let document = match ground.raw("GET", "/api/v1/openapi.json", "") {
        Ok((200, document)) => document,
        other => return vec![("matrix".to_owned(), Err(format!("no document: {other:?}").into()))],
    };
    let built = documented(&document);
    let mut outcomes = Vec::new();
    for (name, method, path) in OPERATIONS {
        let outcome = if built.contains(&shape(method, path)) {
            ground.call(name, path).await
        } else {
            ground.is_for_later(method, path)
        };
        outcomes.push((format!("matrix: {name}"), outcome));
    }
    outcomes
}

/// What the document has, without the names of parameters.
fn documented(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().map(|item| item.keys().cloned().collect::<Vec<_>>());
        let shapes =
            methods.into_iter().flatten().map(|method| shape(&method.to_uppercase(), path));
        shapes.collect::<Vec<_>>()
    };
    paths.flat_map(of).collect()
}

/// Method and path without the names of its parameters.
fn shape(method: &str, path: &str) -> String {
    filled(&format!("{method} {path}"), "{}")
}

/// A path with something in the place of its parameters.
fn filled(path: &str, with: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { with } else { part });
    parts.collect::<Vec<_>>().join("/")
}

impl Ground {
    async fn call(&self, name: &str, path: &str) -> Result<(), Box<dyn Error>> {
        let things = Things::make(&self.api, path).await?;
        if name != "authentication.logout" {
            return call(name, &self.api, &things).await;
        }
        // It ends the token that it is called with, so that must not be the one of all cases.
        let access = things.body("AppPortalAccessIn")?;
        let portal = self.api.authentication();
        let access = portal.app_portal_access(things.text("app_id")?, access, None).await?;
        let options = SvixOptions { server_url: Some(self.url.clone()), ..Default::default() };
        let leaving = Svix::new(access.token, Some(options));
        call(name, &leaving, &things).await
    }

    fn is_for_later(&self, method: &str, path: &str) -> Result<(), Box<dyn Error>> {
        let body = if matches!(method, "GET" | "DELETE") { "" } else { "{}" };
        let (status, answer) = self.raw(method, &filled(path, "x"), body)?;
        if (status, &answer["code"]) == (501, &json!("not_implemented")) {
            return Ok(());
        }
        Err(format!("{status} {answer} instead of 501").into())
    }

    /// The status and the JSON that a request is answered with.
    fn raw(&self, method: &str, path: &str, body: &str) -> Result<(u16, Value), Box<dyn Error>> {
        let host = self.url.strip_prefix("http://").ok_or("the server's URL")?;
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let in_pieces = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if in_pieces { joined(body)? } else { body.to_owned() };
        Ok((status, serde_json::from_str(&body)?))
    }
}

/// A body that came in pieces.
fn joined(mut body: &str) -> Result<String, Box<dyn Error>> {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16)?;
        if length == 0 {
            break;
        }
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    Ok(whole)
}

/// One of each thing that an operation can be about.
pub struct Things {
    names: BTreeMap<&'static str, String>,
    url: String,
    /// Takes what is sent for as long as the operation runs.
    _receiver: Receiver,
}

impl Things {
    async fn make(api: &Svix, path: &str) -> Result<Things, Box<dyn Error>> {
        let receiver = Receiver::start(vec![])?;
        let names = BTreeMap::from([("event_type_name", fresh())]);
        let mut things = Things { names, url: receiver.url(), _receiver: receiver };
        things.fill(api, path).await?;
        Ok(things)
    }

    async fn fill(&mut self, api: &Svix, path: &str) -> Result<(), Box<dyn Error>> {
        let app = api.application().create(self.body("ApplicationIn")?, None).await?.id;
        self.names.insert("app_id", app.clone());
        let event_type = json!({
            "name": self.text("event_type_name")?,
            "description": "d",
            "schemas": {"1": {"type": "object", "examples": [{}]}},
        });
        api.event_type().create(serde_json::from_value(event_type)?, None).await?;
        let endpoint = api.endpoint().create(app.clone(), self.body("EndpointIn")?, None).await?.id;
        self.names.insert("endpoint_id", endpoint.clone());
        let message = api.message().create(app.clone(), self.body("MessageIn")?, None).await?.id;
        self.names.insert("msg_id", message.clone());
        self.names.insert("attempt_id", attempt(api, &app, &message).await?);
        if path.contains("{destination_id}") {
            let wanted = self.body("DestinationIn")?;
            let made = api.destination().create(app.clone(), wanted, None).await?;
            self.names.insert("destination_id", made.id);
        }
        if path.contains("{sink_id}") {
            let wanted = serde_json::from_value(json!({"type": "pollingEndpoint"}))?;
            let made = api.destination().create(app.clone(), wanted, None).await?;
            self.names.insert("sink_id", made.id);
            self.names.insert("consumer_id", fresh());
        }
        if path.contains("{task_id}") {
            let recover = self.body("RecoverIn")?;
            let task = api.endpoint().recover(app, endpoint, recover, None).await?;
            self.names.insert("task_id", task.id);
        }
        if path.contains("/operational-webhook/") {
            let wanted = self.body("OperationalWebhookEndpointIn")?;
            let made = api.operational_webhook().endpoint().create(wanted, None).await?;
            self.names.insert("endpoint_id", made.id);
        }
        if path.contains("/ingest/") {
            let wanted = self.body("IngestSourceIn")?;
            let source = api.ingest().source().create(wanted, None).await?.id;
            let wanted = self.body("IngestEndpointIn")?;
            let made = api.ingest().endpoint().create(source.clone(), wanted, None).await?;
            self.names.insert("source_id", source);
            self.names.insert("endpoint_id", made.id);
        }
        Ok(())
    }

    /// What a path names.
    fn text(&self, name: &str) -> Result<String, Box<dyn Error>> {
        let known = self.names.get(name).cloned();
        known.ok_or_else(|| format!("nothing is known for {name}").into())
    }

    /// The least that a body of this type needs.
    fn body<T: serde::de::DeserializeOwned>(&self, kind: &str) -> Result<T, Box<dyn Error>> {
        let text = |name| self.text(name);
        let body = match kind {
            "AppUsageStatsIn" => json!({"since": ago(60), "until": ago(0)}),
            "ApplicationIn" => json!({"name": fresh(), "uid": fresh()}),
            "BulkExpungeContentsIn" => json!({"ids": [text("msg_id")?]}),
            "BulkReplayIn" | "RecoverIn" | "ReplayIn" => json!({"since": ago(60)}),
            "DestinationIn" => destinations::wanted("sqs"),
            "DestinationPatch" => json!({"type": "sqs", "config": {}}),
            "EndpointHeadersIn"
            | "EndpointHeadersPatchIn"
            | "IngestEndpointHeadersIn"
            | "OperationalWebhookEndpointHeadersIn" => json!({"headers": {}}),
            "EndpointIn"
            | "EndpointUpsertIn"
            | "IngestEndpointIn"
            | "IngestEndpointUpsertIn"
            | "OperationalWebhookEndpointIn"
            | "OperationalWebhookEndpointUpsertIn" => json!({"url": self.url}),
            "EventExampleIn" | "MessagePrecheckIn" => {
                json!({"eventType": text("event_type_name")?})
            }
            "EventTypeImportOpenApiIn" => {
                json!({"spec": {"webhooks": {"matrix.imported": {"post": {}}}}})
            }
            "EventTypeIn" => json!({"name": fresh(), "description": "d"}),
            "EventTypeUpsertIn" => json!({"description": "d"}),
            "IngestSourceIn" => json!({"name": fresh(), "type": "generic-webhook"}),
            "MessageIn" => json!({"eventType": text("event_type_name")?, "payload": {}}),
            "PollingEndpointConsumerSeekIn" => json!({"after": ago(60)}),
            _ => json!({}),
        };
        serde_json::from_value(body).map_err(|error| format!("{kind}: {error}").into())
    }
}

/// The first attempt of a message, as soon as there is one.
async fn attempt(api: &Svix, app: &str, message: &str) -> Result<String, Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        let listed = api.message_attempt().list_by_msg(app.into(), message.into(), None).await?;
        if let Some(attempt) = listed.data.first() {
            return Ok(attempt.id.clone());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("no attempt was made".into())
}

/// A name that nothing else has.
fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("rust-matrix-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A time so many minutes ago, as the API writes it.
fn ago(minutes: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = (now - Duration::from_secs(minutes * 60)).as_secs();
    let then = chrono::DateTime::from_timestamp(then as i64, 0).unwrap_or_default();
    then.to_rfc3339()
}
