//! The second door: what providers call.
//!
//! A request to `/in/{token}` is judged by its source's provider ([`ringback_domain::provider`]),
//! and becomes a message of the source's application: from there on it is like any other.
//!
//! ```text
//!  request ─► directory ─► limits ─► read ─► judge ─┬─► challenge: answered, written down
//!             (source)                 keys ▲       ├─► decide ─► refused: written down, within bounds
//!                                           │       │    │  ▲
//!                                           │       │    │  └── schema
//!                                           │       └────┴─► messages ─► log::append ─► answer
//!                          replay ──────────┘                    ▲
//!                          (of what was written down) ───────────┘
//! ```
//!
//! After `log::append` and before the answer, [`correlate`] tells callbacks what the messages say.
//!
//! Invariants:
//! - Nothing is acknowledged as an event before its message is durable.
//! - The store cannot take it: 503, and nothing is half-stored.
//! - What was not proven makes no claim, so a forgery cannot make the real event a duplicate.
//! - What was not proven answers no callback, and what was acknowledged has answered its own.

mod accept;
mod call;
pub mod catalog;
mod config;
mod correlate;
mod decide;
mod directory;
mod door;
mod handshake;
mod headers;
mod keys;
mod limits;
mod message;
mod note;
mod read;
mod replay;
mod reply;

pub(crate) use accept::answer;
pub use accept::{OnCore, PREFIX, route};
pub use catalog::{Accounts, Catalog};
pub use config::{Acknowledge, Config, Dedupe, DedupeBy, MAX_BODY, OnViolation, Wrong};
pub use correlate::{Means, Options as Correlation};
pub use directory::{Directory, Ready, SETTINGS, STREAM, TOKEN, open_settings};
pub(crate) use door::Judged;
pub use door::{Door, Parts};
pub(crate) use headers::{
    HIDDEN, all as all_headers, sealed_of, shown_only as shown_headers, with_sealed,
};
pub use keys::Keys;
pub use replay::{Again, How, Refusal, Replayed};

use data_encoding::HEXLOWER;

use crate::callback::sha256;

fn hex_digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&sha256(bytes))
}
