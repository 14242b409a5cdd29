//! The store seam: domain operations, one transaction each.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use ringback_domain::{
    application::Application,
    attempt::Attempt,
    endpoint::{Endpoint, State},
    event_type::EventType,
    id::{AttemptId, Id, Key, MessageId, TokenId},
    idempotency::Claim,
    message::Message,
    scope::{Reference, Scope},
    time::Timestamp,
};

use crate::{
    Append, Appended, ApplicationChange, AttemptQuery, Backlog, Claimed, Due, DuePage, DueQuery,
    EndpointChange, EndpointSecrets, EventTypeChange, EventTypeQuery, Explanation, Lane, Listed,
    MessageQuery, NewApplication, NewEndpoint, NewEventType, NewToken, Page, Record, Recorded,
    Resend, RotateSecret, SealedAccess, Targets, TokenRow, Waiting,
};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where everything is kept.
///
/// # Rules of an implementation
///
/// 1. [`append`](Store::append) returns only after the message, its idempotency claim and its
///    deliveries are durable together, or none of them is.
/// 2. A claim seen before appends nothing and returns the first result; the same claim with
///    another body is a conflict. An `event_id` is unique in its application for as long as its
///    message is kept. One duplicate in a batch never fails the others.
/// 3. A delivery belongs to one owner at a time: whoever writes with an older epoch than the
///    delivery's writes nothing.
/// 4. An attempt takes effect at most once, however often it is recorded.
/// 5. Nothing of one tenant can be read or written through another's [`Scope`]; nothing of one
///    environment by a caller that names another.
/// 6. Whatever is appended after an endpoint was changed has a greater key than the revision that
///    the change made.
/// 7. What a failed call was to write is not there; when the disk is full, calls fail with
///    [`Unavailable::Full`] and succeed again as soon as there is space.
/// 8. A failed sync ends the process: what the disk holds is unknown until it is read anew.
///
/// ```text
///            append                      record                      record (retry)
///   accept ─────────► message ┐   attempt ─────► attempt row    ┌──► delivery.due_at moves on
///                     delivery┼─► due ─► lane ─► settled: delivery row deleted
///                     claim   ┘
/// ```
pub trait Store:
    crate::Access
    + crate::Audit
    + crate::Callbacks
    + crate::Connections
    + crate::Contracts
    + crate::Consumers
    + crate::Tasks
    + crate::Replay
    + crate::Reseal
    + crate::Expunge
    + crate::Imports
    + crate::Listeners
    + crate::Quotas
    + crate::Search
    + crate::Sources
    + crate::Statistics
    + Send
    + Sync
    + 'static
{
    // ── the log ────────────────────────────────────────────────────────────────────────────────

    /// Appends messages; each of the batch succeeds or fails for itself.
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>>;

    /// Records how attempts ended and what follows. Returns what each took effect on.
    ///
    /// Whether a delivery without attempts left blocks its order is what its endpoint wants at that
    /// moment: whoever made the attempt may have known the endpoint as it was before.
    ///
    /// It waits for space when the disk is full, and may wait a few milliseconds for company.
    fn record(&self, batch: Vec<Record>) -> BoxFuture<'_, Result<Vec<Recorded>, Unavailable>>;

    /// Plans one extra attempt now, whatever the schedule says.
    fn resend(&self, resend: Resend) -> BoxFuture<'_, Result<Due, ResendError>>;

    /// Gives up the delivery that blocks an order, so that the next one goes; "blocked delivery" if
    /// none does, or not that of the message that is named.
    fn skip(
        &self,
        scope: Scope,
        endpoint: Reference,
        ordering_key: String,
        message: Option<MessageId>,
    ) -> BoxFuture<'_, Result<crate::Skipped, WriteError>>;

    // ── the due-index ──────────────────────────────────────────────────────────────────────────

    /// The deliveries of one endpoint that are due, oldest first, with their messages.
    fn due(&self, query: DueQuery) -> BoxFuture<'_, Result<DuePage, Unavailable>>;

    /// Endpoints with pending deliveries, in an order of the store's own, after `after`: the last one
    /// of the page before, or 0.
    fn waiting_endpoints(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Waiting>, Unavailable>>;

    /// What a lane needs to know about its endpoint; none if it never existed.
    fn lane(&self, endpoint: Key) -> BoxFuture<'_, Result<Option<Lane>, Unavailable>>;

    /// The size of the backlog: pending deliveries, and when the oldest of them was due, counting
    /// only endpoints to which attempts are made.
    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, Unavailable>>;

    /// Deletes what is no longer needed (deliveries of deleted endpoints, expired claims, messages
    /// past their retention), a bounded amount. Returns whether there is more.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>>;

    // ── idempotency of everything that is not a message ────────────────────────────────────────

    /// What a claim was answered with, if it was seen before and is not forgotten.
    fn claimed(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Claimed>, Unavailable>>;

    // ── applications ───────────────────────────────────────────────────────────────────────────

    /// Creates an application.
    fn create_application(
        &self,
        new: NewApplication,
    ) -> BoxFuture<'_, Result<Application, WriteError>>;
    /// One application.
    fn application(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<Application, ReadError>>;
    /// Applications by growing id, the hidden one left out.
    fn applications(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Application>, ReadError>>;
    /// Changes an application; what is `None` stays.
    fn change_application(
        &self,
        environment: Key,
        application: Reference,
        change: ApplicationChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Application, WriteError>>;
    /// Deletes an application with its endpoints, and the source that owns it; its pending
    /// deliveries are canceled. Returns the keys of its endpoints.
    fn delete_application(
        &self,
        environment: Key,
        application: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<Key>, WriteError>>;

    // ── endpoints ──────────────────────────────────────────────────────────────────────────────

    /// Creates an endpoint.
    fn create_endpoint(&self, new: NewEndpoint) -> BoxFuture<'_, Result<Endpoint, WriteError>>;
    /// One endpoint.
    fn endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<Endpoint, ReadError>>;
    /// Endpoints by id, newest first unless asked otherwise.
    fn endpoints(
        &self,
        scope: Scope,
        targets: Targets,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Endpoint>, ReadError>>;
    /// Changes an endpoint; what is `None` stays.
    fn change_endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
        change: EndpointChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Endpoint, WriteError>>;
    /// Deletes an endpoint; its pending deliveries are canceled. Returns its key.
    fn delete_endpoint(
        &self,
        scope: Scope,
        endpoint: Reference,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>>;
    /// The sealed secrets and headers of an endpoint; the newest secret first.
    fn endpoint_secrets(
        &self,
        scope: Scope,
        endpoint: Reference,
    ) -> BoxFuture<'_, Result<EndpointSecrets, ReadError>>;
    /// Puts a new secret in front; the others sign until `old_until`, unless they end sooner.
    fn rotate_secret(&self, rotate: RotateSecret) -> BoxFuture<'_, Result<Key, WriteError>>;
    /// Replaces the sealed headers of an endpoint if they still are what `expected` says. Returns
    /// the endpoint's key.
    fn set_headers(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        sealed: Option<Vec<u8>>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>>;

    /// Replaces the sealed transformation of an endpoint if it still is what `expected` says. Returns
    /// the endpoint's key.
    fn set_transformation(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        sealed: Option<Vec<u8>>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>>;

    /// Replaces what opens an endpoint if the sealed part of it still is what `expected` says.
    /// Returns the endpoint's key.
    fn set_access(
        &self,
        scope: Scope,
        endpoint: Reference,
        expected: Option<Vec<u8>>,
        access: Option<SealedAccess>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>>;

    // ── event types ────────────────────────────────────────────────────────────────────────────

    /// Creates an event type; an archived one of this name is taken out of the archive.
    fn create_event_type(&self, new: NewEventType) -> BoxFuture<'_, Result<EventType, WriteError>>;
    /// One event type.
    fn event_type(
        &self,
        environment: Key,
        name: String,
    ) -> BoxFuture<'_, Result<EventType, ReadError>>;
    /// Event types by name.
    fn event_types(
        &self,
        environment: Key,
        query: EventTypeQuery,
    ) -> BoxFuture<'_, Result<Listed<EventType>, ReadError>>;
    /// Changes an event type; what is `None` stays.
    fn change_event_type(
        &self,
        environment: Key,
        name: String,
        change: EventTypeChange,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<EventType, WriteError>>;
    /// Removes an event type from lists, or for good (`expunge`).
    fn delete_event_type(
        &self,
        environment: Key,
        name: String,
        expunge: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), WriteError>>;

    // ── messages and attempts ──────────────────────────────────────────────────────────────────

    /// One message, by id or event id.
    fn message(
        &self,
        scope: Scope,
        message: Reference,
        with_content: bool,
    ) -> BoxFuture<'_, Result<Message, ReadError>>;
    /// Messages by id, newest first unless asked otherwise.
    fn messages(
        &self,
        scope: Scope,
        query: MessageQuery,
    ) -> BoxFuture<'_, Result<Listed<Message>, ReadError>>;
    /// Attempts by id, newest first unless asked otherwise.
    fn attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Listed<Attempt>, ReadError>>;
    /// One attempt of a message.
    fn attempt(
        &self,
        scope: Scope,
        message: Reference,
        attempt: AttemptId,
    ) -> BoxFuture<'_, Result<Attempt, ReadError>>;
    /// For every endpoint of the application: why the message goes there or not, and how far it is.
    fn explain(
        &self,
        scope: Scope,
        message: Reference,
    ) -> BoxFuture<'_, Result<Explanation, ReadError>>;

    // ── environments and tokens ────────────────────────────────────────────────────────────────

    /// The key of an environment, made if it does not exist.
    fn environment(&self, name: String, now: Timestamp) -> BoxFuture<'_, Result<Key, Unavailable>>;
    /// Stores a token's hash.
    fn create_token(&self, new: NewToken) -> BoxFuture<'_, Result<(), WriteError>>;
    /// All tokens but those of portals, newest first, revoked and expired ones too.
    fn tokens(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, Unavailable>>;
    /// Revokes a token.
    fn revoke_token(
        &self,
        token: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<TokenRow, WriteError>>;
    /// A token by its id, whatever its role.
    fn token(&self, token: TokenId) -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>>;
    /// The token with this hash, if it was ever given out, and the application still exists that
    /// it is confined to.
    fn token_by_hash(&self, hash: [u8; 32])
    -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>>;

    // ── the store itself ───────────────────────────────────────────────────────────────────────

    /// Keeps a value under a name unless there is one already; returns the one that is kept.
    fn keep_first(
        &self,
        name: String,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, Unavailable>>;
    /// Writes and reads something, for the health check.
    fn check(&self) -> BoxFuture<'_, Result<(), Unavailable>>;
    /// How large the store is and how much room it has.
    fn space(&self) -> Space;
    /// The epoch of this process: greater than that of every process before.
    fn epoch(&self) -> i64;
    /// The greatest attempt key that was ever recorded; new ones must be greater.
    fn last_attempt_key(&self) -> Key;
    /// Flushes and closes; every later call fails with [`Unavailable::Closed`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

// ── errors ─────────────────────────────────────────────────────────────────────────────────────

/// Why the store can do nothing now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The disk is full. Nothing was written; it works again as soon as there is space.
    #[error("the disk is full")]
    Full,
    /// More work is queued than can be done in time.
    #[error("the store is overloaded")]
    Overloaded,
    /// The store is shut.
    #[error("the store is closed")]
    Closed,
    /// The database reported an error.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why a message was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no such application in the environment.
    #[error("the application does not exist")]
    NoApplication,
    /// The claim was made before with another body.
    #[error("the idempotency key was used with another request body")]
    ClaimConflict,
    /// Another message of the application has this event id.
    #[error("a message with this event id exists: {existing}")]
    EventIdTaken {
        /// That message.
        existing: MessageId,
    },
    /// Nothing can be written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A request whose claim was made by another one since it looked: nothing is done, as that one was
/// answered, and this one's repetition gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request with the same idempotency key came first: repeat this one to get its answer")]
pub struct Repeated;

/// Why a resend was not planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// There is no such message, or no such endpoint, in the scope.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// The endpoint takes no messages.
    #[error("the endpoint is {}", .0.name())]
    State(State),
    /// The message's content no longer exists.
    #[error("the message's content no longer exists")]
    NoContent,
    /// Another request with the same claim was answered.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// Nothing can be written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such thing in the scope; the word says what.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// Nothing can be read now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why something cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is no such thing in the scope; the word says what.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// It exists already, or was changed by someone else at the same time; the word says what.
    #[error("the {0} exists already")]
    Conflict(&'static str),
    /// There are too many of it; the word says of what.
    #[error("there are too many {0}")]
    Limit(&'static str),
    /// Another request with the same claim was answered.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// Nothing can be written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How large the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes it takes, the log included.
    pub used: u64,
    /// Bytes free on its file system, where that is this machine's.
    pub free: Option<u64>,
    /// Sizes in bytes by name of the part, for metrics.
    pub parts: BTreeMap<&'static str, u64>,
}

/// Makes ids for things that are created on request.
pub fn mint<I>(now: Timestamp, random: [u8; 16], wrap: impl FnOnce(Id) -> I) -> I {
    let (low, high) = random.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    // The sequence bits are random: two of these in one millisecond rarely meet, and a clash is a
    // conflict that the primary key reports.
    let sequence = (number(high) & ((1 << ringback_domain::id::SEQUENCE_BITS) - 1)) as Key;
    wrap(Id { key: Id::first_key_at(now) + sequence, shard: 0, nonce: number(low) })
}
