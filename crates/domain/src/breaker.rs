//! When an endpoint that is there, but fails, is left alone for a while.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Closed
//!     Closed --> Open: ten failures in a row, or half of at least 20 in a minute
//!     Open --> Trial: the wait is over, or an attempt that somebody asked for succeeded
//!     Trial --> Open: a failure (twice as long, up to a bound)
//!     Trial --> Closed: five successes in a row
//! ```
//!
//! A trial begins with one probe. From its first success on, requests at once are allowed as a ramp:
//! one, and twice as many every five seconds. The ramp goes on after the circuit is closed, until it
//! is wider than what the lane may have open anyway.
//!
//! An endpoint at which nobody answers is not this module's: [`crate::pace`] pauses it for moments
//! and finds out within seconds when it is back. What a pause's probes find is not counted here. So
//! what opens a circuit is answers that are failures, and silence of an endpoint that was there a
//! moment ago. What says nothing about the endpoint is not counted either: what was never sent, and
//! what it would never take.
//!
//! What waits for a circuit is not attempted and not recorded. All of it is memory of a process.
//!
//! Times are durations since a moment that each lane chooses, by a clock that never goes back.

use std::{collections::VecDeque, time::Duration};

use crate::lane::Sign;
use crate::pace::LONGEST_ASKED;
use crate::retry::{Ending, Meaning};

/// Failures in a row that open a circuit.
pub const FAILURES_IN_A_ROW: u32 = 10;
/// The time over which failures are counted.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The fewest requests in that time of which a share says something.
pub const FEWEST: u32 = 20;
/// Successes in a row that close a circuit.
pub const SUCCESSES_IN_A_ROW: u32 = 5;
/// How long the ramp stays as wide as it is before it doubles.
pub const RAMP_STEP: Duration = Duration::from_secs(5);
/// A wait is longer or shorter by up to this share, at random. One that the endpoint asked for is
/// only lengthened: that is a promise.
pub const JITTER: f64 = 0.2;

/// So long after its wait nobody needed a probe, a circuit may be forgotten.
const UNUSED: Duration = Duration::from_secs(15 * 60);
/// The window is counted in parts of this length, so it is between 50 and 60 seconds.
const PART: Duration = Duration::from_secs(10);
const PARTS: usize = (WINDOW.as_secs() / PART.as_secs()) as usize;

/// How long circuits stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The first wait. It doubles from here with every trial that fails.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Waits {
    fn default() -> Waits {
        Waits { shortest: Duration::from_secs(30), longest: Duration::from_secs(15 * 60) }
    }
}

/// The circuit of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Breaker {
    counts: Counts,
    failures_in_a_row: u32,
    /// Set unless the circuit is closed.
    broken: Option<Broken>,
    /// Since when there is a ramp.
    ramp: Option<Duration>,
    /// A circuit that was not allowed to open does not ask again before then.
    spared_until: Duration,
}

/// A circuit that is open or on trial.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Broken {
    /// What was begun earlier says nothing new.
    since: Duration,
    until: Duration,
    /// How often it was opened without being closed.
    times: u32,
    /// In a row, in the trial.
    successes: u32,
}

/// What an attempt told.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// What it says of the endpoint.
    pub sign: Sign,
    /// How it ended.
    pub ending: Ending,
    /// When it began.
    pub begun: Duration,
    /// Whether it was the probe of a pause that goes on.
    pub absent: bool,
    /// Decides the jitter.
    pub random: u64,
}

/// What became of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was opened.
    Opened {
        /// For this long.
        wait: Duration,
        /// Whether it was a trial that failed.
        again: bool,
    },
    /// It was closed.
    Closed,
    /// It would have been opened, and was not: see [`Guard`].
    Spared,
}

