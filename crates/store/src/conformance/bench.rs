//! What the cases work with: a store, a clock that stands still, and things with sensible defaults.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ringback_domain::{
    application::{Application, Metadata},
    attempt::{Outcome, Phase, Timings, Trigger},
    endpoint::{Endpoint, State},
    event_type::EventType,
    id::{ApplicationId, AttemptId, EndpointId, EventTypeId, Id, Key, KeySequence, MessageId},
    idempotency::Claim,
    replay::Shape,
    scope::{Reference, Scope},
    time::Timestamp,
};

use super::Open;
use crate::*;

/// When everything happens, unless a case says otherwise.
pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// When a message's content is deleted, unless a case says otherwise.
pub(super) const EXPIRY: Timestamp = Timestamp(1_900_000_000_000);

/// Some seconds after [`NOW`].
pub(super) fn at(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

/// A store and one environment in it.
pub(super) struct Bench<'a> {
    open: Open<'a>,
    pub(super) store: Arc<dyn Store>,
    pub(super) environment: Key,
    counter: AtomicU64,
    attempts: std::sync::Mutex<KeySequence>,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(open: Open<'a>) -> Bench<'a> {
        let store = open();
        let environment = store.environment("production".to_owned(), NOW).await.unwrap();
        let attempts = std::sync::Mutex::default();
        Bench { open, store, environment, counter: AtomicU64::new(1_000), attempts }
    }

    /// Closes the store and opens it again, as the next process would.
    pub(super) async fn reopen(&mut self) {
        self.store.close().await;
        self.store = (self.open)();
    }

    /// Another environment.
    pub(super) async fn other_environment(&self) -> Key {
        self.store.environment("staging".to_owned(), NOW).await.unwrap()
    }

    /// A number that was not given out before. The first ones are left to the store's own keys.
    pub(super) fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn id(&self, now: Timestamp) -> Id {
        let number = self.number();
        let random = (u128::from(number * 7919) << 64) | u128::from(number);
        mint(now, random.to_be_bytes(), |id| id)
    }

    // ── things ─────────────────────────────────────────────────────────────────────────────────

    pub(super) fn new_application(&self, uid: &str) -> NewApplication {
        let application = Application {
            id: ApplicationId(self.id(NOW)),
            uid: Some(uid.to_owned()),
            name: format!("Customer {uid}"),
            metadata: Metadata::default(),
            throttle_rate: None,
            created_at: NOW,
            updated_at: NOW,
        };
        NewApplication { environment: self.environment, application, answer: None }
    }

    /// Creates an application.
    pub(super) async fn application(&self, uid: &str) -> Scope {
        let created = self.store.create_application(self.new_application(uid)).await.unwrap();
        Scope { environment: self.environment, application: created.id.key() }
    }

    pub(super) fn new_endpoint(&self, scope: Scope) -> NewEndpoint {
        let endpoint = Endpoint {
            id: EndpointId(self.id(NOW)),
            uid: None,
            url: "https://receiver.example/hook".to_owned(),
            description: String::new(),
            event_types: None,
            channels: None,
            filter: None,
            sign_as: None,
            delivery: None,
            access: None,
            metadata: Metadata::default(),
            throttle_rate: None,
            state: State::Enabled,
            failing_since: None,
            revision: 0,
            created_at: NOW,
            updated_at: NOW,
        };
        let secret = b"sealed secret 1".to_vec();
        NewEndpoint {
            scope,
            endpoint,
            secret,
            headers: None,
            credentials: None,
            access: None,
            most: None,
            answer: None,
        }
    }

    /// Creates an endpoint that takes everything.
    pub(super) async fn endpoint(&self, scope: Scope) -> Endpoint {
        self.store.create_endpoint(self.new_endpoint(scope)).await.unwrap()
    }

    /// Creates an endpoint with filters.
    pub(super) async fn filtered(
        &self,
        scope: Scope,
        event_types: Option<&[&str]>,
        channels: Option<&[&str]>,
    ) -> Endpoint {
        let mut new = self.new_endpoint(scope);
        new.endpoint.event_types = event_types.map(words);
        new.endpoint.channels = channels.map(words);
        self.store.create_endpoint(new).await.unwrap()
    }

    pub(super) fn new_event_type(&self, name: &str) -> NewEventType {
        let event_type = EventType {
            id: EventTypeId(self.id(NOW)),
            name: name.to_owned(),
            description: format!("{name} happened"),
            schemas: None,
            archived: false,
            deprecated: false,
            feature_flag: None,
            group_name: None,
            created_at: NOW,
            updated_at: NOW,
        };
        NewEventType { environment: self.environment, event_type, contract: None, answer: None }
    }

    pub(super) fn message(&self) -> NewMessage {
        NewMessage {
            nonce: self.number(),
            accepted_at: NOW,
            expires_at: EXPIRY,
            event_type: "user.created".to_owned(),
            payload: Bytes::from_static(br#"{"user": 1}"#),
            ..NewMessage::default()
        }
    }

    /// A claim on a request with this key and body.
    pub(super) fn claim(&self, key: &str, body: &str) -> Claim {
        Claim::new(self.environment, "POST", "/somewhere", key, body.as_bytes(), NOW).unwrap()
    }

    /// An append to an application of this bench's environment.
    pub(super) fn to(&self, scope: Scope, message: NewMessage) -> Append {
        let id = Id { key: scope.application, shard: 0, nonce: 0 };
        let application = self.reference_of(id);
        Append { environment: scope.environment, application, message, claim: None }
    }

    /// The bench mints every nonce from the sequence number in the key.
    fn reference_of(&self, id: Id) -> Reference {
        let sequence = (id.key & ((1 << ringback_domain::id::SEQUENCE_BITS) - 1)) as u64;
        Reference::Id(Id { nonce: sequence * 7919, ..id })
    }

    // ── what happens to them ───────────────────────────────────────────────────────────────────

    /// Appends one.
    pub(super) async fn append_one(&self, append: Append) -> Result<Appended, AppendError> {
        let mut results = self.store.append(vec![append]).await;
        assert_eq!(results.len(), 1, "as many answers as questions");
        results.remove(0)
    }

    /// Appends a message to an application.
    pub(super) async fn send(&self, scope: Scope, message: NewMessage) -> Appended {
        self.append_one(self.to(scope, message)).await.unwrap()
    }

    /// What is due for an endpoint.
    pub(super) async fn due(&self, endpoint: &Endpoint, until: Timestamp) -> DuePage {
        let query = DueQuery { endpoint: endpoint.id.key(), until, limit: 100, bytes: 1 << 20 };
        self.store.due(query).await.unwrap()
    }

    /// Everything that is due for an endpoint, however much.
    pub(super) async fn due_all(&self, endpoint: &Endpoint, until: Timestamp) -> Vec<Due> {
        let endpoint = endpoint.id.key();
        let query = DueQuery { endpoint, until, limit: 10_000, bytes: 1 << 30 };
        self.store.due(query).await.unwrap().due
    }

    /// The only delivery that is due now.
    pub(super) async fn only_due(&self, endpoint: &Endpoint) -> Due {
        let mut page = self.due(endpoint, NOW).await;
        assert_eq!(page.due.len(), 1, "one delivery is due: {page:?}");
        page.due.remove(0)
    }

    /// The record of an attempt for a delivery that ended with this status.
    pub(super) fn attempt(&self, due: &Due, status_code: u16) -> Record {
        let key = self.attempts.lock().unwrap().next(NOW, 0);
        let succeeded = (200..300).contains(&status_code);
        let manual = due.trigger == Trigger::Manual;
        Record {
            scope: due.scope,
            epoch: self.store.epoch(),
            delivery: due.delivery,
            message: due.content.id.key(),
            endpoint: due.endpoint,
            revision: 0,
            id: AttemptId(Id { key, shard: 0, nonce: self.number() }),
            number: if manual { 0 } else { due.attempts + 1 },
            trigger: due.trigger,
            status_code,
            response: Bytes::from_static(b"answer"),
            failed: (!succeeded).then_some(Phase::Status),
            reason: (!succeeded).then_some("status"),
            timings: Timings::default(),
            outcome: match (succeeded, manual) {
                (true, _) => Outcome::Delivered,
                (false, true) => Outcome::Unchanged,
                (false, false) => Outcome::Exhausted,
            },
            next_at: None,
            health: None,
            rendering: None,
            fix: None,
            ordered: due.sequence.is_some(),
            notices: Vec::new(),
        }
    }

    /// The record of a failed attempt that is tried again.
    pub(super) fn retry(&self, due: &Due, next_at: Timestamp) -> Record {
        Record { outcome: Outcome::Retry, next_at: Some(next_at), ..self.attempt(due, 500) }
    }

    /// The record of a delivery that the endpoint's filter does not want.
    pub(super) fn filtered_out(&self, due: &Due) -> Record {
        let attempt = self.attempt(due, 200);
        Record { outcome: Outcome::Filtered, status_code: 0, reason: Some("filtered"), ..attempt }
    }

    /// Records one.
    pub(super) async fn record(&self, record: Record) -> Recorded {
        let mut recorded = self.store.record(vec![record]).await.unwrap();
        assert_eq!(recorded.len(), 1, "as many answers as records");
        recorded.remove(0)
    }

    pub(super) fn resend(&self, scope: Scope, message: MessageId, endpoint: &Endpoint) -> Resend {
        let (message, endpoint) = (Reference::Id(message.0), reference(endpoint));
        let version = Shape::Current;
        Resend { scope, message, endpoint, version, now: NOW, answer: None }
    }

    /// Changes an endpoint's state.
    pub(super) async fn set_state(
        &self,
        scope: Scope,
        endpoint: &Endpoint,
        state: State,
    ) -> Endpoint {
        let change = EndpointChange { state: Some(state), ..EndpointChange::default() };
        self.store.change_endpoint(scope, reference(endpoint), change, NOW).await.unwrap()
    }

    /// Sweeps until nothing is left to sweep.
    pub(super) async fn sweep(&self, now: Timestamp) {
        while self.store.sweep(now).await.unwrap() {}
    }
}

/// How callers name an endpoint by its id.
pub(super) fn reference(endpoint: &Endpoint) -> Reference {
    Reference::Id(endpoint.id.0)
}

/// How callers name something by their own name.
pub(super) fn uid(uid: &str) -> Reference {
    Reference::Uid(uid.to_owned())
}

/// Owned words.
pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The first page of a list, long enough for everything.
pub(super) fn everything(order: Order) -> Page {
    Page { limit: 100, from: Position::Start, order }
}

/// Every message.
pub(super) fn all_messages() -> MessageQuery {
    MessageQuery {
        page: everything(Order::Ascending),
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
        with_content: false,
    }
}

/// Every attempt.
pub(super) fn all_attempts() -> AttemptQuery {
    AttemptQuery {
        page: everything(Order::Ascending),
        message: None,
        endpoint: None,
        succeeded: None,
        retrying: None,
        status_codes: None,
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
    }
}
