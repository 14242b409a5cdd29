//! The store's rules against every implementation, and what only one of them promises.

#![allow(clippy::unwrap_used, reason = "what the tests' functions cannot do, fails the test")]

#[macro_use]
mod cases;

mod entries;
mod lists;
mod pooled;
mod postgres;
mod sqlite;
mod tls;
mod transfer;
