//! Proof Key for Code Exchange (RFC 7636): what ties a code to whoever asked for it.
//!
//! Only `S256`: with `plain` whoever sees the request can exchange the code (RFC 9700, 2.1.1).

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

/// How a challenge is made of a verifier, as it stands in a request.
pub const METHOD: &str = "S256";

/// A verifier that a server would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code verifier has 43 to 128 letters, digits, `-`, `.`, `_` or `~`")]
pub struct NotAVerifier;

/// The challenge of a verifier (RFC 7636, 4.2).
///
/// # Errors
/// [`NotAVerifier`] for what is none by RFC 7636, 4.1. There is no challenge for "no verifier": that
/// a request goes without has to be somebody's decision.
pub fn challenge(verifier: &str) -> Result<String, NotAVerifier> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return Err(NotAVerifier);
    }
    Ok(BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_published_example() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let expect = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(verifier).as_deref(), Ok(expect));
    }

    #[test]
    fn rfc7636_4_1_a_verifier_has_43_to_128_unreserved_characters() {
        for (verifier, expect) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("-._~".repeat(32), true),
            ("a".repeat(129), false),
            (format!("{}+", "a".repeat(43)), false),
            (format!("{} ", "a".repeat(43)), false),
            ("é".repeat(43), false),
            (String::new(), false),
        ] {
            assert_eq!(challenge(&verifier).is_ok(), expect, "{verifier}");
        }
    }

    /// RFC 7636, 4.2 and RFC 9700, 2.1.1: what goes through the browser does not say the verifier.
    #[test]
    fn rfc9700_2_1_1_the_challenge_is_never_the_verifier() {
        let verifier = "a".repeat(64);
        let challenge = challenge(&verifier).unwrap();
        assert!(METHOD == "S256" && challenge != verifier && challenge.len() == 43);
    }
}
