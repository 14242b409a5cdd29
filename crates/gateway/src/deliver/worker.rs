//! The worker of one core: its lanes, its sockets, its results.
//!
//! Everything here runs on one thread; state is borrowed for moments and never across an `await`.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ringback_domain::{
    attempt::{Outcome, Trigger},
    id::{AttemptId, Key},
    lane::{Health, Sign, Sockets, Standing},
    retry::{Before, Decision, Schedule},
    time::Timestamp,
};
use ringback_store::{Due, DueQuery, HealthChange, Record};
use tokio::{sync::Notify, sync::oneshot, task::spawn_local, time::Instant};

use super::{
    Post,
    attempt::{self, Made},
    lane::Lane,
    notice::Told,
    prepare::Prepared,
    record,
    services::Services,
    upkeep::{self, Reminders},
};
use crate::{core::Mailbox, outbound::Sender};

/// How long a failed read of the store waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How many endpoints are asked for at a time on start.
const RECOVERY_PAGE: usize = 1_000;

/// Works on this core until the process ends. Core 0 also finds what an earlier process left.
pub async fn work(services: Arc<Services>, mailbox: Arc<Mailbox<Post>>, recovers: bool) {
    let worker = Rc::new(Worker::new(services));
    spawn_local(record::run(Rc::clone(&worker)));
    spawn_local(upkeep::run_timers(Rc::clone(&worker)));
    spawn_local(upkeep::run_looks(Rc::clone(&worker)));
    if recovers {
        spawn_local(recover(Arc::clone(&worker.services)));
    }
    loop {
        for post in mailbox.take().await {
            worker.handle(post);
        }
    }
}

