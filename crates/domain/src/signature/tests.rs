//! The published vectors, what a forger would send, and the laws.

use proptest::prelude::*;

use super::*;

/// The example that the Standard Webhooks and Svix documentation publish.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIMESTAMP: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

/// The same message under the Ed25519 key with the seed 0, 1, 2, … 31, computed with OpenSSL.
const PRIVATE: &str = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\
    DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const SIGNATURE_V1A: &str = "v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7\
    LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ==";

fn key(text: &str) -> SigningKey {
    SigningKey::parse(text).unwrap()
}

fn signed(key: &SigningKey, body: &[u8]) -> String {
    signature_header(std::slice::from_ref(key), ID, TIMESTAMP, body)
}

fn seed() -> [u8; 32] {
    std::array::from_fn(|i| u8::try_from(i).unwrap())
}

#[test]
fn published_vectors() {
    for (secret, signature) in [(SECRET, SIGNATURE), (PRIVATE, SIGNATURE_V1A)] {
        assert_eq!(signed(&key(secret), BODY), signature);
    }
}

/// RFC 8032, section 7.1, TEST 1: the public key that a seed gives.
#[test]
fn the_seed_is_that_of_rfc_8032() {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let key = SigningKey::ed25519_from_seed(seed.try_into().unwrap()).unwrap();
    assert_eq!(*key.to_verifying(), format!("whpk_{}", BASE64.encode(&public)));
}

#[test]
fn several_keys_give_several_signatures() {
    let header = signature_header(&[key(PRIVATE), key(SECRET)], ID, TIMESTAMP, BODY);
    assert_eq!(header, format!("{SIGNATURE_V1A} {SIGNATURE}"));
    assert_eq!(signature_header(&[], ID, TIMESTAMP, BODY), "");
}

#[test]
fn keys_are_read_and_written() {
    let bare = SECRET.strip_prefix("whsec_").unwrap();
    let seed_only = format!("whsk_{}", BASE64.encode(&seed()));
    for (text, secret, verifying, scheme) in [
        (SECRET, SECRET, SECRET, Scheme::V1),
        (bare, SECRET, SECRET, Scheme::V1),
        (PRIVATE, PRIVATE, PUBLIC, Scheme::V1a),
        (&seed_only, PRIVATE, PUBLIC, Scheme::V1a),
    ] {
        let key = key(text);
        assert_eq!(*key.to_secret(), secret);
        assert_eq!(*key.to_verifying(), verifying);
        assert_eq!(key.scheme(), scheme);
    }
}

#[test]
fn wrong_keys_say_why() {
    let encoded = |prefix: &str, len: usize| format!("{prefix}{}", BASE64.encode(&vec![7; len]));
    let mut mismatched = [seed(), [7; 32]].concat();
    mismatched[32] = 8;
    for (text, expect) in [
        (String::new(), KeyError::Empty),
        ("whsec_".into(), KeyError::Empty),
        ("whsk_".into(), KeyError::Empty),
        ("whsec_not base64".into(), KeyError::NotBase64),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS".into(), KeyError::NotBase64),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_".into(), KeyError::NotBase64),
        (encoded("whsec_", HMAC_MIN - 1), KeyError::SecretLength { len: 23 }),
        (encoded("", HMAC_MAX + 1), KeyError::SecretLength { len: 76 }),
        (encoded("whsk_", 31), KeyError::PrivateLength { len: 31 }),
        (encoded("whsk_", 63), KeyError::PrivateLength { len: 63 }),
        (encoded("whsk_", 65), KeyError::PrivateLength { len: 65 }),
        (format!("whsk_{}", BASE64.encode(&mismatched)), KeyError::Mismatch),
        (PUBLIC.into(), KeyError::PublicOnly),
    ] {
        assert_eq!(SigningKey::parse(&text).err(), Some(expect), "{text}");
    }
    for len in [HMAC_MIN, HMAC_MAX] {
        SigningKey::parse(&encoded("whsec_", len)).unwrap();
    }
    let short = Verifier::parse([encoded("whpk_", 31).as_str()]).err();
    assert_eq!(short, Some(KeyError::PublicLength { len: 31 }));
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", key(SECRET)), "SigningKey(v1, redacted)");
    assert_eq!(format!("{:?}", key(PRIVATE)), "SigningKey(v1a, redacted)");
    let verifier = Verifier::parse([SECRET]).unwrap();
    assert_eq!(format!("{verifier:?}"), "Verifier { keys: 1, tolerance: 300 }");
}

#[test]
fn verification() {
    let verifier = Verifier::parse([SECRET, PUBLIC]).unwrap();
    let check = |signatures: &str, expect: Result<(), VerifyError>| {
        let verdict = verifier.verify(ID, "1614265330", signatures, BODY, TIMESTAMP);
        assert_eq!(verdict, expect, "{signatures}");
    };
    let no_match = || Err(VerifyError::NoMatch);
    let other = signed(&key(SECRET), b"another body");
    check(SIGNATURE, Ok(()));
    check(SIGNATURE_V1A, Ok(()));
    check(&format!("{other} {SIGNATURE}"), Ok(()));
    check(&format!("{SIGNATURE} {other}"), Ok(()));
    check(&format!("v2,AAAA v1a,AAAA  {SIGNATURE} "), Ok(()));
    check(&other, no_match());
    // Empty, short, long and misnamed ones (CVE-2024-21491 accepted `v1,`).
    for forged in [
        "",
        " ",
        ",",
        "v1",
        "v1,",
        "v1a,",
        "v1,=",
        "v1,gw==",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=AAAA",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OEA",
        "v1, g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ] {
        check(forged, no_match());
    }
    let signature_a = SIGNATURE_V1A.strip_prefix("v1a,").unwrap();
    check(&format!("v1,{signature_a}"), no_match());
    let filler = "v1,x ".repeat(MAX_CANDIDATES - 1);
    check(&format!("{filler}{SIGNATURE}"), Ok(()));
    check(&format!("{filler}v1,x {SIGNATURE}"), Err(VerifyError::TooManyCandidates));
}