impl Breaker {
    /// For how long nothing is begun yet; none if something may be.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let until = self.broken?.until;
        Some(until.saturating_sub(now)).filter(|left| !left.is_zero())
    }

    /// Whether the next attempt is a probe: the circuit is open, or no attempt of its trial has
    /// succeeded yet.
    pub fn is_open(&self) -> bool {
        self.broken.is_some_and(|broken| broken.successes == 0)
    }

    /// How many requests may be open at once.
    pub fn window(&self, now: Duration) -> u32 {
        match self.ramp {
            _ if self.is_open() => 1,
            None => u32::MAX,
            Some(since) => {
                let steps = now.saturating_sub(since).as_secs() / RAMP_STEP.as_secs();
                1u32.checked_shl(u32::try_from(steps).unwrap_or(u32::MAX)).unwrap_or(u32::MAX)
            }
        }
    }

    /// The circuit after an attempt ended. `may_open` is asked only if a closed one is about to open.
    #[must_use]
    pub fn after(
        self,
        told: Told,
        waits: Waits,
        now: Duration,
        may_open: impl FnOnce() -> bool,
    ) -> (Breaker, Option<Turn>) {
        let Some(success) = told.counts() else { return (self, None) };
        match self.broken {
            Some(broken) if told.begun < broken.since => (self, None),
            Some(broken) if success => self.succeeded(broken, now),
            // Somebody asked for it before the wait was over.
            Some(broken) if now < broken.until => (self, None),
            Some(broken) => self.opened(told, waits, now, broken.times),
            None => {
                let counted = self.counted(success, now);
                if !counted.is_bad(now) {
                    (counted, None)
                } else if may_open() {
                    counted.opened(told, waits, now, 0)
                } else {
                    let spared_until = now + WINDOW;
                    (Breaker { spared_until, ..counted.forgiven() }, Some(Turn::Spared))
                }
            }
        }
    }

    /// Whether nothing would be begun earlier or opened later if it were forgotten, or nobody has
    /// needed it for long.
    pub fn is_forgettable(&self, now: Duration) -> bool {
        match self.broken {
            Some(broken) => now >= broken.until.max(broken.since) + UNUSED,
            None => {
                self.counts.of(now).1 == 0
                    && now >= self.spared_until
                    && self.window(now) > u32::from(u16::MAX)
            }
        }
    }

    fn counted(self, success: bool, now: Duration) -> Breaker {
        let failures_in_a_row = if success { 0 } else { self.failures_in_a_row.saturating_add(1) };
        Breaker { counts: self.counts.and(success, now), failures_in_a_row, ..self }
    }

    fn is_bad(&self, now: Duration) -> bool {
        let (all, failed) = self.counts.of(now);
        let half = all >= FEWEST && failed * 2 >= all;
        now >= self.spared_until && (half || self.failures_in_a_row >= FAILURES_IN_A_ROW)
    }

    fn succeeded(self, broken: Broken, now: Duration) -> (Breaker, Option<Turn>) {
        let successes = broken.successes + 1;
        let ramp = self.ramp.or(Some(now));
        if successes >= SUCCESSES_IN_A_ROW {
            return (Breaker { ramp, ..Breaker::default() }, Some(Turn::Closed));
        }
        let broken = Some(Broken { successes, until: Duration::ZERO, ..broken });
        (Breaker { broken, ramp, ..self }, None)
    }

    fn opened(
        self,
        told: Told,
        waits: Waits,
        now: Duration,
        times: u32,
    ) -> (Breaker, Option<Turn>) {
        let wait = told.wait(waits, times);
        let (since, until, again) = (now, now + wait, times > 0);
        let times = times.saturating_add(1);
        let broken = Some(Broken { since, until, times, successes: 0 });
        (Breaker { broken, ..self.forgiven() }, Some(Turn::Opened { wait, again }))
    }

    /// The same without what was counted.
    fn forgiven(self) -> Breaker {
        Breaker { counts: Counts::default(), failures_in_a_row: 0, ramp: None, ..self }
    }
}

impl Told {
    /// Whether it counts as a success or as a failure; none if it says nothing.
    fn counts(&self) -> Option<bool> {
        match self.sign {
            Sign::Success => Some(true),
            Sign::Failure | Sign::Silence => {
                // What would never be taken says something about the message.
                let says = !self.absent && self.ending.meaning != Meaning::Permanent;
                says.then_some(false)
            }
            Sign::Slow | Sign::Nothing => None,
        }
    }

