//! Environments, and the sessions of portals in them.

use ringback_domain::{
    id::{EnvironmentId, Id, Key},
    time::Timestamp,
};

use crate::{Answer, BoxFuture, Identified, Listed, Page, Unavailable, WriteError};

/// What admins do beside what tokens need.
pub trait Access {
    /// Creates an environment with its hidden application.
    fn create_environment(
        &self,
        new: NewEnvironment,
    ) -> BoxFuture<'_, Result<Environment, WriteError>>;

    /// Environments by growing key.
    fn environments(&self, page: Page) -> BoxFuture<'_, Result<Listed<Environment>, Unavailable>>;

    /// Brings the end of an application's portal tokens forward, of at most `limit` of them.
    /// Returns whether there are more.
    fn expire_sessions(&self, expire: ExpireSessions) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// An environment to create.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// The environment.
    pub environment: Environment,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Ringback's name for it.
    pub id: EnvironmentId,
    /// The operator's name for it, unique in the installation.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Identified for Environment {
    fn id(&self) -> Id {
        self.id.0
    }
}

/// Which sessions end, and when.
#[derive(Clone, Debug)]
pub struct ExpireSessions {
    /// Whose.
    pub environment: Key,
    /// Of which application.
    pub application: Key,
    /// Only those with one of these names; all of them when none is given.
    pub sessions: Option<Vec<String>>,
    /// When they end; those that end sooner are left alone.
    pub at: Timestamp,
    /// At most this many at once.
    pub limit: usize,
}
