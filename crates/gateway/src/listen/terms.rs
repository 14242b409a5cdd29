//! What a listener listens to and how: what its owner chose, as it is stored, and whether an event
//! is wanted.

use ringback_domain::{
    filter::{Event, Expression, Mistake, Outcome},
    id::SourceId,
    source::{TARGET_HEADER, VERDICT_HEADER},
};
use ringback_store::Arrived;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most sources that one listener names.
pub const SOURCES: usize = 100;
/// The most event types that one listener names.
pub const EVENT_TYPES: usize = 100;

/// What a listener listens to, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terms {
    /// Which sources; all of the environment when empty.
    pub sources: Vec<SourceId>,
    /// Which event types: `push`, or `invoice.*` for all that begin like that; all when empty.
    pub event_types: Vec<String>,
    /// Only what this filter takes.
    pub filter: Option<Value>,
    /// Only what was proven to come from its provider.
    pub verified_only: bool,
    /// Whether those who are connected share what arrives; otherwise there is one of them.
    pub shared: bool,
    /// Whether it answers for sources that let their destination answer, in place of their
    /// endpoints.
    pub answers: bool,
}

/// [`Terms`], ready to judge.
pub(super) struct Wanting {
    event_types: Vec<String>,
    filter: Option<Expression>,
    verified_only: bool,
}

impl Terms {
    /// What is stored of them.
    pub(crate) fn read(text: &str) -> Terms {
        serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::error!(%error, "a listener's terms are unreadable");
            // Fail closed: nothing unverified is passed on by terms that cannot be read.
            Terms { verified_only: true, ..Terms::default() }
        })
    }

    /// As they are stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the filter is, compiled.
    ///
    /// # Errors
    /// Where it is wrong.
    pub fn filter(&self) -> Result<Option<Expression>, Mistake> {
        self.filter.as_ref().map(Expression::compile).transpose()
    }

    pub(super) fn wanting(&self) -> Wanting {
        Wanting {
            event_types: self.event_types.clone(),
            // Checked when it was saved.
            filter: self.filter().ok().flatten(),
            verified_only: self.verified_only,
        }
    }
}

impl Wanting {
    /// Whether an event is wanted. What a filter cannot judge is: a person looks at it.
    pub(super) fn wants(&self, arrived: &Arrived) -> bool {
        let kind = self.event_types.is_empty()
            || self.event_types.iter().any(|pattern| matches(pattern, &arrived.event_type));
        kind && (!self.verified_only || is_proven(arrived)) && self.filter_takes(arrived)
    }

    fn filter_takes(&self, arrived: &Arrived) -> bool {
        let Some(filter) = &self.filter else { return true };
        let event = Event {
            headers: &arrived.headers,
            content_type: arrived.content_type.as_deref(),
            body: &arrived.payload,
            target: kept(arrived, TARGET_HEADER),
        };
        !matches!(filter.judge(&event), Outcome::NoMatch)
    }
}

/// Whether an event was proven to come from its provider.
fn is_proven(arrived: &Arrived) -> bool {
    matches!(verdict(arrived), "verified" | "authenticated")
}

/// Whether an event was proven, in a stable word.
pub(super) fn verdict(arrived: &Arrived) -> &str {
    match &arrived.request {
        Some(request) => &request.verdict,
        None => kept(arrived, VERDICT_HEADER).unwrap_or("unattempted"),
    }
}

/// What is kept with the headers under this name.
pub(super) fn kept<'a>(arrived: &'a Arrived, name: &str) -> Option<&'a str> {
    arrived.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// `invoice.*` for all that begin like that.
fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringback_domain::{
        id::{Id, MessageId},
        scope::Scope,
        time::Timestamp,
    };
    use serde_json::json;

    use super::*;

    fn arrived(kind: &str, verdict: &str, body: &'static str) -> Arrived {
        Arrived {
            id: MessageId(Id { key: 1, shard: 0, nonce: 0 }),
            scope: Scope { environment: 1, application: 2 },
            event_type: kind.to_owned(),
            event_id: None,
            channels: None,
            tags: None,
            content_type: None,
            version: None,
            payload: Bytes::from_static(body.as_bytes()),
            headers: [(VERDICT_HEADER.to_owned(), verdict.to_owned())].into(),
            created_at: Timestamp(0),
            request: None,
        }
    }

    #[test]
    fn what_is_wanted() {
        let check = |terms: serde_json::Value, kind, verdict, body, expect| {
            let read = Terms::read(&terms.to_string());
            assert_eq!(read.wanting().wants(&arrived(kind, verdict, body)), expect, "{terms}");
        };
        check(json!({}), "push", "failed", "{}", true);
        check(json!({"eventTypes": ["push"]}), "push", "failed", "{}", true);
        check(json!({"eventTypes": ["push"]}), "pushed", "failed", "{}", false);
        check(json!({"eventTypes": ["invoice.*"]}), "invoice.paid", "failed", "{}", true);
        check(json!({"verifiedOnly": true}), "push", "failed", "{}", false);
        check(json!({"verifiedOnly": true}), "push", "authenticated", "{}", true);
        let filter = json!({"filter": {"body": {"amount": {"$gte": 100}}}});
        check(filter.clone(), "push", "verified", r#"{"amount":99}"#, false);
        check(filter, "push", "verified", r#"{"amount":100}"#, true);
    }

    #[test]
    fn terms_that_cannot_be_read_let_nothing_unproven_pass() {
        assert!(Terms::read("[").verified_only);
    }
}
