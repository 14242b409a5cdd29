//! The executor: per-core threads, each with a single-threaded runtime of its own, and the way to
//! talk to them. No thread and no runtime is made anywhere else.

mod mailbox;
mod random;
mod thread;

pub use mailbox::Mailbox;
pub use random::Random;
pub use thread::{Core, Shared};

/// How far the process has come, for everything that ends in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Requests are taken.
    Serving,
    /// No new requests; those that were begun are finished.
    Closing,
    /// Everything that was begun is recorded: cores end.
    Ended,
}
