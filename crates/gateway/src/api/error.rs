//! What went wrong, as the caller is told: the one place that maps errors to HTTP.
//!
//! The shapes are those that the SDKs parse: `{code, detail}`, and for 422 a `detail` that is
//! always a list of `{loc, msg, type}`. What the caller cannot do anything about is logged here and
//! told in general words.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use ringback_domain::{
    access::{Denied, Role},
    idempotency, seal,
};
use ringback_store::{AppendError, ReadError, ResendError, TaskError, Unavailable, WriteError};
use serde::Serialize;
use utoipa::ToSchema;

use super::reply::json;
use crate::{auth::AuthError, receive::Refusal};

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 400: understood, but it cannot be done.
    #[error("{detail}")]
    Refused {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// 401.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: the token is valid, but not for this.
    #[error("this takes a token with {needs}; this one has the role {has}")]
    Forbidden {
        /// What it would take.
        needs: Denied,
        /// What the token is for.
        has: Role,
    },
    /// 403: it may be asked, but not by whoever stands behind it.
    #[error("{detail}")]
    Denied {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// 404: there is no such thing in the caller's scope.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// 404: nothing was ever here.
    #[error("there is nothing at this path")]
    NoRoute,
    /// 405.
    #[error("the path exists, but not with this method")]
    MethodNotAllowed,
    /// 408.
    #[error("the request did not arrive in time")]
    TimedOut,
    /// 409.
    #[error("{detail}")]
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// 413.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The largest that is accepted.
        limit: usize,
    },
    /// 422: the fields named are wrong.
    #[error("the request is not valid")]
    Invalid(Vec<Problem>),
    /// 429: the application has used up what it may use.
    #[error("{detail}")]
    OverQuota {
        /// For people.
        detail: String,
        /// When to come again, in seconds.
        retry_after: u64,
    },
    /// 501: an operation that the SDKs have and this server does not.
    #[error("this operation is not implemented yet")]
    NotImplemented,
    /// 503: later it may work.
    #[error("{detail}")]
    Unavailable {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: &'static str,
        /// When to come again, in seconds.
        retry_after: &'static str,
    },
    /// 500: the reason is in the log.
    #[error("something went wrong on the server")]
    Internal,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Where: `body`, `query`, `header` or `path`, then the names that lead to the field.
    #[schema(example = json!(["body", "url"]))]
    pub loc: Vec<String>,
    /// What is wrong.
    pub msg: String,
    /// `value_error`, or `value_error.jsondecode` where the body is no JSON at all.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Every error but 422.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorOut<'a> {
    /// For programs.
    code: &'a str,
    /// For people.
    detail: String,
}

/// The error 422.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvalidOut<'a> {
    /// Every field that is wrong.
    detail: &'a [Problem],
}

impl Error {
    /// A single wrong value: `part` is `body`, `query`, `header` or `path`.
    pub(crate) fn invalid(part: &str, field: &str, what: impl ToString) -> Error {
        Error::Invalid(vec![Problem::at(&[part, field], what)])
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.parts().0
    }

    /// The status and the code for programs.
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Error::Refused { code, .. } => (StatusCode::BAD_REQUEST, code),
            Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "authentication_failed"),
            Error::Forbidden { needs, .. } => (StatusCode::FORBIDDEN, needed(*needs)),
            Error::Denied { code, .. } => (StatusCode::FORBIDDEN, code),
            Error::NotFound(_) | Error::NoRoute => (StatusCode::NOT_FOUND, "not_found"),
            Error::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Error::TimedOut => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Error::Conflict { code, .. } => (StatusCode::CONFLICT, code),
            Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Error::OverQuota { .. } => (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"),
            Error::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
            Error::Unavailable { code, .. } => (StatusCode::SERVICE_UNAVAILABLE, code),
            Error::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    /// A header that tells the caller what to do next.
    fn advice(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Error::Unauthenticated(_) => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Error::Unavailable { retry_after, .. } => {
                Some((header::RETRY_AFTER, HeaderValue::from_static(retry_after)))
            }
            Error::OverQuota { retry_after, .. } => {
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_after)))
            }
            // The rest of the body will not be read.
            Error::TooLarge { .. } | Error::TimedOut => {
                Some((header::CONNECTION, HeaderValue::from_static("close")))
            }
            _ => None,
        }
    }
}

