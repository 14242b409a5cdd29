//! `trigger`: a sample event, signed as the provider would, sent to a source that exists.
//!
//! The server makes the request; where it goes is the source's own URL, which the agent neither says
//! nor sees.

use http::Method;
use ringback_domain::provider::vector::WireRequest;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};

use super::answer;
use crate::api_client::{ApiClient, CallError};
use crate::receive::PREFIX;

pub(super) const NAME: &str = "trigger";

/// What of the operation's body agents may say. A body or headers of their own would be signed as
/// the provider signs: then receivers would take what an agent made up for what happened.
pub(super) const FIELDS: [&str; 2] = ["event", "set"];

pub(super) const DESCRIPTION: &str = "Send a source a sample event of its provider, signed as the \
     provider would sign it. It goes the way of a real one: the source's endpoints get it.";

/// Sends the request that the server made for the sample.
pub(super) async fn send(api: &ApiClient, made: Value) -> Result<CallToolResult, CallError> {
    let unclear = || answer::failed("the server's sample is no request that can be sent", "");
    let Ok(made) = serde_json::from_value::<WireRequest>(made) else { return Ok(unclear()) };
    let (Ok(method), Ok(body)) = (made.method.parse::<Method>(), made.bytes()) else {
        return Ok(unclear());
    };
    // By the address that was given: the public one may lead elsewhere, or nowhere from here.
    let url = made.url.as_deref().unwrap_or_default();
    let Some(path) = url.find(PREFIX).map(|start| &url[start..]) else { return Ok(unclear()) };
    let headers = made.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let answered = api.send(method, path, headers, body.into()).await?;
    if !answered.status.is_success() {
        return Ok(answer::refused(&answered));
    }
    let body = String::from_utf8_lossy(&answered.body);
    Ok(answer::done(json!({ "status": answered.status.as_u16(), "body": body })))
}
