//! Attempts: one HTTP request each, as it went.

use std::time::Duration;

use crate::{
    id::{AttemptId, EndpointId, MessageId},
    time::Timestamp,
};

/// What started an attempt. The numbers are the API's (`triggerType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The schedule. (0)
    #[default]
    Scheduled,
    /// Someone asked for it. (1)
    Manual,
}

/// The part of an attempt that takes time, and can fail. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before anything was sent: the endpoint's URL or secrets could not be used. (0)
    Prepare,
    /// Looking the host name up. (1)
    Dns,
    /// Judging the address. (2)
    Guard,
    /// TCP. (3)
    Connect,
    /// TLS. (4)
    Tls,
    /// Sending the request. (5)
    Send,
    /// Waiting for the answer's head. (6)
    FirstByte,
    /// Reading the answer's body. (7)
    Body,
    /// The answer itself was no success. (8)
    Status,
    /// Before anything was sent: whether the endpoint wants it could not be found out. (9)
    Filter,
    /// Before anything was sent: the message did not become what the destination takes. (10)
    Mapping,
    /// Handing over to a destination that has a protocol of its own. (11)
    Handover,
    /// Before anything was sent: the payload could not be put into the version that the endpoint
    /// is pinned to. (12)
    Convert,
    /// Before anything was sent: the endpoint's transformation failed, or wants nothing sent. (13)
    Transform,
    /// Before anything was sent: what opens the endpoint was not to be had. (14)
    Access,
}

impl Phase {
    /// Every phase, at the index of its stored number.
    pub const ALL: [Phase; 15] = [
        Phase::Prepare,
        Phase::Dns,
        Phase::Guard,
        Phase::Connect,
        Phase::Tls,
        Phase::Send,
        Phase::FirstByte,
        Phase::Body,
        Phase::Status,
        Phase::Filter,
        Phase::Mapping,
        Phase::Handover,
        Phase::Convert,
        Phase::Transform,
        Phase::Access,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        Phase::ALL.iter().position(|phase| *phase == self).unwrap_or(0) as i64
    }

    /// The phase with this stored number.
    pub fn from_number(number: i64) -> Option<Phase> {
        Phase::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Dns => "dns",
            Phase::Guard => "guard",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::FirstByte => "first_byte",
            Phase::Body => "body",
            Phase::Status => "status",
            Phase::Filter => "filter",
            Phase::Mapping => "mapping",
            Phase::Handover => "handover",
            Phase::Convert => "convert",
            Phase::Transform => "transform",
            Phase::Access => "access",
        }
    }
}

/// How long each phase took; zero where it did not happen (a kept connection has no DNS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking the host name up.
    pub dns: Duration,
    /// TCP.
    pub connect: Duration,
    /// TLS.
    pub tls: Duration,
    /// From the request's first byte sent to the answer's head.
    pub first_byte: Duration,
    /// Reading the answer's body.
    pub body: Duration,
    /// From start to end, waiting in between included.
    pub total: Duration,
}

/// What became of the delivery. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A 2xx: the delivery is settled. (0)
    Delivered,
    /// It failed and another attempt is planned. (1)
    Retry,
    /// It failed and was the last. (2)
    Exhausted,
    /// A manual attempt failed; the schedule, if any, goes on as it was. (3)
    Unchanged,
    /// It failed with 410 or for so long that the endpoint is now disabled; the delivery is held. (4)
    Held,
    /// The endpoint's filter, its transformation or the conversion to its version does not want it
    /// sent, so nothing was: the delivery is settled. (5)
    Filtered,
    /// It failed and was the last; what comes after it in its order waits until somebody sends it or
    /// skips it. (6)
    Blocked,
}

impl Outcome {
    /// Every outcome, at the index of its stored number.
    pub const ALL: [Outcome; 7] = [
        Outcome::Delivered,
        Outcome::Retry,
        Outcome::Exhausted,
        Outcome::Unchanged,
        Outcome::Held,
        Outcome::Filtered,
        Outcome::Blocked,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        Outcome::ALL.iter().position(|outcome| *outcome == self).unwrap_or(0) as i64
    }

    /// In a word, for metrics and for people who look at what happens.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Retry => "retry",
            Outcome::Exhausted => "exhausted",
            Outcome::Unchanged => "unchanged",
            Outcome::Held => "held",
            Outcome::Filtered => "filtered",
            Outcome::Blocked => "blocked",
        }
    }

    /// The outcome with this stored number.
    pub fn from_number(number: i64) -> Option<Outcome> {
        Outcome::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// A recorded attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its id; the time in it is when the attempt began.
    pub id: AttemptId,
    /// The message that was sent.
    pub message: MessageId,
    /// The endpoint it was sent to.
    pub endpoint: EndpointId,
    /// The endpoint's URL at that time.
    pub url: String,
    /// Counted from 1 within the delivery; manual ones do not count and have 0.
    pub number: u32,
    /// What started it.
    pub trigger: Trigger,
    /// The answer's status, 0 without one.
    pub status_code: u16,
    /// The beginning of the answer's body.
    pub response: Vec<u8>,
    /// The phase that failed; none for a success.
    pub failed: Option<Phase>,
    /// Why, in a word that stays the same (`connect_timeout`, `refused_by_policy` …).
    pub reason: Option<String>,
    /// How long it took.
    pub timings: Timings,
    /// What became of the delivery.
    pub outcome: Outcome,
    /// When the next attempt is planned.
    pub next_at: Option<Timestamp>,
    /// What the message was made into before it was sent: a [`Rendering`](crate::delivery::Rendering)
    /// as JSON text. None where it was sent as it is.
    pub rendering: Option<String>,
}

impl Attempt {
    /// Whether nothing is left to be done: the receiver took it, or does not want it.
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered | Outcome::Filtered)
    }
}
