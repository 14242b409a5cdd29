//! The `ringback` program; everything is in the library.

use std::process::ExitCode;

/// Measured, interleaved: 5 % less CPU per message than with the system's allocator, for 13 MiB more
/// when idle (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ringback::cli::main()
}
