//! `ringback sample`: what a source's provider might send, sent to the source.

use http::Method;
use ringback_domain::provider::vector::WireRequest;
use serde_json::json;

use super::server::{Server, ask, carried, failed, path_segment};
use super::{Failure, data, note};
use crate::api_client::Answer;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Source: its id or uid
    source: String,
    /// Which sample event of the provider's file [default: its first one]
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let answer = carried(send(&args))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    note(&format!("the source answered {}", answer.status));
    if !text.is_empty() {
        data(&text)?;
    }
    if answer.status.is_success() { Ok(()) } else { Err(Failure::Told) }
}

/// Lets the server sign a sample, and sends it to the source as its provider would.
async fn send(args: &Args) -> Result<Answer, Failure> {
    let api = args.server.client()?;
    let path = format!("/ingest/api/v1/source/{}/sample", path_segment(&args.source));
    let made = ask(&api, Method::POST, &path, Some(&json!({ "event": args.event }))).await?;
    let made: WireRequest = serde_json::from_value(made).map_err(|error| failed(&error))?;
    let method = made.method.parse::<Method>().map_err(|error| failed(&error))?;
    // By the address that was named: the public one may lead elsewhere, or nowhere from here.
    let url = made.url.as_deref().unwrap_or_default();
    let path = url.find(crate::receive::PREFIX).map(|start| &url[start..]).unwrap_or(url);
    let headers = made.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = made.bytes().map_err(|error| failed(&error))?;
    api.send(method, path, headers, body.into()).await.map_err(|error| failed(&error))
}
