//! Server-sent events (WHATWG HTML, section 9.2): a body that is written as things happen.

use std::{
    fmt::Write as _,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use hyper::body::Frame;

use crate::seam::BoxFuture;

/// What an event stream goes on with. Dropping it ends all there is of it.
pub trait Happening: Sized + Send + 'static {
    /// What is written next, and who goes on; none at the end.
    fn next(self) -> impl Future<Output = Option<(Bytes, Self)>> + Send;
}

/// The answer that tells what happens.
pub fn event_stream(happening: impl Happening) -> Response {
    let mut response = Response::new(Body::new(Written { next: Some(Box::pin(happening.next())) }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event. `data` has no line breaks of its own, as JSON has none.
pub fn event(name: Option<&str>, id: Option<&dyn std::fmt::Display>, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 64);
    // Writing to a string cannot fail.
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    if let Some(name) = name {
        let _ = writeln!(text, "event: {name}");
    }
    let _ = write!(text, "data: {data}\n\n");
    text
}

struct Written<H> {
    next: Option<BoxFuture<'static, Option<(Bytes, H)>>>,
}

impl<H: Happening> hyper::body::Body for Written<H> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        match ready!(next.as_mut().poll(context)) {
            Some((bytes, happening)) => {
                self.next = Some(Box::pin(happening.next()));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => {
                self.next = None;
                Poll::Ready(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_browsers_read_it() {
        assert_eq!(event(None, None, "{}"), "data: {}\n\n");
        assert_eq!(event(Some("ready"), Some(&7), "1"), "id: 7\nevent: ready\ndata: 1\n\n");
    }
}
