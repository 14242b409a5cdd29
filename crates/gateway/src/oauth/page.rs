//! What a person sees where a flow cannot go on: nothing that came with the browser is repeated.

use axum::response::Response;
use http::StatusCode;

use crate::callback::{guarded, html};

/// A page that says what is wrong.
pub(super) fn wrong(status: StatusCode, title: &str, text: &str) -> Response {
    let mut response = html(title, &format!("<h1>{title}</h1><p>{text}</p>"));
    *response.status_mut() = status;
    guarded(response)
}

/// The link names no flow.
pub(super) fn nothing() -> Response {
    let text = "This link is not valid. Go back to where you came from and begin again.";
    wrong(StatusCode::NOT_FOUND, "Nothing here", text)
}

/// The flow has gone on, or has ended.
pub(super) fn over() -> Response {
    let text = "This link has been used, or its time is over. Go back to where you came from and \
                begin again.";
    wrong(StatusCode::GONE, "This link is no longer valid", text)
}

/// What came with the browser cannot be used.
pub(super) fn refused(why: &str) -> Response {
    let text = format!(
        "{why} Nothing has been connected. Go back to where you came from and begin again."
    );
    wrong(StatusCode::BAD_REQUEST, "This did not work", &text)
}

/// Somebody is away.
pub(super) fn later() -> Response {
    let text = "This does not work at the moment. Please try again in a few minutes.";
    wrong(StatusCode::SERVICE_UNAVAILABLE, "Please try again", text)
}
