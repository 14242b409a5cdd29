//! The Rust client of Ringback: have functions called when webhooks arrive, from Ringback or from
//! any provider it knows; verify and sign single ones.
//!
//! [`Receiver`] does the former: it is a `tower` service, and a layer. [`callback`] asks somebody
//! else and waits for the answer. The rest of this page is about single webhooks. The signatures are
//! those of [Standard Webhooks 1.0.0], so a [`Webhook`] verifies what any other service of that kind
//! sends, too.
//!
//! ```
//! use ringback_client::{Signer, Webhook};
//! # use std::collections::HashMap;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = 1_700_000_000;
//! # let body = br#"{"type":"invoice.paid"}"#;
//! # let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! # let headers = HashMap::from(signer.sign("msg_1", now, body));
//! // The secret of your endpoint: `whsec_…`, or the public key `whpk_…`.
//! let webhook = Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//!
//! // The headers, the body exactly as it was received, the present Unix time in seconds.
//! let id = webhook.verify(|name| headers.get(name).map(String::as_str), body, now)?;
//!
//! // From here on the body can be trusted. Remember the id: a webhook can arrive twice.
//! assert_eq!(id, "msg_1");
//! # Ok(())
//! # }
//! ```
//!
//! With the `http` crate the first argument is
//! `|name| headers.get(name).and_then(|value| value.to_str().ok())`.
//!
//! [Standard Webhooks 1.0.0]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

#[cfg(feature = "callback")]
pub mod callback;
pub mod dedupe;
mod event;
mod keys;
mod receiver;
mod running;
mod secret;
mod service;

use ringback_domain::signature::{SigningKey, Verifier};

pub use event::{Event, Failure, Problem, Reject, Reply, Retry};
pub use receiver::Receiver;
pub use ringback_domain::provider::Reason;
pub use secret::{Secret, SetupError};
pub use service::Dispatch;

pub use ringback_domain::signature::{KeyError, VerifyError};

/// The names of the id, timestamp and signature headers: the standard's, and those of Svix.
///
/// Ringback sends both families, with the same values.
pub const HEADER_FAMILIES: [[&str; 3]; 2] = [
    ["webhook-id", "webhook-timestamp", "webhook-signature"],
    ["svix-id", "svix-timestamp", "svix-signature"],
];

/// What may go wrong in functions of yours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request is not accepted; do not process its body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither family of headers is complete.
    #[error("the webhook headers are missing or incomplete")]
    MissingHeaders,
    /// The headers are there, but do not vouch for this body at this time.
    #[error(transparent)]
    Rejected(#[from] VerifyError),
}

/// Verifies the webhooks that arrive at one endpoint.
#[derive(Clone, Debug)]
pub struct Webhook {
    verifier: Verifier,
}

impl Webhook {
    /// Verifies with one key: `whsec_<base64>`, the same without the prefix, or `whpk_<base64>`.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the key, without repeating it.
    pub fn new(key: &str) -> Result<Self, KeyError> {
        Self::with_keys([key])
    }

    /// Verifies with any of several keys, as is needed while a secret is being replaced.
    ///
    /// # Errors
    /// [`KeyError`] of the first key that cannot be read.
    pub fn with_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        Ok(Self { verifier: Verifier::parse(keys)? })
    }

    /// Accepts timestamps up to `seconds` before or after `now`; 300 without this.
    #[must_use]
    pub fn with_tolerance(self, seconds: u32) -> Self {
        Self { verifier: self.verifier.with_tolerance(seconds) }
    }

    /// Checks a request and gives the id of the webhook, to recognise one that arrives again.
    ///
    /// `header` answers the value of a header by its lower-case name, `body` is what was received
    /// byte for byte, `now` is in Unix seconds. The first of the [`HEADER_FAMILIES`] that is
    /// complete counts.
    ///
    /// # Errors
    /// [`Error`]; anything but `Ok` means the body must not be trusted.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: i64,
    ) -> Result<&'h str, Error> {
        let mut families = HEADER_FAMILIES.into_iter().filter_map(|[id, timestamp, signatures]| {
            Some((header(id)?, header(timestamp)?, header(signatures)?))
        });
        let (id, timestamp, signatures) = families.next().ok_or(Error::MissingHeaders)?;
        self.verifier.verify(id, timestamp, signatures, body, now)?;
        Ok(id)
    }
}

