//! Signatures over webhooks, as [Standard Webhooks 1.0.0] defines them.
//!
//! What is signed is `id.timestamp.body`: the bytes of the body as they are sent, never a
//! re-serialised form of them. Two schemes: `v1` is HMAC-SHA256 with a secret both sides hold,
//! `v1a` is Ed25519, where the receiver holds only the public key. During a rotation a request
//! carries one signature per key, separated by spaces.
//!
//! Invariants:
//! - Verification decodes a candidate to bytes and requires the scheme's exact length before it
//!   compares anything, in constant time. A comparison up to the shorter length accepted an empty
//!   signature once (CVE-2024-21491).
//! - Neither an error nor a `Debug` output contains a byte of a secret.
//!
//! [Standard Webhooks 1.0.0]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The shortest HMAC secret accepted, in bytes: the least the specification allows.
pub const HMAC_MIN: usize = 24;

/// The longest HMAC secret accepted, in bytes.
///
/// The specification says 64; 75 is what 100 characters of base64 hold, the most that Svix-like
/// services accepted, and secrets are carried over from those.
pub const HMAC_MAX: usize = 75;

/// How far a timestamp may lie from `now` by default, in seconds, in either direction.
pub const DEFAULT_TOLERANCE_SECONDS: i64 = 300;

/// Candidates a signature header may carry.
///
/// A rotation needs a few; an attacker would like each of thousands to cost an Ed25519
/// verification.
pub const MAX_CANDIDATES: usize = 32;

const HMAC_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

const SEED_LEN: usize = 32;
const PUBLIC_LEN: usize = 32;

/// How a signature is made; its name is what stands before the comma in a signature header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HMAC-SHA256 with a shared secret.
    V1,
    /// Ed25519.
    V1a,
}

impl Scheme {
    /// The name on the wire: `v1` or `v1a`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }

    /// The length of this scheme's signatures, in bytes.
    fn signature_len(self) -> usize {
        match self {
            Self::V1 => 32,
            Self::V1a => 64,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "v1" => Some(Self::V1),
            "v1a" => Some(Self::V1a),
            _ => None,
        }
    }
}

/// What is wrong with the text of a key; never says what the text was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing was given, or only a prefix.
    #[error("the key is empty")]
    Empty,
    /// Not standard, padded base64 behind the prefix.
    #[error("the key is not padded standard base64, optionally after `whsec_`, `whsk_` or `whpk_`")]
    NotBase64,
    /// An HMAC secret of the wrong size.
    #[error("a secret has {HMAC_MIN} to {HMAC_MAX} bytes, this one has {len}")]
    SecretLength {
        /// Bytes found.
        len: usize,
    },
    /// An Ed25519 private key that is neither a seed nor seed and public key.
    #[error("an ed25519 private key has 32 bytes (seed) or 64 (seed and public key), not {len}")]
    PrivateLength {
        /// Bytes found.
        len: usize,
    },
    /// An Ed25519 public key of the wrong size.
    #[error("an ed25519 public key has 32 bytes, this one has {len}")]
    PublicLength {
        /// Bytes found.
        len: usize,
    },
    /// The second half of a private key is not the public key of the first.
    #[error("the public half of the ed25519 key does not belong to its seed")]
    Mismatch,
    /// The bytes are no point of the curve.
    #[error("the ed25519 key is not valid")]
    InvalidKey,
    /// A `whpk_` key where a signature must be made.
    #[error("a public key can verify but not sign")]
    PublicOnly,
}

/// A key that signs.
///
/// Parsed once and cheap to clone: what can be computed ahead of the first signature, is. The
/// bytes of the secret are overwritten when the last clone is dropped.
#[derive(Clone)]
pub struct SigningKey(Arc<Signing>);

enum Signing {
    Hmac { secret: Zeroizing<Vec<u8>>, key: Arc<hmac::Key> },
    Ed25519 { seed: Zeroizing<[u8; SEED_LEN]>, pair: Ed25519KeyPair },
}

