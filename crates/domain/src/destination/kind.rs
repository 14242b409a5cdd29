//! A kind of destination: its file, and what must hold in it.
//!
//! A kind that speaks HTTP is data: which settings it has, which fields an event is mapped to, which
//! request that makes, and what the answer means. A kind that has a protocol of its own describes its
//! settings and fields in the same words; what it does is code.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

use super::example::Example;
use super::mapping::Mapping;
use super::text::Text;
use crate::provider::Mistake;

/// The version of the format that is read.
pub const SCHEMA: u32 = 1;

/// A kind as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    schema: Spanned<u32>,
    /// `slack`: the file's name, and what a destination names.
    pub id: String,
    /// What the API calls it, where that is not the id: Svix's SDKs name some kinds differently.
    #[serde(rename = "type")]
    api: Option<String>,
    /// `Slack`.
    pub name: String,
    /// The page that describes its interface.
    pub docs: String,
    /// How the file was proven right.
    pub proof: Proof,
    /// What whoever configures it should know: what is idempotent, and what is not.
    #[serde(default)]
    pub notes: String,
    /// What it is reached and opened with.
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    /// What an event is mapped to.
    #[serde(default, rename = "field")]
    pub fields: Vec<Field>,
    /// Fields of any other name are taken too.
    #[serde(default)]
    pub open_fields: bool,
    /// What is sent; absent where code does it.
    pub(super) request: Option<Request>,
    /// What it takes.
    #[serde(default)]
    pub limits: Limits,
    /// What its answers mean.
    #[serde(default)]
    pub(super) answer: Answer,
    /// A destination of the kind, and what an event becomes there.
    pub example: Example,
}

/// How a file was proven right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Against the real software.
    Real,
    /// Against the vendor's own library or published schema.
    VendorSdk,
    /// Against recorded or documented requests.
    Contract,
}

impl Proof {
    /// `vendor-sdk`.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Real => "real",
            Proof::VendorSdk => "vendor-sdk",
            Proof::Contract => "contract",
        }
    }

    /// What that means.
    pub fn explained(self) -> &'static str {
        match self {
            Proof::Real => "proven against the software itself",
            Proof::VendorSdk => "proven against the vendor's own library or published schema",
            Proof::Contract => "proven against the requests that its documentation shows",
        }
    }
}

/// One thing that a destination of the kind is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// `apiKey`.
    pub name: String,
    /// Sealed at rest and never shown again.
    #[serde(default)]
    pub secret: bool,
    /// What the vendor calls it, and where it is found.
    pub label: String,
    /// A destination cannot be made without it.
    #[serde(default = "yes")]
    pub required: bool,
    /// What it is when it is not given; a template that may name settings before it.
    pub default: Option<Text>,
    /// It has to match this regular expression as a whole.
    #[serde(default, deserialize_with = "pattern")]
    pub pattern: Option<Regex>,
    /// It is `true` or `false`.
    #[serde(default)]
    pub boolean: bool,
}

/// One thing that an event is mapped to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `text`.
    pub name: String,
    /// What the vendor calls it.
    pub label: String,
    /// A destination cannot be made without it.
    #[serde(default)]
    pub required: bool,
    /// The mapping when none is given.
    pub default: Option<Mapping>,
}

fn yes() -> bool {
    true
}

/// A regular expression that has to match a whole value.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&format!("^(?:{text})$")).map(Some).map_err(de::Error::custom)
}

/// What is sent. Templates see `settings`, `fields` and `event`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default = "post")]
    pub(super) method: String,
    /// The URL without what differs from event to event; of settings alone.
    pub(super) base: Text,
    /// What is appended to it.
    pub(super) path: Option<Text>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Text>,
    pub(super) body: Body,
    /// How the request is signed, where a header is not enough.
    pub(super) sign: Option<Sign>,
}

/// What the body is made of. In mappings, what is not there is left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Body {
    /// `application/json`.
    Json(Mapping),
    /// `application/x-www-form-urlencoded`: one level, and a list for names that repeat.
    Form(Mapping),
    /// The event's own body and content type.
    Raw(True),
}

/// `true`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "bool")]
pub(super) struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<True, &'static str> {
        if value { Ok(True) } else { Err("can only be `true`") }
    }
}

fn post() -> String {
    "POST".to_owned()
}

/// Signatures over whole requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Sign {
    /// AWS Signature Version 4 for SQS.
    AwsSqs,
}

/// What a destination takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a body. What is larger fails without being sent.
    pub body: usize,
    /// Requests a second, if it says so.
    pub rate: Option<f64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { body: 1024 * 1024, rate: None }
    }
}

/// What its answers mean beyond what a status says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    /// Statuses after which the same request would fail again.
    pub(super) permanent: Vec<u16>,
    /// Statuses besides 2xx that mean it is done: the record is there already.
    pub(super) done: Vec<u16>,
    /// An expression over `answer` (`status`, `headers`, `text`, `json`, `time`): which 2xx means it
    /// is done.
    pub(super) delivered: Option<Text>,
    /// An expression over the same: for how many seconds it asks to wait, whatever the status.
    pub(super) later: Option<Text>,
}

impl Kind {
    /// Reads a file.
    ///
    /// # Errors
    /// Every [`Mistake`] that can be found: the first one of form, or all of meaning.
    pub fn parse(text: &str) -> Result<Kind, Vec<Mistake>> {
        let kind: Kind = toml::from_str(text).map_err(|error| vec![Mistake::of(text, &error)])?;
        let mut mistakes = Vec::new();
        let mut mistake = |message: String| mistakes.push(Mistake { line: 1, message });
        if *kind.schema.get_ref() != SCHEMA {
            mistake(format!("`schema` has to be {SCHEMA}"));
        }
        let names = kind.settings.iter().map(|setting| &setting.name);
        let names: Vec<&String> =
            names.chain(kind.fields.iter().map(|field| &field.name)).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                mistake(format!("`{name}` is there twice"));
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                mistake(format!("`{name}` is no name: letters, digits and `_`"));
            }
        }
        if kind.limits.rate.is_some_and(|rate| rate <= 0.0 || !rate.is_finite()) {
            mistake("`limits.rate` has to be more than 0".to_owned());
        }
        for field in kind.fields.iter().filter(|field| field.required && field.default.is_some()) {
            mistake(format!("`{}` is required and has a default", field.name));
        }
        for setting in &kind.settings {
            if setting.secret && setting.default.is_some() {
                mistake(format!("`{}` is a secret and has a default", setting.name));
            }
            // They stand beside the settings where a destination is made.
            if ["fields", "onMissing"].contains(&&*setting.name) {
                mistake(format!("`{}` is the name of something else", setting.name));
            }
        }
        if mistakes.is_empty() { Ok(kind) } else { Err(mistakes) }
    }

    /// The statuses after which the same request would fail again.
    pub fn permanent(&self) -> &[u16] {
        &self.answer.permanent
    }

    /// What the API calls it.
    pub fn api(&self) -> &str {
        self.api.as_deref().unwrap_or(&self.id)
    }

    /// Whether it is code rather than a request.
    pub fn has_code(&self) -> bool {
        self.request.is_none()
    }
}
