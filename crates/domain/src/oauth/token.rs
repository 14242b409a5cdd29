//! The token endpoint: what is asked of it, and what it answers (RFC 6749).
//!
//! Providers answer in more ways than the RFC has: as a form, with an error inside a 200, with numbers
//! as texts. All of that is read; what is read is never guessed.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::ask::{Ask, Body, Pair};
use super::field::{self, at};
use super::jose::SigningKey;
use crate::{provider::percent_encoded, time::Timestamp};

/// How long an assertion is good for: long enough for clocks that differ a little.
const ASSERTION: Duration = Duration::from_secs(60);

/// How a client proves itself (RFC 6749, 2.3; OpenID Connect Core, 9).
#[derive(Clone, Copy)]
pub enum ClientAuth<'a> {
    /// Not at all: it says only who it is (`none`).
    None {
        /// Its id.
        id: &'a str,
    },
    /// `client_secret_basic`.
    Basic {
        /// Its id.
        id: &'a str,
        /// Its secret.
        secret: &'a str,
    },
    /// `client_secret_post`.
    Post {
        /// Its id.
        id: &'a str,
        /// Its secret.
        secret: &'a str,
    },
    /// `private_key_jwt` (RFC 7523, 2.2).
    PrivateKeyJwt {
        /// Its id.
        id: &'a str,
        /// Made by [`assertion`] for this request alone.
        assertion: &'a str,
    },
}

impl ClientAuth<'_> {
    /// The client's id.
    pub fn id(&self) -> &str {
        match self {
            Self::None { id }
            | Self::Basic { id, .. }
            | Self::Post { id, .. }
            | Self::PrivateKeyJwt { id, .. } => id,
        }
    }

    /// What it adds to the fields of a request.
    fn fields(&self) -> Vec<Pair<'_>> {
        match self {
            Self::Basic { .. } => Vec::new(),
            Self::None { id } => vec![("client_id", id)],
            Self::Post { id, secret } => vec![("client_id", id), ("client_secret", secret)],
            Self::PrivateKeyJwt { id, assertion } => vec![
                ("client_id", id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ],
        }
    }

    /// The value of its `Authorization` header: id and secret are escaped before they are joined
    /// (RFC 6749, 2.3.1).
    pub(super) fn header(&self) -> Option<String> {
        let Self::Basic { id, secret } = self else { return None };
        // What RFC 3986 calls unreserved stays as it is: some servers never undo what is escaped.
        let pair = format!("{}:{}", percent_encoded(id), percent_encoded(secret));
        let pair = Zeroizing::new(pair);
        Some(format!("Basic {}", BASE64.encode(pair.as_bytes())))
    }
}

/// What a client signs to prove itself (RFC 7523, 3). `audience` is the provider's issuer, or its
/// token endpoint where it insists; `jti` is to be different each time. None if the library fails.
pub fn assertion(
    key: &SigningKey,
    id: &str,
    audience: &str,
    jti: &str,
    now: Timestamp,
) -> Option<String> {
    let claims = json!({
        "iss": id,
        "sub": id,
        "aud": audience,
        "jti": jti,
        "iat": now.seconds(),
        "exp": (now + ASSERTION).seconds(),
    });
    key.sign("JWT", &claims)
}

/// What tokens are asked for with.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// A code that a browser brought (RFC 6749, 4.1.3).
    Code {
        /// The code.
        code: &'a str,
        /// As it stood in the authorization request, byte for byte.
        redirect_uri: &'a str,
        /// The verifier, if there was a challenge (RFC 7636, 4.5).
        verifier: Option<&'a str>,
    },
    /// A refresh token (RFC 6749, 6).
    Refresh {
        /// The token.
        refresh_token: &'a str,
        /// Less than was granted, if that is wanted.
        scope: Option<&'a str>,
    },
    /// The client's own rights (RFC 6749, 4.4.2).
    ClientCredentials {
        /// What is asked for.
        scope: Option<&'a str>,
    },
    /// A device that waits (RFC 8628, 3.4).
    Device {
        /// Its code.
        device_code: &'a str,
    },
}

