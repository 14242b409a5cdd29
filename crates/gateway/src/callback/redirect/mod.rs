//! Callbacks to which a browser comes back: what proves what it brings, and where it is sent on to.
//!
//! ```text
//!  browser ─► arrive ─┬─► errand put down: a lookup, made again until it is certain ─► lookup ─┐
//!                     ├─► step: returned; and completed or failed, if a signature says so ─────┼─► settled
//!                     └─► hold page, or 303 to a target ◄── waits for ─────────────────────────┘
//! ```
//!
//! What is proven how is said in [`ringback_domain::callback::redirect`]; here it is asked for and
//! written down. The errand is put down before the step, so that no crash loses a verification.

mod arrive;
mod lookup;
mod options;

pub(crate) use lookup::Lookup;
pub use options::{Expect, Options};
