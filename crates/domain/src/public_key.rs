//! Public keys in the forms that providers hand out: PEM, certificates, bare base64 or hex, JWK.

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519,
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::base64::unbase64;

/// A signature algorithm with its hash and encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature as DER.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-1, the signature as DER (eBay).
    EcdsaP256Sha1,
    /// ECDSA on P-256 with SHA-256, the signature as two numbers of 32 bytes (JWS, RFC 9421).
    #[serde(skip)]
    EcdsaP256Sha256Fixed,
    /// ECDSA on P-384 with SHA-384, the signature as two numbers of 48 bytes (JWS).
    #[serde(skip)]
    EcdsaP384Sha384Fixed,
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    RsaSha256,
    /// RSA with PKCS #1 v1.5 padding and SHA-512.
    RsaSha512,
    /// RSA with PKCS #1 v1.5 padding and SHA-1 (SNS, version 1).
    RsaSha1,
    /// RSA with PKCS #1 v1.5 padding and SHA-384 (JWS).
    #[serde(skip)]
    RsaSha384,
    /// RSA with PSS padding and SHA-256, the salt as long as the hash (JWS), as those below.
    #[serde(skip)]
    RsaPssSha256,
    /// With SHA-384.
    #[serde(skip)]
    RsaPssSha384,
    /// With SHA-512.
    #[serde(skip)]
    RsaPssSha512,
}

impl Algorithm {
    /// The key it takes: its type and its curve (RFC 7517, 4.1; RFC 7518, 6.2.1.1).
    pub(crate) fn key_type(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Ed25519 => ("OKP", Some("Ed25519")),
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha1 | Self::EcdsaP256Sha256Fixed => {
                ("EC", Some("P-256"))
            }
            Self::EcdsaP384Sha384Fixed => ("EC", Some("P-384")),
            Self::RsaSha256
            | Self::RsaSha512
            | Self::RsaSha1
            | Self::RsaSha384
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => ("RSA", None),
        }
    }

    fn verifier(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha1 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP256Sha256Fixed => &ECDSA_P256_SHA256_FIXED,
            Self::EcdsaP384Sha384Fixed => &ECDSA_P384_SHA384_FIXED,
            Self::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::RsaSha1 => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::RsaSha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
        }
    }
}

/// A parsed public key for one algorithm.
#[derive(Clone)]
pub(crate) struct PublicKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a key from any of the usual texts.
    pub(crate) fn parse(text: &str, algorithm: Algorithm) -> Option<Self> {
        let der = bytes(text)?;
        Self::from_der(&der, algorithm)
    }

    /// Reads a key from a certificate (PEM or DER in base64).
    pub(crate) fn from_certificate(text: &str, algorithm: Algorithm, now: i64) -> Option<Self> {
        let der = pem(text, "CERTIFICATE").or_else(|| unbase64(compact(text).as_bytes()))?;
        let certificate = der::certificate(&der)?;
        if now < certificate.not_before || now > certificate.not_after {
            return None;
        }
        Self::from_der(certificate.public_key, algorithm)
    }

    /// Reads a JSON web key (RFC 7517) that fits the algorithm.
    pub(crate) fn from_jwk(jwk: &Jwk, algorithm: Algorithm) -> Option<Self> {
        let field = |value: &Option<String>| unbase64(value.as_deref()?.as_bytes());
        let (kind, curve) = algorithm.key_type();
        if jwk.kty != kind || (curve.is_some() && jwk.crv.as_deref() != curve) {
            return None;
        }
        let bytes = match kind {
            "RSA" => der::rsa_public_key(&field(&jwk.n)?, &field(&jwk.e)?),
            "EC" => [&[4][..], &field(&jwk.x)?, &field(&jwk.y)?].concat(),
            _ => field(&jwk.x)?,
        };
        let key = ParsedPublicKey::new(algorithm.verifier(), bytes).ok()?;
        Some(Self { algorithm, key })
    }

    fn from_der(der: &[u8], algorithm: Algorithm) -> Option<Self> {
        let key = ParsedPublicKey::new(algorithm.verifier(), der).ok()?;
        Some(Self { algorithm, key })
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm != Algorithm::EcdsaP256Sha1 {
            return self.key.verify_sig(message, signature).is_ok();
        }
        // ECDSA signs the hash as a number. SHA-1's twenty bytes with twelve zeros before them are
        // the same number as a hash of 32 bytes, which is what the library verifies.
        let mut wide = [0; 32];
        wide[12..].copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, message).as_ref());
        Digest::import_less_safe(&wide, &SHA256)
            .is_ok_and(|digest| self.key.verify_digest_sig(&digest, signature).is_ok())
    }
}

/// Whether `text` is a public key in any form and for any algorithm.
pub(crate) fn check(text: &str) -> Option<()> {
    const ALL: [Algorithm; 3] =
        [Algorithm::Ed25519, Algorithm::EcdsaP256Sha256, Algorithm::RsaSha1];
    if text.contains("PRIVATE KEY") {
        return None;
    }
    let bytes = bytes(text)?;
    ALL.iter().any(|one| PublicKey::from_der(&bytes, *one).is_some()).then_some(())
}

