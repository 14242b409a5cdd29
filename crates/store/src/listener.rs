//! The part of the seam for listeners: places in what arrived, and reading on from them.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    id::{Key, ListenerId, MessageId, SourceId},
    listener::Listener,
    scope::{Reference, Scope},
    time::Timestamp,
};

use crate::{Answer, BoxFuture, Listed, Page, ReadError, Unavailable, WriteError};

/// How long a listener is kept at which nobody was, in milliseconds: 30 days.
pub const LISTENER_KEPT: i64 = 30 * 24 * 3_600_000;

/// Listeners, and the event streams of sources.
///
/// # Rules of an implementation
///
/// 1. [`arrivals`](Listeners::arrivals) never passes over a message: whatever is committed later
///    has a key greater than the `reached` that was told. So whoever moves from `reached` to
///    `reached` sees every message once, in the order of their keys, however many writers there are.
/// 2. A place only moves forward, but for [`seek_listener`](Listeners::seek_listener). It is never
///    ahead of what there is: whoever names a greater key means "from now on", and an acknowledgement
///    of what does not exist yet cannot make a listener deaf.
/// 3. A listener at which nobody was for [`LISTENER_KEPT`] is deleted by the sweep.
pub trait Listeners {
    /// Makes a listener, or changes the terms of the one with this name; its place stays then.
    /// Returns it, and whether it was made.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if an id is named that is not there.
    fn put_listener(&self, put: PutListener)
    -> BoxFuture<'_, Result<(Listener, bool), WriteError>>;

    /// One listener.
    fn listener(
        &self,
        environment: Key,
        listener: Reference,
    ) -> BoxFuture<'_, Result<Listener, ReadError>>;

    /// Listeners by id.
    fn listeners(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Listener>, ReadError>>;

    /// Moves a listener to a place, forward or back. Returns it as it is then.
    fn seek_listener(
        &self,
        environment: Key,
        listener: Reference,
        place: Key,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Listener, WriteError>>;

    /// Deletes a listener. Returns its key.
    fn delete_listener(
        &self,
        environment: Key,
        listener: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>>;

    /// Notes how far listeners are, by their keys, and that somebody is there. What is no longer there, or
    /// farther already, stays as it is. Not an act of anybody: nothing is written to the audit log.
    fn advance_listeners(
        &self,
        places: Vec<(Key, Key)>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// What arrived after a place, with its content. A page may be shorter than it could be. One
    /// without a message that did not get on either, and is not done, says that what comes next is
    /// still being written: it may be asked for again at once.
    fn arrivals(&self, query: ArrivalQuery) -> BoxFuture<'_, Result<Arrivals, Unavailable>>;

    /// How much there is after a place, counted up to a bound.
    fn behind(&self, query: BehindQuery) -> BoxFuture<'_, Result<Behind, Unavailable>>;

    /// Gives a source an event stream, in place of the one that it had.
    fn put_stream(&self, put: PutStream) -> BoxFuture<'_, Result<(), WriteError>>;

    /// The event stream of a source, if it has one.
    fn stream(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Option<Stream>, ReadError>>;

    /// Takes a source's event stream away.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the source is not there, or has none.
    fn delete_stream(
        &self,
        environment: Key,
        source: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), WriteError>>;

    /// Whose event stream has this token, by its SHA-256.
    fn stream_by_token(
        &self,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Scope, SourceId)>, Unavailable>>;
}

/// A listener to make or change.
#[derive(Clone, Debug)]
pub struct PutListener {
    /// Whose.
    pub environment: Key,
    /// Which; a name that is not there is made.
    pub listener: Reference,
    /// Its id, should it be made.
    pub id: ListenerId,
    /// What it listens to and how, as JSON.
    pub terms: String,
    /// Where it begins, should it be made; none: with what arrives from now on.
    pub place: Option<Key>,
    /// When.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct ArrivalQuery {
    /// Whose.
    pub environment: Key,
    /// In which applications.
    pub applications: Vec<Key>,
    /// Only with greater keys.
    pub after: Key,
    /// At most so many messages.
    pub limit: usize,
    /// At most so many bytes of payload, but one message at least.
    pub bytes: usize,
}

/// What arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// By growing key. What has no content any more is left out.
    pub items: Vec<Arrived>,
    /// Everything up to here was looked at, the key that was asked from if there is nothing.
    pub reached: Key,
    /// Whether there was nothing beyond.
    pub done: bool,
}

/// A message, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The message.
    pub id: MessageId,
    /// Whose.
    pub scope: Scope,
    /// What happened.
    pub event_type: String,
    /// The caller's id.
    pub event_id: Option<String>,
    /// Whom it concerns.
    pub channels: Option<Vec<String>>,
    /// The caller's own labels.
    pub tags: Option<Vec<String>>,
    /// The content type, if not `application/json`.
    pub content_type: Option<String>,
    /// The version of its event type that the payload has, by ordinal.
    pub version: Option<u32>,
    /// The bytes as they were received.
    pub payload: Bytes,
    /// The headers that are forwarded, with what is kept among them; lower-case names.
    pub headers: Arc<[(String, String)]>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// What it was as a request, of the first message of a request to a source.
    pub request: Option<ArrivedRequest>,
}

/// What a message was as a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedRequest {
    /// How it was sent.
    pub method: String,
    /// Query and further path.
    pub target: String,
    /// Whether it was proven, in a stable word.
    pub verdict: String,
    /// The address it came from.
    pub address: Option<String>,
    /// The provider's id of it.
    pub event_id: Option<String>,
}

/// What to count.
#[derive(Clone, Debug)]
pub struct BehindQuery {
    /// Whose.
    pub environment: Key,
    /// In which applications.
    pub applications: Vec<Key>,
    /// Only with greater keys.
    pub after: Key,
    /// Count no farther.
    pub at_most: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// So many messages, or as many as were counted.
    pub count: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

/// A source's event stream to make.
#[derive(Clone, Debug)]
pub struct PutStream {
    /// Whose.
    pub environment: Key,
    /// Of which source.
    pub source: Reference,
    /// SHA-256 of its token.
    pub hash: [u8; 32],
    /// Its token, sealed.
    pub sealed: Vec<u8>,
    /// When.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A source's event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its token, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl crate::Identified for Listener {
    fn id(&self) -> ringback_domain::id::Id {
        self.id.0
    }
}
