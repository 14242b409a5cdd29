//! The authorization request: what the browser is sent to a provider with.
//!
//! Three ways (they can be combined): as a query (RFC 6749, 4.1.1), as a signed object in it (JAR,
//! RFC 9101), or handed over beforehand (PAR, RFC 9126), so that the query says nothing.

use std::time::Duration;

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::ask::{Ask, Pair, form};
use super::field;
use super::jose::SigningKey;
use super::pkce;
use super::token::{self, ClientAuth, TokenError, TokenQuirks};
use crate::time::Timestamp;

/// The type of a request object (RFC 9101, 10.8): nothing else takes it for its own.
const OBJECT: &str = "oauth-authz-req+jwt";

/// How long a request object is good for: the browser may wait a little before it goes.
const OBJECT_LIFETIME: Duration = Duration::from_secs(300);

/// What a provider is asked for.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: String,
    /// Where the browser comes back to. The token request has the same, byte for byte.
    pub redirect_uri: String,
    /// What is asked for, joined as the provider wants it; empty if nothing is named.
    pub scope: String,
    /// Comes back with the browser.
    pub state: String,
    /// Made by [`pkce::challenge`]; none only if the provider cannot do it.
    pub code_challenge: Option<String>,
    /// Comes back in the ID token.
    pub nonce: Option<String>,
    /// How the answer comes back, if not as a query.
    pub response_mode: Option<String>,
    /// What else the provider's file or the application says: `prompt`, `access_type` … One that is
    /// above is never replaced.
    pub extra: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Its parameters, in order.
    pub fn params(&self) -> Vec<(String, String)> {
        let Self { client_id, redirect_uri, scope, state, .. } = self;
        let mut params: Vec<Pair<'_>> = vec![
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
        ];
        if !scope.is_empty() {
            params.push(("scope", scope));
        }
        params.push(("state", state));
        if let Some(challenge) = &self.code_challenge {
            params.push(("code_challenge", challenge));
            params.push(("code_challenge_method", pkce::METHOD));
        }
        params.extend(self.nonce.as_ref().map(|nonce| ("nonce", nonce.as_str())));
        params.extend(self.response_mode.as_ref().map(|mode| ("response_mode", mode.as_str())));
        for (name, value) in &self.extra {
            if !RESERVED.contains(&name.as_str()) {
                params.push((name, value));
            }
        }
        params.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Where the browser goes. Parameters that the endpoint has already stay (RFC 6749, 3.1).
    pub fn url(&self, endpoint: &str) -> String {
        let params = self.params();
        with_query(endpoint, &borrowed(&params))
    }

    /// Where the browser goes with a request object. What OpenID Connect wants to see beside it says
    /// the same (Core, 6.1).
    pub fn url_with_object(&self, endpoint: &str, object: &str) -> String {
        let mut params = vec![("response_type", "code"), ("client_id", &*self.client_id)];
        if !self.scope.is_empty() {
            params.push(("scope", &self.scope));
        }
        params.push(("request", object));
        with_query(endpoint, &params)
    }

    /// Where the browser goes when the request was handed over: who asks is said again (RFC 9126, 4).
    pub fn url_pushed(&self, endpoint: &str, pushed: &Pushed) -> String {
        with_query(
            endpoint,
            &[("client_id", &self.client_id), ("request_uri", &pushed.request_uri)],
        )
    }

    /// The request as a signed object (RFC 9101, 4) for `issuer`. None if the library fails.
    pub fn object(&self, key: &SigningKey, issuer: &str, now: Timestamp) -> Option<String> {
        let mut claims: Map<String, Value> =
            self.params().into_iter().map(|(name, value)| (name, value.into())).collect();
        // No `sub`, so that it can never be a client assertion (RFC 9101, 10.8).
        for (name, value) in [
            ("iss", json!(self.client_id)),
            ("aud", json!(issuer)),
            ("iat", json!(now.seconds())),
            ("nbf", json!(now.seconds())),
            ("exp", json!((now + OBJECT_LIFETIME).seconds())),
        ] {
            claims.insert(name.to_owned(), value);
        }
        key.sign(OBJECT, &Value::Object(claims))
    }

    /// The request, handed over beforehand (RFC 9126, 2.1), if it is wanted as an `object`.
    pub fn par(&self, endpoint: &str, auth: &ClientAuth<'_>, object: Option<&str>) -> Ask {
        let params = self.params();
        let fields = match object {
            Some(object) => vec![("client_id", &*self.client_id), ("request", object)],
            None => borrowed(&params),
        };
        token::asked(endpoint, auth, fields, &TokenQuirks::default())
    }
}

/// Parameters that decide who gets what. Whoever may add parameters may not add these.
const RESERVED: [&str; 14] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "response_mode",
    "request",
    "request_uri",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

/// A request that was handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What the browser goes with; it is good once (RFC 9126, 4).
    pub request_uri: String,
    /// For how many seconds.
    pub expires_in: u64,
}

/// Reads the answer to [`AuthorizationRequest::par`].
///
/// # Errors
/// [`TokenError`]; then the browser is sent nowhere.
pub fn pushed(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<Pushed, TokenError> {
    /// For how long where the provider does not say: as long as the RFC suggests at least.
    const LIFETIME: u64 = 5;
    let answer = token::read(status, content_type, body)?;
    let request_uri = field::text(&answer, "request_uri")
        .ok_or(TokenError::Unreadable { status, what: "has no request uri" })?;
    let expires_in = field::number(&answer, "expires_in").and_then(|it| u64::try_from(it).ok());
    Ok(Pushed { request_uri: request_uri.to_owned(), expires_in: expires_in.unwrap_or(LIFETIME) })
}

fn borrowed(params: &[(String, String)]) -> Vec<Pair<'_>> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A URL with more parameters. Those that it has stay as they are written, unless they have the same
/// name: a parameter comes once (RFC 6749, 3.1).
fn with_query(endpoint: &str, params: &[Pair<'_>]) -> String {
    let endpoint = endpoint.split('#').next().unwrap_or_default();
    let (address, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let is_ours = |part: &str| {
        let name = form_urlencoded::parse(part.as_bytes()).next();
        name.is_none_or(|(name, _)| params.iter().any(|(ours, _)| *ours == name))
    };
    let kept = query.split('&').filter(|part| !is_ours(part)).map(str::to_owned);
    let parts: Vec<String> = kept.chain([form(params)]).collect();
    format!("{address}?{}", parts.join("&"))
}