impl SigningKey {
    /// Reads `whsec_<base64>`, bare base64 (both HMAC) or `whsk_<base64>` (Ed25519: the 32 bytes
    /// of the seed, optionally followed by the 32 of the public key).
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong without repeating the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.starts_with(PUBLIC_PREFIX) {
            return Err(KeyError::PublicOnly);
        }
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            return Self::ed25519(&decode(encoded)?);
        }
        Self::hmac(&decode(text.strip_prefix(HMAC_PREFIX).unwrap_or(text))?)
    }

    /// An HMAC-SHA256 key of [`HMAC_MIN`] to [`HMAC_MAX`] secret bytes.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`] for any other length.
    pub fn hmac(secret: &[u8]) -> Result<Self, KeyError> {
        if !(HMAC_MIN..=HMAC_MAX).contains(&secret.len()) {
            return Err(KeyError::SecretLength { len: secret.len() });
        }
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(Self(Arc::new(Signing::Hmac { secret: Zeroizing::new(secret.to_vec()), key })))
    }

    /// An Ed25519 key from the 32 random bytes it derives from (the seed of RFC 8032).
    ///
    /// # Errors
    /// [`KeyError::InvalidKey`] if the library refuses the seed; no seed is known to be.
    pub fn ed25519_from_seed(seed: [u8; SEED_LEN]) -> Result<Self, KeyError> {
        let seed = Zeroizing::new(seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| KeyError::InvalidKey)?;
        Ok(Self(Arc::new(Signing::Ed25519 { seed, pair })))
    }

    fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let length = || KeyError::PrivateLength { len: bytes.len() };
        if bytes.len() != SEED_LEN && bytes.len() != SEED_LEN + PUBLIC_LEN {
            return Err(length());
        }
        let (seed, public) = bytes.split_first_chunk::<SEED_LEN>().ok_or_else(length)?;
        let key = Self::ed25519_from_seed(*seed)?;
        if !public.is_empty() && key.public() != Some(public) {
            return Err(KeyError::Mismatch);
        }
        Ok(key)
    }

    /// The scheme this key signs with.
    pub fn scheme(&self) -> Scheme {
        match &*self.0 {
            Signing::Hmac { .. } => Scheme::V1,
            Signing::Ed25519 { .. } => Scheme::V1a,
        }
    }

    /// The secret as text: `whsec_<base64>`, or `whsk_<base64 of seed and public key>`.
    ///
    /// [`SigningKey::parse`] of it gives the same key.
    pub fn to_secret(&self) -> Zeroizing<String> {
        match &*self.0 {
            Signing::Hmac { secret, .. } => encode(HMAC_PREFIX, secret),
            Signing::Ed25519 { seed, pair } => {
                let mut bytes = Zeroizing::new([0; SEED_LEN + PUBLIC_LEN]);
                bytes[..SEED_LEN].copy_from_slice(seed.as_slice());
                bytes[SEED_LEN..].copy_from_slice(pair.public_key().as_ref());
                encode(PRIVATE_PREFIX, bytes.as_slice())
            }
        }
    }

    /// What a receiver needs to verify: `whpk_<base64>` for Ed25519.
    ///
    /// For HMAC that is the secret itself (`whsec_…`), hence the zeroizing string.
    pub fn to_verifying(&self) -> Zeroizing<String> {
        match self.public() {
            None => self.to_secret(),
            Some(public) => encode(PUBLIC_PREFIX, public),
        }
    }

    /// Appends `v1,<base64>` or `v1a,<base64>` for this message to `out`.
    ///
    /// `timestamp` is in Unix seconds and is that of the attempt. `id` must not contain a dot (the
    /// specification's rule; the ids made here never do), else two messages can share a signature.
    pub fn sign_into(&self, id: &str, timestamp: i64, body: &[u8], out: &mut String) {
        let head = Head::new(id, timestamp);
        out.push_str(self.scheme().as_str());
        out.push(',');
        match &*self.0 {
            Signing::Hmac { key, .. } => {
                BASE64.encode_append(mac(key, head.parts(), body).as_ref(), out);
            }
            Signing::Ed25519 { pair, .. } => {
                // Ed25519 reads the message twice, so it wants it in one piece.
                let message = head.join(body);
                BASE64.encode_append(pair.sign(&message).as_ref(), out);
            }
        }
    }

    fn public(&self) -> Option<&[u8]> {
        match &*self.0 {
            Signing::Hmac { .. } => None,
            Signing::Ed25519 { pair, .. } => Some(pair.public_key().as_ref()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.scheme().as_str())
    }
}

