//! The `ringback` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringback::cli::main()
}
