//! The receiver from outside: what it has in common with the other languages, and its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics is one that fails, and what it prints is its report"
)]

#[cfg(feature = "callback")]
mod callbacks;
mod example;
#[cfg(feature = "callback")]
mod playing;
mod providers;
mod scenarios;
mod service;

/// Where the repository begins.
fn root() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
