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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{
        jose::{Algorithm, JoseError, JwkSet, VerifyKey, published, verify},
        token::Grant,
    };

    const ENDPOINT: &str = "https://login.example.com/authorize";
    const REDIRECT: &str = "https://hooks.example.com/oauth/callback/x?a=%2F&b=ü";

    fn request() -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: "client 1".to_owned(),
            redirect_uri: REDIRECT.to_owned(),
            scope: "openid user:email".to_owned(),
            state: "st-te".to_owned(),
            code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
            nonce: Some("n".to_owned()),
            ..AuthorizationRequest::default()
        }
    }

    /// The parameters of a URL, by a reader that is not ours.
    fn params(url: &str) -> Vec<(String, String)> {
        url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
    }

    fn value(params: &[(String, String)], name: &str) -> Option<String> {
        let mut found = params.iter().filter(|(had, _)| had == name);
        let first = found.next().map(|(_, value)| value.clone());
        assert_eq!(found.next(), None, "{name} comes once");
        first
    }

    fn form_of(ask: &Ask) -> Vec<(String, String)> {
        form_urlencoded::parse(&ask.body).into_owned().collect()
    }

    #[test]
    fn rfc6749_4_1_1_a_request_says_what_is_asked_for() {
        let request = request();
        let url = request.url(ENDPOINT);
        assert!(url.starts_with("https://login.example.com/authorize?response_type=code&"));
        assert!(url.contains("&scope=openid%20user%3Aemail&"), "a blank is no plus: {url}");
        assert_eq!(params(&url), request.params());
        let none = AuthorizationRequest { scope: String::new(), ..request };
        assert_eq!(value(&none.params(), "scope"), None);
    }

    /// Case 20.
    #[test]
    fn rfc7636_4_3_a_challenge_says_how_it_was_made() {
        let params = request().params();
        assert_eq!(value(&params, "code_challenge_method").as_deref(), Some("S256"));
        let without = AuthorizationRequest { code_challenge: None, ..request() }.params();
        assert_eq!(value(&without, "code_challenge"), None);
        assert_eq!(value(&without, "code_challenge_method"), None);
    }

    /// RFC 6749, 3.1: what the endpoint has stays, but nothing comes twice.
    #[test]
    fn rfc6749_3_1_parameters_of_the_endpoint_stay() {
        for (endpoint, expect) in [
            ("https://a.example/o", "https://a.example/o?"),
            ("https://a.example/o?", "https://a.example/o?"),
            ("https://a.example/o?x=%2F+y&z", "https://a.example/o?x=%2F+y&z&"),
            ("https://a.example/o?x=1#part", "https://a.example/o?x=1&"),
            ("https://a.example/o?state=evil&x=1&st%61te=evil", "https://a.example/o?x=1&"),
        ] {
            let url = request().url(endpoint);
            assert!(url.starts_with(&format!("{expect}response_type=code&")), "{url}");
            assert_eq!(value(&params(&url), "state").as_deref(), Some("st-te"));
            assert!(!url.contains('#'));
        }
    }

    /// Whoever may add parameters does not get to say who is asked for what.
    #[test]
    fn rfc9700_4_5_what_is_added_replaces_nothing() {
        let mut request = request();
        for name in RESERVED.into_iter().chain(["prompt"]) {
            request.extra.push((name.to_owned(), "added".to_owned()));
        }
        let params = params(&request.url(ENDPOINT));
        let added: Vec<&str> = params
            .iter()
            .filter(|(_, value)| value == "added")
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(added, ["prompt"]);
        assert_eq!(value(&params, "redirect_uri").as_deref(), Some(REDIRECT));
    }

    /// Case 22.
    #[test]
    fn rfc6749_4_1_3_the_token_request_has_the_same_redirect_uri() {
        let request = request();
        let sent = value(&params(&request.url(ENDPOINT)), "redirect_uri").unwrap();
        let auth = ClientAuth::None { id: "client 1" };
        let grant = Grant::Code { code: "c", redirect_uri: &request.redirect_uri, verifier: None };
        let ask = token::ask(ENDPOINT, &auth, &grant, &TokenQuirks::default());
        assert_eq!(value(&form_of(&ask), "redirect_uri"), Some(sent.clone()));
        assert_eq!(sent, REDIRECT);
    }

    /// Case 34.
    #[test]
    fn rfc9126_4_a_pushed_request_leaves_nothing_in_the_url() {
        let request = request();
        let auth = ClientAuth::Basic { id: "client 1", secret: "s" };
        let ask = request.par("https://login.example.com/par", &auth, None);
        assert_eq!(form_of(&ask), request.params());
        let body = br#"{"request_uri":"urn:example:bwc4JK-ESC0w8acc191e-Y1LTC2","expires_in":60}"#;
        let pushed = pushed(201, Some("application/json"), body).unwrap();
        assert_eq!(pushed.expires_in, 60);
        let url = request.url_pushed(ENDPOINT, &pushed);
        assert_eq!(
            params(&url),
            [
                ("client_id".to_owned(), "client 1".to_owned()),
                ("request_uri".to_owned(), "urn:example:bwc4JK-ESC0w8acc191e-Y1LTC2".to_owned()),
            ]
        );
    }

    #[test]
    fn rfc9126_2_3_a_request_that_is_refused_goes_nowhere() {
        let refused = br#"{"error":"invalid_request","error_description":"no"}"#;
        for (status, body, expect) in [
            (
                400,
                &refused[..],
                TokenError::Refused {
                    error: "invalid_request".to_owned(),
                    description: Some("no".to_owned()),
                    status: 400,
                },
            ),
            (201, b"{}", TokenError::Unreadable { status: 201, what: "has no request uri" }),
            (503, b"", TokenError::Unavailable { status: 503 }),
        ] {
            assert_eq!(pushed(status, None, body).err(), Some(expect));
        }
    }

    /// Case 35: signed, for one issuer, for a short while, and nothing else in disguise.
    #[test]
    fn rfc9101_10_8_a_request_object_is_nothing_else() {
        let key = published::ec_key().to_string();
        let key = SigningKey::parse(&key, Algorithm::ES256).unwrap();
        let keys = json!({ "keys": [key.public_jwk()] }).to_string();
        let keys = JwkSet::parse(&keys).unwrap();
        let request = request();
        let now = Timestamp(1_800_000_000_000);
        let object = request.object(&key, "https://login.example.com", now).unwrap();
        let verified = verify(&object, &[Algorithm::ES256], &VerifyKey::Set(&keys));
        assert_eq!(verified, Err(JoseError::Type));

        let parts: Vec<&str> = object.split('.').collect();
        let decode = |part: &str| -> Value {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        assert_eq!(decode(parts[0])["typ"], "oauth-authz-req+jwt");
        let claims = decode(parts[1]);
        for (name, value) in request.params() {
            assert_eq!(claims[&name], *value, "{name}");
        }
        assert_eq!(claims["aud"], "https://login.example.com");
        assert_eq!(claims["iss"], claims["client_id"]);
        assert_eq!(claims["exp"], now.seconds() + 300);
        assert_eq!(claims.get("sub"), None, "with a subject it could be a client assertion");

        let url = request.url_with_object(ENDPOINT, &object);
        let params = params(&url);
        assert_eq!(value(&params, "request").as_deref(), Some(&*object));
        assert_eq!(value(&params, "client_id").as_deref(), Some("client 1"));
        assert_eq!(value(&params, "redirect_uri"), None);
        let auth = ClientAuth::None { id: "client 1" };
        let form = form_of(&request.par(ENDPOINT, &auth, Some(&object)));
        assert_eq!(value(&form, "request").as_deref(), Some(&*object));
        assert_eq!(value(&form, "state"), None);
    }
}
