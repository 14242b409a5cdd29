//! An endpoint's transformation, as it is kept: sealed JSON.

use std::{collections::BTreeMap, sync::Arc};

use ringback_domain::{id::Key, seal::Context, time::Timestamp};
use serde::{Deserialize, Serialize};

/// What it is sealed as.
pub const PURPOSE: &str = "endpoint-transformation";

/// What is made of an endpoint's messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transformation {
    /// The program, which defines `handler(webhook)`; nothing is made of messages without one.
    pub code: Option<Arc<str>>,
    /// What the program finds in `webhook.env`.
    pub variables: BTreeMap<String, String>,
    /// Whether it is used.
    pub enabled: bool,
    /// Counts the changes, so that an attempt can say which program it went through.
    pub revision: u64,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Transformation {
    /// Where it is sealed.
    #[must_use]
    pub fn place(environment: Key, endpoint: Key) -> Context<'static> {
        Context { environment, owner: endpoint, purpose: PURPOSE }
    }

    /// The program, if it is used.
    #[must_use]
    pub fn in_use(&self) -> Option<&Arc<str>> {
        self.code.as_ref().filter(|_| self.enabled)
    }
}