/// The value of a signature header: one signature per key, separated by spaces.
///
/// The newest key goes first; receivers try all. Without keys the value is empty.
pub fn signature_header(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    // `v1a,` and the base64 of 64 bytes, and the space.
    let mut header = String::with_capacity(keys.len() * 93);
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        key.sign_into(id, timestamp, body, &mut header);
    }
    header
}

/// Why a request is not accepted as genuine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The id is empty or contains a dot, with which the signed text is ambiguous.
    #[error("the webhook id is empty or contains a dot")]
    Id,
    /// The timestamp is not a whole number of seconds in plain decimal digits.
    #[error("the webhook timestamp is not a number of seconds")]
    Timestamp,
    /// Signed too long ago: perhaps a replay, perhaps a clock that is wrong.
    #[error("the webhook timestamp is {seconds} s in the past, more than is tolerated")]
    TooOld {
        /// Seconds before `now`.
        seconds: i64,
    },
    /// Signed too far in the future.
    #[error("the webhook timestamp is {seconds} s in the future, more than is tolerated")]
    TooNew {
        /// Seconds after `now`.
        seconds: i64,
    },
    /// More candidates than [`MAX_CANDIDATES`].
    #[error("the signature header carries more than {MAX_CANDIDATES} signatures")]
    TooManyCandidates,
    /// No candidate of the header was made over this message with a known key.
    #[error("no signature matches")]
    NoMatch,
}

/// Verifies signatures with any of several keys.
///
/// A verifier without keys refuses everything.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<VerifyingKey>,
    tolerance: i64,
}

#[derive(Clone)]
enum VerifyingKey {
    Hmac(Arc<hmac::Key>),
    Ed25519(Arc<ParsedPublicKey>),
}

impl Verifier {
    /// A verifier for the keys in `texts`: `whsec_…`, bare base64, `whpk_…` or `whsk_…`.
    ///
    /// # Errors
    /// [`KeyError`] of the first key that cannot be read.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        let keys = texts.into_iter().map(VerifyingKey::parse).collect::<Result<_, _>>()?;
        Ok(Self { keys, tolerance: DEFAULT_TOLERANCE_SECONDS })
    }

    /// Accepts timestamps up to `seconds` away from `now`, before and after.
    #[must_use]
    pub fn with_tolerance(mut self, seconds: u32) -> Self {
        self.tolerance = i64::from(seconds);
        self
    }

    /// Checks one request: its three header values, its body and the present Unix seconds.
    ///
    /// Every candidate is tried with every key of its scheme, whatever came before, so the time
    /// taken does not tell which one matched. Candidates of unknown schemes are passed over, as the
    /// specification asks.
    ///
    /// # Errors
    /// [`VerifyError`]; anything but `Ok` means the request is not to be trusted.
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: i64,
    ) -> Result<(), VerifyError> {
        if id.is_empty() || id.contains('.') {
            return Err(VerifyError::Id);
        }
        let timestamp = parse_timestamp(timestamp).ok_or(VerifyError::Timestamp)?;
        self.check_age(timestamp, now)?;
        let candidates = candidates(signatures)?;
        let head = Head::new(id, timestamp);
        let mut matched = false;
        for key in &self.keys {
            matched |= key.any_matches(&candidates, &head, body);
        }
        if matched { Ok(()) } else { Err(VerifyError::NoMatch) }
    }

    fn check_age(&self, timestamp: i64, now: i64) -> Result<(), VerifyError> {
        let age = now.saturating_sub(timestamp);
        if age > self.tolerance {
            return Err(VerifyError::TooOld { seconds: age });
        }
        if age < -self.tolerance {
            return Err(VerifyError::TooNew { seconds: age.saturating_neg() });
        }
        Ok(())
    }
}

impl From<&[SigningKey]> for Verifier {
    /// A verifier for what these keys sign.
    fn from(keys: &[SigningKey]) -> Self {
        let keys = keys.iter().filter_map(|key| VerifyingKey::of(key).ok()).collect();
        Self { keys, tolerance: DEFAULT_TOLERANCE_SECONDS }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish()
    }
}

impl VerifyingKey {
    fn parse(text: &str) -> Result<Self, KeyError> {
        match text.strip_prefix(PUBLIC_PREFIX) {
            Some(encoded) => Self::public(&decode(encoded)?),
            None => Self::of(&SigningKey::parse(text)?),
        }
    }

