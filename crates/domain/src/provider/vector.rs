//! Known answers: a request as JSON, and what is to be said about it.
//!
//! The shape is the one of `providers/vectors/*.json`, of `ringback verify --vectors` and of
//! `ringback verify --request`. Fields that are not named here are settings of the provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definition::Provider;
use super::event::Event;
use super::handshake::Reply;
use super::judge::Judgement;
use super::request::Request;
use super::settings::{Kind, Settings};
use super::sign::Unsignable;
use super::verdict::{State, Verdict};
use super::verify::FetchedKeys;
use crate::time::Timestamp;

/// A file of known answers.
#[derive(Debug, Deserialize)]
pub struct Vectors {
    /// Each with everything it needs.
    pub vectors: Vec<Vector>,
}

/// One known answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Vector {
    /// Names it in the output.
    pub id: String,
    /// Whose request it is.
    pub provider: String,
    /// The request.
    pub request: WireRequest,
    /// The time at which it is judged, in seconds since 1970.
    pub now: i64,
    /// `valid` or `invalid`, where the answer is known.
    pub expect: Option<String>,
    /// `challenge` for a handshake.
    pub kind: Option<String>,
    /// What has to be answered.
    pub expected_response: Option<ExpectedReply>,
    /// Settings that a handshake has to bring, under any name.
    #[serde(default)]
    pub expected_side_effect: BTreeMap<String, String>,
    /// The URL as it is registered with the provider.
    pub public_url: Option<String>,
    /// Settings, and what stands for a fetched key.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// A request as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WireRequest {
    /// `POST` if it is not said.
    #[serde(default = "post")]
    pub method: String,
    /// The URL it was sent to.
    pub url: Option<String>,
    /// Names in any case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(default)]
    pub body: String,
    /// The body in base64, where it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

/// What has to be answered: only what is named is compared.
#[derive(Clone, Debug, Deserialize)]
pub struct ExpectedReply {
    /// The status.
    pub status: Option<u16>,
    /// Headers that must be there with this value.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The exact body.
    pub body: Option<String>,
    /// The body as JSON.
    pub json: Option<serde_json::Value>,
}

/// What was said about a request.
#[derive(Debug)]
pub struct Answer {
    /// The judgement.
    pub verdict: Verdict,
    /// What a source would answer.
    pub reply: Reply,
    /// Settings that a handshake brought.
    pub learned: BTreeMap<String, String>,
    /// Whether it was a challenge, and its name.
    pub challenge: Option<String>,
    /// What happened, unless it was a challenge.
    pub event: Option<Event>,
}

impl Answer {
    /// Proven, or a challenge that was answered.
    pub fn is_valid(&self) -> bool {
        self.verdict.is_proven()
    }

    /// The reason's code; `ok` for what is valid, `unproven` where the provider proves nothing.
    pub fn reason(&self) -> &'static str {
        match &self.verdict.reason {
            Some(reason) => reason.code(),
            None if self.is_valid() => "ok",
            None => "unproven",
        }
    }
}

/// Why a vector cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base64 of the body is wrong.
    #[error("`request.body_base64` is not base64")]
    Body,
    /// A key is to be fetched, and none is given in its place.
    #[error("the key at {0} has to be fetched, and no `jwks`, certificate or key is given")]
    Key(String),
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Its body cannot be read.
    #[error(transparent)]
    Request(#[from] Error),
    /// The provider's proof cannot be made.
    #[error(transparent)]
    Provider(#[from] Unsignable),
}

/// One document for whatever is fetched.
struct Given(Option<Arc<str>>);

impl FetchedKeys for Given {
    fn get(&self, _: &str) -> Option<Arc<str>> {
        self.0.clone()
    }
}

impl Vector {
    /// Judges the request exactly as a source would.
    ///
    /// # Errors
    /// [`Error`] if the vector lacks something.
    pub fn judge(&self, provider: &Provider) -> Result<Answer, Error> {
        self.request.judge(
            provider,
            &self.settings(provider),
            self.public_url.as_deref(),
            self.document(),
            Timestamp(self.now.saturating_mul(1000)),
        )
    }

    /// What of `answer` is not as this vector expects, in words; what it does not say is not
    /// compared.
    pub fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut differences = Vec::new();
        let said = if answer.is_valid() { "valid" } else { "invalid" };
        if let Some(expected) = self.expect.as_deref().filter(|expected| *expected != said) {
            let why = answer.verdict.reason.as_ref().map(|reason| format!(", {reason}"));
            let (code, why) = (answer.reason(), why.unwrap_or_default());
            differences.push(format!("expected to be {expected}, is {said} ({code}{why})"));
        } else if self.kind.as_deref() == Some("challenge")
            && answer.is_valid()
            && answer.challenge.is_none()
        {
            differences.push("expected to be a challenge, is an event".to_owned());
        }
        let reply = self.expected_response.as_ref();
        if let Some(difference) = reply.and_then(|reply| reply.difference(&answer.reply)) {
            differences.push(format!("answered with {difference}"));
        }
        for (effect, value) in &self.expected_side_effect {
            if !answer.learned.values().any(|learned| learned == value) {
                differences.push(format!("`{effect}` was not brought"));
            }
        }
        differences
    }

    /// The settings among the other fields.
    pub fn settings(&self, provider: &Provider) -> Settings {
        let mut settings = Settings::new();
        for (name, value) in &self.rest {
            let values = match value {
                serde_json::Value::String(text) => vec![text.clone()],
                serde_json::Value::Array(all) => {
                    all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
                }
                _ => continue,
            };
            if let Some(setting) = setting_for(provider, name) {
                settings.set(setting, values);
            }
        }
        settings
    }

    /// What stands for a document that would be fetched.
    pub(super) fn document(&self) -> Option<Arc<str>> {
        const KEYS: [&str; 5] =
            ["jwks", "cert_pem_test_only", "public_key_pem", "public_key_spki_b64", "public_key"];
        KEYS.iter().find_map(|name| match self.rest.get(*name)? {
            serde_json::Value::String(text) => Some(Arc::from(text.as_str())),
            other => Some(Arc::from(other.to_string())),
        })
    }
}

