//! Dynamic client registration (RFC 7591): a client is made at a provider without a person.

use std::fmt;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::ask::{Ask, Body};
use super::field;
use super::token::{self, TokenError};
use crate::time::Timestamp;

/// The client to be made (RFC 7591, 2).
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// Its name, for people.
    pub client_name: String,
    /// Where browsers come back to.
    pub redirect_uris: Vec<String>,
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `none`.
    pub token_endpoint_auth_method: String,
    /// `authorization_code`, `refresh_token` …
    pub grant_types: Vec<String>,
    /// What it may ask for, with blanks between.
    pub scope: Option<String>,
    /// Its public keys, for `private_key_jwt` and request objects.
    pub jwks: Vec<Value>,
}

/// A client that was made (RFC 7591, 3.2.1).
#[derive(Clone, PartialEq)]
pub struct Registered {
    /// Its id.
    pub client_id: String,
    /// Its secret, if it has one.
    pub client_secret: Option<Zeroizing<String>>,
    /// When the secret ends; none if never.
    pub client_secret_expires_at: Option<Timestamp>,
    /// How it proves itself, which may be otherwise than was asked for.
    pub token_endpoint_auth_method: Option<String>,
    /// Where it can be changed and removed (RFC 7592), and what that takes.
    pub management: Option<(String, Zeroizing<String>)>,
}

/// Shows no secret.
impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.is_some())
            .field("token_endpoint_auth_method", &self.token_endpoint_auth_method)
            .finish_non_exhaustive()
    }
}

/// The request to make a client (RFC 7591, 3.1). `token` is what a provider that does not take
/// everybody gave beforehand.
pub fn ask(endpoint: &str, registration: &Registration, token: Option<&str>) -> Ask {
    let mut document = json!({
        "client_name": registration.client_name,
        "redirect_uris": registration.redirect_uris,
        "token_endpoint_auth_method": registration.token_endpoint_auth_method,
        "grant_types": registration.grant_types,
        "response_types": ["code"],
    });
    if let Some(scope) = &registration.scope {
        document["scope"] = json!(scope);
    }
    if !registration.jwks.is_empty() {
        document["jwks"] = json!({"keys": registration.jwks});
    }
    let ask =
        Ask { body: document.to_string().into_bytes(), ..Ask::post(endpoint, Body::Json, &[]) };
    match token {
        Some(token) => ask.with("authorization", format!("Bearer {token}")),
        None => ask,
    }
}

/// Reads the answer. The provider may change what was asked for (RFC 7591, 3.2.1), but a client with
/// other redirect URIs is of no use.
///
/// # Errors
/// [`TokenError`]
pub fn answer(
    registration: &Registration,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Registered, TokenError> {
    let answer = token::read(status, content_type, body)?;
    let unreadable = |what| TokenError::Unreadable { status, what };
    let text = |name: &str| field::text(&answer, name).map(str::to_owned);
    let uris = field::texts(&answer, "redirect_uris");
    if uris.is_some_and(|uris| !registration.redirect_uris.iter().all(|uri| uris.contains(uri))) {
        return Err(unreadable("has other redirect uris"));
    }
    let end = field::number(&answer, "client_secret_expires_at").filter(|end| *end > 0);
    Ok(Registered {
        client_id: text("client_id").ok_or_else(|| unreadable("has no client id"))?,
        client_secret: text("client_secret").map(Zeroizing::new),
        client_secret_expires_at: end.map(|end| Timestamp(end.saturating_mul(1000))),
        token_endpoint_auth_method: text("token_endpoint_auth_method"),
        management: text("registration_client_uri")
            .zip(text("registration_access_token").map(Zeroizing::new)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration {
            client_name: "Shop".to_owned(),
            redirect_uris: vec!["https://hooks.example.com/oauth/callback/x".to_owned()],
            token_endpoint_auth_method: "client_secret_basic".to_owned(),
            grant_types: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
            ..Registration::default()
        }
    }

    fn read(value: &Value) -> Result<Registered, TokenError> {
        answer(&registration(), 201, Some("application/json"), value.to_string().as_bytes())
    }

    #[test]
    fn rfc7591_3_1_a_client_is_asked_for() {
        let document = |ask: &Ask| -> Value { serde_json::from_slice(&ask.body).unwrap() };
        let asked = ask("https://a.example/register", &registration(), None);
        let expect = json!({
            "client_name": "Shop",
            "redirect_uris": ["https://hooks.example.com/oauth/callback/x"],
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        });
        assert_eq!(document(&asked), expect);
        assert!(asked.headers.iter().all(|(name, _)| name != "authorization"));
        let more = Registration {
            scope: Some("openid".to_owned()),
            jwks: vec![json!({"kty": "OKP"})],
            ..registration()
        };
        let asked = ask("https://a.example/register", &more, Some("initial"));
        assert_eq!(document(&asked)["jwks"], json!({"keys": [{"kty": "OKP"}]}));
        assert_eq!(document(&asked)["scope"], "openid");
        let bearer = ("authorization".to_owned(), "Bearer initial".to_owned());
        assert!(asked.headers.contains(&bearer));
    }

    #[test]
    fn rfc7591_3_2_1_what_was_made_may_differ_but_for_where_it_comes_back() {
        let uris = registration().redirect_uris;
        let full = json!({"client_id": "c", "client_secret": "s-secret",
            "client_secret_expires_at": 1_800_000_000, "redirect_uris": uris,
            "token_endpoint_auth_method": "client_secret_post",
            "registration_client_uri": "https://a.example/register/c",
            "registration_access_token": "m-secret"});
        let registered = read(&full).unwrap();
        assert_eq!(registered.client_secret_expires_at, Some(Timestamp(1_800_000_000_000)));
        let method = registered.token_endpoint_auth_method.as_deref();
        assert_eq!(method, Some("client_secret_post"));
        let (place, token) = registered.management.as_ref().unwrap();
        assert_eq!((&**place, &***token), ("https://a.example/register/c", "m-secret"));
        assert!(!format!("{registered:?}").contains("secret\""));

        let never = json!({"client_id": "c", "client_secret_expires_at": 0});
        assert_eq!(read(&never).unwrap().client_secret_expires_at, None);
        for wrong in [
            json!({}),
            json!({"client_id": "c", "redirect_uris": ["https://evil.example/"]}),
            json!({"client_id": "c", "redirect_uris": []}),
            json!({"error": "invalid_redirect_uri"}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
