//! The token endpoint: what is asked of it, and what it answers (RFC 6749).
//!
//! Providers answer in more ways than the RFC has: as a form, with an error inside a 200, with numbers
//! as texts. All of that is read; what is read is never guessed.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::ask::{Ask, Body, Pair, escaped};
use super::field::{self, at};
use super::jose::SigningKey;
use crate::time::Timestamp;

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
        let pair = Zeroizing::new(format!("{}:{}", escaped(id), escaped(secret)));
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
/// Places in an answer are written as for [`field::at`](super::field::at).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

/// What an answer says is wrong: `error` as a text (RFC 6749, 5.2), as an object with a code or type
/// (Meta, Stripe), or `ok` is false (Slack).
fn refusal(answer: &Value, status: u16) -> Option<TokenError> {
    let error = at(answer, "error").filter(|error| !error.is_null());
    let is_ok = at(answer, "ok").and_then(Value::as_bool).unwrap_or(true);
    let word = match error {
        Some(Value::String(word)) if !word.is_empty() => word.clone(),
        Some(Value::Object(_)) => ["error.code", "error.type", "error.status"]
            .into_iter()
            .find_map(|path| field::text(answer, path))?
            .to_owned(),
        _ if !is_ok => "not_ok".to_owned(),
        _ => return None,
    };
    if matches!(word.as_str(), "temporarily_unavailable" | "server_error") {
        return Some(TokenError::Unavailable { status });
    }
    let description = ["error_description", "error.message", "message"]
        .into_iter()
        .find_map(|path| field::text(answer, path))
        .map(for_people);
    Some(TokenError::Refused { error: word, description, status })
}

/// A text of somebody else's as it can be shown and logged.
pub(super) fn for_people(text: &str) -> String {
    const LENGTH: usize = 500;
    text.chars().filter(|one| !one.is_control()).take(LENGTH).collect()
}
