//! The way out, with everything a hostile or broken receiver, name server or certificate can do.
//!
//! Time limits are checked on paused time over an invented network (`world`), names against a name
//! server of our own (`name_server`), and the guard with a victim that must never be called.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod connect;
mod exchange;
mod guard;
mod name_server;
mod names;
mod proxy;
mod tls;
mod world;
