//! Callbacks: what somebody waits for, and whatever arrived at it.

use std::sync::Arc;

use ringback_domain::{
    callback::{
        Act, Answer, By, Callback, Fate, Kind, Price, Request, State, Step, Told, Turn, Verdict,
        state, told,
    },
    id::{CallbackId, CallbackRequestId, Id, Key, MessageId},
    message::Origin,
    scope::Reference,
    time::Timestamp,
};

use crate::{
    Append, BoxFuture, Found, Listed, NewMessage, Page, ReadError, Unavailable, WriteError,
};

/// The most requests of a callback that are kept beside its answers: whatever arrives beyond takes
/// effect and is counted, and that is all.
pub const CALLBACK_REQUESTS_KEPT: u32 = 1_000;

/// Callbacks.
///
/// What happens to one is a step of [`ringback_domain::callback::Course`], and a step is one
/// transaction: the row is locked, the step made, and the row after it, the request that was its
/// cause and the messages about it are written together. So a callback ends once, whoever asks at the
/// same time, and whoever is told what became of a request is told what is in the store.
///
/// A callback may be answered by a message of a source that has the reference it was given. The two
/// meet in a row of their own, so it does not matter which of them came first, or whether both came at
/// once: see [`correlate`](Callbacks::correlate).
pub trait Callbacks {
    /// Makes a callback and the message about it. If its reference was met before by a message that
    /// is still remembered, it ends here.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the application is not there, [`WriteError::Conflict`] if the
    /// reference is another's (`"callback reference"`), or the same claim was made with another
    /// body (`"idempotency key"`).
    fn create_callback(
        &self,
        new: NewCallback,
    ) -> BoxFuture<'_, Result<CreatedCallback, WriteError>>;