    /// How long a circuit stays open that was opened this many times before.
    fn wait(&self, waits: Waits, times: u32) -> Duration {
        let share = JITTER * (self.random as f64 / u64::MAX as f64);
        match self.ending.asked().filter(|asked| !asked.is_zero()) {
            Some(asked) => asked.min(LONGEST_ASKED).mul_f64(1.0 + share),
            None => {
                let whole = waits.shortest.saturating_mul(1 << times.min(16)).min(waits.longest);
                whole.mul_f64(1.0 - JITTER + 2.0 * share)
            }
        }
    }
}

/// How many requests there were lately, and how many failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// By the number of their part of time, the youngest first.
    parts: [(u32, u32); PARTS],
    youngest: u64,
}

impl Counts {
    fn and(self, success: bool, now: Duration) -> Counts {
        let mut counts = self.moved_to(now);
        let (all, failed) = &mut counts.parts[0];
        *all = all.saturating_add(1);
        *failed = failed.saturating_add(u32::from(!success));
        counts
    }

    /// All, and those that failed.
    fn of(self, now: Duration) -> (u32, u32) {
        let sum = |(all, failed): (u32, u32), part: &(u32, u32)| {
            (all.saturating_add(part.0), failed.saturating_add(part.1))
        };
        self.moved_to(now).parts.iter().fold((0, 0), sum)
    }

    fn moved_to(mut self, now: Duration) -> Counts {
        let youngest = now.as_secs() / PART.as_secs();
        let by = usize::try_from(youngest.saturating_sub(self.youngest)).unwrap_or(PARTS);
        let by = by.min(PARTS);
        self.parts.copy_within(..PARTS - by, by);
        self.parts[..by].fill((0, 0));
        self.youngest = self.youngest.max(youngest);
        self
    }
}

/// Keeps circuits from opening when so many would at once that the fault is more likely our own:
/// the way out, a proxy, a certificate store.
///
/// One for all lanes of a process.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// When a circuit was opened, or would have been.
    wishes: VecDeque<Duration>,
}

impl Guard {
    /// With fewer wishes in a minute than these, nothing is concluded from them: the endpoints may
    /// be those of one receiver.
    pub const FEWEST: usize = 10;

    /// Whether a circuit may be opened, with this many endpoints active.
    pub fn admits(&mut self, active: usize, now: Duration) -> bool {
        self.wishes.push_back(now);
        !self.is_suspended(active, now)
    }

    /// Whether none may be opened at the moment: of the active endpoints, more than 30 % failed
    /// within a minute.
    pub fn is_suspended(&mut self, active: usize, now: Duration) -> bool {
        while self.wishes.front().is_some_and(|at| *at + WINDOW <= now) {
            self.wishes.pop_front();
        }
        self.wishes.len() >= Guard::FEWEST && self.wishes.len() * 10 > active * 3
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);
    const MIDDLE: u64 = u64::MAX / 2;

    fn told(status_code: u16, begun: Duration) -> Told {
        let sign = match status_code {
            0 => Sign::Silence,
            200..=299 => Sign::Success,
            _ => Sign::Failure,
        };
        Told { sign, ending: Ending::of(status_code), begun, absent: false, random: MIDDLE }
    }

    /// After an attempt that was begun and ended at this time.
    fn after(breaker: Breaker, status_code: u16, now: Duration) -> (Breaker, Option<Turn>) {
        breaker.after(told(status_code, now), Waits::default(), now, || true)
    }

    fn all(statuses: impl IntoIterator<Item = u16>) -> (Breaker, Option<Turn>) {
        let start = (Breaker::default(), None);
        statuses.into_iter().fold(start, |(breaker, _), status| after(breaker, status, START))
    }

