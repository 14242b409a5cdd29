//! Callback requests: everything that ever arrived at a callback, whoever it came from, and what
//! became of it.

use super::state::{self, Verdict};
use crate::{
    id::{CallbackRequestId, MessageId},
    time::Timestamp,
};

/// Something that arrived at a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Ringback's name for it.
    pub id: CallbackRequestId,
    /// What was wanted.
    pub act: Act,
    /// Who it came from.
    pub by: By,
    /// What became of it.
    pub fate: Fate,
    /// Which item of a stream it is, from 1.
    pub item: Option<u32>,
    /// Why it was refused, in a stable word.
    pub reason: Option<String>,
    /// How it was sent; empty if it was not by HTTP.
    pub method: String,
    /// Query and further path, without the secret.
    pub target: String,
    /// The address it came from.
    pub address: Option<String>,
    /// What the body is.
    pub content_type: Option<String>,
    /// Names in lower case and values; no credentials.
    pub headers: Vec<(String, String)>,
    /// The body's exact bytes. Absent when they were not asked for.
    pub body: Option<Vec<u8>>,
    /// How many bytes the body has.
    pub bytes: u64,
    /// The message of a source that it comes from.
    pub message: Option<MessageId>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// What was wanted. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// To answer. (0)
    Complete,
    /// To say that there will be no answer. (1)
    Fail,
    /// To end a stream. (2)
    Close,
    /// To say how far it is. (3)
    Progress,
    /// To say that somebody is alive. (4)
    Heartbeat,
    /// To come back with a browser. (5)
    Return,
    /// Not to wait any more. (6)
    Cancel,
    /// To wait until another time. (7)
    Extend,
}

/// Who a request came from. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Whoever has the URL. (0)
    Url,
    /// The application, through the API. (1)
    Application,
    /// A verified message of a source. (2)
    Source,
    /// What another server said when it was asked. (3)
    Lookup,
    /// What the call itself was answered with. (4)
    Call,
    /// A signature that a browser brought. (5)
    Signature,
}

/// What became of a request. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It ended the callback. (0)
    Settled,
    /// It is an item of a stream. (1)
    Item,
    /// It was noted. (2)
    Noted,
    /// The same answer came before. (3)
    Duplicate,
    /// Another answer came before. (4)
    Conflict,
    /// The callback had ended without an answer. (5)
    Late,
    /// It was not taken, and the callback is as it was. (6)
    Refused,
}

impl Act {
    /// All of them, by their stored number.
    pub const ALL: [Act; 8] = [
        Act::Complete,
        Act::Fail,
        Act::Close,
        Act::Progress,
        Act::Heartbeat,
        Act::Return,
        Act::Cancel,
        Act::Extend,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The act with this stored number.
    pub fn from_number(number: i64) -> Option<Act> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Act::Complete => "complete",
            Act::Fail => "fail",
            Act::Close => "close",
            Act::Progress => "progress",
            Act::Heartbeat => "heartbeat",
            Act::Return => "return",
            Act::Cancel => "cancel",
            Act::Extend => "extend",
        }
    }

    /// The one that [`state::Act`] is kept as; none for a look at the clock.
    pub fn of(act: state::Act) -> Option<Act> {
        Some(match act {
            state::Act::Answer(answer) if answer.failed => Act::Fail,
            state::Act::Answer(_) => Act::Complete,
            state::Act::Close => Act::Close,
            state::Act::Return => Act::Return,
            state::Act::Progress => Act::Progress,
            state::Act::Heartbeat => Act::Heartbeat,
            state::Act::Cancel => Act::Cancel,
            state::Act::Extend(_) => Act::Extend,
            state::Act::Tick => return None,
        })
    }
}

impl By {
    /// All of them, by their stored number.
    pub const ALL: [By; 6] =
        [By::Url, By::Application, By::Source, By::Lookup, By::Call, By::Signature];

    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The one with this stored number.
    pub fn from_number(number: i64) -> Option<By> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            By::Url => "url",
            By::Application => "application",
            By::Source => "source",
            By::Lookup => "lookup",
            By::Call => "call",
            By::Signature => "signature",
        }
    }
}

impl Fate {
    /// All of them, by their stored number.
    pub const ALL: [Fate; 7] = [
        Fate::Settled,
        Fate::Item,
        Fate::Noted,
        Fate::Duplicate,
        Fate::Conflict,
        Fate::Late,
        Fate::Refused,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The fate with this stored number.
    pub fn from_number(number: i64) -> Option<Fate> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Settled => "settled",
            Fate::Item => "item",
            Fate::Noted => "noted",
            Fate::Duplicate => "duplicate",
            Fate::Conflict => "conflict",
            Fate::Late => "late",
            Fate::Refused => "refused",
        }
    }

    /// Whether it is part of what was answered, so that it is never left out to save space.
    pub fn is_answer(self) -> bool {
        matches!(self, Fate::Settled | Fate::Item)
    }
}

impl From<Verdict> for Fate {
    fn from(verdict: Verdict) -> Fate {
        match verdict {
            Verdict::Settled => Fate::Settled,
            Verdict::Item(_) => Fate::Item,
            Verdict::Noted | Verdict::Nothing => Fate::Noted,
            Verdict::Duplicate => Fate::Duplicate,
            Verdict::Conflict => Fate::Conflict,
            Verdict::Late(_) => Fate::Late,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_each_ones_own() {
        assert!(Act::ALL.iter().all(|it| Act::from_number(it.number()) == Some(*it)));
        assert!(By::ALL.iter().all(|it| By::from_number(it.number()) == Some(*it)));
        assert!(Fate::ALL.iter().all(|it| Fate::from_number(it.number()) == Some(*it)));
        assert_eq!(
            (Act::from_number(8), By::from_number(6), Fate::from_number(7)),
            (None, None, None)
        );
        let acts: HashSet<_> = Act::ALL.iter().map(|it| it.name()).collect();
        let by: HashSet<_> = By::ALL.iter().map(|it| it.name()).collect();
        let fates: HashSet<_> = Fate::ALL.iter().map(|it| it.name()).collect();
        assert_eq!((acts.len(), by.len(), fates.len()), (8, 6, 7));
    }
}
