//! What a template can do to a value: digests, encodings, trimming.

use std::borrow::Cow;

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE, HEXUPPER};

use super::request::{Request, split_url};
use super::template::Scope;
use crate::base64::unbase64;
use crate::hash::Hash;

/// How a key is written that is no setting.
const LET: &str = "let.";

/// One step after a `|`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filter {
    Digest(Hash),
    /// HMAC with the newest value of the named setting as key, or with a value that the handshake
    /// names for itself.
    Hmac(Hash, Box<str>),
    /// A field of the JSON text that the value is.
    At(Vec<Box<str>>),
    Crc32,
    Hex,
    UpperHex,
    Base64,
    Base64Url,
    Unhex,
    Unbase64,
    Lower,
    Upper,
    Trim,
    Strip(Box<str>),
    Require(Box<str>),
    After(Box<str>),
    Before(Box<str>),
    Json,
    /// The values of the headers that a space-separated list names, joined by this text.
    Headers(Box<str>),
    WithPort,
    WithoutPort,
    UnescapeHubspot,
}

impl Filter {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((name, argument)) = text.split_once(':') {
            if argument.is_empty() {
                return None;
            }
            return Some(match name {
                "hmac-sha1" => Self::Hmac(Hash::Sha1, argument.into()),
                "hmac-sha256" => Self::Hmac(Hash::Sha256, argument.into()),
                "strip" => Self::Strip(argument.into()),
                "require" => Self::Require(argument.into()),
                "after" => Self::After(argument.into()),
                "before" => Self::Before(argument.into()),
                "at" => Self::At(argument.split('.').map(Box::from).collect()),
                "headers" => Self::Headers(argument.into()),
                _ => return None,
            });
        }
        Some(match text {
            "sha1" => Self::Digest(Hash::Sha1),
            "sha256" => Self::Digest(Hash::Sha256),
            "sha384" => Self::Digest(Hash::Sha384),
            "sha512" => Self::Digest(Hash::Sha512),
            "crc32" => Self::Crc32,
            "hex" => Self::Hex,
            "upper-hex" => Self::UpperHex,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "unhex" => Self::Unhex,
            "unbase64" => Self::Unbase64,
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "trim" => Self::Trim,
            "json" => Self::Json,
            "with-port" => Self::WithPort,
            "without-port" => Self::WithoutPort,
            "unescape-hubspot" => Self::UnescapeHubspot,
            _ => return None,
        })
    }

    /// The setting whose value is the key of a MAC.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Hmac(_, key) if !key.starts_with(LET) => Some(key),
            _ => None,
        }
    }

    /// Whether the result is a MAC.
    pub(super) fn is_keyed(&self) -> bool {
        matches!(self, Self::Hmac(..))
    }

    /// The value after this step; `None` if it cannot be taken.
    pub(super) fn apply<'a>(
        &self,
        value: Cow<'a, [u8]>,
        scope: &Scope<'_>,
    ) -> Option<Cow<'a, [u8]>> {
        let owned = |bytes: Vec<u8>| Some(Cow::Owned(bytes));
        match self {
            Self::Digest(hash) => owned(digest::digest(hash.digest(), &value).as_ref().to_vec()),
            Self::Hmac(hash, key) => {
                let key = match key.strip_prefix(LET) {
                    Some(name) => scope.own(name)?,
                    None => scope.settings.get(key)?.as_bytes(),
                };
                owned(hash.hmac(key, &value))
            }
            Self::At(path) => {
                let text = std::str::from_utf8(&value).ok()?;
                owned(super::lookup::scalar(text, path)?.into_owned().into_bytes())
            }
            Self::Crc32 => owned(crc32(&value).to_string().into_bytes()),
            Self::Hex => owned(HEXLOWER.encode(&value).into_bytes()),
            Self::UpperHex => owned(HEXUPPER.encode(&value).into_bytes()),
            Self::Base64 => owned(BASE64.encode(&value).into_bytes()),
            Self::Base64Url => owned(BASE64URL_NOPAD.encode(&value).into_bytes()),
            Self::Unhex => owned(HEXLOWER_PERMISSIVE.decode(&value).ok()?),
            Self::Unbase64 => {
                // Some write base64 in lines.
                let lines = value.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
                owned(unbase64(&lines.collect::<Vec<u8>>())?)
            }
            Self::Lower => owned(value.to_ascii_lowercase()),
            Self::Upper => owned(value.to_ascii_uppercase()),
            Self::Trim => owned(value.trim_ascii().to_vec()),
            Self::Strip(prefix) => match value.strip_prefix(prefix.as_bytes()) {
                Some(rest) => owned(rest.to_vec()),
                None => Some(value),
            },
            Self::Require(prefix) => owned(value.strip_prefix(prefix.as_bytes())?.to_vec()),
            Self::After(mark) => {
                let at = find(&value, mark.as_bytes())?;
                owned(value[at + mark.len()..].to_vec())
            }
            Self::Before(mark) => owned(value[..find(&value, mark.as_bytes())?].to_vec()),
            Self::Json => {
                let text = std::str::from_utf8(&value).ok()?;
                owned(serde_json::to_vec(text).ok()?)
            }
            Self::Headers(separator) => owned(headers(&value, separator, scope.request)?),
            Self::WithPort => owned(with_port(std::str::from_utf8(&value).ok()?).into_bytes()),
            Self::WithoutPort => {
                owned(without_port(std::str::from_utf8(&value).ok()?).into_bytes())
            }
            Self::UnescapeHubspot => owned(unescape_hubspot(&value)),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// CRC-32 as in IEEE 802.3 and zlib: reflected, polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !crc
}

