//! Listening: what arrives at sources, told to whoever is connected, and to whoever asks.
//!
//! A *listener* is a named, durable place in what arrived. Whoever listens goes on from there after
//! any break, so nothing is lost and nothing comes out of order.
//!
//! ```text
//!  log::append ──► bells ─┐ hint                        ┌─► socket (one connection, events and answers)
//!                         ▼                             │
//!  store ── arrivals ──► live (what was read, who has it) ─┤
//!    ▲                    │                             └─► (another connection, if it is shared)
//!    └──── places ────────┘ everything up to here is dealt with
//!
//!  store ── arrivals ──► pull  (asks over HTTP and comes again)
//!  store ── arrivals ──► stream (an event stream as smee has it)
//!  store ── arrivals ──► poll  (an application's endpoint that is read instead of called)
//! ```
//!
//! Invariants: the store decides, rings are hints. A place never moves over what nobody has dealt
//! with. What is told is the bytes as they came.

mod event;
mod heard;
mod hub;
mod live;
mod poll;
mod pull;
mod socket;
mod stream;
mod terms;

pub use event::Event;
pub(crate) use hub::Answerers;
pub use hub::{Connected, Listeners, Parts, Seen};
pub use poll::{Asked, Followed, Given, Polled};
pub use pull::{Pulled, Pulling};
pub use socket::{Coming, Refused, upgrade};
pub use stream::{PREFIX, Streams, routes};
pub use terms::{EVENT_TYPES, SOURCES, Terms};
