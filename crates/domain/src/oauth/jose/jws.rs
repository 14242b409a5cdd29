//! Compact signatures (RFC 7515), held against a key.
//!
//! Invariants:
//! - The algorithm is one of those that the caller allows, never simply the one that the token asks
//!   for (RFC 8725, 3.1); a public key is never an HMAC key, because a [`VerifyKey`] is one or the
//!   other.
//! - Keys and addresses of keys that a token brings itself (`jwk`, `jku`, `x5c`, `x5u`) are never
//!   looked at.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64URL_NOPAD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::jwk::JwkSet;
use crate::jwa::Algorithm;

/// What a token is held against.
#[derive(Clone, Copy)]
pub enum VerifyKey<'a> {
    /// A provider's public keys.
    Set(&'a JwkSet),
    /// The client's secret. As many bytes as the hash has at least (RFC 7518, 3.2).
    Secret(&'a [u8]),
}

/// A token whose signature is right. What it says may still be about somebody else.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The protected header.
    pub header: Map<String, Value>,
    /// What it says.
    pub claims: Map<String, Value>,
}

/// Why a token proves nothing. Says nothing of what is in it but the name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// It is no compact token, or what is in it cannot be read one way alone.
    #[error("the token {0}")]
    Malformed(&'static str),
    /// It is not signed in a way that is allowed, or not in one that goes with the key.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// It is another kind of token (RFC 8725, 3.11).
    #[error("the token is of another type")]
    Type,
    /// Its header asks for what is not understood (RFC 7515, 4.1.11; RFC 7797).
    #[error("the token has a critical header that is not understood")]
    Critical,
    /// None of the keys can have signed it. The set may have changed: fetch it anew, but not often.
    #[error("no key at hand can have signed the token")]
    UnknownKey {
        /// The key that it names.
        kid: Option<String>,
    },
    /// It was not signed by the key that it names.
    #[error("the signature of the token does not match")]
    Signature,
}

/// Checks who signed a token of type `JWT`, and reads its claims.
///
/// `allowed` is what the provider's metadata or file says, less what nobody should use.
///
/// # Errors
/// [`JoseError`]; then nothing of it is to be believed.
pub fn verify(
    token: &str,
    allowed: &[Algorithm],
    key: &VerifyKey<'_>,
) -> Result<Verified, JoseError> {
    let Opened { algorithm, header, payload } = open(token, allowed, key)?;
    // "JWT" is what most write; `application/` may be left out (RFC 7515, 4.1.9).
    let is_plain = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == "jwt"
    };
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) if is_plain(typ) => {}
        Some(_) => return Err(JoseError::Type),
    }
    let claims = object(&payload).ok_or(JoseError::Malformed("has no readable claims"))?;
    Ok(Verified { algorithm, header, claims })
}

/// What was signed.
pub(super) struct Opened {
    algorithm: Algorithm,
    header: Map<String, Value>,
    pub(super) payload: Vec<u8>,
}

pub(super) fn open(
    token: &str,
    allowed: &[Algorithm],
    key: &VerifyKey<'_>,
) -> Result<Opened, JoseError> {
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(JoseError::Malformed("does not have three parts"));
    };
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let decode = |part: &str| {
        BASE64URL_NOPAD
            .decode(part.as_bytes())
            .map_err(|_| JoseError::Malformed("is not base64url without padding"))
    };
    let header = object(&decode(header)?).ok_or(JoseError::Malformed("has no readable header"))?;
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(JoseError::Critical);
    }
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
    let algorithm =
        algorithm.filter(|algorithm| allowed.contains(algorithm)).ok_or(JoseError::Algorithm)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err(JoseError::Malformed("has a key id that is no text")),
    };
    check(key, algorithm, kid, signed, &decode(signature)?)?;
    Ok(Opened { algorithm, header, payload: decode(payload)? })
}

fn check(
    key: &VerifyKey<'_>,
    algorithm: Algorithm,
    kid: Option<String>,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), JoseError> {
    match (key, algorithm.shared()) {
        (VerifyKey::Secret(secret), Some(hash)) if secret.len() >= hash.len() => {
            let expected = hash.hmac(secret, signed);
            verify_slices_are_equal(&expected, signature).map_err(|_| JoseError::Signature)
        }
        (VerifyKey::Set(set), None) => {
            let mut tried = 0;
            for key in set.candidates(kid.as_deref(), algorithm) {
                if key.verifies(signed, signature) {
                    return Ok(());
                }
                tried += 1;
            }
            // Without a name, a key that is not at hand may have made it.
            if kid.is_none() || tried == 0 {
                return Err(JoseError::UnknownKey { kid });
            }
            Err(JoseError::Signature)
        }
        _ => Err(JoseError::Algorithm),
    }
}

/// A JSON object in which no member comes twice: readers differ in which of them counts.
fn object(json: &[u8]) -> Option<Map<String, Value>> {
    struct Unique(Map<String, Value>);

    impl<'de> Deserialize<'de> for Unique {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Members;

            impl<'de> Visitor<'de> for Members {
                type Value = Unique;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                    let mut members = Map::new();
                    while let Some((name, value)) = map.next_entry()? {
                        if members.insert(name, value).is_some() {
                            return Err(de::Error::custom("a member comes twice"));
                        }
                    }
                    Ok(Unique(members))
                }
            }

            deserializer.deserialize_map(Members)
        }
    }

    serde_json::from_slice(json).ok().map(|Unique(members)| members)
}
