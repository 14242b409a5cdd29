//! Secrets at rest: what is written to the store is sealed with a key the store does not hold.
//!
//! ```text
//! sealed          = version (1) | key id (8) | nonce (12) | ciphertext | tag (16)
//! associated data = version (1) | key id (8) | environment (8) | owner (8) | purpose
//! ```
//!
//! AES-256-GCM; integers are big-endian. The associated data ties a ciphertext to its place: one
//! copied to another environment, endpoint or column does not open there.
//!
//! Invariants:
//! - A nonce is random and used once. With random 96-bit nonces a key stays safe for 2³² seals
//!   (NIST SP 800-38D, section 8.3); a secret is sealed when it is set, so no ring gets near that.
//! - The key id is a fingerprint of the key, so a wrong key is a clear error and not a mystery.
//! - Rotation: the new key goes to the front of the ring, while it is in use; the old ones stay behind
//!   it to open.

use std::{
    fmt,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

/// The version of the format that [`Keyring::seal`] writes.
const VERSION: u8 = 1;

const ID_LEN: usize = 8;
const HEAD_LEN: usize = 1 + ID_LEN + NONCE_LEN;
const MASTER_LEN: usize = 32;
const MASTER_PREFIX: &str = "rbk_";

/// The first 8 bytes of a hash over a key: names the key, tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_LEN]);

impl KeyId {
    fn of(key: &[u8; MASTER_LEN]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        // The label keeps this hash apart from every other use the key may find.
        context.update(b"ringback master key id\0");
        context.update(key);
        let hash = context.finish();
        Self(std::array::from_fn(|i| hash.as_ref()[i]))
    }

    /// How everything begins that this key has sealed.
    pub fn head(self) -> Vec<u8> {
        [&[VERSION], self.0.as_slice()].concat()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The text is no master key; never says what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Neither of the accepted encodings.
    #[error("the master key is not `rbk_` and base64url, nor base64, nor hexadecimal")]
    Encoding,
    /// Readable, but of the wrong size.
    #[error("a master key has {MASTER_LEN} bytes, this one has {len}")]
    Length {
        /// Bytes found.
        len: usize,
    },
}

/// The 256-bit key that seals; overwritten when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; MASTER_LEN]>);

impl MasterKey {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; MASTER_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads `rbk_` and base64url without padding, or plain base64, or 64 hexadecimal digits.
    ///
    /// Blanks around it are passed over: keys come from files that end with a line break.
    ///
    /// # Errors
    /// [`MasterKeyError`] without the text.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let bytes = match text.strip_prefix(MASTER_PREFIX) {
            Some(encoded) => BASE64URL_NOPAD.decode(encoded.as_bytes()),
            // 64 characters are hexadecimal first: as base64 they would be 48 bytes.
            None if text.len() == MASTER_LEN * 2 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            None => BASE64.decode(text.as_bytes()),
        };
        let bytes = Zeroizing::new(bytes.map_err(|_| MasterKeyError::Encoding)?);
        let key = bytes.as_slice().try_into();
        key.map(Self::new).map_err(|_| MasterKeyError::Length { len: bytes.len() })
    }

    /// The form to keep: `rbk_` and base64url.
    pub fn to_text(&self) -> Zeroizing<String> {
        let capacity = MASTER_PREFIX.len() + BASE64URL_NOPAD.encode_len(MASTER_LEN);
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        text.push_str(MASTER_PREFIX);
        BASE64URL_NOPAD.encode_append(self.0.as_slice(), &mut text);
        text
    }

    /// The name under which this key appears in what it sealed.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, redacted)", self.id())
    }
}

/// Where a sealed value belongs; it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The row key of the environment.
    pub environment: i64,
    /// The row key of what owns the value: an endpoint, or 0 for the environment itself.
    pub owner: i64,
    /// What the value is, such as `endpoint-secret`, `endpoint-headers`, `idempotent-response`.
    pub purpose: &'a str,
}

impl Context<'_> {
    /// Unambiguous, because only the last part varies in length.
    fn associated_data(&self, id: KeyId) -> Vec<u8> {
        let [environment, owner] = [self.environment.to_be_bytes(), self.owner.to_be_bytes()];
        [&[VERSION], id.0.as_slice(), &environment, &owner, self.purpose.as_bytes()].concat()
    }
}