    fn seconds(turn: Option<Turn>) -> Option<u64> {
        match turn {
            Some(Turn::Opened { wait, .. }) => Some(wait.as_secs_f64().round() as u64),
            _ => None,
        }
    }

    #[test]
    fn what_opens_a_circuit() {
        let alternating = |count| (0..count).map(|n| if n % 2 == 0 { 500 } else { 200 });
        assert_eq!(all([500; 9]).1, None);
        assert_eq!(seconds(all([500; 10]).1), Some(30));
        assert_eq!(seconds(all([0; 10]).1), Some(30));
        assert_eq!(all(alternating(19)).1, None);
        assert_eq!(seconds(all(alternating(20)).1), Some(30), "half of twenty");
        assert_eq!(all([200, 200, 500].into_iter().cycle().take(300)).1, None, "a third");
        assert_eq!(all([500; 9].into_iter().chain([200]).chain([500; 9])).1, None);
    }

    #[test]
    fn what_says_nothing_about_the_endpoint_is_not_counted() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            let probe = Told { absent: true, ..told(0, START) };
            let permanent = Meaning::Permanent;
            let about_the_message = Told {
                ending: Ending { meaning: permanent, ..told(422, START).ending },
                ..told(422, START)
            };
            let never_sent = Told { sign: Sign::Nothing, ..told(0, START) };
            for told in [probe, about_the_message, never_sent] {
                let turn;
                (breaker, turn) = breaker.after(told, Waits::default(), START, || true);
                assert_eq!(turn, None);
            }
        }
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn failures_are_forgotten_after_a_minute() {
        let (mut breaker, mut now) = (Breaker::default(), START);
        // Half of them fail, but there are never twenty in a minute.
        for number in 0..100 {
            let turn;
            (breaker, turn) = after(breaker, if number % 2 == 0 { 500 } else { 200 }, now);
            assert_eq!(turn, None);
            now += Duration::from_secs(4);
        }
        assert!(!breaker.is_forgettable(now) && breaker.is_forgettable(now + WINDOW));
    }

    #[test]
    fn a_wait_doubles_up_to_its_bound_and_closing_starts_anew() {
        let (mut breaker, mut turn) = all([500; 10]);
        let mut now = START;
        for expect in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(seconds(turn), Some(expect));
            let left = breaker.left(now).unwrap();
            assert!(breaker.is_open() && breaker.window(now) == 1);
            now += left;
            assert_eq!(breaker.left(now), None);
            (breaker, turn) = after(breaker, 500, now);
        }
        now += breaker.left(now).unwrap();
        for success in 1..=5 {
            (breaker, turn) = after(breaker, 200, now);
            assert_eq!(turn, (success == 5).then_some(Turn::Closed));
        }
        for _ in 0..10 {
            (breaker, turn) = after(breaker, 500, now);
        }
        assert_eq!(seconds(turn), Some(30));
    }

    #[test]
    fn what_an_endpoint_asks_for_sets_the_wait_and_is_never_cut_short() {
        for (status, asked, random, expect) in [
            (429, 120, 0, 120),
            (429, 120, u64::MAX, 144),
            (503, 2, 0, 2),
            (503, 0, MIDDLE, 30),
            (500, 120, MIDDLE, 30),
            (429, 86_400, 0, 900),
        ] {
            let breaker = all([500; 9]).0;
            let mut last = Told { random, ..told(status, START) };
            last.ending.retry_after = Some(Duration::from_secs(asked));
            let turn = breaker.after(last, Waits::default(), START, || true).1;
            assert_eq!(seconds(turn), Some(expect), "{status} {asked}");
        }
    }

    #[test]
    fn what_was_begun_before_says_nothing_and_who_asks_may_probe() {
        let breaker = all([500; 10]).0;
        let later = START + Duration::from_secs(1);
        let before = told(200, START - Duration::from_secs(1));
        assert_eq!(breaker.after(before, Waits::default(), later, || true), (breaker, None));
        assert_eq!(after(breaker, 500, later), (breaker, None), "the wait is as it was");
        let trial = after(breaker, 200, later).0;
        assert_eq!((trial.left(later), trial.is_open()), (None, false));
    }

    #[test]
    fn a_circuit_that_nobody_needs_is_forgotten_in_the_end() {
        let breaker = all([500; 10]).0;
        let over = START + breaker.left(START).unwrap();
        assert!(!breaker.is_forgettable(over) && breaker.is_forgettable(over + UNUSED));
        let trial = after(breaker, 200, over).0;
        assert!(!trial.is_forgettable(START) && trial.is_forgettable(over + UNUSED));
    }

    #[test]
    fn a_ramp_doubles_from_the_first_success() {
        let (mut breaker, _) = all([500; 10]);
        let now = START + breaker.left(START).unwrap();
        for _ in 0..5 {
            breaker = after(breaker, 200, now).0;
        }
        let window = |seconds: u64| breaker.window(now + Duration::from_secs(seconds));
        assert_eq!([0, 4, 5, 10, 15, 24, 25].map(window), [1, 1, 2, 4, 8, 16, 32]);
        assert_eq!(window(100_000), u32::MAX);
        assert!(!breaker.is_forgettable(now + Duration::from_secs(60)));
        assert!(breaker.is_forgettable(now + Duration::from_secs(80)));
    }

    #[test]
    fn what_may_not_open_asks_again_after_a_minute() {
        let (mut breaker, mut asked) = (Breaker::default(), 0);
        for second in 0..130 {
            let now = START + Duration::from_secs(second);
            let may_open = || {
                asked += 1;
                false
            };
            breaker = breaker.after(told(500, now), Waits::default(), now, may_open).0;
            assert_eq!(breaker.left(now), None);
        }
        // After ten failures, and after a minute each.
        assert_eq!(asked, 3);
    }

    #[test]
    fn many_circuits_at_once_are_our_own_fault() {
        let mut guard = Guard::default();
        let admitted = (0..50).filter(|_| guard.admits(100, START)).count();
        assert_eq!(admitted, 30);
        assert!(guard.is_suspended(100, START + Duration::from_secs(59)));
        assert!(guard.admits(100, START + WINDOW));
        let mut small = Guard::default();
        let admitted = (0..50).filter(|_| small.admits(12, START)).count();
        assert_eq!(admitted, Guard::FEWEST - 1, "a few endpoints may be one receiver's");
    }

    proptest! {
        /// Whatever happens: nothing begins while a circuit is open, and no wait is longer than the
        /// longest with its jitter; after it, something begins.
        #[test]
        fn a_circuit_never_stays_open_for_ever(
            steps in prop::collection::vec(
                (0u64..40_000, prop::sample::select(vec![0u16, 200, 429, 500, 503]),
                    prop::option::of(0u64..2_000), any::<u64>(), any::<bool>()),
                0..400,
            ),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), START);
            let longest = Waits::default().longest.mul_f64(1.0 + JITTER);
            for (millis, status, asked, random, waits) in steps {
                now += Duration::from_millis(millis);
                if waits {
                    now += breaker.left(now).unwrap_or_default();
                }
                let was_open = breaker.left(now);
                let mut told = Told { random, ..told(status, now) };
                told.ending.retry_after = asked.map(Duration::from_secs);
                let turn;
                (breaker, turn) = breaker.after(told, Waits::default(), now, || true);
                prop_assert!(breaker.left(now).is_none_or(|left| left <= longest));
                prop_assert!(breaker.window(now) >= 1);
                let opened = matches!(turn, Some(Turn::Opened { .. }));
                prop_assert!(!(opened && was_open.is_some()), "no wait is lengthened");
                if let Some(Turn::Opened { wait, .. }) = turn {
                    let asked = told.ending.asked().filter(|asked| !asked.is_zero());
                    let least = Waits::default().shortest.mul_f64(1.0 - JITTER);
                    prop_assert!(wait >= asked.map_or(least, |asked| asked.min(LONGEST_ASKED)));
                }
                prop_assert!(breaker.left(now).is_none() || breaker.is_open());
            }
        }
    }
}
