//! A provider's public keys (RFC 7517).

use serde::Deserialize;
use serde_json::Value;

use crate::jwa::Algorithm;
use crate::public_key::{Jwk, PublicKey};

/// Keys that are tried for one token.
const TRIED: usize = 8;

/// A set of public keys; those that cannot verify a signature are left out.
#[derive(Clone, Debug)]
pub struct JwkSet(Vec<Entry>);

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: Jwk,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl Entry {
    /// Whether it may verify signatures (RFC 7517, 4.2 and 4.3).
    fn verifies(&self) -> bool {
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"))
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> Option<PublicKey> {
        let is_named = |name: &str| Algorithm::from_name(name) == Some(algorithm);
        if !self.alg.as_deref().is_none_or(is_named) {
            return None;
        }
        PublicKey::from_jwk(&self.key, algorithm.public()?)
    }
}

impl JwkSet {
    /// Reads a set (RFC 7517, 5). Keys of kinds that are not known are passed over, as it says there.
    /// None if it is no set at all.
    pub fn parse(json: &str) -> Option<JwkSet> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_str(json).ok()?;
        let entries = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Some(JwkSet(entries.filter(Entry::verifies).collect()))
    }

    /// Whether there is a key of this name.
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|entry| entry.key.kid.as_deref() == Some(kid))
    }

    /// The keys that may have made a signature: those of this name, or any if none is named.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = PublicKey> {
        let named = self
            .0
            .iter()
            .filter(move |entry| kid.is_none_or(|kid| entry.key.kid.as_deref() == Some(kid)));
        named.filter_map(move |entry| entry.for_algorithm(algorithm)).take(TRIED)
    }
}
