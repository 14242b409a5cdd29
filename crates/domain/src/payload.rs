//! A payload that is too large for a request: it is kept elsewhere for a while, and the receiver is
//! told where (the claim check of enterprise integration patterns).
//!
//! ```text
//! name  = hour in which it is last fetched (2026-11-23T10) / message's id - SHA-256 in hexadecimal
//! token = base64url(key's version (1) | end in seconds (8) | tag (32))
//! tag   = HMAC-SHA256(key, "ringback stored payload" | 0 | end (8) | name)
//! ```
//!
//! A name is made of what is kept, so attempts that follow one another keep one object, not several;
//! and of the hour in which the last URL to it ends, so that what nobody can fetch any more is found
//! without asking for anything but hours. Integers are big-endian.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;

use crate::{callback::UrlKeys, id::MessageId, time::Timestamp};

/// The header that says that the body only tells where the payload is.
pub const HEADER: &str = "ringback-payload";
/// What it says.
pub const STORED: &str = "stored";

/// Characters of an hour.
const HOUR: usize = 13;
const TAG: usize = 32;
const TOKEN: usize = 1 + 8 + TAG;
const LABEL: &[u8] = b"ringback stored payload\0";

/// What a receiver gets instead of a payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim<'a> {
    /// The event type.
    #[serde(rename = "type")]
    pub event_type: &'a str,
    /// When the message was accepted.
    pub timestamp: Timestamp,
    /// Where the payload is, for whoever has this URL.
    pub payload_url: &'a str,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub payload_sha256: &'a str,
    /// How many bytes it has.
    pub payload_size: usize,
    /// Its content type.
    pub content_type: &'a str,
    /// How its bytes are encoded, as the header of that name has it, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<&'a str>,
    /// Until when the URL opens it.
    pub expires_at: Timestamp,
}

/// The name of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    hour: String,
    message: MessageId,
    digest: [u8; 32],
}

impl Name {
    /// The name of a message's payload to which a URL is given that ends then.
    pub fn new(message: MessageId, payload: &[u8], end: Timestamp) -> Name {
        let hash = digest::digest(&digest::SHA256, payload);
        let digest = std::array::from_fn(|at| hash.as_ref()[at]);
        Name { hour: hour(end), message, digest }
    }

    /// Reads a name; none if it has never been one.
    pub fn parse(text: &str) -> Option<Name> {
        let (hour, rest) = text.split_once('/')?;
        let (message, digest) = rest.split_once('-')?;
        let (message, digest) = (message.parse().ok()?, HEXLOWER.decode(digest.as_bytes()).ok()?);
        let name = Name { hour: hour.to_owned(), message, digest: digest.try_into().ok()? };
        // There is one way to write it.
        (is_hour(hour) && name.to_string() == text).then_some(name)
    }

    /// SHA-256 of what is kept.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The same in hexadecimal digits.
    pub fn digest_text(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{}", self.hour, self.message, HEXLOWER.encode(&self.digest))
    }
}

/// Whether every URL to what is kept under this hour has ended.
pub fn is_over(hour: &str, now: Timestamp) -> bool {
    // Hours are compared as text: each part of them has as many digits as it may ever need.
    is_hour(hour) && hour < self::hour(now).as_str()
}

fn hour(at: Timestamp) -> String {
    at.to_string().chars().take(HOUR).collect()
}

fn is_hour(text: &str) -> bool {
    format!("{text}:00:00Z").parse::<Timestamp>().is_ok_and(|at| hour(at) == text)
}

/// What opens something that is kept, until it ends: it stands in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// When it ends; of its milliseconds nothing is kept.
    pub end: Timestamp,
    /// What it opens.
    pub name: Name,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// It has never been one.
    #[error("there is no such payload")]
    Unknown,
    /// It was one.
    #[error("this url has expired; the next attempt of the delivery brings another")]
    Over,
}

