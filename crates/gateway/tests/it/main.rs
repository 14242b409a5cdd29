//! One binary for all tests that use the public interface.

mod api;
mod outbound;
