//! What is said line by line, where there is no interactive screen: events on the standard output,
//! everything else on the standard error.

use std::io;

use super::event::{Event, Outcome};
use super::line;
use super::status::Status;
use crate::cli::{data, note};
use crate::terminal::Colours;

/// How events are told.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(super) enum Print {
    /// One line an event
    Compact,
    /// One JSON object an event
    Json,
    /// Only what went wrong
    Quiet,
}

/// The two outputs.
pub(super) struct Lines {
    pub(super) print: Print,
    pub(super) colours: Colours,
}

impl Lines {
    /// An event is dealt with.
    pub(super) fn ended(&self, event: &Event, outcome: &Outcome) -> io::Result<()> {
        match self.print {
            Print::Json => data(&line::json(event, outcome)),
            Print::Quiet if outcome.is_good() => Ok(()),
            Print::Compact | Print::Quiet => data(&line::compact(event, outcome, self.colours)),
        }
    }

    /// Something is wrong.
    pub(super) fn problem(&self, what: &str) {
        note(&line::plain(what));
    }

    /// Something is as it should be.
    pub(super) fn news(&self, status: &Status, what: &str) {
        // Whoever was told of a loss is told of its end, too.
        if self.print != Print::Quiet || status.was_lost {
            note(&line::plain(what));
        }
    }
}
