//! When a lane may begin its next attempt: not while its endpoint is not there, not before the time
//! that it asked for, and not faster than its rate.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Open
//!     Open --> Pause: nobody is there
//!     Pause --> Probe: the pause is over
//!     Probe --> Pause: nobody is there (twice as long, up to a bound)
//!     Probe --> Open: any other answer
//!     Pause --> Open: any other answer, as to an attempt that somebody asked for
//! ```
//!
//! What waits for this is not attempted and not recorded: it keeps its schedule and its count of
//! attempts. All of it is memory of a process; one that starts tries at once.
//!
//! Times are durations since a moment that each lane chooses, by a clock that never goes back.

use std::time::Duration;

use crate::lane::Sign;
use crate::retry::{Ending, Meaning};

/// The first pause of a lane at whose endpoint nobody is.
///
/// A process that is restarted behind its port is away for about as long, and ten attempts a second
/// are no load. The pause doubles from here.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late an endpoint that is back may get its first attempt.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause where a proxy answers, or something that speaks like one. It may be the receiver
/// itself that means this one message, so the others are not to wait for long.
pub const LONGEST_ANSWERED: Duration = Duration::from_secs(1);
/// Up to this share of a pause is left out at random, so that endpoints of one host, which fail
/// together, are not probed together. Nothing is added: the longest pause is a promise.
pub const JITTER: f64 = 0.2;
/// The longest time for which `Retry-After` holds up a whole lane: as long as its circuit may stay
/// open. What one delivery has to wait longer for may not be what the others are refused for.
pub const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// So many seconds' worth of a rate are kept in memory.
const AHEAD: f64 = 10.0;
/// So many seconds' worth of a rate may come at once, beside one attempt: what is lost when a lane is
/// woken a little late is made up for. In any second there are then at most one attempt and 1.04
/// times the rate: from 100 a second on that is less than 1.05 times the rate.
const SAVED: f64 = 0.04;
/// Between two attempts at the slowest rate.
const SLOWEST: f64 = 24.0 * 3600.0;

/// What a lane has heard and spent, as far as it decides when the next attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Pauses in a row, each after an attempt at which nobody was there.
    pauses: u32,
    /// The end of the last pause.
    absent_until: Duration,
    /// The time that the receiver asked for.
    asked_until: Duration,
    /// The bucket of the rate, as it was at `counted_at`. More than it holds is as good as full.
    tokens: f64,
    counted_at: Duration,
}

/// What an attempt is begun for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its time has come.
    Schedule,
    /// Somebody asks for this very attempt, now.
    Request,
}

/// What a lane waits for, and for how long yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// From now.
    pub left: Duration,
    /// What for.
    pub why: Why,
}

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody is there: the next attempt is a probe.
    Absent,
    /// It failed too often, and its circuit is open: see [`crate::breaker`].
    Open,
    /// The receiver asked to be left alone until then.
    Asked,
    /// The endpoint's rate is used up.
    Rate,
    /// It wants several messages in one request, and there may be more.
    More,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            pauses: 0,
            absent_until: Duration::ZERO,
            asked_until: Duration::ZERO,
            tokens: f64::INFINITY,
            counted_at: Duration::ZERO,
        }
    }
}

impl Pace {
    /// What an attempt has to wait for; none if it may begin. `rate` is in attempts a second.
    ///
    /// Whoever asks for an attempt gets it during a pause, too: it is a probe like any other. But
    /// what a receiver takes at most, it takes of no one more.
    pub fn waits(&self, cause: Cause, rate: Option<f64>, now: Duration) -> Option<Wait> {
        let absent_until = match cause {
            Cause::Schedule => self.absent_until,
            Cause::Request => Duration::ZERO,
        };
        [
            (Why::Absent, absent_until),
            (Why::Asked, self.asked_until),
            (Why::Rate, self.has_token_at(rate)),
        ]
        .into_iter()
        .map(|(why, until)| Wait { left: until.saturating_sub(now), why })
        .filter(|wait| !wait.left.is_zero())
        .max_by_key(|wait| wait.left)
    }

