//! Text with holes: how a provider's file names what is signed, answered or taken as an id.
//!
//! `v0:{header.x-slack-request-timestamp}:{body}` is literal text and two values. A value may pass
//! through filters: `{body|sha256|hex}`. Everything is bytes, because what is signed is the bytes
//! that arrived, not their reading as text.
//!
//! Invariant: a template is parsed once, when the file is read; every mistake in it is known then.

use std::borrow::Cow;
use std::fmt;

use serde::de;

use super::canonical;
use super::filter::Filter;
use super::request::Request;
use super::settings::{Chosen, Settings};

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Value(Expression),
}

/// One value and what is done to it: what stands between the braces of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expression {
    source: Source,
    optional: bool,
    filters: Vec<Filter>,
    text: Box<str>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Body,
    Method,
    Url,
    Path,
    Query,
    Header(Box<str>),
    QueryField(Box<str>),
    FormField(Box<str>),
    Json(Vec<Box<str>>),
    Item(Vec<Box<str>>),
    Claim(Vec<Box<str>>),
    /// The URL without its query.
    BaseUrl,
    /// A named part of the header that holds the signature.
    Signature(Box<str>),
    /// A value that the handshake names for itself.
    Let(Box<str>),
    /// A value that is stored with the callback that a browser comes back to.
    Callback(Box<str>),
    /// A value that whoever fills the template gives under this whole name: `client.secret`.
    Given(Box<str>),
    Setting(Box<str>),
    Canonical(canonical::Form),
}

/// What a template may ask for.
pub(super) struct Scope<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) settings: &'a Chosen<'a>,
    /// The named parts of the signature header.
    pub(super) signature: &'a [(Cow<'a, str>, Cow<'a, [u8]>)],
    /// What a handshake names for itself.
    pub(super) lets: &'a [(String, Vec<u8>)],
    /// The item of a batch at hand, as JSON text.
    pub(super) item: Option<&'a str>,
    /// The claims of a verified token, as JSON text.
    pub(super) claims: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// A value that the handshake names for itself.
    pub(super) fn own(&self, name: &str) -> Option<&'a [u8]> {
        self.lets.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_slice())
    }

    /// A scope of the request and the settings alone.
    pub(super) fn new(request: &'a Request<'a>, settings: &'a Chosen<'a>) -> Self {
        Self { request, settings, signature: &[], lets: &[], item: None, claims: None }
    }
}

/// What templates may ask for where there is no provider: of a request, of settings, and of a
/// callback.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// `{query.…}`, `{form.…}`, `{json.…}` and the like.
    pub request: &'a Request<'a>,
    /// `{setting.…}`: the newest value of each.
    pub settings: &'a Settings,
    /// `{callback.…}` without that prefix, and what an OAuth provider's file calls `{client.id}` and
    /// the like: names and values.
    pub callback: &'a [(String, Vec<u8>)],
}

/// A value that the request does not have; the name as the file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

/// Why a template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A brace without its partner.
    #[error("`{0}` has an unbalanced brace; write `{{{{` or `}}}}` for a literal one")]
    Brace(String),
    /// A value that does not exist.
    #[error("`{0}` is no value: see the list in providers/README.md")]
    Value(String),
    /// A filter that does not exist, or lacks its argument.
    #[error("`{0}` is no filter: see the list in providers/README.md")]
    Filter(String),
}

