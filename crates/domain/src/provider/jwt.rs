//! JSON web tokens (RFC 7519) in compact form, as providers send them: attached or detached.
//!
//! Invariant: the algorithm is one of those the provider's file names, never simply the one that
//! the token asks for, and a public key is never used as an HMAC key.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::verdict::Reason;
pub(super) use crate::jwa::Algorithm;
use crate::public_key::{Jwk, JwkSet, PublicKey};

/// Keys of a set that are tried where none is named.
pub(super) const MAX_KEYS: usize = 8;

/// The protected header (RFC 7515, 4).
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    crit: Vec<String>,
    b64: Option<bool>,
}

/// A token taken apart; nothing about it is believed yet.
pub(super) struct Token {
    algorithm: Algorithm,
    kid: Option<String>,
    /// The protected header as JSON text.
    pub(super) header: String,
    /// The payload as JSON text; empty if it is detached.
    pub(super) claims: String,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// The key a token is held against.
pub(super) enum Key<'a> {
    /// A shared one, or the text of a public key, by the token's algorithm.
    Configured(&'a [u8]),
    /// A fetched set of keys (RFC 7517) as JSON text.
    Set(&'a str),
}

impl Token {
    /// Takes a compact token apart. `detached` is the payload that it leaves out.
    pub(super) fn parse(
        text: &str,
        allowed: &[Algorithm],
        detached: Option<&[u8]>,
    ) -> Result<Self, Reason> {
        let malformed = |what: &str| Reason::Malformed(format!("the token {what}"));
        let mut parts = text.trim().splitn(3, '.');
        let (Some(header), Some(payload), Some(signature)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("does not have three parts"));
        };
        let decode = |part: &str| {
            BASE64URL_NOPAD
                .decode(part.trim_end_matches('=').as_bytes())
                .map_err(|_| malformed("is not base64url"))
        };
        let text_of =
            |part: &str| String::from_utf8(decode(part)?).map_err(|_| malformed("is not text"));
        let header_text = text_of(header)?;
        let parsed: Header =
            serde_json::from_str(&header_text).map_err(|_| malformed("has no readable header"))?;
        if parsed.crit.iter().any(|name| name != "b64") {
            return Err(malformed("has a critical header that is not understood"));
        }
        let algorithm = allowed
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == parsed.alg)
            .ok_or(Reason::Algorithm)?;
        let signature = decode(signature)?;
        let (claims, signed) = match detached {
            None => (text_of(payload)?, format!("{header}.{payload}").into_bytes()),
            Some(_) if !payload.is_empty() => return Err(malformed("is not detached")),
            Some(body) if parsed.b64 == Some(false) => {
                (String::new(), [header.as_bytes(), b".", body].concat())
            }
            Some(body) => {
                let payload = BASE64URL_NOPAD.encode(body);
                (String::new(), format!("{header}.{payload}").into_bytes())
            }
        };
        Ok(Self { algorithm, kid: parsed.kid, header: header_text, claims, signed, signature })
    }

    /// Checks the signature.
    pub(super) fn check(&self, key: &Key<'_>) -> Result<(), Reason> {
        if let Some(hash) = self.algorithm.shared() {
            let Key::Configured(key) = key else { return Err(Reason::Algorithm) };
            let expected = hash.hmac(key, &self.signed);
            return verify_slices_are_equal(&expected, &self.signature)
                .map_err(|_| Reason::SignatureMismatch);
        }
        let public = self.algorithm.public().ok_or(Reason::Algorithm)?;
        let fits = |key: PublicKey| key.verifies(&self.signed, &self.signature);
        match key {
            Key::Configured(text) => {
                let text = std::str::from_utf8(text).map_err(|_| Reason::KeyUnavailable)?;
                let key = PublicKey::parse(text, public).ok_or(Reason::KeyUnavailable)?;
                if fits(key) { Ok(()) } else { Err(Reason::SignatureMismatch) }
            }
            Key::Set(json) => {
                let set: JwkSet = serde_json::from_str(json).map_err(|_| Reason::KeyUnavailable)?;
                let mut candidates: Vec<&Jwk> = match &self.kid {
                    Some(kid) => {
                        set.keys.iter().filter(|key| key.kid.as_ref() == Some(kid)).collect()
                    }
                    None => set.keys.iter().collect(),
                };
                if candidates.is_empty() {
                    return Err(Reason::UnknownKey);
                }
                candidates.truncate(MAX_KEYS);
                let found = candidates
                    .into_iter()
                    .filter_map(|jwk| PublicKey::from_jwk(jwk, public))
                    .any(fits);
                if found { Ok(()) } else { Err(Reason::SignatureMismatch) }
            }
        }
    }
}

/// A compact token over `claims`, signed with a shared key.
pub(super) fn sign(algorithm: Algorithm, claims: &str, key: &[u8]) -> Option<String> {
    let hash = algorithm.shared()?;
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, algorithm.name());
    let signed = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let signature = BASE64URL_NOPAD.encode(&hash.hmac(key, signed.as_bytes()));
    Some(format!("{signed}.{signature}"))
}
