//! The configuration file: TOML text to settings with the lines they stand on.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::Raw;

/// A configuration file's text, read.
#[derive(Clone, Debug)]
pub struct File {
    /// As given, for messages.
    pub path: PathBuf,
    /// TOML.
    pub text: String,
}

/// A configuration file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the configuration file {}: {source}", path.display())]
pub struct ReadError {
    path: PathBuf,
    source: std::io::Error,
}

impl File {
    /// Reads the file.
    ///
    /// # Errors
    /// When it does not exist, is not readable, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(source) => Err(ReadError { path: path.to_owned(), source }),
        }
    }
}

/// One `key = value` of a file.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) raw: Raw,
    pub(super) line: usize,
}

/// What a file says, or the line that cannot be understood and why.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        // Only the message: the error's own display shows the line, which may hold a secret.
        (line_of(text, start), error.message().replace('\n', ", "))
    })?;
    let mut entries = Vec::new();
    collect(text, "", table.get_ref(), &mut entries);
    Ok(entries)
}

/// Tables below a section become dotted paths, which no setting has: they are unknown, not ignored.
fn collect(text: &str, prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let path = match prefix {
            "" => key.get_ref().to_string(),
            prefix => format!("{prefix}.{}", key.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) => collect(text, &path, inner, entries),
            other => {
                let line = line_of(text, key.span().start);
                entries.push(Entry { path, raw: raw(other), line });
            }
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::Array(items) => {
            Raw::List(items.iter().map(Spanned::get_ref).map(scalar).collect())
        }
        value => Raw::Text(scalar(value)),
    }
}

fn scalar(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.as_str().to_owned(),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        // No setting takes these; the type's own message says what it wants instead.
        DeValue::Array(_) => "a nested list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
