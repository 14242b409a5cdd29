//! An example of an event: what its schema gives as one, else one that is made up from the schema.
//!
//! Schemas are JSON Schema as people write it for documentation, draft 7 and 2020-12 alike. What is
//! made up has the right types and names; it is not promised to fulfil every keyword.

use serde_json::{Map, Value, json};

/// How deep schemas are followed: they may refer to themselves.
const DEPTH: usize = 16;
/// How many values are made at most.
const VALUES: usize = 1_000;
/// The longest text that is made, in characters.
const LENGTH: u64 = 1_000;

/// Why there is no example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are examples, but not so many.
    #[error("there are {count} examples, counted from 0")]
    NoSuchIndex {
        /// How many there are.
        count: usize,
    },
    /// The example is something else than an object.
    #[error("its example is not a JSON object")]
    NoObject,
}

/// The example of an event type. `schemas` are JSON Schemas by version, of which the newest counts;
/// `index` chooses from a list of examples, if the schema has one.
///
/// # Errors
/// [`Error`] when the index is too large, or the example is no object.
pub fn of(name: &str, schemas: Option<&Value>, index: Option<usize>) -> Result<Value, Error> {
    let Some(schema) = schemas.and_then(newest) else {
        return Ok(json!({ "type": name, "data": {} }));
    };
    let example = match schema.get("examples").and_then(Value::as_array) {
        Some(examples) if !examples.is_empty() => {
            let chosen = examples.get(index.unwrap_or(0)).cloned();
            chosen.ok_or(Error::NoSuchIndex { count: examples.len() })?
        }
        _ => Maker { root: schema, left: VALUES }.make(schema, DEPTH),
    };
    if example.is_object() { Ok(example) } else { Err(Error::NoObject) }
}

/// The schema with the greatest version: numbers count as such.
fn newest(schemas: &Value) -> Option<&Value> {
    let version = |(name, _): &(&String, &Value)| {
        let number = name.trim_start_matches('v').parse::<u64>().ok();
        (number, (*name).clone())
    };
    schemas.as_object()?.iter().max_by_key(version).map(|(_, schema)| schema)
}

struct Maker<'a> {
    /// Where references lead.
    root: &'a Value,
    /// How many values may still be made.
    left: usize,
}

impl<'a> Maker<'a> {
    fn make(&mut self, schema: &'a Value, depth: usize) -> Value {
        if depth == 0 || self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        if let Some(given) = given(schema) {
            return given.clone();
        }
        if let Some(target) = self.target(schema) {
            return self.make(target, depth - 1);
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.all_of(schema, parts, depth);
        }
        for choice in ["oneOf", "anyOf"] {
            let first = schema.get(choice).and_then(Value::as_array).and_then(|list| list.first());
            if let Some(first) = first {
                return self.make(first, depth - 1);
            }
        }
        match kind(schema) {
            "object" => Value::Object(self.object(schema, depth)),
            "array" => Value::Array(self.array(schema, depth)),
            "string" => Value::from(text(schema)),
            "integer" => number(schema).map_or(json!(0), |number| json!(number.ceil() as i64)),
            "number" => number(schema).map_or(json!(0), |number| json!(number)),
            "boolean" => json!(true),
            _ => Value::Null,
        }
    }

    /// What `$ref` names inside the schema.
    fn target(&self, schema: &Value) -> Option<&'a Value> {
        let reference = schema.get("$ref")?.as_str()?;
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// The members of every part, and the schema's own.
    fn all_of(&mut self, schema: &'a Value, parts: &'a [Value], depth: usize) -> Value {
        let mut whole = self.object(schema, depth);
        let mut last = Value::Null;
        for part in parts {
            match self.make(part, depth - 1) {
                Value::Object(members) => whole.extend(members),
                other => last = other,
            }
        }
        if whole.is_empty() && !last.is_null() { last } else { Value::Object(whole) }
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut object = Map::new();
        for (name, schema) in properties.into_iter().flatten() {
            object.insert(name.clone(), self.make(schema, depth - 1));
        }
        object
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Vec<Value> {
        let Some(items) = schema.get("items") else { return Vec::new() };
        let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 10);
        (0..count).map(|_| self.make(items, depth - 1)).collect()
    }
}

/// The value that a schema names itself.
fn given(schema: &Value) -> Option<&Value> {
    let first = |list: &str| schema.get(list).and_then(Value::as_array).and_then(|l| l.first());
    schema
        .get("const")
        .or_else(|| schema.get("example"))
        .or_else(|| first("examples"))
        .or_else(|| schema.get("default"))
        .or_else(|| first("enum"))
}

