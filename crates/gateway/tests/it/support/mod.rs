//! What tests of the whole server stand on: the real binary as a child process, receivers that do
//! as they are told, and a client.

mod authority;
mod receiver;
mod server;
mod store;
mod visitor;

pub(crate) use authority::Authority;
pub(crate) use receiver::{Answer, Receipt, Receiver};
pub(crate) use server::{Server, Settings, TOKEN};
pub(crate) use store::{Kept, Store};
pub(crate) use visitor::{Answered, browse, call, tried};

use std::time::Duration;

use ringback::{
    telemetry::metrics::Metrics,
    transform::{self, Sandbox},
};

/// How long anything may take before a test fails instead of waiting on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox whose children are the program that is tested.
pub(crate) fn sandbox() -> Sandbox {
    let program = env!("CARGO_BIN_EXE_ringback").into();
    let settings = transform::Settings { program, children: 4, waiting: 64 };
    Sandbox::new(settings, tokio::runtime::Handle::current(), Metrics::new())
}
