//! A provider's file: its shape, and what must hold in it.
//!
//! Templates, expressions and names of algorithms are parsed while the file is read, so that every
//! mistake has a line.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::jwt;
use super::one_or_many::OneOrMany;
use super::settings::Setting;
use super::shape::Shape;
use super::signatures::Location;
use super::template::{Expression, Template};
use crate::hash::Hash;
use crate::public_key::Algorithm;

/// The version of the format that is read.
pub const SCHEMA: u32 = 1;

/// A provider as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    schema: Spanned<u32>,
    /// `stripe`: the file's name, and what a source names.
    pub id: String,
    /// `Stripe`.
    pub name: String,
    /// The provider's page about it.
    pub docs: String,
    /// How much a verified request proves.
    pub strength: Strength,
    /// How this file was proven right.
    pub proof: Proof,
    /// What an operator or maintainer should know.
    #[serde(default)]
    pub notes: String,
    /// Which requests look like this provider's. A hint, never a decision.
    #[serde(default)]
    pub detect: Detect,
    /// What an operator supplies, the main one first.
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    #[serde(default)]
    pub(super) verify_mode: VerifyMode,
    #[serde(default)]
    pub(super) verify: Vec<Spanned<Verify>>,
    #[serde(default, rename = "handshake")]
    pub(super) handshakes: Vec<Spanned<Handshake>>,
    #[serde(default)]
    pub(super) event: Event,
    /// What is answered.
    #[serde(default)]
    pub answer: Answer,
    /// Bodies that the provider could send.
    #[serde(default, rename = "sample")]
    pub samples: Vec<Sample>,
}

/// How much a verified request proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// The proof covers the whole body.
    Signed,
    /// It covers less, or others hold the same key.
    Partial,
    /// A shared secret, without integrity.
    Token,
    /// Nothing.
    None,
}

impl Strength {
    /// The name in files and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Partial => "partial",
            Self::Token => "token",
            Self::None => "none",
        }
    }
}

/// How a file was proven right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By a known answer that the provider published.
    Published,
    /// By the provider's own library.
    VendorSdk,
    /// From documentation.
    Derived,
}

impl Proof {
    /// The name in files and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::VendorSdk => "vendor-sdk",
            Self::Derived => "derived",
        }
    }
}

/// Marks of a provider's requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// Headers, in lower case.
    #[serde(default)]
    pub headers: Vec<String>,
}

/// How many of the `verify` blocks must pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum VerifyMode {
    #[default]
    Any,
    All,
}

/// Conditions on values: exact text, `*` for "is there", `!` for "is not there".
pub(super) type Conditions = BTreeMap<Expression, String>;

/// One way to verify.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    pub(super) scheme: Scheme,
    #[serde(default)]
    pub(super) when: Conditions,
    #[serde(default)]
    pub(super) require: BTreeMap<Expression, Template>,
    #[serde(default)]
    pub(super) shape: BTreeMap<Expression, Shape>,
    pub(super) timestamp: Option<TimestampRule>,
    pub(super) hash: Option<HashRule>,
    pub(super) key: Option<Template>,
    pub(super) message: Option<Message>,
    #[serde(default)]
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    pub(super) signature: Location,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) fetch: Option<Fetch>,
    pub(super) each: Option<String>,
    // token
    pub(super) value: Option<Template>,
    pub(super) expected: Option<Template>,
    // basic
    pub(super) username: Option<Template>,
    pub(super) password: Option<Template>,
    // jwt
    pub(super) token: Option<Template>,
    pub(super) payload: Option<Template>,
    #[serde(default)]
    pub(super) algorithms: Vec<jwt::Algorithm>,
    #[serde(default)]
    pub(super) claims: BTreeMap<String, Template>,
    #[serde(default)]
    pub(super) claims_optional: BTreeMap<String, Template>,
    pub(super) max_age: Option<i64>,
    #[serde(default = "five")]
    pub(super) leeway: i64,
}

/// A signature over a request that is no webhook: a `[[verify]]` block by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct SignatureRule(pub(super) Verify);

impl SignatureRule {
    /// What its scheme needs and it does not have.
    pub fn missing_keys(&self) -> Vec<&'static str> {
        self.0.missing_keys()
    }

    /// The settings that it uses.
    pub fn settings(&self) -> Vec<&str> {
        self.0.settings()
    }
}

