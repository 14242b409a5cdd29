//! Authorization responses that are signed (JARM: JWT Secured Authorization Response Mode).

use std::time::Duration;

use serde_json::Value;

use super::claims::{ClaimError, Claims};
use super::jws::Verified;
use crate::oauth::response::{self, Brought, BroughtError};
use crate::time::Timestamp;

/// Why a signed response is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JarmError {
    /// It is not from the provider, not for this client, or not of now (JARM, 2.4).
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// What is in it contradicts itself.
    #[error(transparent)]
    Brought(#[from] BroughtError),
}

/// Claims about the response, which are no parameters of it.
const ABOUT: [&str; 6] = ["iss", "aud", "exp", "iat", "nbf", "jti"];

/// What a signed response brings, once it is known to be from `issuer`, for `client_id` and of now.
///
/// # Errors
/// [`JarmError`]; then no token is asked for.
pub fn check_jarm(
    response: &Verified,
    issuer: &str,
    client_id: &str,
    now: Timestamp,
    leeway: Duration,
) -> Result<Brought, JarmError> {
    let claims = Claims { of: &response.claims, now, leeway };
    claims.is("iss", issuer)?;
    if claims.audience()? != [client_id] {
        return Err(ClaimError::Mismatch("aud").into());
    }
    claims.in_time()?;
    let parameters = response.claims.iter().filter(|(name, _)| !ABOUT.contains(&name.as_str()));
    let pairs = parameters.map(|(name, value)| match value {
        Value::String(text) => (name.clone(), text.clone()),
        other => (name.clone(), other.to_string()),
    });
    let brought = response::of(pairs.collect())?;
    if brought.response.is_some() {
        return Err(BroughtError::BesideSigned("response").into());
    }
    Ok(Brought { iss: Some(issuer.to_owned()), ..brought })
}
