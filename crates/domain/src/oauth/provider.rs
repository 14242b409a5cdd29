//! A provider: where its endpoints are, and in what it differs from what the standards say. A file of
//! data; `oauth/README.md` has the format.
//!
//! What a file says is templates over the settings of a client (`{setting.tenant}`), so that one file
//! stands for every tenant, shop or installation. [`Provider::resolve`] fills them, and lets no setting
//! name another host than the file does.

mod endpoints;
mod requests;

mod call;
mod check;
pub mod example;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, de};
use serde_json::Value;
use toml::Spanned;

pub use self::call::{Call, Given, Unmade};
pub use self::endpoints::Endpoints;
use self::example::Example;
pub use self::requests::{For, Proofs, Who};
use super::{ask::Body, field, subscribe::Subscription};
use crate::{
    callback::redirect::preset::Proof,
    destination::kind::Setting,
    provider::{Mistake, SignatureRule, Template},
};

/// The version of the format that is read.
pub const SCHEMA: u32 = 1;

/// A provider as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    schema: u32,
    /// `github`: the file's name, and what a client names.
    pub id: String,
    /// `GitHub`.
    pub name: String,
    /// The provider's page about it.
    pub docs: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// How the file was proven right.
    pub proof: Proof,
    /// What whoever uses it should know, and where the facts are from.
    #[serde(default)]
    pub notes: String,
    /// What a client says beside its id and secret: tenant, shop, issuer …
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    /// Who it says it is.
    pub issuer: Option<Issuer>,
    #[serde(default)]
    endpoints: Places,
    /// How a person is asked.
    #[serde(default)]
    pub authorize: Authorize,
    /// How a client proves itself.
    pub client: ClientRules,
    /// How tokens are asked for and answered.
    #[serde(default)]
    pub token: TokenRules,
    /// How tokens stay fresh.
    pub refresh: Refresh,
    /// How tokens are ended, where that is not RFC 7009.
    #[serde(default)]
    pub revoke: Revoke,
    /// Where it is said who granted.
    pub account: Option<Account>,
    /// What else comes with the browser.
    #[serde(default)]
    pub callback: Brought,
    /// How its webhooks are registered; the first that has the fields of a target is meant.
    #[serde(default, rename = "subscription")]
    pub subscriptions: Vec<Subscription>,
    /// Known answers.
    #[serde(rename = "example")]
    pub examples: Vec<Example>,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OAuth 2 (RFC 6749) alone.
    Oauth2,
    /// With OpenID Connect: there are ID tokens, and people can log in.
    Openid,
}

impl Protocol {
    /// `openid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Oauth2 => "oauth2",
            Protocol::Openid => "openid",
        }
    }
}

/// Who a provider says it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    url: Template,
    /// What is done with `iss` in an authorization response (RFC 9207).
    #[serde(default)]
    pub iss: Iss,
    /// The endpoints are found by discovery, from `url`.
    #[serde(default)]
    pub discovery: bool,
    token: Option<TokenIssuer>,
}

/// What is done with `iss` in an authorization response (RFC 9207, section 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Iss {
    /// It has to be the issuer if it is there.
    #[default]
    Checked,
    /// It has to be there, too.
    Required,
}

/// Who is meant by an ID token where the settings do not say it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenIssuer {
    /// Which settings leave it open.
    when: BTreeMap<String, Vec<String>>,
    /// Over claims: `{id_token.tid}`. Each has to be a UUID.
    url: Template,
}

/// Where its endpoints are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    authorize: Option<Template>,
    token: Option<Template>,
    /// Where tokens are refreshed, if that is elsewhere.
    refresh: Option<Template>,
    revoke: Option<Template>,
    userinfo: Option<Template>,
    jwks: Option<Template>,
    par: Option<Template>,
    device: Option<Template>,
    register: Option<Template>,
}

/// How a person is asked: the authorization request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// Asked for when nobody says otherwise.
    #[serde(default)]
    pub scopes: Vec<String>,
    separator: Option<Template>,
    #[serde(default)]
    params: BTreeMap<String, Template>,
    /// Proof Key for Code Exchange (RFC 7636).
    #[serde(default)]
    pub pkce: Pkce,
    response_mode: Option<Template>,
    request_object: Option<Template>,
    /// How long a code can be exchanged, in seconds, as far as the provider says.
    pub code_lifetime: Option<u64>,
}

/// Proof Key for Code Exchange (RFC 7636).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenPkce")]
pub enum Pkce {
    /// A challenge is sent, always of the method `S256`.
    #[default]
    S256,
    /// None is, because of this.
    Off(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenPkce {
    Method(String),
    Off { off: String },
}

impl TryFrom<WrittenPkce> for Pkce {
    type Error = &'static str;

    fn try_from(written: WrittenPkce) -> Result<Pkce, &'static str> {
        match written {
            WrittenPkce::Method(name) if name == "S256" => Ok(Pkce::S256),
            WrittenPkce::Off { off } if !off.trim().is_empty() => Ok(Pkce::Off(off)),
            _ => Err("`pkce` is \"S256\" or { off = \"the reason\" }"),
        }
    }
}

/// How a client proves itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRules {
    /// The ways that the provider takes, the one that is used unless a client says otherwise first.
    pub auth: Vec<AuthMethod>,
}

/// A way for a client to prove itself at the token endpoint (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// HTTP Basic (RFC 6749, section 2.3.1).
    ClientSecretBasic,
    /// In the body (likewise).
    ClientSecretPost,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

impl AuthMethod {
    /// All, in the order of files.
    pub const ALL: [AuthMethod; 4] = [
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::PrivateKeyJwt,
        AuthMethod::None,
    ];

