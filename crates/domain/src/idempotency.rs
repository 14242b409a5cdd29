//! Idempotency keys: the same POST sent twice happens once.
//!
//! The scope of a key is environment, method and path; the body is compared by its hash. The Svix
//! SDKs send a random `auto_…` key with every POST, to cover their own retries; those are worth an
//! hour. A key that a caller chose is worth a day.

use std::time::Duration;

use aws_lc_rs::digest;

use crate::{id::Key, time::Timestamp};

/// How long a key made by an SDK is remembered.
pub const AUTO_LIFETIME: Duration = Duration::from_secs(3600);
/// How long a chosen key is remembered.
pub const CHOSEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The longest key, in bytes.
pub const KEY_LENGTH: usize = 256;

/// A claim on "this happens once": what identifies the request, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Identifies environment, method, path and key.
    pub fingerprint: u128,
    /// Identifies the body's raw bytes.
    pub body: u128,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
}

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 256 visible ASCII characters")]
pub struct KeyError;

impl Claim {
    /// The claim of one request.
    ///
    /// `path` is as it was sent, without its query; one trailing slash is ignored.
    ///
    /// # Errors
    /// [`KeyError`] when the key is empty, too long or not visible ASCII.
    pub fn new(
        environment: Key,
        method: &str,
        path: &str,
        key: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Claim, KeyError> {
        let visible = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if key.is_empty() || key.len() > KEY_LENGTH || !visible {
            return Err(KeyError);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut scope = digest::Context::new(&digest::SHA256);
        scope.update(&environment.to_be_bytes());
        for part in [method, path, key] {
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
            scope.update(&(part.len() as u64).to_be_bytes());
            scope.update(part.as_bytes());
        }
        let lifetime = if key.starts_with("auto_") { AUTO_LIFETIME } else { CHOSEN_LIFETIME };
        Ok(Claim {
            fingerprint: first_half(&scope.finish()),
            body: first_half(&digest::digest(&digest::SHA256, body)),
            expires_at: now + lifetime,
        })
    }
}

fn first_half(digest: &digest::Digest) -> u128 {
    digest.as_ref().iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(environment: Key, method: &str, path: &str, key: &str, body: &str) -> Claim {
        Claim::new(environment, method, path, key, body.as_bytes(), Timestamp(0)).unwrap()
    }

    #[test]
    fn every_part_of_the_scope_counts() {
        let base = claim(1, "POST", "/a/b", "key", "{}");
        assert_eq!(claim(1, "POST", "/a/b/", "key", "{}").fingerprint, base.fingerprint);
        for other in [
            claim(2, "POST", "/a/b", "key", "{}"),
            claim(1, "PUT", "/a/b", "key", "{}"),
            claim(1, "POST", "/a/bk", "ey", "{}"),
            claim(1, "POST", "/a/b", "key2", "{}"),
        ] {
            assert_ne!(other.fingerprint, base.fingerprint);
        }
        assert_ne!(claim(1, "POST", "/a/b", "key", "{ }").body, base.body);
    }

    #[test]
    fn lifetimes() {
        let expires = |key| claim(1, "POST", "/", key, "").expires_at;
        assert_eq!(expires("auto_1"), Timestamp(3_600_000));
        assert_eq!(expires("mine"), Timestamp(86_400_000));
    }

    #[test]
    fn bad_keys() {
        for key in ["", "ü", "a\nb", &"k".repeat(257)] {
            assert_eq!(Claim::new(1, "POST", "/", key, b"", Timestamp(0)), Err(KeyError));
        }
    }
}
