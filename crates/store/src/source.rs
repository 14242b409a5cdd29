//! Sources and what arrived at them.

use std::borrow::Cow;

use ringback_domain::{
    application::{Application, Metadata},
    id::{Key, MessageId},
    scope::{Reference, Scope},
    source::{Fate, Received, Source},
    time::Timestamp,
};

use crate::{
    Answer, Append, Appended, BoxFuture, Due, Found, Listed, Page, ReadError, Unavailable,
    WriteError,
};

/// The most requests of a source that did not become messages: the sweep deletes the oldest beyond.
/// Those that are [held](Fate::is_held) are counted apart, so a flood of forgeries pushes none out.
pub const REQUESTS_KEPT: usize = 1_000;

/// The most tokens of a source that hold at once.
pub const SOURCE_TOKENS: usize = 10;

/// Sources: URLs that providers call, and the requests that arrived at them.
///
/// A request that became a message is written by [`append`](crate::Store::append), in the
/// transaction of its message: see [`Arrival`]. Whatever else arrives is written here, and may become
/// a message later: see [`release`](Sources::release).
///
/// The application of a source is one like any other: it is listed, changed and deleted as such,
/// and [`delete_application`](crate::Store::delete_application) deletes its source with it.
///
/// A request that became a message is deleted with that message; any other when its time is over,
/// or when a source has more than [`REQUESTS_KEPT`] of them.
pub trait Sources {
    /// Creates a source together with the application that it owns.
    fn create_source(&self, new: NewSource) -> BoxFuture<'_, Result<Source, WriteError>>;

