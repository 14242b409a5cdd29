//! The worker of one core: its lanes, its sockets, its results.
//!
//! Everything here runs on one thread; state is borrowed for moments and never across an `await`.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ringback_domain::{id::Key, lane::Health, time::Timestamp};
use ringback_store::{Canceled, Due, DueQuery, Record};
use tokio::{sync::Notify, sync::oneshot, task::spawn_local, time::Instant};

use super::{
    Post,
    attempt::{self, Made},
    batch,
    conclude::{Ended, Request, conclude, learn},
    fixed::Sent,
    lane::{Amount, Lane, Offered},
    prepare::Prepared,
    recipe::{Kept, Unmade},
    record, recover,
    render::render,
    services::{Limits, Services},
    state::{SERVED, Start, State},
    upkeep::{self, Gauged},
};
use crate::{
    core::{Mailbox, Random},
    log::replies,
};

/// How long a failed read of the store waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Works on this core until the process ends. Core 0 also finds what an earlier process left.
pub async fn work(services: Arc<Services>, mailbox: Arc<Mailbox<Post>>, recovers: bool) {
    let worker = Rc::new(Worker::new(services));
    spawn_local(record::run(Rc::clone(&worker)));
    spawn_local(upkeep::run_timers(Rc::clone(&worker)));
    spawn_local(upkeep::run_looks(Rc::clone(&worker)));
    if recovers {
        spawn_local(recover::recover(Arc::clone(&worker.services)));
    }
    loop {
        for post in mailbox.take().await {
            worker.handle(post);
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
    pub(super) gauged: Cell<Gauged>,
    random: Random,
}

impl Worker {
    fn new(services: Arc<Services>) -> Worker {
        let state = State::new(services.limits);
        let random = Random::new(Arc::clone(&services.world.entropy));
        Worker {
            services,
            state: RefCell::new(state),
            results: RefCell::default(),
            result_arrived: Notify::new(),
            reminder_set: Notify::new(),
            gauged: Cell::default(),
            random,
        }
    }

    fn handle(self: &Rc<Self>, post: Post) {
        match post {
            Post::Deliver(due) => self.deliver(due),
            Post::Look(endpoint) => {
                self.with_lane(endpoint, |lane| lane.look());
                self.pump(endpoint);
            }
            Post::Canceled(canceled) => self.canceled(&canceled),
            Post::Changed(endpoint, told) => self.changed(endpoint, told),
            Post::Waits(endpoint, said) => {
                let state = self.state.borrow();
                let lane = state.lanes.get(&endpoint);
                // Whoever no longer wants to know is not told.
                let _ = said.send(lane.and_then(|lane| lane.holds_up(Instant::now())));
            }
            Post::Drain(drained) => {
                self.state.borrow_mut().draining.get_or_insert_default().push(drained);
                self.settle(HashSet::new());
            }
        }
    }

    /// Deliveries that were just committed.
    fn deliver(self: &Rc<Self>, due: Vec<Due>) {
        let mut touched: Vec<Key> = Vec::with_capacity(4);
        let now = Instant::now();
        for due in due {
            let (endpoint, message) = (due.endpoint, due.content.id);
            let room = self.state.borrow().has_room();
            let limit = self.services.limits.head;
            let offered = self.with_lane(endpoint, |lane| lane.offer(due, room, limit, now));
            if offered == Offered::Kept {
                self.services.replies.tell(message, endpoint, replies::Outcome::Failed);
            }
            if !touched.contains(&endpoint) {
                touched.push(endpoint);
            }
        }
        touched.into_iter().for_each(|endpoint| self.pump(endpoint));
    }

    /// Deliveries that were taken back. An attempt that is under way ends as it may.
    fn canceled(self: &Rc<Self>, canceled: &[Canceled]) {
        let mut touched = HashSet::new();
        for Canceled { endpoint, delivery } in canceled {
            self.with_lane(*endpoint, |lane| {
                lane.forget(*delivery);
                // What came after it in its order may be due by now.
                lane.look();
            });
            touched.insert(*endpoint);
        }
        touched.into_iter().for_each(|endpoint| self.pump(endpoint));
    }

    /// Something about the endpoint was committed: the lane reads it before its next attempt.
    pub(super) fn changed(self: &Rc<Self>, endpoint: Key, told: oneshot::Sender<()>) {
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
        state.account(&self.services, endpoint);
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
                        let prepared = Prepared::new(lane, &worker.services);
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
        lane.changed();
        // What became due while the endpoint was stopped is in the store.
        if stopped {
            lane.clear();
        } else if !lane.told.is_empty() {
            lane.look();
        }
        tell(&mut lane.told);
        state.account(&self.services, endpoint);
        true
    }

    /// Begins as many attempts of a lane as may be begun now, and refills its head if it runs low.
    pub(super) fn pump(self: &Rc<Self>, endpoint: Key) {
        loop {
            let start = self.state.borrow_mut().begin(endpoint);
            let Some(start) = start else { break };
            spawn_local(Rc::clone(self).attempt(start));
        }
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        state.account(&self.services, endpoint);
        let waits = state.lanes.get(&endpoint).and_then(|lane| lane.waits(now));
        drop(state);
        if let Some(wait) = waits {
            // Times are cut to milliseconds: one more, so that it is not woken too early.
            let at = self.services.world.clock.now() + wait.left + Duration::from_millis(1);
            self.set(endpoint, at, |lane| &mut lane.wakes_at);
        }
        self.refill(endpoint, now);
    }

    /// Begins attempts of lanes that waited for a socket; the healthy ones first.
    pub(super) fn pump_queued(self: &Rc<Self>) {
        for queue in 0..SERVED.len() {
            // Each lane that waits now gets one look; who cannot begin lines up again.
            let waiting = self.state.borrow().queued(queue);
            for _ in 0..waiting {
                let next = self.state.borrow_mut().next_queued(queue);
                let Some(endpoint) = next else { break };
                self.pump(endpoint);
            }
        }
    }

    async fn attempt(self: Rc<Self>, start: Start) {
        if start.prepared.batch.is_some() {
            // Boxed: it is rare, and every attempt would carry its state around.
            return Box::pin(batch::attempt(self, start)).await;
        }
        let Start { due, prepared, kept, begun, .. } = start;
        let now = self.services.world.clock.now();
        let id = self.services.attempt_id(now, self.random.next());
        let (mut made, sent) = match &prepared.route {
            Err(reason) => (Made::unprepared(reason), Sent::Nothing),
            Ok(route) => match render(&self.services, &prepared, &due).await {
                Err(Unmade::Kept(Kept { back, why })) => {
                    (Made { response: why.into(), ..Made::kept_back(back, kept) }, Sent::Nothing)
                }
                Err(Unmade::Later(step, why)) => (Made::later(step, why, kept), Sent::Nothing),
                Ok(rendered) => {
                    // Programs may have taken their time, and the signature says when it was made.
                    let now = self.services.world.clock.now();
                    let made = attempt::make_rendered(
                        &self.services,
                        route,
                        &rendered,
                        due.sequence,
                        kept,
                        now,
                    )
                    .await;
                    (made, rendered.sent())
                }
            },
        };
        let random = self.random.next();
        let prepared = &prepared;
        let mut state = self.state.borrow_mut();
        let request = Request { endpoint: due.endpoint, prepared, begun, random };
        let learned = learn(&self.services, &mut state, &request, &mut made);
        let ended = Ended { due: &due, prepared, id, made, sent, batch: None, random };
        let record = conclude(&self.services, &mut state, ended, learned);
        drop(state);
        self.results.borrow_mut().push(record);
        self.ended(due.endpoint);
    }

    /// After a request whose results wait for the next record.
    pub(super) fn ended(self: &Rc<Self>, endpoint: Key) {
        self.result_arrived.notify_one();
        self.pump(endpoint);
        self.pump_queued();
    }

    /// A random number.
    pub(super) fn random(&self) -> u64 {
        self.random.next()
    }

    /// After a batch of results: the lanes that it was about may read on, whoever waited because
    /// too much was in flight may begin, and a drain may be over.
    pub(super) fn settle(self: &Rc<Self>, touched: HashSet<Key>) {
        let mut state = self.state.borrow_mut();
        if state.in_flight() == 0
            && let Some(drained) = &mut state.draining
        {
            tell(drained);
        }
        let blocked = state.was_blocked();
        drop(state);
        touched.into_iter().for_each(|endpoint| self.pump(endpoint));
        if blocked {
            self.pump_ready();
        }
    }

    /// Begins and reads whatever can be begun or read, in any lane.
    pub(super) fn pump_ready(self: &Rc<Self>) {
        let state = self.state.borrow();
        let now = Instant::now();
        let ready = |(_, lane): &(&Key, &Lane)| lane.is_ready(now) || lane.has_more(now);
        let ready: Vec<_> = state.lanes.iter().filter(ready).map(|(key, _)| *key).collect();
        drop(state);
        ready.into_iter().for_each(|endpoint| self.pump(endpoint));
    }

    /// Has the lane look into the store at this time.
    pub(super) fn remind(&self, endpoint: Key, at: Timestamp) {
        self.set(endpoint, at, |lane| &mut lane.next_due);
    }

    /// Wakes the lane at this time, which it notes in `place`.
    fn set(&self, endpoint: Key, at: Timestamp, place: fn(&mut Lane) -> &mut Option<Timestamp>) {
        let mut state = self.state.borrow_mut();
        let State { lanes, reminders, .. } = &mut *state;
        let Some(place) = lanes.get_mut(&endpoint).map(place) else { return };
        // One reminder of a kind is enough for a lane: the earliest.
        if place.is_none_or(|next| at < next) {
            *place = Some(at);
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
            if state.lanes.get_mut(&endpoint).is_some_and(|lane| lane.rings(now)) {
                due.push(endpoint);
            }
        }
        let next = state.reminders.next();
        drop(state);
        due.into_iter().for_each(|endpoint| self.pump(endpoint));
        next
    }

    /// Reads on if the lane's head runs low and the store has more.
    fn refill(self: &Rc<Self>, endpoint: Key, now: Instant) {
        let mut state = self.state.borrow_mut();
        if state.draining.is_some() || !state.has_room() {
            return;
        }
        let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
        let Limits { head, refill_bytes, .. } = self.services.limits;
        let wanted = Amount { deliveries: head, bytes: refill_bytes };
        let Some(amount) = lane.begin_refill(wanted, now) else { return };
        drop(state);
        let worker = Rc::clone(self);
        spawn_local(async move {
            let until = worker.services.world.clock.now();
            let Amount { deliveries: limit, bytes } = amount;
            let query = DueQuery { endpoint, until, limit, bytes };
            let page = worker.services.store.due(query).await;
            if let Err(error) = &page {
                tracing::warn!(%error, "due deliveries could not be read yet");
                tokio::time::sleep(RETRY).await;
            }
            let page = page.ok();
            let next_due = page.as_ref().and_then(|page| page.next_due);
            let mut state = worker.state.borrow_mut();
            let Some(lane) = state.lanes.get_mut(&endpoint) else { return };
            lane.end_refill(page, Instant::now());
            state.account(&worker.services, endpoint);
            drop(state);
            if let Some(at) = next_due {
                worker.remind(endpoint, at);
            }
            worker.pump(endpoint);
        });
    }
}

/// Whoever no longer waits is not told.
fn tell(waiting: &mut Vec<oneshot::Sender<()>>) {
    for told in waiting.drain(..) {
        let _ = told.send(());
    }
}