    fn of(key: &SigningKey) -> Result<Self, KeyError> {
        match &*key.0 {
            Signing::Hmac { key, .. } => Ok(Self::Hmac(Arc::clone(key))),
            Signing::Ed25519 { pair, .. } => Self::public(pair.public_key().as_ref()),
        }
    }

    fn public(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != PUBLIC_LEN {
            return Err(KeyError::PublicLength { len: bytes.len() });
        }
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyError::InvalidKey)?;
        Ok(Self::Ed25519(Arc::new(key)))
    }

    fn any_matches(&self, candidates: &[Candidate], head: &Head<'_>, body: &[u8]) -> bool {
        let mut matched = false;
        match self {
            Self::Hmac(key) => {
                let expected = mac(key, head.parts(), body);
                for candidate in of_scheme(candidates, Scheme::V1) {
                    matched |= verify_slices_are_equal(expected.as_ref(), candidate).is_ok();
                }
            }
            Self::Ed25519(key) => {
                let mut message = None;
                for candidate in of_scheme(candidates, Scheme::V1a) {
                    let message = message.get_or_insert_with(|| head.join(body));
                    matched |= key.verify_sig(message, candidate).is_ok();
                }
            }
        }
        matched
    }
}

/// A signature of a header, decoded, of the exact length of its scheme.
struct Candidate {
    scheme: Scheme,
    bytes: Vec<u8>,
}

fn of_scheme(candidates: &[Candidate], scheme: Scheme) -> impl Iterator<Item = &[u8]> {
    candidates.iter().filter(move |c| c.scheme == scheme).map(|c| c.bytes.as_slice())
}

/// The candidates of a header that could match at all: known scheme, valid base64, right length.
fn candidates(header: &str) -> Result<Vec<Candidate>, VerifyError> {
    let mut found = Vec::new();
    for (count, entry) in header.split(' ').filter(|entry| !entry.is_empty()).enumerate() {
        if count == MAX_CANDIDATES {
            return Err(VerifyError::TooManyCandidates);
        }
        found.extend(candidate(entry));
    }
    Ok(found)
}

fn candidate(entry: &str) -> Option<Candidate> {
    let (name, encoded) = entry.split_once(',')?;
    let scheme = Scheme::parse(name)?;
    // The length is checked before decoding: no attacker chooses how much is allocated.
    if encoded.len() != BASE64.encode_len(scheme.signature_len()) {
        return None;
    }
    let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
    (bytes.len() == scheme.signature_len()).then_some(Candidate { scheme, bytes })
}

/// Only the spelling that a number prints as: no sign, no leading zero, no blank. Otherwise two
/// header values could stand for one signed text.
fn parse_timestamp(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// What is signed before the body: `id.timestamp.`, the number spelled without allocating.
struct Head<'a> {
    id: &'a str,
    digits: [u8; 22],
    len: usize,
}

impl<'a> Head<'a> {
    fn new(id: &'a str, timestamp: i64) -> Self {
        // An i64 has at most 20 characters with its sign: it fits between the two dots.
        let mut digits = [0; 22];
        let mut rest = digits.as_mut_slice();
        let written = write!(rest, ".{timestamp}.");
        debug_assert!(written.is_ok(), "22 bytes hold any timestamp");
        let len = 22 - rest.len();
        Self { id, digits, len }
    }

    fn parts(&self) -> [&[u8]; 2] {
        [self.id.as_bytes(), &self.digits[..self.len]]
    }

    fn join(&self, body: &[u8]) -> Vec<u8> {
        let [id, middle] = self.parts();
        [id, middle, body].concat()
    }
}

fn mac(key: &hmac::Key, head: [&[u8]; 2], body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in head {
        context.update(part);
    }
    context.update(body);
    context.sign()
}

fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if encoded.is_empty() {
        return Err(KeyError::Empty);
    }
    BASE64.decode(encoded.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::NotBase64)
}

fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Sized ahead: growing would leave a copy of the secret behind in freed memory.
    let mut text =
        Zeroizing::new(String::with_capacity(prefix.len() + BASE64.encode_len(bytes.len())));
    text.push_str(prefix);
    BASE64.encode_append(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests;
