//! What may happen to a callback, and what becomes of whatever arrives at it.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> pending: created
//!     pending --> returned: the browser came back
//!     pending --> completed: an answer
//!     pending --> failed: the other side gave up
//!     pending --> expired: a deadline passed
//!     pending --> canceled: the application
//!     returned --> completed: verified
//!     returned --> failed
//!     returned --> expired
//!     returned --> canceled
//! ```
//!
//! A callback ends once: [`Course::act`] is the only way there, and whoever stores what it returns
//! does so in the same transaction as the event about it. Deadlines count by themselves:
//! [`Course::at`] says the state at a time, whether or not anybody has noticed yet, so that an
//! answer and a deadline are never both told that they won.

use std::time::Duration;

use crate::time::Timestamp;

/// How far a callback is. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has come yet. (0)
    Pending,
    /// A browser came back with what proves nothing. (1)
    Returned,
    /// There is an answer. (2)
    Completed,
    /// The other side, or the application, said that there will be none. (3)
    Failed,
    /// A deadline passed. (4)
    Expired,
    /// The application does not want it any more. (5)
    Canceled,
}

impl State {
    /// Every state, at the index of its stored number.
    pub const ALL: [State; 6] = [
        State::Pending,
        State::Returned,
        State::Completed,
        State::Failed,
        State::Expired,
        State::Canceled,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        State::ALL.iter().position(|state| *state == self).unwrap_or(0) as i64
    }

    /// The state with this stored number.
    pub fn from_number(number: i64) -> Option<State> {
        State::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Returned => "returned",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Canceled => "canceled",
        }
    }

    /// Whether it can still change.
    pub fn is_open(self) -> bool {
        matches!(self, State::Pending | State::Returned)
    }
}

/// A callback as far as it matters for what may happen to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// How far it was when it was last written; [`Course::at`] says how far it is.
    pub state: State,
    /// When it ends by itself, whatever anybody says of their progress.
    pub expires_at: Timestamp,
    /// Whether the other side has to say that it is alive.
    pub heartbeat: Option<Heartbeat>,
    /// How many answers it takes.
    pub mode: Mode,
    /// What ended it, if an answer did.
    pub answered: Option<Answer>,
}

/// A deadline that moves whenever the other side says that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The longest silence.
    pub within: Duration,
    /// When it was last heard of; at first, when the callback was created.
    pub seen_at: Timestamp,
}

/// How many answers it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The first one ends it.
    Single,
    /// Answers are items of a list, until there are so many or somebody ends it.
    Stream {
        /// How many came.
        taken: u32,
        /// How many end it.
        most: u32,
    },
}

/// An answer as far as it is compared: which way it went, and a hash of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is a failure.
    pub failed: bool,
    /// SHA-256 of the body's exact bytes.
    pub body: [u8; 32],
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The answer, from the other side or from the application.
    Answer(Answer),
    /// A stream has no more items.
    Close,
    /// A browser came back.
    Return,
    /// How far the other side is.
    Progress,
    /// The other side is alive.
    Heartbeat,
    /// The application does not want it any more.
    Cancel,
    /// The application waits until then instead.
    Extend(Timestamp),
    /// It is time to look at the clock.
    Tick,
}

/// What somebody did, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is said to whoever did it.
    pub verdict: Verdict,
    /// The state in which the callback has ended, if this is where it did: by what was done, or by a
    /// deadline that is noticed now. It is in exactly one step of a callback, and there is exactly one
    /// event about it.
    pub ended: Option<State>,
    /// The callback after it.
    pub after: Course,
}

/// What is said to whoever did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ended the callback.
    Settled,
    /// It is one more item of a stream, the so many-th.
    Item(u32),
    /// It is noted; the callback goes on.
    Noted,
    /// The same answer ended it before.
    Duplicate,
    /// Another answer ended it before.
    Conflict,
    /// It ended in this state, which has no answer.
    Late(State),
    /// Nothing changed, and nobody has to know.
    Nothing,
}

impl Course {
    /// How far it is at `now`, and since when: a deadline that passed has passed, whether or not
    /// anybody has written it down.
    pub fn at(&self, now: Timestamp) -> State {
        if self.state.is_open() && self.due_at() <= now { State::Expired } else { self.state }
    }

    /// When it ends by itself.
    pub fn due_at(&self) -> Timestamp {
        let silence = self.heartbeat.map(|heartbeat| heartbeat.seen_at + heartbeat.within);
        silence.map_or(self.expires_at, |silence| silence.min(self.expires_at))
    }

