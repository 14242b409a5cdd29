//! What a destination's answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use minijinja::Value as Seen;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::kind::Kind;
use super::text::Text;
use crate::retry::{Meaning, parse_retry_after};
use crate::time::Timestamp;

/// An answer, as far as it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Answered<'a> {
    /// The status.
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<&'a str, &'a str>,
    /// The beginning of the body.
    pub body: &'a [u8],
}

impl Answered<'_> {
    /// What templates see.
    fn seen(&self, now: Timestamp) -> Seen {
        let text = String::from_utf8_lossy(self.body);
        let json: Value = serde_json::from_slice(self.body).unwrap_or_default();
        Seen::from(Serde(json!({ "answer": {
            "status": self.status,
            "headers": self.headers,
            "text": text,
            "json": json,
            "time": now.0 / 1000,
        } })))
    }

    /// How long a rule says to wait; nothing if it says nothing, or cannot read the answer.
    fn wait(&self, rule: &Text, now: Timestamp) -> Option<Duration> {
        let said = rule.value(&self.seen(now)).ok()?;
        parse_retry_after(&said.to_string(), now)
    }
}

impl Kind {
    /// What an answer that came at `now` means: which statuses of others mean "it is there already",
    /// which mean "this will never be taken", which 2xx are none; and for how long it asks to wait, if
    /// the file knows better than the `Retry-After` of a 429 or 503.
    pub fn meaning(&self, answered: &Answered<'_>, now: Timestamp) -> (Meaning, Option<Duration>) {
        let (answer, status) = (&self.answer, answered.status);
        if answer.done.contains(&status) {
            return (Meaning::Delivered, None);
        }
        if (200..300).contains(&status) {
            let Some(rule) = &answer.delivered else { return (Meaning::ByStatus, None) };
            // An answer that the rule cannot read is not the one that was expected.
            let holds = rule.value(&answered.seen(now)).is_ok_and(|it| it.is_true());
            return (if holds { Meaning::Delivered } else { Meaning::Permanent }, None);
        }
        let wait = answer.later.as_ref().and_then(|rule| answered.wait(rule, now));
        match wait {
            Some(wait) => (Meaning::Later, Some(wait)),
            None if answer.permanent.contains(&status) => (Meaning::Permanent, None),
            None => (Meaning::ByStatus, None),
        }
    }
}
