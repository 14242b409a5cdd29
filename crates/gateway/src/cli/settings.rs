//! The flags that name settings, and how they become a configuration.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, data};
use crate::config::{Config, File, Flag, Loaded, Profile, Sources};

/// Where the data are: what every command that touches them takes.
#[derive(Debug, Args)]
pub(super) struct DataFlags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Directory that holds the store and the key to its secrets [default: ./ringback-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// PostgreSQL database that is the store instead; if it takes a password, better given by the
    /// variable, as arguments are visible to others
    #[arg(long, value_name = "postgres://…")]
    store: Option<String>,
}

/// What a server takes. Values are checked together with the file and the environment, so that all
/// mistakes are told at once.
#[derive(Debug, Args)]
pub(super) struct ServerFlags {
    #[command(flatten)]
    data: DataFlags,
    /// Address and port of the API; port 0 takes a free one [default: 127.0.0.1:8071]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory of providers of your own, read beside those that are built in
    #[arg(long, value_name = "DIR")]
    providers: Option<String>,
    /// json, pretty or auto [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Print the effective settings as TOML, with their origins and without secrets, and exit
    #[arg(long)]
    dump_config: bool,
}

impl DataFlags {
    /// The configuration of a command that is no server.
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        load(Profile::Serve, self, Vec::new())
    }
}

impl ServerFlags {
    /// The configuration to serve with; `None` if it was only to be shown, which is done.
    pub(super) fn load(self, profile: Profile) -> Result<Option<Config>, Failure> {
        let mut flags = Vec::new();
        add(&mut flags, "--listen", "listen", self.listen);
        add(&mut flags, "--providers", "providers", self.providers);
        add(&mut flags, "--log-format", "log.format", self.log_format);
        let loaded = load(profile, self.data, flags)?;
        if self.dump_config {
            data(loaded.dump().trim_end())?;
            return Ok(None);
        }
        Ok(Some(loaded.config))
    }
}

fn load(profile: Profile, given: DataFlags, mut flags: Vec<Flag>) -> Result<Loaded, Failure> {
    add(&mut flags, "--data", "data", given.data);
    add(&mut flags, "--store", "store.url", given.store);
    let file = given.config.as_deref().map(File::read).transpose()?;
    let env = std::env::vars_os().collect();
    Ok(Config::load(Sources { profile, file, env, flags })?)
}

fn add(flags: &mut Vec<Flag>, name: &'static str, setting: &'static str, value: Option<String>) {
    flags.extend(value.map(|value| Flag { name, setting, value }));
}
