//! What surrounds all routes: trailing slashes, panics, and what is no route.
//!
//! Invariant: no path with a NUL in it reaches a handler. It would name nothing, and PostgreSQL
//! takes none in a text. (In a query string: `super::query`. In a body, each field is checked.)

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{Uri, uri::PathAndQuery};
use tower::ServiceExt;

use super::error::Error;

/// These routes, with or without a trailing slash, and an answer whatever happens in them.
pub(super) fn guarded(routes: Router) -> Router {
    let routes = routes
        .fallback(async || Error::NoRoute)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed);
    // Routing looks at the path first, so what changes the path stands in front of it.
    Router::new().fallback_service(tower::service_fn(move |request: Request| {
        let named = !has_nul(request.uri());
        let answer = named.then(|| routes.clone().oneshot(without_slash(request)));
        async move {
            Ok::<_, Infallible>(match answer {
                Some(answer) => Guarded(Box::pin(answer)).await,
                None => Error::NoRoute.into_response(),
            })
        }
    }))
}

/// Whether a segment of the path has a NUL once it is decoded.
fn has_nul(uri: &Uri) -> bool {
    uri.path().contains("%00")
}

/// The request as if its path had no trailing slash.
fn without_slash(mut request: Request) -> Request {
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// A future whose panic becomes an answer: one request's bug is no other request's problem.
struct Guarded<F>(Pin<Box<F>>);

impl<F: Future<Output = Result<Response, Infallible>>> Future for Guarded<F> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let future = &mut self.0;
        // It is never polled again after a panic, so nothing can see it half-changed.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
            Err(panic) => {
                tracing::error!(panic = message(&*panic), "a handler panicked");
                Poll::Ready(Error::Internal.into_response())
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing};
    use http::{Method, StatusCode};

    use super::*;

    #[test]
    fn trailing_slashes() {
        for (uri, expect) in [
            ("/api/v1/app/", Some("/api/v1/app")),
            ("/api/v1/app/?limit=1", Some("/api/v1/app?limit=1")),
            ("/api/v1/app", None),
            ("/", None),
            ("/?a=b", None),
        ] {
            let trimmed = trimmed(&uri.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(trimmed.as_deref(), expect, "{uri}");
        }
    }

    #[tokio::test]
    async fn every_request_is_answered_with_json() {
        async fn broken() -> &'static str {
            panic!("internals")
        }
        let routes = Router::new()
            .route("/fine", routing::get(async || "fine"))
            .route("/broken", routing::get(broken))
            .route("/any/{name}", routing::get(async || "fine"));
        let app = guarded(routes);
        let ask = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            (parts.status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask(Method::GET, "/fine").await.0, StatusCode::OK);
        assert_eq!(ask(Method::GET, "/fine/").await.0, StatusCode::OK);
        assert_eq!(ask(Method::GET, "/any/thing%2500").await.0, StatusCode::OK);
        for (method, path, status, code) in [
            (Method::GET, "/broken", StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            (Method::GET, "/nowhere", StatusCode::NOT_FOUND, "not_found"),
            (Method::GET, "/nowhere/", StatusCode::NOT_FOUND, "not_found"),
            (Method::GET, "/any/thing%00", StatusCode::NOT_FOUND, "not_found"),
            (Method::POST, "/fine", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ] {
            let (is, body) = ask(method, path).await;
            assert_eq!(is, status, "{path}");
            assert!(body.contains(&format!(r#""code":"{code}""#)), "{body}");
            assert!(!body.contains("internals"), "{body}");
        }
    }
}
