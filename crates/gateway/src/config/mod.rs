//! What the operator says, turned into one checked [`Config`].
//!
//! Settings come from four layers, later ones win: defaults < file (TOML) < environment < flags.
//! Every setting is declared once, in [`sections`], with its documentation, unit, default and
//! bounds; the TOML key, the variable's name (`RINGBACK_<SECTION>_<KEY>`, root keys without a
//! section) and the line in `--dump-config` follow from that declaration.
//!
//! Invariants: loading is pure (file text, variables and flags are arguments); all problems are
//! reported at once, each with where the value came from; nothing unknown is ignored; the value of
//! a secret appears in no message and no dump.

mod dump;
mod file;
mod layers;
mod secret;
mod sections;
mod setting;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

pub use file::{File, ReadError};
pub use layers::Origin;
pub use secret::{Secret, SecretKey, SecretKeys, UrlKeys};
pub use sections::{
    Callback, Config, Delivery, Limits, Log, LogFormat, Oauth, Payloads, Quota, Retention, Secrets,
    Store,
};
pub use value::{HostPort, Ports};

use layers::Layers;
use setting::Section as _;

/// The layers a configuration is made of.
#[derive(Debug, Default)]
pub struct Sources {
    /// Which defaults to start from.
    pub profile: Profile,
    /// The configuration file, already read (see [`File::read`]).
    pub file: Option<File>,
    /// The process's environment; variables that do not start with `RINGBACK_` are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// What the command line said.
    pub flags: Vec<Flag>,
}

/// The defaults a configuration starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// `ringback serve`: safe in production.
    #[default]
    Serve,
    /// `ringback dev`: targets on loopback and plain http are allowed.
    Dev,
}

/// One flag of the command line that sets one setting.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As typed, for messages: `--listen`.
    pub name: &'static str,
    /// The setting's path: `listen`, `log.format`.
    pub setting: &'static str,
    /// The value as typed.
    pub value: String,
}

/// A checked configuration and where each of its values came from.
#[derive(Debug)]
pub struct Loaded {
    /// The effective settings.
    pub config: Config,
    layers: Layers,
    profile: Profile,
}

impl Loaded {
    /// The effective settings as a documented TOML file, each line with its origin; secrets are
    /// left out. Loading the result again gives the same settings.
    #[must_use]
    pub fn dump(&self) -> String {
        dump::toml(&self.config, &self.layers, self.profile)
    }
}

impl Config {
    /// The defaults of a profile.
    #[must_use]
    pub fn defaults(profile: Profile) -> Self {
        let mut config = Self::default();
        if profile == Profile::Dev {
            config.delivery.require_https = false;
            config.delivery.allow_cidrs = value::loopback();
            config.delivery.destination_hosts = value::this_machine();
        }
        config
    }

    /// How long messages are kept.
    #[must_use]
    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention.messages) * 86_400)
    }

    /// How long entries of the audit log are kept.
    #[must_use]
    pub fn audit_retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention.audit) * 86_400)
    }

    /// What each application may use unless something else is set for it.
    #[must_use]
    pub fn quota(&self) -> ringback_domain::quota::Quota {
        ringback_domain::quota::Quota {
            messages_per_second: self.quota.messages_per_second.map(u64::from),
            messages_burst: self.quota.messages_burst.map(u64::from),
            bytes_per_second: self.quota.bytes_per_second.map(u64::from),
            endpoints: self.quota.endpoints.map(u64::from),
            pending: self.quota.pending.map(u64::from),
        }
    }

    /// Lays the sources over each other and checks the outcome.
    ///
    /// # Errors
    /// All [`Problem`]s found: unknown settings and variables, values of the wrong shape or out of
    /// bounds, settings that exclude each other.
    pub fn load(sources: Sources) -> Result<Loaded, Error> {
        let mut problems = Vec::new();
        let mut config = Self::defaults(sources.profile);
        let layers = Layers::collect(&mut config, &sources, &mut problems);
        config.visit(&mut |at, slot| {
            let Some((raw, origin)) = layers.get(at) else { return };
            if let Err(what) = slot.set(raw) {
                problems.push(Problem { origin: origin.clone(), setting: at.path(), what });
            }
        });
        config.check_together(&layers, &mut problems);
        if problems.is_empty() {
            Ok(Loaded { config, layers, profile: sources.profile })
        } else {
            Err(Error { problems })
        }
    }

    /// What no single setting can check by itself.
    fn check_together(&self, layers: &Layers, problems: &mut Vec<Problem>) {
        let mut wrong = |setting: &str, what: &str| {
            problems.push(Problem {
                origin: layers.origin_of(setting),
                setting: setting.to_owned(),
                what: what.to_owned(),
            });
        };
        if self.secrets.key.is_some() && self.secrets.key_file.is_some() {
            wrong("secrets.key_file", "cannot stand beside secrets.key: give one of them");
        }
        if !self.callback.url_keys.is_empty() && self.callback.url_keys_file.is_some() {
            wrong(
                "callback.url_keys_file",
                "cannot stand beside callback.url_keys: give one of them",
            );
        }
        if self.delivery.response_kept > self.delivery.response_read {
            wrong("delivery.response_kept", "cannot be more than delivery.response_read");
        }
    }
}

/// A configuration that cannot be used; the process exits with 64 before anything is opened.
#[derive(Debug)]
pub struct Error {
    /// Never empty, in the order of the layers.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's line, the variable or the flag.
    pub origin: Origin,
    /// The setting's path, e.g. `delivery.timeout`; empty if the whole file is meant.
    pub setting: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(f, "wrong setting: {only}");
        }
        write!(f, "{} wrong settings:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.setting.is_empty() {
            write!(f, "{} ", self.setting)?;
        }
        f.write_str(&self.what)
    }
}