/// Why a sealed value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short to be anything that was sealed.
    #[error("the sealed value is cut short")]
    Short,
    /// Written by a later release.
    #[error("the sealed value has format {0}, this release reads format {VERSION}")]
    Version(u8),
    /// The ring lacks the key.
    #[error("the value was sealed with key {sealed_with}, the keys at hand are {at_hand}")]
    UnknownKey {
        /// The key it needs.
        sealed_with: KeyId,
        /// The keys of the ring, separated by commas.
        at_hand: String,
    },
    /// The key is right, the value or its place is not.
    #[error("the sealed value was altered, or belongs to another place")]
    Altered,
}

/// The plaintext could not be sealed: the cipher takes at most 64 GiB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is too long to be sealed")]
pub struct SealError;

/// The keys of a process: the first seals, all open.
pub struct Keyring {
    /// Never empty; the first is the current one. Behind a lock, because a new one comes to the front
    /// while everybody seals and opens.
    keys: RwLock<Vec<(KeyId, LessSafeKey)>>,
}

impl Keyring {
    /// A ring that seals with `current` and still opens what any of `previous` sealed.
    pub fn new<'a>(current: &MasterKey, previous: impl IntoIterator<Item = &'a MasterKey>) -> Self {
        let previous = previous.into_iter().filter_map(usable);
        Self { keys: RwLock::new(usable(current).into_iter().chain(previous).collect()) }
    }

    /// Seals with this key from now on; those that are there still open what they have sealed.
    pub fn lead(&self, key: &MasterKey) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|(id, _)| *id != key.id());
        keys.splice(0..0, usable(key));
    }

    /// The keys, the one that seals first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().iter().map(|(id, _)| *id).collect()
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<(KeyId, LessSafeKey)>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `sealed` was made with the current key; otherwise a rotation still has to reseal it.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys().first().is_some_and(|(id, _)| key_id(sealed).as_ref() == Ok(id))
    }

    /// Seals `plaintext` for its place, with the current key and 12 fresh random bytes.
    ///
    /// # Errors
    /// [`SealError`] for a plaintext of 64 GiB or more.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        context: &Context<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let keys = self.keys();
        let (id, key) = keys.first().ok_or(SealError)?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + plaintext.len() + MAX_TAG_LEN);
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.associated_data(*id)),
                &mut sealed[HEAD_LEN..],
            )
            .map_err(|_| SealError)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made for this very place.
    ///
    /// # Errors
    /// [`OpenError`] says whether the value, its place or the ring is at fault.
    pub fn open(
        &self,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let id = key_id(sealed)?;
        let keys = self.keys();
        let (_, key) =
            keys.iter().find(|(at_hand, _)| *at_hand == id).ok_or_else(|| lacks(&keys, id))?;
        let (head, ciphertext) = sealed.split_at_checked(HEAD_LEN).ok_or(OpenError::Short)?;
        let nonce = head.last_chunk::<NONCE_LEN>().ok_or(OpenError::Short)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let len = key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context.associated_data(id)),
                &mut plaintext,
            )
            .map_err(|_| OpenError::Altered)?
            .len();
        plaintext.truncate(len);
        Ok(plaintext)
    }
}

fn usable(key: &MasterKey) -> Option<(KeyId, LessSafeKey)> {
    // The only error is a wrong length, and the type has ruled that out.
    let unbound = UnboundKey::new(&AES_256_GCM, key.0.as_slice()).ok()?;
    Some((key.id(), LessSafeKey::new(unbound)))
}

fn lacks(keys: &[(KeyId, LessSafeKey)], sealed_with: KeyId) -> OpenError {
    let at_hand: Vec<_> = keys.iter().map(|(id, _)| id.to_string()).collect();
    OpenError::UnknownKey { sealed_with, at_hand: at_hand.join(", ") }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// The key that `sealed` was made with.
///
/// # Errors
/// [`OpenError::Short`] or [`OpenError::Version`].
pub fn key_id(sealed: &[u8]) -> Result<KeyId, OpenError> {
    let (&version, rest) = sealed.split_first().ok_or(OpenError::Short)?;
    if version != VERSION {
        return Err(OpenError::Version(version));
    }
    if sealed.len() < HEAD_LEN + MAX_TAG_LEN {
        return Err(OpenError::Short);
    }
    rest.first_chunk().map(|id| KeyId(*id)).ok_or(OpenError::Short)
}

#[cfg(test)]
mod tests;