    /// How many deliveries the lane has a use for in memory: none as long as it begins none, one
    /// for a probe, some seconds' worth of its rate; otherwise there is no bound.
    pub fn ahead(&self, rate: Option<f64>, now: Duration) -> usize {
        if now < self.absent_until.max(self.asked_until) {
            0
        } else if self.is_absent() {
            1
        } else {
            rate.map_or(usize::MAX, |rate| (rate * AHEAD).ceil().max(1.0) as usize)
        }
    }

    /// Whether nobody was there at the last attempt.
    pub fn is_absent(&self) -> bool {
        self.pauses > 0
    }

    /// The pace after an attempt began.
    #[must_use]
    pub fn begun(self, rate: Option<f64>, now: Duration) -> Pace {
        let tokens = rate.map_or(f64::INFINITY, |rate| self.tokens_at(rate, now) - 1.0);
        Pace { tokens, counted_at: now, ..self }
    }

    /// The pace after an attempt ended. `random` decides the jitter.
    #[must_use]
    pub fn after(self, sign: Sign, ending: Ending, now: Duration, random: u64) -> Pace {
        let asked = ending.retry_after.map(|asked| asked.min(LONGEST_ASKED));
        // A kind of destination knows a limit that has another status.
        let status_code = if ending.meaning == Meaning::Later { 429 } else { ending.status_code };
        match (sign, status_code, asked) {
            (Sign::Slow, ..) => self,
            // Nothing was sent, so nothing was spent.
            (Sign::Nothing, ..) => Pace { tokens: self.tokens + 1.0, ..self },
            (Sign::Silence, ..) => self.paused(LONGEST_PAUSE, now, random),
            // What a proxy says for a server that is not there (RFC 9110, 15.6.3 to 15.6.5). With a
            // time it comes from somebody who knows when to send this one again.
            (Sign::Failure, 502 | 504, _) | (Sign::Failure, 503, None) => {
                self.paused(LONGEST_ANSWERED, now, random)
            }
            // A rate limit is about who sends, not about one request (RFC 6585, 4); a success of a
            // request that was under way does not end it.
            (Sign::Failure, 429, Some(asked)) => {
                Pace { asked_until: self.asked_until.max(now + asked), ..self.answered() }
            }
            (Sign::Success | Sign::Failure, ..) => self.answered(),
        }
    }

    /// The pace of a lane whose endpoint was changed: what the old one said is void. What was sent
    /// was sent.
    #[must_use]
    pub fn changed(self) -> Pace {
        Pace { asked_until: Duration::ZERO, ..self.answered() }
    }

    /// Whether nothing would be begun earlier if it were forgotten.
    pub fn is_forgettable(&self, rate: Option<f64>, now: Duration) -> bool {
        let full = rate.is_none_or(|rate| self.tokens_at(rate, now) >= burst(rate));
        full && now >= self.absent_until.max(self.asked_until)
    }

    fn answered(self) -> Pace {
        Pace { pauses: 0, absent_until: Duration::ZERO, ..self }
    }

    fn paused(self, longest: Duration, now: Duration, random: u64) -> Pace {
        // Who was under way when the pause began says nothing new about how long it will be.
        let pauses =
            if now < self.absent_until { self.pauses } else { self.pauses.saturating_add(1) };
        let doubled = 1 << (pauses - 1).min(16);
        let whole = SHORTEST_PAUSE.saturating_mul(doubled).min(longest);
        let left_out = JITTER * (random as f64 / u64::MAX as f64);
        let pause = whole.mul_f64(1.0 - left_out);
        Pace { pauses, absent_until: self.absent_until.max(now + pause), ..self }
    }

    fn tokens_at(&self, rate: f64, now: Duration) -> f64 {
        let flown_in = rate * now.saturating_sub(self.counted_at).as_secs_f64();
        (self.tokens + flown_in).min(burst(rate))
    }

