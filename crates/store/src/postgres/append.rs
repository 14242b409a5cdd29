//! Appending messages: claims, match, message rows, delivery rows, all in one statement.
//!
//! The statement (a function, see `migrations/0011_contracts.sql`) writes all of them if nothing speaks
//! against it. Otherwise it judges each message by what it sees (a claim made before, an event id
//! that is taken, an application that has changed since its routes were read) and writes those that
//! pass. If somebody else writes the same claim or event id at the same moment, a unique index stops
//! it, and looking again shows who was first.

mod arrived;
mod release;
mod shaped;

use std::{collections::HashSet, sync::Arc};

use ringback_domain::{
    id::{Id, Key, MessageId},
    idempotency::{self, Claim},
    scope::Reference,
};
use tokio_postgres::{Client, Error, Row, types::Type};

pub(super) use self::release::release;
use self::{
    arrived::Arrived,
    shaped::{Orders, Shaped},
};
use super::{
    Node, fault,
    keys::Held,
    routes::{self, Route},
    rows,
    transaction::{self, Parameter, Transaction, boolean, int8},
};
use crate::{Append, AppendError, Appended, NewMessage, Unavailable};

type Answer = Result<Appended, AppendError>;

/// How often messages are looked at again that others kept changing the ground for.
const TRIES: usize = 10;
/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// Buckets of claims that hold for more than a day: so many days each, numbered by the first of them
/// from `first` on.
pub(super) struct Window {
    pub(super) days: i64,
    pub(super) first: i64,
}

/// No claim holds for longer than the last one. Those who look for a claim look for one of its kind,
/// so none is as long as what somebody is likely to ask for.
pub(super) const WINDOWS: [Window; 2] =
    [Window { days: 4, first: 1 << 40 }, Window { days: 32, first: 1 << 41 }];

/// Appends a batch; each message succeeds or fails for itself.
pub(super) async fn run(node: Arc<Node>, batch: Vec<Append>) -> Result<Vec<Answer>, Unavailable> {
    let client = node.pool.get().await?;
    let held = node.keys.hold();
    let way = Way { node: &node, client: &client, held: &held, alone: true, kept: false };
    match tokio::time::timeout(transaction::LIMIT, way.append(&batch)).await {
        Ok(answers) => answers.map_err(|error| fault::unavailable(&error)),
        Err(_) => Err(transaction::given_up(client)),
    }
}

/// Appends one message inside a transaction that is open.
pub(super) async fn within(
    transaction: &Transaction<'_>,
    new: Append,
) -> Result<Option<Appended>, Error> {
    let mut appended = all_within(transaction, std::slice::from_ref(&new)).await?;
    Ok(appended.pop().flatten())
}

/// Appends messages inside a transaction that is open; nothing for each that cannot be.
pub(super) async fn all_within(
    transaction: &Transaction<'_>,
    batch: &[Append],
) -> Result<Vec<Option<Appended>>, Error> {
    let answers = Way::inside(transaction).append(batch).await?;
    Ok(answers.into_iter().map(Result::ok).collect())
}

/// A message to the hidden application of the environment, which it may not have.
pub(super) fn operational(environment: Key, message: NewMessage) -> Append {
    let uid = ringback_domain::application::OPERATIONAL_UID.to_owned();
    let application = Reference::Uid(uid);
    Append { environment, application, message, claim: None }
}

/// The endpoints in whose orders these messages will come, as far as it is known before they are
/// appended.
///
/// Whoever appends in several statements, or changes orders beside it, holds all of them first
/// ([`order::hold`](super::order::hold)). If an endpoint begins to keep an order at the same moment, one
/// more is held later; then a circle is possible, and PostgreSQL ends it after a second.
pub(super) async fn orders(
    transaction: &Transaction<'_>,
    batch: &[Append],
) -> Result<Vec<Key>, Error> {
    let way = Way::inside(transaction);
    let names = batch.iter().map(|new| (new.environment, &new.application));
    routes::load(way.node, way.client, names).await?;
    let mut orders = Vec::new();
    for new in batch {
        let route = way.route(new).await?;
        orders.extend(route.iter().flat_map(|route| route.ordered.iter().copied()));
    }
    Ok(orders)
}

