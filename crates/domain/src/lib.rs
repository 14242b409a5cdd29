//! The pure rules of Ringback.
//!
//! Nothing in here does I/O, reads a clock or draws a random number: `now` and random bytes are
//! arguments. That is what lets a simulation drive the same rules through years in seconds.
//!
//! Suggested reading order: what things are ([`id`], [`scope`], [`application`], [`endpoint`],
//! [`message`], [`attempt`]), which endpoints a message is for ([`route`], [`filter`]), what happens
//! after an attempt ([`retry`], [`lane`], [`pace`], [`breaker`]), and what goes over the wire ([`signature`], [`target`],
//! [`address`]).

pub mod application;
pub mod attempt;
pub mod callback;
pub mod contract;
pub mod delivery;
pub mod destination;
pub mod endpoint;
pub mod event_type;
pub mod example;
pub mod id;
pub mod listener;
pub mod message;
pub mod mistake;
pub mod oauth;
pub mod payload;
pub mod poll;
pub mod scope;
pub mod shard;
pub mod source;
pub mod task;
pub mod time;

pub mod breaker;
pub mod filter;
pub mod idempotency;
pub mod json;
pub mod lane;
pub mod pace;
pub mod provider;
pub mod quota;
pub mod replay;
pub mod retry;
pub mod route;
pub mod schema;

pub mod access;
pub mod address;
mod base64;
mod hash;
pub mod header;
mod jwa;
mod public_key;
pub mod seal;
pub mod signature;
pub mod target;
pub mod token;
