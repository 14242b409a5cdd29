//! Round trips, a vector from another implementation, and what must not open.

use proptest::prelude::*;

use super::*;

const PLACE: Context<'_> = Context { environment: 7, owner: 42, purpose: "endpoint-secret" };

fn master(byte: u8) -> MasterKey {
    MasterKey::new([byte; 32])
}

fn ring(current: u8, previous: &[u8]) -> Keyring {
    Keyring::new(&master(current), &previous.iter().copied().map(master).collect::<Vec<_>>())
}

/// Sealed with Python's `cryptography`: key 01…01, nonce 02…02, the place above, `sealed secret`.
#[test]
fn another_implementation_agrees() {
    let sealed = HEXLOWER.decode(VECTOR.as_bytes()).unwrap();
    assert_eq!(ring(1, &[]).seal([2; 12], &PLACE, b"sealed secret").unwrap(), sealed);
    assert_eq!(*ring(1, &[]).open(&PLACE, &sealed).unwrap(), b"sealed secret");
}

const VECTOR: &str = "01cedc05e0180c1be802020202020202020202020274b3a8252f33e18eb6afcead28f1fb88db7082cb91bc627bdf23f50ae2";

#[test]
fn master_keys_are_read() {
    let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(255 - i).unwrap());
    let key = MasterKey::new(bytes);
    let hex = HEXLOWER.encode(&bytes);
    for text in [
        key.to_text().to_string(),
        format!("\t{}\r\n", *key.to_text()),
        BASE64.encode(&bytes),
        hex.to_uppercase(),
        hex,
    ] {
        assert_eq!(MasterKey::parse(&text).unwrap().id(), key.id(), "{text}");
    }
    assert!(key.to_text().starts_with("rbk_"));
}

#[test]
fn wrong_master_keys_say_why() {
    let urlsafe_without_prefix = master(255).to_text().replace("rbk_", "");
    for (text, expect) in [
        ("", MasterKeyError::Length { len: 0 }),
        ("rbk_", MasterKeyError::Length { len: 0 }),
        ("rbk_AAAA", MasterKeyError::Length { len: 3 }),
        ("AAAA", MasterKeyError::Length { len: 3 }),
        ("correct horse battery staple", MasterKeyError::Encoding),
        (&"x".repeat(64), MasterKeyError::Encoding),
        (&urlsafe_without_prefix, MasterKeyError::Encoding),
    ] {
        assert_eq!(MasterKey::parse(text).err(), Some(expect), "{text}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = master(0xab);
    assert_eq!(format!("{key:?}"), format!("MasterKey({}, redacted)", key.id()));
    assert_eq!(format!("{:?}", ring(0xab, &[])), format!("[KeyId({})]", key.id()));
}

#[test]
fn a_value_opens_only_in_its_place() {
    let ring = ring(1, &[]);
    let sealed = ring.seal([0; 12], &PLACE, b"secret").unwrap();
    for elsewhere in [
        Context { environment: 8, ..PLACE },
        Context { owner: 43, ..PLACE },
        Context { purpose: "endpoint-headers", ..PLACE },
        Context { purpose: "", ..PLACE },
        Context { environment: 42, owner: 7, ..PLACE },
    ] {
        assert_eq!(ring.open(&elsewhere, &sealed).err(), Some(OpenError::Altered));
    }
}

#[test]
fn rotation() {
    let old = ring(1, &[]);
    let both = ring(2, &[1]);
    let sealed = old.seal([0; 12], &PLACE, b"secret").unwrap();
    assert!(old.is_current(&sealed) && !both.is_current(&sealed));
    assert_eq!(*both.open(&PLACE, &sealed).unwrap(), b"secret");

    let resealed = both.seal([1; 12], &PLACE, b"secret").unwrap();
    assert!(both.is_current(&resealed));
    assert_eq!(key_id(&resealed), Ok(master(2).id()));
    let expect =
        OpenError::UnknownKey { sealed_with: master(2).id(), at_hand: master(1).id().to_string() };
    assert_eq!(old.open(&PLACE, &resealed).err(), Some(expect));
}

#[test]
fn a_key_comes_to_the_front_of_a_ring_that_is_in_use() {
    let ring = ring(1, &[]);
    let old = ring.seal([0; 12], &PLACE, b"secret").unwrap();
    assert!(old.starts_with(&master(1).id().head()));
    ring.lead(&master(2));
    assert_eq!(ring.ids(), [master(2).id(), master(1).id()]);
    let new = ring.seal([0; 12], &PLACE, b"secret").unwrap();
    assert!(ring.is_current(&new) && !ring.is_current(&old));
    for sealed in [&old, &new] {
        assert_eq!(*ring.open(&PLACE, sealed).unwrap(), b"secret");
    }
    ring.lead(&master(1));
    assert_eq!(ring.ids(), [master(1).id(), master(2).id()], "each is there once");
}

#[test]
fn what_was_never_sealed_is_refused() {
    let ring = ring(1, &[]);
    let sealed = ring.seal([0; 12], &PLACE, b"").unwrap();
    assert_eq!(sealed.len(), 37);
    assert_eq!(ring.open(&PLACE, &[]).err(), Some(OpenError::Short));
    assert_eq!(ring.open(&PLACE, &sealed[..36]).err(), Some(OpenError::Short));
    let mut later = sealed;
    later[0] = 2;
    assert_eq!(ring.open(&PLACE, &later).err(), Some(OpenError::Version(2)));
}

proptest! {
    #[test]
    fn sealed_opens(
        key: [u8; 32],
        nonce: [u8; 12],
        environment: i64,
        owner: i64,
        purpose in "[a-z-]{0,30}",
        plaintext: Vec<u8>,
    ) {
        let ring = Keyring::new(&MasterKey::new(key), []);
        let place = Context { environment, owner, purpose: &purpose };
        let sealed = ring.seal(nonce, &place, &plaintext).unwrap();
        prop_assert_eq!(&*ring.open(&place, &sealed).unwrap(), &plaintext);
    }

    /// A flipped bit anywhere, head included, and a cut anywhere, never opens.
    #[test]
    fn an_altered_value_does_not_open(
        plaintext in prop::collection::vec(any::<u8>(), 0..100),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let ring = ring(1, &[2]);
        let sealed = ring.seal([3; 12], &PLACE, &plaintext).unwrap();
        let index = at.index(sealed.len());
        prop_assert!(ring.open(&PLACE, &sealed[..index]).is_err());
        let mut flipped = sealed;
        flipped[index] ^= 1 << bit;
        prop_assert!(ring.open(&PLACE, &flipped).is_err());
    }
}
