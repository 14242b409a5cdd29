//! The body of a request, and what becomes of the rest of it that nobody reads.
//!
//! Who answers before a body is there and closes makes the client's system throw away what was
//! answered: a client that is still writing then finds a broken connection instead of the 413 or 401
//! that was meant for it. So the rest is discarded for a while, beside the answer (RFC 9112,
//! section 9.6). If it comes to its end, the connection is kept.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// The most bytes that are discarded: eight times what a request may have unless it is configured.
/// Whoever sends more than that would send anything.
const MOST: usize = 8 * 1024 * 1024;
/// How long is discarded: enough for that over a common line, and less than the time that a
/// connection may take for a head, so nobody holds one longer by this.
const LINGER: Duration = Duration::from_secs(5);

/// The body of a request. One that is dropped before its end is [left](Left) to its connection.
pub struct Upload {
    /// None once it has ended or broken off.
    body: Option<Incoming>,
    /// The client sends nothing before it is told to go on, which asking for the body does.
    waits: bool,
    left: Left,
}

/// Where a connection finds what was left of its request's body. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Left(Arc<Mutex<Option<Incoming>>>);

impl Upload {
    /// The request with its body as an upload.
    pub(super) fn of(request: Request<Incoming>, left: &Left) -> Request<Upload> {
        let waits = request.headers().contains_key(header::EXPECT);
        request.map(|body| Upload { body: Some(body), waits, left: left.clone() })
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
            && !self.waits
        {
            *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

impl Left {
    /// What was left, once.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads a body and throws it away, within bounds; it ends early if the body does.
pub(super) async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let discarding = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > MOST {
                break;
            }
        }
    };
    // In either case it is over; the connection closes if there is more.
    let _ = tokio::time::timeout(LINGER, discarding).await;
}

#[cfg(test)]
mod tests;
