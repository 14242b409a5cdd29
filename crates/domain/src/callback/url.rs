//! What stands in a callback's URL: an id, and a secret that opens it.
//!
//! ```text
//! token  = id (27 base62 digits) | key's version (2 hexadecimal digits) | secret (43 of base64url)
//! secret = HMAC-SHA256(key, purpose | 0 | key (8) | shard (4) | nonce (8) | turn (4))
//! ```
//!
//! The secret is 256 bits and made of the id, so that asking again for the same callback gives the
//! same URL, and nothing that opens it is stored. A new turn makes another URL of the same callback
//! and closes the old one; a new version of the key is for those that are made from then on. The key
//! is used for nothing else, and each purpose has secrets of its own: who may wait may not answer.
//!
//! Integers are big-endian. The secret stands in the path and never in the query, to which gateways
//! append and which logs keep.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::hmac;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::id::{CallbackId, Id, Kind};

/// Digits of an id without its prefix.
const ID: usize = 27;
const VERSION: usize = 2;
/// 256 bits as base64url.
const SECRET: usize = 43;

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whoever has it may answer.
    Answer,
    /// Whoever has it may follow this callback, and change nothing.
    Wait,
    /// Whoever has it may tell the status that a browser brings from one that it made up.
    Status,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Answer => b"ringback callback answer",
            Purpose::Wait => b"ringback callback wait",
            Purpose::Status => b"ringback callback status",
        }
    }
}

/// Which of the URLs of a callback; stored with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The version of the key that it is made with.
    pub version: u8,
    /// Counts the URLs that were replaced.
    pub turn: u32,
}

/// The keys that make secrets, by version; the newest makes those of new callbacks.
#[derive(Clone)]
pub struct UrlKeys(BTreeMap<u8, hmac::Key>);

impl UrlKeys {
    /// Keys of 32 random bytes by their versions.
    pub fn new(keys: impl IntoIterator<Item = (u8, Zeroizing<[u8; 32]>)>) -> UrlKeys {
        let key = |bytes: &[u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        UrlKeys(keys.into_iter().map(|(version, bytes)| (version, key(&bytes))).collect())
    }

    /// The first turn of a callback that is made now; none if there is no key.
    pub fn first_turn(&self) -> Option<Turn> {
        self.0.keys().last().map(|version| Turn { version: *version, turn: 0 })
    }

    /// What tells the keys apart and opens nothing, by their versions.
    pub fn fingerprints(&self) -> impl Iterator<Item = (u8, [u8; 32])> {
        self.0.iter().map(|(version, key)| {
            let tag = hmac::sign(key, b"ringback callback fingerprint");
            let mut fingerprint = [0; 32];
            fingerprint.copy_from_slice(tag.as_ref());
            (*version, fingerprint)
        })
    }

    /// What stands in the URL of a callback; none if the key of its turn is gone.
    pub fn token(&self, purpose: Purpose, id: CallbackId, turn: Turn) -> Option<Token> {
        let secret = self.secret(purpose, id.0, turn)?;
        let id = id.0.text(Kind::Callback);
        let id = id.strip_prefix(Kind::Callback.prefix())?;
        let (version, secret) =
            (HEXLOWER.encode(&[turn.version]), BASE64URL_NOPAD.encode(secret.as_ref()));
        Some(Token(Zeroizing::new(format!("{id}{version}{secret}"))))
    }

    /// Whether what was presented opens the callback at this turn. Takes as long for a wrong secret
    /// as for the right one.
    pub fn opens(&self, purpose: Purpose, presented: &Presented, turn: Turn) -> bool {
        let message = message(purpose, presented.id.0, turn);
        let key = self.0.get(&turn.version);
        let is_right =
            key.is_some_and(|key| hmac::verify(key, &message, &presented.secret).is_ok());
        is_right && presented.version == turn.version
    }

    /// The tag of a message that is no callback's; none if there is no such key.
    pub(crate) fn mac(&self, version: u8, message: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let tag = hmac::sign(self.0.get(&version)?, message);
        tag.as_ref().try_into().ok().map(Zeroizing::new)
    }

    fn secret(&self, purpose: Purpose, id: Id, turn: Turn) -> Option<hmac::Tag> {
        let key = self.0.get(&turn.version)?;
        Some(hmac::sign(key, &message(purpose, id, turn)))
    }
}

impl fmt::Debug for UrlKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlKeys").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

fn message(purpose: Purpose, id: Id, turn: Turn) -> Vec<u8> {
    let mut message = purpose.label().to_vec();
    message.push(0);
    message.extend(id.key.to_be_bytes());
    message.extend(id.shard.to_be_bytes());
    message.extend(id.nonce.to_be_bytes());
    message.extend(turn.turn.to_be_bytes());
    message
}

/// What stands in a URL. Never shown by [`fmt::Debug`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The text, for the URL alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What came in a URL: a claim until [`UrlKeys::opens`] has said so.
pub struct Presented {
    /// The callback that it names.
    pub id: CallbackId,
    version: u8,
    secret: [u8; 32],
}

impl Presented {
    /// Reads what stands in a URL; none if it has never been one.
    pub fn parse(text: &str) -> Option<Presented> {
        if text.len() != ID + VERSION + SECRET || !text.is_ascii() {
            return None;
        }
        let (id, rest) = text.split_at(ID);
        let (version, secret) = rest.split_at(VERSION);
        let id = format!("{}{id}", Kind::Callback.prefix());
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).ok()?;
        Some(Presented {
            id: id.parse().ok()?,
            version: *HEXLOWER.decode(version.as_bytes()).ok()?.first()?,
            secret: secret.try_into().ok()?,
        })
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(versions: &[u8]) -> UrlKeys {
        UrlKeys::new(versions.iter().map(|version| (*version, Zeroizing::new([*version; 32]))))
    }