impl<'a> Values<'a> {
    fn scope(&self, chosen: &'a Chosen<'a>) -> Scope<'a> {
        Scope { lets: self.callback, ..Scope::new(self.request, chosen) }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Mistake`] quotes the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let unbalanced = || Mistake::Brace(text.to_owned());
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = rest.as_bytes()[at];
            let tail = &rest[at + 1..];
            if tail.as_bytes().first() == Some(&brace) {
                literal.push(brace as char);
                rest = &tail[1..];
                continue;
            }
            if brace == b'}' {
                return Err(unbalanced());
            }
            let end = tail.find(['{', '}']).ok_or_else(unbalanced)?;
            if tail.as_bytes()[end] == b'{' {
                return Err(unbalanced());
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Value(Expression::parse(&tail[..end])?));
            rest = &tail[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Ok(Self { parts })
    }

    /// The text of the template for a request; none if a value is missing or is no text.
    pub fn for_request(&self, request: &Request<'_>) -> Option<String> {
        self.filled(&Values { request, settings: &Settings::new(), callback: &[] }).ok()
    }

    /// The text of the template.
    ///
    /// # Errors
    /// What is missing, or is no text.
    pub fn filled(&self, values: &Values<'_>) -> Result<String, String> {
        let chosen = values.settings.newest();
        self.text(&values.scope(&chosen)).map_err(|Missing(name)| name)
    }

    /// The text of the template as a URL: whatever does not come from a setting is percent-encoded, so
    /// that no request can choose another place than the one that is meant.
    ///
    /// # Errors
    /// What is missing, is no text, or is a step up (`..`).
    pub fn filled_url(&self, values: &Values<'_>) -> Result<String, String> {
        let chosen = values.settings.newest();
        let scope = values.scope(&chosen);
        let mut url = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => url.push_str(text),
                Part::Value(value) => {
                    let bytes = value.bytes(&scope).map_err(|Missing(name)| name)?;
                    let text = std::str::from_utf8(&bytes).map_err(|_| value.to_string())?;
                    match value.source() {
                        Source::Setting(_) => url.push_str(text),
                        _ if text.is_empty() || text == "." || text == ".." => {
                            return Err(value.to_string());
                        }
                        _ => url.push_str(&canonical::percent_encoded(text)),
                    }
                }
            }
        }
        Ok(url)
    }

    /// The settings that it reads, or takes keys from.
    pub fn settings(&self) -> impl Iterator<Item = &str> {
        self.values().flat_map(Expression::settings)
    }

    /// The names of the values that it asks for: `setting.tenant`, `client.secret`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values().filter_map(|value| value.text.split(['|', '?']).next()).map(str::trim)
    }

    /// The bytes of the template for this request.
    pub(super) fn bytes<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, [u8]>, Missing> {
        match self.parts.as_slice() {
            [] => Ok(Cow::Borrowed(b"")),
            [Part::Literal(text)] => Ok(Cow::Borrowed(text.as_bytes())),
            [Part::Value(value)] => value.bytes(scope),
            parts => {
                let mut whole = Vec::new();
                for part in parts {
                    match part {
                        Part::Literal(text) => whole.extend_from_slice(text.as_bytes()),
                        Part::Value(value) => whole.extend_from_slice(&value.bytes(scope)?),
                    }
                }
                Ok(Cow::Owned(whole))
            }
        }
    }

    /// The same as text; bytes that are not UTF-8 make it missing.
    pub(super) fn text<'a>(&'a self, scope: &Scope<'a>) -> Result<String, Missing> {
        String::from_utf8(self.bytes(scope)?.into_owned())
            .map_err(|_| Missing(format!("{self} as text")))
    }

    /// The first of `templates` whose values are all there and that is not empty.
    pub(super) fn first<'a>(templates: &'a [Template], scope: &Scope<'a>) -> Option<String> {
        templates.iter().find_map(|one| one.text(scope).ok().filter(|text| !text.is_empty()))
    }

    /// Whether it is the same text for every request.
    pub fn is_constant(&self) -> bool {
        self.values().next().is_none()
    }

    /// The values in it.
    pub(super) fn values(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value),
            Part::Literal(_) => None,
        })
    }
}

impl Expression {
    /// Reads what stands between braces: `json.payload.plainToken|hmac-sha256:secret|hex`.
    ///
    /// # Errors
    /// [`Mistake`] quotes the part that is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let (body, mut optional) = match text.strip_suffix('?') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let mut pieces = body.split('|');
        let mut name = pieces.next().unwrap_or_default();
        if let Some(inner) = name.strip_suffix('?') {
            (name, optional) = (inner, true);
        }
        let source = Source::parse(name).ok_or_else(|| Mistake::Value(name.trim().to_owned()))?;
        let filters = pieces
            .map(|piece| Filter::parse(piece).ok_or_else(|| Mistake::Filter(piece.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self { source, optional, filters, text: text.into() })
    }

    /// The bytes of the value for this request, after its filters.
    pub(super) fn bytes<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, [u8]>, Missing> {
        let mut value = match self.source.bytes(scope) {
            Some(value) => value,
            None if self.optional => Cow::Borrowed(&b""[..]),
            None => return Err(Missing(self.source.to_string())),
        };
        for filter in &self.filters {
            value = match filter.apply(value, scope) {
                Some(value) => value,
                None if self.optional => return Ok(Cow::Borrowed(b"")),
                None => return Err(Missing(self.text.to_string())),
            };
        }
        Ok(value)
    }

    /// The setting it reads, or takes a key from.
    pub(super) fn settings(&self) -> impl Iterator<Item = &str> {
        let source = match &self.source {
            Source::Setting(name) => Some(&**name),
            _ => None,
        };
        source.into_iter().chain(self.filters.iter().filter_map(Filter::key))
    }

    /// Whether it makes a MAC under a setting's key of something the caller sent.
    pub(super) fn is_keyed(&self) -> bool {
        self.filters.iter().any(Filter::is_keyed)
    }

    /// Whether it reads the same place as `other`, whatever filters either has.
    pub(super) fn same_source(&self, other: &Expression) -> bool {
        self.source == other.source
    }

    /// The header it reads.
    pub(super) fn header(&self) -> Option<&str> {
        match &self.source {
            Source::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Where the value comes from.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The filters, from left to right.
    pub(super) fn filters(&self) -> &[Filter] {
        &self.filters
    }
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        let path = |rest: &str| rest.split('.').map(Box::from).collect::<Vec<_>>();
        Some(match text {
            "body" => Self::Body,
            "method" => Self::Method,
            "url" => Self::Url,
            "path" => Self::Path,
            "query" => Self::Query,
            "base-url" => Self::BaseUrl,
            _ => match text.split_once('.') {
                Some((_, "")) => return None,
                Some(("callback", name)) => Self::Callback(name.into()),
                Some(("client" | "token" | "id_token" | "kept" | "target" | "subscription", _)) => {
                    Self::Given(text.into())
                }
                Some(("header", name)) => Self::Header(name.to_ascii_lowercase().into()),
                Some(("query", name)) => Self::QueryField(name.into()),
                Some(("form", name)) => Self::FormField(name.into()),
                Some(("json", rest)) => Self::Json(path(rest)),
                Some(("item", rest)) => Self::Item(path(rest)),
                Some(("claim", rest)) => Self::Claim(path(rest)),
                Some(("sig", name)) => Self::Signature(name.into()),
                Some(("let", name)) => Self::Let(name.into()),
                Some(("setting", name)) => Self::Setting(name.into()),
                _ => Self::Canonical(canonical::Form::parse(text)?),
            },
        })
    }

    fn bytes<'a>(&'a self, scope: &Scope<'a>) -> Option<Cow<'a, [u8]>> {
        let request = scope.request;
        let json = |text: &'a str, path: &[Box<str>]| {
            super::lookup::scalar(text, path).map(|found| match found {
                Cow::Borrowed(found) => Cow::Borrowed(found.as_bytes()),
                Cow::Owned(found) => Cow::Owned(found.into_bytes()),
            })
        };
        match self {
            Self::Body => Some(Cow::Borrowed(request.body)),
            Self::Method => Some(Cow::Borrowed(request.method.as_bytes())),
            Self::Url => Some(Cow::Borrowed(request.url.as_bytes())),
            Self::Path => Some(Cow::Borrowed(request.path().as_bytes())),
            Self::Query => Some(Cow::Borrowed(request.query().unwrap_or_default().as_bytes())),
            Self::BaseUrl => {
                request.url.split(['?', '#']).next().map(|u| Cow::Borrowed(u.as_bytes()))
            }
            Self::Let(name) | Self::Callback(name) | Self::Given(name) => {
                scope.own(name).map(Cow::Borrowed)
            }
            Self::Header(name) => request.header(name),
            Self::QueryField(name) => request.query_field(name).map(text_bytes),
            Self::FormField(name) => {
                request.form_field(name).map(|text| Cow::Borrowed(text.as_bytes()))
            }
            Self::Json(path) => json(request.text()?, path),
            Self::Item(path) => json(scope.item?, path),
            Self::Claim(path) => json(scope.claims?, path),
            Self::Signature(name) => scope
                .signature
                .iter()
                .find(|(found, _)| **found == **name)
                .map(|(_, value)| value.clone()),
            Self::Setting(name) => scope.settings.get(name).map(|v| Cow::Borrowed(v.as_bytes())),
            Self::Canonical(form) => form.bytes(request).map(Cow::Owned),
        }
    }
}

fn text_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("body"),
            Self::Method => f.write_str("method"),
            Self::Url => f.write_str("url"),
            Self::Path => f.write_str("path"),
            Self::Query => f.write_str("query"),
            Self::BaseUrl => f.write_str("url"),
            Self::Let(name) | Self::Given(name) => f.write_str(name),
            Self::Callback(name) => write!(f, "the callback's {name}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::QueryField(name) => write!(f, "query field {name}"),
            Self::FormField(name) => write!(f, "form field {name}"),
            Self::Json(path) => write!(f, "json field {}", path.join(".")),
            Self::Item(path) => write!(f, "item field {}", path.join(".")),
            Self::Claim(path) => write!(f, "claim {}", path.join(".")),
            Self::Signature(name) => write!(f, "{name} in the signature header"),
            Self::Setting(name) => write!(f, "setting {name}"),
            Self::Canonical(form) => write!(f, "{form}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Value(value) => write!(f, "{{{value}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> de::Deserialize<'de> for Template {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> de::Deserialize<'de> for Expression {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
