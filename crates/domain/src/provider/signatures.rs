//! Finding signatures in a request: one header, several, lists, pairs, groups.
//!
//! Parsed by the file's rules only; nothing is guessed. A candidate stays text until the scheme
//! decodes it and requires its exact length.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::Deserialize;

use super::encoding::Encoding;
use super::one_or_many::OneOrMany;
use super::template::{Missing, Scope, Template};
use crate::base64::unbase64;

/// Signatures that one request may carry: a rotation needs a few, and an attacker would like each
/// of thousands to cost a verification.
pub(super) const MAX_CANDIDATES: usize = 32;

/// Where signatures are, as a provider's file says it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Location {
    #[serde(default)]
    pub(super) header: OneOrMany<String>,
    pub(super) value: Option<Template>,
    pub(super) decode: Option<Decode>,
    pub(super) prefix: Option<String>,
    pub(super) groups: Option<String>,
    pub(super) split: Option<String>,
    pub(super) pair: Option<String>,
    pub(super) field: Option<Template>,
    #[serde(default)]
    pub(super) positional: Vec<String>,
    #[serde(default)]
    pub(super) encoding: Encoding,
}

/// What is done to the header before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Decode {
    /// Base64 of a JSON object whose fields are the pairs.
    Base64Json,
}

/// Name and value of the parts of one signature header.
pub(super) type Parts<'a> = Vec<(Cow<'a, str>, Cow<'a, [u8]>)>;

/// Signatures that share their named parts.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) parts: Parts<'a>,
    /// Each with the name it had, if it had one.
    pub(super) candidates: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
}

/// Why no signature could be taken from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Missing(Missing),
    /// It is there, and does not have the provider's form.
    Malformed(&'static str),
}

impl Location {
    /// All signatures of the request.
    pub(super) fn find<'a>(&'a self, scope: &Scope<'a>) -> Result<Vec<Group<'a>>, Unreadable> {
        let mut groups = Vec::new();
        for text in self.texts(scope)? {
            self.groups(text, scope, &mut groups)?;
        }
        let found: usize = groups.iter().map(|group| group.candidates.len()).sum();
        match found {
            0 => Err(Unreadable::Malformed("it holds no signature of the expected kind")),
            1..=MAX_CANDIDATES => Ok(groups),
            _ => Err(Unreadable::Malformed("it holds more than 32 signatures")),
        }
    }

    fn texts<'a>(&'a self, scope: &Scope<'a>) -> Result<Vec<Cow<'a, [u8]>>, Unreadable> {
        if let Some(value) = &self.value {
            return Ok(vec![value.bytes(scope).map_err(Unreadable::Missing)?]);
        }
        let mut texts = Vec::new();
        for name in self.header.iter() {
            match name.strip_suffix('*') {
                Some(start) => texts.extend(
                    scope
                        .request
                        .headers
                        .iter()
                        .filter(|(found, _)| found.starts_with(start))
                        .map(|(_, value)| Cow::Borrowed(*value)),
                ),
                None => texts.extend(scope.request.header(name)),
            }
        }
        if texts.is_empty() {
            let name = self.header.iter().next().map_or("signature", String::as_str);
            return Err(Unreadable::Missing(Missing(format!("header {name}"))));
        }
        Ok(texts)
    }