/// The bytes of a key: inside PEM, a certificate, hex, or base64.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.starts_with("-----BEGIN") {
        if let Some(der) = pem(text, "CERTIFICATE") {
            return Some(der::certificate(&der)?.public_key.to_vec());
        }
        return pem(text, "PUBLIC KEY").or_else(|| pem(text, "RSA PUBLIC KEY"));
    }
    let text = compact(text.strip_prefix("whpk_").unwrap_or(text));
    if let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        return Some(bytes);
    }
    unbase64(text.as_bytes())
}

/// The text without white space.
fn compact(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

/// The bytes of the first PEM block with this label (RFC 7468).
pub(crate) fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let (_, rest) = text.split_once(&begin)?;
    let (inside, _) = rest.split_once(&format!("-----END {label}-----"))?;
    BASE64.decode(Zeroizing::new(compact(inside)).as_bytes()).ok()
}

/// A JSON web key; only the fields that a public key has.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Jwk {
    pub(crate) kty: String,
    pub(crate) kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A set of keys as a provider publishes it (RFC 7517, section 5).
#[derive(Debug, Deserialize)]
pub(crate) struct JwkSet {
    pub(crate) keys: Vec<Jwk>,
}

/// The little of DER that is needed: reading a certificate's key and dates, writing an RSA key.
pub(crate) mod der {
    const INTEGER: u8 = 0x02;
    pub(crate) const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xA0;
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;

    /// What a certificate says that matters here.
    pub(crate) struct Certificate<'a> {
        /// Whom it names: what is in its `RDNSequence`.
        pub(crate) subject: &'a [u8],
        /// The `SubjectPublicKeyInfo`, tag and length included.
        pub(super) public_key: &'a [u8],
        /// Seconds since 1970.
        pub(super) not_before: i64,
        pub(crate) not_after: i64,
    }

    /// Reads an X.509 certificate (RFC 5280, 4.1). Its signature is not checked: who may serve it
    /// is decided by the host it was fetched from, over TLS.
    pub(crate) fn certificate(bytes: &[u8]) -> Option<Certificate<'_>> {
        let (_, whole, _) = read(bytes, SEQUENCE)?;
        let (_, signed, _) = read(whole, SEQUENCE)?;
        let rest = read(signed, VERSION).map_or(signed, |(_, _, rest)| rest);
        let (_, _, rest) = read(rest, INTEGER)?; // serial number
        let (_, _, rest) = read(rest, SEQUENCE)?; // signature algorithm
        let (_, _, rest) = read(rest, SEQUENCE)?; // issuer
        let (_, validity, rest) = read(rest, SEQUENCE)?;
        let (_, subject, rest) = read(rest, SEQUENCE)?;
        let (public_key, _, _) = read(rest, SEQUENCE)?;
        let (not_before, dates) = time(validity)?;
        let (not_after, _) = time(dates)?;
        Some(Certificate { subject, public_key, not_before, not_after })
    }

    /// One value with this tag: itself with tag and length, its content, and what follows.
    pub(crate) fn read(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8], &[u8])> {
        if *bytes.first()? != tag {
            return None;
        }
        let first = *bytes.get(1)?;
        let (header, length) = match first {
            0..=0x7F => (2, usize::from(first)),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7F);
                let digits = bytes.get(2..2 + count)?;
                let length =
                    digits.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
                (2 + count, length)
            }
            _ => return None,
        };
        let end = header.checked_add(length)?;
        Some((bytes.get(..end)?, bytes.get(header..end)?, &bytes[end..]))
    }

    fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
        let (content, rest, century) = match read(bytes, UTC_TIME) {
            Some((_, content, rest)) => (content, rest, true),
            None => {
                let (_, content, rest) = read(bytes, GENERALIZED_TIME)?;
                (content, rest, false)
            }
        };
        let text = std::str::from_utf8(content).ok()?;
        let text = if century {
            // Two digits: 50 to 99 are the last century (RFC 5280, 4.1.2.5.1).
            let year: u8 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year >= 50 { "19" } else { "20" })
        } else {
            text.to_owned()
        };
        let part = |from: usize, to: usize| text.get(from..to);
        let rfc3339 = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14)?
        );
        Some((rfc3339.parse::<crate::time::Timestamp>().ok()?.seconds(), rest))
    }

    /// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros.
    pub(crate) fn rsa_numbers(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let bare = |number: &'_ [u8]| number.iter().position(|byte| *byte != 0);
        let (_, numbers, _) = read(bytes, SEQUENCE)?;
        let (_, modulus, rest) = read(numbers, INTEGER)?;
        let (_, exponent, _) = read(rest, INTEGER)?;
        Some((&modulus[bare(modulus)?..], &exponent[bare(exponent)?..]))
    }

    /// An `RSAPublicKey` (RFC 8017, A.1.1).
    pub(super) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let numbers = [integer(modulus), integer(exponent)].concat();
        tagged(SEQUENCE, &numbers)
    }

    fn integer(bytes: &[u8]) -> Vec<u8> {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let mut content = bytes[start..].to_vec();
        if content.first().is_none_or(|first| *first >= 0x80) {
            content.insert(0, 0);
        }
        tagged(INTEGER, &content)
    }

    fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        let length = content.len();
        if length < 0x80 {
            bytes.push(length as u8);
        } else {
            let digits: Vec<u8> =
                length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend_from_slice(&digits);
        }
        bytes.extend_from_slice(content);
        bytes
    }
}
