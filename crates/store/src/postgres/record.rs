//! Recording attempts: their rows, what becomes of the deliveries, the endpoints' health, notices.
//!
//! Most results change nothing but their delivery, and perhaps since when its endpoint fails: those of
//! a batch are one statement. The few that have more to tell take a transaction each.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use ringback_domain::{
    attempt::{Outcome, Trigger},
    endpoint::State,
    id::Key,
    message::Origin,
    scope::Scope,
    time::Timestamp,
};
use tokio_postgres::{Client, Error, types::Type};

use super::{
    Node, append, application, audit, endpoint,
    fault::{self, Stop},
    order, rows,
    transaction::{self, Parameter, Transaction, int4, int8},
};
use crate::{Act, Append, NewMessage, Notice, Record, Recorded, Unavailable, timings};

/// How long a result waits before it is tried again while the database is away.
const RETRY: Duration = Duration::from_millis(250);

/// Records a batch. While the database cannot be reached it waits: what the results report has
/// happened, and must not be lost.
pub(super) async fn run(node: Arc<Node>, batch: Vec<Record>) -> Result<Vec<Recorded>, Unavailable> {
    let mut recorded = vec![None; batch.len()];
    let mut told = false;
    loop {
        let stop = match work(&node, &batch, &mut recorded).await {
            Ok(()) => return Ok(recorded.into_iter().map(Option::unwrap_or_default).collect()),
            Err(stop) => stop,
        };
        if node.is_closed() {
            return Err(Unavailable::Closed);
        }
        match stop {
            // The server looked at it and said no: so it would the next time.
            Stop::Database(error) if error.as_db_error().is_some() && !fault::passes(&error) => {
                return Err(fault::unavailable(&error));
            }
            stop => {
                let reason: Unavailable = stop.told();
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%reason, "results wait for the database");
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Records whatever of the batch is not recorded yet.
async fn work(
    node: &Node,
    batch: &[Record],
    recorded: &mut [Option<Recorded>],
) -> Result<(), Stop<Unavailable>> {
    let mut seen = HashSet::new();
    let mut plain = Vec::new();
    let mut rest = Vec::new();
    for (index, record) in batch.iter().enumerate().filter(|(index, _)| recorded[*index].is_none())
    {
        // A statement sees a delivery once, so the second result for it has to come after.
        if is_plain(record) && seen.insert(record.delivery) {
            plain.push(index);
        } else {
            rest.push(index);
        }
    }
    if !plain.is_empty() {
        let client = node.pool.get().await.map_err(Stop::Unavailable)?;
        let records: Vec<&Record> = plain.iter().map(|index| &batch[*index]).collect();
        let columns = Columns::of(&records);
        // No transaction is open, so a statement is one.
        let write = columns.write(&client, &node.epoch);
        let Ok(applied) = tokio::time::timeout(transaction::LIMIT, write).await else {
            return Err(Stop::Unavailable(transaction::given_up(client)));
        };
        let applied = applied?;
        for index in plain {
            let applied = applied.holds(batch[index].delivery);
            recorded[index] = Some(Recorded { applied, ..Recorded::default() });
        }
    }
    for index in rest {
        let record = batch[index].clone();
        let one = transaction::run(node, move |transaction| {
            Box::pin(async move { in_full(transaction, &record).await })
        });
        recorded[index] = Some(one.await.map_err(Stop::Unavailable)?);
    }
    Ok(())
}

/// Whether a result changes nothing but its delivery and since when its endpoint fails.
fn is_plain(record: &Record) -> bool {
    let disables = record.health.is_some_and(|health| health.disable.is_some());
    // What blocks an order is held against the endpoint as it is now.
    let blocks = record.outcome == Outcome::Blocked;
    !disables && record.notices.is_empty() && !settles(record) && !blocks
}

async fn in_full(
    transaction: &Transaction<'_>,
    record: &Record,
) -> Result<Recorded, Stop<Unavailable>> {
    let disables = record.health.and_then(|health| health.disable);
    if disables.is_some() {
        // Before the endpoint, as everybody does who changes one.
        application::lock(transaction, record.scope).await?;
    }
    let notices = notices(record);
    hold_orders(transaction, record, &notices).await?;
    let lapsed =
        record.outcome == Outcome::Blocked && !order::blocks(transaction, record.endpoint).await?;
    let unblocked = lapsed.then(|| record.unblocked());
    let record = unblocked.as_ref().unwrap_or(record);
    let columns = Columns::of(&[record]);
    let applied = columns.write(transaction.client(), &transaction.epoch()).await?;
    if !applied.holds(record.delivery) {
        return Ok(Recorded::default());
    }
    let settled = settle_scheduled(transaction, record).await?;
    if let Some(state) = disables {
        disable(transaction, record, state).await?;
    }
    let notified = append::all_within(transaction, &notices).await?.into_iter().flatten();
    let notified = notified.map(|appended| (appended.id, appended.endpoints)).collect();
    Ok(Recorded { applied: true, notified, settled })
}

/// Holds every order that the record touches: the one that its delivery is in, those that a success by
/// hand settles something of, and those that its notices come into.
async fn hold_orders(
    transaction: &Transaction<'_>,
    record: &Record,
    notices: &[Append],
) -> Result<(), Error> {
    let mut orders = append::orders(transaction, notices).await?;
    if record.ordered {
        orders.push(record.endpoint);
    }
    if settles(record) {
        let shard = rows::shard(record.scope);
        orders.extend(order::of(transaction, shard, &vec![record.message]).await?);
    }
    order::hold(transaction, &orders).await
}

/// Whether it is a success by hand, after which nothing need be tried again.
fn settles(record: &Record) -> bool {
    record.trigger == Trigger::Manual && record.outcome == Outcome::Delivered
}

/// A message that was resent with success need not be tried again.
async fn settle_scheduled(
    transaction: &Transaction<'_>,
    record: &Record,
) -> Result<Option<Key>, Error> {
    if !settles(record) {
        return Ok(None);
    }
    let Scope { environment, application } = record.scope;
    let shard = rows::shard(record.scope);
    let parameters = [
        int4(&shard),
        int8(&record.message),
        int8(&record.endpoint),
        int8(&environment),
        int8(&application),
    ];
    let row = transaction.row(include_str!("queries/delivery_settle.sql"), &parameters).await?;
    Ok(row.map(|row| row.get(0)))
}

async fn disable(
    transaction: &Transaction<'_>,
    record: &Record,
    state: State,
) -> Result<(), Error> {
    let Scope { environment, application } = record.scope;
    let at = record.id.0.created_at();
    let revision = transaction.next_key(at);
    let disabled = state;
    let (state, enabled, at) = (state.number(), State::Enabled.number(), at.millis());
    let parameters = [
        int8(&record.endpoint),
        int8(&environment),
        int8(&application),
        int8(&state),
        int8(&enabled),
        int8(&revision),
        int8(&at),
        // Whoever changed the endpoint meanwhile meant what they wrote.
        int8(&record.revision),
    ];
    let sql = include_str!("queries/endpoint_disable.sql");
    if transaction.execute(sql, &parameters).await? == 1 {
        endpoint::insert_revision(transaction, application, record.endpoint).await?;
        let sql = "SELECT nonce FROM endpoint WHERE key = $1";
        let row = transaction.row(sql, &[int8(&record.endpoint)]).await?;
        let nonce = row.map_or(0, |row| row.get::<_, i64>(0));
        audit::insert(transaction, &Act::of_disabling(record, disabled, nonce as u64)).await?;
    }
    Ok(())
}

/// What Ringback tells about it, as messages.
fn notices(record: &Record) -> Vec<Append> {
    let notice = |notice: &Notice| {
        let message = NewMessage {
            nonce: notice.nonce,
            accepted_at: notice.at,
            expires_at: notice.expires_at,
            origin: Origin::Operational,
            event_type: notice.event_type.to_owned(),
            payload: notice.payload.clone(),
            ..NewMessage::default()
        };
        append::operational(record.scope.environment, message)
    };
    record.notices.iter().map(notice).collect()
}

/// On which deliveries a statement took effect.
enum Applied {
    All,
    Only(HashSet<Key>),
}

impl Applied {
    fn holds(&self, delivery: Key) -> bool {
        match self {
            Applied::All => true,
            Applied::Only(applied) => applied.contains(&delivery),
        }
    }
}

/// The statement's parameters, column by column.
#[derive(Default)]
struct Columns<'a> {
    shard: Vec<i32>,
    key: Vec<Key>,
    nonce: Vec<i64>,
    environment: Vec<Key>,
    application: Vec<Key>,
    message: Vec<Key>,
    endpoint: Vec<Key>,
    revision: Vec<Key>,
    epoch: Vec<i64>,
    number: Vec<i32>,
    trigger: Vec<i16>,
    outcome: Vec<i16>,
    status_code: Vec<i32>,
    failed: Vec<Option<i16>>,
    reason: Vec<Option<&'a str>>,
    next_at: Vec<Option<i64>>,
    timings: Vec<Vec<u8>>,
    response: Vec<&'a [u8]>,
    delivery: Vec<Key>,
    moves: Vec<bool>,
    /// They end with the last attempt that has one.
    rendering: Vec<Option<&'a str>>,
    fix: Vec<Option<&'a [u8]>>,
    /// The endpoints that keep an order.
    ordered: BTreeSet<Key>,
    ordered_endpoint: Vec<Key>,
    /// By endpoint: when it fails since, and the delivery that showed it. The last one counts.
    health: BTreeMap<Key, (Option<i64>, Key)>,
    health_endpoint: Vec<Key>,
    health_failing_since: Vec<Option<i64>>,
    health_delivery: Vec<Key>,
    /// How many of them move their delivery.
    moving: i64,
}

impl<'a> Columns<'a> {
    fn of(records: &[&'a Record]) -> Columns<'a> {
        let mut columns = Columns::default();
        records.iter().for_each(|record| columns.push(record));
        columns.ordered_endpoint = std::mem::take(&mut columns.ordered).into_iter().collect();
        for (endpoint, (failing_since, delivery)) in std::mem::take(&mut columns.health) {
            columns.health_endpoint.push(endpoint);
            columns.health_failing_since.push(failing_since);
            columns.health_delivery.push(delivery);
        }
        columns
    }

    fn push(&mut self, record: &'a Record) {
        self.shard.push(rows::shard(record.scope));
        self.key.push(record.id.key());
        self.nonce.push(record.id.0.nonce as i64);
        self.environment.push(record.scope.environment);
        self.application.push(record.scope.application);
        self.message.push(record.message);
        self.endpoint.push(record.endpoint);
        self.revision.push(record.revision);
        self.epoch.push(record.epoch);
        self.number.push(record.number as i32);
        self.trigger.push(record.trigger as i16);
        self.outcome.push(record.outcome.number() as i16);
        self.status_code.push(record.status_code.into());
        self.failed.push(record.failed.map(|phase| phase.number() as i16));
        self.reason.push(record.reason);
        self.next_at.push(record.next_at.map(Timestamp::millis));
        self.timings.push(timings::pack(&record.timings).to_vec());
        self.response.push(&record.response);
        self.delivery.push(record.delivery);
        self.moves.push(record.moves());
        self.moving += i64::from(record.moves());
        let place = self.moves.len() - 1;
        if let Some(rendering) = &record.rendering {
            rows::put(&mut self.rendering, place, rendering.as_str());
        }
        if let Some(fix) = &record.fix {
            rows::put(&mut self.fix, place, &**fix);
        }
        if record.ordered {
            self.ordered.insert(record.endpoint);
        }
        if let Some(health) = record.health {
            let failing_since = health.failing_since.map(Timestamp::millis);
            self.health.insert(record.endpoint, (failing_since, record.delivery));
        }
    }

    async fn write(&self, client: &Client, epoch: &i64) -> Result<Applied, Error> {
        let sql = include_str!("queries/record.sql");
        let row = client.query_typed_one(sql, &self.parameters(epoch)).await?;
        let applied: Option<Vec<Key>> = row.get(0);
        Ok(applied.map_or(Applied::All, |applied| Applied::Only(applied.into_iter().collect())))
    }

    fn parameters(&'a self, epoch: &'a i64) -> [Parameter<'a>; 28] {
        [
            (&self.shard, Type::INT4_ARRAY),
            (&self.key, Type::INT8_ARRAY),
            (&self.nonce, Type::INT8_ARRAY),
            (&self.environment, Type::INT8_ARRAY),
            (&self.application, Type::INT8_ARRAY),
            (&self.message, Type::INT8_ARRAY),
            (&self.endpoint, Type::INT8_ARRAY),
            (&self.revision, Type::INT8_ARRAY),
            (&self.epoch, Type::INT8_ARRAY),
            (&self.number, Type::INT4_ARRAY),
            (&self.trigger, Type::INT2_ARRAY),
            (&self.outcome, Type::INT2_ARRAY),
            (&self.status_code, Type::INT4_ARRAY),
            (&self.failed, Type::INT2_ARRAY),
            (&self.reason, Type::TEXT_ARRAY),
            (&self.next_at, Type::INT8_ARRAY),
            (&self.timings, Type::BYTEA_ARRAY),
            (&self.response, Type::BYTEA_ARRAY),
            (&self.delivery, Type::INT8_ARRAY),
            (&self.moves, Type::BOOL_ARRAY),
            (&self.rendering, Type::TEXT_ARRAY),
            (&self.fix, Type::BYTEA_ARRAY),
            (&self.ordered_endpoint, Type::INT8_ARRAY),
            (&self.health_endpoint, Type::INT8_ARRAY),
            (&self.health_failing_since, Type::INT8_ARRAY),
            (&self.health_delivery, Type::INT8_ARRAY),
            int8(&self.moving),
            int8(epoch),
        ]
    }
}
