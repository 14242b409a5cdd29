//! Where receivers fetch payloads that a directory keeps. What stands in the URL is a secret, so the
//! path is in no span and no log line.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::Response,
    routing,
};
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use object_store::Error as StoreError;
use ringback_domain::payload::{Link, Shut};

use super::{Links, Payloads};

/// Where they are fetched.
pub const PREFIX: &str = "/large/";

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The routes of the door; none where there is nothing to fetch.
pub fn routes(payloads: Option<Payloads>) -> Router {
    let Some(payloads) = payloads else { return Router::new() };
    Router::new()
        .route(&format!("{PREFIX}{{token}}/{{hour}}/{{name}}"), routing::get(fetch))
        .with_state(payloads)
}

async fn fetch(
    State(payloads): State<Payloads>,
    Path((token, hour, name)): Path<(String, String, String)>,
) -> Response {
    let Links::Own { keys, .. } = &payloads.0.links else { return refused(Shut::Unknown) };
    let now = payloads.0.world.clock.now();
    let link = match Link::read(keys, &token, &format!("{hour}/{name}"), now) {
        Ok(link) => link,
        Err(shut) => return refused(shut),
    };
    match payloads.get(&link.name).await {
        Ok((size, bytes)) => {
            let mut response = Response::new(Body::from_stream(bytes));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, size.into());
            headers.insert(CONTENT_DIGEST, digest(link.name.digest()));
            // Whatever it is, it is nobody's page: a browser must not show it under this name.
            let bytes = HeaderValue::from_static("application/octet-stream");
            headers.insert(header::CONTENT_TYPE, bytes);
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
            guard(headers);
            response
        }
        Err(StoreError::NotFound { .. }) => refused(Shut::Unknown),
        Err(error) => {
            tracing::error!(%error, "a stored payload could not be read");
            said(StatusCode::SERVICE_UNAVAILABLE, "it cannot be read now")
        }
    }
}

/// RFC 9530, section 2.
fn digest(digest: [u8; 32]) -> HeaderValue {
    let text = format!("sha-256=:{}:", BASE64.encode(&digest));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn refused(shut: Shut) -> Response {
    let status = match shut {
        Shut::Unknown => StatusCode::NOT_FOUND,
        Shut::Over => StatusCode::GONE,
    };
    said(status, &shut.to_string())
}

fn said(status: StatusCode, what: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{what}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    guard(headers);
    response
}

fn guard(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