/// The type of a value that fits; what has properties is an object even if it does not say so.
fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null")
        }
        _ => None,
    };
    named.unwrap_or_else(|| match schema {
        Value::Object(keywords) if keywords.contains_key("properties") => "object",
        Value::Object(keywords) if keywords.contains_key("items") => "array",
        Value::Object(keywords) if keywords.is_empty() => "object",
        _ => "null",
    })
}

fn text(schema: &Value) -> String {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let text = match format {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "duration" => "PT1H",
        "email" | "idn-email" => "user@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "url" | "iri" | "uri-reference" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => "string",
    };
    let length = |name: &str| schema.get(name).and_then(Value::as_u64);
    let least = length("minLength").unwrap_or(0).min(LENGTH) as usize;
    let most = length("maxLength").unwrap_or(LENGTH).min(LENGTH) as usize;
    let longer = text.chars().chain(std::iter::repeat('x'));
    longer.take(text.chars().count().max(least).min(most.max(least))).collect()
}

/// The number nearest to 0 that the bounds allow; none if 0 itself is.
fn number(schema: &Value) -> Option<f64> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|bound| bound + 1.0));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|bound| bound - 1.0));
    low.filter(|low| *low > 0.0).or(high.filter(|high| *high < 0.0).map(f64::floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_schema_come_first() {
        let schemas = json!({
            "1": { "examples": [{ "old": 1 }] },
            "10": { "examples": [{ "n": 0 }, { "n": 1 }], "properties": { "n": {} } },
            "2": {},
        });
        for (index, expect) in [
            (None, Ok(json!({ "n": 0 }))),
            (Some(1), Ok(json!({ "n": 1 }))),
            (Some(2), Err(Error::NoSuchIndex { count: 2 })),
        ] {
            assert_eq!(of("a", Some(&schemas), index), expect);
        }
        let single = json!({ "1": { "example": { "n": 7 } } });
        assert_eq!(of("a", Some(&single), Some(5)), Ok(json!({ "n": 7 })), "there is no list");
        let wrong = json!({ "1": { "examples": ["text"] } });
        assert_eq!(of("a", Some(&wrong), None), Err(Error::NoObject));
        assert_eq!(of("a", None, None), Ok(json!({ "type": "a", "data": {} })));
    }

    #[test]
    fn the_rest_is_made_up() {
        let schema = json!({
            "type": "object",
            "properties": {
                "type": { "const": "user.created" },
                "at": { "type": "string", "format": "date-time" },
                "name": { "type": ["null", "string"], "minLength": 8 },
                "code": { "type": "string", "maxLength": 3 },
                "age": { "type": "integer", "minimum": 18 },
                "below": { "type": "number", "exclusiveMaximum": 0 },
                "some": { "type": "number" },
                "vip": { "type": "boolean" },
                "plan": { "enum": ["free", "paid"] },
                "tags": { "type": "array", "items": { "type": "string" }, "minItems": 2 },
                "any": { "items": { "type": "integer" } },
                "address": { "$ref": "#/$defs/address" },
                "one": { "oneOf": [{ "type": "boolean" }, { "type": "string" }] },
                "both": { "allOf": [
                    { "$ref": "#/$defs/address" }, { "properties": { "zip": { "default": "1" } } }
                ] },
                "nothing": { "type": "null" },
                "lost": { "$ref": "#/$defs/none" },
            },
            "$defs": { "address": { "properties": { "city": { "type": "string" } } } },
        });
        let expect = json!({
            "type": "user.created",
            "at": "2026-01-31T12:00:00Z",
            "name": "stringxx",
            "code": "str",
            "age": 18,
            "below": -1.0,
            "some": 0,
            "vip": true,
            "plan": "free",
            "tags": ["string", "string"],
            "any": [0],
            "address": { "city": "string" },
            "one": true,
            "both": { "city": "string", "zip": "1" },
            "nothing": null,
            "lost": null,
        });
        assert_eq!(of("a", Some(&json!({ "1": schema })), None), Ok(expect));
    }

    /// A schema that is nothing but itself, many times over, ends.
    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let node = json!({ "properties": {
            "a": { "$ref": "#" }, "b": { "$ref": "#" }, "c": { "items": { "$ref": "#" } },
        } });
        let example = of("a", Some(&json!({ "1": node })), None).unwrap();
        assert!(example.to_string().len() < 64 * VALUES);
    }
}
