//! Endpoints: where an application's messages go.

use crate::{application::Metadata, id::EndpointId, id::Key, time::Timestamp};

/// An endpoint, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Ringback's name for it.
    pub id: EndpointId,
    /// The caller's name for it, unique in its application.
    pub uid: Option<String>,
    /// Where requests go, without credentials.
    pub url: String,
    /// For people.
    pub description: String,
    /// Only these event types; all when absent.
    pub event_types: Option<Vec<String>>,
    /// Only messages with one of these channels; all when absent.
    pub channels: Option<Vec<String>>,
    /// Only messages with such content: a [filter](crate::filter) as JSON text; all when absent.
    pub filter: Option<String>,
    /// Whose style deliveries are signed in, beside our own: the id of a [provider](crate::provider).
    pub sign_as: Option<String>,
    /// How it wants its deliveries: [`Delivery`](crate::delivery::Delivery) as JSON text; as usual
    /// when absent.
    pub delivery: Option<String>,
    /// What opens it, without the secrets: [`Shown`](crate::delivery::access::Shown) as JSON text;
    /// nothing when absent.
    pub access: Option<String>,
    /// The caller's own labels.
    pub metadata: Metadata,
    /// Requests a second; stored for the SDKs.
    pub throttle_rate: Option<u32>,
    /// Whether it takes messages.
    pub state: State,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// The row of `endpoint_revision` that holds what is in force now.
    pub revision: Key,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Whether an endpoint takes messages, and why not. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// It takes messages. (0)
    #[default]
    Enabled,
    /// Someone switched it off: pending deliveries are held, new messages only note it. (1)
    Disabled,
    /// It answered 410 Gone. (2)
    Gone,
    /// It failed for days without one success. (3)
    Failing,
    /// Someone paused it: deliveries are kept, new ones too, and wait. (4)
    Paused,
    /// It was deleted; what was pending is canceled. (5)
    Deleted,
    /// Nothing is sent to it: whoever wants its messages reads them. (6)
    Pulled,
}

impl State {
    /// Every state, at the index of its stored number.
    pub const ALL: [State; 7] = [
        State::Enabled,
        State::Disabled,
        State::Gone,
        State::Failing,
        State::Paused,
        State::Deleted,
        State::Pulled,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        State::ALL.iter().position(|state| *state == self).unwrap_or(0) as i64
    }

    /// The state with this stored number.
    pub fn from_number(number: i64) -> Option<State> {
        State::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Enabled => "enabled",
            State::Disabled => "disabled",
            State::Gone => "disabled_gone",
            State::Failing => "disabled_failing",
            State::Paused => "paused",
            State::Deleted => "deleted",
            State::Pulled => "pulled",
        }
    }

    /// Whether a new message gets a delivery here (it may have to wait).
    pub fn takes_messages(self) -> bool {
        matches!(self, State::Enabled | State::Paused)
    }

    /// Whether attempts are made now.
    pub fn attempts(self) -> bool {
        self == State::Enabled
    }

    /// What the SDKs call `disabled`.
    pub fn is_disabled(self) -> bool {
        matches!(self, State::Disabled | State::Gone | State::Failing)
    }
}

/// A signing secret as it is stored: sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// Until when it signs too; the newest has no end.
    pub expires_at: Option<Timestamp>,
}