    /// What follows from what somebody does at `now`.
    ///
    /// A deadline that has passed comes first: then that is how it ended, and whoever did something
    /// is late.
    #[must_use]
    pub fn act(&self, act: Act, now: Timestamp) -> Step {
        let state = self.at(now);
        let mut after = Course { state, ..self.clone() };
        if !state.is_open() {
            let ended = self.state.is_open().then_some(state);
            return Step { verdict: self.too_late(state, act), ended, after };
        }
        // Whoever does something is alive.
        if let (Some(heartbeat), true) = (&mut after.heartbeat, act.is_theirs()) {
            heartbeat.seen_at = heartbeat.seen_at.max(now);
        }
        let verdict = match act {
            Act::Answer(answer) => after.answer(answer),
            Act::Close => after.end(State::Completed),
            Act::Return if state == State::Returned => Verdict::Nothing,
            Act::Return => {
                after.state = State::Returned;
                Verdict::Noted
            }
            Act::Progress | Act::Heartbeat => Verdict::Noted,
            Act::Cancel => after.end(State::Canceled),
            Act::Extend(until) => {
                after.expires_at = until;
                // To a time that has passed means now.
                if until <= now { after.end(State::Expired) } else { Verdict::Noted }
            }
            Act::Tick => Verdict::Nothing,
        };
        let ended = (!after.state.is_open()).then_some(after.state);
        Step { verdict, ended, after }
    }

    fn answer(&mut self, answer: Answer) -> Verdict {
        if let (Mode::Stream { taken, most }, false) = (&mut self.mode, answer.failed) {
            *taken = taken.saturating_add(1);
            if *taken < *most {
                return Verdict::Item(*taken);
            }
        }
        self.answered = Some(answer);
        self.end(if answer.failed { State::Failed } else { State::Completed })
    }

    fn end(&mut self, state: State) -> Verdict {
        self.state = state;
        Verdict::Settled
    }

    /// What is said to whoever comes after the end.
    fn too_late(&self, state: State, act: Act) -> Verdict {
        match (act, state) {
            (Act::Tick, _) => Verdict::Nothing,
            (Act::Answer(answer), State::Completed | State::Failed) => match self.answered {
                Some(first) if first == answer => Verdict::Duplicate,
                _ => Verdict::Conflict,
            },
            // What was asked for is so.
            (Act::Cancel, State::Canceled) | (Act::Close, State::Completed) => Verdict::Duplicate,
            // A browser that comes back after a webhook has settled it, or twice.
            (Act::Return, State::Completed | State::Failed) => Verdict::Noted,
            _ => Verdict::Late(state),
        }
    }
}

