//! `ringback environment`: as `ringback token`, with or without a server.

use clap::Subcommand;

use super::token::{Shared, ask};
use super::{Failure, data, note};
use crate::control::{Request, Response};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an environment
    Create {
        /// 1 to 64 letters, digits, `-`, `_` or `.`
        name: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// List all environments, oldest first
    List {
        #[command(flatten)]
        shared: Shared,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let (request, shared, created) = match command {
        Command::Create { name, shared } => (Request::CreateEnvironment { name }, shared, true),
        Command::List { shared } => (Request::ListEnvironments {}, shared, false),
    };
    let config = shared.data.load()?.config;
    let environments = match ask(&config, request)? {
        Response::Environments(environments) => environments,
        Response::Refused { reason } => return Err(Failure::Failed(reason)),
        other => return Err(Failure::Failed(format!("an answer to something else: {other:?}"))),
    };
    match environments.as_slice() {
        [one] if created && shared.json => data(&serde_json::json!(one).to_string())?,
        [one] if created => note(&format!("created the environment {}", one.name)),
        all if shared.json => data(&serde_json::json!(all).to_string())?,
        all => all.iter().try_for_each(|one| data(&one.name))?,
    }
    Ok(())
}