impl Grant<'_> {
    fn fields(&self) -> Vec<Pair<'_>> {
        match self {
            Self::Code { code, redirect_uri, verifier } => {
                let mut fields = vec![
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("redirect_uri", redirect_uri),
                ];
                fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
                fields
            }
            Self::Refresh { refresh_token, scope } => {
                let mut fields =
                    vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
                fields.extend(scope.map(|scope| ("scope", scope)));
                fields
            }
            Self::ClientCredentials { scope } => {
                let mut fields = vec![("grant_type", "client_credentials")];
                fields.extend(scope.map(|scope| ("scope", scope)));
                fields
            }
            Self::Device { device_code } => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("device_code", device_code),
            ],
        }
    }
}

/// How a provider's token endpoint differs from the RFC. The default is: not at all.
///
/// Places in an answer are written as for [`field::at`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenQuirks {
    /// How it takes fields.
    pub body: Body,
    /// More fields. One that the RFC has is never replaced.
    pub extra: Vec<(String, String)>,
    /// More headers; one that would be sent anyway is replaced.
    pub headers: Vec<(String, String)>,
    /// Where the access token is.
    pub access_token: Option<String>,
    /// Where the refresh token is.
    pub refresh_token: Option<String>,
    /// Where it says in how many seconds the access token ends.
    pub expires_in: Option<String>,
    /// Where it says in how many seconds the refresh token ends.
    pub refresh_token_expires_in: Option<String>,
    /// Where it says what was granted.
    pub scope: Option<String>,
    /// Its words for "this refresh token is used up" beside `invalid_grant`.
    pub invalid_grant: Vec<String>,
    /// Places of what is kept for people to look at: `team.id`, `instance_url`. No secrets.
    pub keep: Vec<String>,
}

/// The request to a token endpoint.
pub fn ask(endpoint: &str, auth: &ClientAuth<'_>, grant: &Grant<'_>, quirks: &TokenQuirks) -> Ask {
    asked(endpoint, auth, grant.fields(), quirks)
}

/// A request with these fields that a client proves itself with.
pub(super) fn asked<'a>(
    endpoint: &str,
    auth: &'a ClientAuth<'a>,
    mut fields: Vec<Pair<'a>>,
    quirks: &'a TokenQuirks,
) -> Ask {
    for field in auth.fields() {
        // Some requests name the client themselves.
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    for (name, value) in &quirks.extra {
        if !fields.iter().any(|(taken, _)| taken == name) {
            fields.push((name, value));
        }
    }
    let mut ask = Ask::post(endpoint, quirks.body, &fields);
    for (name, value) in &quirks.headers {
        ask = ask.with(name, value);
    }
    match auth.header() {
        Some(value) => ask.with("authorization", value),
        None => ask,
    }
}

/// Tokens, as a provider grants them (RFC 6749, 5.1).
#[derive(Clone, PartialEq)]
pub struct Tokens {
    /// What opens the provider's API.
    pub access_token: Zeroizing<String>,
    /// How it is used: `Bearer` unless the provider says otherwise.
    pub token_type: String,
    /// What gets the next ones. None with a refresh means that the old one stays (RFC 6749, 6).
    pub refresh_token: Option<Zeroizing<String>>,
    /// In how many seconds the access token ends; none if nobody says, or if it never does.
    pub expires_in: Option<u64>,
    /// In how many seconds the refresh token ends.
    pub refresh_token_expires_in: Option<u64>,
    /// What was granted; none if it is what was asked for (RFC 6749, 5.1).
    pub scope: Option<Vec<String>>,
    /// Who it is (OpenID Connect).
    pub id_token: Option<Zeroizing<String>>,
    /// What the provider's file keeps, by its place.
    pub extra: Map<String, Value>,
}

/// Shows no token.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("token_type", &self.token_type)
            .field("refresh_token", &self.refresh_token.is_some())
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .field("id_token", &self.id_token.is_some())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// What was asked for and not granted (RFC 6749, 3.3).
    pub fn withheld<'a>(&self, asked: &'a [String]) -> Vec<&'a str> {
        let Some(granted) = &self.scope else { return Vec::new() };
        asked.iter().filter(|scope| !granted.contains(scope)).map(String::as_str).collect()
    }
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The provider refuses (RFC 6749, 5.2).
    #[error("the provider refuses: {error}")]
    Refused {
        /// Why, in its word.
        error: String,
        /// The same for people, without control characters.
        description: Option<String>,
        /// The status of the answer: some providers refuse with 200.
        status: u16,
    },
    /// It answered something else than tokens or a refusal. That says nothing of the grant.
    #[error("the provider's answer (status {status}) {what}")]
    Unreadable {
        /// The status of the answer.
        status: u16,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is away or overloaded, and says nothing of the grant.
    #[error("the provider is not available (status {status})")]
    Unavailable {
        /// The status of the answer.
        status: u16,
    },
}

