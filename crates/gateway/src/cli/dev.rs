//! `ringback dev`: the server with a sample to look at; [`crate::dev`] is what it shows.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use ringback_domain::token::Token;

use super::Failure;
use super::settings::ServerFlags;
use crate::app;
use crate::config::{Profile, Secret};

/// Where the token of a development server is, in its data directory.
pub(super) const TOKEN_FILE: &str = "dev-token";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
In another terminal, in the same folder: `ringback send sample invoice.paid '{}'`. The commands that \
speak with a server find this one, and its token in ringback-data/dev-token.")]
pub(super) struct Args {
    #[command(flatten)]
    flags: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Some(mut config) = args.flags.load(Profile::Dev)? else { return Ok(()) };
    if config.bootstrap_token.is_none() {
        config.bootstrap_token = Some(Secret::new(token(&config.data)?));
    }
    Ok(app::run(config, app::Mode::Dev)?)
}

/// The token of a development server, made at its first start and the same ever after, so that a
/// program that was given it keeps working. In the clear beside the data: `serve` never does that.
fn token(data: &Path) -> Result<String, Failure> {
    let path = data.join(TOKEN_FILE);
    let failed =
        |error: io::Error| Failure::Failed(format!("cannot use {}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    match std::fs::read_to_string(&path) {
        Ok(text) if Token::parse(text.trim()).is_ok() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| failed(io::Error::other("the system gives no random bytes")))?;
    let token = Token::mint(random).as_str().to_owned();
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    writeln!(file, "{token}").map_err(failed)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::token;

    #[test]
    fn the_token_stays_the_same_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = token(&data).unwrap();
        assert_eq!(token(&data).unwrap(), first);
        let file = data.join("dev-token");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "broken").unwrap();
        assert_ne!(token(&data).unwrap(), first, "a broken file is replaced");
    }
}
