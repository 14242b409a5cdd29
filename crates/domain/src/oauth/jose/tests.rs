use std::slice::from_ref;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Map, Value, json};

use super::jws::open;
use super::published::{self, rsa_key};
use super::*;
use crate::oauth::response::BroughtError;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const LEEWAY: Duration = Duration::from_secs(30);
const ISSUER: &str = "https://login.example.com";

fn signing(key: &Value, algorithm: Algorithm) -> SigningKey {
    SigningKey::parse(&key.to_string(), algorithm).unwrap()
}

fn set(keys: &[Value]) -> JwkSet {
    JwkSet::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

/// A compact token of this header and these claims, as whoever has `secret` would sign it.
fn shared(header: &str, claims: &str, secret: &[u8]) -> String {
    let signed = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes())).join(".");
    let signature = crate::hash::Hash::Sha256.hmac(secret, signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

const SECRET: &[u8] = b"rb-test-secret-of-thirty-two-bytes";

fn check_shared(header: &str, claims: &str) -> Result<Verified, JoseError> {
    let token = shared(header, claims, SECRET);
    verify(&token, &[Algorithm::HS256], &VerifyKey::Secret(SECRET))
}

mod published_examples {
    use super::*;

    /// RFC 7515, A.1 to A.3.
    #[test]
    fn rfc7515_appendix_a() {
        let secret = BASE64URL_NOPAD.decode(published::SHARED.as_bytes()).unwrap();
        let keys = set(&[rsa_key(), published::ec_key()]);
        for ((header, signature), algorithm, key) in [
            (published::HS256, Algorithm::HS256, VerifyKey::Secret(&secret)),
            (published::RS256, Algorithm::RS256, VerifyKey::Set(&keys)),
            (published::ES256, Algorithm::ES256, VerifyKey::Set(&keys)),
        ] {
            let token = format!("{header}.{}.{signature}", published::PAYLOAD);
            let verified = verify(&token, &[algorithm], &key).unwrap();
            assert_eq!(verified.claims["iss"], "joe", "{algorithm:?}");
            assert_eq!(verified.algorithm, algorithm);
        }
    }

    /// RFC 7515, A.4: an algorithm that is not known.
    #[test]
    fn rfc7515_appendix_a_4_is_refused() {
        let opened = open(published::ES512, &Algorithm::PUBLIC, &VerifyKey::Set(&set(&[])));
        assert_eq!(opened.err(), Some(JoseError::Algorithm));
    }

    /// RFC 7520, 4.1 and 4.2.
    #[test]
    fn rfc7520_section_4() {
        let keys = set(&[published::cookbook_key()]);
        for ((header, signature), algorithm) in
            published::COOKBOOK.into_iter().zip([Algorithm::RS256, Algorithm::PS384])
        {
            let token = format!("{header}.{}.{signature}", published::COOKBOOK_PAYLOAD);
            let opened = open(&token, &[algorithm], &VerifyKey::Set(&keys)).ok().unwrap();
            assert!(opened.payload.starts_with("It\u{2019}s a dangerous business".as_bytes()));
        }
    }

    /// RFC 8037, A.4.
    #[test]
    fn rfc8037_appendix_a_4() {
        let keys = set(&[published::ed25519_key()]);
        let key = VerifyKey::Set(&keys);
        let opened = open(published::EDDSA, &[Algorithm::EdDSA], &key).ok().unwrap();
        assert_eq!(opened.payload, b"Example of Ed25519 signing");
    }

    /// RFC 7638, 3.1, and RFC 8037, A.3.
    #[test]
    fn thumbprints() {
        let (key, thumbprint) = published::thumbprint_key();
        let jwk = signing(&key, Algorithm::RS256).public_jwk();
        assert_eq!(jwk["kid"], thumbprint);
        assert_eq!(jwk["n"], key["n"]);
        let jwk = signing(&published::ed25519_key(), Algorithm::EdDSA).public_jwk();
        assert_eq!(jwk["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}

mod signing_keys {
    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
    }

    fn p384() -> String {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref())
    }

    /// What is signed is verified with the public half, and says which key it was.
    #[test]
    fn what_is_signed_is_verified() {
        let jwk = |key: Value| key.to_string();
        for (key, algorithm) in [
            (jwk(rsa_key()), Algorithm::RS256),
            (jwk(rsa_key()), Algorithm::RS384),
            (jwk(rsa_key()), Algorithm::RS512),
            (jwk(rsa_key()), Algorithm::PS256),
            (jwk(rsa_key()), Algorithm::PS384),
            (jwk(rsa_key()), Algorithm::PS512),
            (jwk(published::ec_key()), Algorithm::ES256),
            (p384(), Algorithm::ES384),
            (jwk(published::ed25519_key()), Algorithm::EdDSA),
        ] {
            let key = SigningKey::parse(&key, algorithm).unwrap();
            let token = key.sign("JWT", &json!({"sub": "someone"})).unwrap();
            let jwk = key.public_jwk();
            let verified =
                verify(&token, &[algorithm], &VerifyKey::Set(&set(from_ref(&jwk)))).unwrap();
            assert_eq!(verified.claims["sub"], "someone", "{algorithm:?}");
            assert_eq!(verified.header["kid"], jwk["kid"]);
            assert_eq!(jwk["alg"], algorithm.name());
            for private in ["d", "p", "q", "dp", "dq", "qi"] {
                assert_eq!(jwk.get(private), None, "{algorithm:?} {private}");
            }
        }
    }

    /// The same key as a JWK and in PEM, with PKCS #8 and PKCS #1.
    #[test]
    fn pem_is_read_as_well() {
        let pkcs8 = |key: &Value, algorithm| match signing_pair(key, algorithm) {
            signing_key::Pair::Rsa(pair, _) => pair.as_der().unwrap().as_ref().to_vec(),
            signing_key::Pair::Ecdsa(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            signing_key::Pair::Ed25519(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
        };
        for (key, algorithm) in [
            (rsa_key(), Algorithm::PS256),
            (published::ec_key(), Algorithm::ES256),
            (published::ed25519_key(), Algorithm::EdDSA),
        ] {
            let der = pkcs8(&key, algorithm);
            let read = SigningKey::parse(&pem("PRIVATE KEY", &der), algorithm).unwrap();
            assert_eq!(read.public_jwk(), signing(&key, algorithm).public_jwk());
        }
        // PKCS #8 is 26 bytes around what PKCS #1 has, for a key of this size (RFC 5208, 5).
        let der = pkcs8(&rsa_key(), Algorithm::RS256);
        let bare = pem("RSA PRIVATE KEY", &der[26..]);
        let read = SigningKey::parse(&bare, Algorithm::RS256).unwrap();
        assert_eq!(read.public_jwk()["n"], rsa_key()["n"]);
    }

    fn signing_pair(key: &Value, algorithm: Algorithm) -> signing_key::Pair {
        signing_key::pair_of(&key.to_string(), algorithm)
    }

    #[test]
    fn what_is_no_key_for_the_algorithm_is_refused() {
        let with = |mut key: Value, name: &str, value: Value| {
            key[name] = value;
            key.to_string()
        };
        let mismatch = |algorithm| Some(KeyError::Mismatch(algorithm));
        let es256 = Algorithm::ES256;
        for (text, algorithm, expect) in [
            (rsa_key().to_string(), Algorithm::HS256, Some(KeyError::Algorithm)),
            (rsa_key().to_string(), es256, mismatch(es256)),
            (published::ec_key().to_string(), Algorithm::ES384, mismatch(Algorithm::ES384)),
            (with(published::ec_key(), "d", json!(null)), es256, mismatch(es256)),
            (with(published::ec_key(), "alg", json!("ES384")), es256, mismatch(es256)),
            (with(published::ec_key(), "alg", json!("ES256")), es256, None),
            // The public half of another key.
            (
                with(published::ed25519_key(), "x", published::ec_key()["x"].clone()),
                Algorithm::EdDSA,
                mismatch(Algorithm::EdDSA),
            ),
            (with(rsa_key(), "e", json!("Aw")), Algorithm::RS256, mismatch(Algorithm::RS256)),
            (p384(), es256, mismatch(es256)),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----".to_owned(), es256, Some(KeyError::NotAKey)),
            ("{}".to_owned(), es256, Some(KeyError::NotAKey)),
            (String::new(), es256, Some(KeyError::NotAKey)),
        ] {
            assert_eq!(SigningKey::parse(&text, algorithm).err(), expect, "{text:.60}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_key() {
        let key = published::ed25519_key();
        let shown = format!("{:?}", signing(&key, Algorithm::EdDSA));
        assert_eq!(shown, "SigningKey(EdDSA, redacted)");
    }
}

/// Case 28: OpenID Connect Core, 3.1.3.7; RFC 8725, 2.1 and 3.
mod confusion {
    use super::*;

    #[test]
    fn rfc8725_3_1_none_is_never_an_algorithm() {
        let keys = set(&[rsa_key()]);
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            let header = BASE64URL_NOPAD.encode(json!({ "alg": alg }).to_string().as_bytes());
            for signature in ["", published::RS256.1] {
                let token = format!("{header}.{}.{signature}", published::PAYLOAD);
                for key in [VerifyKey::Set(&keys), VerifyKey::Secret(SECRET)] {
                    let verified = verify(&token, &Algorithm::PUBLIC, &key);
                    assert_eq!(verified, Err(JoseError::Algorithm), "{alg}");
                }
            }
        }
        assert_eq!(Algorithm::from_name("none"), None);
    }

    /// A public key is known to everybody: as an HMAC key it would let everybody sign.
    #[test]
    fn rfc8725_2_1_a_public_key_is_never_an_hmac_key() {
        let key = signing(&rsa_key(), Algorithm::RS256).public_jwk();
        let keys = set(from_ref(&key));
        let all = [&Algorithm::PUBLIC[..], &[Algorithm::HS256]].concat();
        for secret in [key.to_string(), key["n"].as_str().unwrap().to_owned()] {
            let token = shared(r#"{"alg":"HS256"}"#, r#"{"sub":"x"}"#, secret.as_bytes());
            let verified = verify(&token, &all, &VerifyKey::Set(&keys));
            assert_eq!(verified, Err(JoseError::Algorithm));
        }
        // Nor is a secret anything else, nor a set of secrets a secret.
        let token = format!("{}.{}.{}", published::RS256.0, published::PAYLOAD, published::RS256.1);
        let verified = verify(&token, &all, &VerifyKey::Secret(SECRET));
        assert_eq!(verified, Err(JoseError::Algorithm));
        let secrets = json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(SECRET), "kid": "1"});
        let token = shared(r#"{"alg":"HS256","kid":"1"}"#, r#"{"sub":"x"}"#, SECRET);
        let verified = verify(&token, &all, &VerifyKey::Set(&set(&[secrets])));
        assert_eq!(verified, Err(JoseError::Algorithm));
    }

    #[test]
    fn rfc8725_3_1_only_what_is_allowed_counts() {
        let key = signing(&rsa_key(), Algorithm::RS256);
        let keys = set(&[json!({"alg": null, "kty": "RSA", "kid": key.public_jwk()["kid"],
            "n": rsa_key()["n"], "e": "AQAB"})]);
        let token = key.sign("JWT", &json!({})).unwrap();
        for (allowed, expect) in [
            (&[Algorithm::RS256][..], None),
            (&[Algorithm::PS256, Algorithm::RS512, Algorithm::ES256], Some(JoseError::Algorithm)),
            (&[], Some(JoseError::Algorithm)),
        ] {
            assert_eq!(verify(&token, allowed, &VerifyKey::Set(&keys)).err(), expect);
        }
    }

    /// RFC 7518, 3.2: a short secret can be guessed from one token.
    #[test]
    fn rfc7518_3_2_a_secret_has_as_many_bytes_as_the_hash() {
        let claims = r#"{"sub":"x"}"#;
        for (secret, expect) in [
            (&b""[..], Some(JoseError::Algorithm)),
            (&[7; 31], Some(JoseError::Algorithm)),
            (&[7; 32], None),
        ] {
            let token = shared(r#"{"alg":"HS256"}"#, claims, secret);
            let verified = verify(&token, &[Algorithm::HS256], &VerifyKey::Secret(secret));
            assert_eq!(verified.err(), expect, "{} bytes", secret.len());
        }
    }

    /// Keys that the token brings itself are not looked at.
    #[test]
    fn rfc8725_3_10_keys_in_the_header_are_not_used() {
        let mine = signing(&published::ec_key(), Algorithm::ES256);
        let keys = set(&[rsa_key()]);
        let header = json!({"alg": "ES256", "typ": "JWT", "jwk": mine.public_jwk(),
            "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert"});
        let signed = [header, json!({"sub": "x"})]
            .map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()))
            .join(".");
        let signature = signing_key::pair_of(&published::ec_key().to_string(), Algorithm::ES256);
        let signature = BASE64URL_NOPAD.encode(&signature.sign(signed.as_bytes()).unwrap());
        let token = format!("{signed}.{signature}");
        let verified = verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys));
        assert_eq!(verified, Err(JoseError::UnknownKey { kid: None }));
    }

    #[test]
    fn rfc8725_3_11_another_type_is_another_token() {
        for (typ, expect) in [
            (r#","typ":"JWT""#, None),
            (r#","typ":"jwt""#, None),
            (r#","typ":"application/jwt""#, None),
            ("", None),
            (r#","typ":"at+jwt""#, Some(JoseError::Type)),
            (r#","typ":"oauth-authz-req+jwt""#, Some(JoseError::Type)),
            (r#","typ":"logout+jwt""#, Some(JoseError::Type)),
            (r#","typ":"dpop+jwt""#, Some(JoseError::Type)),
            (r#","typ":"""#, Some(JoseError::Type)),
            (r#","typ":1"#, Some(JoseError::Type)),
        ] {
            let verified = check_shared(&format!(r#"{{"alg":"HS256"{typ}}}"#), "{}");
            assert_eq!(verified.err(), expect, "{typ}");
        }
    }

    #[test]
    fn rfc7515_4_1_11_what_is_critical_and_unknown_is_refused() {
        for header in [
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","b64":false}"#,
        ] {
            assert_eq!(check_shared(header, "{}").err(), Some(JoseError::Critical), "{header}");
        }
    }

    /// RFC 7515, 4 and RFC 7519, 4: which of two counts, differs from reader to reader.
    #[test]
    fn rfc7515_4_a_member_comes_once() {
        let malformed = |what| Some(JoseError::Malformed(what));
        for (header, claims, expect) in [
            (
                r#"{"alg":"HS256"}"#,
                r#"{"sub":"me","sub":"you"}"#,
                malformed("has no readable claims"),
            ),
            (r#"{"alg":"HS256","alg":"none"}"#, "{}", malformed("has no readable header")),
            (r#"{"alg":"HS256"}"#, "[]", malformed("has no readable claims")),
            (r#"{"alg":"HS256"}"#, r#""text""#, malformed("has no readable claims")),
            (r#"{"alg":"HS256","kid":7}"#, "{}", malformed("has a key id that is no text")),
        ] {
            assert_eq!(check_shared(header, claims).err(), expect, "{header} {claims}");
        }
    }

    #[test]
    fn rfc7515_7_1_what_is_no_compact_token_is_refused() {
        let token = shared(r#"{"alg":"HS256"}"#, "{}", SECRET);
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { unreachable!() };
        for text in [
            String::new(),
            "..".to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{token}.{signature}"),
            format!("{token}="),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{header}.{claims}.{}", &signature[..signature.len() - 2]),
            // Five parts are encrypted (RFC 7516), which nobody asked for.
            format!("{header}.{header}.{claims}.{signature}.{signature}"),
        ] {
            let key = VerifyKey::Secret(SECRET);
            assert!(verify(&text, &[Algorithm::HS256], &key).is_err(), "{text}");
        }
    }

    /// Two texts for one signature would be two tokens.
    #[test]
    fn rfc7515_2_bits_that_are_left_over_are_zero() {
        let token = shared(r#"{"alg":"HS256"}"#, "{}", SECRET);
        let (rest, last) = token.split_at(token.len() - 1);
        let other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let accepted = other.chars().filter(|one| {
            let key = VerifyKey::Secret(SECRET);
            verify(&format!("{rest}{one}"), &[Algorithm::HS256], &key).is_ok()
        });
        assert_eq!(accepted.collect::<String>(), last);
    }
}

/// Case 29: the keys of a provider change.
mod rotation {
    use super::*;

    fn named(mut key: Value, kid: &str) -> Value {
        key["kid"] = json!(kid);
        key
    }

    #[test]
    fn openid_core_10_1_1_a_key_that_is_not_at_hand_is_asked_for() {
        let key = signing(&named(published::ec_key(), "new"), Algorithm::ES256);
        let token = key.sign("JWT", &json!({"sub": "x"})).unwrap();
        let check = |keys: &[Value]| {
            let keys = set(keys);
            verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys)).map(drop)
        };
        let unknown = Err(JoseError::UnknownKey { kid: Some("new".to_owned()) });
        let old = named(rsa_key(), "old");
        assert_eq!(check(from_ref(&old)), unknown);
        assert!(!set(from_ref(&old)).has("new"));
        let new = key.public_jwk();
        assert!(set(&[old.clone(), new.clone()]).has("new"));
        assert_eq!(check(&[old, new.clone()]), Ok(()));
        // A key of this name that cannot have signed is not it, and one that did not says so.
        assert_eq!(check(&[named(rsa_key(), "new")]), unknown);
        let other = json!({"kty": "EC", "crv": "P-256", "kid": "new",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
        assert_eq!(check(from_ref(&other)), Err(JoseError::Signature));
        // Two of one name: while one replaces the other.
        assert_eq!(check(&[other, new]), Ok(()));
    }

    /// RFC 7515, 4.1.4: a token need not name its key.
    #[test]
    fn rfc7515_4_1_4_without_a_name_every_key_is_tried() {
        let token = format!("{}.{}.{}", published::ES256.0, published::PAYLOAD, published::ES256.1);
        let check = |keys: &[Value]| {
            let keys = set(keys);
            verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys)).map(drop)
        };
        let other = json!({"kty": "EC", "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
        let unknown = Err(JoseError::UnknownKey { kid: None });
        assert_eq!(check(&[rsa_key(), other.clone(), published::ec_key()]), Ok(()));
        assert_eq!(check(&[rsa_key(), other.clone()]), unknown);
        assert_eq!(check(&vec![other; 100]), unknown);
        assert_eq!(check(&[]), unknown);
    }

    /// RFC 7517, 4.2 to 4.4: a key is used for what it is for.
    #[test]
    fn rfc7517_4_2_a_key_for_something_else_is_not_used() {
        let token = format!("{}.{}.{}", published::RS256.0, published::PAYLOAD, published::RS256.1);
        for (name, value, expect) in [
            ("use", json!("sig"), true),
            ("use", json!("enc"), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["encrypt"]), false),
            ("alg", json!("RS256"), true),
            ("alg", json!("PS256"), false),
            ("alg", json!("made-up"), false),
            ("kty", json!("EC"), false),
        ] {
            let mut key = rsa_key();
            key[name] = value.clone();
            let keys = set(&[key]);
            let verified = verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys));
            assert_eq!(verified.is_ok(), expect, "{name} {value}");
        }
    }

    /// RFC 7517, 5: what is not understood in a set is passed over.
    #[test]
    fn rfc7517_5_unknown_keys_do_not_spoil_a_set() {
        let keys =
            set(&[json!({"kty": "AKP", "alg": "ML-DSA-44"}), json!(7), json!({}), rsa_key()]);
        let token = format!("{}.{}.{}", published::RS256.0, published::PAYLOAD, published::RS256.1);
        assert!(verify(&token, &Algorithm::PUBLIC, &VerifyKey::Set(&keys)).is_ok());
        for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(JwkSet::parse(text).is_none(), "{text}");
        }
    }
}

fn verified(claims: Value) -> Verified {
    let Value::Object(claims) = claims else { unreachable!() };
    Verified { algorithm: Algorithm::RS256, header: Map::new(), claims }
}

/// Cases 27, 28 and 30.
mod id_tokens {
    use super::*;

    const NONCE: &str = "n-made-up";

    fn rules() -> IdTokenRules<'static> {
        IdTokenRules {
            issuer: ISSUER,
            client_id: "client-1",
            nonce: Some(NONCE),
            access_token: None,
            max_age: None,
            now: NOW,
            leeway: LEEWAY,
        }
    }

    fn good() -> Value {
        json!({"iss": ISSUER, "sub": "user-1", "aud": "client-1", "nonce": NONCE,
            "iat": NOW.seconds(), "exp": NOW.seconds() + 300})
    }

    /// What comes of a good token with `changes` made to it; null takes a claim away.
    fn check(rules: &IdTokenRules<'_>, changes: Value) -> Result<(), ClaimError> {
        let mut token = verified(good());
        for (name, value) in changes.as_object().unwrap() {
            token.claims.insert(name.clone(), value.clone());
        }
        token.claims.retain(|_, value| !value.is_null());
        check_id_token(&token, rules)
    }

    #[test]
    fn openid_core_3_1_3_7_each_claim_is_checked() {
        use ClaimError::{Expired, FromFuture, Mismatch, Missing};
        let at = |seconds: i64| json!(NOW.seconds() + seconds);
        for (changes, expect) in [
            (json!({}), Ok(())),
            (json!({"iss": null}), Err(Missing("iss"))),
            (json!({"iss": "https://login.example.com/"}), Err(Mismatch("iss"))),
            (json!({"iss": "https://LOGIN.example.com"}), Err(Mismatch("iss"))),
            (json!({"iss": "https://evil.example"}), Err(Mismatch("iss"))),
            (json!({"iss": [ISSUER]}), Err(Missing("iss"))),
            (json!({"sub": null}), Err(Missing("sub"))),
            (json!({"sub": ""}), Err(Missing("sub"))),
            (json!({"sub": 1}), Err(Missing("sub"))),
            (json!({"sub": "x".repeat(256)}), Err(Mismatch("sub"))),
            (json!({"aud": null}), Err(Missing("aud"))),
            (json!({"aud": "client-2"}), Err(Mismatch("aud"))),
            (json!({"aud": "client-1x"}), Err(Mismatch("aud"))),
            (json!({"aud": []}), Err(Mismatch("aud"))),
            (json!({"aud": ["client-1"]}), Ok(())),
            (json!({"aud": ["client-1", 7]}), Err(Missing("aud"))),
            (json!({"aud": ["client-2", "client-1"]}), Err(Missing("azp"))),
            (json!({"aud": ["client-2", "client-1"], "azp": "client-1"}), Ok(())),
            (json!({"aud": ["client-2", "client-1"], "azp": "client-2"}), Err(Mismatch("azp"))),
            (json!({"azp": "client-2"}), Err(Mismatch("azp"))),
            (json!({"exp": null}), Err(Missing("exp"))),
            (json!({"exp": "soon"}), Err(Missing("exp"))),
            (json!({"exp": at(-29)}), Ok(())),
            (json!({"exp": at(-30)}), Err(Expired)),
            (json!({"exp": 1e300}), Ok(())),
            (json!({"exp": -1e300}), Err(Expired)),
            (json!({"iat": null}), Err(Missing("iat"))),
            (json!({"iat": at(30)}), Ok(())),
            (json!({"iat": at(31)}), Err(FromFuture)),
            (json!({"nbf": at(31)}), Err(FromFuture)),
            (json!({"nbf": "now"}), Err(Missing("nbf"))),
        ] {
            assert_eq!(check(&rules(), changes.clone()), expect, "{changes}");
        }
    }

    /// Core, 3.1.3.7 step 11, and 15.5.2: a token of another flow.
    #[test]
    fn openid_core_15_5_2_the_nonce_is_that_of_the_request() {
        for (nonce, expect) in [
            (json!("n-other"), Err(ClaimError::Mismatch("nonce"))),
            (json!(null), Err(ClaimError::Missing("nonce"))),
            (json!(""), Err(ClaimError::Missing("nonce"))),
            (json!(NONCE), Ok(())),
        ] {
            assert_eq!(check(&rules(), json!({ "nonce": nonce })), expect, "{nonce}");
        }
        // The one of a refresh has none (Core, 12.2).
        let refreshed = IdTokenRules { nonce: None, ..rules() };
        assert_eq!(check(&refreshed, json!({"nonce": null})), Ok(()));
    }

    /// Core, 3.1.3.6; the values are those of its appendix A.4.
    #[test]
    fn openid_core_3_1_3_6_the_access_token_is_the_one_it_came_with() {
        let token = Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        let other = Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Z");
        let hash = json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"});
        for (access_token, changes, expect) in [
            (token, hash.clone(), Ok(())),
            (other, hash.clone(), Err(ClaimError::Mismatch("at_hash"))),
            (None, hash, Ok(())),
            (token, json!({}), Ok(())),
            (token, json!({"at_hash": 7}), Err(ClaimError::Missing("at_hash"))),
        ] {
            let rules = IdTokenRules { access_token, ..rules() };
            assert_eq!(check(&rules, changes), expect);
        }
    }

    #[test]
    fn openid_core_3_1_2_1_a_login_that_is_too_old_is_refused() {
        let rules = IdTokenRules { max_age: Some(Duration::from_secs(60)), ..rules() };
        let at = |seconds: i64| json!({"auth_time": NOW.seconds() + seconds});
        for (changes, expect) in [
            (at(-90), Ok(())),
            (at(-91), Err(ClaimError::TooLongAgo)),
            (json!({}), Err(ClaimError::Missing("auth_time"))),
        ] {
            assert_eq!(check(&rules, changes.clone()), expect, "{changes}");
        }
    }

    /// Microsoft's common issuer: each tenant signs with its own name.
    #[test]
    fn an_issuer_of_many_tenants_is_that_of_the_tenant() {
        let rules = IdTokenRules { issuer: "https://login.example.com/{tenantid}/v2.0", ..rules() };
        let mismatch = |name| Err(ClaimError::Mismatch(name));
        for (iss, tid, expect) in [
            ("https://login.example.com/t-1/v2.0", json!("t-1"), Ok(())),
            ("https://login.example.com/t-2/v2.0", json!("t-1"), mismatch("iss")),
            ("https://login.example.com/{tenantid}/v2.0", json!("{tenantid}"), mismatch("tid")),
            ("https://login.example.com/../v2.0", json!(".."), mismatch("tid")),
            ("https://login.example.com/t-1/v2.0", json!(null), Err(ClaimError::Missing("tid"))),
        ] {
            assert_eq!(check(&rules, json!({"iss": iss, "tid": tid})), expect, "{iss}");
        }
    }

    #[test]
    fn openid_core_5_3_2_userinfo_is_about_the_same_person() {
        for (userinfo, expect) in [
            (json!({"sub": "user-1", "email": "a@example.com"}), Ok(())),
            (json!({"sub": "user-2"}), Err(ClaimError::Mismatch("sub"))),
            (json!({"sub": "user-1 "}), Err(ClaimError::Mismatch("sub"))),
            (json!({"email": "a@example.com"}), Err(ClaimError::Missing("sub"))),
            (json!({"sub": ["user-1"]}), Err(ClaimError::Missing("sub"))),
        ] {
            assert_eq!(check_userinfo("user-1", userinfo.as_object().unwrap()), expect);
        }
    }
}

/// Case 33.
mod signed_responses {
    use super::*;

    fn check(claims: Value) -> Result<Option<String>, JarmError> {
        check_jarm(&verified(claims), ISSUER, "client-1", NOW, LEEWAY)
            .map(|brought| brought.code.map(|code| code.to_string()))
    }

    fn good(changes: Value) -> Value {
        let mut claims = json!({"iss": ISSUER, "aud": "client-1", "exp": NOW.seconds() + 60,
            "code": "c-1", "state": "s-1"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    #[test]
    fn jarm_2_4_a_signed_response_is_for_this_client_and_of_now() {
        use ClaimError::{Expired, Mismatch, Missing};
        let of = |error: ClaimError| Err(JarmError::Claim(error));
        for (changes, expect) in [
            (json!({}), Ok(Some("c-1".to_owned()))),
            (json!({"iss": "https://evil.example"}), of(Mismatch("iss"))),
            (json!({"aud": "client-2"}), of(Mismatch("aud"))),
            (json!({"aud": ["client-1", "client-2"]}), of(Mismatch("aud"))),
            (json!({"exp": NOW.seconds() - 30}), of(Expired)),
            (json!({"exp": null}), of(Missing("exp"))),
            (json!({"error": "access_denied"}), Err(BroughtError::CodeAndError.into())),
            (json!({"id_token": "x"}), Err(BroughtError::Implicit("id_token").into())),
            (
                json!({"response": "x", "code": "", "state": ""}),
                Err(BroughtError::BesideSigned("response").into()),
            ),
        ] {
            assert_eq!(check(good(changes.clone())), expect, "{changes}");
        }
    }

    #[test]
    fn jarm_2_1_what_is_in_it_is_read_like_a_query() {
        let claims = good(json!({"code": "", "error": "access_denied", "error_description": "no",
            "iat": NOW.seconds(), "jti": "j", "realm": 7}));
        let brought = check_jarm(&verified(claims), ISSUER, "client-1", NOW, LEEWAY).unwrap();
        assert_eq!(brought.error.as_deref(), Some("access_denied"));
        assert_eq!(brought.error_description.as_deref(), Some("no"));
        assert_eq!(brought.iss.as_deref(), Some(ISSUER));
        assert_eq!(brought.extra, [("realm".to_owned(), "7".to_owned())]);
    }

    /// RFC 9101, 10.8: an object of ours that is sent back is not the provider's answer.
    #[test]
    fn jarm_2_4_another_type_is_no_response() {
        let key = signing(&published::ec_key(), Algorithm::ES256);
        let keys = set(&[key.public_jwk()]);
        for (typ, expect) in [("JWT", true), ("oauth-authz-req+jwt", false)] {
            let token = key.sign(typ, &good(json!({}))).unwrap();
            let verified = verify(&token, &[Algorithm::ES256], &VerifyKey::Set(&keys));
            assert_eq!(verified.is_ok(), expect, "{typ}");
        }
    }
}
