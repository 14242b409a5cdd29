//! `wait`: the next events that arrived, for an agent that keeps a place of its own.
//!
//! The place is a listener of the server under the agent's name. What was handed out is handed out
//! again until the next call acknowledges it: at least once, in order. Only events whose sender was
//! proven are handed out, whoever made the listener.

use std::time::Duration;

use http::{Method, StatusCode};
use rmcp::model::{CallToolResult, JsonObject, Tool as Offered, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer, tool::object};
use crate::api_client::{Answer, ApiClient, CallError};
use crate::operations::segment;

pub(super) const NAME: &str = "wait";

const DESCRIPTION: &str = "Wait for events that arrive at sources, from where this agent stopped. \
     The server keeps the place under `name`: use the same name each time. Events come in order and \
     at least once; pass the `id` of the last event that you dealt with as `acknowledge` in the next \
     call, or the same events come again. Only events whose sender was proven are given.";

/// Names of agents' listeners begin with this, so that no agent takes what a person listens to.
const PREFIX: &str = "mcp-";
/// The longest name of an agent.
const LONGEST_NAME: usize = 48;
/// How long a call waits, in seconds, if it does not say, and at most.
const DEFAULT_WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 60;
/// What the way to the server and back may take on top.
const SLACK: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Arguments {
    name: String,
    sources: Option<Vec<String>>,
    event_types: Option<Vec<String>>,
    filter: Option<Value>,
    from: Option<String>,
    max: Option<u64>,
    wait_seconds: Option<u64>,
    acknowledge: Option<String>,
}

pub(super) fn offered() -> Offered {
    let schema = object(json!({
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{1,48}$",
                "description": "Whose place it is; the same in each call.",
            },
            "sources": {
                "type": "array", "items": { "type": "string" },
                "description": "Only what arrived at these, by id or uid; everything if not given.",
            },
            "eventTypes": {
                "type": "array", "items": { "type": "string" },
                "description": "Only these event types, such as push or invoice.*",
            },
            "filter": { "type": "object", "description": "Only what this content filter lets through." },
            "from": {
                "type": "string",
                "description": "Where a new place begins: now (if not given), start, a time, or a message's id.",
            },
            "max": { "type": "integer", "minimum": 1, "maximum": 50, "description": "How many events at most; 10 if not given." },
            "waitSeconds": { "type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "description": "How long to wait for the first; 30 if not given." },
            "acknowledge": { "type": "string", "description": "The id of the last event that was dealt with." },
        },
        "required": ["name"],
        "additionalProperties": false,
    }));
    // It moves the agent's own place, and nothing else.
    let hints = ToolAnnotations::new().read_only(false).destructive(false).idempotent(true);
    Offered::new(NAME, DESCRIPTION, schema).with_annotations(hints.open_world(false))
}

/// What was asked for, or why that is nothing to wait for.
pub(super) fn read(arguments: JsonObject) -> Result<Arguments, String> {
    let arguments: Arguments =
        serde_json::from_value(Value::Object(arguments)).map_err(|error| error.to_string())?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let name = arguments.name.as_bytes();
    if name.is_empty() || name.len() > LONGEST_NAME || !name.iter().copied().all(fits) {
        return Err("name: 1 to 48 letters, digits, - and _".to_owned());
    }
    Ok(arguments)
}

impl Arguments {
    /// How long the call waits at most, in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.wait_seconds.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT)
    }

    fn path(&self) -> String {
        format!("/api/v1/listener/{}", segment(&format!("{PREFIX}{}", self.name)))
    }

    /// What the listener is, with those of `kept` that this call does not say.
    fn terms(&self, kept: &Value) -> Value {
        let mut terms = Map::new();
        let mut say = |name: &str, said: Option<Value>| {
            let value = said.or_else(|| kept.get(name).cloned()).filter(|value| !value.is_null());
            terms.extend(value.map(|value| (name.to_owned(), value)));
        };
        say("sources", self.sources.as_ref().map(|all| json!(all)));
        say("eventTypes", self.event_types.as_ref().map(|all| json!(all)));
        say("filter", self.filter.clone());
        terms.insert("verifiedOnly".to_owned(), json!(true));
        terms.insert("shared".to_owned(), json!(false));
        terms.insert("answers".to_owned(), json!(false));
        if kept.is_null() {
            terms.extend(self.from.as_ref().map(|from| ("from".to_owned(), json!(from))));
        }
        Value::Object(terms)
    }

    /// Whether the listener has to be changed for this call.
    fn changes(&self, kept: &Value) -> bool {
        let says = self.sources.is_some() || self.event_types.is_some() || self.filter.is_some();
        says || kept["verifiedOnly"] != true || kept["shared"] == true
    }
}

