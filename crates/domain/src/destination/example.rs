//! One event, and what each kind makes of it: an example for people, and a proof of the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Event, OnMissing, Wanted};

/// The event of every example.
pub const EVENT: Event<'static> = Event {
    id: "msg_1",
    kind: "order.paid",
    at: 1_700_000_000_000,
    content_type: Some("application/json"),
    body: br#"{"email":"Ada@Example.com","name":"Ada","amount":1250}"#,
    headers: &[],
};

/// A destination, and what [`EVENT`] becomes there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// By name.
    pub settings: BTreeMap<String, String>,
    /// The mapping.
    #[serde(default = "no_fields")]
    pub fields: Value,
    /// The request as [`Filled`](super::Filled) is written, made on 2015-08-30 at 12:36 UTC; none for
    /// kinds that are code.
    pub request: Option<String>,
    /// The body of an answer that means it is done, where it matters.
    #[serde(default)]
    pub answer: String,
}

fn no_fields() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Example {
    /// What such a destination is given.
    pub fn wanted(&self) -> Wanted {
        let on_missing = OnMissing::default();
        Wanted { settings: self.settings.clone(), fields: self.fields.clone(), on_missing }
    }
}
