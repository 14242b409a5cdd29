//! The private key of a client: it signs client assertions (RFC 7523) and request objects (RFC 9101).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::jwa::Algorithm;
use crate::public_key::{der, pem};

/// What is wrong with the text of a private key; never says what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An algorithm with a shared key.
    #[error("nothing is signed with a shared key here")]
    Algorithm,
    /// Neither a private JWK nor a PEM block of a private key without a password.
    #[error("not a private jwk, nor an unencrypted `PRIVATE KEY` or `RSA PRIVATE KEY` in pem")]
    NotAKey,
    /// It says or is a key for another algorithm, its numbers do not belong together, or it is an RSA
    /// key of less than 2048 or more than 8192 bits.
    #[error("not a key for {}, or too short a one", .0.name())]
    Mismatch(Algorithm),
}

/// A private key for one algorithm. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey(Arc<Key>);

struct Key {
    algorithm: Algorithm,
    kid: String,
    /// The members of the public key that make its thumbprint (RFC 7638, 3.2).
    public: BTreeMap<&'static str, String>,
    pair: Pair,
}

pub(super) enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private JWK (RFC 7518, 6; RFC 8037, 2). It borrows from the text, so nothing is left behind.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    crv: Option<&'a str>,
    kid: Option<String>,
    alg: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
}

impl SigningKey {
    /// Reads a private JWK, or PKCS #8 (and PKCS #1 for RSA) in PEM.
    ///
    /// The key is named as the JWK says, else by its thumbprint (RFC 7638): where a provider knows it
    /// by another name, that has to be in a JWK.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn parse(text: &str, algorithm: Algorithm) -> Result<SigningKey, KeyError> {
        let public = algorithm.public().ok_or(KeyError::Algorithm)?;
        let text = text.trim();
        let (pair, kid) = if text.starts_with('{') {
            let jwk: Jwk<'_> = serde_json::from_str(text).map_err(|_| KeyError::NotAKey)?;
            let (kind, curve) = public.key_type();
            let is_named = |name: &str| Algorithm::from_name(name) == Some(algorithm);
            let fits = jwk.kty == kind && jwk.crv == curve && jwk.alg.is_none_or(is_named);
            let pair = fits.then(|| jwk.pair(algorithm)).flatten();
            (pair.ok_or(KeyError::Mismatch(algorithm))?, jwk.kid)
        } else {
            let whole = pem(text, "PRIVATE KEY").map(Zeroizing::new);
            let bare = pem(text, "RSA PRIVATE KEY").map(Zeroizing::new);
            let pair = match (whole, bare) {
                (Some(der), _) => from_pkcs8(&der, algorithm),
                (None, Some(der)) => rsa_encoding(algorithm).and_then(|encoding| {
                    Some(Pair::Rsa(RsaKeyPair::from_der(&der).ok()?, encoding))
                }),
                (None, None) => return Err(KeyError::NotAKey),
            };
            (pair.ok_or(KeyError::Mismatch(algorithm))?, None)
        };
        let public = pair.public(algorithm).ok_or(KeyError::Mismatch(algorithm))?;
        let kid = kid.unwrap_or_else(|| thumbprint(&public));
        Ok(SigningKey(Arc::new(Key { algorithm, kid, public, pair })))
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The public half as a JWK, to be registered at the provider.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = json!(self.0.public);
        jwk["kid"] = json!(self.0.kid);
        jwk["alg"] = json!(self.0.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// A compact token of this type over `claims`. The randomness that some algorithms take is the
    /// library's own. None if the library fails.
    pub fn sign(&self, typ: &str, claims: &Value) -> Option<String> {
        let Key { algorithm, kid, pair, .. } = &*self.0;
        let header = json!({"alg": algorithm.name(), "kid": kid, "typ": typ}).to_string();
        let mut token = BASE64URL_NOPAD.encode(header.as_bytes());
        token.push('.');
        BASE64URL_NOPAD.encode_append(claims.to_string().as_bytes(), &mut token);
        let signature = pair.sign(token.as_bytes())?;
        token.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Some(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.0.algorithm.name())
    }
}

impl Jwk<'_> {
    fn pair(&self, algorithm: Algorithm) -> Option<Pair> {
        let read = |field: Option<&str>| -> Option<Zeroizing<Vec<u8>>> {
            BASE64URL_NOPAD.decode(field?.as_bytes()).ok().map(Zeroizing::new)
        };
        let d = read(self.d)?;
        if let Some(encoding) = rsa_encoding(algorithm) {
            let components = KeyPairComponents {
                public_key: PublicKeyComponents { n: read(self.n)?, e: read(self.e)? },
                d,
                p: read(self.p)?,
                q: read(self.q)?,
                dP: read(self.dp)?,
                dQ: read(self.dq)?,
                qInv: read(self.qi)?,
            };
            let pair = RsaKeyPair::from_components(&components).ok()?;
            return Some(Pair::Rsa(pair, encoding));
        }
        let x = read(self.x)?;
        if let Some(curve) = curve(algorithm) {
            let point = [&[4][..], &x, &*read(self.y)?].concat();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(curve, &d, &point).ok()?;
            return Some(Pair::Ecdsa(pair));
        }
        Ed25519KeyPair::from_seed_and_public_key(&d, &x).ok().map(Pair::Ed25519)
    }
}

fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Option<Pair> {
    if let Some(encoding) = rsa_encoding(algorithm) {
        return Some(Pair::Rsa(RsaKeyPair::from_pkcs8(der).ok()?, encoding));
    }
    if let Some(curve) = curve(algorithm) {
        return EcdsaKeyPair::from_pkcs8(curve, der).ok().map(Pair::Ecdsa);
    }
    Ed25519KeyPair::from_pkcs8(der).ok().map(Pair::Ed25519)
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn curve(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => None,
    }
}

impl Pair {
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ecdsa(pair) => {
                Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// The members of its public half that make its thumbprint.
    fn public(&self, algorithm: Algorithm) -> Option<BTreeMap<&'static str, String>> {
        let (kind, curve) = algorithm.public()?.key_type();
        let mut members = BTreeMap::from([("kty", kind.to_owned())]);
        members.extend(curve.map(|curve| ("crv", curve.to_owned())));
        let numbers = match self {
            Self::Rsa(pair, _) => {
                let (modulus, exponent) = der::rsa_numbers(pair.public_key().as_ref())?;
                vec![("n", modulus), ("e", exponent)]
            }
            Self::Ecdsa(pair) => {
                let (_, point) = pair.public_key().as_ref().split_first()?;
                let (x, y) = point.split_at(point.len() / 2);
                vec![("x", x), ("y", y)]
            }
            Self::Ed25519(pair) => vec![("x", pair.public_key().as_ref())],
        };
        members.extend(numbers.into_iter().map(|(name, it)| (name, BASE64URL_NOPAD.encode(it))));
        Some(members)
    }
}

/// The thumbprint of a public key (RFC 7638, 3): its members in the order of their names.
fn thumbprint(public: &BTreeMap<&'static str, String>) -> String {
    let members: Vec<String> =
        public.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
    let json = format!("{{{}}}", members.join(","));
    BASE64URL_NOPAD.encode(digest(&SHA256, json.as_bytes()).as_ref())
}

/// The pair in the text of a private JWK, for tests that sign or write it otherwise.
#[cfg(test)]
pub(super) fn pair_of(jwk: &str, algorithm: Algorithm) -> Pair {
    serde_json::from_str::<Jwk<'_>>(jwk).unwrap().pair(algorithm).unwrap()
}
