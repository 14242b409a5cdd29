//! Ringback, the process: doors, log, engine, faces. See `ARCHITECTURE.md` for the map.
//!
//! In the order in which data flows: requests come in through [`http`], reach a door ([`send`]) or
//! a face ([`api`]), become durable in the [`log`], are delivered by the engine ([`deliver`]) through
//! the only way [`outbound`]. [`app`] starts and stops it all; [`wiring`] alone knows what the seams
//! ([`seam`]) and the store are made of.

pub mod app;
pub mod wiring;

pub mod contract;
pub mod core;
pub mod http;

pub mod auth;
pub mod callback;
pub mod receive;
pub mod send;

pub mod listen;
pub mod log;
pub mod oauth;
pub mod quota;

pub mod deliver;
pub mod outbound;
pub mod payloads;
pub mod transform;

pub mod tasks;

pub mod api;
pub mod operations;

pub mod cli;
pub mod control;
pub mod dev;
pub mod mcp;
pub mod telemetry;
mod terminal;

pub mod api_client;
pub mod config;
pub mod data_lock;
pub mod fd_limit;
pub mod housekeeping;
pub mod keyring;
pub mod seam;
