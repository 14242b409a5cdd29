//! What a worker keeps count of: its lanes, who may use a socket, how much is in memory.
//!
//! Nothing here waits or does I/O; [`super::worker`] borrows it for moments.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use ringback_domain::{
    endpoint,
    id::Key,
    lane::{Sign, Sockets, Standing},
    time::Timestamp,
};
use ringback_store::Due;
use tokio::{sync::oneshot, time::Instant};

use super::{
    breakers::Breakers,
    lane::{Follows, Heard, Held, Lane},
    prepare::Prepared,
    services::{Limits, Services},
    upkeep::Reminders,
};
use crate::outbound::Sender;

/// In which order lanes that wait for a socket are served.
pub(super) const SERVED: [Standing; 4] =
    [Standing::Healthy, Standing::Fresh, Standing::Slow, Standing::Suspect];

/// What changes while the worker works.
pub(super) struct State {
    pub(super) lanes: HashMap<Key, Lane>,
    pub(super) reminders: Reminders,
    /// Set when nothing new is begun; told when nothing is in flight.
    pub(super) draining: Option<Vec<oneshot::Sender<()>>>,
    limits: Limits,
    sockets: Sockets,
    /// Lanes that wait for a socket, by standing in the order of [`SERVED`].
    queues: [VecDeque<Key>; 4],
    /// Lanes that hold connections open for later; where room is needed, the first gives one up.
    holders: VecDeque<Key>,
    /// What the heads of all lanes hold.
    held: Held,
    /// Attempts begun whose result is not committed.
    in_flight: usize,
    /// Whether some lane could not begin because too much was in flight.
    blocked: bool,
}

/// An attempt about to be made.
pub(super) struct Start {
    pub(super) due: Due,
    /// What goes in the same request.
    pub(super) with_it: Vec<Due>,
    pub(super) prepared: Rc<Prepared>,
    pub(super) kept: Option<Sender>,
    pub(super) begun: Instant,
}

/// Since when an endpoint has failed, before and after an attempt.
#[derive(Clone, Copy)]
pub(super) struct FailingSince {
    pub(super) before: Option<Timestamp>,
    pub(super) after: Option<Timestamp>,
}

impl State {
    pub(super) fn new(limits: Limits) -> State {
        State {
            lanes: HashMap::new(),
            reminders: Reminders::default(),
            draining: None,
            limits,
            sockets: Sockets::new(limits.sockets),
            queues: Default::default(),
            holders: VecDeque::new(),
            held: Held::default(),
            in_flight: 0,
            blocked: false,
        }
    }

    /// Whether the heads may hold more.
    pub(super) fn has_room(&self) -> bool {
        self.held.deliveries < self.limits.heads && self.held.bytes < self.limits.head_bytes
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes the next delivery of a lane if an attempt may begin now. A lane that only lacks a
    /// socket lines up for one.
    pub(super) fn begin(&mut self, endpoint: Key) -> Option<Start> {
        let lane = self.lanes.get_mut(&endpoint)?;
        let now = Instant::now();
        if self.draining.is_some() || !lane.is_ready(now) {
            return None;
        }
        if self.in_flight >= self.limits.in_flight {
            self.blocked = true;
            return None;
        }
        let standing = lane.health.standing();
        if !self.sockets.admits(standing) {
            if !lane.queued {
                lane.queued = true;
                self.queues[queue_of(standing)].push_back(endpoint);
            }
            return None;
        }
        let prepared = lane.prepared.clone()?;
        let due = lane.next(now)?;
        let with_it = lane.with_it(&due, self.limits.in_flight - self.in_flight - 1);
        self.sockets.take(standing);
        self.in_flight += 1 + with_it.len();
        if lane.open == 0 {
            lane.progress = now;
        }
        lane.open += 1;
        let kept = lane.take_idle();
        if kept.is_none() {
            self.make_room();
        }
        Some(Start { due, with_it, prepared, kept, begun: now })
    }

    /// Puts back deliveries that were taken for an attempt and are not in it: they stay in the store.
    pub(super) fn give_back(&mut self, endpoint: Key, left: &[Due]) {
        self.in_flight -= left.len();
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.give_back(left);
        }
    }

    /// Closes connections that are held open for later, as long as there are too many together with
    /// those in use.
    fn make_room(&mut self) {
        while self.sockets.used() as usize + self.held.idle > self.limits.sockets as usize {
            let Some(endpoint) = self.holders.pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            if lane.close_oldest() {
                lane.accounted.idle -= 1;
                self.held.idle -= 1;
            }
            lane.listed = lane.idle() > 0;
            if lane.listed {
                self.holders.push_back(endpoint);
            }
        }
    }