    /// When the bucket has enough for one attempt.
    fn has_token_at(&self, rate: Option<f64>) -> Duration {
        let missing = 1.0 - self.tokens;
        match rate {
            Some(rate) if missing > 0.0 => {
                // Rounded up: a nanosecond too early would be too early.
                let wait = Duration::from_secs_f64((missing / rate).clamp(0.0, SLOWEST));
                self.counted_at + wait + Duration::from_nanos(1)
            }
            _ => Duration::ZERO,
        }
    }
}

/// What may come at once.
fn burst(rate: f64) -> f64 {
    1.0 + SAVED * rate
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn ending(status_code: u16, retry_after: Option<u64>) -> Ending {
        let retry_after = retry_after.map(Duration::from_secs);
        Ending { retry_after, ..Ending::of(status_code) }
    }

    /// What an attempt with this status, 0 for none, tells.
    fn told(pace: Pace, status_code: u16, retry_after: Option<u64>, now: Duration) -> Pace {
        let sign = match status_code {
            0 => Sign::Silence,
            200..=299 => Sign::Success,
            _ => Sign::Failure,
        };
        pace.after(sign, ending(status_code, retry_after), now, 0)
    }

    fn left(pace: Pace, cause: Cause, now: Duration) -> Option<(Why, u128)> {
        pace.waits(cause, None, now).map(|wait| (wait.why, wait.left.as_millis()))
    }

    #[test]
    fn a_pause_doubles_up_to_its_bound() {
        let (mut pace, mut now) = (Pace::default(), START);
        for expect in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            pace = told(pace, 0, None, now);
            assert_eq!(left(pace, Cause::Schedule, now), Some((Why::Absent, expect)));
            now += pace.waits(Cause::Schedule, None, now).unwrap().left;
            assert_eq!(left(pace, Cause::Schedule, now), None);
        }
        pace.pauses = u32::MAX - 1;
        pace = told(pace, 0, None, now);
        assert_eq!(left(pace, Cause::Schedule, now), Some((Why::Absent, 5_000)));
    }

    #[test]
    fn where_somebody_answers_for_it_pauses_are_shorter() {
        let mut pace = Pace::default();
        let mut pauses = Vec::new();
        for seconds in 0..6 {
            let now = START + Duration::from_secs(seconds);
            pace = told(pace, 502, None, now);
            pauses.push(pace.waits(Cause::Schedule, None, now).unwrap().left.as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn what_pauses_a_lane_and_what_does_not() {
        for (status, retry_after, expect) in [
            (0, None, Some((Why::Absent, 100))),
            (502, None, Some((Why::Absent, 100))),
            (503, None, Some((Why::Absent, 100))),
            (504, None, Some((Why::Absent, 100))),
            (503, Some(7), None),
            (504, Some(7), Some((Why::Absent, 100))),
            (429, None, None),
            (429, Some(0), None),
            (429, Some(7), Some((Why::Asked, 7_000))),
            (429, Some(3_600), Some((Why::Asked, 900_000))),
            (204, None, None),
            (301, None, None),
            (400, Some(7), None),
            (410, None, None),
            (500, Some(7), None),
            (501, None, None),
        ] {
            let pace = told(Pace::default(), status, retry_after, START);
            assert_eq!(left(pace, Cause::Schedule, START), expect, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn who_was_under_way_does_not_lengthen_the_pause() {
        let mut pace = Pace::default();
        for millis in [0, 1, 2, 50] {
            pace = told(pace, 0, None, START + Duration::from_millis(millis));
        }
        // Counted from the end of the last, and as long as that of the first.
        assert_eq!(left(pace, Cause::Schedule, START), Some((Why::Absent, 150)));
    }

    #[test]
    fn what_is_asked_for_passes_a_pause_and_nothing_else() {
        let absent = told(Pace::default(), 0, None, START);
        assert_eq!(left(absent, Cause::Request, START), None);
        let asked = told(Pace::default(), 429, Some(7), START);
        assert_eq!(left(asked, Cause::Request, START), Some((Why::Asked, 7_000)));
        let spent = Pace::default().begun(Some(0.5), START);
        let wait = spent.waits(Cause::Request, Some(0.5), START);
        assert_eq!(wait.map(|wait| (wait.why, wait.left.as_millis())), Some((Why::Rate, 1_960)));
    }

    #[test]
    fn a_success_under_way_does_not_end_a_rate_limit_but_a_change_does() {
        let pace = told(told(Pace::default(), 429, Some(7), START), 204, None, START);
        assert_eq!(left(pace, Cause::Schedule, START), Some((Why::Asked, 7_000)));
        let pace = told(pace, 429, Some(2), START);
        assert_eq!(left(pace, Cause::Schedule, START), Some((Why::Asked, 7_000)), "never shorter");
        assert_eq!(left(pace.changed(), Cause::Schedule, START), None);
        let paused = told(Pace::default(), 0, None, START);
        assert_eq!(left(paused.changed(), Cause::Schedule, START), None);
    }

    #[test]
    fn a_kind_of_destination_knows_rate_limits_by_other_signs() {
        for status in [403, 503] {
            let limit = Ending { meaning: Meaning::Later, ..ending(status, Some(7)) };
            let pace = Pace::default().after(Sign::Failure, limit, START, 0);
            assert_eq!(left(pace, Cause::Schedule, START), Some((Why::Asked, 7_000)), "{status}");
        }
        assert_eq!(left(told(Pace::default(), 403, Some(7), START), Cause::Schedule, START), None);
    }

    #[test]
    fn what_is_in_memory_is_what_can_be_used() {
        let ahead =
            |pace: Pace, rate, millis| pace.ahead(rate, START + Duration::from_millis(millis));
        assert_eq!(ahead(Pace::default(), None, 0), usize::MAX);
        assert_eq!(ahead(Pace::default(), Some(5.0), 0), 50);
        assert_eq!(ahead(Pace::default(), Some(0.01), 0), 1);
        let absent = told(Pace::default(), 0, None, START);
        assert_eq!([ahead(absent, None, 99), ahead(absent, None, 100)], [0, 1]);
        assert_eq!(ahead(told(absent, 204, None, START), None, 0), usize::MAX);
        let asked = told(Pace::default(), 429, Some(1), START);
        assert_eq!([ahead(asked, None, 999), ahead(asked, None, 1_000)], [0, usize::MAX]);
    }

    #[test]
    fn a_pace_is_forgotten_only_when_it_says_nothing() {
        let at = |millis| START + Duration::from_millis(millis);
        let spent = Pace::default().begun(Some(2.0), START);
        assert!(Pace::default().is_forgettable(Some(2.0), START));
        assert_eq!(
            [at(499), at(501)].map(|now| spent.is_forgettable(Some(2.0), now)),
            [false, true]
        );
        assert!(spent.is_forgettable(None, START));
        let absent = told(Pace::default(), 0, None, START);
        assert_eq!([at(99), at(100)].map(|now| absent.is_forgettable(None, now)), [false, true]);
        let asked = told(Pace::default(), 429, Some(1), START);
        assert_eq!([at(999), at(1_000)].map(|now| asked.is_forgettable(None, now)), [false, true]);
    }

    #[test]
    fn what_was_not_sent_costs_nothing() {
        let rate = Some(1.0);
        let pace = Pace::default().begun(rate, START);
        assert!(pace.waits(Cause::Schedule, rate, START).is_some());
        let pace = pace.after(Sign::Nothing, ending(0, None), START, 0);
        assert_eq!(pace.waits(Cause::Schedule, rate, START), None);
    }

    /// What happens to a lane, one after the other.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Passes(u64),
        Begins,
        Ends(u16, Option<u64>, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let status = prop::sample::select(vec![0, 200, 400, 429, 500, 502, 503, 504]);
        prop_oneof![
            (0u64..2_000).prop_map(Step::Passes),
            Just(Step::Begins),
            (status, prop::option::of(0u64..100), any::<u64>())
                .prop_map(|(status, asked, random)| Step::Ends(status, asked, random)),
        ]
    }

    proptest! {
        #[test]
        fn nothing_begins_before_a_pause_ends_and_an_answer_ends_it(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let (mut pace, mut now) = (Pace::default(), START);
            let (mut not_before, mut asked) = (Duration::ZERO, Duration::ZERO);
            for step in steps {
                match step {
                    Step::Passes(millis) => now += Duration::from_millis(millis),
                    Step::Begins => {}
                    Step::Ends(status, retry_after, random) => {
                        let sign = match status {
                            0 => Sign::Silence,
                            200 => Sign::Success,
                            _ => Sign::Failure,
                        };
                        pace = pace.after(sign, ending(status, retry_after), now, random);
                        let wait = Duration::from_secs(retry_after.unwrap_or_default());
                        match (status, retry_after) {
                            (0 | 502 | 504, _) | (503, None) => {
                                not_before = now + SHORTEST_PAUSE.mul_f64(1.0 - JITTER);
                            }
                            (429, _) => {
                                not_before = Duration::ZERO;
                                asked = asked.max(now + wait.min(LONGEST_ASKED));
                            }
                            _ => not_before = Duration::ZERO,
                        }
                    }
                }
                let wait = pace.waits(Cause::Schedule, None, now);
                let open = now >= not_before.max(asked);
                prop_assert!(wait.is_some() || open, "{pace:?} at {now:?}");
                // A wake-up after what is left finds it open, and it is never far.
                let Some(Wait { left, .. }) = wait else { continue };
                prop_assert!(left <= LONGEST_ASKED);
                prop_assert_eq!(pace.waits(Cause::Schedule, None, now + left), None);
                prop_assert!(pace.ahead(None, now + left) > 0);
                let answered = pace.after(Sign::Success, ending(200, None), now, 0);
                prop_assert_eq!(answered.waits(Cause::Schedule, None, now).is_some(), now < asked);
            }
        }

        #[test]
        fn a_rate_is_never_exceeded_and_always_reached(
            rate in prop_oneof![0.01f64..2.0, 1.0f64..10_000.0],
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let (mut pace, mut now, mut begun) = (Pace::default(), START, Vec::new());
            for step in steps {
                match (step, pace.waits(Cause::Schedule, Some(rate), now)) {
                    (Step::Passes(millis), _) => now += Duration::from_millis(millis),
                    (Step::Begins, None) => {
                        pace = pace.begun(Some(rate), now);
                        begun.push(now);
                    }
                    (Step::Begins, Some(wait)) => {
                        prop_assert_eq!(wait.why, Why::Rate);
                        now += wait.left;
                        prop_assert_eq!(pace.waits(Cause::Schedule, Some(rate), now), None);
                    }
                    (Step::Ends(..), _) => {}
                }
            }
            // In any second: at most 1.05 times the rate, and one for the smallest.
            for (index, at) in begun.iter().enumerate() {
                let within = begun[index..].partition_point(|one| *one < *at + Duration::from_secs(1));
                prop_assert!(within as f64 <= (1.05 * rate).max(1.04 * rate + 1.0) + 1e-6, "{within}");
            }
            let flown_in = rate * (now - START).as_secs_f64();
            prop_assert!(begun.len() as f64 <= burst(rate) + flown_in + 1e-3, "{begun:?} at {rate}");
            // Whatever was spent is there again after the time of what may come at once.
            now += Duration::from_secs_f64(burst(rate) / rate + 1e-6);
            prop_assert!(pace.is_forgettable(Some(rate), now), "{pace:?}");
        }
    }
}
