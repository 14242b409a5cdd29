//! `ringback serve`.

use super::Failure;
use super::settings::ServerFlags;
use crate::app;
use crate::config::Profile;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    flags: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.flags.load(Profile::Serve)? {
        Some(config) => Ok(app::run(config, app::Mode::Serve)?),
        None => Ok(()),
    }
}
