//! Deliveries that are made one after the other (ADR 0022).
//!
//! Of the deliveries to an endpoint with the same ordering key, only the first is due. The others wait: what
//! says when they are due says so [`WAIT`] too late, which is never. Whatever deletes the row of the first
//! lets the next one go, in the same transaction. One that has no attempts left may block the others: it
//! stays, and is due [`BLOCK`] too late.

use ringback_domain::{
    delivery::{Delivery, OnExhausted, Order},
    id::{Key, MessageId},
    time::Timestamp,
};

/// By how many milliseconds a delivery that waits for another one is due too late. The schemas say it too.
const WAIT: i64 = 1 << 52;
/// By how many milliseconds a delivery is due too late that blocks its order. The schemas say it too.
const BLOCK: i64 = 1 << 53;

/// Where a delivery stands in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It is the first of its order, or in none.
    First,
    /// It waits for one before it.
    Waits,
    /// It has no attempts left, and those after it wait.
    Blocks,
}

impl Rank {
    /// What a stored time says, and the time itself.
    pub(crate) fn read(due_at: i64) -> (Rank, Timestamp) {
        match due_at {
            BLOCK.. => (Rank::Blocks, Timestamp(due_at - BLOCK)),
            WAIT.. => (Rank::Waits, Timestamp(due_at - WAIT)),
            _ => (Rank::First, Timestamp(due_at)),
        }
    }
}

/// The time at which a delivery is due by itself, if it is.
pub(crate) fn by_itself(due_at: i64) -> Option<Timestamp> {
    match Rank::read(due_at) {
        (Rank::First, due_at) => Some(due_at),
        _ => None,
    }
}

/// The time at which a delivery is due, or would be if it stood first; none if it is not tried again.
pub(crate) fn planned(due_at: i64) -> Option<Timestamp> {
    match Rank::read(due_at) {
        (Rank::First | Rank::Waits, due_at) => Some(due_at),
        (Rank::Blocks, _) => None,
    }
}

/// The most deliveries that a transaction lets go when an endpoint no longer keeps an order. Others follow;
/// should none, what is behind them goes on in its order.
pub(crate) const RELEASED: i64 = 1_000;

/// A delivery that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// At which endpoint.
    pub endpoint: Key,
    /// The delivery.
    pub delivery: Key,
    /// Of which message.
    pub message: MessageId,
}

/// What a change of an endpoint means for what is in its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Nothing.
    Same,
    /// Nothing blocks any more.
    Unblocked,
    /// There is no order any more.
    Off,
}

impl Turned {
    /// From what the endpoint wanted to what it wants.
    pub(crate) fn between(before: Option<&str>, after: Option<&str>) -> Turned {
        match (is_kept(before), is_kept(after)) {
            (true, false) => Turned::Off,
            (true, true) if blocks(before) && !blocks(after) => Turned::Unblocked,
            _ => Turned::Same,
        }
    }
}

/// Whether an endpoint that wants its deliveries like this keeps an order.
pub(crate) fn is_kept(delivery: Option<&str>) -> bool {
    order(delivery).is_some()
}

/// Whether one without attempts left keeps those after it waiting at such an endpoint.
pub(crate) fn blocks(delivery: Option<&str>) -> bool {
    order(delivery).is_some_and(|order| order.on_exhausted == OnExhausted::Block)
}

fn order(delivery: Option<&str>) -> Option<Order> {
    serde_json::from_str::<Delivery>(delivery?).ok()?.order
}
