//! The short signed status that a browser takes along: it tells the application which callback, how
//! far it is, and until when that may be believed.
//!
//! ```text
//! https://shop.example.com/paid?callback=cb_…&status=completed&expires=1700003600&signature=…
//! signature = base64url(HMAC-SHA256(status secret, "cb_….completed.1700003600"))
//! ```
//!
//! The status secret is made like the secrets of URLs ([`Purpose::Status`](crate::callback::Purpose))
//! and given to the application when the callback is made. Whoever has the answer to a callback asks
//! for it with the callback's id; the status only saves that question, and shows a page.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

use super::Target;
use crate::{callback::State, id::CallbackId, time::Timestamp};

/// The fields that are appended to a target.
pub const FIELDS: [&str; 4] = ["callback", "status", "expires", "signature"];

/// An hour, in seconds.
const HOUR: i64 = 3600;

/// The key of a callback's statuses.
pub struct Secret(hmac::Key);

impl Secret {
    /// The key that this text is, which the application has got.
    pub fn new(text: &str) -> Secret {
        Secret(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }
}

/// Where the browser goes: the target, with the status at `now`. It is the same URL for one to two
/// hours, so that a page that is loaded again is the same page.
pub fn sent_on(
    target: &Target,
    id: CallbackId,
    state: State,
    now: Timestamp,
    secret: &Secret,
) -> String {
    let expires = (now.seconds() / HOUR + 2) * HOUR;
    let between = if target.as_str().contains('?') { '&' } else { '?' };
    let signature = BASE64URL_NOPAD.encode(sign(id, state, expires, secret).as_ref());
    let (target, state) = (target.as_str(), state.name());
    format!("{target}{between}callback={id}&status={state}&expires={expires}&signature={signature}")
}

/// Whether a status is one of ours, and still to be believed at `now`: what an application does with
/// the fields it got.
pub fn holds(
    id: CallbackId,
    state: State,
    expires: i64,
    signature: &str,
    now: Timestamp,
    secret: &Secret,
) -> bool {
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap_or_default();
    let signed = hmac::verify(&secret.0, &message(id, state, expires), &signature);
    signed.is_ok() && now.seconds() < expires
}

fn sign(id: CallbackId, state: State, expires: i64, secret: &Secret) -> hmac::Tag {
    hmac::sign(&secret.0, &message(id, state, expires))
}

fn message(id: CallbackId, state: State, expires: i64) -> Vec<u8> {
    format!("{id}.{}.{expires}", state.name()).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        callback::{Purpose, UrlKeys},
        id::Id,
    };

    fn secret(nonce: u64) -> (CallbackId, Secret) {
        let keys = UrlKeys::new([(1, Zeroizing::new([7; 32]))]);
        let id = CallbackId(Id { key: 1 << 40, shard: 0, nonce });
        let token = keys.token(Purpose::Status, id, keys.first_turn().unwrap()).unwrap();
        (id, Secret::new(token.as_str()))
    }

    fn fields(url: &str) -> HashMap<String, String> {
        url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
    }

    #[test]
    fn a_status_is_believed_for_a_while_and_cannot_be_changed() {
        let (id, secret) = self::secret(5);
        let target = Target::parse("https://shop.example.com/paid?shop=1").unwrap();
        let now = Timestamp(1_700_000_000_000);
        let url = sent_on(&target, id, State::Completed, now, &secret);
        assert!(url.starts_with("https://shop.example.com/paid?shop=1&callback=cb_"), "{url}");
        let fields = fields(&url);
        assert_eq!(fields["status"], "completed");
        let expires: i64 = fields["expires"].parse().unwrap();
        assert!((3_600..=7_200).contains(&(expires - now.seconds())));
        let check = |id, state, expires, now, secret: &Secret| {
            holds(id, state, expires, &fields["signature"], now, secret)
        };
        assert!(check(id, State::Completed, expires, now, &secret));
        assert!(!check(id, State::Failed, expires, now, &secret));
        assert!(!check(id, State::Completed, expires + 1, now, &secret));
        assert!(!check(id, State::Completed, expires, Timestamp(expires * 1_000), &secret));
        let (other, others) = self::secret(6);
        assert!(!check(other, State::Completed, expires, now, &secret));
        assert!(!check(id, State::Completed, expires, now, &others));
    }

    #[test]
    fn a_page_that_is_loaded_again_is_the_same_page() {
        let (id, secret) = secret(5);
        let target = Target::parse("https://shop.example.com/").unwrap();
        let at = |seconds: i64| {
            sent_on(&target, id, State::Returned, Timestamp(seconds * 1_000), &secret)
        };
        assert_eq!(at(7_200), at(10_799));
        assert_ne!(at(7_200), at(10_800));
    }
}