    /// One callback as it is at `now`.
    fn callback(
        &self,
        environment: Key,
        callback: CallbackId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Callback, ReadError>>;

    /// One callback as it was last written, for whoever has its URL: its scope is not known before.
    fn callback_by_id(
        &self,
        callback: CallbackId,
    ) -> BoxFuture<'_, Result<Option<Callback>, Unavailable>>;

    /// Callbacks by id. A page looks at a bounded number, as those of [`Search`](crate::Search) do.
    fn callbacks(
        &self,
        environment: Key,
        query: CallbackQuery,
    ) -> BoxFuture<'_, Result<Found<Callback>, ReadError>>;

    /// One request of a callback, with its body.
    fn callback_request(
        &self,
        callback: CallbackId,
        request: CallbackRequestId,
    ) -> BoxFuture<'_, Result<Request, ReadError>>;

    /// Requests of a callback by id, with their bodies if they are asked for.
    fn callback_requests(
        &self,
        callback: CallbackId,
        page: Page,
        with_bodies: bool,
    ) -> BoxFuture<'_, Result<Listed<Request>, Unavailable>>;

    /// Makes steps, all in one transaction; each succeeds or fails for itself, in their order.
    ///
    /// # Errors
    /// Each: [`WriteError::NotFound`] if the callback is not there.
    fn step_callbacks(
        &self,
        steps: Vec<CallbackStep>,
    ) -> BoxFuture<'_, Result<Vec<Result<CallbackStepped, WriteError>>, Unavailable>>;

    /// Replaces the URL of a callback: the former one opens nothing from now on.
    fn turn_callback(
        &self,
        environment: Key,
        callback: CallbackId,
        turn: Turn,
    ) -> BoxFuture<'_, Result<Callback, WriteError>>;

    /// What a verified message of a source says about the callback with its reference. If that is
    /// there, it gets the answer; if not, this is remembered until `forget_at`, and the first such
    /// message is what a callback finds that is made later. The same message again changes nothing.
    fn correlate(
        &self,
        correlation: Correlation,
    ) -> BoxFuture<'_, Result<Option<CallbackStepped>, Unavailable>>;

    /// Open callbacks whose deadline has passed at `now`, the earliest first.
    fn due_callbacks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<CallbackId>, Unavailable>>;

    /// When the next open callback is due.
    fn next_due_callback(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>>;

    /// Puts down what is to be done for a callback next, in place of what was to be done before.
    fn put_errand(&self, errand: Errand) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// Puts down what follows an errand that was done, or that nothing does. If another one was put
    /// down meanwhile, that one stays.
    fn follow_errand(
        &self,
        done: Errand,
        next: Option<Errand>,
    ) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// What is to be done by `now`, the earliest first; also for callbacks that have ended since.
    fn due_errands(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Errand>, Unavailable>>;

    /// When the next is to be done that is not due at `now`.
    fn next_errand(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>>;

    /// Forgets callbacks that ended before, with their requests, and what was remembered until now
    /// and met nothing; a bounded number. Returns whether there are more.
    fn forget_callbacks(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// A callback to make.
#[derive(Clone, Debug)]
pub struct NewCallback {
    /// It; pending.
    pub callback: Callback,
    /// That it is made once.
    pub claim: Option<CallbackClaim>,
    /// What is to be done for it, if something is: put down with it.
    pub errand: Option<Errand>,
    /// How the messages about it are kept.
    pub keeping: Keeping,
}

/// Something that the server does for a callback by itself: a request to make, an answer to ask for. It
/// is done at least once, by whoever reads it when it is due, and says what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// For which.
    pub callback: CallbackId,
    /// When.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What, sealed; see the gateway. No two seals are the same, so it names the errand, too.
    pub work: Vec<u8>,
}

/// That a callback is made once: a repetition finds it by the key, in its application, for as long as
/// it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackClaim {
    /// SHA-256 of the idempotency key.
    pub key: [u8; 32],
    /// SHA-256 of what was asked for.
    pub body: [u8; 32],
}

/// What messages and requests that come of a step need to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Random bits; each message and request uses some of its own.
    pub nonce: u64,
    /// When the content of messages is deleted.
    pub expires_at: Timestamp,
}

/// A callback that was made, or was made before with the same claim.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedCallback {
    /// It.
    pub callback: Callback,
    /// Whether it was made before.
    pub repeated: bool,
    /// The messages about it, for the lanes.
    pub told: Vec<Notified>,
}

/// A message and the endpoints it goes to.
pub type Notified = (MessageId, Arc<[Key]>);

/// Which callbacks to list.
#[derive(Clone, Debug)]
pub struct CallbackQuery {
    /// The page.
    pub page: Page,
    /// Only of this application.
    pub application: Option<Key>,
    /// Only in one of these states at `now`; all when empty.
    pub states: Vec<State>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only made before.
    pub before: Option<Timestamp>,
    /// Only made after.
    pub after: Option<Timestamp>,
    /// As of when.
    pub now: Timestamp,
}

/// Something that happens to a callback.
#[derive(Clone, Debug)]
pub struct CallbackStep {
    /// To which.
    pub callback: CallbackId,
    /// What is done; none for a request that is refused, which is only written down.
    pub act: Option<state::Act>,
    /// What came; none for a look at the clock.
    pub request: Option<NewCallbackRequest>,
    /// What has to be what the callback expects, if something does: otherwise it is refused.
    pub price: Option<Price>,
    /// How what comes of it is kept.
    pub keeping: Keeping,
    /// When.
    pub now: Timestamp,
}

/// What arrived at a callback.
#[derive(Clone, Debug)]
pub struct NewCallbackRequest {
    /// What was wanted.
    pub act: Act,
    /// Who it came from.
    pub by: By,
    /// Why it is refused, in a stable word, if it is.
    pub refused: Option<String>,
    /// How it was sent; empty if it was not by HTTP.
    pub method: String,
    /// Query and further path, without the secret.
    pub target: String,
    /// The address it came from.
    pub address: Option<String>,
    /// What the body is.
    pub content_type: Option<String>,
    /// Names in lower case and values; no credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: bytes::Bytes,
    /// The message of a source that it comes from.
    pub message: Option<MessageId>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackStepped {
    /// The callback after it.
    pub callback: Callback,
    /// What is said to whoever did it; [`Verdict::Nothing`] of a request that was refused.
    pub verdict: Verdict,
    /// The state in which the callback ended, if this is where it did.
    pub ended: Option<State>,
    /// The request as it was written down, without its body; none if it was not kept.
    pub request: Option<CallbackRequestId>,
    /// The messages about it, for the lanes.
    pub told: Vec<Notified>,
}

/// What a verified message of a source says about a callback.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// Of which environment.
    pub environment: Key,
    /// The source's key.
    pub source: Key,
    /// The reference that was found in it.
    pub reference: String,
    /// What it says.
    pub answer: Answer,
    /// What was paid, as far as it says it. A callback that expects something else takes no such
    /// answer, and keeps the message as a request that was refused.
    pub price: Price,
    /// The message.
    pub message: MessageId,
    /// What its payload is.
    pub content_type: Option<String>,
    /// Its payload.
    pub body: bytes::Bytes,
    /// How long it is remembered if there is no such callback.
    pub forget_at: Timestamp,
    /// How what comes of it is kept.
    pub keeping: Keeping,
    /// When.
    pub now: Timestamp,
}

/// What a step changes, worked out before anything is written.
pub(crate) struct Worked {
    pub(crate) callback: Callback,
    pub(crate) verdict: Verdict,
    pub(crate) ended: Option<State>,
    /// The request, if it is to be kept.
    pub(crate) request: Option<Request>,
    pub(crate) messages: Vec<Append>,
}

/// What is known of a reference: which callback has it, and what a message with it said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met {
    pub(crate) callback: Option<CallbackId>,
    pub(crate) message: Option<MessageId>,
    pub(crate) answer: Option<Answer>,
    pub(crate) price: Price,
    pub(crate) content_type: Option<String>,
    pub(crate) body: bytes::Bytes,
    /// Until when a message is remembered that met no callback.
    pub(crate) forget_at: Option<Timestamp>,
}

impl Met {
    /// The reference of a callback that is made now, and what a message with it said that is still
    /// to be remembered.
    pub(crate) fn with(before: Option<Met>, callback: CallbackId, now: Timestamp) -> Met {
        let before = before.filter(|met| met.forget_at.is_some_and(|until| until > now));
        Met { callback: Some(callback), forget_at: None, ..before.unwrap_or_default() }
    }

