//! Versions of an event type: what its payloads look like, in which order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    schema::{self, Schema},
    time::Timestamp,
};

/// How many versions an event type may have.
pub const MOST: usize = 50;
/// The longest label.
pub const LABEL_LENGTH: usize = 64;
/// How many examples a version may have.
pub const EXAMPLES: usize = 20;
/// How long all examples of a version may be together, in bytes.
pub const EXAMPLE_BYTES: usize = 256 * 1024;
/// The longest changelog, in bytes.
pub const CHANGELOG_LENGTH: usize = 8_000;

/// A version of an event type.
#[derive(Clone, Debug)]
pub struct Version {
    /// What people call it; unique in its event type.
    pub label: String,
    /// Its place among the versions of the type, from 1. Labels are never compared.
    pub ordinal: u32,
    /// How far it is.
    pub status: Status,
    /// How its schema is read where that does not say it.
    pub dialect: Dialect,
    /// A JSON Schema.
    pub schema: Value,
    /// What has changed, for people.
    pub changelog: String,
    /// Payloads of this version.
    pub examples: Vec<Example>,
    /// When it was, or will be, deprecated.
    pub deprecated_at: Option<Timestamp>,
    /// When it will be sent no more.
    pub sunset_at: Option<Timestamp>,
    /// Since when it is what messages are that name no version; none if it never was.
    pub default_since: Option<Timestamp>,
}

/// How far a version is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can be changed, and nobody gets it.
    #[default]
    Draft,
    /// It is sent.
    Active,
    /// It is sent, and will not be for long.
    Deprecated,
    /// It is sent no more.
    Retired,
}

impl Status {
    /// The number that stores keep.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Status::Draft => 0,
            Status::Active => 1,
            Status::Deprecated => 2,
            Status::Retired => 3,
        }
    }

    /// The reverse of [`Status::number`].
    #[must_use]
    pub fn from_number(number: i64) -> Status {
        match number {
            1 => Status::Active,
            2 => Status::Deprecated,
            3 => Status::Retired,
            _ => Status::Draft,
        }
    }

    /// Whether messages of it are taken and sent.
    #[must_use]
    pub fn is_sent(self) -> bool {
        matches!(self, Status::Active | Status::Deprecated)
    }
}

/// How a schema without `$schema` is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// JSON Schema 2020-12.
    #[default]
    #[serde(rename = "2020-12")]
    Draft2020,
    /// JSON Schema draft 7.
    #[serde(rename = "draft-07")]
    Draft7,
}

impl Dialect {
    /// The number that stores keep.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Dialect::Draft2020 => 0,
            Dialect::Draft7 => 1,
        }
    }

    /// The reverse of [`Dialect::number`].
    #[must_use]
    pub fn from_number(number: i64) -> Dialect {
        if number == 1 { Dialect::Draft7 } else { Dialect::Draft2020 }
    }

    /// The schema with its dialect written down.
    #[must_use]
    pub fn explicit(self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        if let (Dialect::Draft7, Value::Object(fields)) = (self, &mut schema) {
            let name = || Value::from("http://json-schema.org/draft-07/schema#");
            fields.entry("$schema").or_insert_with(name);
        }
        schema
    }
}

/// Whether payloads are held against the schema when messages are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// They are not.
    #[default]
    Off,
    /// They are, and the message says whether it fits.
    Warn,
    /// Messages that do not fit are refused.
    Reject,
}

impl Validation {
    /// The number that stores keep.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Validation::Off => 0,
            Validation::Warn => 1,
            Validation::Reject => 2,
        }
    }

    /// The reverse of [`Validation::number`].
    #[must_use]
    pub fn from_number(number: i64) -> Validation {
        match number {
            1 => Validation::Warn,
            2 => Validation::Reject,
            _ => Validation::Off,
        }
    }
}

/// A payload of a version, and what older versions are expected to make of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// For people.
    pub name: String,
    /// The payload, with its numbers as they were written.
    pub payload: Box<RawValue>,
    /// By label of an older version, what it becomes there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<String, Box<RawValue>>,
}

/// Why a version cannot be like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No label can be like that.
    #[error(
        "a label has 1 to {LABEL_LENGTH} letters, digits, '-', '_', '.', '+', ':' and '~', and is not just dots"
    )]
    Label,
    /// More than [`EXAMPLES`] examples, or of more than [`EXAMPLE_BYTES`].
    #[error("there are at most {EXAMPLES} examples, of at most {EXAMPLE_BYTES} bytes together")]
    Examples,
    /// Longer than [`CHANGELOG_LENGTH`].
    #[error("it is longer than {CHANGELOG_LENGTH} bytes")]
    Changelog,
}

/// Checks a label.
///
/// # Errors
/// [`Mistake::Label`].
pub fn check_label(label: &str) -> Result<(), Mistake> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+:~".contains(&byte);
    let ok = (1..=LABEL_LENGTH).contains(&label.len())
        && label.bytes().all(plain)
        && label.bytes().any(|byte| byte != b'.');
    if ok { Ok(()) } else { Err(Mistake::Label) }
}

/// Checks how many examples there are.
///
/// # Errors
/// [`Mistake::Examples`].
pub fn check_examples(examples: &[Example]) -> Result<(), Mistake> {
    let size = |example: &Example| {
        let expected = example.expected.values().map(|it| it.get().len()).sum::<usize>();
        example.name.len() + example.payload.get().len() + expected
    };
    let bytes: usize = examples.iter().map(size).sum();
    if examples.len() > EXAMPLES || bytes > EXAMPLE_BYTES { Err(Mistake::Examples) } else { Ok(()) }
}

/// Checks a changelog.
///
/// # Errors
/// [`Mistake::Changelog`].
pub fn check_changelog(text: &str) -> Result<(), Mistake> {
    if text.len() > CHANGELOG_LENGTH { Err(Mistake::Changelog) } else { Ok(()) }
}

impl Version {
    /// Compiles its schema.
    ///
    /// # Errors
    /// [`schema::Mistake`], with its place.
    pub fn compile(&self) -> Result<Schema, schema::Mistake> {
        Schema::compile(&self.dialect.explicit(&self.schema))
    }
}
