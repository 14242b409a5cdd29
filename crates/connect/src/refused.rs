//! Why an event was not taken.

use std::io;

/// What is kept of an explanation, in bytes.
const EXPLAINED: usize = 1024;

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The same event would be refused again.
    pub permanent: bool,
    /// One word: `connection_refused`, `constraint`.
    pub reason: &'static str,
    /// What the other side said; never a secret.
    pub explanation: String,
}

impl Refused {
    /// It may be taken another time.
    pub(crate) fn for_now(reason: &'static str, explanation: impl Into<String>) -> Refused {
        Refused { permanent: false, reason, explanation: shortened(explanation.into()) }
    }

    /// It will never be taken as it is.
    pub(crate) fn for_good(reason: &'static str, explanation: impl Into<String>) -> Refused {
        Refused { permanent: true, reason, explanation: shortened(explanation.into()) }
    }

    /// The other side said what its protocol does not know.
    pub(crate) fn nonsense(explanation: &str) -> Refused {
        Refused::for_now("protocol", explanation)
    }
}

/// A connection that broke before there was an answer.
impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::for_now("connection_lost", error.to_string())
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(EXPLAINED));
    text
}
