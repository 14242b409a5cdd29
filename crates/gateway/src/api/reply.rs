//! Answers: JSON, or nothing.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// The media type of every answer that has a body.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `value` as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    rendered(status, render(value))
}

/// The text of `value`.
pub(super) fn render(value: &impl Serialize) -> Bytes {
    match serde_json::to_vec(value) {
        Ok(text) => text.into(),
        Err(error) => {
            // Only a map with keys that are no strings, or a failing `Serialize`; there is none.
            tracing::error!(%error, "an answer cannot be written as JSON");
            Bytes::from_static(b"{}")
        }
    }
}

/// An answer whose JSON text is there already; an empty one has no media type.
pub(super) fn rendered(status: StatusCode, body: Bytes) -> Response {
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if has_body {
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    }
    response
}

/// 204.
pub(super) fn nothing() -> Response {
    rendered(StatusCode::NO_CONTENT, Bytes::new())
}