    /// One source.
    fn source(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Source, ReadError>>;

    /// Sources by id.
    fn sources(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Source>, ReadError>>;

    /// Changes a source; what is `None` stays.
    fn change_source(
        &self,
        environment: Key,
        source: Reference,
        change: SourceChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Source, WriteError>>;

    /// Deletes a source with its tokens and its application, as
    /// [`delete_application`](crate::Store::delete_application) does. Returns the keys of the
    /// application's endpoints. The requests stay until their retention is over.
    fn delete_source(
        &self,
        environment: Key,
        source: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>>;

    /// Gives a source a new token; the former ones hold until `old_until`, unless they end sooner.
    /// At most [`SOURCE_TOKENS`] hold at once, else [`WriteError::Limit`].
    fn rotate_source_token(
        &self,
        rotate: RotateSourceToken,
    ) -> BoxFuture<'_, Result<Source, WriteError>>;

    /// The source with this token, if the token holds at `now`; with its environment.
    fn source_by_token(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<(Key, Source)>, Unavailable>>;

    /// Writes down a request that did not become a message; the source must exist in its scope. A
    /// NUL in its texts is replaced, here and in an [`Arrival`].
    fn log_request(&self, new: NewRequest) -> BoxFuture<'_, Result<(), WriteError>>;

    /// One request of a source, with its body.
    fn request(
        &self,
        environment: Key,
        source: Reference,
        request: ringback_domain::id::RequestId,
    ) -> BoxFuture<'_, Result<Received, ReadError>>;

    /// Requests of a source by id, without their headers and bodies. A page looks at a bounded
    /// number, as those of [`Search`](crate::Search) do.
    fn requests(
        &self,
        environment: Key,
        source: Reference,
        query: RequestQuery,
    ) -> BoxFuture<'_, Result<Found<Received>, ReadError>>;

    /// Makes messages of a request that was kept, all of them or none. The request then has the fate,
    /// the verdict, the reason and the message of the first one, and nothing else of it is changed;
    /// it is deleted with that message. If the first one's claim was made before, the request is a
    /// [`Fate::Duplicate`]; of the others, those whose claim was made before, with whatever body,
    /// are left out.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the request or its source is not there.
    fn release(&self, release: Release) -> BoxFuture<'_, Result<Released, WriteError>>;

    /// Tries a message again at once for every endpoint that it went to and that has not had it:
    /// what is pending becomes due now, what was given up gets one extra attempt. What is held
    /// (its endpoint disabled, paused or deleted) stays, and so does a message without content.
    /// Returns what became due by this; what was due before is on its way.
    fn redeliver(
        &self,
        scope: Scope,
        message: MessageId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Due>, Unavailable>>;
}

/// A source to create.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// Whose.
    pub environment: Key,
    /// The source.
    pub source: Source,
    /// The application that it owns.
    pub application: Application,
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A change of a source; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct SourceChange {
    /// The caller's name for it.
    pub uid: Option<Option<String>>,
    /// For people; the name of its application follows.
    pub name: Option<String>,
    /// Who calls.
    pub provider: Option<String>,
    /// How requests are treated, as JSON.
    pub config: Option<String>,
    /// What the operator supplied, sealed: taken only if it still is what `expected` says, else
    /// [`WriteError::Conflict`] with `"settings"`.
    pub settings: Option<SettingsChange>,
    /// Until when a handshake may bring settings.
    pub armed_until: Option<Option<Timestamp>>,
    /// The caller's labels.
    pub metadata: Option<Metadata>,
}

/// New settings in place of those that were read.
#[derive(Clone, Debug)]
pub struct SettingsChange {
    /// What was read.
    pub expected: Option<Vec<u8>>,
    /// What takes its place.
    pub sealed: Option<Vec<u8>>,
}

/// A new token of a source.
#[derive(Clone, Debug)]
pub struct RotateSourceToken {
    /// Whose.
    pub environment: Key,
    /// Which source.
    pub source: Reference,
    /// SHA-256 of the new token.
    pub hash: [u8; 32],
    /// The new token, sealed.
    pub sealed: Vec<u8>,
    /// Until when the former ones hold.
    pub old_until: Timestamp,
    /// When.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// What an accepted message was as a request; goes with [`NewMessage`](crate::NewMessage).
///
/// With it, [`append`](crate::Store::append) writes the request in the same transaction, with the
/// message's own key. If the message's claim was seen before, the request is written as
/// [`Fate::Duplicate`] of the first message, under a key of its own, whatever its body is: a
/// provider's id names the event, and a retry may differ in a time stamp. So with an arrival, a
/// claim never conflicts. Where the first message is past its retention, the id that is returned
/// has its key and no random bits.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which source.
    pub source: Key,
    /// Random bits of the request's id.
    pub nonce: u64,
    /// Whether it was proven, in a stable word.
    pub verdict: String,
    /// Why not, where a source takes it all the same.
    pub reason: Option<String>,
    /// What is answered.
    pub status: u16,
    /// How it was sent.
    pub method: String,
    /// Query and further path.
    pub target: String,
    /// The address it came from.
    pub address: Option<String>,
    /// The provider's id of it.
    pub event_id: Option<String>,
}

/// A request that did not become a message.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Whose.
    pub scope: Scope,
    /// Which source.
    pub source: Key,
    /// The request; the key of its id is given by the store.
    pub request: Received,
    /// When it is deleted.
    pub expires_at: Timestamp,
}

/// A request that was kept and becomes messages only now.
#[derive(Clone, Debug)]
pub struct Release {
    /// Of which source.
    pub source: Key,
    /// The request.
    pub request: Key,
    /// What it becomes, all of the source's application: one message, or one for each event of a
    /// batch. The first has an [`Arrival`], the others have none.
    pub messages: Vec<Append>,
}

/// What became of a request that was to be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// Messages, in order; a repetition is what was there before.
    Now(Vec<Appended>),
    /// This was its message before: nothing is changed.
    Before(MessageId),
}

/// Which requests to list.
#[derive(Clone, Debug)]
pub struct RequestQuery {
    /// The page.
    pub page: Page,
    /// Only with one of these fates; all when empty.
    pub fates: Vec<Fate>,
    /// Only with this id of the provider.
    pub event_id: Option<String>,
    /// Only of this event type.
    pub event_type: Option<String>,
    /// Only received before.
    pub before: Option<Timestamp>,
    /// Only received after.
    pub after: Option<Timestamp>,
}

impl Released {
    /// Whether something was changed.
    pub(crate) fn is_now(&self) -> bool {
        matches!(self, Released::Now(_))
    }
}

impl RequestQuery {
    /// Whether it may leave out some of the requests in its span of time.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.fates.is_empty() || self.event_id.is_some() || self.event_type.is_some()
    }
}

/// A text that somebody else sent, as every store can keep it: a NUL is replaced.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
