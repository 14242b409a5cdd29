//! Pulling instead of pushing: an endpoint that nothing is sent to, and places in what it may read.
//!
//! Whoever reads is told, with each page, how far it goes: a [`Cursor`]. Either they keep it, or a
//! [`Consumer`] does, which is a name under which the server remembers how far somebody is.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;

use crate::{id::Id, id::Key, time::Timestamp};

/// The URL of an endpoint that is read: there is nothing to call.
pub const URL: &str = "polling://messages";

/// The most consumers that one endpoint has.
pub const CONSUMERS: u64 = 100;

/// The first byte of a cursor, should there ever be another kind.
const VERSION: u8 = 1;
/// A version, an endpoint, a place and a turn.
const LENGTH: usize = 21;

/// A name under which somebody reads an endpoint, and how far they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The endpoint that is read.
    pub endpoint: Key,
    /// The reader's own name for it, unique at the endpoint; as a uid is written.
    pub name: String,
    /// Everything up to here is acknowledged.
    pub place: Key,
    /// How often it was moved by hand. A cursor that was given before that is of the past.
    pub turn: u32,
    /// When it was first written down.
    pub created_at: Timestamp,
    /// When it was last written down.
    pub seen_at: Timestamp,
}

impl Consumer {
    /// Somebody of whom nothing is written down yet.
    pub fn new(endpoint: Key, name: &str, made_at: Timestamp, now: Timestamp) -> Consumer {
        let (name, place) = (name.to_owned(), start(made_at));
        Consumer { endpoint, name, place, turn: 0, created_at: now, seen_at: now }
    }

    /// The place, as it is told.
    pub fn cursor(&self) -> Cursor {
        Cursor { endpoint: self.endpoint, place: self.place, turn: self.turn }
    }

    /// From where somebody goes on who was told `cursor`: never before what is acknowledged, and at
    /// the place if it was moved since.
    pub fn after(&self, cursor: Option<Cursor>) -> Key {
        let current = cursor.filter(|cursor| cursor.turn == self.turn);
        current.map_or(self.place, |cursor| cursor.place.max(self.place))
    }
}

/// Before everything that was accepted at a time or later.
pub fn start(at: Timestamp) -> Key {
    (Id::first_key_at(at) - 1).max(0)
}

/// A place in what an endpoint may read, as it is told to whoever reads: a text that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The endpoint that it is of.
    pub endpoint: Key,
    /// The key of the last message that was passed.
    pub place: Key,
    /// The consumer's turn, 0 without one.
    pub turn: u32,
}

/// The text is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is the `iterator` of an answer of this endpoint")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [VERSION; LENGTH];
        bytes[1..9].copy_from_slice(&self.endpoint.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.place.to_be_bytes());
        bytes[17..].copy_from_slice(&self.turn.to_be_bytes());
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Cursor, NoCursor> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NoCursor)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| NoCursor)?;
        let (&[version], rest) = bytes.split_first_chunk::<1>().ok_or(NoCursor)?;
        let (endpoint, rest) = rest.split_first_chunk::<8>().ok_or(NoCursor)?;
        let (place, rest) = rest.split_first_chunk::<8>().ok_or(NoCursor)?;
        let turn = rest.first_chunk::<4>().ok_or(NoCursor)?;
        let cursor = Cursor {
            endpoint: Key::from_be_bytes(*endpoint),
            place: Key::from_be_bytes(*place),
            turn: u32::from_be_bytes(*turn),
        };
        if version == VERSION && cursor.place >= 0 { Ok(cursor) } else { Err(NoCursor) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(endpoint: i64, place in 0..i64::MAX, turn: u32) {
            let cursor = Cursor { endpoint, place, turn };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn no_text_is_taken_for_one_that_was_not_told(text in "\\PC{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_cursor() {
        let cursor = Cursor { endpoint: 3, place: 7, turn: 0 };
        let text = cursor.to_string();
        let negative = Cursor { place: -1, ..cursor }.to_string();
        let other = BASE64URL_NOPAD.encode(&[2; LENGTH]);
        for text in ["", &text[1..], &format!("{text}A"), &format!("{text}="), &negative, &other] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn a_cursor_counts_until_the_consumer_is_moved() {
        let at = |place, turn| Some(Cursor { endpoint: 3, place, turn });
        let new = Consumer::new(3, "me", Timestamp(1), Timestamp(2));
        assert_eq!((new.place, new.turn), ((1 << 20) - 1, 0));
        let consumer = Consumer { place: 10, turn: 1, ..new };
        for (cursor, expect) in
            [(None, 10), (at(12, 1), 12), (at(8, 1), 10), (at(12, 0), 10), (at(12, 2), 10)]
        {
            assert_eq!(consumer.after(cursor), expect, "{cursor:?}");
        }
    }
}
