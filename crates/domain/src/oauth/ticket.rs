//! What a flow needs to be known by: all of it is made of its id with the keys of URLs, so that asking
//! again gives the same, and a copy of the store opens nothing.
//!
//! ```text
//! secret = HMAC-SHA256(key, purpose | 0 | key (8) | shard (4) | nonce (8) | turn (4))
//! ticket = base64url(key's version (1) | secret (32) | id (20) xor HMAC-SHA256(key, mask | 0 | secret))
//! ```
//!
//! A ticket (the `state`, and what starts a flow) names its flow only to whoever has the key: to
//! everybody else it is 53 random bytes, of which 32 have to be guessed (RFC 6749, section 10.10). It
//! says nothing of when it was made.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::{
    callback::url::{Turn, UrlKeys},
    id::{AuthorizationId, Id},
};

/// The bytes of an id.
const ID: usize = 20;
/// The bytes of a secret.
const SECRET: usize = 32;
/// The bytes of a ticket.
const TICKET: usize = 1 + SECRET + ID;

/// What something is for. Each has secrets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whoever has it may begin the flow: it stands in the URL that is handed out.
    Start,
    /// What comes back with the browser (RFC 6749, section 4.1.1).
    State,
    /// The code verifier (RFC 7636, section 4.1), which never leaves but for the token endpoint.
    Verifier,
    /// What an ID token has to repeat (OpenID Connect Core, section 3.1.2.1).
    Nonce,
    /// What only the browser has that came back: the application needs it to confirm.
    Confirmation,
    /// The cookie of a browser that is bound to its flow.
    Binding,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Start => b"ringback oauth start",
            Purpose::State => b"ringback oauth state",
            Purpose::Verifier => b"ringback oauth verifier",
            Purpose::Nonce => b"ringback oauth nonce",
            Purpose::Confirmation => b"ringback oauth confirmation",
            Purpose::Binding => b"ringback oauth binding",
        }
    }
}

/// A secret in the form in which it goes over the wire. Never shown by [`fmt::Debug`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for the wire alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret of a flow for something: 256 bits as 43 characters of base64url. None if the key of its
/// turn is gone.
pub fn secret(keys: &UrlKeys, purpose: Purpose, id: AuthorizationId, turn: Turn) -> Option<Secret> {
    let secret = derived(keys, purpose, id, turn)?;
    Some(Secret(Zeroizing::new(BASE64URL_NOPAD.encode(&*secret))))
}

/// Whether `presented` is that secret. Takes as long for a wrong one as for the right one.
pub fn is_secret(
    keys: &UrlKeys,
    purpose: Purpose,
    id: AuthorizationId,
    turn: Turn,
    presented: &str,
) -> bool {
    let secret = derived(keys, purpose, id, turn);
    let presented = BASE64URL_NOPAD.decode(presented.as_bytes()).map(Zeroizing::new);
    matches!((secret, presented), (Some(secret), Ok(presented)) if is_same(&*secret, &presented))
}

/// A secret that names its flow. None if the key of its turn is gone.
pub fn ticket(keys: &UrlKeys, purpose: Purpose, id: AuthorizationId, turn: Turn) -> Option<Secret> {
    let secret = derived(keys, purpose, id, turn)?;
    let mask = mask(keys, purpose, turn.version, &secret)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(TICKET));
    bytes.push(turn.version);
    bytes.extend_from_slice(&*secret);
    bytes.extend(bytes_of(id.0).iter().zip(&*mask).map(|(byte, mask)| byte ^ mask));
    Some(Secret(Zeroizing::new(BASE64URL_NOPAD.encode(&bytes))))
}

/// A ticket that was presented: a claim until [`opens`](Presented::opens) has said so.
pub struct Presented {
    /// The flow that it names.
    pub id: AuthorizationId,
    purpose: Purpose,
    version: u8,
    secret: Zeroizing<[u8; SECRET]>,
}

impl Presented {
    /// Reads a ticket; none if it has never been one for this purpose.
    pub fn read(keys: &UrlKeys, purpose: Purpose, text: &str) -> Option<Presented> {
        if text.len() != BASE64URL_NOPAD.encode_len(TICKET) {
            return None;
        }
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        let (version, rest) = bytes.split_first()?;
        let (secret, masked) = rest.split_at_checked(SECRET)?;
        let secret = Zeroizing::new(<[u8; SECRET]>::try_from(secret).ok()?);
        let mask = mask(keys, purpose, *version, &secret)?;
        let masked: [u8; ID] = masked.try_into().ok()?;
        let id = id_of(std::array::from_fn(|i| masked[i] ^ mask[i]))?;
        Some(Presented { id: AuthorizationId(id), purpose, version: *version, secret })
    }