#[test]
fn an_ill_formed_id_or_timestamp_is_refused() {
    let verifier = Verifier::parse([SECRET]).unwrap();
    for (id, timestamp, expect) in [
        ("", "1614265330", VerifyError::Id),
        ("msg.1", "1614265330", VerifyError::Id),
        (ID, "", VerifyError::Timestamp),
        (ID, "now", VerifyError::Timestamp),
        (ID, "+1614265330", VerifyError::Timestamp),
        (ID, "-1614265330", VerifyError::Timestamp),
        (ID, "01614265330", VerifyError::Timestamp),
        (ID, " 1614265330", VerifyError::Timestamp),
        (ID, "1614265330.5", VerifyError::Timestamp),
        (ID, "1614265330000000000000", VerifyError::Timestamp),
        (ID, "0", VerifyError::TooOld { seconds: TIMESTAMP }),
        (ID, "9223372036854775807", VerifyError::TooNew { seconds: i64::MAX - TIMESTAMP }),
    ] {
        let verdict = verifier.verify(id, timestamp, SIGNATURE, BODY, TIMESTAMP);
        assert_eq!(verdict, Err(expect), "{id} {timestamp}");
    }
}

#[test]
fn the_tolerance_counts_in_both_directions() {
    let verifier = Verifier::parse([SECRET]).unwrap();
    let strict = verifier.clone().with_tolerance(0);
    for (verifier, offset, expect) in [
        (&verifier, 300, Ok(())),
        (&verifier, 301, Err(VerifyError::TooOld { seconds: 301 })),
        (&verifier, -300, Ok(())),
        (&verifier, -301, Err(VerifyError::TooNew { seconds: 301 })),
        (&strict, 0, Ok(())),
        (&strict, 1, Err(VerifyError::TooOld { seconds: 1 })),
    ] {
        let verdict = verifier.verify(ID, "1614265330", SIGNATURE, BODY, TIMESTAMP + offset);
        assert_eq!(verdict, expect, "{offset}");
    }
}

#[test]
fn a_verifier_without_keys_refuses() {
    let verifier = Verifier::from([].as_slice());
    let verdict = verifier.verify(ID, "1614265330", SIGNATURE, BODY, TIMESTAMP);
    assert_eq!(verdict, Err(VerifyError::NoMatch));
}

fn keys() -> impl Strategy<Value = SigningKey> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), HMAC_MIN..=HMAC_MAX)
            .prop_map(|secret| SigningKey::hmac(&secret).unwrap()),
        any::<[u8; 32]>().prop_map(|seed| SigningKey::ed25519_from_seed(seed).unwrap()),
    ]
}

proptest! {
    /// Whatever is signed verifies, with the private and the public form of the key alike.
    #[test]
    fn signed_verifies(
        key in keys(),
        id in "[!-\\-/-~]{1,40}",
        timestamp in 0..=i64::MAX,
        body: Vec<u8>,
    ) {
        let header = signature_header(std::slice::from_ref(&key), &id, timestamp, &body);
        for text in [key.to_secret(), key.to_verifying()] {
            let verifier = Verifier::parse([text.as_str()]).unwrap();
            let verdict = verifier.verify(&id, &timestamp.to_string(), &header, &body, timestamp);
            prop_assert_eq!(verdict, Ok(()));
        }
    }

    /// One flipped bit anywhere, in the body or in the signature, is noticed.
    #[test]
    fn a_flipped_bit_is_noticed(
        key in keys(),
        body in prop::collection::vec(any::<u8>(), 1..200),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let verifier = Verifier::from(std::slice::from_ref(&key));
        let header = signed(&key, &body);
        let check = |header: &str, body: &[u8]| {
            verifier.verify(ID, &TIMESTAMP.to_string(), header, body, TIMESTAMP)
        };
        let mut other = body.clone();
        other[at.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(check(&header, &other), Err(VerifyError::NoMatch));

        let (name, encoded) = header.split_once(',').unwrap();
        let mut bytes = BASE64.decode(encoded.as_bytes()).unwrap();
        let index = at.index(bytes.len());
        bytes[index] ^= 1 << bit;
        let forged = format!("{name},{}", BASE64.encode(&bytes));
        prop_assert_eq!(check(&forged, &body), Err(VerifyError::NoMatch));
        // And so is a signature that is cut short.
        let cut = format!("{name},{}", BASE64.encode(&bytes[..index]));
        prop_assert_eq!(check(&cut, &body), Err(VerifyError::NoMatch));
    }

    /// No text makes the parsers panic, and no error repeats it.
    #[test]
    fn any_text_is_survived(text in "(whsec_|whsk_|whpk_|v1,|v1a,)?.{0,120}") {
        if let Err(error) = SigningKey::parse(&text) {
            prop_assert!(text.len() < 12 || !error.to_string().contains(&text));
        }
        let verifier = Verifier::parse([SECRET, PUBLIC]).unwrap();
        prop_assert!(verifier.verify(ID, &text, &text, BODY, TIMESTAMP).is_err());
        prop_assert!(verifier.verify(ID, "1614265330", &text, BODY, TIMESTAMP).is_err());
    }
}