impl Link {
    /// What stands in a URL in front of the name; none if there is no key.
    pub fn token(&self, keys: &UrlKeys) -> Option<String> {
        let version = keys.first_turn()?.version;
        let tag = self.tag(keys, version)?;
        let mut bytes = Vec::with_capacity(TOKEN);
        bytes.push(version);
        bytes.extend_from_slice(&self.end.seconds().to_be_bytes());
        bytes.extend_from_slice(&tag);
        Some(BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads what was presented. A wrong tag takes as long as a right one.
    ///
    /// # Errors
    /// [`Shut`]: it opens nothing.
    pub fn read(keys: &UrlKeys, token: &str, name: &str, now: Timestamp) -> Result<Link, Shut> {
        let name = Name::parse(name).ok_or(Shut::Unknown)?;
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Shut::Unknown)?;
        let bytes: [u8; TOKEN] = bytes.try_into().map_err(|_| Shut::Unknown)?;
        let (version, rest) = (bytes[0], &bytes[1..]);
        let (end, tag) = rest.split_first_chunk::<8>().ok_or(Shut::Unknown)?;
        let end = i64::from_be_bytes(*end).checked_mul(1_000).ok_or(Shut::Unknown)?;
        let link = Link { end: Timestamp(end), name };
        let right = link.tag(keys, version).ok_or(Shut::Unknown)?;
        if verify_slices_are_equal(&right, tag).is_err() {
            return Err(Shut::Unknown);
        }
        if now < link.end { Ok(link) } else { Err(Shut::Over) }
    }

    fn tag(&self, keys: &UrlKeys, version: u8) -> Option<[u8; TAG]> {
        let end = self.end.seconds().to_be_bytes();
        let name = self.name.to_string();
        keys.mac(version, &[LABEL, &end, name.as_bytes()].concat()).map(|tag| *tag)
    }
}

/// When a URL ends that is given now; in whole seconds, as its token has it.
pub fn end(now: Timestamp, lifetime: Duration) -> Timestamp {
    Timestamp((now + lifetime).seconds() * 1_000)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::id::Id;

    const NOW: Timestamp = Timestamp(1_795_429_425_123);

    fn keys(byte: u8) -> UrlKeys {
        UrlKeys::new([(3, Zeroizing::new([byte; 32]))])
    }

    fn link() -> Link {
        let end = end(NOW, Duration::from_secs(900));
        let id = MessageId(Id { key: 1 << 40, shard: 0, nonce: 7 });
        Link { end, name: Name::new(id, b"payload", end) }
    }

    #[test]
    fn a_link_opens_what_it_names_until_it_ends() {
        let (link, keys) = (link(), keys(1));
        let (token, name) = (link.token(&keys).unwrap(), link.name.to_string());
        assert_eq!(Link::read(&keys, &token, &name, NOW), Ok(link.clone()));
        assert_eq!(Link::read(&keys, &token, &name, link.end), Err(Shut::Over));
    }

    #[test]
    fn a_link_that_was_changed_anywhere_opens_nothing() {
        let (link, keys) = (link(), keys(1));
        let (token, name) = (link.token(&keys).unwrap(), link.name.to_string());
        let swapped = |text: &str, at: usize| {
            let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
            format!("{}{other}{}", &text[..at], &text[at + 1..])
        };
        for at in 0..token.len() {
            let shut = Link::read(&keys, &swapped(&token, at), &name, NOW);
            assert_eq!(shut, Err(Shut::Unknown), "token, {at}");
        }
        for at in 0..name.len() {
            let shut = Link::read(&keys, &token, &swapped(&name, at), NOW);
            assert_eq!(shut, Err(Shut::Unknown), "name, {at}");
        }
        assert_eq!(Link::read(&self::keys(2), &token, &name, NOW), Err(Shut::Unknown));
    }

    #[test]
    fn a_name_is_that_of_its_bytes_and_of_its_hour() {
        let id = MessageId(Id { key: 1 << 40, shard: 0, nonce: 7 });
        let name = |payload: &[u8], at: i64| Name::new(id, payload, Timestamp(at)).to_string();
        assert_eq!(name(b"a", NOW.0), name(b"a", NOW.0 + 1_000));
        assert_ne!(name(b"a", NOW.0), name(b"b", NOW.0));
        assert_ne!(name(b"a", NOW.0), name(b"a", NOW.0 + 3_600_000));
        let text = name(b"a", NOW.0);
        assert_eq!(Name::parse(&text).unwrap().to_string(), text);
        for wrong in ["", "..", "2026-11-23T10", "../a-00", &format!("{text}0"), &text[1..]] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_can_still_be_fetched_is_not_over() {
        let end = end(NOW, Duration::from_secs(900));
        let hour = hour(end);
        assert!(!is_over(&hour, end));
        assert!(is_over(&hour, end + Duration::from_secs(3_600)));
        for other in ["lost+found", "", "2026-11-23", "2026-11-23T1", "0000-00-00T00"] {
            assert!(!is_over(other, end + Duration::from_secs(3_600)), "{other}");
        }
    }
}