    /// What is remembered of a message that has met no callback yet.
    pub(crate) fn of(correlation: &Correlation) -> Met {
        Met {
            callback: None,
            message: Some(correlation.message),
            answer: Some(correlation.answer),
            price: correlation.price.clone(),
            content_type: correlation.content_type.clone(),
            body: correlation.body.clone(),
            forget_at: Some(correlation.forget_at),
        }
    }

    /// What the message that is remembered says about a callback that has the reference now.
    pub(crate) fn correlation(
        &self,
        callback: &Callback,
        keeping: Keeping,
        now: Timestamp,
    ) -> Option<Correlation> {
        let keeping = Keeping { nonce: keeping.nonce.rotate_left(17), ..keeping };
        Some(Correlation {
            environment: callback.scope.environment,
            source: callback.owner(),
            reference: callback.reference.clone()?,
            answer: self.answer?,
            price: self.price.clone(),
            message: self.message?,
            content_type: self.content_type.clone(),
            body: self.body.clone(),
            forget_at: now,
            keeping,
            now,
        })
    }
}

impl Worked {
    /// What became of it, once its messages are written.
    pub(crate) fn told(self, told: Vec<Notified>) -> CallbackStepped {
        let Worked { callback, verdict, ended, request, .. } = self;
        CallbackStepped {
            callback,
            verdict,
            ended,
            request: request.map(|request| request.id),
            told,
        }
    }
}

impl CallbackStep {
    /// The step as it changes `callback`, which is as it was last written. `key` is for the request.
    pub(crate) fn work(&self, callback: Callback, key: Key) -> Worked {
        let id = Id { key, shard: 0, nonce: self.keeping.nonce };
        let id = CallbackRequestId(id);
        let differs = self.price.as_ref().and_then(|price| callback.expects.differs(price));
        let act = self.act.filter(|_| differs.is_none()).unwrap_or(state::Act::Tick);
        let step = callback.act(act, self.now);
        let new = self.request.as_ref();
        let mut request = new.map(|new| new.written(id, &step, differs, self.now));
        let asked = callback.requests;
        let mut callback = callback.after(&step, request.as_ref().map(|it| it.id), self.now);
        if request.is_some() {
            callback.requests = asked.saturating_add(1);
        }
        // Whoever floods a callback is not to flood its application.
        let of_interest =
            |request: &Request| request.fate.is_answer() || asked < CALLBACK_REQUESTS_KEPT;
        request = request.filter(of_interest);
        let told = told::stepped(&callback, &step, request.as_ref(), self.now);
        let messages = self.keeping.messages(&callback, told, self.now);
        let Step { verdict, ended, .. } = step;
        Worked { callback, verdict, ended, request, messages }
    }
}

impl NewCallbackRequest {
    fn written(
        &self,
        id: CallbackRequestId,
        step: &Step,
        differs: Option<&str>,
        now: Timestamp,
    ) -> Request {
        let reason = differs.map(str::to_owned).or_else(|| self.refused.clone());
        let item = match step.verdict {
            Verdict::Item(number) => Some(number),
            _ => None,
        };
        Request {
            id,
            act: self.act,
            by: self.by,
            fate: if reason.is_some() { Fate::Refused } else { step.verdict.into() },
            item,
            reason,
            method: self.method.clone(),
            target: crate::source::storable(&self.target).into_owned(),
            address: self.address.clone(),
            content_type: self
                .content_type
                .as_deref()
                .map(|it| crate::source::storable(it).into_owned()),
            headers: self.headers.clone(),
            body: Some(self.body.to_vec()),
            bytes: self.body.len() as u64,
            message: self.message,
            received_at: now,
        }
    }
}

impl Keeping {
    /// What is told, as messages to the application.
    pub(crate) fn messages(
        &self,
        callback: &Callback,
        told: impl IntoIterator<Item = Told>,
        now: Timestamp,
    ) -> Vec<Append> {
        let message = |(index, told): (usize, Told)| NewMessage {
            // Ids differ in their keys; the random bits only keep them from being guessed.
            nonce: self.nonce.rotate_left(1 + index as u32),
            accepted_at: now,
            expires_at: self.expires_at,
            origin: Origin::Callback,
            event_type: told.event_type.to_owned(),
            tags: (!callback.tags.is_empty()).then(|| callback.tags.clone()),
            payload: told.payload.into(),
            // Endpoints that keep an order hear of one callback in the order in which it happened.
            ordering_key: Some(callback.id.to_string()),
            ..NewMessage::default()
        };
        let append = |message| Append {
            environment: callback.scope.environment,
            application: Reference::Id(callback.application.0),
            message,
            claim: None,
        };
        told.into_iter().enumerate().map(message).map(append).collect()
    }
}

impl Correlation {
    /// The step that it is for a callback.
    pub(crate) fn step(&self, callback: CallbackId) -> CallbackStep {
        let request = NewCallbackRequest {
            act: if self.answer.failed { Act::Fail } else { Act::Complete },
            by: By::Source,
            refused: None,
            method: String::new(),
            target: String::new(),
            address: None,
            content_type: self.content_type.clone(),
            headers: Vec::new(),
            body: self.body.clone(),
            message: Some(self.message),
        };
        CallbackStep {
            callback,
            act: Some(state::Act::Answer(self.answer)),
            request: Some(request),
            // What was not paid has no price.
            price: (!self.answer.failed).then(|| self.price.clone()),
            keeping: self.keeping,
            now: self.now,
        }
    }
}

impl CallbackQuery {
    /// Whether it may leave out some of the callbacks in its span of time.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.states.is_empty()
            || self.kind.is_some()
            || self.tag.is_some()
            || self.reference.is_some()
            || self.application.is_some()
    }
}

impl crate::Identified for Callback {
    fn id(&self) -> Id {
        self.id.0
    }
}

impl crate::Identified for Request {
    fn id(&self) -> Id {
        self.id.0
    }
}
