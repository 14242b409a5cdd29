//! The operator's door: a Unix socket beside the data, for commands while a server holds them.
//!
//! One JSON object a line, [`Request`] in, [`Response`] out. Only the user that runs the server
//! (and root) is served: the socket has mode 0600 and the peer's user id is checked at both ends.

mod audit;
mod keys;
mod socket;
pub mod tokens;

use std::collections::BTreeMap;

use ringback_domain::id::EnvironmentId;
use ringback_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use socket::{CallError, Server, call, path};

/// The environment of the bootstrap token, of tokens made without naming one, and of what is done to
/// the whole installation.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A new API token.
    CreateToken {
        /// Whose; made if it does not exist.
        environment: String,
        /// What it is for, for people.
        name: String,
        /// What its holder may do.
        #[serde(default = "admin")]
        role: String,
        /// The only application that it is for, by id or uid.
        #[serde(default)]
        application: Option<String>,
        /// How long it works, in seconds.
        #[serde(default)]
        lasts: Option<u64>,
    },
    /// All tokens, newest first.
    ListTokens {},
    /// A new environment.
    CreateEnvironment {
        /// How it is called.
        name: String,
    },
    /// All environments, oldest first.
    ListEnvironments {},
    /// The audit log of an environment, newest first.
    ListAudit {
        /// Which environment.
        environment: String,
        /// Only about this application, by id or uid.
        application: Option<String>,
        /// Only of this operation.
        operation: Option<String>,
        /// At most this many entries.
        limit: usize,
    },
    /// The end of a token.
    RevokeToken {
        /// `tok_…`
        id: String,
    },
    /// The keys that seal secrets, and how much each is needed for.
    ListKeys {},
    /// A new key that seals.
    RotateKeys {},
    /// The end of the old ones.
    RetireKeys {},
}

impl Request {
    /// Whether it is about the keys that seal secrets.
    #[must_use]
    pub fn is_about_keys(&self) -> bool {
        matches!(self, Self::ListKeys {} | Self::RotateKeys {} | Self::RetireKeys {})
    }
}

fn admin() -> String {
    ringback_domain::access::Role::Admin.name().to_owned()
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The only time that the token's text is shown.
    Created {
        /// The token itself.
        token: String,
        /// What is stored about it.
        info: TokenInfo,
    },
    /// Every token that was ever given out.
    Tokens(Vec<TokenInfo>),
    /// Environments: the one that was made, or all.
    Environments(Vec<EnvironmentInfo>),
    /// Entries of the audit log.
    Audit(Vec<AuditInfo>),
    /// The token is no longer accepted.
    Revoked(TokenInfo),
    /// The keys that seal secrets, the one that seals first.
    Keys(Vec<KeyInfo>),
    /// A new key seals.
    Rotated {
        /// Its fingerprint.
        id: String,
    },
    /// Old keys are gone.
    Retired {
        /// Their fingerprints.
        ids: Vec<String>,
    },
    /// Nothing was done, and why.
    Refused {
        /// A sentence for people.
        reason: String,
    },
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentInfo {
    /// `env_…`
    pub id: EnvironmentId,
    /// How it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key that seals secrets, without itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Its fingerprint.
    pub id: String,
    /// Whether it is the one that seals.
    pub seals: bool,
    /// Whether it is at hand: what another one has sealed cannot be read.
    pub at_hand: bool,
    /// How many values it has sealed that are there.
    pub values: u64,
    /// How many answers to repeated requests it has sealed, which end by themselves within a day.
    pub answers: u64,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditInfo {
    /// `audit_…`
    pub id: String,
    /// When it was.
    pub timestamp: Timestamp,
    /// Who did it: a token's id with its name and role, `bootstrap`, `command` or `system`.
    pub actor: String,
    /// What was done.
    pub operation: String,
    /// What it was done to.
    pub resources: BTreeMap<String, String>,
    /// The trace id of the request.
    pub request_id: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// `tok_…`
    pub id: String,
    /// Whose, by name.
    pub environment: String,
    /// Its first and last characters.
    pub hint: String,
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: String,
    /// The only application that it is for.
    pub application: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