    /// `client_secret_basic`.
    pub fn name(self) -> &'static str {
        match self {
            AuthMethod::ClientSecretBasic => "client_secret_basic",
            AuthMethod::ClientSecretPost => "client_secret_post",
            AuthMethod::PrivateKeyJwt => "private_key_jwt",
            AuthMethod::None => "none",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<AuthMethod> {
        AuthMethod::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// How tokens are asked for and answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRules {
    /// What the request is written in.
    pub body: Body,
    params: BTreeMap<String, Template>,
    headers: BTreeMap<String, Template>,
    /// Objects of an answer in which the tokens are if it has none itself.
    within: Vec<String>,
    /// The place of what was granted, if it is not `scope`.
    scope: Option<String>,
    /// How long an access token lasts, in seconds, where the answer does not say.
    pub lifetime: Option<u64>,
    /// What of the answer is kept beside the tokens: places, none of them a secret.
    pub keep: Vec<String>,
    /// What it says beside `invalid_grant` of a refresh token that is no good any more.
    invalid_grant: Vec<String>,
}

/// How tokens stay fresh.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether an answer brings another refresh token.
    pub rotates: Option<Rotates>,
    /// There are no refresh tokens, because of this.
    pub none: Option<String>,
    /// How long a refresh token lasts from when it was issued, in seconds; none if it does not end by
    /// itself, or nobody says.
    pub lifetime: Option<u64>,
    /// How long one lasts that is not used, in seconds.
    pub idle: Option<u64>,
    /// How long one that was replaced is still taken, in seconds.
    pub grace: Option<u64>,
    #[serde(default)]
    params: BTreeMap<String, Template>,
}

/// Whether an answer brings another refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotates {
    /// Each does, and the former one is used up.
    Always,
    /// Some do.
    Sometimes,
    /// None does.
    Never,
}

impl Rotates {
    /// `always`.
    pub fn as_str(self) -> &'static str {
        match self {
            Rotates::Always => "always",
            Rotates::Sometimes => "sometimes",
            Rotates::Never => "never",
        }
    }
}

/// How tokens are ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revoke {
    /// Which token ends all of them.
    pub token: Which,
    /// The request, where it is not that of RFC 7009.
    pub call: Option<Call>,
}

/// A kind of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The refresh token; the access token where there is none.
    #[default]
    Refresh,
    /// The access token.
    Access,
}

/// Where it is said who granted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What answers it.
    #[serde(default)]
    pub from: Said,
    /// The request, where there is one of another form than `GET` at `endpoints.userinfo`.
    pub call: Option<Call>,
    /// The place of their identifier, which never changes.
    pub id: String,
    /// The place of their name, for people.
    pub name: Option<String>,
    /// What else of an answer to a request of its own is kept: places.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// What says who granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The answer with the tokens.
    #[default]
    Token,
    /// The ID token.
    IdToken,
    /// An answer to a request of its own.
    Userinfo,
    /// A field that the browser brings.
    Callback,
}

/// What else comes with the browser.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brought {
    /// Fields that are kept with the connection.
    pub keep: Vec<String>,
    /// A signature over what it brings, of the client's secret: `{client.secret}`.
    pub verify: Option<SignatureRule>,
}

impl Provider {
    /// Reads a file.
    ///
    /// # Errors
    /// Every [`Mistake`] that can be found: the first one of form, or all of meaning.
    pub fn parse(text: &str) -> Result<Provider, Vec<Mistake>> {
        let provider: Provider =
            toml::from_str(text).map_err(|error| vec![Mistake::of(text, &error)])?;
        let mut mistakes = Vec::new();
        check::all(&provider, &mut |place: &str, message: String| {
            let message = format!("`{place}` {message}");
            mistakes.push(Mistake::at(text, place_of(text, place), message));
        });
        if mistakes.is_empty() { Ok(provider) } else { Err(mistakes) }
    }

    /// Whether a person is asked by a browser: there is an authorization endpoint, or discovery finds
    /// it.
    pub fn asks_by_browser(&self) -> bool {
        self.endpoints.authorize.is_some() || self.is_discovered()
    }

    /// Whether a person can be asked by a device flow (RFC 8628).
    pub fn asks_by_device(&self) -> bool {
        self.endpoints.device.is_some() || self.is_discovered()
    }

    /// Whether the endpoints are found by discovery.
    pub fn is_discovered(&self) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| issuer.discovery)
    }

    /// Whether tokens can be ended.
    pub fn revokes(&self) -> bool {
        self.endpoints.revoke.is_some() || self.revoke.call.is_some() || self.is_discovered()
    }
}

/// Where the top-level key of a mistake's place is in the file; 0 if it is not there.
fn place_of(text: &str, place: &str) -> usize {
    let keys: BTreeMap<String, Spanned<toml::Value>> = toml::from_str(text).unwrap_or_default();
    let key = place.split('.').next().unwrap_or_default();
    keys.get(key).map_or(0, |value| value.span().start)
}

/// What is at a place of an answer (as [`field::at`] has them), as text: a string, a number or a
/// boolean.
pub(super) fn found(answer: &Value, place: &str) -> Option<String> {
    match field::at(answer, place)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        other @ (Value::Number(_) | Value::Bool(_)) => Some(other.to_string()),
        _ => None,
    }
}

/// Reads a regular expression that has to match a whole value.
pub(super) fn whole_pattern<'de, D: de::Deserializer<'de>>(
    deserializer: D,
) -> Result<regex::Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    regex::Regex::new(&format!("^(?:{text})$")).map_err(de::Error::custom)
}