    fn id(nonce: u64) -> CallbackId {
        CallbackId(Id { key: 1 << 40, shard: 3, nonce })
    }

    fn token(keys: &UrlKeys, id: CallbackId, turn: Turn) -> String {
        keys.token(Purpose::Answer, id, turn).unwrap().as_str().to_owned()
    }

    #[test]
    fn the_same_callback_has_the_same_url_and_it_opens() {
        let keys = keys(&[1, 7]);
        let turn = keys.first_turn().unwrap();
        assert_eq!(turn, Turn { version: 7, turn: 0 });
        let text = token(&keys, id(5), turn);
        assert_eq!(text.len(), 72);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(text, token(&keys, id(5), turn));
        let presented = Presented::parse(&text).unwrap();
        assert_eq!(presented.id, id(5));
        assert!(keys.opens(Purpose::Answer, &presented, turn));
        // The newest key does not close what an older one has made.
        assert!(self::keys(&[7, 9]).opens(Purpose::Answer, &presented, turn));
        assert_eq!(self::keys(&[9]).token(Purpose::Answer, id(5), turn), None);
    }

    #[test]
    fn nothing_else_opens_it() {
        let keys = keys(&[1, 2]);
        let turn = Turn { version: 2, turn: 1 };
        let presented = Presented::parse(&token(&keys, id(5), turn)).unwrap();
        assert!(!keys.opens(Purpose::Wait, &presented, turn), "who may answer may not wait");
        for other in [Turn { version: 1, turn: 1 }, Turn { version: 2, turn: 0 }] {
            assert!(!keys.opens(Purpose::Answer, &presented, other), "{other:?}");
        }
        let (mine, theirs) = (token(&keys, id(5), turn), token(&keys, id(6), turn));
        let (at, swapped) = (ID, format!("{}{}", &mine[..ID], &theirs[ID..]));
        let swapped = Presented::parse(&swapped).unwrap();
        assert!(!keys.opens(Purpose::Answer, &swapped, turn));
        for wrong in at + VERSION..mine.len() {
            let other = if mine.as_bytes()[wrong] == b'A' { "B" } else { "A" };
            let text = format!("{}{other}{}", &mine[..wrong], &mine[wrong + 1..]);
            let opens = |presented| keys.opens(Purpose::Answer, &presented, turn);
            assert!(!Presented::parse(&text).is_some_and(opens), "at {wrong}");
        }
    }

    #[test]
    fn what_was_never_a_url_is_none() {
        let good = token(&keys(&[1]), id(5), Turn { version: 1, turn: 0 });
        assert!(Presented::parse(&good).is_some());
        let with =
            |at: usize, text: &str| format!("{}{text}{}", &good[..at], &good[at + text.len()..]);
        for wrong in [
            String::new(),
            good[1..].to_owned(),
            format!("{good}A"),
            with(0, "-"),
            with(0, "zzzzzzzzzzzzzzzzzzzzzzzzzzz"),
            with(ID, "0X"),
            with(ID, "AB"),
            with(ID + VERSION, "!"),
            with(70, "é"),
            "é".repeat(36),
        ] {
            assert!(Presented::parse(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let keys = keys(&[1]);
        let turn = Turn { version: 1, turn: 0 };
        let token = keys.token(Purpose::Wait, id(5), turn).unwrap();
        let presented = Presented::parse(token.as_str()).unwrap();
        let secret = &token.as_str()[ID..];
        for shown in [format!("{token:?}"), format!("{presented:?}"), format!("{keys:?}")] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
