//! Five thousand endpoints are away for an hour while two million deliveries become due; then all
//! come back at once. The rules that decide when something begins, driven by a clock that is only a
//! number.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]
#![allow(clippy::print_stdout, reason = "the figures are what the test is for")]

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use ringback_domain::{
    breaker::{Breaker, Told, Turn, Waits},
    lane::{Health, Sign, Sockets, Standing},
    pace::{Cause, Pace},
    retry::{Ending, Schedule},
};

const ENDPOINTS: usize = 5_000;
const DUE: u32 = 400;
const OUTAGE: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(15);
/// Requests open to one endpoint.
const WINDOW: u32 = 32;
const SOCKETS: u32 = 10_000;
const SERVED: [Standing; 4] =
    [Standing::Healthy, Standing::Fresh, Standing::Slow, Standing::Suspect];

/// How an endpoint is while it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Refuses,
    Hangs,
    Fails,
}

struct Endpoint {
    away: Away,
    rate: f64,
    takes: Duration,
    pace: Pace,
    breaker: Breaker,
    health: Health,
    open: u32,
    queued: bool,
    wakes_at: Option<Duration>,
    /// Deliveries that were never attempted.
    fresh: u32,
    /// When the others are due, and how often they were attempted.
    retries: BinaryHeap<Reverse<(Duration, u32)>>,
    delivered: u32,
    /// The attempts of the last second, and the most that there were in any.
    second: VecDeque<Duration>,
    most: usize,
    /// Since when its trial or the time after it has a ramp.
    ramp: Option<Duration>,
    first: Option<Duration>,
    /// When nothing was due any more, and how many had arrived by then.
    drained: Option<(Duration, u32)>,
}

/// What happens next at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wakes,
    Ends { success: bool, status: u16, attempts: u32, begun: Duration },
}

struct World {
    now: Duration,
    endpoints: Vec<Endpoint>,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    queues: [VecDeque<usize>; 4],
    sockets: Sockets,
    schedule: Schedule,
    random: u64,
    attempts: u64,
    most_in_vain: u32,
}

impl Endpoint {
    fn new(number: usize) -> Endpoint {
        Endpoint {
            away: [Away::Refuses, Away::Refuses, Away::Hangs, Away::Fails][number % 4],
            rate: [5.0, 10.0, 20.0, 50.0, 200.0][number % 5],
            takes: Duration::from_millis(10 + number as u64 % 50),
            pace: Pace::default(),
            breaker: Breaker::default(),
            health: Health::new(WINDOW, false),
            open: 0,
            queued: false,
            wakes_at: None,
            fresh: DUE,
            retries: BinaryHeap::new(),
            delivered: 0,
            second: VecDeque::new(),
            most: 0,
            ramp: None,
            first: None,
            drained: None,
        }
    }

    fn window(&self, now: Duration) -> u32 {
        match self.pace.is_absent() || self.breaker.is_open() {
            true => 1,
            false => self.health.window().min(self.breaker.window(now)),
        }
    }

    /// For how long nothing may begin.
    fn left(&self, now: Duration) -> Option<Duration> {
        let pace = self.pace.waits(Cause::Schedule, Some(self.rate), now).map(|wait| wait.left);
        pace.max(self.breaker.left(now))
    }

    /// When the next delivery is due.
    fn due(&self) -> Option<Duration> {
        match self.fresh {
            0 => self.retries.peek().map(|Reverse((at, _))| *at),
            _ => Some(Duration::ZERO),
        }
    }

    /// Takes the delivery that is due, and counts the attempt; gives how many there were before.
    fn begin(&mut self, now: Duration) -> u32 {
        self.pace = self.pace.begun(Some(self.rate), now);
        self.open += 1;
        while self.second.front().is_some_and(|at| *at + SECOND <= now) {
            self.second.pop_front();
        }
        self.second.push_back(now);
        self.most = self.most.max(self.second.len());
        if let Some(ramp) = self.ramp {
            let steps = (now - ramp).as_secs() / 5;
            assert!(steps > 5 || self.open <= 1 << steps, "{} open after {steps} steps", self.open);
        }
        if self.fresh > 0 {
            self.fresh -= 1;
            return 0;
        }
        self.retries.pop().map(|Reverse((_, attempts))| attempts).unwrap()
    }

    fn bound(&self) -> usize {
        (1.05 * self.rate).max(self.rate + 1.0).floor() as usize
    }
}

impl World {
    fn new() -> World {
        let mut world = World {
            now: Duration::ZERO,
            endpoints: (0..ENDPOINTS).map(Endpoint::new).collect(),
            events: BinaryHeap::new(),
            queues: Default::default(),
            sockets: Sockets::new(SOCKETS),
            schedule: Schedule::default(),
            random: 1,
            attempts: 0,
            most_in_vain: 0,
        };
        (0..ENDPOINTS).for_each(|number| world.pump(number));
        world
    }

