//! One binary for all tests that use the public interface.

mod api;
mod crash;
mod fairness;
mod faults;
mod outbound;
mod support;