    fn groups<'a>(
        &'a self,
        text: Cow<'a, [u8]>,
        scope: &Scope<'a>,
        groups: &mut Vec<Group<'a>>,
    ) -> Result<(), Unreadable> {
        let text = match &self.prefix {
            Some(prefix) => strip(text, prefix.as_bytes())
                .ok_or(Unreadable::Malformed("it does not begin as this provider's does"))?,
            None => text,
        };
        if self.decode == Some(Decode::Base64Json) {
            groups.push(self.json_group(&text, scope)?);
            return Ok(());
        }
        for whole in separated(text, self.groups.as_deref()) {
            let group = self.group(whole, scope)?;
            if !group.candidates.is_empty() {
                groups.push(group);
            }
        }
        Ok(())
    }

    fn group<'a>(
        &'a self,
        text: Cow<'a, [u8]>,
        scope: &Scope<'a>,
    ) -> Result<Group<'a>, Unreadable> {
        let field = self.field_name(scope)?;
        let mut group = Group::default();
        for (index, item) in separated(text, self.split.as_deref()).into_iter().enumerate() {
            if item.is_empty() {
                continue;
            }
            if let Some(name) = self.positional.get(index) {
                group.parts.push((Cow::Borrowed(name), item));
                continue;
            }
            let Some(pair) = &self.pair else {
                group.candidates.push((Cow::Borrowed(""), item));
                continue;
            };
            let Some((name, value)) = halves(item, pair.as_bytes()) else { continue };
            match &field {
                Some(field) if **field == *name => group.candidates.push((name, value)),
                Some(_) => group.parts.push((name, value)),
                None => group.candidates.push((name, value)),
            }
        }
        Ok(group)
    }

    fn json_group<'a>(&self, text: &[u8], scope: &Scope<'a>) -> Result<Group<'a>, Unreadable> {
        let malformed = Unreadable::Malformed("it is not base64 of a json object");
        let Some(json) = unbase64(text) else { return Err(malformed) };
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&json).map_err(|_| malformed)?;
        let field = self.field_name(scope)?.unwrap_or_else(|| "signature".to_owned());
        let mut group = Group::default();
        for (name, value) in fields {
            let serde_json::Value::String(value) = value else { continue };
            let pair = (Cow::Owned(name), Cow::Owned(value.into_bytes()));
            if pair.0 == field {
                group.candidates.push(pair);
            } else {
                group.parts.push(pair);
            }
        }
        Ok(group)
    }

    fn field_name(&self, scope: &Scope<'_>) -> Result<Option<String>, Unreadable> {
        self.field.as_ref().map(|field| field.text(scope)).transpose().map_err(Unreadable::Missing)
    }

    /// The header and its text that carry `signature`, with the named parts before it.
    pub(super) fn write(
        &self,
        parts: &[(String, String)],
        field: Option<&str>,
        signature: &[u8],
    ) -> Option<(String, String)> {
        let header = self.header.iter().next()?;
        let name = match header.strip_suffix('*') {
            Some(start) => format!("{start}1"),
            None => header.clone(),
        };
        let encoded = self.encoding.encode(signature);
        if self.decode == Some(Decode::Base64Json) {
            let mut fields: serde_json::Map<String, serde_json::Value> =
                parts.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            fields.insert(field.unwrap_or("signature").to_owned(), encoded.into());
            let json = serde_json::Value::Object(fields).to_string();
            return Some((name, BASE64.encode(json.as_bytes())));
        }
        let separator = self.split.as_deref().unwrap_or_default();
        let pair = self.pair.as_deref().unwrap_or_default();
        let mut text = self.prefix.clone().unwrap_or_default();
        for (name, value) in parts {
            if !self.positional.contains(name) {
                text.push_str(name);
                text.push_str(pair);
            }
            text.push_str(value);
            text.push_str(separator);
        }
        if let Some(field) = field {
            text.push_str(field);
            text.push_str(pair);
        }
        text.push_str(&encoded);
        Some((name, text))
    }
}

fn strip<'a>(text: Cow<'a, [u8]>, prefix: &[u8]) -> Option<Cow<'a, [u8]>> {
    match text {
        Cow::Borrowed(text) => text.strip_prefix(prefix).map(Cow::Borrowed),
        Cow::Owned(text) => text.strip_prefix(prefix).map(|rest| Cow::Owned(rest.to_vec())),
    }
}

/// The pieces between separators, without white space around them.
fn separated<'a>(text: Cow<'a, [u8]>, separator: Option<&str>) -> Vec<Cow<'a, [u8]>> {
    let Some(separator) = separator.filter(|separator| !separator.is_empty()) else {
        return vec![text];
    };
    match text {
        Cow::Borrowed(text) => pieces(text, separator.as_bytes()).map(Cow::Borrowed).collect(),
        Cow::Owned(text) => {
            pieces(&text, separator.as_bytes()).map(|piece| Cow::Owned(piece.to_vec())).collect()
        }
    }
}

fn pieces<'t>(text: &'t [u8], separator: &[u8]) -> impl Iterator<Item = &'t [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let piece = match whole.windows(separator.len()).position(|window| window == separator) {
            Some(at) => {
                rest = Some(&whole[at + separator.len()..]);
                &whole[..at]
            }
            None => {
                rest = None;
                whole
            }
        };
        Some(piece.trim_ascii())
    })
}

/// Name and value around the first separator; quotes around the value go.
fn halves<'a>(item: Cow<'a, [u8]>, separator: &[u8]) -> Option<(Cow<'a, str>, Cow<'a, [u8]>)> {
    let at = item.windows(separator.len()).position(|window| window == separator)?;
    let name = std::str::from_utf8(&item[..at]).ok()?.trim().to_owned();
    let value = item[at + separator.len()..].trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(value)
        .to_vec();
    Some((Cow::Owned(name), Cow::Owned(value)))
}