/// The code that says what a token would have to be.
fn needed(needs: Denied) -> &'static str {
    match needs {
        Denied::Role(Role::Admin) => "needs_admin",
        Denied::Role(Role::Send) => "needs_send",
        Denied::Role(Role::Read) => "needs_read",
        Denied::Role(Role::Application) => "needs_application",
        Denied::Role(Role::Portal) => "needs_portal",
        Denied::Capability(_) => "needs_capability",
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let mut response = match &self {
            Error::Invalid(problems) => json(status, &InvalidOut { detail: problems }),
            _ => json(status, &ErrorOut { code, detail: self.to_string() }),
        };
        if let Some((name, value)) = self.advice() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl Problem {
    pub(crate) fn at(loc: &[&str], what: impl ToString) -> Problem {
        let loc = loc.iter().map(|part| (*part).to_owned()).collect();
        Problem { loc, msg: what.to_string(), kind: "value_error" }
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Error {
        let (code, detail, retry_after) = match unavailable {
            Unavailable::Full => ("disk_full", "the disk is full", "5"),
            Unavailable::Overloaded => ("overloaded", "the server is overloaded", "1"),
            Unavailable::Closed => ("shutting_down", "the server is shutting down", "5"),
            Unavailable::Failed(reason) => {
                tracing::error!(%reason, "the store failed");
                ("store_failed", "the store failed", "5")
            }
        };
        Error::Unavailable { code, detail, retry_after }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Error {
        match error {
            ReadError::NotFound(what) => Error::NotFound(what),
            ReadError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Error {
        let detail = error.to_string();
        match error {
            WriteError::NotFound(what) => Error::NotFound(what),
            WriteError::Conflict("idempotency key") => {
                let detail = "the idempotency key was used with another request body".to_owned();
                Error::Conflict { code: "idempotency_conflict", detail }
            }
            WriteError::Conflict(_) => Error::Conflict { code: "conflict", detail },
            WriteError::Limit(_) => Error::Refused { code: "limit_reached", detail },
            WriteError::Repeated(_) => Error::Conflict { code: "idempotency_conflict", detail },
            WriteError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<ResendError> for Error {
    fn from(error: ResendError) -> Error {
        let detail = error.to_string();
        match error {
            ResendError::NotFound(what) => Error::NotFound(what),
            ResendError::State(_) => Error::Conflict { code: "endpoint_disabled", detail },
            ResendError::NoContent => Error::Refused { code: "missing_payload", detail },
            ResendError::Repeated(_) => Error::Conflict { code: "idempotency_conflict", detail },
            ResendError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Error {
        let detail = error.to_string();
        match error {
            TaskError::NotFound(what) => Error::NotFound(what),
            TaskError::State(_) => Error::Conflict { code: "endpoint_disabled", detail },
            TaskError::Limit => Error::Refused { code: "limit_reached", detail },
            TaskError::Conflict => Error::Conflict { code: "conflict", detail },
            TaskError::Repeated(_) => Error::Conflict { code: "idempotency_conflict", detail },
            TaskError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Error {
        let detail = error.to_string();
        match error {
            AppendError::NoApplication => Error::NotFound("application"),
            AppendError::ClaimConflict => Error::Conflict { code: "idempotency_conflict", detail },
            AppendError::EventIdTaken { .. } => Error::Conflict { code: "conflict", detail },
            AppendError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotHeld(_) => Error::Refused { code: "not_held", detail },
            Refusal::Nothing(_)
            | Refusal::Truncated { .. }
            | Refusal::Headers
            | Refusal::Challenge => Error::Refused { code: "not_replayable", detail },
            Refusal::NoProvider | Refusal::Still { .. } => {
                Error::Conflict { code: "still_refused", detail }
            }
            Refusal::Store(error) => error.into(),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Error {
        match error {
            AuthError::Missing => Error::Unauthenticated("a bearer token is needed"),
            AuthError::Invalid => Error::Unauthenticated("the token is not valid"),
            AuthError::Denied { needs, has } => Error::Forbidden { needs, has },
            AuthError::NoApplication => Error::NotFound("application"),
            AuthError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<idempotency::KeyError> for Error {
    fn from(error: idempotency::KeyError) -> Error {
        Error::invalid("header", "idempotency-key", error)
    }
}

impl From<seal::OpenError> for Error {
    fn from(error: seal::OpenError) -> Error {
        tracing::error!(%error, "a sealed value cannot be read");
        Error::Internal
    }
}

impl From<seal::SealError> for Error {
    fn from(error: seal::SealError) -> Error {
        tracing::error!(%error, "a value cannot be sealed");
        Error::Internal
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringback_domain::{access::Capability, endpoint::State, quota::Limit, source::Fate};

    use super::*;
    use crate::{api::quota::endpoint_refused, quota::Over};

    async fn told(error: impl Into<Error>) -> (u16, String, http::HeaderMap) {
        let response = error.into().into_response();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap(), parts.headers)
    }

    const DOCUMENT: &str = include_str!("../../../../docs/errors.md");

    #[tokio::test]
    async fn every_error_has_a_status_a_code_and_json() {
        let check = async |error: Error, status: u16, code: &str| {
            let row = format!("| {status} | `{code}` |");
            assert!(DOCUMENT.contains(&row), "{row} is not in the document");
            let (is, body, _) = told(error).await;
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((is, body["code"].as_str()), (status, Some(code)), "{body}");
            assert!(!body["detail"].as_str().unwrap().is_empty());
        };
        check(ReadError::NotFound("application").into(), 404, "not_found").await;
        check(WriteError::Conflict("uid").into(), 409, "conflict").await;
        check(WriteError::Limit("secrets").into(), 400, "limit_reached").await;
        check(ResendError::State(State::Gone).into(), 409, "endpoint_disabled").await;
        check(ResendError::NoContent.into(), 400, "missing_payload").await;
        check(TaskError::State(State::Gone).into(), 409, "endpoint_disabled").await;
        check(TaskError::Limit.into(), 400, "limit_reached").await;
        check(TaskError::Conflict.into(), 409, "conflict").await;
        check(AppendError::ClaimConflict.into(), 409, "idempotency_conflict").await;
        check(Refusal::NotHeld(Fate::Stale).into(), 400, "not_held").await;
        check(Refusal::Nothing(Fate::TooLarge).into(), 400, "not_replayable").await;
        check(Refusal::Truncated { kept: 1, bytes: 2 }.into(), 400, "not_replayable").await;
        check(Refusal::Headers.into(), 400, "not_replayable").await;
        check(Refusal::Challenge.into(), 400, "not_replayable").await;
        check(Refusal::NoProvider.into(), 409, "still_refused").await;
        let still = Refusal::Still { fate: Fate::Stale, reason: None };
        check(still.into(), 409, "still_refused").await;
        check(Refusal::Store(WriteError::NotFound("request")).into(), 404, "not_found").await;
        check(AuthError::Missing.into(), 401, "authentication_failed").await;
        check(AuthError::Invalid.into(), 401, "authentication_failed").await;
        for (needs, code) in [
            (Denied::Role(Role::Admin), "needs_admin"),
            (Denied::Role(Role::Send), "needs_send"),
            (Denied::Role(Role::Read), "needs_read"),
            (Denied::Role(Role::Application), "needs_application"),
            (Denied::Role(Role::Portal), "needs_portal"),
            (Denied::Capability(Capability::ManageEndpoint), "needs_capability"),
        ] {
            check(AuthError::Denied { needs, has: Role::Send }.into(), 403, code).await;
        }
        check(AuthError::NoApplication.into(), 404, "not_found").await;
        check(Unavailable::Full.into(), 503, "disk_full").await;
        check(Unavailable::Overloaded.into(), 503, "overloaded").await;
        check(Unavailable::Closed.into(), 503, "shutting_down").await;
        check(Unavailable::Failed(String::new()).into(), 503, "store_failed").await;
        check(Error::TimedOut, 408, "request_timeout").await;
        check(Error::NoRoute, 404, "not_found").await;
        check(Error::MethodNotAllowed, 405, "method_not_allowed").await;
        check(Error::TooLarge { limit: 1 }, 413, "payload_too_large").await;
        let over = |limit| Over { limit, value: 5, after: Duration::from_millis(1_001) };
        check(over(Limit::Pending).into(), 429, "quota_exceeded").await;
        let full = endpoint_refused(WriteError::Limit("endpoints"), Some(5));
        check(full, 400, "quota_exceeded").await;
        check(Error::NotImplemented, 501, "not_implemented").await;
        check(Error::Internal, 500, "server_error").await;
    }

    #[tokio::test]
    async fn a_422_is_always_a_list() {
        let (status, body, _) = told(Error::invalid("body", "url", "the url has no host")).await;
        assert_eq!(status, 422);
        assert_eq!(
            body,
            r#"{"detail":[{"loc":["body","url"],"msg":"the url has no host","type":"value_error"}]}"#
        );
    }

    #[tokio::test]
    async fn who_should_come_again_is_told_when_and_nothing_else() {
        let (_, body, headers) = told(Unavailable::Failed("table secret".to_owned())).await;
        assert_eq!(headers[header::RETRY_AFTER], "5");
        assert!(!body.contains("table secret"));
        let after = Duration::from_millis(1_001);
        let (_, body, headers) = told(Over { limit: Limit::Bytes, value: 7, after }).await;
        assert_eq!(headers[header::RETRY_AFTER], "2");
        assert!(body.contains("bytesPerSecond is 7"), "{body}");
        let (_, _, headers) = told(Unavailable::Overloaded).await;
        assert_eq!(headers[header::RETRY_AFTER], "1");
    }
}
