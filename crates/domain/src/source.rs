//! Sources: URLs that providers call, and what becomes of each request to one.

use crate::{
    application::Metadata,
    id::{ApplicationId, MessageId, RequestId, SourceId},
    time::Timestamp,
};

/// Kept with the headers of a message, but no header and never sent: path and query below the
/// source's URL, for filters.
pub const TARGET_HEADER: &str = ":target";

/// A source. It owns an application: what arrives and is accepted is a message of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Ringback's name for it.
    pub id: SourceId,
    /// The caller's name for it, unique in its environment.
    pub uid: Option<String>,
    /// For people.
    pub name: String,
    /// Who calls: the id of a provider's file.
    pub provider: String,
    /// The application that it owns.
    pub application: ApplicationId,
    /// How requests are treated, as JSON; see the gateway's `receive::Config`.
    pub config: String,
    /// What the operator supplied for the provider, sealed.
    pub settings: Option<Vec<u8>>,
    /// The secret part of its URL, sealed.
    pub token: Vec<u8>,
    /// Until when a handshake may bring settings (see `learn` in a provider's file).
    pub armed_until: Option<Timestamp>,
    /// The caller's labels.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The header of a delivery that says whether the request it came with was proven.
pub const VERDICT_HEADER: &str = "ringback-verdict";

/// What became of a request. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is a message. (0)
    Accepted,
    /// It was a message before. (1)
    Duplicate,
    /// A challenge that was answered. (2)
    Challenge,
    /// Its proof is missing or wrong. (3)
    Unverified,
    /// Its proof is right, and too old or from the future. (4)
    Stale,
    /// Its body is not what the source's schema says. (5)
    SchemaInvalid,
    /// It is kept until somebody releases it. (6)
    Quarantined,
    /// A method that the source does not take. (7)
    MethodNotAllowed,
    /// More bytes than the source takes. (8)
    TooLarge,
    /// More requests than the source takes. (9)
    RateLimited,
    /// From an address that the source does not take. (10)
    AddressNotAllowed,
    /// It could not be read as this provider's. (11)
    Malformed,
}

impl Fate {
    /// All of them, by their stored number.
    pub const ALL: [Fate; 12] = [
        Fate::Accepted,
        Fate::Duplicate,
        Fate::Challenge,
        Fate::Unverified,
        Fate::Stale,
        Fate::SchemaInvalid,
        Fate::Quarantined,
        Fate::MethodNotAllowed,
        Fate::TooLarge,
        Fate::RateLimited,
        Fate::AddressNotAllowed,
        Fate::Malformed,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The fate with this stored number.
    pub fn from_number(number: i64) -> Option<Fate> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether it can still become a message as it is, once somebody releases it or mends the
    /// schema. It came through the proof, so whoever only knows the URL cannot make one.
    pub fn is_held(self) -> bool {
        matches!(self, Fate::SchemaInvalid | Fate::Quarantined)
    }

    /// Whether it was looked at as a whole and not taken, so that another look at it makes sense.
    pub fn may_be_replayed(self) -> bool {
        self.is_held() || matches!(self, Fate::Unverified | Fate::Stale | Fate::Malformed)
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Accepted => "accepted",
            Fate::Duplicate => "duplicate",
            Fate::Challenge => "challenge",
            Fate::Unverified => "unverified",
            Fate::Stale => "stale",
            Fate::SchemaInvalid => "schema_invalid",
            Fate::Quarantined => "quarantined",
            Fate::MethodNotAllowed => "method_not_allowed",
            Fate::TooLarge => "too_large",
            Fate::RateLimited => "rate_limited",
            Fate::AddressNotAllowed => "address_not_allowed",
            Fate::Malformed => "malformed",
        }
    }
}

/// A request as it arrived and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Ringback's name for it.
    pub id: RequestId,
    /// What became of it.
    pub fate: Fate,
    /// Why, in a stable word (`provider::Reason::code`), and for people.
    pub reason: Option<String>,
    /// Whether it was proven (`provider::State`), in a stable word.
    pub verdict: String,
    /// What was answered.
    pub status: u16,
    /// How it was sent.
    pub method: String,
    /// Path and query below the source's URL, without the secret: `?hub.mode=subscribe`.
    pub target: String,
    /// Names in lower case and values, secrets replaced. What has a name that begins with a colon is
    /// kept with them and no header.
    pub headers: Vec<(String, String)>,
    /// The address it came from.
    pub address: Option<String>,
    /// The provider's id of it.
    pub event_id: Option<String>,
    /// The type of the event, as far as it could be read.
    pub event_type: Option<String>,
    /// Bytes of the body that arrived, which may be more than are kept.
    pub bytes: u64,
    /// The body; of an accepted request it is the message's payload. Absent when it was not asked
    /// for or no longer exists.
    pub body: Option<Vec<u8>>,
    /// The message that it became, or that it repeats.
    pub message: Option<MessageId>,
    /// When it arrived.
    pub received_at: Timestamp,
}
