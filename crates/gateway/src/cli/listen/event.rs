//! An event as the server hands it over, and what became of it here.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Names and values in their order.
pub(super) type Headers = Vec<(String, String)>;

/// A request of a provider, as it arrived at a source.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) source: String,
    #[serde(default)]
    pub(super) source_name: String,
    #[serde(default)]
    pub(super) provider: String,
    pub(super) event_type: Option<String>,
    pub(super) event_id: Option<String>,
    #[serde(default)]
    pub(super) verdict: String,
    pub(super) method: String,
    /// What follows the source's URL: `?a=b`.
    #[serde(default)]
    pub(super) target: String,
    #[serde(default)]
    pub(super) headers: Headers,
    #[serde(default)]
    pub(super) received_at: String,
    /// Milliseconds for which the provider waits for our answer.
    #[serde(default, skip_serializing)]
    pub(super) answer_within: Option<u64>,
    #[serde(skip)]
    pub(super) body: Bytes,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) ended: Ended,
    /// Since it was begun, waiting for somebody to listen included.
    pub(super) took: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ended {
    /// There was nothing to do but to show it.
    Shown,
    Answered(Answered),
    Exited(Exited),
    /// Nobody took it in the time that was set.
    GivenUp(String),
    /// In a group: nobody took it here, so that somebody else gets it.
    GivenBack(String),
}

/// What localhost answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Headers,
    /// The beginning.
    pub(super) body: Bytes,
    pub(super) is_truncated: bool,
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exited {
    /// None if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) is_timed_out: bool,
    /// The beginning of both outputs.
    pub(super) output: Bytes,
}

/// Why nobody took the event; it is tried again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreached(pub(super) String);

impl Event {
    /// The type for people.
    pub(super) fn kind(&self) -> &str {
        self.event_type.as_deref().unwrap_or("-")
    }

    /// The source for people.
    pub(super) fn from(&self) -> &str {
        if self.source_name.is_empty() { &self.source } else { &self.source_name }
    }
}

impl Outcome {
    pub(super) fn is_good(&self) -> bool {
        match &self.ended {
            Ended::Shown => true,
            Ended::Answered(answered) => answered.status < 400,
            Ended::Exited(exited) => exited.code == Some(0) && !exited.is_timed_out,
            Ended::GivenUp(_) | Ended::GivenBack(_) => false,
        }
    }
}

impl Ended {
    /// In a few words: `200`, `exit 1`, `timed out`.
    pub(super) fn shortly(&self) -> String {
        match self {
            Self::Shown => "shown".to_owned(),
            Self::Answered(answered) => answered.status.to_string(),
            Self::Exited(Exited { is_timed_out: true, .. }) => "timed out".to_owned(),
            Self::Exited(Exited { code: Some(code), .. }) => format!("exit {code}"),
            Self::Exited(Exited { code: None, .. }) => "killed".to_owned(),
            Self::GivenUp(why) => format!("given up: {why}"),
            Self::GivenBack(why) => format!("given back to the group: {why}"),
        }
    }
}
