//! What an operator supplies for a source: secrets, public keys, names.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::encoding::Encoding;
use crate::public_key;

/// Values of one setting that may be in force at once: a rotation needs two, a migration a few.
pub const MAX_VALUES: usize = 8;

/// The longest value, in bytes: a PEM certificate with room to spare.
pub const MAX_VALUE_LEN: usize = 16 * 1024;

/// One thing that an operator supplies, as the provider's file declares it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name: `secret`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What the provider calls it and where it is found.
    #[serde(default)]
    pub label: String,
    /// Without it, nothing is accepted.
    #[serde(default = "yes")]
    pub required: bool,
    /// A source cannot be made without it, though one request can be judged.
    #[serde(default)]
    pub source_required: bool,
    /// What the value must begin with.
    pub prefix: Option<String>,
    /// What follows the prefix must be this.
    pub encoding: Option<Encoding>,
    /// Characters, at least.
    pub min_length: Option<usize>,
    /// Characters, at most.
    pub max_length: Option<usize>,
    /// It arrives in a handshake.
    #[serde(default)]
    pub learned: bool,
}

fn yes() -> bool {
    true
}

/// What a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Sealed at rest and never shown again.
    Secret,
    /// A key that proves but cannot sign: PEM, base64 or hex.
    PublicKey,
    /// Anything that may be shown.
    Text,
}

/// Why a value cannot be right; never repeats it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Nothing was given.
    #[error("the value is empty")]
    Empty,
    /// More than [`MAX_VALUE_LEN`] bytes.
    #[error("the value is longer than {MAX_VALUE_LEN} bytes")]
    TooLong,
    /// White space at an end, the usual trace of copying.
    #[error("the value begins or ends with white space")]
    WhiteSpace,
    /// The prefix is missing.
    #[error("the value has to begin with `{0}`")]
    Prefix(String),
    /// What follows is not hex or base64.
    #[error("the value is not {0}")]
    Encoding(&'static str),
    /// Too short or too long.
    #[error("the value has {found} characters, {expected}")]
    Length {
        /// Characters found.
        found: usize,
        /// What is expected, in words.
        expected: String,
    },
    /// No public key in any of the usual forms.
    #[error("the value is no public key: PEM, or base64 or hex of the key is expected")]
    PublicKey,
}

impl Setting {
    /// Whether `value` can be right, so that a slip is found when it is saved.
    ///
    /// # Errors
    /// [`ShapeError`] says what is wrong.
    pub fn check(&self, value: &str) -> Result<(), ShapeError> {
        if value.is_empty() {
            return Err(ShapeError::Empty);
        }
        if value.len() > MAX_VALUE_LEN {
            return Err(ShapeError::TooLong);
        }
        if self.kind == Kind::PublicKey {
            return public_key::check(value).ok_or(ShapeError::PublicKey);
        }
        if value.trim() != value {
            return Err(ShapeError::WhiteSpace);
        }
        let rest = match &self.prefix {
            Some(prefix) => value
                .strip_prefix(prefix.as_str())
                .ok_or_else(|| ShapeError::Prefix(prefix.clone()))?,
            None => value,
        };
        if let Some(encoding) = self.encoding {
            let rest = rest.strip_prefix("whsec_").unwrap_or(rest);
            let named = match encoding {
                Encoding::Hex | Encoding::UpperHex => "hexadecimal",
                Encoding::Base64 | Encoding::Base64url => "base64",
                Encoding::Text => "text",
            };
            if encoding.decode(rest.as_bytes()).is_none_or(|bytes| bytes.is_empty()) {
                return Err(ShapeError::Encoding(named));
            }
        }
        self.check_length(value)
    }

    fn check_length(&self, value: &str) -> Result<(), ShapeError> {
        let found = value.chars().count();
        let fits = self.min_length.is_none_or(|min| found >= min)
            && self.max_length.is_none_or(|max| found <= max);
        if fits {
            return Ok(());
        }
        let expected = match (self.min_length, self.max_length) {
            (Some(min), Some(max)) if min == max => format!("exactly {min} are expected"),
            (Some(min), Some(max)) => format!("{min} to {max} are expected"),
            (Some(min), None) => format!("at least {min} are expected"),
            _ => format!("at most {} are expected", self.max_length.unwrap_or_default()),
        };
        Err(ShapeError::Length { found, expected })
    }
}

/// The values an operator supplied, the newest of each first.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, Vec<Zeroizing<String>>>,
    tolerance: Option<i64>,
}

impl Settings {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets all values of one setting, the newest first.
    pub fn set(&mut self, name: impl Into<String>, values: Vec<String>) {
        self.values.insert(name.into(), values.into_iter().map(Zeroizing::new).collect());
    }

    /// How far a signed time may be off in either direction, in seconds, instead of what the
    /// provider's file says.
    pub fn set_tolerance(&mut self, seconds: Option<i64>) {
        self.tolerance = seconds;
    }

    pub(super) fn tolerance(&self) -> Option<i64> {
        self.tolerance
    }

    /// The values of one setting.
    pub fn values(&self, name: &str) -> &[Zeroizing<String>] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Names and values, for whoever stores them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Zeroizing<String>])> {
        self.values.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The newest value of each setting.
    pub(super) fn newest(&self) -> Chosen<'_> {
        Chosen(
            self.values
                .iter()
                .filter_map(|(name, values)| Some((name.as_str(), values.first()?.as_str())))
                .collect(),
        )
    }

    /// Every combination of the values of the settings named in `names`, the newest first; other
    /// settings with their newest value. Bounded, so that no configuration makes a request dear.
    pub(super) fn choices<'a>(&'a self, names: &[&str]) -> Vec<Chosen<'a>> {
        const MAX_CHOICES: usize = 64;
        let mut choices = vec![self.newest()];
        for name in names {
            let Some((name, values)) = self.values.get_key_value(*name) else { continue };
            let mut grown = Vec::new();
            for choice in &choices {
                for value in values {
                    let mut next = choice.clone();
                    next.0.insert(name, value);
                    grown.push(next);
                }
            }
            grown.truncate(MAX_CHOICES);
            choices = grown;
        }
        choices
    }
}

/// Shows names and how many values, never a value.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.values.iter().map(|(name, values)| (name, values.len())))
            .finish()
    }
}

/// One value per setting: what is tried at the moment.
#[derive(Clone)]
pub(super) struct Chosen<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Chosen<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    /// The same with these values instead, to find out what an operator mistook.
    pub(super) fn with<'b>(&self, values: &'b BTreeMap<String, String>) -> Chosen<'b>
    where
        'a: 'b,
    {
        let mut changed: BTreeMap<&'b str, &'b str> = self.0.clone();
        changed.extend(values.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Chosen(changed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(name, value)| (*name, *value))
    }
}
