//! Programs of users: JavaScript that runs in child processes of this program, which can compute and
//! nothing else.
//!
//! ```text
//!  Sandbox ─ a turn (turn.rs) ─► a child (child.rs) ══ frames (frame.rs) ══► guest.rs ─► engine.rs
//! ```
//!
//! The child is [`COMMAND`] of the same binary. It gives up whatever it could do harm with
//! (`confine.rs`) before it reads its first program. An engine has bounds of its own, but some of its
//! operations never ask whether their time is up, so the bound that counts is the end of the process
//! (docs/adr/0023-transformations.md).
//!
//! Invariants: nothing of a call is there in the next one; a call ends within [`HARD_TIME`], whatever
//! the program does; nothing but text goes in or out.

mod child;
mod confine;
mod engine;
mod frame;
mod guest;
mod sandbox;
mod stored;
mod turn;
mod webhook;

use std::{sync::Arc, time::Duration};

use ringback_domain::{id::Key, time::Timestamp};
use serde::{Deserialize, Serialize};

pub use guest::main as guest;
pub use sandbox::{Sandbox, Settings, this_program};
pub use stored::{PURPOSE, Transformation};
pub use webhook::{Made, Webhook};

/// The hidden command of this program that is a child.
pub const COMMAND: &str = "transform-child";

/// The longest program, in bytes.
pub const MAX_PROGRAM: usize = 64 * 1024;
/// The longest text that a program is given, in bytes.
pub const MAX_INPUT: usize = 4 * 1024 * 1024;
/// The longest text that it may give back, in bytes.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// The longest text of a failure, in bytes.
const MAX_MESSAGE: usize = 2 * 1024;
/// How much of what it logs is kept, in bytes.
pub const MAX_LOG: usize = 8 * 1024;
/// How long it may compute, where the engine asks.
pub const SOFT_TIME: Duration = Duration::from_millis(250);
/// When its process is ended.
pub const HARD_TIME: Duration = Duration::from_secs(1);
/// Memory that it may use, in bytes.
pub const MEMORY: usize = 32 * 1024 * 1024;
/// How deep its calls may go, in bytes of stack.
pub const STACK: usize = 256 * 1024;
/// Calls of one tenant at once.
pub const PER_TENANT: usize = 2;

/// One call of a program.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose it is: the environment.
    pub tenant: Key,
    /// The source text.
    pub program: Arc<str>,
    /// What of it is called.
    pub entry: Entry,
    /// What it is called with, as JSON.
    pub input: String,
    /// What its clock says, for as long as it runs.
    pub at: Timestamp,
    /// What its random numbers are made of.
    pub seed: u64,
}

/// The function of a program that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// `handler(webhook)` gives back the webhook.
    Handler,
    /// `convert(payload)` gives back a payload.
    Convert,
}

impl Entry {
    /// The function's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Entry::Handler => "handler",
            Entry::Convert => "convert",
        }
    }
}

/// What a program gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// What its function returned, as JSON.
    pub output: String,
    /// What it logged, a line each.
    pub log: String,
}

/// Why a program gave nothing back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Failure {
    /// It threw this, or cannot be compiled; with the place if there is one.
    #[error("{0}")]
    Threw(String),
    /// It did not come to an end.
    #[error("the program did not end within 250 ms of computing, or 1 s in all")]
    Timeout,
    /// It wanted more memory than there is for it.
    #[error("the program needs more than 32 MiB of memory")]
    Memory,
    /// The program, what it is given or what it gives back is too long.
    #[error("{0}")]
    TooLarge(String),
    /// It is not what can be called, or gives back what cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Its process ended in a way that no program should be able to bring about.
    #[error("the program ended its process")]
    Died,
    /// Too many calls wait; later there may be room.
    #[error("too many programs wait for their turn: try again later")]
    Busy,
    /// No process can be started for it; later there may be one.
    #[error("no process can be started for the program: try again later")]
    Gone,
}

impl Failure {
    /// It with no more text than people read: a program may throw megabytes.
    pub(super) fn shortened(self) -> Failure {
        let short = |mut text: String| {
            text.truncate(text.floor_char_boundary(MAX_MESSAGE));
            text
        };
        match self {
            Failure::Threw(text) => Failure::Threw(short(text)),
            Failure::TooLarge(text) => Failure::TooLarge(short(text)),
            Failure::Invalid(text) => Failure::Invalid(short(text)),
            failure => failure,
        }
    }

    /// Whether the same call may well succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Failure::Busy | Failure::Gone)
    }

    /// The word for it in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Failure::Threw(_) => "threw",
            Failure::Timeout => "timeout",
            Failure::Memory => "memory",
            Failure::TooLarge(_) => "too_large",
            Failure::Invalid(_) => "invalid",
            Failure::Died => "died",
            Failure::Busy => "busy",
            Failure::Gone => "gone",
        }
    }
}
