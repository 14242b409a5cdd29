//! Contracts of event types while messages are accepted and delivered: which version a payload has,
//! whether it fits, and what it becomes for an endpoint that is pinned to an older one.
//!
//! ```text
//!  send ─► admit (version, schema, ordering key) ─► log ··· deliver ─► convert (pin, chain, memo)
//! ```
//!
//! What the store says is remembered for a few seconds, like sources are: a type without a contract
//! costs a look into a map. Payloads are converted when they are delivered, never before, and once for
//! all endpoints that are pinned alike.

mod admit;
mod convert;
mod directory;
mod memo;

pub use admit::{Admitted, Refused};
pub use convert::{Shaped, Trial, Unshaped};
pub(crate) use directory::revision;
pub use directory::{Directory, Edition, Known};