    /// Whether it is the ticket of the flow that it names, which is at this turn.
    pub fn opens(&self, keys: &UrlKeys, turn: Turn) -> bool {
        let right = derived(keys, self.purpose, self.id, turn);
        let is_right = right.is_some_and(|right| is_same(&*right, &*self.secret));
        is_right && self.version == turn.version
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

fn derived(
    keys: &UrlKeys,
    purpose: Purpose,
    id: AuthorizationId,
    turn: Turn,
) -> Option<Zeroizing<[u8; SECRET]>> {
    let turned = turn.turn.to_be_bytes();
    keys.mac(turn.version, &[purpose.label(), b"\0", &bytes_of(id.0), &turned].concat())
}

/// What hides an id. It depends on the secret, so that no two are hidden alike.
fn mask(
    keys: &UrlKeys,
    purpose: Purpose,
    version: u8,
    secret: &[u8; SECRET],
) -> Option<Zeroizing<[u8; SECRET]>> {
    keys.mac(version, &[purpose.label(), b" mask\0".as_slice(), secret].concat())
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

fn bytes_of(id: Id) -> [u8; ID] {
    let mut bytes = [0; ID];
    bytes[..8].copy_from_slice(&id.key.to_be_bytes());
    bytes[8..12].copy_from_slice(&id.shard.to_be_bytes());
    bytes[12..].copy_from_slice(&id.nonce.to_be_bytes());
    bytes
}

fn id_of(bytes: [u8; ID]) -> Option<Id> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (shard, nonce) = rest.split_first_chunk()?;
    let key = i64::from_be_bytes(*key);
    let nonce = u64::from_be_bytes(nonce.try_into().ok()?);
    (key >= 0).then(|| Id { key, shard: u32::from_be_bytes(*shard), nonce })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn keys(versions: &[u8]) -> UrlKeys {
        UrlKeys::new(versions.iter().map(|version| (*version, Zeroizing::new([*version; 32]))))
    }

    fn id(key: i64) -> AuthorizationId {
        AuthorizationId(Id { key: (1 << 40) + key, shard: 3, nonce: 5 })
    }

    const TURN: Turn = Turn { version: 7, turn: 0 };

    #[test]
    fn a_ticket_names_its_flow_and_opens_it_alone() {
        let keys = keys(&[1, 7]);
        let text = ticket(&keys, Purpose::State, id(1), TURN).unwrap();
        assert_eq!(Some(&text), ticket(&keys, Purpose::State, id(1), TURN).as_ref());
        let presented = Presented::read(&keys, Purpose::State, text.as_str()).unwrap();
        assert_eq!(presented.id, id(1));
        assert!(presented.opens(&keys, TURN));
        assert!(!presented.opens(&keys, Turn { turn: 1, ..TURN }));
        assert!(!presented.opens(&keys, Turn { version: 1, ..TURN }));
        assert!(!presented.opens(&self::keys(&[1]), TURN));
        // What is for something else names nobody, or somebody that it does not open.
        let other = Presented::read(&keys, Purpose::Start, text.as_str());
        assert!(other.is_none_or(|other| !other.opens(&keys, TURN)));
    }

    /// RFC 9700, section 4.7.1: a state that was tampered with is none.
    #[test]
    fn every_changed_character_is_noticed() {
        let keys = keys(&[7]);
        let text = ticket(&keys, Purpose::State, id(1), TURN).unwrap();
        for place in 0..text.as_str().len() {
            let mut changed = text.as_str().as_bytes().to_vec();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let presented = Presented::read(&keys, Purpose::State, &changed);
            let opens = |it: Presented| it.id == id(1) && it.opens(&keys, TURN);
            assert!(!presented.is_some_and(opens), "{place}");
        }
        for wrong in ["", "A", &format!("{}A", text.as_str()), &"ä".repeat(40)] {
            assert!(Presented::read(&keys, Purpose::State, wrong).is_none());
        }
    }

    /// RFC 6749, section 10.10: at least 128 bits, and not in the order of time.
    #[test]
    fn tickets_are_random_to_whoever_has_no_key() {
        let keys = keys(&[7]);
        let all: Vec<String> = (0..2_000)
            .map(|key| ticket(&keys, Purpose::State, id(key), TURN).unwrap().as_str().to_owned())
            .collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        let ascending = all.windows(2).filter(|two| two[0] < two[1]).count();
        assert!((800..1_200).contains(&ascending), "{ascending} of {} ascend", all.len());
        // But for the version, no byte stands still: of each bit about half are set.
        let bytes: Vec<_> =
            all.iter().map(|text| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()).collect();
        for bit in 8..TICKET * 8 {
            let set = bytes.iter().filter(|it| it[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((850..1_150).contains(&set), "bit {bit} is set in {set}");
        }
    }

    /// RFC 7636, section 4.1: 43 to 128 unreserved characters.
    #[test]
    fn a_verifier_is_long_enough_and_of_one_flow() {
        let keys = keys(&[7]);
        let verifier = secret(&keys, Purpose::Verifier, id(1), TURN).unwrap();
        assert_eq!(verifier.as_str().len(), 43);
        assert_ne!(Some(verifier.clone()), secret(&keys, Purpose::Verifier, id(2), TURN));
        assert_ne!(Some(verifier.clone()), secret(&keys, Purpose::Nonce, id(1), TURN));
        assert!(is_secret(&keys, Purpose::Verifier, id(1), TURN, verifier.as_str()));
        assert!(!is_secret(&keys, Purpose::Verifier, id(2), TURN, verifier.as_str()));
        assert!(!is_secret(&keys, Purpose::Verifier, id(1), TURN, ""));
        assert_eq!(format!("{verifier:?}"), "Secret(…)");
    }
}
