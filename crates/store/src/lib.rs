//! Durable storage: the only place with SQL and database drivers.
//!
//! [`Store`] is the seam; its documentation lists the rules that an implementation keeps, and
//! [`conformance`] checks them against any implementation. [`sqlite`] is the embedded one,
//! [`postgres`] the one on a server.

mod store;

mod catalog;
mod due;
mod list;
mod log;
mod token;

mod access;
pub mod audit;
mod callback;
mod connection;
mod consumer;
mod contract;
mod expunge;
mod import;
mod listener;
mod quota;
mod replay;
mod reseal;
mod search;
mod source;
mod statistics;
mod task;

pub mod conformance;
pub mod postgres;
pub mod sqlite;
pub mod transfer;

mod change;
mod commit;
mod matching;
mod ordering;
mod pages;
mod timings;

pub use access::*;
pub use audit::{Act, Actor, Audit, AuditQuery, Entry};
pub use callback::*;
pub use catalog::*;
pub use commit::*;
pub use connection::*;
pub use consumer::*;
pub use contract::*;
pub use due::*;
pub use expunge::*;
pub use import::*;
pub use list::*;
pub use listener::*;
pub use log::*;
pub use ordering::{Rank, Skipped};
pub use quota::*;
pub use replay::*;
pub use reseal::*;
pub use search::*;
pub use source::*;
pub use statistics::*;
pub use store::*;
pub use task::*;
pub use token::*;
