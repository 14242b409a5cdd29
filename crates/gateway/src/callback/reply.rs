//! What is replied to whoever calls a URL.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use ringback_domain::{
    callback::{Callback, Fate, State, Verdict},
    schema::Violation,
};
use serde_json::{Value, json};

use super::{Acknowledge, judge::Refused};
use crate::api;

/// The header that says what became of a request.
const STATUS: HeaderName = HeaderName::from_static("callback-status");

/// What no answer of a URL goes without: the URL is a secret, and nobody is to keep, frame or sniff.
const GUARDS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// With the headers that every answer has.
pub(crate) fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    response
}

/// What became of a step: `{"status": …}`, and `Callback-Status`. What was taken as an answer gets
/// its literal reply, if there is one.
pub(super) fn stepped(
    literal: Option<&Acknowledge>,
    callback: &Callback,
    verdict: Verdict,
) -> Response {
    let fate = Fate::from(verdict);
    let status = match fate {
        Fate::Conflict => StatusCode::CONFLICT,
        Fate::Late => StatusCode::GONE,
        _ => StatusCode::OK,
    };
    let mut response = match literal.filter(|_| status == StatusCode::OK) {
        Some(literal) => acknowledged(literal),
        None => api::json(status, &json!({ "status": callback.course.state.name() })),
    };
    response.headers_mut().insert(STATUS, HeaderValue::from_static(fate.name()));
    response
}

fn acknowledged(literal: &Acknowledge) -> Response {
    let mut response = Response::new(literal.body.clone().into());
    *response.status_mut() = StatusCode::from_u16(literal.status).unwrap_or(StatusCode::OK);
    if let Ok(value) = HeaderValue::from_str(&literal.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// An error: for programs, and for people.
pub(super) fn error(status: StatusCode, code: &str, detail: &str) -> Response {
    api::json(status, &json!({ "code": code, "detail": detail }))
}

/// There is no such URL: the same for one that never was, and for one that is closed.
pub(super) fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
}

/// Whoever answers has not proven who they are. It tells nothing about the callback.
pub(super) fn unproven() -> Response {
    let detail = "whoever answers here has to prove who they are";
    let mut response = error(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// It is not taken, and the callback is as it was.
pub(super) fn refused(refused: &Refused) -> Response {
    let status = State::Pending.name();
    let body = match refused {
        Refused::Schema(Violation { place, what }) => json!({
            "code": "schema_invalid", "detail": "the body is not what is waited for",
            "status": status, "errors": [{ "place": place, "detail": what }],
        }),
        Refused::TooComplex => json!({
            "code": "too_complex", "detail": "judging the body would cost too much",
            "status": status, "errors": Value::Array(Vec::new()),
        }),
    };
    api::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// It comes too often.
pub(super) fn too_often(after: Duration) -> Response {
    let mut response =
        error(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "there are too many requests");
    let seconds = after.as_millis().div_ceil(1_000).max(1) as u64;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The method is not taken here; which ones are.
pub(super) fn method_not_allowed(allow: &str) -> Response {
    let detail = "the address does not take this method";
    allowing(error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail), allow)
}

/// Only which methods are taken.
pub(super) fn options(allow: &str) -> Response {
    allowing(empty(StatusCode::NO_CONTENT), allow)
}

/// Nothing.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn allowing(mut response: Response, allow: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}
