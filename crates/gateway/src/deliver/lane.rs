//! A lane: one endpoint's queue, window, connections and health, on one core.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    time::Duration,
};

use ringback_domain::{
    attempt::Trigger,
    breaker::{Breaker, Told, Turn},
    delivery::BATCH_BYTES,
    id::Key,
    lane::{Health, Sign, Standing},
    pace::{Cause, Pace, Wait, Why},
    retry::Ending,
    time::Timestamp,
};
use ringback_store::{Due, DuePage};
use tokio::{sync::oneshot, time::Instant};

use super::{
    prepare::{Batch, KEEP_ALIVE, Prepared},
    signed::is_unproven,
};
use crate::outbound::Sender;

/// A lane whose attempts take longer waits for its endpoint rather than for the engine.
const QUICK: Duration = Duration::from_millis(50);

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
    /// Whether it is counted among the endpoints that are active.
    pub(super) active: bool,
    pub(super) failing_since: Option<Timestamp>,
    /// How long its attempts take, smoothed.
    takes: Duration,
    /// When it may begin the next attempt, in times since `made`.
    pace: Pace,
    /// Whether it is left alone as it fails too often, in the same times.
    breaker: Breaker,
    made: Instant,
    /// Whether it stands in the queue for a socket.
    pub(super) queued: bool,
    /// When the next delivery that is only in the store is due.
    pub(super) next_due: Option<Timestamp>,
    /// When it is woken because it may begin again.
    pub(super) wakes_at: Option<Timestamp>,
    /// What it was last counted with.
    pub(super) accounted: Held,
    head: VecDeque<Due>,
    /// What somebody asked for just now. It goes first, and does not wait until the endpoint is
    /// known to be there.
    asked: VecDeque<Due>,
    /// Bytes of payload in both.
    bytes: usize,
    /// The deliveries in both, in flight, or not yet recorded.
    in_memory: HashMap<Key, InMemory>,
    /// Whether the store has due deliveries that are not in memory.
    spilled: bool,
    /// The greatest delivery that a refill found. Whatever is offered up to it may have been found
    /// then, and may even be settled; or its commit came after the reading, as commits need not come
    /// in the order of their keys. Only the store knows.
    found: Key,
    /// While the store is being read: what was recorded since, and so may be read again.
    refilling: Option<HashSet<Key>>,
    /// Connections held open for later, the one that was used last at the end.
    idle: Vec<(Sender, Instant)>,
    /// Whether the state has it among those that hold some.
    pub(super) listed: bool,
}

/// A delivery in memory.
#[derive(Clone, Copy)]
struct InMemory {
    /// Bytes of its payload.
    size: usize,
    /// When it came.
    since: Instant,
}

/// What became of a delivery that was offered to a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is in memory.
    Taken,
    /// It is in the store, and read when its turn has come.
    Left,
    /// It is in the store until the endpoint answers again, or wants something.
    Kept,
}

/// What an attempt told about when the next may begin.
pub(super) struct Heard {
    pub(super) sign: Sign,
    pub(super) ending: Ending,
    /// When it began.
    pub(super) begun: Instant,
    /// For the jitter.
    pub(super) random: u64,
}

/// What follows from it.
#[derive(Default)]
pub(super) struct Follows {
    /// What the head has no use for until the next: it stays in the store.
    pub(super) left: Vec<Due>,
    /// What became of the circuit.
    pub(super) turn: Option<Turn>,
}

/// How much to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    pub(super) deliveries: usize,
    /// Of payload.
    pub(super) bytes: usize,
}

