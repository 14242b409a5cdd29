//! Destinations with protocols of their own against the real servers, which the tests start and end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and shows what its server said"
)]

mod broker;
mod conformance;
mod email;
mod nats;
mod postgres;
mod rabbitmq;
mod redis_stream;
mod server;