    /// An endless row of numbers that look random (xorshift64).
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Begins what may be begun at an endpoint, or sees to it that it is looked at again.
    fn pump(&mut self, number: usize) {
        let now = self.now;
        loop {
            let endpoint = &mut self.endpoints[number];
            let Some(due) = endpoint.due() else { return };
            if endpoint.open >= endpoint.window(now) {
                return;
            }
            let at = endpoint.left(now).map(|left| now + left).max(Some(due)).unwrap_or(now);
            if at > now {
                if endpoint.wakes_at.is_none_or(|wakes| wakes <= now || at < wakes) {
                    endpoint.wakes_at = Some(at);
                    self.events.push(Reverse((at, number, Event::Wakes)));
                }
                return;
            }
            let standing = endpoint.health.standing();
            if !self.sockets.admits(standing) {
                if !endpoint.queued {
                    endpoint.queued = true;
                    let queue = SERVED.iter().position(|served| *served == standing).unwrap();
                    self.queues[queue].push_back(number);
                }
                return;
            }
            self.sockets.take(standing);
            let attempts = endpoint.begin(now) + 1;
            let (takes, success, status) = match endpoint.away {
                _ if now >= OUTAGE => (endpoint.takes, true, 204),
                Away::Refuses => (Duration::from_millis(1), false, 0),
                Away::Hangs => (TIMEOUT, false, 0),
                Away::Fails => (endpoint.takes, false, 500),
            };
            let ends = Event::Ends { success, status, attempts, begun: now };
            self.events.push(Reverse((now + takes, number, ends)));
            self.attempts += 1;
        }
    }

    fn ended(&mut self, number: usize, event: Event) {
        let Event::Ends { success, status, attempts, begun } = event else { return };
        let (now, random) = (self.now, self.draw());
        let endpoint = &mut self.endpoints[number];
        self.sockets.give_back(endpoint.health.standing());
        endpoint.open -= 1;
        let sign = match (success, status) {
            (true, _) => Sign::Success,
            (false, 0) => Sign::Silence,
            (false, _) => Sign::Failure,
        };
        let before = endpoint.health.standing();
        endpoint.health = endpoint.health.after(sign);
        let after = endpoint.health.standing();
        for _ in 0..endpoint.open {
            self.sockets.give_back(before);
            self.sockets.take(after);
        }
        let was_absent = endpoint.pace.is_absent();
        let (was_open, ending) = (endpoint.breaker.is_open(), Ending::of(status));
        endpoint.pace = endpoint.pace.after(sign, ending, now, random);
        let absent = was_absent && endpoint.pace.is_absent();
        let told = Told { sign, ending, begun, absent, random };
        let (breaker, turn) = endpoint.breaker.after(told, Waits::default(), now, || true);
        endpoint.breaker = breaker;
        if let Some(Turn::Opened { .. }) = turn {
            assert_eq!(endpoint.away, Away::Fails, "what is away only pauses");
        }
        if was_open && success {
            endpoint.ramp = Some(now);
        }
        if success {
            endpoint.first = endpoint.first.or(Some(now));
            endpoint.delivered += 1;
            let is_drained = endpoint.open == 0 && endpoint.due().is_none_or(|due| due > now);
            if endpoint.drained.is_none() && is_drained {
                endpoint.drained = Some((now, endpoint.delivered));
            }
        } else {
            self.most_in_vain = self.most_in_vain.max(attempts);
            let gap = self.schedule.gaps[attempts as usize - 1];
            endpoint.retries.push(Reverse((now + gap, attempts)));
        }
        self.pump(number);
        self.pump_queued();
    }

    fn pump_queued(&mut self) {
        for (queue, standing) in SERVED.into_iter().enumerate() {
            for _ in 0..self.queues[queue].len() {
                if !self.sockets.admits(standing) {
                    break;
                }
                let Some(number) = self.queues[queue].pop_front() else { break };
                self.endpoints[number].queued = false;
                self.pump(number);
            }
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, number, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Wakes => self.pump(number),
                Event::Ends { .. } => self.ended(number, event),
            }
        }
    }
}

fn seconds(mut times: Vec<Duration>, share: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize].as_secs_f64()
}

#[test]
fn an_outage_of_five_thousand_endpoints_drains_within_every_limit() {
    let mut world = World::new();
    world.run();
    let delivered: u64 = world.endpoints.iter().map(|one| u64::from(one.delivered)).sum();
    assert_eq!(delivered, ENDPOINTS as u64 * u64::from(DUE), "everything arrived");
    assert!(world.most_in_vain < 10, "nothing was given up");
    let mut worst = 0.0f64;
    for endpoint in &world.endpoints {
        assert!(endpoint.most <= endpoint.bound(), "{} at {}", endpoint.most, endpoint.rate);
        if endpoint.rate >= 20.0 {
            worst = worst.max(endpoint.most as f64 / endpoint.rate);
        }
    }
    assert!(worst <= 1.05, "{worst} of a rate in a second");
    for away in [Away::Refuses, Away::Hangs, Away::Fails] {
        let these = || world.endpoints.iter().filter(move |one| one.away == away);
        let first: Vec<_> = these().map(|one| one.first.unwrap() - OUTAGE).collect();
        let over: Vec<_> = these()
            .map(|one| {
                let (at, delivered) = one.drained.unwrap();
                let own = Duration::from_secs_f64(f64::from(delivered) / one.rate);
                (at - one.first.unwrap()).saturating_sub(own)
            })
            .collect();
        println!(
            "{away:?}: first delivery p50 {:.1} s, p99 {:.1} s, last {:.1} s after the outage; nothing \
             due at most {:.1} s later than the rate alone needs",
            seconds(first.clone(), 0.5),
            seconds(first.clone(), 0.99),
            seconds(first.clone(), 1.0),
            seconds(over.clone(), 1.0),
        );
        // Who is away is found within the longest pause and the probe that may be under way; a
        // circuit is open for 15 minutes and a fifth at most.
        let longest = match away {
            Away::Refuses => 6.0,
            Away::Hangs => 15.0 + 6.0,
            Away::Fails => 18.0 * 60.0 + 1.0,
        };
        assert!(seconds(first, 1.0) <= longest, "{away:?}");
        assert!(seconds(over, 1.0) <= 60.0, "{away:?}");
    }
    println!("{} attempts, the most in a second {worst:.3} of the rate", world.attempts);
}
