//! A payload that is too large for the request: it is kept where the receiver can fetch it, and the
//! receiver is told so.

use std::sync::Arc;

use http::header;
use ringback_domain::payload::{Claim, HEADER, STORED};
use ringback_store::Content;

use super::{route::Http, services::Services};

/// The payload could not be kept. Nothing was sent, and the endpoint had no part in it. What went wrong
/// is the operator's to know: it names the object store.
pub(super) struct Unkept;

/// What is sent instead of this.
///
/// # Errors
/// [`Unkept`].
pub(super) async fn claim(
    services: &Services,
    route: &Http,
    content: &Content,
) -> Result<Arc<Content>, Unkept> {
    let payloads = services.payloads.as_ref().ok_or(Unkept)?;
    let stored = payloads.keep(content.id, content.payload.clone()).await;
    let stored = stored.map_err(|error| {
        tracing::error!(%error, "a large payload could not be kept");
        Unkept
    })?;
    let came_with = content.headers.as_deref().unwrap_or_default();
    let is_encoding = |(name, _): &&(String, String)| name == header::CONTENT_ENCODING.as_str();
    let encoding = came_with.iter().find(is_encoding).map(|(_, value)| value.as_str());
    let claim = Claim {
        event_type: &content.event_type,
        timestamp: content.id.0.created_at(),
        payload_url: &stored.url,
        payload_sha256: &stored.digest,
        payload_size: content.payload.len(),
        content_type: route.content_type(content),
        content_encoding: encoding,
        expires_at: stored.end,
    };
    let body = serde_json::to_vec(&claim).map_err(|_| Unkept)?;
    let said = (HEADER.to_owned(), STORED.to_owned());
    let headers = came_with.iter().filter(|header| !is_encoding(header)).cloned();
    Ok(Arc::new(Content {
        payload: body.into(),
        content_type: None,
        headers: Some(headers.chain([said]).collect()),
        ..content.clone()
    }))
}

/// Whether a message is one of these.
pub(super) fn is_claim(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| name == HEADER && value == STORED)
}
