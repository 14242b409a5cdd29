//! The store seam: domain operations, one transaction each.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use ringback_domain::{
    access::Grant,
    application::{Application, Metadata},
    attempt::{Attempt, Outcome, Phase, Timings, Trigger},
    endpoint::{Endpoint, SealedSecret, State},
    event_type::EventType,
    id::{ApplicationId, AttemptId, Id, Key, MessageId, TokenId},
    idempotency::Claim,
    message::{Message, Origin},
    route::Verdict,
    scope::{Reference, Scope},
    time::Timestamp,
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
/// 6. Keys grow in the order of commits: whatever is appended after an endpoint was changed has a
///    greater key than the revision that the change made.
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
    + crate::Tasks
    + crate::Replay
    + crate::Expunge
    + crate::Imports
    + crate::Quotas
    + crate::Search
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
    /// It waits for space when the disk is full, and may wait a few milliseconds for company.
    fn record(&self, batch: Vec<Record>) -> BoxFuture<'_, Result<Vec<Recorded>, Unavailable>>;

    /// Plans one extra attempt now, whatever the schedule says.
    fn resend(&self, resend: Resend) -> BoxFuture<'_, Result<Due, ResendError>>;

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
    /// Deletes an application with its endpoints; its pending deliveries are canceled. Returns the
    /// keys of its endpoints.
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
    /// The token with this hash, if it was ever given out, and the application still exists that
    /// it is confined to.
    fn token_by_hash(&self, hash: [u8; 32])
    -> BoxFuture<'_, Result<Option<TokenRow>, Unavailable>>;

    // ── the store itself ───────────────────────────────────────────────────────────────────────

    /// Keeps a value under a name unless there is one already; returns the one that is kept.
    fn keep_first(
        &self,
        name: &'static str,
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

// ── the log ────────────────────────────────────────────────────────────────────────────────────

/// A message to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose.
    pub environment: Key,
    /// For whom.
    pub application: Reference,
    /// What.
    pub message: NewMessage,
    /// That it happens once.
    pub claim: Option<Claim>,
}

/// What is stored of a message.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    /// Random bits of its id.
    pub nonce: u64,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its content is deleted.
    pub expires_at: Timestamp,
    /// Which door it came through.
    pub origin: Origin,
    /// What happened.
    pub event_type: String,
    /// The caller's id.
    pub event_id: Option<String>,
    /// Whom it concerns.
    pub channels: Option<Vec<String>>,
    /// The caller's labels.
    pub tags: Option<Vec<String>>,
    /// The content type, if not `application/json`.
    pub content_type: Option<String>,
    /// The bytes as they were received.
    pub payload: Bytes,
    /// The only endpoint that it goes to, whatever that wants; it belongs to the application.
    pub only: Option<Key>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The message's id: the first one's, if the claim was seen before.
    pub id: MessageId,
    /// The application it belongs to.
    pub application: Key,
    /// The endpoints it goes to; the delivery to the i-th has the key [`delivery_key`]`(id, i)`.
    /// Empty for a repetition.
    pub endpoints: Arc<[Key]>,
    /// Whether the claim was seen before and nothing was appended.
    pub repeated: bool,
}

/// The key of the delivery to the `index`-th endpoint of a message.
///
/// Deliveries have the keys right after their message's, so neither needs an index to find the
/// other.
pub fn delivery_key(message: MessageId, index: usize) -> Key {
    message.key() + 1 + index as Key
}

/// How an attempt ended, and what follows.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose.
    pub scope: Scope,
    /// The epoch of the process that made it.
    pub epoch: i64,
    /// The delivery it was made for.
    pub delivery: Key,
    /// Of which message.
    pub message: Key,
    /// To which endpoint.
    pub endpoint: Key,
    /// The endpoint's revision that was used.
    pub revision: Key,
    /// The attempt's id.
    pub id: AttemptId,
    /// Counted from 1; 0 for a manual one.
    pub number: u32,
    /// What started it.
    pub trigger: Trigger,
    /// The answer's status, 0 without one.
    pub status_code: u16,
    /// The beginning of the answer's body.
    pub response: Bytes,
    /// The phase that failed.
    pub failed: Option<Phase>,
    /// Why, in a stable word.
    pub reason: Option<&'static str>,
    /// How long it took.
    pub timings: Timings,
    /// What becomes of the delivery.
    pub outcome: Outcome,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// The endpoint's health, where it changed.
    pub health: Option<HealthChange>,
    /// What Ringback has to tell about it, appended in the same transaction.
    pub notices: Vec<Notice>,
}

/// A change of an endpoint's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthChange {
    /// Since when it fails; none when it no longer does.
    pub failing_since: Option<Timestamp>,
    /// The state it goes into, if it is enabled now.
    pub disable: Option<State>,
}

/// An operational message: to the hidden application of the environment.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened.
    pub event_type: &'static str,
    /// Random bits of its id.
    pub nonce: u64,
    /// The JSON payload.
    pub payload: Bytes,
    /// When it happened.
    pub at: Timestamp,
    /// When its content is deleted.
    pub expires_at: Timestamp,
}

/// What a record took effect on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the delivery was still open under this epoch. If not, only the attempt is kept.
    pub applied: bool,
    /// The deliveries of the notices, for the lanes.
    pub notified: Vec<(MessageId, Arc<[Key]>)>,
    /// The scheduled delivery that a manual success settled, if there was one.
    pub settled: Option<Key>,
}

