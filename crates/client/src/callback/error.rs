//! Why there is no answer: each end of a callback, and what went wrong on the way to it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::BoxError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A deadline passed before an answer came.
    #[error("the callback has expired")]
    Expired,
    /// The application did not want the answer any more.
    #[error("the callback was canceled")]
    Canceled,
    /// The other side, or the application, said that there will be no answer, and this: JSON, the
    /// fields of a form, or text.
    #[error("the callback has failed")]
    Failed(Value),
    /// It has ended otherwise, or the idempotency key belongs to another request.
    #[error("{0}")]
    Conflict(String),
    /// The server was not to be had for as long as was waited, or kept saying that it has no time.
    #[error("the server cannot be reached: {0}")]
    Unavailable(BoxError),
    /// The server refused the request; doing it again is in vain.
    #[error("{status} {code} {detail}")]
    Refused {
        /// What it answered with.
        status: StatusCode,
        /// `not_found` and the like; empty if the answer has none.
        code: String,
        /// For people.
        detail: String,
    },
    /// The answer is not of the type that was asked for.
    #[error("the answer has another shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// The gateway's URL, its token or its certificates cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// What the server says with an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    code: String,
    detail: Value,
}

impl Error {
    /// What an answer of the server that is none of success means.
    pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Self {
        let Told { code, detail } = serde_json::from_slice(body).unwrap_or_default();
        let detail = match detail {
            Value::Null => String::new(),
            Value::String(detail) => detail,
            detail => detail.to_string(),
        };
        match status {
            StatusCode::CONFLICT => Self::Conflict(detail),
            _ => Self::Refused { status, code, detail },
        }
    }
}
