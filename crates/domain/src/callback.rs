//! Callbacks: one answer that somebody waits for, and the URL that it comes back to.
//!
//! An application starts something elsewhere (a payment, a render, an approval), hands out a URL, and
//! needs the answer: once, in time, whoever comes first. What may happen to a callback and what
//! becomes of whatever arrives is in [`state`]; what stands in its URL is in [`url`]; everything that
//! ever arrived at it is a [`request`]; what the application is told about it is in [`told`]. A
//! [`call`] is a request that Ringback sends itself with such a URL in it.

pub mod call;
pub mod correlate;
pub mod price;
pub mod redirect;
pub mod request;
pub mod state;
pub mod told;
pub mod url;

pub use price::Price;
pub use request::{Act, By, Fate, Request};
pub use state::{Answer, Course, Heartbeat, Mode, State, Step, Verdict};
pub use told::Told;
pub use url::{Presented, Purpose, Token, Turn, UrlKeys};

use crate::{
    application::Metadata,
    id::{ApplicationId, CallbackId, CallbackRequestId, Key, SourceId},
    scope::Scope,
    time::Timestamp,
};

/// A callback.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// Ringback's name for it.
    pub id: CallbackId,
    /// Whose.
    pub scope: Scope,
    /// The application that waits.
    pub application: ApplicationId,
    /// Who comes back.
    pub kind: Kind,
    /// How far it is.
    pub course: Course,
    /// Which URL opens it.
    pub turn: Turn,
    /// How it is answered, as JSON; see the gateway's `callback::Terms`.
    pub terms: String,
    /// The secrets of the terms, sealed.
    pub sealed: Option<Vec<u8>>,
    /// The source whose messages may answer it.
    pub source: Option<SourceId>,
    /// What the other side calls it: unique among those of its source, or of its application if it
    /// has none.
    pub reference: Option<String>,
    /// What has to be paid, where that is expected: whatever completes it has to say the same.
    pub expects: Price,
    /// The caller's words for finding it.
    pub tags: Vec<String>,
    /// The caller's labels.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended; of a deadline that nobody has written down yet, when it passed.
    pub settled_at: Option<Timestamp>,
    /// The request that ended it; a deadline is none.
    pub settled_by: Option<CallbackRequestId>,
    /// How many requests there were.
    pub requests: u32,
}

/// Who comes back. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A machine, or a person who confirms, with the answer. (0)
    Result,
    /// A browser, with what proves nothing. (1)
    Redirect,
}

impl Kind {
    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The kind with this stored number.
    pub fn from_number(number: i64) -> Option<Kind> {
        [Kind::Result, Kind::Redirect].get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Result => "result",
            Kind::Redirect => "redirect",
        }
    }
}

impl Callback {
    /// Among whose callbacks its reference is unique.
    pub fn owner(&self) -> Key {
        self.source.map_or(self.scope.application, SourceId::key)
    }

    /// It as it is at `now`: a deadline that has passed has passed.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Callback {
        let state = self.course.at(now);
        if self.course.state.is_open() && !state.is_open() {
            self.settled_at = Some(self.course.due_at());
        }
        self.course.state = state;
        self
    }

    /// What follows from what somebody does to it at `now`. What verifies a redirect says the same in
    /// words of its own: there, answers that go the same way are the same.
    pub fn act(&self, act: state::Act, now: Timestamp) -> Step {
        let act = match (act, self.kind) {
            (state::Act::Answer(answer), Kind::Redirect) => {
                state::Act::Answer(Answer { body: [0; 32], ..answer })
            }
            (act, _) => act,
        };
        self.course.act(act, now)
    }

    /// It after a step, which `request` was the cause of unless a deadline was.
    #[must_use]
    pub fn after(
        mut self,
        step: &Step,
        request: Option<CallbackRequestId>,
        now: Timestamp,
    ) -> Callback {
        if step.ended.is_some() {
            let by_deadline = step.ended == Some(State::Expired);
            self.settled_at = Some(if by_deadline { self.course.due_at().min(now) } else { now });
            self.settled_by = request.filter(|_| step.verdict == Verdict::Settled);
        }
        self.course = step.after.clone();
        self
    }
}
