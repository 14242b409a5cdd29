//! A lane: one endpoint's queue, window, connections and health, on one core.

use std::{
    collections::{HashSet, VecDeque},
    rc::Rc,
};

use ringback_domain::{
    id::Key,
    lane::{Health, Standing},
    time::Timestamp,
};
use ringback_store::{Due, DuePage};
use tokio::{sync::oneshot, time::Instant};

use super::prepare::{KEEP_ALIVE, Prepared};
use crate::outbound::Sender;

/// One endpoint's lane.
pub(super) struct Lane {
    /// What is known about the endpoint; none while it is being read.
    pub(super) prepared: Option<Rc<Prepared>>,
    /// Set when the endpoint changed while it was being read: read it again.
    pub(super) stale: bool,
    /// Who wants to know when a change is in use.
    pub(super) told: Vec<oneshot::Sender<()>>,
    pub(super) health: Health,
    /// How many requests are open.
    pub(super) open: u32,
    /// When a request was begun or ended last.
    pub(super) progress: Instant,
    pub(super) failing_since: Option<Timestamp>,
    /// Whether it stands in the queue for a socket.
    pub(super) queued: bool,
    /// When the next delivery that is only in the store is due.
    pub(super) next_due: Option<Timestamp>,
    /// How many deliveries it was last counted with; see `Pressure`.
    pub(super) accounted: usize,
    head: VecDeque<Due>,
    /// The deliveries in the head, in flight, or not yet recorded.
    in_memory: HashSet<Key>,
    /// Whether the store has due deliveries that are not in memory.
    spilled: bool,
    /// While the store is being read: what was recorded since, and so may be read again.
    refilling: Option<HashSet<Key>>,
    idle: Vec<(Sender, Instant)>,
}

impl Lane {
    pub(super) fn new(health: Health, now: Instant) -> Lane {
        Lane {
            prepared: None,
            stale: false,
            told: Vec::new(),
            health,
            open: 0,
            progress: now,
            failing_since: None,
            queued: false,
            next_due: None,
            accounted: 0,
            head: VecDeque::new(),
            in_memory: HashSet::new(),
            spilled: false,
            refilling: None,
            idle: Vec::new(),
        }
    }

    /// Takes a delivery that was just committed into the head, or leaves it in the store: when the
    /// head is full, or others before it are in the store already.
    pub(super) fn offer(&mut self, due: Due, room: bool, limit: usize) -> bool {
        if self.in_memory.contains(&due.delivery) {
            return false;
        }
        let in_order = !self.spilled && self.refilling.is_none();
        if !room || !in_order || self.head.len() >= limit || !self.attempts() {
            self.spilled = true;
            return false;
        }
        self.push(due);
        true
    }

    /// Notes that the store has something.
    pub(super) fn look(&mut self) {
        self.spilled = true;
    }

    fn push(&mut self, due: Due) {
        self.in_memory.insert(due.delivery);
        self.head.push_back(due);
    }

    /// Whether a request may be begun, as far as the lane knows.
    pub(super) fn is_ready(&self) -> bool {
        self.prepared.is_some()
            && self.attempts()
            && !self.head.is_empty()
            && self.open < self.health.window()
    }

    /// Whether the endpoint's state allows attempts; presumed while it is being read.
    pub(super) fn attempts(&self) -> bool {
        self.prepared.as_ref().is_none_or(|prepared| prepared.state.attempts())
    }

    pub(super) fn next(&mut self) -> Option<Due> {
        self.head.pop_front()
    }

    /// Empties the head: the endpoint stopped. The deliveries stay in the store.
    pub(super) fn clear(&mut self) -> usize {
        for due in &self.head {
            self.in_memory.remove(&due.delivery);
        }
        self.spilled |= !self.head.is_empty();
        let cleared = self.head.len();
        self.head.clear();
        self.idle.clear();
        cleared
    }

    /// Forgets a delivery that was settled otherwise. Whether it was in the head.
    pub(super) fn forget(&mut self, delivery: Key) -> bool {
        let before = self.head.len();
        self.head.retain(|due| due.delivery != delivery);
        let found = self.head.len() < before;
        if found {
            self.recorded(delivery);
        } else if let Some(recorded) = &mut self.refilling {
            recorded.insert(delivery);
        }
        found
    }

    /// Notes that a delivery's result is in the store.
    pub(super) fn recorded(&mut self, delivery: Key) {
        self.in_memory.remove(&delivery);
        if let Some(recorded) = &mut self.refilling {
            recorded.insert(delivery);
        }
    }

    /// If the head runs low and the store has more: begins a refill and says how many deliveries to
    /// read, the ones counted that are in memory already.
    pub(super) fn begin_refill(&mut self, limit: usize) -> Option<usize> {
        let low = self.head.len() <= limit / 4;
        let wanted = self.spilled && low && self.refilling.is_none();
        if !wanted || self.prepared.is_none() || !self.attempts() {
            return None;
        }
        self.refilling = Some(HashSet::new());
        self.spilled = false;
        Some(limit + self.in_memory.len())
    }

    /// Adds what a refill read; returns how many deliveries were new.
    pub(super) fn end_refill(&mut self, page: Option<DuePage>) -> usize {
        let recorded = self.refilling.take().unwrap_or_default();
        let Some(page) = page else {
            self.spilled = true;
            return 0;
        };
        let before = self.head.len();
        for due in page.due {
            if !self.in_memory.contains(&due.delivery) && !recorded.contains(&due.delivery) {
                self.push(due);
            }
        }
        self.spilled |= page.more;
        self.head.len() - before
    }

    /// Whether the store has due deliveries that could be read now.
    pub(super) fn has_more(&self) -> bool {
        self.spilled && self.refilling.is_none() && self.prepared.is_some() && self.attempts()
    }

    /// How many deliveries wait for the engine rather than for the endpoint.
    pub(super) fn pressing(&self) -> usize {
        let healthy = self.health.standing() == Standing::Healthy;
        if healthy && !self.spilled && self.attempts() { self.head.len() } else { 0 }
    }

    pub(super) fn keep(&mut self, sender: Sender, now: Instant) {
        self.idle.push((sender, now));
    }

    /// The connection that was used last.
    pub(super) fn take_idle(&mut self) -> Option<Sender> {
        self.idle.pop().map(|(sender, _)| sender)
    }

    /// Closes connections that were not used for a while.
    pub(super) fn close_idle(&mut self, now: Instant) {
        self.idle.retain(|(sender, since)| *since + KEEP_ALIVE > now && !sender.is_closed());
    }

    /// How many connections it holds open for later.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        self.open == 0
            && self.in_memory.is_empty()
            && self.refilling.is_none()
            && self.next_due.is_none()
            && self.told.is_empty()
            && self.prepared.is_some()
            && self.idle.is_empty()
            && (!self.spilled || !self.attempts())
    }
}
