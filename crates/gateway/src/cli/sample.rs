//! `ringback sample`: what a source's provider might send, sent to the source.

use std::collections::BTreeMap;

use http::{HeaderValue, Method};
use ringback_domain::provider::vector::WireRequest;
use serde_json::{Value, json};

use super::server::{Server, ask, carried, failed, path_segment};
use super::{Failure, data, note, outward};
use crate::api_client::{Answer, ApiClient};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Source: its id or uid
    source: String,
    /// Which sample event of the provider's file [default: its first one]
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    #[command(flatten)]
    server: Server,
    /// Print the source's answer as JSON: status, headers and body
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let answer = carried(send(&args))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    note(&format!("the source answered {}", answer.status));
    if args.json {
        let text_of = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), text_of(value)));
        let headers: BTreeMap<_, _> = headers.collect();
        let answer = json!({ "status": answer.status.as_u16(), "headers": headers, "body": text });
        data(&answer.to_string())?;
    } else if !text.is_empty() {
        data(&text)?;
    }
    if answer.status.is_success() { Ok(()) } else { Err(Failure::Told) }
}

/// Lets the server sign a sample, and sends it to the source as its provider would.
async fn send(args: &Args) -> Result<Answer, Failure> {
    let api = args.server.client()?;
    let made = signed(&api, &args.source, &json!({ "event": args.event })).await?;
    sent(&api, &made.request).await
}

/// A request that a source signed.
pub(super) struct Signed {
    /// The sample event, unless it is one of somebody's own.
    pub(super) event: Option<String>,
    pub(super) request: WireRequest,
}

/// Lets a source sign what its provider would send.
pub(super) async fn signed(api: &ApiClient, source: &str, what: &Value) -> Result<Signed, Failure> {
    let path = format!("/ingest/api/v1/source/{}/sample", path_segment(source));
    let made = ask(api, Method::POST, &path, Some(what)).await?;
    let event = made["event"].as_str().map(str::to_owned);
    let request: WireRequest = serde_json::from_value(made).map_err(|error| failed(&error))?;
    Ok(Signed { event, request })
}

/// Sends a request to a source as its provider would: by the server's address that was named, as the
/// public one may lead elsewhere, or nowhere from here.
pub(super) async fn sent(api: &ApiClient, request: &WireRequest) -> Result<Answer, Failure> {
    let url = request.url.as_deref().unwrap_or_default();
    let path = url.find(crate::receive::PREFIX).map(|start| &url[start..]).unwrap_or(url);
    outward::send(api, path, request).await
}
