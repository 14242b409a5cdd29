//! Ids: a prefix that names the kind, and 27 base62 characters.
//!
//! The characters hold 20 bytes, most significant first:
//!
//! ```text
//! | 8 bytes: row key                         | 4 bytes: shard | 8 bytes: nonce |
//! | 43 bits milliseconds | 20 bits sequence  |                |                |
//! ```
//!
//! So ids sort by time, the row can be found from the id alone (no index over ids exists), and the
//! nonce, which is stored with the row, makes ids of different installations differ and a guessed
//! id fail.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// How many bits of a row key count within one millisecond.
pub const SEQUENCE_BITS: u32 = 20;
const LENGTH: usize = 27;
const LIMB: u64 = 0xffff_ffff;
const FIVE_DIGITS: u64 = 62u64.pow(5);
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What an id names; its text starts with [`Kind::prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `app_…`
    Application,
    /// `ep_…`
    Endpoint,
    /// `msg_…`
    Message,
    /// `atmpt_…`
    Attempt,
    /// `evtype_…`
    EventType,
    /// `env_…`
    Environment,
    /// `tok_…`: names an API token without being one.
    Token,
    /// `qtask_…`
    Task,
    /// `audit_…`
    Audit,
    /// `src_…`
    Source,
    /// `req_…`
    Request,
    /// `cb_…`
    Callback,
    /// `cbreq_…`
    CallbackRequest,
    /// `ocl_…`
    OauthClient,
    /// `auth_…`
    Authorization,
    /// `conn_…`
    Connection,
    /// `lsn_…`
    Listener,
}

impl Kind {
    /// The text before the 27 characters, underscore included.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Application => "app_",
            Kind::Endpoint => "ep_",
            Kind::Message => "msg_",
            Kind::Attempt => "atmpt_",
            Kind::EventType => "evtype_",
            Kind::Environment => "env_",
            Kind::Token => "tok_",
            Kind::Task => "qtask_",
            Kind::Audit => "audit_",
            Kind::Source => "src_",
            Kind::Request => "req_",
            Kind::Callback => "cb_",
            Kind::CallbackRequest => "cbreq_",
            Kind::OauthClient => "ocl_",
            Kind::Authorization => "auth_",
            Kind::Connection => "conn_",
            Kind::Listener => "lsn_",
        }
    }
}

/// The row key of a thing: milliseconds and a sequence, always positive, growing with time.
pub type Key = i64;

/// The identity of a stored thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Where its row is.
    pub key: Key,
    /// Which shard it belongs to; 0 until there is more than one.
    pub shard: u32,
    /// Random bits, stored beside the row.
    pub nonce: u64,
}

impl Id {
    /// When the thing was made, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        Timestamp(self.key >> SEQUENCE_BITS)
    }

    /// The id's text with the prefix of `kind`.
    pub fn text(self, kind: Kind) -> String {
        let mut digits = [b'0'; LENGTH];
        let (key, nonce) = (self.key as u64, self.nonce);
        // The 160-bit number in 32-bit limbs, most significant first.
        let mut limbs = [key >> 32, key & LIMB, u64::from(self.shard), nonce >> 32, nonce & LIMB];
        // Long division by 62^5, which fits a limb: five digits at a time, and every step is a
        // division of 64 bits by a constant. (Dividing 128 bits by 62 takes ten times as long, and
        // every message has its id written twice.)
        for five in digits.rchunks_mut(5) {
            let mut remainder = 0;
            for limb in &mut limbs {
                let joined = (remainder << 32) | *limb;
                *limb = joined / FIVE_DIGITS;
                remainder = joined % FIVE_DIGITS;
            }
            for digit in five.iter_mut().rev() {
                *digit = DIGITS[(remainder % 62) as usize];
                remainder /= 62;
            }
        }
        let mut text = String::with_capacity(kind.prefix().len() + LENGTH);
        text.push_str(kind.prefix());
        text.extend(digits.iter().map(|byte| char::from(*byte)));
        text
    }

    /// Reads the text of an id of `kind`.
    ///
    /// # Errors
    /// [`ParseError`] says whether the prefix or the rest is wrong.
    pub fn parse(kind: Kind, text: &str) -> Result<Id, ParseError> {
        let digits = text.strip_prefix(kind.prefix()).ok_or(ParseError::Prefix(kind.prefix()))?;
        if digits.len() != LENGTH {
            return Err(ParseError::Length);
        }
        let (mut high, mut low) = (0u128, 0u64);
        for byte in digits.bytes() {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                b'a'..=b'z' => byte - b'a' + 36,
                _ => return Err(ParseError::Character),
            };
            let joined = u128::from(low) * 62 + u128::from(value);
            low = joined as u64;
            high = high * 62 + (joined >> 64);
        }
        let key = i64::try_from(high >> 32).map_err(|_| ParseError::Range)?;
        Ok(Id { key, shard: high as u32, nonce: low })
    }

    /// The smallest key that anything made at `time` or later can have.
    pub fn first_key_at(time: Timestamp) -> Key {
        time.millis().clamp(0, i64::MAX >> SEQUENCE_BITS) << SEQUENCE_BITS
    }
}

/// Why a text is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another prefix.
    #[error("an id that starts with {0} was expected")]
    Prefix(&'static str),
    /// Not 27 characters after the prefix.
    #[error("an id has 27 characters after its prefix")]
    Length,
    /// A character that is not base62.
    #[error("an id consists of letters and digits")]
    Character,
    /// The number is larger than any id.
    #[error("no such id was ever given out")]
    Range,
}

macro_rules! typed {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Id);

        impl $name {
            /// Where its row is.
            pub fn key(self) -> Key {
                self.0.key
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.text(Kind::$kind))
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                Id::parse(Kind::$kind, text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

typed!(/// `app_…`
    ApplicationId, Application);
typed!(/// `ep_…`
    EndpointId, Endpoint);
typed!(/// `msg_…`
    MessageId, Message);
typed!(/// `src_…`
    SourceId, Source);
typed!(/// `req_…`
    RequestId, Request);
typed!(/// `cb_…`
    CallbackId, Callback);
typed!(/// `cbreq_…`
    CallbackRequestId, CallbackRequest);
typed!(/// `ocl_…`
    OauthClientId, OauthClient);
typed!(/// `auth_…`
    AuthorizationId, Authorization);
typed!(/// `conn_…`
    ConnectionId, Connection);
typed!(/// `lsn_…`
    ListenerId, Listener);
typed!(/// `atmpt_…`
    AttemptId, Attempt);
typed!(/// `evtype_…`
    EventTypeId, EventType);
typed!(/// `env_…`
    EnvironmentId, Environment);
typed!(/// `tok_…`
    TokenId, Token);
typed!(/// `qtask_…`
    TaskId, Task);
typed!(/// `audit_…`
    AuditId, Audit);

/// Gives out row keys that grow: the clock's milliseconds, or the last key plus one.
///
/// It keeps growing when the clock stands still or goes back.
#[derive(Debug, Default)]
pub struct KeySequence {
    last: Key,
}

impl KeySequence {
    /// Continues after `last`.
    pub fn after(last: Key) -> KeySequence {
        KeySequence { last }
    }

    /// The last key that was given out.
    pub fn last(&self) -> Key {
        self.last
    }

    /// The next key; the `extra` keys after it are reserved too.
    pub fn next(&mut self, now: Timestamp, extra: i64) -> Key {
        let key = Id::first_key_at(now).max(self.last + 1);
        self.last = key + extra;
        key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_id() -> impl Strategy<Value = Id> {
        (0..=i64::MAX, any::<u32>(), any::<u64>()).prop_map(|(key, shard, nonce)| Id {
            key,
            shard,
            nonce,
        })
    }

    proptest! {
        #[test]
        fn text_round_trips(id in any_id()) {
            let text = MessageId(id).to_string();
            prop_assert_eq!(text.len(), 4 + LENGTH);
            prop_assert_eq!(text.parse(), Ok(MessageId(id)));
        }

        #[test]
        fn text_sorts_as_the_id_does(a in any_id(), b in any_id()) {
            let (left, right) = (a.text(Kind::Message), b.text(Kind::Message));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
        }

        #[test]
        fn keys_grow_whatever_the_clock_does(times in prop::collection::vec(0i64..1 << 42, 1..50)) {
            let mut keys = KeySequence::default();
            let mut last = -1;
            for time in times {
                let key = keys.next(Timestamp(time), 3);
                prop_assert!(key > last);
                last = key + 3;
            }
        }
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        let zeros = "0".repeat(LENGTH);
        for (text, error) in [
            ("ep_123", ParseError::Prefix("msg_")),
            ("msg_123", ParseError::Length),
            (&format!("msg_{}-", &zeros[1..]), ParseError::Character),
            (&format!("msg_{}", "z".repeat(LENGTH)), ParseError::Range),
        ] {
            assert_eq!(text.parse::<MessageId>(), Err(error), "{text}");
        }
        assert!(format!("msg_{zeros}").parse::<MessageId>().is_ok());
    }

    #[test]
    fn creation_time_is_in_the_key() {
        let key = KeySequence::default().next(Timestamp(1_700_000_000_123), 0);
        let id = Id { key, shard: 0, nonce: 1 };
        assert_eq!(id.created_at(), Timestamp(1_700_000_000_123));
    }
}
