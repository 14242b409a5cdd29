//! Which tools there are, and what they take: made of the operations.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Offered, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::{trigger, wait};
use crate::operations::{self, Effect, Operation, Place, Tool, fields};

/// What agents may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look, explain and wait.
    Read,
    /// Send again what was sent, and send samples, too.
    Write,
}

/// The most items of a page that a tool answers with.
const LONGEST_PAGE: u64 = 50;

/// The operation behind a tool.
pub(super) fn operation(name: &str) -> Option<&'static Operation> {
    operations::all().iter().find(|one| one.decided.tool == Tool::Named(tool_name(one, name)))
}

/// The name, if it is that of the operation's tool; something that no tool has otherwise.
fn tool_name(one: &Operation, name: &str) -> &'static str {
    match one.decided.tool {
        Tool::Named(own) if own == name => own,
        _ => "",
    }
}

/// Whether a tool is among those that this access has.
pub(super) fn is_open(one: &Operation, access: Access) -> bool {
    access == Access::Write || one.decided.effect == Effect::Reads
}

/// Every tool, by name.
pub fn tools(access: Access) -> Vec<Offered> {
    let of_operations =
        operations::all().iter().filter(|one| is_open(one, access)).filter_map(|one| {
            match one.decided.tool {
                Tool::Named(name) => Some(offered(one, name)),
                Tool::Absent(_) => None,
            }
        });
    let mut all: Vec<Offered> = of_operations.chain([wait::offered()]).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn offered(one: &'static Operation, name: &'static str) -> Offered {
    let reads = one.decided.effect == Effect::Reads;
    let destroys = one.decided.effect == Effect::Destroys;
    let hints = ToolAnnotations::new().read_only(reads).destructive(destroys).idempotent(reads);
    // Sending again reaches receivers; looking stays with the server.
    let hints = hints.open_world(!reads);
    Offered::new(name, description(one, name), schema(one)).with_annotations(hints)
}

fn description(one: &Operation, name: &str) -> String {
    if name == trigger::NAME {
        return trigger::DESCRIPTION.to_owned();
    }
    let mut text = format!("{}.", one.summary.trim_end_matches('.'));
    if !one.description.is_empty() {
        text = format!("{text} {}", one.description);
    }
    if one.pages() {
        text = format!("{text} A page; `iterator` of one asks for the next.");
    }
    text
}

/// Parameters and fields of the body as one object: no operation with a tool has both of a name.
fn schema(one: &Operation) -> Arc<JsonObject> {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for parameter in &one.parameters {
        let mut schema = parameter.schema.clone();
        schema["description"] = json!(parameter.description);
        if parameter.name == "limit" {
            schema["maximum"] = json!(LONGEST_PAGE);
            schema["description"] =
                json!(format!("How many items, 1 to {LONGEST_PAGE}; 20 if not given."));
        }
        if parameter.place == Place::Path {
            required.push(json!(parameter.name));
        }
        properties.insert(parameter.name.clone(), schema);
    }
    if let Some(body) = &one.body {
        properties.extend(open_fields(one).map(|(name, schema)| (name.clone(), schema.clone())));
        required.extend(body.schema["required"].as_array().into_iter().flatten().cloned());
    }
    object(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// The fields of the body that a tool takes.
fn open_fields(one: &Operation) -> impl Iterator<Item = (&String, &Value)> {
    let triggers = one.decided.tool == Tool::Named(trigger::NAME);
    let all = fields(one).into_iter().flatten();
    all.filter(move |(name, _)| !triggers || trigger::FIELDS.contains(&name.as_str()))
}

/// The object that a literal is.
pub(super) fn object(value: Value) -> Arc<JsonObject> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

/// Why arguments do not fit a tool.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("there is no argument {name:?}; there are {known}")]
    Unknown { name: String, known: String },
    #[error("{name} has to be a text or a number")]
    Kind { name: String },
    #[error(transparent)]
    Ask(#[from] operations::Unfit),
}

/// The request that a call of the tool is.
pub(super) fn asked(one: &Operation, arguments: &JsonObject) -> Result<operations::Ask, Unfit> {
    let known = schema(one);
    let known = known["properties"].as_object();
    if let Some(name) = arguments.keys().find(|name| known.is_some_and(|k| !k.contains_key(*name)))
    {
        let known: Vec<&str> = known.into_iter().flatten().map(|(name, _)| &**name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Unfit::Unknown { name: name.clone(), known });
    }
    let mut values = Vec::new();
    for parameter in &one.parameters {
        let name = &parameter.name;
        let given = match arguments.get(name) {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
        };
        for value in given {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(is) => is.to_string(),
                _ => return Err(Unfit::Kind { name: name.clone() }),
            };
            values.push((name.clone(), text));
        }
    }
    if one.pages() {
        let limit = arguments.get("limit").and_then(Value::as_u64).unwrap_or(20);
        values.retain(|(name, _)| name != "limit");
        values.push(("limit".to_owned(), limit.clamp(1, LONGEST_PAGE).to_string()));
    }
    let is_field = |name: &String| open_fields(one).any(|(known, _)| known == name);
    let body = one.body.is_some().then(|| {
        let fields = arguments.iter().filter(|(name, _)| is_field(name));
        Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    });
    Ok(operations::ask(one, &values, body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::Routing;

    /// The promise that is made to whoever starts this: nothing here is a route.
    #[test]
    fn no_tool_changes_where_data_is_sent_or_reveals_a_secret() {
        for tool in tools(Access::Write) {
            if tool.name == wait::NAME {
                continue;
            }
            let one = operation(&tool.name).unwrap();
            assert_eq!(one.decided.routing, Routing::Kept, "{}", tool.name);
            assert_ne!(one.decided.effect, Effect::Destroys, "{}", tool.name);
            let last = one.path.rsplit('/').next().unwrap();
            assert!(!["secret", "token", "key", "headers"].contains(&last), "{}", tool.name);
            // What takes a URL or a secret could lead data elsewhere.
            for name in schema(one)["properties"].as_object().unwrap().keys() {
                let name = name.to_lowercase();
                for word in ["url", "secret", "target", "config", "headers", "returnto"] {
                    assert!(!name.contains(word), "{} takes {name}", tool.name);
                }
            }
        }
    }

    #[test]
    fn hints_are_those_of_the_operation() {
        let write = tools(Access::Write);
        let read = tools(Access::Read);
        assert_eq!(write.len(), read.len() + 5);
        for tool in &read {
            let hints = tool.annotations.clone().unwrap();
            assert_eq!(hints.read_only_hint, Some(tool.name != wait::NAME), "{}", tool.name);
            assert_eq!(hints.destructive_hint, Some(false), "{}", tool.name);
        }
        for tool in write.iter().filter(|one| !read.contains(one)) {
            let hints = tool.annotations.clone().unwrap();
            assert_eq!((hints.read_only_hint, hints.idempotent_hint), (Some(false), Some(false)));
        }
    }

    #[test]
    fn an_argument_is_said_once() {
        for tool in tools(Access::Write).iter().filter(|tool| tool.name != wait::NAME) {
            let one = operation(&tool.name).unwrap();
            let of_body = open_fields(one).count();
            let properties = tool.input_schema["properties"].as_object().unwrap();
            assert_eq!(properties.len(), one.parameters.len() + of_body, "{}", tool.name);
            assert!(tool.name.len() <= 64 && tool.description.as_ref().unwrap().len() < 1_000);
        }
    }

    #[test]
    fn arguments_become_a_request() {
        let made = |tool: &str, arguments: Value| {
            let arguments = object(arguments);
            asked(operation(tool).unwrap(), &arguments)
                .map(|ask| (ask.path, ask.body))
                .map_err(|error| error.to_string())
        };
        let list = |path: &str| Ok((path.to_owned(), None));
        assert_eq!(made("list_applications", json!({})), list("/api/v1/app?limit=20"));
        assert_eq!(
            made("list_applications", json!({ "limit": 5_000, "iterator": null })),
            list("/api/v1/app?limit=50")
        );
        assert_eq!(
            made("search_messages", json!({ "app_id": "a", "event_types": ["x", "y"] })),
            list("/api/v1/app/a/msg?limit=20&event_types=x&event_types=y")
        );
        assert_eq!(
            made("recover_endpoint", json!({ "app_id": "a", "endpoint_id": "e", "since": "t" })),
            Ok(("/api/v1/app/a/endpoint/e/recover".to_owned(), Some(json!({ "since": "t" }))))
        );
        let known = "there is no argument \"url\"; there are app_id";
        assert_eq!(made("get_application", json!({ "url": "x" })), Err(known.to_owned()));
        assert!(made("get_application", json!({})).unwrap_err().contains("needs app_id"));
        assert!(
            made("get_application", json!({ "app_id": {} })).unwrap_err().contains("app_id has to")
        );
    }
}