fn five() -> i64 {
    5
}

/// The kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    Hmac,
    Digest,
    Token,
    Basic,
    Signature,
    Jwt,
    /// RFC 9421.
    MessageSignatures,
    /// The draft before it.
    Cavage,
}

/// Which hash: one, or the one that the signature's own name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashRule {
    Fixed(Hash),
    FromField,
}

impl<'de> Deserialize<'de> for HashRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "from-field" {
            return Ok(Self::FromField);
        }
        Hash::parse(&name).map(Self::Fixed).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{name}` is no hash: sha1, sha256, sha384, sha512 or from-field is expected"
            ))
        })
    }
}

/// What is signed: templates joined, some of which may be left out.
#[derive(Clone, Debug)]
pub(super) struct Message(pub(super) Vec<MessagePart>);

#[derive(Clone, Debug)]
pub(super) struct MessagePart {
    pub(super) template: Template,
    pub(super) optional: bool,
}

impl<'de> Deserialize<'de> for MessagePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = MessagePart;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template or { optional = \"template\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<MessagePart, E> {
                let template = Template::parse(text).map_err(E::custom)?;
                Ok(MessagePart { template, optional: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MessagePart, A::Error> {
                let Some((key, template)) = map.next_entry::<String, Template>()? else {
                    return Err(de::Error::missing_field("optional"));
                };
                if key != "optional" {
                    return Err(de::Error::unknown_field(&key, &["optional"]));
                }
                Ok(MessagePart { template, optional: true })
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MessageVisitor;
        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template or a list of templates")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Message, E> {
                let template = Template::parse(text).map_err(E::custom)?;
                Ok(Message(vec![MessagePart { template, optional: false }]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Message, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Message(parts))
            }
        }
        deserializer.deserialize_any(MessageVisitor)
    }
}

/// When a request was signed, and how far that may be from now.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimestampRule {
    pub(super) value: Template,
    pub(super) unit: Unit,
    /// Seconds into the past.
    pub(super) tolerance: i64,
    /// Seconds into the future; the same as the past if it is not said.
    pub(super) future: Option<i64>,
    #[serde(default)]
    pub(super) optional: bool,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    /// Seconds or, above 10^11, milliseconds.
    Auto,
    Rfc3339,
    HttpDate,
}

/// A key that is fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fetch {
    pub(super) url: Template,
    /// Hosts it may be at; `*` stands for one label, at the front for any number.
    pub(super) hosts: Vec<String>,
    /// What its path must begin with.
    #[serde(default)]
    pub(super) path: String,
    pub(super) format: Format,
}

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Certificate,
    Jwks,
    Pem,
    /// JSON with the key in `key`, as eBay answers it.
    Ebay,
}

/// A challenge and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handshake {
    pub(super) name: String,
    #[serde(default)]
    pub(super) method: OneOrMany<String>,
    #[serde(default)]
    pub(super) when: Conditions,
    #[serde(default)]
    pub(super) signed: bool,
    #[serde(default, rename = "let")]
    pub(super) lets: BTreeMap<String, Template>,
    #[serde(default)]
    pub(super) check: BTreeMap<Expression, Template>,
    #[serde(default)]
    pub(super) shape: BTreeMap<Expression, Shape>,
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Template>,
    pub(super) body: Option<Template>,
    #[serde(default = "forbidden")]
    pub(super) deny: u16,
    #[serde(default)]
    pub(super) learn: BTreeMap<String, Template>,
    pub(super) visit: Option<Visit>,
}

fn ok() -> u16 {
    200
}

fn forbidden() -> u16 {
    403
}

/// A URL that is fetched once to confirm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visit {
    pub(super) url: Template,
    pub(super) hosts: Vec<String>,
}

/// Where the event's id and type are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) id: Vec<Template>,
    #[serde(default, rename = "type")]
    pub(super) kind: Vec<Template>,
    pub(super) split: Option<String>,
    #[serde(default)]
    pub(super) item_id: Vec<Template>,
    #[serde(default)]
    pub(super) item_type: Vec<Template>,
}

/// What is answered, and what the provider does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Status for what is accepted.
    pub status: u16,
    /// Its content type.
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
    /// Status for what is not verified.
    pub refused: u16,
    /// Seconds within which the provider wants an answer.
    pub deadline: Option<f64>,
    /// Bytes that the provider may send.
    pub body_limit: usize,
    /// What the provider does after a failure, in words.
    pub retries: String,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: None,
            headers: BTreeMap::new(),
            body: String::new(),
            refused: 401,
            deadline: None,
            body_limit: 1024 * 1024,
            retries: String::new(),
        }
    }
}

/// A body that the provider could send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The event's type.
    pub event: String,
    /// Headers beside those that signing makes.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// A mistake in a file of data: a provider's, or a kind of destination's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Mistake {
    /// Of form: what the reader of TOML says.
    pub(crate) fn of(text: &str, error: &toml::de::Error) -> Mistake {
        let at = error.span().map_or(0, |span| span.start);
        Mistake::at(text, at, error.message().trim().to_owned())
    }

    /// At this byte of the file.
    pub(crate) fn at(text: &str, at: usize, message: String) -> Mistake {
        Mistake { line: line(text, at), message }
    }
}

/// The line of a byte, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count()
}

impl Provider {
    /// Reads a file.
    ///
    /// # Errors
    /// Every [`Mistake`] that can be found: the first one of form, or all of meaning.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let provider: Self =
            toml::from_str(text).map_err(|error| vec![Mistake::of(text, &error)])?;
        let mut mistakes = Vec::new();
        let mut mistake = |at: usize, message: String| {
            mistakes.push(Mistake { line: line(text, at), message });
        };
        if *provider.schema.get_ref() != SCHEMA {
            mistake(provider.schema.span().start, format!("`schema` has to be {SCHEMA}"));
        }
        provider.check_head(&mut |message| mistake(0, message));
        for block in &provider.verify {
            provider.check_verify(block.get_ref(), &mut |message| {
                mistake(block.span().start, message);
            });
        }
        for block in &provider.handshakes {
            provider.check_handshake(block.get_ref(), &mut |message| {
                mistake(block.span().start, message);
            });
        }
        if mistakes.is_empty() { Ok(provider) } else { Err(mistakes) }
    }

    fn check_head(&self, mistake: &mut dyn FnMut(String)) {
        let id_is_plain = !self.id.is_empty()
            && self.id.len() <= 64
            && self.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !id_is_plain {
            mistake("`id` has to be lower-case letters, digits and hyphens, at most 64".to_owned());
        }
        if self.verify.is_empty() != (self.strength == Strength::None) {
            mistake(
                "`strength = \"none\"` goes with having no [[verify]], and only with that"
                    .to_owned(),
            );
        }
        for (index, setting) in self.settings.iter().enumerate() {
            if self.settings[..index].iter().any(|other| other.name == setting.name) {
                mistake(format!("setting `{}` is declared twice", setting.name));
            }
        }
        let statuses = [self.answer.status, self.answer.refused];
        if statuses.iter().any(|status| !(200..=599).contains(status)) {
            mistake("a status of [answer] is not between 200 and 599".to_owned());
        }
        for name in self.detect.headers.iter().filter(|name| **name != name.to_ascii_lowercase()) {
            mistake(format!("header `{name}` has to be written in lower case"));
        }
    }

    fn check_verify(&self, block: &Verify, mistake: &mut dyn FnMut(String)) {
        for name in block.missing_keys() {
            mistake(format!("this scheme needs `{name}`"));
        }
        for name in block.settings() {
            self.check_setting(name, mistake);
        }
        let fetches_https = block.fetch.as_ref().is_none_or(|fetch| !fetch.hosts.is_empty());
        if !fetches_https {
            mistake("`fetch` needs `hosts`".to_owned());
        }
    }

    fn check_handshake(&self, block: &Handshake, mistake: &mut dyn FnMut(String)) {
        let answers = block.body.iter().chain(block.headers.values()).chain(block.lets.values());
        for value in answers.flat_map(Template::values) {
            value.settings().for_each(|name| self.check_setting(name, mistake));
            // The answer is a MAC of something the caller chose, under a key that may sign events.
            let guarded = block.signed || block.shape.keys().any(|guard| guard.same_source(value));
            if value.is_keyed() && !guarded {
                mistake(format!("`{value}` signs what the caller sends: it needs a `shape`"));
            }
        }
        let checks = block.check.values().flat_map(Template::values);
        checks.flat_map(Expression::settings).for_each(|name| self.check_setting(name, mistake));
        for name in block.learn.keys() {
            match self.setting(name) {
                Some(setting) if setting.learned => {}
                _ => mistake(format!("`{name}` is learned, and no [[setting]] says `learned`")),
            }
        }
        if block.visit.as_ref().is_some_and(|visit| visit.hosts.is_empty()) {
            mistake("`visit` needs `hosts`".to_owned());
        }
    }

    fn check_setting(&self, name: &str, mistake: &mut dyn FnMut(String)) {
        if self.setting(name).is_none() {
            mistake(format!("setting `{name}` is not declared in a [[setting]]"));
        }
    }

    /// Headers whose values are shared secrets: not to be shown, kept or passed on.
    pub fn secret_headers(&self) -> Vec<&str> {
        let tokens = self.verify.iter().filter(|block| block.get_ref().scheme == Scheme::Token);
        let values = tokens.filter_map(|block| block.get_ref().value.as_ref());
        values.flat_map(Template::values).filter_map(Expression::header).collect()
    }

    /// Whether a challenge may come with this method.
    pub fn challenges_by(&self, method: &str) -> bool {
        self.handshakes.iter().any(|block| block.get_ref().takes(method))
    }

    /// A setting by its name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

