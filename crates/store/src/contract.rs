//! What events are promised to look like: the versions of event types, and how one becomes the one below.

use ringback_domain::{id::Key, time::Timestamp};

use crate::{BoxFuture, ReadError, Unavailable, WriteError};

/// Versions and conversions of event types. The store keeps them; what they mean, and which changes may be
/// made, is up to whoever changes them.
pub trait Contracts {
    /// The contract of one event type: every version by growing ordinal, and every conversion.
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>>;

    /// The contracts of an environment that say anything, by growing key of the event type, after
    /// `after`; of conversions only those in force.
    fn contracts(
        &self,
        environment: Key,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>>;

    /// Sets what an event type's messages are held against.
    fn set_terms(
        &self,
        environment: Key,
        event_type: String,
        terms: Terms,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Contract, WriteError>>;

    /// Adds a version if `expected` is none, else changes the one with this ordinal if it was changed last
    /// at that time.
    ///
    /// A conflict is a "version" whose ordinal or label another one has, or a "version change" that
    /// somebody else was quicker with.
    fn put_version(&self, put: PutVersion) -> BoxFuture<'_, Result<VersionRow, WriteError>>;

    /// Adds a revision of a conversion; it is in force from now on.
    fn add_conversion(
        &self,
        new: NewConversion,
    ) -> BoxFuture<'_, Result<ConversionRow, WriteError>>;
}

/// What an event type promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Whose.
    pub environment: Key,
    /// The row key of the event type.
    pub event_type: Key,
    /// Its name.
    pub name: String,
    /// What its messages are held against.
    pub terms: Terms,
    /// By growing ordinal.
    pub versions: Vec<VersionRow>,
    /// By ordinal, the newest of each first.
    pub conversions: Vec<ConversionRow>,
}

/// What messages of an event type are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What is done about a payload that does not fit: a number that means nothing to the store; 0 unless
    /// somebody said otherwise.
    pub validation: i64,
    /// Where in a payload its ordering key is: a JSON Pointer.
    pub ordering_pointer: Option<String>,
}

/// A version of an event type, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionRow {
    /// Its row key.
    pub key: Key,
    /// Whose.
    pub environment: Key,
    /// The row key of the event type.
    pub event_type: Key,
    /// What it is called.
    pub label: String,
    /// Its place among the versions of the type.
    pub ordinal: u32,
    /// How far it is: a number that means nothing to the store.
    pub status: i64,
    /// Which JSON Schema the schema is: a number that means nothing to the store.
    pub dialect: i64,
    /// JSON text.
    pub schema: String,
    /// For people.
    pub changelog: String,
    /// JSON text.
    pub examples: String,
    /// Since when it should not be used.
    pub deprecated_at: Option<Timestamp>,
    /// Until when it is delivered.
    pub sunset_at: Option<Timestamp>,
    /// Since when it is the default; of several, the last one is.
    pub default_since: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last; it grows with every change.
    pub updated_at: Timestamp,
}

/// A version to write.
#[derive(Clone, Debug)]
pub struct PutVersion {
    /// The name of the event type.
    pub event_type: String,
    /// The version; its key, its event type's key and its times are the store's.
    pub version: VersionRow,
    /// When the one that it replaces was changed last; none for a new one.
    pub expected: Option<Timestamp>,
    /// When it was asked for.
    pub now: Timestamp,
}

/// A revision of a conversion, as it is stored. It is never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversionRow {
    /// Its row key, which names the revision.
    pub key: Key,
    /// Whose.
    pub environment: Key,
    /// The row key of the event type.
    pub event_type: Key,
    /// The version that it converts, into the one below.
    pub ordinal: u32,
    /// JSON text.
    pub program: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A revision to add.
#[derive(Clone, Debug)]
pub struct NewConversion {
    /// Whose.
    pub environment: Key,
    /// The name of the event type.
    pub event_type: String,
    /// The version that it converts; it has to exist.
    pub ordinal: u32,
    /// JSON text.
    pub program: String,
    /// When it was asked for.
    pub now: Timestamp,
}