/// What a head holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) deliveries: usize,
    /// Of payload; a payload that several lanes share counts in each.
    pub(super) bytes: usize,
    /// Deliveries that wait for the engine rather than for the endpoint.
    pub(super) pressing: usize,
    /// Connections held open for later.
    pub(super) idle: usize,
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
            active: false,
            failing_since: None,
            takes: Duration::ZERO,
            pace: Pace::default(),
            breaker: Breaker::default(),
            made: now,
            queued: false,
            next_due: None,
            wakes_at: None,
            accounted: Held::default(),
            bytes: 0,
            head: VecDeque::new(),
            asked: VecDeque::new(),
            in_memory: HashMap::new(),
            spilled: false,
            found: 0,
            refilling: None,
            idle: Vec::new(),
            listed: false,
        }
    }

    /// Takes a delivery that was just committed into the head, or leaves it in the store: when the
    /// head has enough, or others before it are in the store already.
    pub(super) fn offer(&mut self, due: Due, room: bool, limit: usize, now: Instant) -> Offered {
        if self.in_memory.contains_key(&due.delivery) {
            return Offered::Taken;
        }
        let late = due.delivery <= self.found;
        let takes_more = room && !late && self.attempts();
        if takes_more && due.trigger == Trigger::Manual && self.asked.len() < limit {
            self.note(&due, now);
            self.asked.push_back(due);
            return Offered::Taken;
        }
        let in_order = !self.spilled && self.refilling.is_none();
        if takes_more && in_order && self.head.len() < limit.min(self.ahead(now)) {
            self.note(&due, now);
            self.head.push_back(due);
            return Offered::Taken;
        }
        self.spilled = true;
        if self.is_shut(now) { Offered::Kept } else { Offered::Left }
    }

    /// Notes that the store has something.
    pub(super) fn look(&mut self) {
        self.spilled = true;
    }

    /// Takes note of a reminder; whether it is for something that is still wanted.
    pub(super) fn rings(&mut self, now: Timestamp) -> bool {
        // Both times may be the same, and then ring once.
        let is_due = self.next_due.take_if(|at| *at <= now).is_some();
        let wakes = self.wakes_at.take_if(|at| *at <= now).is_some();
        self.spilled |= is_due;
        is_due || wakes
    }

    fn note(&mut self, due: &Due, now: Instant) {
        let size = due.content.payload.len();
        self.in_memory.insert(due.delivery, InMemory { size, since: now });
        self.bytes += size;
    }

    /// Whether a request may be begun, as far as the lane knows.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let has_some = !self.asked.is_empty() || !self.head.is_empty();
        self.prepared.is_some()
            && self.attempts()
            && has_some
            && self.open < self.window(now)
            && self.waits(now).is_none()
    }

    fn window(&self, now: Instant) -> u32 {
        let wanted = self.prepared.as_ref().map_or(1, |prepared| prepared.concurrency);
        match self.is_probed() {
            true => 1,
            false => {
                wanted.min(self.health.window()).min(self.breaker.window(self.since_made(now)))
            }
        }
    }

    /// Whether the next attempt is a probe, of an endpoint that is away or of an open circuit.
    fn is_probed(&self) -> bool {
        self.pace.is_absent() || self.breaker.is_open()
    }

    /// What the next attempt has to wait for, if there is something to attempt. Who is told so has
    /// to wake the lane then.
    pub(super) fn waits(&self, now: Instant) -> Option<Wait> {
        let cause = match (self.asked.is_empty(), self.head.is_empty() && !self.spilled) {
            (false, _) => Cause::Request,
            (true, false) => Cause::Schedule,
            (true, true) => return None,
        };
        if self.prepared.is_none() || !self.attempts() {
            return None;
        }
        self.waits_for(cause, now)
    }

    fn waits_for(&self, cause: Cause, now: Instant) -> Option<Wait> {
        let more = match cause {
            Cause::Schedule => self.gathers(now),
            Cause::Request => None,
        };
        let now = self.since_made(now);
        let open = match cause {
            Cause::Schedule => self.breaker.left(now).map(|left| Wait { left, why: Why::Open }),
            // Whoever asks for an attempt gets it: it is a probe like any other.
            Cause::Request => None,
        };
        let pace = self.pace.waits(cause, self.rate(), now);
        open.into_iter().chain(pace).chain(more).max_by_key(|wait| wait.left)
    }

    /// How much longer the oldest delivery waits for others to go with it: not at all if there are
    /// enough, or there will be no more now.
    fn gathers(&self, now: Instant) -> Option<Wait> {
        let batch = self.batch()?;
        let first = self.in_memory.get(&self.head.front()?.delivery)?;
        let enough = batch.messages.min(self.ahead(now));
        if self.head.len() >= enough || self.bytes >= BATCH_BYTES {
            return None;
        }
        let left = (first.since + batch.wait).checked_duration_since(now)?;
        (!left.is_zero()).then_some(Wait { left, why: Why::More })
    }

    fn batch(&self) -> Option<Batch> {
        self.prepared.as_ref().and_then(|prepared| prepared.batch)
    }

    /// What its due deliveries wait for, for those who want to know.
    pub(super) fn holds_up(&self, now: Instant) -> Option<Wait> {
        // While it is probed nothing else begins.
        let probed = match (self.breaker.is_open(), self.pace.is_absent()) {
            (true, _) => Some(Why::Open),
            (false, true) => Some(Why::Absent),
            (false, false) => None,
        };
        let wait = self.waits_for(Cause::Schedule, now);
        wait.or(probed.map(|why| Wait { left: Duration::ZERO, why }))
    }

    /// Whether nobody is there: it pauses, or is probed.
    pub(super) fn is_paused(&self) -> bool {
        self.pace.is_absent()
    }

    /// Whether its circuit is open.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether what is due does not go out because the endpoint is not there, fails, or wants
    /// nothing now.
    fn is_shut(&self, now: Instant) -> bool {
        self.is_probed() || self.ahead(now) == 0
    }

    /// How many deliveries the head has a use for.
    fn ahead(&self, now: Instant) -> usize {
        let now = self.since_made(now);
        if self.breaker.left(now).is_some() || (self.is_probed() && self.open > 0) {
            return 0;
        }
        let most = if self.is_probed() { 1 } else { usize::MAX };
        let requests = self.pace.ahead(self.rate(), now).min(most);
        match self.batch() {
            // A probe is about whether somebody is there: one is enough.
            Some(batch) if !self.is_probed() => requests.saturating_mul(batch.messages),
            _ => requests,
        }
    }

    fn rate(&self) -> Option<f64> {
        self.prepared.as_ref().and_then(|prepared| prepared.rate())
    }

    fn since_made(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.made)
    }

    /// Whether the endpoint's state allows attempts; presumed while it is being read.
    pub(super) fn attempts(&self) -> bool {
        self.prepared.as_ref().is_none_or(|prepared| prepared.state.attempts())
    }

    /// Takes the delivery whose attempt begins now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Due> {
        let due = self.asked.pop_front().or_else(|| self.head.pop_front())?;
        self.bytes -= due.content.payload.len();
        self.pace = self.pace.begun(self.rate(), self.since_made(now));
        Some(due)
    }

    /// Takes what goes in the same request as the delivery that was just taken: no more than this
    /// many. Who asked for an attempt gets one of its own; and what nothing proved does not go
    /// together with what something did, as a request is signed or not.
    pub(super) fn with_it(&mut self, first: &Due, most: usize) -> Vec<Due> {
        let Some(batch) = self.batch() else { return Vec::new() };
        if first.trigger == Trigger::Manual {
            return Vec::new();
        }
        let most = most.min(batch.messages - 1);
        let unproven = is_unproven(&first.content);
        let mut room = BATCH_BYTES.saturating_sub(first.content.payload.len());
        let mut taken = Vec::new();
        while let Some(next) = self.head.front()
            && taken.len() < most
            && next.trigger == Trigger::Scheduled
            && is_unproven(&next.content) == unproven
            && let Some(left) = room.checked_sub(next.content.payload.len())
            && let Some(due) = self.head.pop_front()
        {
            room = left;
            self.bytes -= due.content.payload.len();
            taken.push(due);
        }
        taken
    }

    /// Notes what an attempt told about when the next may begin; `may_open` says whether a circuit may
    /// be opened. What the head has no use for until then is given back for those who wait for it.
    pub(super) fn heard(
        &mut self,
        heard: Heard,
        now: Instant,
        may_open: impl FnOnce() -> bool,
    ) -> Follows {
        let Heard { sign, ending, begun, random } = heard;
        let begun = self.since_made(begun);
        let was_absent = self.pace.is_absent();
        self.pace = self.pace.after(sign, ending, self.since_made(now), random);
        let absent = was_absent && self.pace.is_absent();
        let waits = self.prepared.as_ref().and_then(|prepared| prepared.breaker);
        let turn = waits.and_then(|waits| {
            let told = Told { sign, ending, begun, absent, random };
            let (breaker, turn) = self.breaker.after(told, waits, self.since_made(now), may_open);
            self.breaker = breaker;
            turn
        });
        let kept = self.ahead(now).min(self.head.len());
        let left: Vec<_> = self.head.drain(kept..).collect();
        self.leave(&left);
        Follows { left, turn }
    }

    /// Notes that the endpoint was changed: how it was before says nothing any more.
    pub(super) fn changed(&mut self) {
        self.pace = self.pace.changed();
        self.breaker = Breaker::default();
        // They lead to where the endpoint was.
        self.close_all();
    }

    /// Empties the head: the endpoint stopped. The deliveries stay in the store.
    pub(super) fn clear(&mut self) {
        let left: Vec<_> = self.asked.drain(..).chain(self.head.drain(..)).collect();
        self.leave(&left);
        self.close_all();
    }

    fn leave(&mut self, left: &[Due]) {
        for due in left {
            self.bytes -= due.content.payload.len();
            self.in_memory.remove(&due.delivery);
            self.spilled = true;
        }
    }

    /// Leaves deliveries in the store that were taken for an attempt and are not in it.
    pub(super) fn give_back(&mut self, left: &[Due]) {
        for due in left {
            self.in_memory.remove(&due.delivery);
            self.spilled = true;
        }
    }

    /// Forgets a delivery that was settled otherwise.
    pub(super) fn forget(&mut self, delivery: Key) {
        for queue in [&mut self.asked, &mut self.head] {
            if let Some(at) = queue.iter().position(|due| due.delivery == delivery)
                && let Some(due) = queue.remove(at)
            {
                self.bytes -= due.content.payload.len();
                self.in_memory.remove(&delivery);
            }
        }
        if let Some(recorded) = &mut self.refilling {
            recorded.insert(delivery);
        }
    }

    /// Notes that a delivery's result is in the store.
    pub(super) fn recorded(&mut self, delivery: Key) {
        self.in_memory.remove(&delivery);
        if let Some(recorded) = &mut self.refilling {
            recorded.insert(delivery);
        }
    }

    /// If the head runs low and the store has more: begins a refill and says how much to read. What
    /// is in memory already is on top, as the store has it too and may give it first.
    pub(super) fn begin_refill(&mut self, wanted: Amount, now: Instant) -> Option<Amount> {
        let deliveries = wanted.deliveries.min(self.ahead(now));
        // Also where a whole batch is more than that.
        let low = self.batch().map_or(0, |batch| batch.messages - 1).max(deliveries / 4);
        if !self.has_more(now) || self.head.len() > low {
            return None;
        }
        self.refilling = Some(HashSet::new());
        self.spilled = false;
        Some(Amount {
            deliveries: deliveries + self.in_memory.len(),
            bytes: wanted.bytes + self.in_memory.values().map(|it| it.size).sum::<usize>(),
        })
    }

    /// Adds what a refill read; nothing if it failed, or the endpoint stopped or went away
    /// meanwhile.
    pub(super) fn end_refill(&mut self, page: Option<DuePage>, now: Instant) {
        let recorded = self.refilling.take().unwrap_or_default();
        let Some(page) = page.filter(|_| self.attempts() && self.ahead(now) > 0) else {
            self.spilled = true;
            return;
        };
        for due in page.due {
            self.found = self.found.max(due.delivery);
            if !self.in_memory.contains_key(&due.delivery) && !recorded.contains(&due.delivery) {
                self.note(&due, now);
                self.head.push_back(due);
            }
        }
        self.spilled |= page.more;
    }

    /// Whether the store has due deliveries that could be read now.
    pub(super) fn has_more(&self, now: Instant) -> bool {
        self.spilled
            && self.refilling.is_none()
            && self.prepared.is_some()
            && self.attempts()
            && self.ahead(now) > 0
    }

    /// Notes how long an attempt took.
    pub(super) fn took(&mut self, time: Duration) {
        self.takes = (self.takes * 7 + time) / 8;
    }

    /// What the head holds now.
    pub(super) fn held(&self) -> Held {
        let deliveries = self.asked.len() + self.head.len();
        let healthy = self.health.standing() == Standing::Healthy;
        let quick = self.takes < QUICK && self.rate().is_none() && self.batch().is_none();
        let waits_for_the_engine = healthy && quick && !self.spilled && self.attempts();
        let pressing = if waits_for_the_engine { deliveries } else { 0 };
        Held { deliveries, bytes: self.bytes, pressing, idle: self.idle.len() }
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

    /// Closes the connection that was not used for longest; whether there was one.
    pub(super) fn close_oldest(&mut self) -> bool {
        !self.idle.is_empty() && {
            self.idle.remove(0);
            true
        }
    }

    /// Closes every connection that is held open for later.
    pub(super) fn close_all(&mut self) {
        self.idle.clear();
    }

    /// How many connections it holds open for later.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        self.open == 0
            && self.pace.is_forgettable(self.rate(), self.since_made(now))
            && self.breaker.is_forgettable(self.since_made(now))
            && self.in_memory.is_empty()
            && self.refilling.is_none()
            && self.next_due.is_none()
            && self.told.is_empty()
            && self.prepared.is_some()
            && self.idle.is_empty()
            && (!self.spilled || !self.attempts())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use ringback_domain::{
        attempt::Trigger,
        breaker::{self, Waits},
        id::{Id, MessageId},
        scope::Scope,
    };
    use ringback_store::Content;

    use super::*;

    const LIMIT: usize = 4;

    fn due(delivery: Key) -> Due {
        let scope = Scope { environment: 1, application: 2 };
        let id = MessageId(Id { key: delivery - 1, shard: 0, nonce: 0 });
        let payload = Bytes::from_static(b"{}");
        Due {
            scope,
            delivery,
            endpoint: 3,
            attempts: 0,
            trigger: Trigger::Scheduled,
            due_at: Timestamp(delivery),
            sequence: None,
            fixed: None,
            content: Arc::new(Content {
                id,
                scope,
                event_type: "a".into(),
                event_id: None,
                content_type: None,
                payload,
                headers: None,
                version: None,
            }),
        }
    }

    fn lane() -> Lane {
        Lane::new(Health::new(32, false), Instant::now())
    }

    fn offer(lane: &mut Lane, delivery: Key) {
        lane.offer(due(delivery), true, LIMIT, Instant::now());
    }

    /// A lane whose endpoint is known.
    fn known(rate: Option<f64>, now: Instant) -> Lane {
        let prepared = Some(Rc::new(Prepared::with_rate(rate)));
        Lane { prepared, ..Lane::new(Health::new(32, false), now) }
    }

    /// A lane hears of an attempt with this status, 0 for none, that began when it ended.
    fn hear(lane: &mut Lane, status_code: u16, now: Instant) -> Follows {
        lane.heard(heard(status_code, now), now, || true)
    }

    fn heard(status_code: u16, begun: Instant) -> Heard {
        let sign = match status_code {
            0 => Sign::Silence,
            200..=299 => Sign::Success,
            _ => Sign::Failure,
        };
        let retry_after = (status_code == 429).then_some(Duration::from_secs(1));
        let ending = Ending { retry_after, ..Ending::of(status_code) };
        Heard { sign, ending, begun, random: 0 }
    }

    /// A lane whose endpoint wants three messages at once, or fewer after a second.
    fn batching(rate: Option<f64>, now: Instant) -> Lane {
        let prepared = Prepared::with_rate(rate).with_batch(3, Duration::from_secs(1));
        Lane { prepared: Some(Rc::new(prepared)), ..Lane::new(Health::new(32, false), now) }
    }

    /// What goes in the next request.
    fn request(lane: &mut Lane, now: Instant) -> Vec<Key> {
        let Some(first) = lane.next(now) else { return Vec::new() };
        let with_it = lane.with_it(&first, usize::MAX);
        std::iter::once(&first).chain(&with_it).map(|due| due.delivery).collect()
    }

    #[test]
    fn a_batch_is_full_or_its_oldest_has_waited() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let mut lane = batching(None, now);
        lane.offer(due(1), true, 9, now);
        lane.offer(due(2), true, 9, after(400));
        assert!(!lane.is_ready(after(400)));
        let wait = Wait { left: Duration::from_millis(600), why: Why::More };
        assert_eq!(lane.waits(after(400)), Some(wait));
        assert!(lane.is_ready(after(1_000)), "the first has waited");
        lane.offer(due(3), true, 9, after(500));
        assert!(lane.is_ready(after(500)), "there are three");
        lane.offer(due(4), true, 9, after(600));
        assert_eq!(request(&mut lane, after(600)), [1, 2, 3]);
        // It waits as long as if it had come alone.
        assert!(!lane.is_ready(after(1_599)));
        assert!(lane.is_ready(after(1_600)));
        assert_eq!(request(&mut lane, after(1_600)), [4]);
        assert_eq!(lane.held().bytes, 0);
    }

    #[test]
    fn a_batch_has_no_more_bytes_than_it_may_but_always_one_message() {
        let now = Instant::now();
        let mut lane = batching(None, now);
        let sized = |delivery, bytes: usize| {
            let mut due = due(delivery);
            let payload = Bytes::from(vec![b'a'; bytes]);
            due.content = Arc::new(Content { payload, ..(*due.content).clone() });
            due
        };
        lane.offer(sized(1, BATCH_BYTES + 1), true, 9, now);
        assert!(lane.is_ready(now), "there is enough");
        lane.offer(sized(2, BATCH_BYTES / 2), true, 9, now);
        lane.offer(sized(3, BATCH_BYTES / 2), true, 9, now);
        lane.offer(sized(4, 1), true, 9, now);
        assert_eq!(request(&mut lane, now), [1]);
        assert_eq!(request(&mut lane, now), [2, 3]);
        assert_eq!(request(&mut lane, now), [4]);
    }

    #[test]
    fn what_somebody_asked_for_goes_alone_and_at_once() {
        let now = Instant::now();
        let mut lane = batching(None, now);
        lane.offer(due(1), true, 9, now);
        lane.offer(manual(2), true, 9, now);
        assert!(lane.is_ready(now));
        assert_eq!(request(&mut lane, now), [2]);
        assert!(!lane.is_ready(now));
    }

    #[test]
    fn a_batch_counts_as_one_for_the_rate_and_a_probe_is_one_message() {
        let now = Instant::now();
        let mut lane = batching(Some(1.0), now);
        for key in 1..=7 {
            lane.offer(due(key), true, 9, now);
        }
        assert_eq!(request(&mut lane, now), [1, 2, 3]);
        assert_eq!(lane.waits(now).map(|wait| wait.why), Some(Why::Rate));
        let later = now + Duration::from_secs(2);
        assert_eq!(request(&mut lane, later), [4, 5, 6]);
        lane.open = 0;
        hear(&mut lane, 0, later);
        assert!(lane.is_paused());
        let probe = later + Duration::from_secs(60);
        lane.end_refill(page(&[7, 8, 9], false), probe);
        assert!(lane.is_ready(probe), "nobody else is waited for");
    }

    #[test]
    fn what_nothing_proved_goes_apart() {
        let now = Instant::now();
        let mut lane = batching(None, now);
        let with = |delivery, verdict: &str| {
            let mut due = due(delivery);
            let header = (ringback_domain::source::VERDICT_HEADER.to_owned(), verdict.to_owned());
            let headers = Some(Arc::from([header]));
            due.content = Arc::new(Content { headers, ..(*due.content).clone() });
            due
        };
        for (key, verdict) in [(1, "verified"), (2, "verified"), (3, "unverified"), (4, "verified")]
        {
            lane.offer(with(key, verdict), true, 9, now);
        }
        let later = now + Duration::from_secs(1);
        assert_eq!(request(&mut lane, later), [1, 2]);
        assert_eq!(request(&mut lane, later), [3]);
        assert_eq!(request(&mut lane, later), [4]);
    }

    fn manual(delivery: Key) -> Due {
        Due { trigger: Trigger::Manual, ..due(delivery) }
    }

    fn page(deliveries: &[Key], more: bool) -> Option<DuePage> {
        let due = deliveries.iter().map(|delivery| due(*delivery)).collect();
        Some(DuePage { due, more, next_due: None })
    }

    /// The deliveries that the lane would make, in order.
    fn rest(mut lane: Lane) -> Vec<Key> {
        std::iter::from_fn(|| lane.next(Instant::now()).map(|due| due.delivery)).collect()
    }

    #[test]
    fn a_full_head_leaves_the_rest_in_the_store() {
        let mut lane = lane();
        (1..=6).for_each(|delivery| offer(&mut lane, delivery));
        assert_eq!(lane.held(), Held { deliveries: 4, bytes: 8, pressing: 0, idle: 0 });
        assert!(lane.spilled);
        // What comes later waits behind what is in the store.
        lane.next(Instant::now());
        offer(&mut lane, 7);
        assert_eq!(rest(lane), [2, 3, 4]);
    }

    #[test]
    fn a_refill_brings_nothing_twice() {
        let mut lane = lane();
        [1, 2].into_iter().for_each(|delivery| offer(&mut lane, delivery));
        lane.next(Instant::now());
        lane.refilling = Some(HashSet::new());
        // Number 1 is recorded while the store is read, which may show it as it was before.
        lane.recorded(1);
        lane.end_refill(page(&[1, 2, 3], false), Instant::now());
        assert_eq!(rest(lane), [2, 3]);
    }

    #[test]
    fn a_hint_that_comes_late_starts_nothing() {
        let mut lane = lane();
        // The store was read after the commit, but before the hint about it arrived.
        lane.refilling = Some(HashSet::new());
        lane.end_refill(page(&[1, 2], false), Instant::now());
        lane.next(Instant::now());
        lane.recorded(1);
        offer(&mut lane, 1);
        offer(&mut lane, 2);
        offer(&mut lane, 3);
        assert!(lane.spilled, "number 1 may have been committed after the reading");
        assert_eq!(rest(lane), [2], "number 3 waits behind it");
    }

    #[test]
    fn a_commit_out_of_order_is_read_from_the_store() {
        let mut lane = lane();
        lane.refilling = Some(HashSet::new());
        lane.end_refill(page(&[5], false), Instant::now());
        // Its key is smaller, but the reading came before its commit.
        offer(&mut lane, 3);
        assert!(lane.spilled);
        lane.refilling = Some(HashSet::new());
        lane.end_refill(page(&[3, 5], false), Instant::now());
        assert_eq!(rest(lane), [5, 3]);
    }

    #[test]
    fn what_comes_during_a_refill_is_read_by_the_next() {
        let mut lane = lane();
        lane.refilling = Some(HashSet::new());
        offer(&mut lane, 2);
        lane.end_refill(page(&[1], false), Instant::now());
        assert!(lane.spilled, "number 2 may have missed the reading");
        assert_eq!(rest(lane), [1]);
    }

    #[test]
    fn a_refill_that_failed_is_made_again() {
        let mut lane = lane();
        lane.refilling = Some(HashSet::new());
        lane.end_refill(None, Instant::now());
        assert!(lane.spilled && lane.refilling.is_none());
    }

    #[test]
    fn what_a_manual_success_settled_is_forgotten() {
        let mut lane = lane();
        (1..=3).for_each(|delivery| offer(&mut lane, delivery));
        lane.forget(2);
        assert_eq!(lane.held().bytes, 4);
        assert_eq!(rest(lane), [1, 3]);
    }

    #[test]
    fn a_lane_whose_endpoint_is_away_holds_reads_and_begins_nothing() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let wanted = Amount { deliveries: LIMIT, bytes: 1_000 };
        let mut lane = known(None, begun);
        (1..=3).for_each(|delivery| offer(&mut lane, delivery));
        lane.next(at(0));
        let left = hear(&mut lane, 0, at(0)).left;
        assert_eq!(left.iter().map(|due| due.delivery).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(lane.offer(due(4), true, LIMIT, at(1)), Offered::Kept);
        assert_eq!(lane.held(), Held::default());
        assert!(!lane.is_ready(at(99)) && !lane.has_more(at(99)));
        assert!(lane.begin_refill(wanted, at(99)).is_none());
        assert!(!lane.is_forgettable(at(99)), "it has something to do");
        assert_eq!(lane.waits(at(0)).map(|wait| wait.left.as_millis()), Some(100));

        // Somebody asks for one: it is attempted now.
        assert_eq!(lane.offer(manual(5), true, LIMIT, at(50)), Offered::Taken);
        assert!(lane.is_ready(at(50)) && lane.waits(at(50)).is_none());
        assert_eq!(lane.next(at(50)).map(|due| due.delivery), Some(5));
        hear(&mut lane, 0, at(50));
        assert!(!lane.is_ready(at(149)) && lane.waits(at(149)).is_some());

        // One is read for the probe, no more; and the others stay where they are.
        let amount = lane.begin_refill(wanted, at(150)).map(|amount| amount.deliveries);
        assert_eq!(amount, Some(1 + lane.in_memory.len()));
        lane.end_refill(page(&[2], true), at(150));
        assert!(lane.is_ready(at(150)));
        assert_eq!(lane.offer(due(6), true, LIMIT, at(150)), Offered::Kept);
        lane.next(at(150));
        lane.open = 1;
        assert!(!lane.has_more(at(200)), "while it is probed nothing is read");
        lane.open = 0;
        lane.recorded(2);

        // One success, and everything goes.
        assert!(hear(&mut lane, 204, at(151)).left.is_empty());
        assert!(lane.has_more(at(151)) && lane.waits(at(151)).is_none());
        assert!(lane.begin_refill(wanted, at(151)).is_some_and(|it| it.deliveries >= LIMIT));
    }

    #[test]
    fn a_wide_window_makes_no_more_than_one_probe() {
        let now = Instant::now();
        let later = now + Duration::from_millis(100);
        let mut lane = known(None, now);
        lane.health = lane.health.after(Sign::Success).after(Sign::Success);
        hear(&mut lane, 503, now);
        offer(&mut lane, 1);
        lane.begin_refill(Amount { deliveries: LIMIT, bytes: 1_000 }, later);
        lane.end_refill(page(&[1], true), later);
        assert!(lane.is_ready(later));
        lane.next(later);
        lane.open = 1;
        lane.offer(manual(2), true, LIMIT, later);
        assert!(!lane.is_ready(later) && !lane.has_more(later));
        lane.open = 0;
        hear(&mut lane, 500, later);
        assert!(lane.is_ready(later) && lane.has_more(later));
    }

    #[test]
    fn what_is_read_while_the_endpoint_goes_away_stays_in_the_store() {
        let now = Instant::now();
        let mut lane = known(None, now);
        lane.refilling = Some(HashSet::new());
        hear(&mut lane, 0, now);
        lane.end_refill(page(&[1, 2], false), now);
        assert_eq!((lane.held(), lane.spilled), (Held::default(), true));
    }

    #[test]
    fn a_changed_endpoint_has_no_pause() {
        let now = Instant::now();
        let mut lane = known(None, now);
        hear(&mut lane, 0, now);
        lane.look();
        assert!(!lane.has_more(now));
        lane.changed();
        assert!(lane.has_more(now));
    }

    #[test]
    fn one_ring_may_be_for_two_things() {
        let mut lane = lane();
        (lane.next_due, lane.wakes_at) = (Some(Timestamp(5)), Some(Timestamp(5)));
        assert!(!lane.rings(Timestamp(4)) && !lane.spilled);
        assert!(lane.rings(Timestamp(5)) && lane.spilled);
        assert_eq!((lane.next_due, lane.wakes_at), (None, None));
        lane.wakes_at = Some(Timestamp(6));
        assert!(lane.rings(Timestamp(6)) && !lane.rings(Timestamp(7)));
    }

    #[test]
    fn a_rate_holds_for_everybody_and_presses_nobody() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut lane = known(Some(2.0), begun);
        lane.health = lane.health.after(Sign::Success);
        (1..=3).for_each(|delivery| offer(&mut lane, delivery));
        assert_eq!(lane.held().pressing, 0, "they wait for the endpoint, not for the engine");
        assert!(lane.is_ready(at(0)));
        assert_eq!(lane.next(at(0)).map(|due| due.delivery), Some(1));
        lane.recorded(1);
        lane.offer(manual(4), true, LIMIT, at(0));
        assert!(!lane.is_ready(at(459)) && lane.waits(at(459)).is_some());
        assert!(lane.is_ready(at(461)));
        assert_eq!(lane.next(at(461)).map(|due| due.delivery), Some(4), "who asks goes first");
        lane.recorded(4);
        assert!(!lane.is_ready(at(959)) && lane.is_ready(at(961)));
        assert_eq!(lane.next(at(961)).map(|due| due.delivery), Some(2));
        lane.recorded(2);
        assert_eq!(lane.next(at(1_461)).map(|due| due.delivery), Some(3));
        lane.recorded(3);
        assert!(!lane.is_forgettable(at(1_900)) && lane.is_forgettable(at(2_100)));
    }

    const WAITS: Waits =
        Waits { shortest: Duration::from_millis(100), longest: Duration::from_millis(200) };

    /// A lane whose circuit opens with the next failure.
    fn failing(rate: Option<f64>, now: Instant) -> Lane {
        let prepared = Some(Rc::new(Prepared::with_rate(rate).with_breaker(WAITS)));
        let mut lane = Lane { prepared, ..Lane::new(Health::new(32, false), now) };
        for _ in 1..breaker::FAILURES_IN_A_ROW {
            assert_eq!(hear(&mut lane, 500, now).turn, None);
        }
        lane
    }

    #[test]
    fn an_open_circuit_holds_reads_and_begins_nothing_and_is_probed_with_one() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let wanted = Amount { deliveries: LIMIT, bytes: 1_000 };
        let mut lane = failing(None, begun);
        lane.health = lane.health.after(Sign::Success).after(Sign::Success);
        (1..=3).for_each(|delivery| offer(&mut lane, delivery));
        lane.next(at(0));
        let follows = hear(&mut lane, 500, at(1));
        assert_eq!(follows.left.iter().map(|due| due.delivery).collect::<Vec<_>>(), [2, 3]);
        let wait = Duration::from_millis(80);
        assert_eq!(follows.turn, Some(Turn::Opened { wait, again: false }));
        assert_eq!(lane.offer(due(4), true, LIMIT, at(2)), Offered::Kept);
        assert!(!lane.is_ready(at(80)) && lane.begin_refill(wanted, at(80)).is_none());
        let open = Wait { left: Duration::from_millis(79), why: Why::Open };
        assert_eq!((lane.waits(at(2)), lane.holds_up(at(2))), (Some(open), Some(open)));
        assert!(!lane.is_forgettable(at(2)));
        // What was under way when it opened does not end it.
        lane.heard(heard(204, at(0)), at(3), || true);
        assert!(lane.is_open());

        assert_eq!(lane.offer(manual(9), true, LIMIT, at(10)), Offered::Taken);
        assert!(lane.is_ready(at(10)), "who asks for an attempt gets it");
        lane.next(at(10));
        hear(&mut lane, 500, at(11));

        assert!(lane.begin_refill(wanted, at(81)).is_some());
        lane.end_refill(page(&[2], true), at(81));
        assert!(lane.is_ready(at(81)));
        lane.next(at(81));
        lane.open = 1;
        assert!(!lane.has_more(at(81)), "one probe");
        lane.open = 0;
        for success in 1..=breaker::SUCCESSES_IN_A_ROW {
            let turn = hear(&mut lane, 204, at(82)).turn;
            let closes = success == breaker::SUCCESSES_IN_A_ROW;
            assert_eq!(turn, closes.then_some(Turn::Closed));
        }
        // And then a ramp, as wide as the window at most.
        let ramp = [82, 5_082, 10_082, 100_000].map(|millis| lane.window(at(millis)));
        assert_eq!(ramp, [1, 2, 3, 3]);
    }

    #[test]
    fn who_wants_no_circuit_has_none_and_no_more_than_wanted_is_open() {
        let now = Instant::now();
        let mut lane = known(None, now);
        (0..100).for_each(|_| assert_eq!(hear(&mut lane, 500, now).turn, None));
        lane.health = (0..50).fold(lane.health, |health, _| health.after(Sign::Success));
        assert_eq!(lane.window(now), 32);
        let mut prepared = Prepared::with_rate(None);
        prepared.concurrency = 3;
        lane.prepared = Some(Rc::new(prepared));
        assert_eq!(lane.window(now), 3);
    }

    /// Whatever happens to a lane: while there is something to do, it can be begun or read, or is
    /// being read, or waits for what is under way, or for a time at which it is woken.
    #[test]
    fn a_lane_with_something_to_do_never_sleeps_for_ever() {
        let begun = Instant::now();
        // Every sequence of six of these: with a rate, and where one failure more opens the circuit.
        let steps = 9u32;
        let lanes: [fn(Instant) -> Lane; 2] =
            [|now| known(Some(1.0), now), |now| failing(None, now)];
        let sequences = (0..steps.pow(6)).flat_map(|sequence| lanes.map(|make| (sequence, make)));
        for (sequence, make) in sequences {
            let mut now = begun;
            let mut lane = make(begun);
            let mut delivery = 0;
            let mut under_way = VecDeque::new();
            for position in 0..6 {
                delivery += 1;
                match sequence / steps.pow(position) % steps {
                    0 => offer(&mut lane, delivery),
                    1 => _ = lane.offer(manual(delivery), true, LIMIT, now),
                    2 => now += Duration::from_millis(150),
                    3 if lane.is_ready(now) => {
                        lane.next(now);
                        under_way.push_back(now);
                        lane.open += 1;
                    }
                    step @ 4..=7 if let Some(began) = under_way.pop_front() => {
                        lane.open -= 1;
                        let status = [0, 429, 204, 500][step as usize - 4];
                        lane.heard(heard(status, began), now, || true);
                    }
                    _ => {
                        let wanted = Amount { deliveries: LIMIT, bytes: 1_000 };
                        if lane.begin_refill(wanted, now).is_some() {
                            lane.end_refill(page(&[delivery], false), now);
                        }
                    }
                }
                let something = lane.spilled || !lane.head.is_empty() || !lane.asked.is_empty();
                let moves = lane.is_ready(now) || lane.has_more(now);
                let wait = lane.waits(now);
                assert!(!something || moves || wait.is_some() || lane.open > 0, "{sequence}");
                if let Some(wait) = wait.filter(|_| lane.open == 0) {
                    let then = now + wait.left;
                    assert!(lane.is_ready(then) || lane.has_more(then), "{sequence}");
                }
            }
        }
    }
}
