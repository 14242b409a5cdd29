//! The part of the seam for contracts: versions of event types and what leads from one to the one
//! below.

use ringback_domain::{
    contract::{Terms, version::Version},
    id::Key,
    time::Timestamp,
};
use serde_json::Value;

use crate::{Answer, BoxFuture, ReadError, Unavailable, WriteError};

/// Contracts of event types.
///
/// # Rules of an implementation
///
/// 1. A change takes effect as a whole or not at all, and only on the contract that it was made for:
///    whoever read an older one gets a conflict. Two changes of one contract have different times,
///    and so have a change of it and one of its event type.
/// 2. Conversions are never changed. Of those from one version the one with the greatest key is in
///    force.
pub trait Contracts {
    /// The contract of an event type, archived or not.
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>>;

    /// The contracts of an environment that say anything, with the conversions in force.
    fn contracts(&self, environment: Key) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>>;

    /// Changes a contract.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if it is not as it was when it was read, or a label or ordinal is taken.
    fn change_contract(
        &self,
        change: ContractChange,
    ) -> BoxFuture<'_, Result<Contract, WriteError>>;
}

/// The contract of an event type.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The key of the event type.
    pub event_type: Key,
    /// Its name.
    pub name: String,
    /// What holds for all versions.
    pub terms: Terms,
    /// When the event type was last changed.
    pub updated_at: Timestamp,
    /// By ordinal.
    pub versions: Vec<VersionRow>,
    /// By ordinal, then by key.
    pub conversions: Vec<ConversionRow>,
}

/// A version as it is stored.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Its key.
    pub key: Key,
    /// The version.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A revision of a conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversionRow {
    /// Its key.
    pub key: Key,
    /// The version that it leads from; it leads to the one below.
    pub ordinal: u32,
    /// What it does, as it was written.
    pub program: Value,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What changes of a contract together with its event type: both or neither.
#[derive(Clone, Debug)]
pub struct Amendment {
    /// When the event type was changed last, as whoever made this read it; of one that is created,
    /// when that is.
    pub expected: Timestamp,
    /// What holds for all versions.
    pub terms: Terms,
    /// Versions that are new, or changed; by their keys.
    pub versions: Vec<VersionRow>,
}

/// A change of a contract.
#[derive(Clone, Debug)]
pub struct ContractChange {
    /// Whose.
    pub environment: Key,
    /// The name of the event type.
    pub event_type: String,
    /// When the event type was changed last, as whoever made the change read it.
    pub expected: Timestamp,
    /// What holds for all versions.
    pub terms: Option<Terms>,
    /// The schemas by label that the event type shows; `Some(None)` clears.
    pub schemas: Option<Option<Value>>,
    /// Versions that are new, or changed; by their keys.
    pub versions: Vec<VersionRow>,
    /// Conversions that are new.
    pub conversions: Vec<ConversionRow>,
    /// When it happens.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}
