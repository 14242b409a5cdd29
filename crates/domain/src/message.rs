//! Messages: accepted facts, whatever door they came through.

use crate::{id::MessageId, time::Timestamp};

/// Which door a message came through. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An application posted it. (0)
    #[default]
    Send,
    /// A provider called a source's URL. (1)
    Receive,
    /// A callback reached a state. (2)
    Callback,
    /// Ringback itself has something to tell. (3)
    Operational,
    /// Somebody tried one endpoint out. (4)
    Example,
    /// A connection changed. (5)
    Connection,
}

impl Origin {
    /// Whether it may go to the hidden application: its endpoints believe that what they get is
    /// Ringback's own word.
    #[must_use]
    pub fn is_our_own(self) -> bool {
        matches!(self, Origin::Operational | Origin::Example)
    }
}

impl Origin {
    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The origin with this stored number.
    pub fn from_number(number: i64) -> Option<Origin> {
        [
            Origin::Send,
            Origin::Receive,
            Origin::Callback,
            Origin::Operational,
            Origin::Example,
            Origin::Connection,
        ]
        .get(usize::try_from(number).ok()?)
        .copied()
    }
}

/// The longest ordering key, in characters.
pub const ORDERING_KEY_LENGTH: usize = 256;

/// Why a text is no ordering key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has at most {ORDERING_KEY_LENGTH} characters, and none of them is NUL")]
pub struct OrderingKeyError;

/// Checks an ordering key.
///
/// # Errors
/// It is too long, or cannot be stored.
pub fn check_ordering_key(key: &str) -> Result<(), OrderingKeyError> {
    let fits = key.chars().count() <= ORDERING_KEY_LENGTH && !key.contains('\0');
    if fits { Ok(()) } else { Err(OrderingKeyError) }
}

/// A stored message. `payload` is absent when it was not asked for, or no longer exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Ringback's id, sent to receivers as `webhook-id`.
    pub id: MessageId,
    /// The caller's id, unique in its application.
    pub event_id: Option<String>,
    /// What happened.
    pub event_type: String,
    /// Whom it concerns; see [`crate::route`].
    pub channels: Option<Vec<String>>,
    /// The caller's labels.
    pub tags: Option<Vec<String>>,
    /// The content type sent to receivers; `application/json` when absent.
    pub content_type: Option<String>,
    /// The bytes as they were received.
    pub payload: Option<Vec<u8>>,
    /// The headers that it came with, for messages of sources; lower-case names. Absent where the
    /// payload is.
    pub headers: Option<Vec<(String, String)>>,
    /// The version of its event type that its payload has, by ordinal; none where the type has no
    /// versions.
    pub version: Option<u32>,
    /// Whether the payload fits that version's schema; none where nobody looked.
    pub fits_schema: Option<bool>,
    /// Deliveries with the same key to an endpoint that keeps an order are made one after the other.
    pub ordering_key: Option<String>,
    /// Which door it came through.
    pub origin: Origin,
    /// When it was accepted.
    pub created_at: Timestamp,
}