/// Signs webhooks, for example to test a receiver.
#[derive(Clone, Debug)]
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Signs with `whsec_<base64>` or the same without the prefix (HMAC-SHA256), or with
    /// `whsk_<base64>` (Ed25519).
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the key, without repeating it.
    pub fn new(key: &str) -> Result<Self, KeyError> {
        Ok(Self { key: SigningKey::parse(key)? })
    }

    /// The key a [`Webhook`] needs for what this signs: `whsec_…`, or `whpk_…` for Ed25519.
    pub fn verifying_key(&self) -> String {
        self.key.to_verifying().to_string()
    }

    /// The three headers of the standard's family for this message.
    ///
    /// `id` must not contain a dot, and `timestamp` is in Unix seconds.
    ///
    /// ```
    /// let signer = ringback_client::Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    /// let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    /// let headers = signer.sign(id, 1614265330, br#"{"test": 2432232314}"#);
    /// let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    /// assert_eq!(headers[2], ("webhook-signature", signature.to_owned()));
    /// # Ok::<(), ringback_client::KeyError>(())
    /// ```
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> [(&'static str, String); 3] {
        let mut signature = String::new();
        self.key.sign_into(id, timestamp, body, &mut signature);
        let [[id_name, timestamp_name, signature_name], _] = HEADER_FAMILIES;
        [
            (id_name, id.to_owned()),
            (timestamp_name, timestamp.to_string()),
            (signature_name, signature),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_bm90IHRoYXQgc2VjcmV0LCBhbm90aGVy";
    const NOW: i64 = 1_700_000_000;
    const BODY: &[u8] = b"{}";

    type Headers = Vec<(&'static str, String)>;

    /// What `SECRET` signs, under the names of this family.
    fn signed(family: [&'static str; 3]) -> Headers {
        let signed = Signer::new(SECRET).unwrap().sign("msg_1", NOW, BODY);
        family.into_iter().zip(signed).map(|(name, (_, value))| (name, value)).collect()
    }

    fn check(keys: &[&str], headers: &Headers, body: &[u8], expect: Result<&str, Error>) {
        let webhook = Webhook::with_keys(keys.iter().copied()).unwrap();
        let header = |name: &str| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(webhook.verify(header, body, NOW), expect, "{headers:?}");
    }

    #[test]
    fn both_families_are_read() {
        let [standard, svix] = HEADER_FAMILIES.map(signed);
        check(&[SECRET], &standard, BODY, Ok("msg_1"));
        check(&[SECRET], &svix, BODY, Ok("msg_1"));
        check(&[OTHER, SECRET], &svix, BODY, Ok("msg_1"));
        let rejected = || Err(Error::Rejected(VerifyError::NoMatch));
        check(&[OTHER], &standard, BODY, rejected());
        check(&[SECRET], &standard, b"{ }", rejected());
    }

    #[test]
    fn an_incomplete_family_does_not_count() {
        let [standard, svix] = HEADER_FAMILIES.map(signed);
        check(&[SECRET], &Vec::new(), BODY, Err(Error::MissingHeaders));
        for missing in 0..3 {
            let mut incomplete = standard.clone();
            incomplete.remove(missing);
            check(&[SECRET], &incomplete, BODY, Err(Error::MissingHeaders));
            let with_svix = [incomplete, svix.clone()].concat();
            check(&[SECRET], &with_svix, BODY, Ok("msg_1"));
        }
    }

    #[test]
    fn a_public_key_is_enough_to_verify() {
        let signer = Signer::new("whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let headers = Headers::from(signer.sign("msg_1", NOW, BODY));
        let public = signer.verifying_key();
        assert!(public.starts_with("whpk_"));
        check(&[&public], &headers, BODY, Ok("msg_1"));
        assert_eq!(Signer::new(&public).err(), Some(KeyError::PublicOnly));
    }

    #[test]
    fn the_tolerance_can_be_set() {
        let headers = signed(HEADER_FAMILIES[0]);
        let header = |name: &str| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        let webhook = Webhook::new(SECRET).unwrap();
        let too_old = |seconds| Err(Error::Rejected(VerifyError::TooOld { seconds }));
        assert_eq!(webhook.verify(header, BODY, NOW + 301), too_old(301));
        let patient = webhook.with_tolerance(600);
        assert_eq!(patient.verify(header, BODY, NOW + 301), Ok("msg_1"));
    }
}
