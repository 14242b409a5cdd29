//! What ID tokens and signed responses have in common (RFC 7519, 4.1).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::time::Timestamp;

/// Why what a token says is not for us, not from whom it should be, or not of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A claim that has to be there is not, or is of another kind.
    #[error("claim `{0}` is missing or of another kind")]
    Missing(&'static str),
    /// A claim is about somebody or something else.
    #[error("claim `{0}` is not what it has to be")]
    Mismatch(&'static str),
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is from the future")]
    FromFuture,
    /// The person logged in longer ago than is asked for.
    #[error("the person logged in too long ago")]
    TooLongAgo,
}

/// Claims, and against which clock they are held.
#[derive(Clone, Copy)]
pub(super) struct Claims<'a> {
    pub(super) of: &'a Map<String, Value>,
    pub(super) now: Timestamp,
    /// How far the clocks may differ.
    pub(super) leeway: Duration,
}

impl<'a> Claims<'a> {
    pub(super) fn text(self, name: &'static str) -> Result<&'a str, ClaimError> {
        let text = self.of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or(ClaimError::Missing(name))
    }

    pub(super) fn is(self, name: &'static str, expected: &str) -> Result<(), ClaimError> {
        if self.text(name)? == expected { Ok(()) } else { Err(ClaimError::Mismatch(name)) }
    }

    /// Whom it is for: one, or a list.
    pub(super) fn audience(self) -> Result<Vec<&'a str>, ClaimError> {
        let missing = ClaimError::Missing("aud");
        match self.of.get("aud").ok_or(missing)? {
            Value::String(one) => Ok(vec![one]),
            Value::Array(all) => {
                all.iter().map(|one| one.as_str().ok_or(missing)).collect::<Result<_, _>>()
            }
            _ => Err(missing),
        }
    }

    /// A point in time, in seconds since 1970, perhaps with a fraction (RFC 7519, 2).
    pub(super) fn time(self, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
        let Some(value) = self.of.get(name) else { return Ok(None) };
        let seconds = value.as_f64().ok_or(ClaimError::Missing(name))?;
        // What is beyond the range ends at it.
        Ok(Some(Timestamp((seconds * 1000.0) as i64)))
    }

    /// That it is neither over (`exp`, which it must have) nor yet to come (`nbf`, `iat`).
    pub(super) fn in_time(self) -> Result<(), ClaimError> {
        let end = self.time("exp")?.ok_or(ClaimError::Missing("exp"))?;
        if self.now >= end + self.leeway {
            return Err(ClaimError::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|start| self.now + self.leeway < start) {
                return Err(ClaimError::FromFuture);
            }
        }
        Ok(())
    }
}
