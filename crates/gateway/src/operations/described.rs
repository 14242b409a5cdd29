//! What the document says of an operation.

use serde_json::{Map, Value};

use super::{Body, Operation, Parameter, Place, decided, right};

/// References are followed this deep; beyond, anything goes. Filters hold filters.
const DEEPEST: usize = 12;

/// The operations of a document, in the order of their ids.
pub(super) fn read(document: &Value) -> Vec<Operation> {
    let schemas = &document["components"]["schemas"];
    let paths = document["paths"].as_object().into_iter().flatten();
    let mut all: Vec<Operation> = paths
        .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |one| (path, one)))
        .filter_map(|(path, (method, said))| operation(schemas, path, method, said))
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

fn operation(schemas: &Value, path: &str, method: &str, said: &Value) -> Option<Operation> {
    let id = said["operationId"].as_str()?;
    let method = method.to_uppercase().parse().ok()?;
    let open = said["security"] == serde_json::json!([{}]);
    let parameters = said["parameters"].as_array().into_iter().flatten();
    let content = &said["requestBody"]["content"];
    let body = content.as_object().and_then(|kinds| kinds.values().next()).map(|kind| Body {
        schema: resolved(schemas, &kind["schema"], 0),
        required: said["requestBody"]["required"] == true,
    });
    let answers = said["responses"].as_object().into_iter().flatten();
    Some(Operation {
        id: id.to_owned(),
        right: right(&method, path, open),
        method,
        path: path.to_owned(),
        summary: text(&said["summary"]),
        description: text(&said["description"]),
        parameters: parameters.filter_map(|one| parameter(schemas, one)).collect(),
        body,
        answers: answers.map(|(status, one)| (status.clone(), text(&one["description"]))).collect(),
        decided: decided::about(id),
    })
}

fn parameter(schemas: &Value, said: &Value) -> Option<Parameter> {
    let place = match said["in"].as_str()? {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        _ => return None,
    };
    Some(Parameter {
        name: text(&said["name"]),
        place,
        description: text(&said["description"]),
        schema: resolved(schemas, &said["schema"], 0),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ")
}

/// A schema that stands alone: references are replaced by what they name.
fn resolved(schemas: &Value, schema: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Bool(true);
    }
    match schema {
        Value::Object(object) => {
            let mut whole = Map::new();
            let name = object.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|name| name.rsplit('/').next());
            if let Some(Value::Object(named)) =
                name.map(|name| resolved(schemas, &schemas[name], depth + 1))
            {
                whole.extend(named);
            }
            for (key, value) in object.iter().filter(|(key, _)| *key != "$ref") {
                whole.insert(key.clone(), resolved(schemas, value, depth));
            }
            Value::Object(whole)
        }
        Value::Array(items) => {
            items.iter().map(|item| resolved(schemas, item, depth)).collect::<Vec<_>>().into()
        }
        other => other.clone(),
    }
}