impl Handshake {
    /// Whether it answers this method.
    pub(super) fn takes(&self, method: &str) -> bool {
        if self.method.is_empty() {
            return method == "POST";
        }
        self.method.iter().any(|one| one == method)
    }
}

impl Verify {
    /// Every template of the block.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let messages = self.message.iter().chain(&self.messages);
        messages
            .flat_map(|message| message.0.iter().map(|part| &part.template))
            .chain(self.key.iter())
            .chain(self.signature.value.iter())
            .chain(self.signature.field.iter())
            .chain(self.require.values())
            .chain(self.fetch.iter().map(|fetch| &fetch.url))
            .chain(self.timestamp.iter().map(|rule| &rule.value))
            .chain(
                [&self.value, &self.expected, &self.username, &self.password].into_iter().flatten(),
            )
            .chain([&self.token, &self.payload].into_iter().flatten())
            .chain(self.claims.values())
            .chain(self.claims_optional.values())
    }

    /// The settings that the block uses.
    pub(super) fn settings(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.templates().flat_map(Template::values).flat_map(Expression::settings).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn missing_keys(&self) -> Vec<&'static str> {
        let has_message = self.message.is_some() || !self.messages.is_empty();
        let has_signature = self.signature.value.is_some() || !self.signature.header.is_empty();
        let has_key = self.key.is_some();
        let has_any_key = has_key || self.fetch.is_some();
        let needs: &[(&'static str, bool)] = match self.scheme {
            Scheme::Hmac => &[
                ("hash", self.hash.is_some()),
                ("key", has_key),
                ("message", has_message),
                ("signature", has_signature),
            ],
            Scheme::Digest => &[
                ("hash", matches!(self.hash, Some(HashRule::Fixed(_)))),
                ("message", has_message),
                ("signature", has_signature),
            ],
            Scheme::Token => {
                &[("value", self.value.is_some()), ("expected", self.expected.is_some())]
            }
            Scheme::Basic => {
                &[("username", self.username.is_some()), ("password", self.password.is_some())]
            }
            Scheme::Signature => &[
                ("algorithm", self.algorithm.is_some()),
                ("key or fetch", has_any_key),
                ("message", has_message),
                ("signature", has_signature),
            ],
            Scheme::Jwt => &[
                ("token", self.token.is_some()),
                ("algorithms", !self.algorithms.is_empty()),
                ("key or fetch", has_any_key),
            ],
            Scheme::MessageSignatures => &[("key or fetch", has_any_key)],
            Scheme::Cavage => {
                &[("key or fetch", has_any_key), ("signature", !self.signature.header.is_empty())]
            }
        };
        needs.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect()
    }
}
