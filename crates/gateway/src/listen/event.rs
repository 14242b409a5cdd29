//! What is told of an event to whoever listens: as it came, byte for byte.

use std::collections::HashSet;

use bytes::{BufMut as _, Bytes, BytesMut};
use ringback_domain::{
    id::{MessageId, SourceId},
    provider::Request,
    source::TARGET_HEADER,
    time::Timestamp,
};
use ringback_store::Arrived;
use serde::Serialize;
use utoipa::ToSchema;

use super::terms::{kept, verdict};
use crate::receive::Ready;

/// What stands for the id in a proof that needs one; a static token has none.
const NO_ID: &str = "";

/// An event, but for its body.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListenerEventHead)]
pub struct Event {
    /// The message that it became.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The source that it came to.
    #[schema(value_type = String)]
    pub source: SourceId,
    /// What people call that.
    pub source_name: String,
    /// Who sent it.
    pub provider: String,
    /// The type of the event.
    pub event_type: String,
    /// The provider's id of it.
    pub event_id: Option<String>,
    /// Whether it was proven: `verified`, `authenticated`, `failed` or `unattempted`.
    pub verdict: String,
    /// How it was sent.
    pub method: String,
    /// Path and query below the source's URL.
    pub target: String,
    /// The headers that it came with, in their order, lower-case names.
    #[schema(value_type = Vec<Vec<String>>)]
    pub headers: Vec<(String, String)>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
}

impl Event {
    /// What is told of a message of this source.
    pub(super) fn of(arrived: &Arrived, ready: &Ready) -> Event {
        let Arrived { id, event_type, request, created_at, .. } = arrived;
        let method = request.as_ref().map_or("POST", |request| &request.method).to_owned();
        let target = kept(arrived, TARGET_HEADER).unwrap_or_default().to_owned();
        Event {
            id: *id,
            source: ready.source.id,
            source_name: ready.source.name.clone(),
            provider: ready.source.provider.clone(),
            event_type: event_type.clone(),
            event_id: request.as_ref().and_then(|request| request.event_id.clone()),
            verdict: verdict(arrived).to_owned(),
            headers: headers(arrived, ready, &method, &target),
            method,
            target,
            received_at: *created_at,
        }
    }
}

/// The headers as they came. Ringback's own marks are not among them; a static token, which is not
/// kept with the message, is put back from the source's settings.
fn headers(arrived: &Arrived, ready: &Ready, method: &str, target: &str) -> Vec<(String, String)> {
    let own = |name: &str| name.starts_with(':') || name.starts_with("ringback-");
    let came = arrived.headers.iter().filter(|(name, _)| !own(name));
    let mut headers: Vec<(String, String)> = came.cloned().collect();
    let Some(provider) = &ready.provider else { return headers };
    let secret: HashSet<&str> = provider.secret_headers().into_iter().collect();
    if secret.is_empty() {
        return headers;
    }
    let url = format!("{}{target}", ready.config.public_url.as_deref().unwrap_or_default());
    let made = {
        let sent: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request::new(method, &url, &sent, &arrived.payload);
        provider.sign(&request, &ready.settings, NO_ID, arrived.created_at)
    };
    let missing = |name: &String| {
        secret.contains(name.as_str()) && !arrived.headers.iter().any(|(other, _)| other == name)
    };
    headers.extend(made.unwrap_or_default().into_iter().filter(|(name, _)| missing(name)));
    headers
}

/// A frame of a head and a body: one line of JSON, and raw bytes after it.
pub(super) fn frame(head: &impl Serialize, body: &Bytes) -> Bytes {
    let head = serde_json::to_vec(head).unwrap_or_default();
    let mut frame = BytesMut::with_capacity(head.len() + 1 + body.len());
    frame.extend_from_slice(&head);
    frame.put_u8(b'\n');
    frame.extend_from_slice(body);
    frame.freeze()
}

/// The head and the body of a frame; none without a line.
pub(super) fn split(mut frame: Bytes) -> Option<(Bytes, Bytes)> {
    let line = frame.iter().position(|byte| *byte == b'\n')?;
    let body = frame.split_off(line + 1);
    frame.truncate(line);
    Some((frame, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_every_byte() {
        for body in [&b""[..], b"{}\n{}", b"\xff\x00\n\n"] {
            let made = frame(&serde_json::json!({"a": "\n"}), &Bytes::copy_from_slice(body));
            let (head, rest) = split(made).unwrap();
            assert_eq!((&head[..], &rest[..]), (&br#"{"a":"\n"}"#[..], body));
        }
        assert!(split(Bytes::from_static(b"{}")).is_none());
    }
}
