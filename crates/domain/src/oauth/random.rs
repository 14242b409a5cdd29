//! Whatever a browser or a provider sends: nothing panics, nothing made up is proven, and what is
//! written is what others read.

use data_encoding::BASE64URL_NOPAD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::jose::{Algorithm, JwkSet, SigningKey, VerifyKey, published, verify};
use super::metadata::{self, Metadata};
use super::request::AuthorizationRequest;
use super::token::TokenQuirks;
use super::{device, register, request, response, revoke, token};

/// Text of what parsers look for, and of anything else.
fn text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "code=c",
        "state=s",
        "error=e",
        "iss=i",
        "response=r",
        "&",
        "=",
        "%",
        "%2",
        "{",
        "}",
        "\"",
        ":",
        ",",
        "[",
        "]",
        "error",
        "access_token",
        "expires_in",
        "keys",
        "kty",
        "RSA",
        "issuer",
        ".",
        "-1",
        "1e400",
        "null",
        "https://a.example",
        "?",
        "#",
        "/",
    ]);
    let piece = prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<String>()];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn parsers_take_anything(text in text(), bytes in vec(any::<u8>(), 0..64), status in 100..600_u16) {
        let _ = response::read(&text, &bytes);
        for body in [text.as_bytes(), &bytes] {
            let _ = token::answer(status, None, body, &TokenQuirks::default());
            let _ = device::answer(status, None, body);
            let _ = revoke::answer(status, None, body);
            let _ = request::pushed(status, None, body);
            let _ = register::answer(&register::Registration::default(), status, None, body);
        }
        let _ = Metadata::parse("https://a.example", &text);
        for place in metadata::well_known(&text) {
            prop_assert!(place.contains("/.well-known/"), "{}", place);
        }
        prop_assert!(SigningKey::parse(&text, Algorithm::RS256).is_err());
    }

    #[test]
    fn keys_that_are_none_verify_nothing(
        numbers in (vec(any::<u8>(), 0..80), vec(any::<u8>(), 0..80)),
        text in text(),
        kind in select(vec![("RSA", ""), ("EC", "P-256"), ("EC", "P-384"), ("OKP", "Ed25519")]),
    ) {
        let key = json!({
            "kty": kind.0, "crv": kind.1, "kid": text,
            "n": BASE64URL_NOPAD.encode(&numbers.0), "e": BASE64URL_NOPAD.encode(&numbers.1),
            "x": BASE64URL_NOPAD.encode(&numbers.0), "y": BASE64URL_NOPAD.encode(&numbers.1),
        });
        let keys = JwkSet::parse(&json!({ "keys": [key] }).to_string()).unwrap();
        prop_assert!(keys.has(&text));
        for algorithm in ["RS256", "PS512", "ES256", "ES384", "EdDSA"] {
            let header = BASE64URL_NOPAD.encode(json!({ "alg": algorithm }).to_string().as_bytes());
            for signature in [&numbers.0, &numbers.1] {
                let token = format!("{header}.e30.{}", BASE64URL_NOPAD.encode(signature));
                let verified = verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys));
                prop_assert!(verified.is_err());
            }
        }
        prop_assert!(verify(&text, &Algorithm::PUBLIC, &VerifyKey::Set(&keys)).is_err());
    }

    #[test]
    fn a_token_that_is_changed_anywhere_proves_nothing(at in any::<Index>(), to in "[A-Za-z0-9._=-]") {
        let key = published::ed25519_key().to_string();
        let key = SigningKey::parse(&key, Algorithm::EdDSA).unwrap();
        let keys = JwkSet::parse(&json!({"keys": [key.public_jwk()]}).to_string()).unwrap();
        let token = key.sign("JWT", &json!({"sub": "someone", "exp": 1})).unwrap();
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        let verified = verify(&changed, &[Algorithm::EdDSA], &VerifyKey::Set(&keys));
        prop_assert_eq!(verified.is_ok(), changed == token);
    }

    #[test]
    fn a_reader_of_a_request_reads_what_was_asked(
        scope in any::<String>(),
        state in any::<String>(),
        extra in vec((any::<String>(), any::<String>()), 0..4),
        query in "([a-z]{1,3}=[a-z%&+]{0,3})?",
    ) {
        let asked = AuthorizationRequest {
            client_id: "me".to_owned(),
            redirect_uri: "https://hooks.example.com/oauth/callback/x".to_owned(),
            scope,
            state,
            extra,
            ..AuthorizationRequest::default()
        };
        let url = url::Url::parse(&asked.url(&format!("https://a.example/o?{query}"))).unwrap();
        let read: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        prop_assert!(read.ends_with(&asked.params()), "{}", url);
        prop_assert_eq!((url.host_str(), url.path()), (Some("a.example"), "/o"));
    }
}
