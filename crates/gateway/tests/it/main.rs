//! One binary for all tests that use the public interface.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that panics is one that fails, and what it prints is its report"
)]

mod api;
mod call;
mod callback;
mod callback_client;
mod contract;
mod cookbook;
mod crash;
mod delivery;
mod early_answer;
mod fairness;
mod held;
mod listen;
mod oauth;
mod outbound;
mod overload;
mod process;
mod receive;
mod redirect;
mod sqlite;
mod support;
mod transform;
