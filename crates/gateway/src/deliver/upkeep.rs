//! What a core does by the clock: retries that become due, slow lanes, idle connections.

use std::{rc::Rc, time::Duration};

use ringback_domain::{lane::SLOW, lane::Sign, lane::Standing, time::Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{state::State, worker::Worker};

/// How often lanes are looked at.
const TICK: Duration = Duration::from_millis(250);
/// An endpoint with an attempt in this time is active.
const ACTIVE: Duration = Duration::from_secs(60);
/// The longest sleep: after it the wall clock is asked again, as it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Wakes lanes when what waits in the store becomes due.
pub(super) async fn run_timers(worker: Rc<Worker>) {
    loop {
        let now = worker.services.world.clock.now();
        let next = worker.ring(now);
        let wait = next.map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP));
        tokio::select! {
            // A millisecond more, so that a rounded-down wait does not come back too early.
            () = sleep(wait + Duration::from_millis(1)) => {}
            () = worker.reminder_set.notified() => {}
        }
    }
}

/// Looks at every lane from time to time.
pub(super) async fn run_looks(worker: Rc<Worker>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look(&worker, Instant::now());
    }
}

fn look(worker: &Rc<Worker>, now: Instant) {
    let mut state = worker.state.borrow_mut();
    let slow: Vec<_> = state
        .lanes
        .iter()
        .filter(|(_, lane)| lane.open > 0 && lane.progress + SLOW < now)
        .filter(|(_, lane)| matches!(lane.health.standing(), Standing::Fresh | Standing::Healthy))
        .map(|(key, _)| *key)
        .collect();
    for key in slow {
        state.sign(key, Sign::Slow);
        state.account(&worker.services, key);
    }
    state.close_idle(now);
    forget(worker, &mut state, now);
    count(worker, &state);
    drop(state);
    // A sweep finds what a hint should have started: the store has the work, hints only speed it.
    worker.pump_queued();
    worker.pump_ready();
}

/// Forgets lanes that need not be remembered.
fn forget(worker: &Worker, state: &mut State, now: Instant) {
    let mut left = 0;
    state.lanes.retain(|_, lane| {
        let kept = !lane.is_forgettable(now);
        if lane.active && (!kept || lane.progress + ACTIVE <= now) {
            lane.active = false;
            left += 1;
        }
        kept
    });
    worker.services.breakers.left(left, now);
}

/// What a core last added to the gauges, which are sums over the cores.
#[derive(Clone, Copy, Default)]
pub(super) struct Gauged {
    in_flight: i64,
    connections: i64,
    suspect: i64,
    paused: i64,
    open: i64,
}

/// Adds to the gauges what changed on this core.
fn count(worker: &Worker, state: &State) {
    let mut now = Gauged { in_flight: state.in_flight() as i64, ..Gauged::default() };
    for lane in state.lanes.values() {
        now.connections += lane.open as i64 + lane.idle() as i64;
        now.suspect += i64::from(lane.health.standing() == Standing::Suspect);
        now.paused += i64::from(lane.is_paused());
        now.open += i64::from(lane.is_open());
    }
    let before = worker.gauged.replace(now);
    let metrics = &worker.services.metrics;
    metrics.in_flight.inc_by(now.in_flight - before.in_flight);
    metrics.connections_open.inc_by(now.connections - before.connections);
    metrics.lanes_suspect.inc_by(now.suspect - before.suspect);
    metrics.lanes_paused.inc_by(now.paused - before.paused);
    metrics.breakers_open.inc_by(now.open - before.open);
}

/// Reminders: which lane to wake when.
#[derive(Default)]
pub(super) struct Reminders(std::collections::BTreeSet<(Timestamp, ringback_domain::id::Key)>);

impl Reminders {
    /// Sets a reminder; whether it is now the first.
    pub(super) fn set(&mut self, at: Timestamp, lane: ringback_domain::id::Key) -> bool {
        self.0.insert((at, lane));
        self.0.first() == Some(&(at, lane))
    }

    /// Takes one that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<ringback_domain::id::Key> {
        let first = *self.0.first()?;
        (first.0 <= now).then(|| {
            self.0.remove(&first);
            first.1
        })
    }

    /// When the next one is.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }
}
