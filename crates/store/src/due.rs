//! What is due, and what a lane needs to know of it.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    attempt::Trigger,
    endpoint::{Endpoint, SealedSecret},
    id::{ApplicationId, Key, MessageId},
    scope::Scope,
    time::Timestamp,
};

/// Which deliveries of an endpoint to load.
#[derive(Clone, Copy, Debug)]
pub struct DueQuery {
    /// The endpoint.
    pub endpoint: Key,
    /// Due at this time or before.
    pub until: Timestamp,
    /// At most this many.
    pub limit: usize,
    /// No more once their payloads have this many bytes.
    pub bytes: usize,
}

/// Due deliveries of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Oldest first.
    pub due: Vec<Due>,
    /// Whether `limit` or `bytes` cut it off.
    pub more: bool,
    /// When the next one after `until` is due.
    pub next_due: Option<Timestamp>,
}

/// A delivery that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub scope: Scope,
    /// The delivery's key.
    pub delivery: Key,
    /// To which endpoint.
    pub endpoint: Key,
    /// How many scheduled attempts there were.
    pub attempts: u32,
    /// What starts the next attempt.
    pub trigger: Trigger,
    /// When it was due.
    pub due_at: Timestamp,
    /// Its place among all deliveries to the endpoint with its ordering key: it grows, not by one.
    /// None where the endpoint keeps no order.
    pub sequence: Option<i64>,
    /// What an earlier attempt sent, see [`Record::fix`](crate::Record::fix); of a delivery that was
    /// asked for in its [original](ringback_domain::replay::Shape::Original) version the oldest
    /// [rendering](ringback_domain::attempt::Attempt::rendering) of the message at the endpoint.
    pub fixed: Option<Bytes>,
    /// What to send.
    pub content: Arc<Content>,
}

/// What is sent, the same for every endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Sent as `webhook-id`.
    pub id: MessageId,
    /// Whose.
    pub scope: Scope,
    /// What happened.
    pub event_type: Box<str>,
    /// The caller's id, for operational messages.
    pub event_id: Option<String>,
    /// The content type, if not `application/json`.
    pub content_type: Option<String>,
    /// The exact bytes.
    pub payload: Bytes,
    /// The headers that it came with, for messages of sources; lower-case names.
    pub headers: Option<Arc<[(String, String)]>>,
    /// The version of its event type that the payload has, by ordinal.
    pub version: Option<u32>,
}

/// An endpoint with pending deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The endpoint.
    pub endpoint: Key,
    /// When its oldest delivery is due.
    pub next_due: Timestamp,
}

/// What a lane needs to know about its endpoint.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Whose.
    pub scope: Scope,
    /// The caller's name for the application.
    pub application_uid: Option<String>,
    /// The application's id.
    pub application: ApplicationId,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its secrets and headers.
    pub secrets: EndpointSecrets,
}

/// The sealed parts of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSecrets {
    /// The endpoint's key, part of what the parts are bound to.
    pub endpoint: Key,
    /// Signing secrets, the newest first.
    pub secrets: Vec<SealedSecret>,
    /// Custom headers: a sealed JSON object of names and values.
    pub headers: Option<Vec<u8>>,
    /// The credentials that were in the URL: a sealed `user:password`.
    pub credentials: Option<Vec<u8>>,
    /// What is made of its messages: a sealed transformation.
    pub transformation: Option<Vec<u8>>,
    /// What opens it: a sealed [`Access`](ringback_domain::delivery::access::Access).
    pub access: Option<Vec<u8>>,
}

/// The size of the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries are pending.
    pub pending: u64,
    /// When the oldest one was due, if any is pending.
    pub oldest_due: Option<Timestamp>,
}
