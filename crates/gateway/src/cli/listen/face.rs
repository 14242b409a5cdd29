//! Who is told what happens: somebody at a screen, or whoever reads lines.

use std::future::pending;
use std::io;
use std::sync::Arc;

use super::event::{Event, Outcome};
use super::lines::Lines;
use super::screen::Screen;
use super::status::Status;

/// One of the two.
pub(super) enum Face {
    Lines(Lines),
    Screen(Box<Screen>),
}

/// What somebody at the screen wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Quit,
    /// This event to localhost once more.
    Again(Arc<Event>),
    /// Nothing more is handed over, or it is again.
    Pause(bool),
}

impl Face {
    pub(super) fn is_screen(&self) -> bool {
        matches!(self, Self::Screen(_))
    }

    /// The next wish; never where nobody can have one.
    pub(super) async fn wish(&mut self) -> Wish {
        match self {
            Self::Lines(_) => pending().await,
            Self::Screen(screen) => screen.wish().await,
        }
    }

    pub(super) fn draw(&mut self, status: &Status) -> io::Result<()> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Screen(screen) => screen.draw(status),
        }
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        if let Self::Screen(screen) = self {
            screen.close();
        }
    }

    /// The server knows us under this name.
    pub(super) fn opened(&mut self, name: &str) {
        if let Self::Screen(screen) = self {
            screen.state().named(name);
        }
    }

    pub(super) fn arrived(&mut self, event: &Arc<Event>) {
        if let Self::Screen(screen) = self {
            screen.state().arrived(Arc::clone(event));
        }
    }

    pub(super) fn ended(&mut self, event: &Event, outcome: &Outcome) -> io::Result<()> {
        match self {
            Self::Lines(lines) => lines.ended(event, outcome)?,
            Self::Screen(screen) => screen.state().ended(&event.id, outcome.clone()),
        }
        Ok(())
    }

    /// What was sent once more has ended.
    pub(super) fn repeated(&mut self, event: &Event, outcome: Outcome) {
        if let Self::Screen(screen) = self {
            let (ended, millis) = (outcome.ended.shortly(), outcome.took.as_millis());
            screen.state().say(&format!("sent {} again: {ended}, {millis} ms", event.id));
            screen.state().ended(&event.id, outcome);
        }
    }

    pub(super) fn problem(&mut self, what: &str) {
        match self {
            Self::Lines(lines) => lines.problem(what),
            Self::Screen(screen) => screen.state().say(what),
        }
    }

    pub(super) fn news(&mut self, status: &Status, what: &str) {
        match self {
            Self::Lines(lines) => lines.news(status, what),
            Self::Screen(screen) => screen.state().say(what),
        }
    }
}
