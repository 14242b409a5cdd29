//! `ringback send`: one message through a running server's API.

use std::io::Read as _;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;

use super::server::{Server, carried, path_segment, refused, unanswered};
use super::{Failure, data, note};
use crate::api_client::Answer;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringback send acme invoice.paid '{\"invoice\": \"inv_1002\"}'
  jq -n '{at: now}' | ringback send acme clock.ticked -")]
pub(super) struct Args {
    /// Application: its id or uid
    app: String,
    /// Event type, such as invoice.paid
    event_type: String,
    /// JSON payload; @FILE reads a file, - the standard input
    #[arg(default_value = "{}", allow_hyphen_values = true)]
    payload: String,
    #[command(flatten)]
    server: Server,
    /// Print the server's whole answer as JSON, not only the message's id
    #[arg(long)]
    json: bool,
}

/// The body of a message's creation; the payload keeps its bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    event_type: &'a str,
    payload: Box<RawValue>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let payload = RawValue::from_string(read(&args.payload)?)
        .map_err(|error| Failure::Usage(format!("the payload is not JSON: {error}")))?;
    let message = MessageIn { event_type: &args.event_type, payload };
    let body = serde_json::to_vec(&message).map_err(|error| Failure::Failed(error.to_string()))?;
    let answer = carried(post(&args, body.into()))?;
    show(&args, &answer)
}

async fn post(args: &Args, body: Bytes) -> Result<Answer, Failure> {
    let api = args.server.client()?;
    let path = format!("/api/v1/app/{}/msg", path_segment(&args.app));
    api.call(Method::POST, &path, Some(body)).await.map_err(|error| unanswered(&error))
}

fn show(args: &Args, answer: &Answer) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        if args.json {
            data(&text)?;
        }
        return Err(refused(answer));
    }
    if args.json {
        return Ok(data(&text)?);
    }
    let created: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::Failed(format!("the answer is not JSON: {error}")))?;
    note(&format!("accepted {} for application {}", args.event_type, args.app));
    Ok(data(created["id"].as_str().unwrap_or_default())?)
}

fn read(payload: &str) -> Result<String, Failure> {
    if payload == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    let Some(path) = payload.strip_prefix('@') else { return Ok(payload.to_owned()) };
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read the payload from {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_keeps_its_spelling() {
        let payload = RawValue::from_string(r#"{"b": 1.50, "a":2}"#.to_owned()).unwrap();
        let body = serde_json::to_string(&MessageIn { event_type: "a.b", payload }).unwrap();
        assert_eq!(body, r#"{"eventType":"a.b","payload":{"b": 1.50, "a":2}}"#);
    }
}