fn headers(names: &[u8], separator: &str, request: &Request<'_>) -> Option<Vec<u8>> {
    let names = std::str::from_utf8(names).ok()?;
    let mut joined = Vec::new();
    for (index, name) in names.split_ascii_whitespace().enumerate() {
        if index > 0 {
            joined.extend_from_slice(separator.as_bytes());
        }
        joined.extend_from_slice(&request.header(&name.to_ascii_lowercase())?);
    }
    Some(joined)
}

/// The URL with the default port of its scheme written out, if it has none.
fn with_port(url: &str) -> String {
    let Some((scheme, authority, rest)) = split_url(url) else { return url.to_owned() };
    if has_port(authority) {
        return url.to_owned();
    }
    let port = if scheme == "http" { 80 } else { 443 };
    format!("{scheme}://{authority}:{port}{rest}")
}

/// The URL without any port.
fn without_port(url: &str) -> String {
    let Some((scheme, authority, rest)) = split_url(url) else { return url.to_owned() };
    if !has_port(authority) {
        return url.to_owned();
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    format!("{scheme}://{host}{rest}")
}

fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Decodes the escapes that `HubSpot`'s third signature version undoes before it signs.
///
/// Source: `HubSpot`, "Validating requests", version 3: the table of URL-encoded characters.
fn unescape_hubspot(url: &[u8]) -> Vec<u8> {
    const ESCAPES: [(&[u8; 3], u8); 14] = [
        (b"%3A", b':'),
        (b"%2F", b'/'),
        (b"%3F", b'?'),
        (b"%40", b'@'),
        (b"%21", b'!'),
        (b"%24", b'$'),
        (b"%27", b'\''),
        (b"%28", b'('),
        (b"%29", b')'),
        (b"%2A", b'*'),
        (b"%2C", b','),
        (b"%3B", b';'),
        (b"%3D", b'='),
        (b"%26", b'&'),
    ];
    let mut decoded = Vec::with_capacity(url.len());
    let mut rest = url;
    while let Some(first) = rest.first() {
        let escape = rest.get(..3).and_then(|three| {
            ESCAPES.iter().find(|(escape, _)| escape.eq_ignore_ascii_case(three))
        });
        match escape {
            Some((_, byte)) => {
                decoded.push(*byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(*first);
                rest = &rest[1..];
            }
        }
    }
    decoded
}
