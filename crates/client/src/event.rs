//! What a handler is given, what it may say, and what went wrong around it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use ringback_domain::provider::Reason;
use serde::de::DeserializeOwned;

use crate::BoxError;

/// A verified event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The sender's id of it, the same whenever it is sent again. Not every provider has one.
    pub id: Option<String>,
    /// The type: `invoice.paid`; empty if the request does not say it.
    pub kind: String,
    /// The headers of the request. Few providers sign them.
    pub headers: HeaderMap,
    /// The bytes that were verified.
    pub body: Bytes,
}

impl Event {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// Of `serde_json`. With `?` in a handler, the event is sent again; [`Reject`] it if it should
    /// not be.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// It cannot be done now: the answer is 503, and the event is sent again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Told to the sender.
    pub message: String,
    /// Not before this time (`Retry-After`).
    pub after: Option<Duration>,
}

impl Retry {
    /// Whenever the sender tries again; the message is told to it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), after: None }
    }

    /// Not before this time.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after: Some(after), ..self }
    }
}

/// It will never be done: the answer is 422.
#[derive(Clone, Debug)]
pub struct Reject {
    /// Told to the sender.
    pub message: String,
}

impl Reject {
    /// The message is told to the sender.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What a handler answers whose caller reads it: 200 with this.
#[derive(Clone, Debug)]
pub struct Reply {
    body: Bytes,
    content_type: HeaderValue,
}

impl Reply {
    /// Plain text.
    pub fn new(body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { body: body.into(), content_type }
    }

    /// The same as another type.
    #[must_use]
    pub fn content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = content_type;
        self
    }
}

impl From<Reply> for Response<Bytes> {
    fn from(reply: Reply) -> Self {
        let mut response = Response::new(reply.body);
        response.headers_mut().insert(header::CONTENT_TYPE, reply.content_type);
        response
    }
}

/// How a handler ends that has not done what was asked for. `?` makes one of any error.
#[derive(Debug)]
pub enum Failure {
    /// 503.
    Retry(Retry),
    /// 422.
    Reject(Reject),
    /// 500; the error is for [`Receiver::on_problem`](crate::Receiver::on_problem), and the sender
    /// is told nothing of it.
    Error(BoxError),
}

impl From<Retry> for Failure {
    fn from(retry: Retry) -> Self {
        Self::Retry(retry)
    }
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What went wrong, for whoever keeps a log.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A request that was not accepted; strangers can cause any number of these.
    #[error("a request was refused: {0}")]
    Refused(Reason),
    /// A challenge that brings a secret or wants to be confirmed, which this receiver cannot do.
    #[error("the challenge `{0}` cannot be answered here")]
    Challenge(String),
    /// A key that the provider publishes was not to be had.
    #[error("{url} could not be fetched: {error}")]
    Fetch {
        /// Where it is.
        url: String,
        /// Why not.
        error: BoxError,
    },
    /// A handler failed.
    #[error("{kind}: {error}")]
    Handler {
        /// The event's type.
        kind: String,
        /// What it said; a panic, too.
        error: BoxError,
    },
    /// A handler has not ended in time. It goes on.
    #[error("{kind} was not handled in {} ms", .after.as_millis())]
    Deadline {
        /// The event's type.
        kind: String,
        /// How long was waited.
        after: Duration,
    },
    /// The hook against duplicates failed.
    #[error("{kind}: the hook against duplicates failed: {error}")]
    Dedupe {
        /// The event's type.
        kind: String,
        /// What it said.
        error: BoxError,
    },
}
