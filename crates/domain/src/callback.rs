//! Callbacks: one answer that somebody waits for, and the URL that it comes back to.
//!
//! An application starts something elsewhere (a payment, a render, an approval), hands out a URL, and
//! needs the answer: once, in time, whoever comes first. What may happen to a callback and what
//! becomes of whatever arrives is in [`state`]; what stands in its URL is in [`url`].

pub mod state;
pub mod url;

pub use state::{Act, Answer, Callback, Heartbeat, Mode, State, Step, Verdict};
pub use url::{Presented, Purpose, Token, Turn, UrlKeys};