/// How statements reach the database.
struct Way<'a> {
    node: &'a Node,
    client: &'a Client,
    /// Where keys come from.
    held: &'a Held,
    /// Each in a transaction of its own; otherwise one is open.
    alone: bool,
    /// What arrived is written down already.
    kept: bool,
}

impl<'a> Way<'a> {
    fn inside(transaction: &'a Transaction<'_>) -> Way<'a> {
        let (node, client, held) = (transaction.node(), transaction.client(), transaction.held());
        Way { node, client, held, alone: false, kept: false }
    }

    async fn append(&self, batch: &[Append]) -> Result<Vec<Answer>, Error> {
        let mut left: Vec<usize> = (0..batch.len()).collect();
        let mut answers: Vec<Option<Answer>> = vec![None; batch.len()];
        let mut tries = 0;
        while !left.is_empty() && tries < TRIES {
            let before = left.len();
            left = self.round(batch, left, &mut answers).await?;
            // Those with the same mark go one after the other, however many they are.
            tries = if left.len() < before { 0 } else { tries + 1 };
        }
        let given_up =
            || Err(Unavailable::Failed("others kept changing the application".to_owned()).into());
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(given_up)).collect())
    }

    /// One statement for as many as can go together. Returns who has to be looked at again.
    async fn round(
        &self,
        batch: &[Append],
        left: Vec<usize>,
        answers: &mut [Option<Answer>],
    ) -> Result<Vec<usize>, Error> {
        let mut again = Vec::new();
        let mut ready = Vec::new();
        let mut seen = HashSet::new();
        let name = |index: &usize| (batch[*index].environment, &batch[*index].application);
        routes::load(self.node, self.client, left.iter().map(name)).await?;
        for index in left {
            let new = &batch[index];
            if !marks(new).into_iter().flatten().all(|mark| seen.insert(mark)) {
                // The first of the same comes first; this one will find what became of it.
                again.push(index);
                continue;
            }
            let route = self.route(new).await?;
            match route.filter(|route| !route.hidden || new.message.origin.is_our_own()) {
                Some(route) => ready.push(Ready::new(self.held, index, new, route)),
                None => answers[index] = Some(Err(AppendError::NoApplication)),
            }
        }
        match self.write(&ready).await {
            Ok(verdicts) => {
                for (ready, verdict) in ready.iter().zip(verdicts) {
                    match self.answer(ready, verdict).await? {
                        Some(answer) => answers[ready.index] = Some(answer),
                        None => again.push(ready.index),
                    }
                }
            }
            // Somebody else was quicker with one of them: the others go on without it.
            Err(error) if self.alone && fault::is_duplicate(&error) => {
                for one in &ready {
                    match self.write(std::slice::from_ref(one)).await {
                        Ok(verdicts) => {
                            let verdict = verdicts.into_iter().next().unwrap_or(Verdict::Stale);
                            match self.answer(one, verdict).await? {
                                Some(answer) => answers[one.index] = Some(answer),
                                None => again.push(one.index),
                            }
                        }
                        Err(error) if fault::is_duplicate(&error) => again.push(one.index),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        again.sort_unstable();
        Ok(again)
    }

    async fn route(&self, new: &Append) -> Result<Option<Route>, Error> {
        let Append { environment, application, message, .. } = new;
        let known = || self.node.routes().route(*environment, application, message);
        if let Some(route) = known() {
            return Ok(Some(route));
        }
        // It does not exist, or was forgotten meanwhile.
        let name = std::iter::once((*environment, application));
        routes::load(self.node, self.client, name).await?;
        Ok(known())
    }

    async fn write(&self, ready: &[Ready<'_>]) -> Result<Vec<Verdict>, Error> {
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Columns::of(ready, self.kept);
        let parameters = columns.parameters(&self.node.epoch);
        let sql = include_str!("queries/append.sql");
        let mut tries = 0;
        let rows = loop {
            let write = self.client.query_typed(sql, &parameters);
            // If no transaction is open, a statement is one, and commits.
            let written = if self.alone { self.held.settle(write).await } else { write.await };
            tries += 1;
            match written {
                // It was chosen to end a circle of those who wait for each other: nothing is written.
                Err(error) if self.alone && fault::is_deadlock(&error) && tries < TRIES => {}
                written => break written?,
            }
        };
        if rows.is_empty() {
            return Ok(ready.iter().map(|_| Verdict::Written).collect());
        }
        // In the order of the input.
        Ok(rows.iter().map(Verdict::read).collect())
    }

    /// What a verdict means for the caller; nothing if the message has to be looked at again.
    async fn answer(&self, ready: &Ready<'_>, verdict: Verdict) -> Result<Option<Answer>, Error> {
        let Ready { id, new, route, .. } = ready;
        let application = route.application;
        let arrived = new.message.arrival.is_some();
        Ok(Some(match verdict {
            Verdict::Written => {
                let endpoints = Arc::clone(&route.endpoints);
                let ordered = Arc::clone(&route.ordered);
                Ok(Appended { id: *id, application, endpoints, ordered, repeated: false })
            }
            Verdict::Stale => {
                self.node.routes().forget(application);
                return Ok(None);
            }
            Verdict::Repeated { same_body: false, .. } if !arrived => {
                Err(AppendError::ClaimConflict)
            }
            Verdict::Repeated { first, .. } => match self.message(application, first).await? {
                Some(id) => Ok(repetition(id, application)),
                // A claim outlives its message only if the retention is shorter than the time for
                // which the claim holds. Then nothing has the id any more.
                None if arrived => {
                    let gone = Id { key: first, shard: 0, nonce: 0 };
                    Ok(repetition(MessageId(gone), application))
                }
                None => Err(AppendError::ClaimConflict),
            },
            Verdict::Taken { by } => match self.message(application, by).await? {
                Some(existing) => Err(AppendError::EventIdTaken { existing }),
                None => return Ok(None),
            },
        }))
    }

    async fn message(&self, application: Key, key: Key) -> Result<Option<MessageId>, Error> {
        let shard = rows::shard_of(application);
        let parameters = [transaction::int4(&shard), int8(&key)];
        let sql = include_str!("queries/message_nonce.sql");
        let row = self.client.query_typed_opt(sql, &parameters).await?;
        Ok(row.map(|row| MessageId(rows::id(&row, 0, 1))))
    }
}

fn repetition(id: MessageId, application: Key) -> Appended {
    Appended { id, application, endpoints: Arc::from([]), ordered: Arc::from([]), repeated: true }
}

/// What two messages of one statement may not share.
fn marks(new: &Append) -> [Option<Mark<'_>>; 2] {
    let claim = new.claim.map(|claim| Mark::Claim(claim.fingerprint));
    // One application under two names meets itself in the unique index.
    let event_id = new.message.event_id.as_deref();
    [claim, event_id.map(|event_id| Mark::EventId(new.environment, &new.application, event_id))]
}

#[derive(PartialEq, Eq, Hash)]
enum Mark<'a> {
    Claim(u128),
    EventId(Key, &'a Reference, &'a str),
}

/// A message that knows where it goes.
struct Ready<'a> {
    index: usize,
    id: MessageId,
    new: &'a Append,
    route: Route,
}

impl<'a> Ready<'a> {
    fn new(held: &Held, index: usize, new: &'a Append, route: Route) -> Ready<'a> {
        let message = &new.message;
        let key = held.next(message.accepted_at, route.endpoints.len());
        let id = MessageId(Id { key, shard: 0, nonce: message.nonce });
        Ready { index, id, new, route }
    }
}

/// What the statement says about a message.
enum Verdict {
    Written,
    /// The application has changed, or is gone.
    Stale,
    /// The claim was made before.
    Repeated {
        first: Key,
        same_body: bool,
    },
    /// Another message has the event id.
    Taken {
        by: Key,
    },
}

impl Verdict {
    fn read(row: &Row) -> Verdict {
        let (first, taken): (Option<Key>, Option<Key>) = (row.get(1), row.get(3));
        match (row.get::<_, bool>(0), first, taken) {
            (_, Some(first), _) => Verdict::Repeated { first, same_body: row.get(2) },
            (true, ..) => Verdict::Stale,
            (false, None, Some(by)) => Verdict::Taken { by },
            (false, None, None) => Verdict::Written,
        }
    }
}

/// In which bucket a claim ends, and how far it is to the one before (see `claim` in the schema). A
/// bucket is as long as claims of its kind hold, so the same one that was made before ends in this
/// bucket or the one before.
pub(super) fn bucket(claim: Claim, now: ringback_domain::time::Timestamp) -> (i64, i64) {
    let (holds, end) = (claim.expires_at.since(now), claim.expires_at.millis());
    if holds <= idempotency::CHOSEN_LIFETIME {
        let hours = if holds <= idempotency::AUTO_LIFETIME { 1 } else { 24 };
        return ((end / (hours * HOUR)) * hours, hours);
    }
    let [short, long] = WINDOWS;
    let days = holds.as_secs().div_ceil(86_400) as i64;
    let Window { days, first } = if days <= short.days { short } else { long };
    (first + end / (24 * HOUR) / days * days, days)
}

/// The statement's parameters, column by column.
#[derive(Default)]
struct Columns<'a> {
    key: Vec<Key>,
    nonce: Vec<i64>,
    shard: Vec<i32>,
    environment: Vec<Key>,
    application: Vec<Key>,
    routed: Vec<Key>,
    origin: Vec<i16>,
    fanout: Vec<i32>,
    accepted_at: Vec<i64>,
    expires_at: Vec<i64>,
    event_type: Vec<&'a str>,
    event_id: Vec<Option<&'a str>>,
    channels: Vec<Option<String>>,
    tags: Vec<Option<String>>,
    content_type: Vec<Option<&'a str>>,
    payload: Vec<&'a [u8]>,
    shaped: Shaped<'a>,
    arrived: Arrived<'a>,
    fingerprint: Vec<Option<Vec<u8>>>,
    body: Vec<Option<Vec<u8>>>,
    bucket: Vec<Option<i64>>,
    period: Vec<Option<i64>>,
    claimed_until: Vec<Option<i64>>,
    delivery: Deliveries,
    orders: Orders<'a>,
    /// The applications whose routes were used with what was known of each, once.
    routes: HashSet<(Key, Key)>,
    known: Vec<Key>,
    known_routed: Vec<Key>,
    claims: bool,
    event_ids: bool,
}

/// Those of all messages of the statement.
#[derive(Default)]
struct Deliveries {
    shard: Vec<i32>,
    key: Vec<Key>,
    message: Vec<Key>,
    environment: Vec<Key>,
    application: Vec<Key>,
    endpoint: Vec<Key>,
    due_at: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(ready: &'a [Ready<'a>], kept: bool) -> Columns<'a> {
        let mut columns = Columns::default();
        for one in ready {
            columns.push(one);
            columns.arrived.push(columns.key.len() - 1, &one.new.message, kept);
            columns.shaped.push(columns.key.len() - 1, &one.new.message);
        }
        columns.orders.finish();
        columns
    }

    fn push(&mut self, ready: &'a Ready<'a>) {
        let Ready { id, new, route, .. } = ready;
        let message = &new.message;
        self.key.push(id.key());
        self.nonce.push(id.0.nonce as i64);
        self.shard.push(rows::shard_of(route.application));
        self.environment.push(new.environment);
        self.application.push(route.application);
        self.routed.push(route.routed);
        self.origin.push(message.origin.number() as i16);
        self.fanout.push(route.endpoints.len() as i32);
        self.accepted_at.push(message.accepted_at.millis());
        self.expires_at.push(message.expires_at.millis());
        self.event_type.push(&message.event_type);
        self.event_id.push(message.event_id.as_deref());
        self.channels.push(rows::json_list(message.channels.as_deref()));
        self.tags.push(rows::json_list(message.tags.as_deref()));
        self.content_type.push(message.content_type.as_deref());
        self.payload.push(&message.payload);
        let bucket = new.claim.map(|claim| bucket(claim, message.accepted_at));
        self.fingerprint.push(new.claim.map(|claim| claim.fingerprint.to_be_bytes().to_vec()));
        self.body.push(new.claim.map(|claim| claim.body.to_be_bytes().to_vec()));
        self.bucket.push(bucket.map(|(bucket, _)| bucket));
        self.period.push(bucket.map(|(_, hours)| hours));
        self.claimed_until.push(new.claim.map(|claim| claim.expires_at.millis()));
        self.claims |= new.claim.is_some();
        self.event_ids |= message.event_id.is_some();
        if self.routes.insert((route.application, route.routed)) {
            self.known.push(route.application);
            self.known_routed.push(route.routed);
        }
        for (index, endpoint) in route.endpoints.iter().enumerate() {
            self.delivery.shard.push(rows::shard_of(route.application));
            self.delivery.key.push(crate::delivery_key(*id, index));
            self.delivery.message.push(id.key());
            self.delivery.environment.push(new.environment);
            self.delivery.application.push(route.application);
            self.delivery.endpoint.push(*endpoint);
            self.delivery.due_at.push(message.accepted_at.millis());
            if route.ordered.contains(endpoint) {
                let ordering_key = message.ordering_key.as_deref().unwrap_or_default();
                self.orders.push(self.delivery.key.len() - 1, *endpoint, ordering_key);
            }
        }
    }

    fn parameters(&'a self, epoch: &'a i64) -> [Parameter<'a>; 49] {
        [
            (&self.shard, Type::INT4_ARRAY),
            (&self.key, Type::INT8_ARRAY),
            (&self.nonce, Type::INT8_ARRAY),
            (&self.environment, Type::INT8_ARRAY),
            (&self.application, Type::INT8_ARRAY),
            (&self.origin, Type::INT2_ARRAY),
            (&self.fanout, Type::INT4_ARRAY),
            (&self.routed, Type::INT8_ARRAY),
            (&self.accepted_at, Type::INT8_ARRAY),
            (&self.expires_at, Type::INT8_ARRAY),
            (&self.event_type, Type::TEXT_ARRAY),
            (&self.event_id, Type::TEXT_ARRAY),
            (&self.channels, Type::TEXT_ARRAY),
            (&self.tags, Type::TEXT_ARRAY),
            (&self.content_type, Type::TEXT_ARRAY),
            (&self.payload, Type::BYTEA_ARRAY),
            (&self.arrived.headers, Type::TEXT_ARRAY),
            (&self.shaped.version, Type::INT4_ARRAY),
            (&self.shaped.fits_schema, Type::BOOL_ARRAY),
            (&self.shaped.ordering_key, Type::TEXT_ARRAY),
            (&self.arrived.source, Type::INT8_ARRAY),
            (&self.arrived.nonce, Type::INT8_ARRAY),
            (&self.arrived.verdict, Type::TEXT_ARRAY),
            (&self.arrived.reason, Type::TEXT_ARRAY),
            (&self.arrived.status, Type::INT4_ARRAY),
            (&self.arrived.method, Type::TEXT_ARRAY),
            (&self.arrived.target, Type::TEXT_ARRAY),
            (&self.arrived.address, Type::TEXT_ARRAY),
            (&self.arrived.event_id, Type::TEXT_ARRAY),
            (&self.arrived.bytes, Type::INT8_ARRAY),
            (&self.fingerprint, Type::BYTEA_ARRAY),
            (&self.body, Type::BYTEA_ARRAY),
            (&self.bucket, Type::INT8_ARRAY),
            (&self.period, Type::INT8_ARRAY),
            (&self.claimed_until, Type::INT8_ARRAY),
            (&self.delivery.shard, Type::INT4_ARRAY),
            (&self.delivery.key, Type::INT8_ARRAY),
            (&self.delivery.message, Type::INT8_ARRAY),
            (&self.delivery.environment, Type::INT8_ARRAY),
            (&self.delivery.application, Type::INT8_ARRAY),
            (&self.delivery.endpoint, Type::INT8_ARRAY),
            (&self.delivery.due_at, Type::INT8_ARRAY),
            (&self.orders.ordering_key, Type::TEXT_ARRAY),
            (&self.orders.endpoints, Type::INT8_ARRAY),
            (&self.known, Type::INT8_ARRAY),
            (&self.known_routed, Type::INT8_ARRAY),
            boolean(&self.claims),
            boolean(&self.event_ids),
            int8(epoch),
        ]
    }
}