impl TokenError {
    /// Whether the code or refresh token is no good any more: whatever comes of asking again is the
    /// same. Everything else may pass.
    pub fn is_invalid_grant(&self, quirks: &TokenQuirks) -> bool {
        let Self::Refused { error, .. } = self else { return false };
        error == "invalid_grant" || quirks.invalid_grant.contains(error)
    }
}

/// Reads what a token endpoint answers.
///
/// # Errors
/// [`TokenError`]; only [`is_invalid_grant`](TokenError::is_invalid_grant) says that a grant is over.
pub fn answer(
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
    quirks: &TokenQuirks,
) -> Result<Tokens, TokenError> {
    let answer = read(status, content_type, body)?;
    let unreadable = |what| TokenError::Unreadable { status, what };
    fn place<'a>(quirk: &'a Option<String>, usual: &'a str) -> &'a str {
        quirk.as_deref().unwrap_or(usual)
    }
    let secret =
        |path: &str| field::text(&answer, path).map(|text| Zeroizing::new(text.to_owned()));
    // Mailchimp says 0 for "never", others -1.
    let seconds = |path: &str| {
        field::number(&answer, path).and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0)
    };
    let token_type = match field::text(&answer, "token_type") {
        Some(other) if !other.eq_ignore_ascii_case("bearer") => other,
        _ => "Bearer",
    };
    let kept =
        quirks.keep.iter().filter_map(|path| Some((path.clone(), at(&answer, path)?.clone())));
    Ok(Tokens {
        access_token: secret(place(&quirks.access_token, "access_token"))
            .ok_or_else(|| unreadable("has no access token"))?,
        token_type: token_type.to_owned(),
        refresh_token: secret(place(&quirks.refresh_token, "refresh_token")),
        expires_in: seconds(place(&quirks.expires_in, "expires_in")),
        refresh_token_expires_in: seconds(place(
            &quirks.refresh_token_expires_in,
            "refresh_token_expires_in",
        )),
        scope: at(&answer, place(&quirks.scope, "scope")).and_then(scopes),
        id_token: secret("id_token"),
        extra: kept.collect(),
    })
}

/// What was granted: a text with blanks (RFC 6749, 3.3) or commas (GitHub, Slack, Shopify) between, or
/// a list (Twitch).
fn scopes(value: &Value) -> Option<Vec<String>> {
    let split = |text: &str| {
        let scopes = text.split([' ', ',']).filter(|scope| !scope.is_empty());
        scopes.map(str::to_owned).collect::<Vec<_>>()
    };
    match value {
        Value::String(text) => Some(split(text)),
        Value::Array(items) => {
            Some(items.iter().filter_map(Value::as_str).flat_map(split).collect())
        }
        _ => None,
    }
}

/// The fields of an answer that is no refusal.
pub(super) fn read(
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Value, TokenError> {
    if status == 429 || status >= 500 {
        return Err(TokenError::Unavailable { status });
    }
    let unreadable = |what| TokenError::Unreadable { status, what };
    if (300..400).contains(&status) {
        return Err(unreadable("is a redirect, which is not followed"));
    }
    let answer =
        fields(content_type, body).ok_or_else(|| unreadable("is neither json nor a form"))?;
    match refusal(&answer, status) {
        Some(refused) => Err(refused),
        None if (200..300).contains(&status) => Ok(answer),
        None => Err(unreadable("does not say what is wrong")),
    }
}

fn fields(content_type: Option<&str>, body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).ok().filter(Value::is_object);
    }
    // GitHub's form says what it is; others call theirs plain text. A page of HTML is no form.
    let is_page = content_type.is_some_and(|it| it.to_ascii_lowercase().contains("html"));
    if is_page || text.starts_with('<') || !text.contains('=') {
        return None;
    }
    let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
    Some(Value::Object(pairs.map(|(name, value)| (name, value.into())).collect()))
}