/// The setting that a field of a vector gives: by its name, else the main one for `secret`, and the
/// public key for any spelling of one.
pub fn setting_for(provider: &Provider, field: &str) -> Option<String> {
    if provider.setting(field).is_some() {
        return Some(field.to_owned());
    }
    let found = match field {
        "secret" => provider.settings.first(),
        "expected_topic" => provider.setting("topic"),
        _ if field.starts_with("public_key") => {
            provider.settings.iter().find(|setting| setting.kind == Kind::PublicKey)
        }
        _ => None,
    };
    found.map(|setting| setting.name.clone())
}

impl WireRequest {
    /// Judges the request exactly as a source would.
    ///
    /// `document` stands for whatever would be fetched.
    ///
    /// # Errors
    /// [`Error`] if the body cannot be read or a key is missing.
    pub fn judge(
        &self,
        provider: &Provider,
        settings: &Settings,
        public_url: Option<&str>,
        document: Option<Arc<str>>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let body = self.bytes()?;
        let url = registered_url(public_url, self.url.as_deref());
        let headers = self.lower_case_headers();
        let headers = borrowed(&headers);
        let request = Request::new(&self.method, &url, &headers, &body);
        match provider.judge(&request, settings, &Given(document), now) {
            Judgement::Challenge(answered) => Ok(Answer {
                verdict: Verdict { state: State::Authenticated, reason: None, claims: None },
                reply: answered.reply,
                learned: answered.learned,
                challenge: Some(answered.name),
                event: None,
            }),
            Judgement::RefusedChallenge { reply, verdict } => Ok(Answer {
                verdict,
                reply,
                learned: BTreeMap::new(),
                challenge: None,
                event: None,
            }),
            Judgement::Event { verdict, event } => {
                let reply = if verdict.is_proven() {
                    provider.acknowledgement()
                } else {
                    provider.refusal()
                };
                let learned = BTreeMap::new();
                Ok(Answer { verdict, reply, learned, challenge: None, event: Some(event) })
            }
            Judgement::Fetch(key) => Err(Error::Key(key.url)),
        }
    }

    /// The same request with a proof made at `now`; see [`Provider::sign`]. One that it has is
    /// replaced.
    ///
    /// # Errors
    /// [`SignError`] if the body cannot be read, or there is no proof to be made.
    pub fn sign(
        &self,
        provider: &Provider,
        settings: &Settings,
        public_url: Option<&str>,
        id: &str,
        now: Timestamp,
    ) -> Result<WireRequest, SignError> {
        let body = self.bytes()?;
        let url = registered_url(public_url, self.url.as_deref());
        let mut headers = self.lower_case_headers();
        headers.retain(|name, _| !provider.is_proof(name));
        let made = {
            let sent = borrowed(&headers);
            provider.sign(&Request::new(&self.method, &url, &sent, &body), settings, id, now)?
        };
        headers.extend(made);
        Ok(WireRequest { headers, ..self.clone() })
    }

    /// The exact bytes of the body.
    ///
    /// # Errors
    /// [`Error::Body`] if they cannot be decoded.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        match &self.body_base64 {
            Some(text) => crate::base64::unbase64(text.as_bytes()).ok_or(Error::Body),
            None => Ok(self.body.clone().into_bytes()),
        }
    }

    fn lower_case_headers(&self) -> BTreeMap<String, String> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
    }
}

fn borrowed(headers: &BTreeMap<String, String>) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// The URL as it is registered, with the query of the request.
pub fn registered_url(public_url: Option<&str>, sent: Option<&str>) -> String {
    let (Some(registered), Some(sent)) = (public_url, sent) else {
        return public_url.or(sent).unwrap_or("https://localhost/").to_owned();
    };
    let base = registered.split(['?', '#']).next().unwrap_or_default();
    match sent.split_once('?') {
        Some((_, query)) => format!("{base}?{query}"),
        None => base.to_owned(),
    }
}

impl ExpectedReply {
    /// What of `reply` is not as expected, in words.
    pub fn difference(&self, reply: &Reply) -> Option<String> {
        if self.status.is_some_and(|status| status != reply.status) {
            return Some(format!("status {}", reply.status));
        }
        for (name, expected) in &self.headers {
            let name = name.to_ascii_lowercase();
            let found = reply.headers.iter().find(|(found, _)| *found == name);
            // Parameters of a media type may follow.
            if found.is_none_or(|(_, value)| value.split(';').next() != Some(expected)) {
                return Some(format!("header {name}: {:?}", found.map(|(_, value)| value)));
            }
        }
        let body = String::from_utf8_lossy(&reply.body);
        if self.body.as_ref().is_some_and(|expected| *expected != body) {
            return Some(format!("body {body}"));
        }
        let json = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
        if self.json.is_some() && self.json != json {
            return Some(format!("body {body}"));
        }
        None
    }
}