impl Act {
    /// Whether it is the other side that does it.
    fn is_theirs(self) -> bool {
        matches!(self, Act::Answer(_) | Act::Progress | Act::Heartbeat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn callback() -> Course {
        Course {
            state: State::Pending,
            expires_at: Timestamp(1_000),
            heartbeat: None,
            mode: Mode::Single,
            answered: None,
        }
    }

    fn answer(body: u8) -> Answer {
        Answer { failed: false, body: [body; 32] }
    }

    /// What is said, and how it is after that.
    fn done(callback: &Course, act: Act, now: i64) -> (Verdict, Course) {
        let Step { verdict, ended, after } = callback.act(act, Timestamp(now));
        assert_eq!(ended.is_some(), callback.state.is_open() && !after.state.is_open());
        (verdict, after)
    }

    #[test]
    fn the_first_answer_ends_it() {
        let (verdict, after) = done(&callback(), Act::Answer(answer(1)), 10);
        assert_eq!((verdict, after.state), (Verdict::Settled, State::Completed));
        for (act, expect) in [
            (Act::Answer(answer(1)), Verdict::Duplicate),
            (Act::Answer(answer(2)), Verdict::Conflict),
            (Act::Answer(Answer { failed: true, body: [1; 32] }), Verdict::Conflict),
            (Act::Cancel, Verdict::Late(State::Completed)),
            (Act::Heartbeat, Verdict::Late(State::Completed)),
            (Act::Return, Verdict::Noted),
            (Act::Extend(Timestamp(9_000)), Verdict::Late(State::Completed)),
            (Act::Tick, Verdict::Nothing),
        ] {
            assert_eq!(done(&after, act, 5_000), (expect, after.clone()), "{act:?}");
        }
    }

    #[test]
    fn a_deadline_counts_although_nobody_has_noticed() {
        assert_eq!(callback().at(Timestamp(999)), State::Pending);
        assert_eq!(callback().at(Timestamp(1_000)), State::Expired);
        let late = Verdict::Late(State::Expired);
        for (act, expect) in
            [(Act::Answer(answer(1)), late), (Act::Cancel, late), (Act::Tick, Verdict::Nothing)]
        {
            let (verdict, after) = done(&callback(), act, 1_000);
            assert_eq!((verdict, after.state), (expect, State::Expired), "{act:?}");
        }
    }

    #[test]
    fn a_heartbeat_moves_its_own_deadline_and_no_other() {
        let within = Duration::from_millis(300);
        let heartbeat = Some(Heartbeat { within, seen_at: Timestamp(0) });
        let callback = Course { heartbeat, ..callback() };
        assert_eq!(callback.at(Timestamp(300)), State::Expired);
        let (_, heard) = done(&callback, Act::Heartbeat, 299);
        assert_eq!(heard.due_at(), Timestamp(599));
        let (_, progressed) = done(&heard, Act::Progress, 500);
        assert_eq!(progressed.due_at(), Timestamp(800));
        let (_, returned) = done(&progressed, Act::Return, 700);
        assert_eq!(returned.due_at(), Timestamp(800), "a browser is not the other side");
        let (_, heard) = done(&progressed, Act::Heartbeat, 790);
        assert_eq!(heard.due_at(), Timestamp(1_000), "the last word is the deadline's");
    }

    #[test]
    fn a_stream_ends_when_it_is_full_closed_or_failed() {
        let stream = Course { mode: Mode::Stream { taken: 0, most: 2 }, ..callback() };
        let (verdict, one) = done(&stream, Act::Answer(answer(1)), 1);
        assert_eq!((verdict, one.state), (Verdict::Item(1), State::Pending));
        // An item that repeats is an item: nobody but the other side knows whether it is the same.
        let (verdict, two) = done(&one, Act::Answer(answer(1)), 2);
        assert_eq!((verdict, two.state), (Verdict::Settled, State::Completed));
        assert_eq!(done(&one, Act::Close, 2).1.state, State::Completed);
        let failed = Act::Answer(Answer { failed: true, body: [0; 32] });
        assert_eq!(done(&one, failed, 2).1.state, State::Failed);
    }

    #[test]
    fn numbers_and_names_are_each_states_own() {
        for state in State::ALL {
            assert_eq!(State::from_number(state.number()), Some(state));
        }
        let names: std::collections::HashSet<_> = State::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), State::ALL.len());
        assert_eq!(State::from_number(6), None);
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (any::<bool>(), 0u8..2)
                .prop_map(|(failed, body)| Act::Answer(Answer { failed, body: [body; 32] })),
            Just(Act::Close),
            Just(Act::Return),
            Just(Act::Progress),
            Just(Act::Heartbeat),
            Just(Act::Cancel),
            (0i64..3_000).prop_map(|at| Act::Extend(Timestamp(at))),
            Just(Act::Tick),
        ]
    }

    fn any_callback() -> impl Strategy<Value = Course> {
        let heartbeat = prop::option::of(1u64..800);
        let mode = prop_oneof![
            Just(Mode::Single),
            (1u32..4).prop_map(|most| Mode::Stream { taken: 0, most })
        ];
        (heartbeat, mode).prop_map(|(within, mode)| Course {
            heartbeat: within.map(|within| Heartbeat {
                within: Duration::from_millis(within),
                seen_at: Timestamp(0),
            }),
            mode,
            ..callback()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Whatever happens in whichever order: it ends at most once, what ended stays as it is, and
        /// whoever is told that they won did, alone.
        #[test]
        fn it_ends_once(
            start in any_callback(),
            acts in prop::collection::vec((act(), 0i64..400), 1..40),
        ) {
            let (mut callback, mut now, mut end) = (start, Timestamp(0), None);
            for (act, later) in acts {
                now = Timestamp(now.millis() + later);
                let before = callback.at(now);
                let Step { verdict, ended, after } = callback.act(act, now);
                prop_assert_eq!(after.at(now), after.state, "what is written is what is");
                if let Some(ended) = ended {
                    prop_assert!(end.is_none(), "{:?} ended it again", act);
                    prop_assert!(!ended.is_open());
                    end = Some(ended);
                }
                prop_assert_eq!(end, Some(after.state).filter(|state| !state.is_open()));
                match verdict {
                    Verdict::Settled => {
                        prop_assert!(before.is_open() && ended.is_some(), "{:?} won late", act);
                    }
                    Verdict::Duplicate | Verdict::Conflict | Verdict::Late(_) => {
                        prop_assert!(!before.is_open(), "{:?} came in time", act);
                    }
                    Verdict::Item(_) => prop_assert!(before.is_open() && ended.is_none()),
                    Verdict::Noted | Verdict::Nothing => {}
                }
                // Whoever does not hear the answer and repeats theirs learns that they won.
                if let (Act::Answer(_), Verdict::Settled) = (act, verdict) {
                    prop_assert_eq!(after.act(act, now).verdict, Verdict::Duplicate);
                }
                callback = after;
            }
        }
    }
}
