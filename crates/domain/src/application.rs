//! Applications: whom messages are for. Usually one per customer of the sender.

use std::collections::BTreeMap;

use crate::{id::ApplicationId, time::Timestamp};

/// The caller's own labels.
pub type Metadata = BTreeMap<String, String>;

/// The uid of the hidden application of each environment that gets operational messages.
///
/// Those are `endpoint.disabled`, `message.attempt.exhausted` … It is in no list, but can be
/// addressed like any other, so endpoints can be registered for it.
pub const OPERATIONAL_UID: &str = "ringback.operational";

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Ringback's name for it.
    pub id: ApplicationId,
    /// The caller's name for it, unique in its environment.
    pub uid: Option<String>,
    /// For people.
    pub name: String,
    /// The caller's own labels.
    pub metadata: Metadata,
    /// Messages a second; stored for the SDKs.
    pub throttle_rate: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
