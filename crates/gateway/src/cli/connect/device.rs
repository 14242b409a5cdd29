//! A person types a code on a page of the provider's, on whatever device (RFC 8628).

use std::time::Duration;

use http::{Method, StatusCode, header};
use serde_json::Value;
use tokio::time::sleep;

use super::super::server::{call, refused};
use super::super::{Failure, note};
use super::Flow;
use crate::api_client::{Answer, ApiClient};
use crate::terminal::printable;

/// Between two questions, in seconds, if the server does not say (RFC 8628, section 3.2).
const PAUSE: u64 = 5;

/// Begins a flow, where the provider has one for devices.
pub(super) async fn begin(api: &ApiClient, wanted: &Value) -> Result<Option<Value>, Failure> {
    let answer = call(api, Method::POST, "/api/v1/authorization/device", Some(wanted)).await?;
    let json = answer.json();
    match json["code"].as_str() {
        _ if answer.status.is_success() => Ok(Some(json)),
        Some("not_supported") => Ok(None),
        // Some want to be told beforehand that a client may do this.
        Some("provider_refused") => {
            let failure = refused(&answer);
            Err(Failure::Failed(format!("{failure}; with --browser a browser comes back instead")))
        }
        _ => Err(refused(&answer)),
    }
}

/// Says what the person has to do.
pub(super) fn show(begun: &Value, provider: &str) {
    let text = |field: &str| printable(begun[field].as_str().unwrap_or_default());
    let (page, code) = (text("verificationUri"), text("userCode"));
    note(&format!(
        "To connect {provider}, open\n\n    {page}\n\nand type the code\n\n    {code}\n"
    ));
    if begun["verificationUriComplete"].is_string() {
        note(&format!("With the code in it: {}", text("verificationUriComplete")));
    }
    note("Ctrl-C ends this.");
}

/// The connection, once the person has done it.
pub(super) async fn granted(flow: &Flow<'_>, begun: &Value) -> Result<Value, Failure> {
    let mut pause = begun["interval"].as_u64().unwrap_or(PAUSE);
    loop {
        sleep(Duration::from_secs(pause)).await;
        let answer = call(flow.api, Method::POST, &flow.path("poll"), None).await?;
        match answer.status {
            StatusCode::OK => return Ok(answer.json()["granted"].take()),
            // The provider, or the store, may be back before the code ends.
            StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE => {
                pause = retry_after(&answer).unwrap_or(PAUSE);
            }
            _ => return Err(refused(&answer)),
        }
    }
}

/// The seconds that the server says to wait.
fn retry_after(answer: &Answer) -> Option<u64> {
    answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}