/// Waits, and answers with what came.
pub(super) async fn run(
    api: &ApiClient,
    arguments: &Arguments,
) -> Result<CallToolResult, CallError> {
    let path = arguments.path();
    let found = api.call(Method::GET, &path, None).await?;
    let kept = match found.status {
        StatusCode::NOT_FOUND => Value::Null,
        status if status.is_success() => found.json(),
        _ => return Ok(answer::refused(&found)),
    };
    if kept.is_null() || arguments.changes(&kept) {
        let terms = arguments.terms(&kept).to_string();
        let made = api.call(Method::PUT, &path, Some(terms.into())).await?;
        if !made.status.is_success() {
            return Ok(answer::refused(&made));
        }
    }
    let taken = take(api, arguments, &path).await?;
    if !taken.status.is_success() {
        return Ok(answer::refused(&taken));
    }
    let mut taken = taken.json();
    // The server's listener says so already; what is promised is looked at once more.
    if let Some(events) = taken["events"].as_array_mut() {
        let proven = [json!("verified"), json!("authenticated")];
        events.retain(|event| proven.contains(&event["verdict"]));
    }
    Ok(answer::done(taken))
}

async fn take(api: &ApiClient, asked: &Arguments, path: &str) -> Result<Answer, CallError> {
    let seconds = asked.seconds();
    let mut body = json!({ "max": asked.max.unwrap_or(10).clamp(1, 50), "waitSeconds": seconds });
    if let Some(id) = &asked.acknowledge {
        body["acknowledge"] = json!(id);
    }
    let patience = Duration::from_secs(seconds) + SLACK;
    let body = Some(body.to_string().into());
    let api = api.clone().with_patience(patience);
    api.call(Method::POST, &format!("{path}/take"), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: Value) -> Result<Arguments, String> {
        read(object(value).as_ref().clone())
    }

    #[test]
    fn only_verified_events_whatever_is_asked_for() {
        let first = asked(json!({ "name": "a", "eventTypes": ["push"], "from": "start" })).unwrap();
        let terms = first.terms(&Value::Null);
        let same = json!({ "verifiedOnly": true, "shared": false, "answers": false });
        let mut expect = same.clone();
        (expect["eventTypes"], expect["from"]) = (json!(["push"]), json!("start"));
        assert_eq!(terms, expect);

        // A later call without terms keeps them, and mends what somebody made of the listener.
        let later = asked(json!({ "name": "a" })).unwrap();
        let kept = json!({ "sources": ["src_1"], "filter": null, "verifiedOnly": true });
        assert!(!later.changes(&kept));
        let loose = json!({ "sources": ["src_1"], "verifiedOnly": false });
        assert!(later.changes(&loose));
        let mut expect = same;
        expect["sources"] = json!(["src_1"]);
        assert_eq!(later.terms(&loose), expect);
        assert!(asked(json!({ "name": "a", "verifiedOnly": false })).is_err());
    }

    #[test]
    fn a_name_is_the_agents_own() {
        let fine = asked(json!({ "name": "deploy-bot", "waitSeconds": 5_000 })).unwrap();
        assert_eq!((fine.path().as_str(), fine.seconds()), ("/api/v1/listener/mcp-deploy-bot", 60));
        for name in ["", "../x", "a b", &"a".repeat(49)] {
            let said = asked(json!({ "name": name })).err().unwrap();
            assert!(said.starts_with("name:"), "{said}");
        }
    }
}
