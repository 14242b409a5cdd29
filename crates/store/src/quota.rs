//! What applications may use.

use ringback_domain::{
    id::Key,
    quota::Quota,
    scope::{Reference, Scope},
};

use crate::{BoxFuture, ReadError, Unavailable, WriteError};

/// The quotas of applications. Whoever accepts messages holds them against these: the store only
/// keeps them.
pub trait Quotas {
    /// What was set for an application, and its scope.
    fn quota(
        &self,
        environment: Key,
        application: Reference,
    ) -> BoxFuture<'_, Result<(Scope, Quota), ReadError>>;

    /// Sets it; a quota that says nothing takes it away. Returns the application's scope.
    fn set_quota(
        &self,
        environment: Key,
        application: Reference,
        quota: Quota,
    ) -> BoxFuture<'_, Result<Scope, WriteError>>;

    /// The quotas that were set, of all environments, by growing key of the application, after
    /// `after`.
    fn quotas(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Scope, Quota)>, Unavailable>>;

    /// How many deliveries of an application are pending; what is more than `most` is not counted.
    fn pending(&self, scope: Scope, most: u64) -> BoxFuture<'_, Result<u64, Unavailable>>;
}
