//! The engine: from a due delivery to a recorded attempt.
//!
//! Each active endpoint has a *lane*: its queue, its window, its connections, its health. Lanes
//! are spread over the cores; a lane lives on one core and is touched by nobody else. A core's
//! [`worker`](worker::Worker) takes what is due, makes attempts and records them in batches.
//!
//! ```text
//!  log::append ─► mailbox ─► lane (head in memory, the rest in the store) ─► prepare ─► attempt
//!                              ▲  refill: store.due                                      │
//!                              └────────── timer ◄── record (batch, one commit) ◄────────┘
//! ```
//!
//! Invariants: only the head of a lane is in memory; what is in memory is pending in the store too,
//! so a crash loses nothing; a delivery is in memory at most once; no attempt is made before it is
//! due, nor with a state of the endpoint older than the last change that was acknowledged.

mod breakers;
mod engine;
mod services;

mod state;
mod worker;

mod lane;

mod prepare;
mod sealed;

mod convert;
mod recipe;

mod fixed;
mod render;

mod control;
mod destination;
mod handshake;
mod route;
mod signed;
mod style;

mod access;
mod token;

mod attempt;
mod batch;
mod claim;

mod conclude;
mod notice;
mod record;

mod recover;
mod upkeep;

pub use breakers::Breakers;
pub use engine::{Engine, Post};
pub use handshake::Consents;
pub use recipe::{Kept, Made, Recipe, Tools, Unmade};
pub use services::{Limits, Services};
pub use style::Providers;
pub use token::Tokens;
pub use worker::work;
