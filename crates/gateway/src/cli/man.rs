//! `ringback man`: manual pages, made of what the command line knows of itself.

use std::fs;
use std::path::PathBuf;

use clap_mangen::Man;

use super::{Failure, command, note, text};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringback man | man -l -
  ringback man ~/.local/share/man/man1 && man ringback-send")]
pub(super) struct Args {
    /// Directory to write a page for each command to; made if it is not there [default: the page
    /// of `ringback` alone, to the standard output]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        // `help` is no command that a manual explains.
        Man::new(command().disable_help_subcommand(true)).render(&mut page)?;
        return Ok(text(&page)?);
    };
    let failed = |error| {
        Failure::Failed(format!("cannot write manual pages to {}: {error}", directory.display()))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command(), directory).map_err(failed)?;
    note(&format!("wrote ringback.1 and a page for each command to {}", directory.display()));
    Ok(())
}
