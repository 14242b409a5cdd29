//! What a destination's answer means.

use minijinja::Value as Seen;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::kind::Kind;
use crate::retry::Meaning;

impl Kind {
    /// What an answer means: which statuses of others mean "it is there already", which mean "this
    /// will never be taken", and which 2xx are none.
    pub fn meaning(&self, status: u16, body: &[u8]) -> Meaning {
        let answer = &self.answer;
        if answer.done.contains(&status) {
            return Meaning::Delivered;
        }
        if answer.permanent.contains(&status) {
            return Meaning::Permanent;
        }
        match &answer.delivered {
            Some(rule) if (200..300).contains(&status) => {
                let text = String::from_utf8_lossy(body);
                let json: Value = serde_json::from_slice(body).unwrap_or_default();
                let seen = json!({ "answer": { "status": status, "text": text, "json": json } });
                // An answer that the rule cannot read is not the one that was expected.
                let holds = rule.value(&Seen::from(Serde(seen))).is_ok_and(|it| it.is_true());
                if holds { Meaning::Delivered } else { Meaning::Permanent }
            }
            _ => Meaning::ByStatus,
        }
    }
}