/// Tells every lane that has pending deliveries to look for them.
async fn recover(services: Arc<Services>) {
    let mut after = 0;
    loop {
        match services.store.waiting_endpoints(after, RECOVERY_PAGE).await {
            Ok(waiting) => {
                let Some(last) = waiting.last() else { return };
                after = last.endpoint;
                waiting.iter().for_each(|one| services.engine.look(one.endpoint));
            }
            Err(ringback_store::Unavailable::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "pending deliveries could not be looked for yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The worker of one core.
pub(super) struct Worker {
    pub(super) services: Arc<Services>,
    pub(super) state: RefCell<State>,
    pub(super) results: RefCell<Vec<Record>>,
    pub(super) result_arrived: Notify,
    pub(super) reminder_set: Notify,
    random: Random,
    gauged: Cell<Gauged>,
}

/// What changes while the worker works.
pub(super) struct State {
    pub(super) lanes: HashMap<Key, Lane>,
    sockets: Sockets,
    /// Lanes that wait for a socket, by standing in the order of [`SERVED`].
    queues: [VecDeque<Key>; 4],
    /// Deliveries in the heads of all lanes.
    heads: usize,
    /// Attempts begun whose result is not committed.
    in_flight: usize,
    /// Whether some lane could not begin because too much was in flight.
    full: bool,
    reminders: Reminders,
    /// Set when nothing new is begun; told when nothing is in flight.
    draining: Option<Vec<oneshot::Sender<()>>>,
}

/// An attempt about to be made.
struct Start {
    due: Due,
    prepared: Rc<Prepared>,
    kept: Option<Sender>,
}

impl Worker {
    fn new(services: Arc<Services>) -> Worker {
        let state = State {
            lanes: HashMap::new(),
            sockets: Sockets::new(services.limits.sockets),
            queues: Default::default(),
            heads: 0,
            in_flight: 0,
            full: false,
            reminders: Reminders::default(),
            draining: None,
        };
        Worker {
            services,
            state: RefCell::new(state),
            results: RefCell::default(),
            result_arrived: Notify::new(),
            reminder_set: Notify::new(),
            random: Random::default(),
            gauged: Cell::default(),
        }
    }

    fn handle(self: &Rc<Self>, post: Post) {
        match post {
            Post::Deliver(due) => self.deliver(due),
            Post::Look(endpoint) => {
                self.with_lane(endpoint, |lane| lane.look());
                self.pump(endpoint);
            }
            Post::Changed(endpoint, told) => self.changed(endpoint, told),
            Post::Drain(drained) => {
                self.state.borrow_mut().draining.get_or_insert_default().push(drained);
                self.settle(HashSet::new());
            }
        }
    }

    /// Deliveries that were just committed.
    fn deliver(self: &Rc<Self>, due: Vec<Due>) {
        let mut touched: Vec<Key> = Vec::with_capacity(4);
        for due in due {
            let endpoint = due.endpoint;
            let room = self.state.borrow().heads < self.services.limits.heads;
            let limit = self.services.limits.head;
            let taken = self.with_lane(endpoint, |lane| lane.offer(due, room, limit));
            self.state.borrow_mut().heads += usize::from(taken);
            if !touched.contains(&endpoint) {
                touched.push(endpoint);
            }
        }
        touched.into_iter().for_each(|endpoint| self.pump(endpoint));
    }

    /// Something about the endpoint was committed: the lane reads it before its next attempt.
    fn changed(self: &Rc<Self>, endpoint: Key, told: oneshot::Sender<()>) {
        let known = self.state.borrow().lanes.contains_key(&endpoint);
        self.with_lane(endpoint, |lane| {
            lane.told.push(told);
            lane.stale = true;
        });
        // A lane that is made now is reading the endpoint already; one that is being read reads it
        // once more.
        let reading = self.with_lane(endpoint, |lane| lane.prepared.take().is_none());
        if known && !reading {
            self.prepare(endpoint);
        }
    }

    /// Calls `use_lane` with the lane, which is made if it is not there.
    fn with_lane<T>(self: &Rc<Self>, endpoint: Key, use_lane: impl FnOnce(&mut Lane) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let mut made = false;
        let lane = state.lanes.entry(endpoint).or_insert_with(|| {
            made = true;
            Lane::new(Health::new(self.services.limits.per_endpoint, false), Instant::now())
        });
        let result = use_lane(lane);
        drop(state);
        if made {
            self.prepare(endpoint);
        }
        result
    }

    /// Reads what the store knows about the endpoint.
    fn prepare(self: &Rc<Self>, endpoint: Key) {
        let worker = Rc::clone(self);
        spawn_local(async move {
            loop {
                let fresh = |lane: &mut Lane| lane.stale = false;
                worker.state.borrow_mut().lanes.get_mut(&endpoint).map(fresh);
                match worker.services.store.lane(endpoint).await {
                    Ok(Some(lane)) => {
                        let Services { keyring, require_https, .. } = &*worker.services;
                        let prepared = Prepared::new(lane, keyring, *require_https);
                        if worker.prepared(endpoint, prepared) {
                            return worker.pump(endpoint);
                        }
                    }
                    // A lane for what never existed: nothing to be done for it.
                    Ok(None) => {
                        worker.state.borrow_mut().lanes.remove(&endpoint);
                        return;
                    }
                    Err(ringback_store::Unavailable::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%error, "an endpoint could not be read yet");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        });
    }

    /// Gives a lane what was read. False if the endpoint changed meanwhile.
    fn prepared(&self, endpoint: Key, prepared: Prepared) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(lane) = state.lanes.get_mut(&endpoint) else { return true };
        if lane.stale {
            return false;
        }
        if lane.open == 0 && prepared.failing_since.is_some() && lane.failing_since.is_none() {
            lane.health = Health::new(self.services.limits.per_endpoint, true);
        }
        lane.failing_since = prepared.failing_since;
        let stopped = !prepared.state.attempts();
        lane.prepared = Some(Rc::new(prepared));
        // What became due while the endpoint was stopped is in the store.
        let cleared = if stopped { lane.clear() } else { 0 };
        if !stopped && !lane.told.is_empty() {
            lane.look();
        }
        tell(&mut lane.told);
        state.heads -= cleared;
        self.account(&mut state, endpoint);
        true
    }

    /// Begins as many attempts of a lane as may be begun now, and refills its head if it runs low.
    pub(super) fn pump(self: &Rc<Self>, endpoint: Key) {
        while let Some(start) = self.begin(endpoint) {
            spawn_local(Rc::clone(self).attempt(start));
        }
        self.refill(endpoint);
    }

    /// Begins attempts of lanes that waited for a socket; the healthy ones first.
    pub(super) fn pump_queued(self: &Rc<Self>) {
        for (queue, standing) in SERVED.into_iter().enumerate() {
            // Each lane that waits now gets one look; who cannot begin lines up again.
            let waiting = self.state.borrow().queues[queue].len();
            for _ in 0..waiting {
                let mut state = self.state.borrow_mut();
                if !state.sockets.admits(standing) {
                    break;
                }
                let Some(endpoint) = state.queues[queue].pop_front() else { break };
                if let Some(lane) = state.lanes.get_mut(&endpoint) {
                    lane.queued = false;
                }
                drop(state);
                self.pump(endpoint);
            }
        }
    }

    fn begin(&self, endpoint: Key) -> Option<Start> {
        let mut state = self.state.borrow_mut();
        let State { lanes, sockets, queues, in_flight, heads, draining, full, .. } = &mut *state;
        let lane = lanes.get_mut(&endpoint)?;
        if draining.is_some() || !lane.is_ready() {
            return None;
        }
        if *in_flight >= self.services.limits.in_flight {
            *full = true;
            return None;
        }
        let standing = lane.health.standing();
        if !sockets.admits(standing) {
            if !lane.queued {
                lane.queued = true;
                queues[queue_of(standing)].push_back(endpoint);
            }
            return None;
        }
        let prepared = lane.prepared.clone()?;
        let due = lane.next()?;
        sockets.take(standing);
        *in_flight += 1;
        *heads -= 1;
        if lane.open == 0 {
            lane.progress = Instant::now();
        }
        lane.open += 1;
        let kept = lane.take_idle();
        self.account(&mut state, endpoint);
        Some(Start { due, prepared, kept })
    }

    async fn attempt(self: Rc<Self>, start: Start) {
        let Start { due, prepared, kept } = start;
        let now = self.services.world.clock.now();
        let id = self.services.attempt_id(now, self.random.next(&self.services));
        let made = match &prepared.route {
            Ok(route) => attempt::make(&self.services, route, &due.content, kept, now).await,
            Err(reason) => Made::unprepared(reason),
        };
        self.end(&due, &prepared, id, made);
    }

    /// An attempt ended: decide, queue the record, go on.
    fn end(self: &Rc<Self>, due: &Due, prepared: &Rc<Prepared>, id: AttemptId, mut made: Made) {
        let now = self.services.world.clock.now();
        let mut state = self.state.borrow_mut();
        let sender = made.sender.take();
        let failing_since = state.ended(due.endpoint, sender, made.sign, now);
        let number = match due.trigger {
            Trigger::Scheduled => due.attempts + 1,
            Trigger::Manual => 0,
        };
        let decision = self.decide(due, &made, failing_since.after, number, now);
        if let Some(disable) = decision.disable {
            state.stop(due.endpoint, prepared, disable);
        }
        self.account(&mut state, due.endpoint);
        drop(state);
        let told = Told {
            prepared,
            content: &due.content,
            id,
            number,
            made: &made,
            decision,
            failing_since: failing_since.after,
        };
        let notices = told.notices(&self.services, now);
        let changed = failing_since.before.is_some() != failing_since.after.is_some();
        let health = (changed || decision.disable.is_some()).then_some(HealthChange {
            failing_since: failing_since.after,
            disable: decision.disable,
        });
        self.measure(due, &made, decision.outcome, now);
        self.results.borrow_mut().push(Record {
            scope: due.scope,
            epoch: self.services.store.epoch(),
            delivery: due.delivery,
            message: due.content.id.key(),
            endpoint: due.endpoint,
            revision: prepared.revision,
            id,
            number,
            trigger: due.trigger,
            status_code: made.ending.status_code,
            response: made.response,
            failed: made.failed,
            reason: made.reason,
            timings: made.timings,
            outcome: decision.outcome,
            next_at: decision.next_at,
            health,
            notices,
        });
        self.result_arrived.notify_one();
        self.pump(due.endpoint);
        self.pump_queued();
    }

    fn decide(
        &self,
        due: &Due,
        made: &Made,
        failing_since: Option<Timestamp>,
        number: u32,
        now: Timestamp,
    ) -> Decision {
        if due.trigger == Trigger::Manual {
            return Schedule::decide_manual(made.ending);
        }
        let before = Before { attempts: number, failing_since };
        // Only a failure needs a random number, but asking costs next to nothing.
        self.services.schedule.decide(before, made.ending, now, self.random.next(&self.services))
    }

    fn measure(&self, due: &Due, made: &Made, outcome: Outcome, now: Timestamp) {
        let metrics = &self.services.metrics;
        metrics.attempted(outcome, made.failed, made.timings.total);
        if outcome == Outcome::Delivered && due.trigger == Trigger::Scheduled {
            metrics.delivery.observe(now.since(due.content.id.0.created_at()));
        }
    }

    /// A result is committed: the delivery is no longer in memory.
    pub(super) fn recorded(&self, endpoint: Key, delivery: Key, settled: Option<Key>) {
        let mut state = self.state.borrow_mut();
        state.in_flight -= 1;
        let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
        lane.recorded(delivery);
        let forgotten = settled.is_some_and(|settled| lane.forget(settled));
        state.heads -= usize::from(forgotten);
    }

    /// After a batch of results: the lanes that it was about may read on, whoever waited because
    /// too much was in flight may begin, and a drain may be over.
    pub(super) fn settle(self: &Rc<Self>, touched: HashSet<Key>) {
        let mut state = self.state.borrow_mut();
        if state.in_flight == 0
            && let Some(drained) = &mut state.draining
        {
            tell(drained);
        }
        let was_full = std::mem::take(&mut state.full);
        drop(state);
        touched.into_iter().for_each(|endpoint| self.pump(endpoint));
        if was_full {
            self.pump_ready();
        }
    }

    /// Begins and reads whatever can be begun or read, in any lane.
    pub(super) fn pump_ready(self: &Rc<Self>) {
        let state = self.state.borrow();
        let ready = |(_, lane): &(&Key, &Lane)| lane.is_ready() || lane.has_more();
        let ready: Vec<_> = state.lanes.iter().filter(ready).map(|(key, _)| *key).collect();
        drop(state);
        ready.into_iter().for_each(|endpoint| self.pump(endpoint));
    }

    /// Wakes the lane at this time.
    pub(super) fn remind(&self, endpoint: Key, at: Timestamp) {
        let mut state = self.state.borrow_mut();
        let State { lanes, reminders, .. } = &mut *state;
        let Some(lane) = lanes.get_mut(&endpoint) else { return };
        // One reminder a lane is enough: the earliest.
        if lane.next_due.is_none_or(|next| at < next) {
            lane.next_due = Some(at);
            if reminders.set(at, endpoint) {
                self.reminder_set.notify_one();
            }
        }
    }

    /// Wakes the lanes that are due; returns when the next one is.
    pub(super) fn ring(self: &Rc<Self>, now: Timestamp) -> Option<Timestamp> {
        let mut due = Vec::new();
        let mut state = self.state.borrow_mut();
        while let Some(endpoint) = state.reminders.take_due(now) {
            if let Some(lane) = state.lanes.get_mut(&endpoint)
                && lane.next_due.is_some_and(|next| next <= now)
            {
                lane.next_due = None;
                lane.look();
                due.push(endpoint);
            }
        }
        let next = state.reminders.next();
        drop(state);
        due.into_iter().for_each(|endpoint| self.pump(endpoint));
        next
    }

    /// Reads on if the lane's head runs low and the store has more.
    fn refill(self: &Rc<Self>, endpoint: Key) {
        let mut state = self.state.borrow_mut();
        if state.draining.is_some() || state.heads >= self.services.limits.heads {
            return;
        }
        let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
        let Some(limit) = lane.begin_refill(self.services.limits.head) else { return };
        drop(state);
        let worker = Rc::clone(self);
        spawn_local(async move {
            let until = worker.services.world.clock.now();
            let page = worker.services.store.due(DueQuery { endpoint, until, limit }).await;
            if let Err(error) = &page {
                tracing::warn!(%error, "due deliveries could not be read yet");
                tokio::time::sleep(RETRY).await;
            }
            let page = page.ok();
            let next_due = page.as_ref().and_then(|page| page.next_due);
            let mut state = worker.state.borrow_mut();
            let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
            let added = lane.end_refill(page);
            state.heads += added;
            worker.account(&mut state, endpoint);
            drop(state);
            if let Some(at) = next_due {
                worker.remind(endpoint, at);
            }
            worker.pump(endpoint);
        });
    }

    /// Counts the lane's deliveries anew for the intake.
    pub(super) fn account(&self, state: &mut State, endpoint: Key) {
        let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
        let pressing = lane.pressing();
        self.services.pressure.adjust(lane.accounted, pressing);
        lane.accounted = pressing;
    }
}

impl Worker {
    /// Shows this core's numbers: gauges are sums over the cores, so each adds its difference.
    pub(super) fn count(&self, state: &State) {
        let open = |lane: &Lane| lane.open as usize + lane.idle();
        let suspect = |lane: &&Lane| lane.health.standing() == Standing::Suspect;
        let now = Gauged {
            in_flight: state.in_flight as i64,
            connections: state.lanes.values().map(open).sum::<usize>() as i64,
            suspect: state.lanes.values().filter(suspect).count() as i64,
        };
        let before = self.gauged.replace(now);
        let metrics = &self.services.metrics;
        metrics.in_flight.inc_by(now.in_flight - before.in_flight);
        metrics.connections_open.inc_by(now.connections - before.connections);
        metrics.lanes_suspect.inc_by(now.suspect - before.suspect);
    }
}

/// What this core last added to the gauges.
#[derive(Clone, Copy, Default)]
struct Gauged {
    in_flight: i64,
    connections: i64,
    suspect: i64,
}

/// Since when an endpoint has failed, before and after an attempt.
struct FailingSince {
    before: Option<Timestamp>,
    after: Option<Timestamp>,
}

impl State {
    /// Takes back an attempt's socket and notes what it told about the lane.
    fn ended(
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
        }
        let before = lane.failing_since;
        let after = if sign == Sign::Success { None } else { before.or(Some(now)) };
        lane.failing_since = after;
        self.sign(endpoint, sign);
        FailingSince { before, after }
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

    /// The endpoint was just found gone or failing for days: no attempt more.
    fn stop(
        &mut self,
        endpoint: Key,
        prepared: &Rc<Prepared>,
        state: ringback_domain::endpoint::State,
    ) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        // A change that is being read knows better.
        if lane.prepared.as_ref().is_some_and(|current| Rc::ptr_eq(current, prepared)) {
            lane.prepared = Some(Rc::new(prepared.stopped(state)));
            let cleared = lane.clear();
            self.heads -= cleared;
        }
    }
}

/// Whoever no longer waits is not told.
fn tell(waiting: &mut Vec<oneshot::Sender<()>>) {
    for told in waiting.drain(..) {
        let _ = told.send(());
    }
}

/// In which order lanes that wait for a socket are served.
const SERVED: [Standing; 4] =
    [Standing::Healthy, Standing::Fresh, Standing::Slow, Standing::Suspect];

fn queue_of(standing: Standing) -> usize {
    SERVED.iter().position(|served| *served == standing).unwrap_or(0)
}

/// Random numbers in bulk: one call of the system's source serves hundreds of attempts.
#[derive(Default)]
struct Random(RefCell<Vec<u64>>, Cell<u64>);

impl Random {
    fn next(&self, services: &Services) -> u64 {
        let mut numbers = self.0.borrow_mut();
        if numbers.is_empty() {
            let bytes: [u8; 2048] = services.world.entropy.bytes();
            let number =
                |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            numbers.extend(bytes.chunks_exact(8).map(number));
        }
        numbers.pop().unwrap_or_else(|| {
            self.1.set(self.1.get() + 1);
            self.1.get()
        })
    }
}