/// One extra attempt.
#[derive(Clone, Debug)]
pub struct Resend {
    /// Whose.
    pub scope: Scope,
    /// Which message, by id or event id.
    pub message: Reference,
    /// To which endpoint.
    pub endpoint: Reference,
    /// When it was asked for.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A claim of a request that is not a message, with what it was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The claim.
    pub claim: Claim,
    /// The HTTP status.
    pub status: u16,
    /// The body, sealed where it holds a secret.
    pub body: Vec<u8>,
}

/// What a claim was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Whether the body was the same.
    pub same_body: bool,
    /// The HTTP status.
    pub status: u16,
    /// The body as it was stored.
    pub body: Vec<u8>,
}

// ── the due-index ──────────────────────────────────────────────────────────────────────────────

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
    /// The caller's id, for operational messages.
    pub event_id: Option<String>,
    /// The content type, if not `application/json`.
    pub content_type: Option<String>,
    /// The exact bytes.
    pub payload: Bytes,
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
}

/// The size of the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries are pending.
    pub pending: u64,
    /// When the oldest one was due, if any is pending.
    pub oldest_due: Option<Timestamp>,
}

// ── lists ──────────────────────────────────────────────────────────────────────────────────────

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position<C> {
    /// At the beginning of the list.
    Start,
    /// After this one, which may no longer exist.
    After(C),
    /// The page that ends before this one.
    Before(C),
}

/// A page of a list that is ordered by id.
#[derive(Clone, Debug)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// Where it begins.
    pub from: Position<Id>,
    /// Which way the list runs.
    pub order: Order,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// In the order that was asked for.
    pub items: Vec<T>,
    /// Whether there is nothing beyond this page; for [`Position::Before`] beyond means before it.
    pub done: bool,
}

/// Which event types to list.
#[derive(Clone, Debug)]
pub struct EventTypeQuery {
    /// At most this many.
    pub limit: usize,
    /// Where the page begins, by name.
    pub from: Position<String>,
    /// Which way the list runs.
    pub order: Order,
    /// Archived ones too.
    pub include_archived: bool,
    /// Only those without a flag and those with one of these; all when none is given.
    pub flags: Option<Vec<String>>,
}

/// Which messages to list.
#[derive(Clone, Debug)]
pub struct MessageQuery {
    /// The page.
    pub page: Page,
    /// Only these event types; all when empty.
    pub event_types: Vec<String>,
    /// Only with this channel.
    pub channel: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only accepted before.
    pub before: Option<Timestamp>,
    /// Only accepted after.
    pub after: Option<Timestamp>,
    /// With their payloads.
    pub with_content: bool,
}

/// Which attempts to list.
#[derive(Clone, Debug)]
pub struct AttemptQuery {
    /// The page.
    pub page: Page,
    /// Only of this message.
    pub message: Option<Reference>,
    /// Only to this endpoint.
    pub endpoint: Option<Reference>,
    /// Only successes, or only failures.
    pub succeeded: Option<bool>,
    /// Only failures that will be tried again (`true`), or that will not (`false`).
    pub retrying: Option<bool>,
    /// Only status codes from the first to the second.
    pub status_codes: Option<(u16, u16)>,
    /// Only of messages of these event types; all when empty.
    pub event_types: Vec<String>,
    /// Only of messages with this channel.
    pub channel: Option<String>,
    /// Only of messages with this tag.
    pub tag: Option<String>,
    /// Only begun before.
    pub before: Option<Timestamp>,
    /// Only begun after.
    pub after: Option<Timestamp>,
}

/// Why a message goes where it goes.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The message.
    pub message: Message,
    /// One line per endpoint that the application has or had.
    pub endpoints: Vec<Explained>,
}

/// One endpoint's line of an explanation.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The endpoint as it is now.
    pub endpoint: Endpoint,
    /// Whether the message was for it.
    pub verdict: Verdict,
    /// The pending delivery, if there is one.
    pub pending: Option<Pending>,
    /// How many attempts were recorded.
    pub attempts: u32,
    /// The last attempt, if there was one.
    pub last: Option<Attempt>,
    /// Whether one of the attempts succeeded.
    pub delivered: bool,
}

/// A pending delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it is due.
    pub due_at: Timestamp,
    /// How many scheduled attempts there were.
    pub attempts: u32,
}

// ── applications, endpoints, event types ───────────────────────────────────────────────────────

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
    /// The caller's labels.
    pub metadata: Option<Metadata>,
    /// Requests a second.
    pub throttle_rate: Option<Option<u32>>,
    /// Switch on, off, pause. Enabling clears `failing_since`.
    pub state: Option<State>,
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
}

// ── environments and tokens ────────────────────────────────────────────────────────────────────

/// A token to store.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Names it.
    pub id: TokenId,
    /// Whose.
    pub environment: Key,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Its first and last characters, for people.
    pub hint: String,
    /// What it is for, for people.
    pub name: String,
    /// What its holder may do.
    pub grant: Grant,
    /// The session that it belongs to, as the portal's host calls it.
    pub session: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Names it.
    pub id: TokenId,
    /// Whose.
    pub environment: Key,
    /// The environment's name.
    pub environment_name: String,
    /// Its first and last characters.
    pub hint: String,
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
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

/// An id that an [`Id`] was wrapped into for a list's cursor.
pub trait Identified {
    /// Its id.
    fn id(&self) -> Id;
}

impl Identified for Application {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Endpoint {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Message {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for ringback_domain::task::Task {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Attempt {
    fn id(&self) -> Id {
        self.id.0
    }
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