/// What an answer says is wrong: `error` as a text (RFC 6749, 5.2) or as an object with a code or type
/// (Meta, Stripe), `ok` that is false (Slack), or another word in an answer that is no success
/// (HubSpot).
fn refusal(answer: &Value, status: u16) -> Option<TokenError> {
    let first = |paths: &[&str]| paths.iter().find_map(|path| field::text(answer, path));
    let is_ok = at(answer, "ok").and_then(Value::as_bool).unwrap_or(true);
    let word = match first(&["error", "error.code", "error.type", "error.status"]) {
        Some(word) => word,
        None if !is_ok => "not_ok",
        None if status >= 400 => first(&["code", "status", "type"])?,
        None => return None,
    };
    if matches!(word, "temporarily_unavailable" | "server_error") {
        return Some(TokenError::Unavailable { status });
    }
    let description = first(&["error_description", "error.message", "message"])
        .map(|text| field::shown(text, field::DESCRIPTION));
    Some(TokenError::Refused { error: field::shown(word, field::WORD), description, status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::jose::{Algorithm, JwkSet, VerifyKey, published, verify};

    const ENDPOINT: &str = "https://login.example.com/token";
    const JSON: Option<&str> = Some("application/json");

    fn form_of(ask: &Ask) -> Vec<(String, String)> {
        form_urlencoded::parse(&ask.body).into_owned().collect()
    }

    fn header<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
        let found: Vec<&str> =
            ask.headers.iter().filter(|(had, _)| had == name).map(|(_, it)| &**it).collect();
        assert!(found.len() <= 1, "{name} comes once");
        found.first().copied()
    }

    fn default_ask(auth: &ClientAuth<'_>, grant: &Grant<'_>) -> Ask {
        ask(ENDPOINT, auth, grant, &TokenQuirks::default())
    }

    fn read_json(value: &Value) -> Result<Tokens, TokenError> {
        answer(200, JSON, value.to_string().as_bytes(), &TokenQuirks::default())
    }

    #[test]
    fn rfc6749_4_1_3_each_grant_says_what_it_is() {
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        for (grant, expect) in [
            (
                Grant::Code { code: "c", redirect_uri: "https://a.example/", verifier: Some("v") },
                &[
                    ("grant_type", "authorization_code"),
                    ("code", "c"),
                    ("redirect_uri", "https://a.example/"),
                    ("code_verifier", "v"),
                ][..],
            ),
            (
                Grant::Code { code: "c", redirect_uri: "https://a.example/", verifier: None },
                &[
                    ("grant_type", "authorization_code"),
                    ("code", "c"),
                    ("redirect_uri", "https://a.example/"),
                ],
            ),
            (
                Grant::Refresh { refresh_token: "r", scope: None },
                &[("grant_type", "refresh_token"), ("refresh_token", "r")],
            ),
            (
                Grant::ClientCredentials { scope: Some("a b") },
                &[("grant_type", "client_credentials"), ("scope", "a b")],
            ),
            (Grant::Device { device_code: "d" }, &[("grant_type", device), ("device_code", "d")]),
        ] {
            let asked = default_ask(&ClientAuth::None { id: "me" }, &grant);
            let mut expect: Vec<(String, String)> =
                expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            expect.push(("client_id".to_owned(), "me".to_owned()));
            assert_eq!(form_of(&asked), expect);
            assert_eq!((asked.method, &*asked.url), ("POST", ENDPOINT));
            assert_eq!(header(&asked, "accept"), JSON);
            let form = Some("application/x-www-form-urlencoded");
            assert_eq!(header(&asked, "content-type"), form);
            assert_eq!(header(&asked, "authorization"), None);
        }
    }

    /// Case 44. A colon in an id would end it, and what is no ASCII could mean anything.
    #[test]
    fn rfc6749_2_3_1_id_and_secret_are_escaped_before_they_are_joined() {
        let grant = Grant::ClientCredentials { scope: None };
        for (id, secret, expect) in [
            // RFC 6749, 2.3.1 has this one.
            ("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", "s6BhdRkqt3:7Fjfp0ZBr1KtDRbnfVdmIw"),
            ("a:b", "c d", "a%3Ab:c%20d"),
            ("me", "p%41+/=&é", "me:p%2541%2B%2F%3D%26%C3%A9"),
            ("me", "a-b_c.d~e", "me:a-b_c.d~e"),
        ] {
            let asked = default_ask(&ClientAuth::Basic { id, secret }, &grant);
            let sent = header(&asked, "authorization").unwrap().strip_prefix("Basic ").unwrap();
            assert_eq!(BASE64.decode(sent.as_bytes()).unwrap(), expect.as_bytes());
            assert_eq!(form_of(&asked), [("grant_type".into(), "client_credentials".into())]);
        }
        let asked =
            default_ask(&ClientAuth::Basic { id: "s6BhdRkqt3", secret: "gX1fBat3bV" }, &grant);
        let example = "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW";
        assert_eq!(header(&asked, "authorization"), Some(example), "RFC 6749, 4.4.2");
    }

    #[test]
    fn rfc6749_2_3_1_a_secret_in_the_body_is_nowhere_else() {
        let auth = ClientAuth::Post { id: "me", secret: "p&w" };
        let asked = default_ask(&auth, &Grant::Refresh { refresh_token: "r", scope: None });
        assert!(asked.body.ends_with(b"&client_id=me&client_secret=p%26w"));
        assert_eq!(header(&asked, "authorization"), None);
        assert!(!format!("{asked:?}").contains("p%26w"));
    }

    /// RFC 7523, 3.
    #[test]
    fn rfc7523_3_an_assertion_is_for_one_request() {
        let key = published::ed25519_key().to_string();
        let key = SigningKey::parse(&key, Algorithm::EdDSA).unwrap();
        let now = Timestamp(1_800_000_000_000);
        let assertion = assertion(&key, "me", "https://login.example.com", "j-1", now).unwrap();
        let auth = ClientAuth::PrivateKeyJwt { id: "me", assertion: &assertion };
        let form = form_of(&default_ask(&auth, &Grant::ClientCredentials { scope: None }));
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert!(form.contains(&("client_assertion_type".into(), kind.into())));
        let sent = form.iter().find(|(name, _)| name == "client_assertion").unwrap();
        let keys = JwkSet::parse(&json!({"keys": [key.public_jwk()]}).to_string()).unwrap();
        let verified = verify(&sent.1, &[Algorithm::EdDSA], &VerifyKey::Set(&keys)).unwrap();
        let expect = json!({"iss": "me", "sub": "me", "aud": "https://login.example.com",
            "jti": "j-1", "iat": now.seconds(), "exp": now.seconds() + 60});
        assert_eq!(Value::Object(verified.claims), expect);
    }

    #[test]
    fn quirks_add_and_replace_nothing_that_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let quirks = TokenQuirks {
            body: Body::Json,
            extra: vec![pair("grant_type", "evil"), pair("audience", "api")],
            headers: vec![pair("Accept", "text/plain"), pair("notion-version", "2022-06-28")],
            ..TokenQuirks::default()
        };
        let auth = ClientAuth::Basic { id: "me", secret: "pw" };
        let asked =
            ask(ENDPOINT, &auth, &Grant::Refresh { refresh_token: "r", scope: None }, &quirks);
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let expect =
            json!({"grant_type": "refresh_token", "refresh_token": "r", "audience": "api"});
        assert_eq!(body, expect);
        assert_eq!(header(&asked, "accept"), Some("text/plain"));
        assert_eq!(header(&asked, "notion-version"), Some("2022-06-28"));
        assert_eq!(header(&asked, "content-type"), JSON);
        assert!(header(&asked, "authorization").is_some());
    }

    /// Case 45.
    #[test]
    fn rfc6749_5_1_answers_are_read_in_every_way_that_is_used() {
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        for (content_type, body, expires_in) in [
            (JSON, r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#, Some(3600)),
            (JSON, r#"{"access_token":"t","token_type":"bearer","expires_in":"3600"}"#, Some(3600)),
            (JSON, r#"{"access_token":"t","expires_in":3599.5}"#, Some(3599)),
            (JSON, r#"{"access_token":"t","expires_in":null}"#, None),
            (JSON, r#"{"access_token":"t","expires_in":0}"#, None),
            (JSON, r#"{"access_token":"t","expires_in":-1}"#, None),
            (JSON, r#"{"access_token":"t","expires_in":"soon"}"#, None),
            (JSON, r#"{"access_token":"t","error":null,"ok":true}"#, None),
            (JSON, r#"{"access_token":"t","error":""}"#, None),
            (form, "access_token=t&expires_in=28800&scope=&token_type=bearer", Some(28800)),
            (Some("text/plain"), "access_token=t&expires_in=5183999", Some(5_183_999)),
            (Some("text/html"), r#" {"access_token":"t"} "#, None),
            (None, r#"{"access_token":"t"}"#, None),
        ] {
            let tokens = answer(200, content_type, body.as_bytes(), &TokenQuirks::default());
            let tokens = tokens.unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!((&**tokens.access_token, &*tokens.token_type), ("t", "Bearer"), "{body}");
            assert_eq!(tokens.expires_in, expires_in, "{body}");
        }
        let other = read_json(&json!({"access_token": "t", "token_type": "bot"})).unwrap();
        assert_eq!(other.token_type, "bot");
    }

    /// Case 45: what is no answer is none, and says nothing of the grant.
    #[test]
    fn rfc6749_5_1_what_is_no_answer_is_not_guessed() {
        for (status, content_type, body) in [
            (200, JSON, ""),
            (200, JSON, "{}"),
            (200, JSON, "[]"),
            (200, JSON, r#"{"access_token":""}"#),
            (200, JSON, r#"{"access_token":["t"]}"#),
            (200, JSON, r#"{"access_token":"t""#),
            (200, Some("text/html"), "<html>access_token=t</html>"),
            (200, None, "<html>access_token=t</html>"),
            (200, Some("text/html"), "access_token=t"),
            (200, None, "access_token"),
            (302, None, "access_token=t"),
            (400, None, ""),
            (400, Some("text/html"), "<h1>Bad Request</h1>"),
            (401, JSON, r#"{"access_token":"t"}"#),
            (404, JSON, "{}"),
        ] {
            let error =
                answer(status, content_type, body.as_bytes(), &TokenQuirks::default()).unwrap_err();
            assert!(matches!(error, TokenError::Unreadable { .. }), "{status} {body}: {error}");
            assert!(!error.is_invalid_grant(&TokenQuirks::default()));
        }
        assert!(answer(200, None, b"\xff", &TokenQuirks::default()).is_err());
    }

    #[test]
    fn rfc6749_5_2_a_refusal_is_one_with_any_status() {
        for (status, body, expect) in [
            (400, r#"{"error":"invalid_grant","error_description":"over"}"#, "invalid_grant over"),
            (
                200,
                "error=bad_verification_code&error_description=The+code",
                "bad_verification_code The code",
            ),
            (200, r#"{"ok":false,"error":"invalid_code"}"#, "invalid_code "),
            (200, r#"{"ok":false}"#, "not_ok "),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"no"}}"#,
                "invalid_request_error no",
            ),
            (400, r#"{"error":{"code":190,"type":"OAuthException"}}"#, "OAuthException "),
            (
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing"}"#,
                "BAD_REFRESH_TOKEN missing",
            ),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client "),
            (200, r#"{"access_token":"t","error":"access_denied"}"#, "access_denied "),
        ] {
            let error = answer(status, None, body.as_bytes(), &TokenQuirks::default()).unwrap_err();
            let TokenError::Refused { error, description, status: told } = error else {
                panic!("{body}: {error}")
            };
            let told_text = format!("{error} {}", description.unwrap_or_default());
            assert_eq!((&*told_text, told), (expect, status));
        }
    }

    /// Case 50: only this ends a grant; the RFC's word, or what the provider's file says is the same.
    #[test]
    fn rfc6749_5_2_only_an_invalid_grant_ends_it() {
        let quirks = TokenQuirks {
            invalid_grant: vec!["bad_refresh_token".to_owned()],
            ..TokenQuirks::default()
        };
        for (word, expect) in [
            ("invalid_grant", true),
            ("bad_refresh_token", true),
            ("invalid_client", false),
            ("invalid_request", false),
            ("unauthorized_client", false),
            ("slow_down", false),
        ] {
            let body = json!({ "error": word }).to_string();
            let error = answer(400, JSON, body.as_bytes(), &quirks).unwrap_err();
            assert_eq!(error.is_invalid_grant(&quirks), expect, "{word}");
        }
    }

    /// Case 51.
    #[test]
    fn rfc6749_4_1_2_1_who_is_away_has_revoked_nothing() {
        let invalid = r#"{"error":"invalid_grant"}"#;
        for (status, body) in [
            (500, invalid),
            (502, "<html>"),
            (503, ""),
            (504, ""),
            (429, invalid),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (400, r#"{"error":"server_error"}"#),
        ] {
            let error = answer(status, JSON, body.as_bytes(), &TokenQuirks::default()).unwrap_err();
            assert_eq!(error, TokenError::Unavailable { status }, "{body}");
            assert!(!error.is_invalid_grant(&TokenQuirks::default()));
        }
    }

    /// Case 46.
    #[test]
    fn rfc6749_5_1_less_than_was_asked_for_is_seen() {
        let asked = ["repo", "user:email", "gist"].map(str::to_owned);
        for (scope, granted, withheld) in [
            (json!("repo user:email gist"), Some(3), &[][..]),
            (json!("repo,gist"), Some(2), &["user:email"]),
            (json!("repo, gist more"), Some(3), &["user:email"]),
            (json!(["repo"]), Some(1), &["user:email", "gist"]),
            (json!(""), Some(0), &["repo", "user:email", "gist"]),
            (json!(null), None, &[]),
        ] {
            let tokens = read_json(&json!({"access_token": "t", "scope": scope})).unwrap();
            assert_eq!(tokens.scope.as_ref().map(Vec::len), granted, "{scope}");
            assert_eq!(tokens.withheld(&asked), withheld, "{scope}");
        }
        assert_eq!(read_json(&json!({"access_token": "t"})).unwrap().withheld(&asked), [""; 0]);
    }

    /// Case 52.
    #[test]
    fn rfc6749_6_without_a_new_refresh_token_the_old_one_stays() {
        for (answer, expect) in [
            (json!({"access_token": "t"}), None),
            (json!({"access_token": "t", "refresh_token": null}), None),
            (json!({"access_token": "t", "refresh_token": ""}), None),
            (json!({"access_token": "t", "refresh_token": "r2"}), Some("r2")),
        ] {
            let tokens = read_json(&answer).unwrap();
            assert_eq!(tokens.refresh_token.as_deref().map(String::as_str), expect, "{answer}");
        }
    }

    /// Slack has two tokens; the person's stands deeper.
    #[test]
    fn what_a_file_names_is_found_and_kept() {
        let place = |path: &str| Some(path.to_owned());
        let quirks = TokenQuirks {
            access_token: place("authed_user.access_token"),
            refresh_token: place("authed_user.refresh_token"),
            expires_in: place("authed_user.expires_in"),
            refresh_token_expires_in: place("x_refresh_token_expires_in"),
            scope: place("authed_user.scope"),
            keep: vec!["team.id".to_owned(), "missing".to_owned()],
            ..TokenQuirks::default()
        };
        let body = json!({"ok": true, "access_token": "bot", "token_type": "bot",
            "team": {"id": "T1", "secret": "s"}, "x_refresh_token_expires_in": "8726400",
            "authed_user": {"access_token": "user", "refresh_token": "r", "expires_in": 43200,
                "scope": "chat:write,users:read"}});
        let tokens = answer(200, JSON, body.to_string().as_bytes(), &quirks).unwrap();
        assert_eq!(**tokens.access_token, *"user");
        assert_eq!(tokens.refresh_token.as_deref().map(String::as_str), Some("r"));
        assert_eq!(tokens.expires_in, Some(43_200));
        assert_eq!(tokens.refresh_token_expires_in, Some(8_726_400));
        assert_eq!(
            tokens.scope.as_deref(),
            Some(&["chat:write", "users:read"].map(str::to_owned)[..])
        );
        assert_eq!(Value::Object(tokens.extra), json!({"team.id": "T1"}));
    }

    #[test]
    fn debug_shows_no_token() {
        let body = json!({"access_token": "a-secret", "refresh_token": "r-secret",
            "id_token": "i-secret", "scope": "seen"});
        let shown = format!("{:?}", read_json(&body).unwrap());
        assert!(!shown.contains("secret") && shown.contains("seen"), "{shown}");
    }
}