    /// Closes connections that were not used for a while.
    pub(super) fn close_idle(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            lane.close_idle(now);
            let idle = lane.idle();
            self.held.idle = self.held.idle + idle - lane.accounted.idle;
            lane.accounted.idle = idle;
        }
        let lanes = &mut self.lanes;
        self.holders.retain(|endpoint| {
            let Some(lane) = lanes.get_mut(endpoint) else { return false };
            lane.listed = lane.idle() > 0;
            lane.listed
        });
    }

    /// The next lane that waits for a socket and can have one.
    pub(super) fn next_queued(&mut self, queue: usize) -> Option<Key> {
        if !self.sockets.admits(SERVED[queue]) {
            return None;
        }
        let endpoint = self.queues[queue].pop_front()?;
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.queued = false;
        }
        Some(endpoint)
    }

    pub(super) fn queued(&self, queue: usize) -> usize {
        self.queues[queue].len()
    }

    /// Takes back an attempt's socket and notes what it told about the lane.
    pub(super) fn ended(
        &mut self,
        endpoint: Key,
        sender: Option<Sender>,
        sign: Sign,
        now: Timestamp,
    ) -> FailingSince {
        let Some(lane) = self.lanes.get_mut(&endpoint) else {
            return FailingSince { before: None, after: None };
        };
        self.sockets.give_back(lane.health.standing());
        lane.open -= 1;
        lane.progress = Instant::now();
        if let Some(sender) = sender {
            lane.keep(sender, lane.progress);
            if !lane.listed {
                lane.listed = true;
                self.holders.push_back(endpoint);
            }
        }
        let before = lane.failing_since;
        let after = match sign {
            Sign::Success => None,
            Sign::Nothing => before,
            _ => before.or(Some(now)),
        };
        lane.failing_since = after;
        self.sign(endpoint, sign);
        FailingSince { before, after }
    }

    /// Notes what an attempt told about when the lane may begin the next.
    pub(super) fn heard(&mut self, endpoint: Key, heard: Heard, breakers: &Breakers) -> Follows {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return Follows::default() };
        if !std::mem::replace(&mut lane.active, true) {
            breakers.joined();
        }
        let now = Instant::now();
        lane.heard(heard, now, || breakers.may_open(now))
    }

    /// Notes how long an attempt of a lane took.
    pub(super) fn took(&mut self, endpoint: Key, time: Duration) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.took(time);
        }
    }

    /// Notes a sign of a lane's health; its open requests are counted under the new standing.
    pub(super) fn sign(&mut self, endpoint: Key, sign: Sign) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        let before = lane.health.standing();
        lane.health = lane.health.after(sign);
        let after = lane.health.standing();
        if before != after {
            // It lines up anew where lanes of its standing are served.
            lane.queued = false;
            for _ in 0..lane.open {
                self.sockets.give_back(before);
                self.sockets.take(after);
            }
        }
    }

    /// Whether the endpoint is still as it was when an attempt began, as far as the lane knows.
    pub(super) fn is_current(&self, endpoint: Key, prepared: &Rc<Prepared>) -> bool {
        let current = self.lanes.get(&endpoint).and_then(|lane| lane.prepared.as_ref());
        current.is_some_and(|current| Rc::ptr_eq(current, prepared))
    }

    /// The endpoint was just found gone or failing for days: no attempt more. The store has the
    /// last word, so the lane reads the endpoint again once that is recorded.
    pub(super) fn stop(&mut self, endpoint: Key, to: endpoint::State) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        if let Some(prepared) = &lane.prepared {
            lane.prepared = Some(Rc::new(prepared.stopped(to)));
            lane.clear();
        }
    }

    /// A result is committed: the delivery is no longer in memory, nor is the scheduled one that a
    /// manual success settled.
    pub(super) fn recorded(&mut self, endpoint: Key, delivery: Key, settled: Option<Key>) {
        self.in_flight -= 1;
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.recorded(delivery);
        if let Some(settled) = settled {
            lane.forget(settled);
        }
    }

    /// Whether some lane was held up by what was in flight since this was asked last.
    pub(super) fn was_blocked(&mut self) -> bool {
        std::mem::take(&mut self.blocked)
    }

    /// Counts anew what a lane holds. To be called whenever that may have changed.
    pub(super) fn account(&mut self, services: &Services, endpoint: Key) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        let (before, now) = (lane.accounted, lane.held());
        services.pressure.adjust(before.pressing, now.pressing);
        self.held.deliveries = self.held.deliveries + now.deliveries - before.deliveries;
        self.held.bytes = self.held.bytes + now.bytes - before.bytes;
        self.held.idle = self.held.idle + now.idle - before.idle;
        lane.accounted = now;
    }
}

fn queue_of(standing: Standing) -> usize {
    SERVED.iter().position(|served| *served == standing).unwrap_or(0)
}
