//! Applications, endpoints and event types as they are made and changed.

use ringback_domain::{
    application::{Application, Metadata},
    endpoint::{Endpoint, State},
    event_type::EventType,
    id::Key,
    scope::{Reference, Scope},
    time::Timestamp,
};

use crate::{Amendment, Answer};

/// An application to create.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// Whose.
    pub environment: Key,
    /// The application.
    pub application: Application,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A change of an application; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct ApplicationChange {
    /// The caller's name for it.
    pub uid: Option<Option<String>>,
    /// For people.
    pub name: Option<String>,
    /// The caller's labels.
    pub metadata: Option<Metadata>,
    /// Messages a second.
    pub throttle_rate: Option<Option<u32>>,
}

/// An endpoint to create.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Whose.
    pub scope: Scope,
    /// The endpoint; its `revision` is set by the store.
    pub endpoint: Endpoint,
    /// Its first signing secret.
    pub secret: Vec<u8>,
    /// Its sealed custom headers.
    pub headers: Option<Vec<u8>>,
    /// The sealed credentials of its URL.
    pub credentials: Option<Vec<u8>>,
    /// What opens the endpoint beside them, sealed; what of it is shown is part of the endpoint.
    pub access: Option<Vec<u8>>,
    /// The most endpoints that the application may have with it.
    pub most: Option<u64>,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A change of an endpoint; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// The caller's name for it.
    pub uid: Option<Option<String>>,
    /// Where requests go, and the sealed credentials that were in it.
    pub url: Option<(String, Option<Vec<u8>>)>,
    /// For people.
    pub description: Option<String>,
    /// Only these event types.
    pub event_types: Option<Option<Vec<String>>>,
    /// Only these channels.
    pub channels: Option<Option<Vec<String>>>,
    /// Only such content: JSON text that is known to be a filter.
    pub filter: Option<Option<String>>,
    /// Whose style deliveries are signed in.
    pub sign_as: Option<Option<String>>,
    /// How it wants its deliveries: JSON text that is known to be a
    /// [`Delivery`](ringback_domain::delivery::Delivery).
    pub delivery: Option<Option<String>>,
    /// What opens it.
    pub access: Option<Option<SealedAccess>>,
    /// The caller's labels.
    pub metadata: Option<Metadata>,
    /// Requests a second.
    pub throttle_rate: Option<Option<u32>>,
    /// Switch on, off, pause. Enabling clears `failing_since`.
    pub state: Option<State>,
}

/// What opens an endpoint: an [`Access`](ringback_domain::delivery::access::Access).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedAccess {
    /// All of it, sealed.
    pub sealed: Vec<u8>,
    /// What of it is no secret, as JSON text.
    pub shown: String,
}

/// A new signing secret.
#[derive(Clone, Debug)]
pub struct RotateSecret {
    /// Whose.
    pub scope: Scope,
    /// Of which endpoint.
    pub endpoint: Reference,
    /// Sealed.
    pub secret: Vec<u8>,
    /// How long the others sign too.
    pub old_until: Timestamp,
    /// When it was asked for.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// The most secrets that can sign at once; more would not fit a header.
pub const SECRETS_LIMIT: usize = 10;

/// An event type to create.
#[derive(Clone, Debug)]
pub struct NewEventType {
    /// Whose.
    pub environment: Key,
    /// The event type.
    pub event_type: EventType,
    /// What its contract says from the beginning.
    pub contract: Option<Amendment>,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A change of an event type; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct EventTypeChange {
    /// For people.
    pub description: Option<String>,
    /// JSON Schemas by version.
    pub schemas: Option<Option<serde_json::Value>>,
    /// Hidden from lists.
    pub archived: Option<bool>,
    /// No longer recommended.
    pub deprecated: Option<bool>,
    /// Only for applications with this flag.
    pub feature_flag: Option<Option<String>>,
    /// Its group.
    pub group_name: Option<Option<String>>,
    /// What its contract says from now on.
    pub contract: Option<Amendment>,
}
