//! What an ID token has to say (OpenID Connect Core 1.0, 3.1.3.7), and what goes with it.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::claims::{ClaimError, Claims};
use super::jws::Verified;
use crate::hash::Hash;
use crate::time::Timestamp;

/// The longest name of a person (Core, 2).
const SUBJECT: usize = 255;

/// What an ID token is held against.
#[derive(Clone, Copy)]
pub struct IdTokenRules<'a> {
    /// What the provider calls itself. Microsoft's `{tenantid}` in it stands for the token's `tid`.
    pub issuer: &'a str,
    /// Whom it has to be for.
    pub client_id: &'a str,
    /// What was sent with the request; none if it comes of no request (a refresh, a device).
    pub nonce: Option<&'a str>,
    /// The access token that came with it: held against `at_hash`, if there is one.
    pub access_token: Option<&'a str>,
    /// How long ago the person may have logged in, if that was asked for.
    pub max_age: Option<Duration>,
    /// The present.
    pub now: Timestamp,
    /// How far the clocks may differ.
    pub leeway: Duration,
}

/// Checks that an ID token is from the provider, for this client, of this request, and of now.
///
/// # Errors
/// [`ClaimError`]; then the person is not logged in.
pub fn check_id_token(token: &Verified, rules: &IdTokenRules<'_>) -> Result<(), ClaimError> {
    let claims = Claims { of: &token.claims, now: rules.now, leeway: rules.leeway };
    claims.is("iss", &issuer(rules.issuer, claims)?)?;
    if claims.text("sub")?.len() > SUBJECT {
        return Err(ClaimError::Mismatch("sub"));
    }
    let audience = claims.audience()?;
    if !audience.contains(&rules.client_id) {
        return Err(ClaimError::Mismatch("aud"));
    }
    // A token for others as well has to say that it was made for this client.
    if audience.len() > 1 || claims.of.contains_key("azp") {
        claims.is("azp", rules.client_id)?;
    }
    claims.in_time()?;
    claims.time("iat")?.ok_or(ClaimError::Missing("iat"))?;
    if let Some(nonce) = rules.nonce {
        claims.is("nonce", nonce)?;
    }
    if let Some(max_age) = rules.max_age {
        let since = claims.time("auth_time")?.ok_or(ClaimError::Missing("auth_time"))?;
        if rules.now > since + max_age + rules.leeway {
            return Err(ClaimError::TooLongAgo);
        }
    }
    if let Some(access_token) = rules.access_token
        && claims.of.contains_key("at_hash")
    {
        claims.is("at_hash", &half_hash(token.algorithm.hash(), access_token))?;
    }
    Ok(())
}

/// The issuer of a token. Where one name stands for many tenants, each signs with its own, and says
/// in `tid` which it is (Microsoft identity platform, "Validate the issuer").
fn issuer(expected: &str, claims: Claims<'_>) -> Result<String, ClaimError> {
    const TENANT: &str = "{tenantid}";
    if !expected.contains(TENANT) {
        return Ok(expected.to_owned());
    }
    let tenant = claims.text("tid")?;
    if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(ClaimError::Mismatch("tid"));
    }
    Ok(expected.replace(TENANT, tenant))
}

/// The left half of a hash (Core, 3.1.3.6).
fn half_hash(hash: Hash, text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(hash.digest(), text.as_bytes());
    BASE64URL_NOPAD.encode(&digest.as_ref()[..hash.len() / 2])
}

/// Checks that what the userinfo endpoint says is about the person of the ID token (Core, 5.3.2).
///
/// # Errors
/// [`ClaimError`]; then it is not to be used.
pub fn check_userinfo(sub: &str, userinfo: &Map<String, Value>) -> Result<(), ClaimError> {
    match userinfo.get("sub") {
        Some(Value::String(told)) if told == sub => Ok(()),
        Some(Value::String(_)) => Err(ClaimError::Mismatch("sub")),
        _ => Err(ClaimError::Missing("sub")),
    }
}
