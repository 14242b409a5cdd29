//! Signature algorithms of JSON web signatures (RFC 7518, 3.1; RFC 8037, 3.1).
//!
//! Invariant: an algorithm either has a shared key or a public one, never both, so that a public
//! key cannot be used as an HMAC key. There is none without a key.

use serde::Deserialize;

use crate::hash::Hash;
use crate::public_key::Algorithm as KeyAlgorithm;

/// A signature algorithm, called as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    RS256,
    /// RSA with PKCS #1 v1.5 padding and SHA-384.
    RS384,
    /// RSA with PKCS #1 v1.5 padding and SHA-512.
    RS512,
    /// RSA with PSS padding and SHA-256.
    PS256,
    /// RSA with PSS padding and SHA-384.
    PS384,
    /// RSA with PSS padding and SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// EdDSA on Ed25519.
    EdDSA,
}

impl Algorithm {
    /// All with a public key, the ones to prefer first.
    pub const PUBLIC: [Algorithm; 9] = [
        Self::EdDSA,
        Self::ES256,
        Self::ES384,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    /// Reads a name as it stands in a header; also RFC 9864's name of Ed25519.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        let shared = [Self::HS256, Self::HS384, Self::HS512];
        Self::PUBLIC.into_iter().chain(shared).find(|algorithm| algorithm.name() == name)
    }

    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The hash in it; also what OpenID Connect makes `at_hash` with (Core, 3.1.3.6).
    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::HS256 | Self::RS256 | Self::PS256 | Self::ES256 => Hash::Sha256,
            Self::HS384 | Self::RS384 | Self::PS384 | Self::ES384 => Hash::Sha384,
            Self::HS512 | Self::RS512 | Self::PS512 | Self::EdDSA => Hash::Sha512,
        }
    }

    /// Whether whoever verifies could have signed: HMAC.
    pub fn is_shared(self) -> bool {
        self.shared().is_some()
    }

    /// The hash of an algorithm with a shared key.
    pub(crate) fn shared(self) -> Option<Hash> {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512).then(|| self.hash())
    }

    /// What verifies an algorithm with a public key.
    pub(crate) fn public(self) -> Option<KeyAlgorithm> {
        Some(match self {
            Self::HS256 | Self::HS384 | Self::HS512 => return None,
            Self::RS256 => KeyAlgorithm::RsaSha256,
            Self::RS384 => KeyAlgorithm::RsaSha384,
            Self::RS512 => KeyAlgorithm::RsaSha512,
            Self::PS256 => KeyAlgorithm::RsaPssSha256,
            Self::PS384 => KeyAlgorithm::RsaPssSha384,
            Self::PS512 => KeyAlgorithm::RsaPssSha512,
            Self::ES256 => KeyAlgorithm::EcdsaP256Sha256Fixed,
            Self::ES384 => KeyAlgorithm::EcdsaP384Sha384Fixed,
            Self::EdDSA => KeyAlgorithm::Ed25519,
        })
    }
}
