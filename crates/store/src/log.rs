//! What is appended and recorded: the values of the hot path.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    attempt::{Outcome, Phase, Timings, Trigger},
    endpoint::State,
    id::{AttemptId, Key, MessageId},
    idempotency::Claim,
    message::Origin,
    replay::Shape,
    scope::{Reference, Scope},
    time::Timestamp,
};

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
    /// The headers that it came with and is delivered with; lower-case names.
    pub headers: Option<Arc<[(String, String)]>>,
    /// The version of its event type that the payload has, by ordinal.
    pub version: Option<u32>,
    /// Whether the payload fits that version's schema, where somebody looked.
    pub fits_schema: Option<bool>,
    /// Deliveries with the same key to an endpoint that keeps an order go one after the other.
    pub ordering_key: Option<String>,
    /// What it was as a request to a source.
    pub arrival: Option<Box<crate::Arrival>>,
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
    /// Those of them that keep an order: what goes there may have to wait for what went before.
    pub ordered: Arc<[Key]>,
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
    /// What the message was made into: a [`Rendering`](ringback_domain::delivery::Rendering) as JSON
    /// text.
    pub rendering: Option<String>,
    /// What every later attempt of this delivery has to send, in the form of whoever makes attempts.
    /// Set with the first attempt of one that is tried again; see [`Due::fixed`](crate::Due::fixed).
    pub fix: Option<Bytes>,
    /// Whether its endpoint kept an order when the delivery was planned: [`Due::sequence`](crate::Due)
    /// was there.
    pub ordered: bool,
    /// What Ringback has to tell about it, appended in the same transaction.
    pub notices: Vec<Notice>,
}

impl Record {
    /// The same where nothing keeps the rest of its order waiting any more.
    pub(crate) fn unblocked(&self) -> Record {
        Record { outcome: Outcome::Exhausted, ..self.clone() }
    }

    /// Whether the delivery stays: it is tried again, or blocks its order.
    pub(crate) fn moves(&self) -> bool {
        let stays = self.next_at.is_some() || self.outcome == Outcome::Blocked;
        stays && self.trigger == Trigger::Scheduled
    }
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
    /// In which version.
    pub version: Shape,
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
