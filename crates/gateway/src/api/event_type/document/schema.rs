//! The schema of a webhook's body, made to stand alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{followed, pointer};
use crate::api::field::Problems;

/// The most examples that a schema is given.
const EXAMPLES: usize = 10;

/// The schema of a request body, with the examples of the body.
pub(super) fn of_body(document: &Value, body: &Value, problems: &mut Problems) -> Option<Value> {
    let media = media(body.get("content")?.as_object()?)?;
    let mut alone = Alone { document, names: BTreeMap::new(), queue: Vec::new(), problems };
    let mut schema = media.get("schema")?.clone();
    alone.taken(&schema);
    alone.rewrite(&mut schema);
    alone.define(&mut schema);
    if let Value::Object(schema) = &mut schema
        && !schema.contains_key("examples")
        && let Some(examples) = examples(document, media)
    {
        schema.insert("examples".to_owned(), examples);
    }
    Some(schema)
}

/// What the body is as JSON, or as whatever comes first.
fn media(content: &Map<String, Value>) -> Option<&Value> {
    let json = content.iter().find(|(name, _)| name.contains("json")).map(|(_, media)| media);
    content.get("application/json").or(json).or_else(|| content.values().next())
}

fn examples(document: &Value, media: &Value) -> Option<Value> {
    if let Some(example) = media.get("example") {
        return Some(json!([example]));
    }
    let examples = media.get("examples")?.as_object()?.values();
    let values = examples.filter_map(|example| followed(document, example)?.get("value").cloned());
    let values: Vec<Value> = values.take(EXAMPLES).collect();
    (!values.is_empty()).then(|| values.into())
}

/// Takes what a schema refers to from the document into the schema.
struct Alone<'a, 'p> {
    document: &'a Value,
    /// Pointers into the document, by what they are called in `$defs`.
    names: BTreeMap<String, String>,
    /// Names whose definitions are still to be made.
    queue: Vec<String>,
    problems: &'p mut Problems,
}

impl Alone<'_, '_> {
    /// Notes the names that the schema has definitions for itself.
    fn taken(&mut self, schema: &Value) {
        let own = schema.get("$defs").and_then(Value::as_object).into_iter().flatten();
        self.names.extend(own.map(|(name, _)| (name.clone(), format!("/$defs/{name}"))));
    }

    /// Lets every reference into the document lead into `$defs`.
    fn rewrite(&mut self, schema: &mut Value) {
        match schema {
            Value::Array(schemas) => schemas.iter_mut().for_each(|schema| self.rewrite(schema)),
            Value::Object(keywords) => {
                for (keyword, value) in keywords {
                    self.rewrite_keyword(keyword, value);
                }
            }
            _ => {}
        }
    }

    fn rewrite_keyword(&mut self, keyword: &str, value: &mut Value) {
        match (keyword, value) {
            ("$ref", Value::String(reference)) => {
                if let Some(name) = self.name(reference) {
                    *reference = format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1"));
                }
            }
            // Whatever is in there is no schema.
            ("const" | "enum" | "default" | "example" | "examples", _) => {}
            (
                "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                Value::Object(schemas),
            ) => schemas.values_mut().for_each(|schema| self.rewrite(schema)),
            (_, value) => self.rewrite(value),
        }
    }

    /// What the target of a reference is called in `$defs`; none if it stays what it is.
    fn name(&mut self, reference: &str) -> Option<String> {
        let pointer = pointer(reference)?;
        if self.document.pointer(&pointer).is_none_or(|_| pointer.is_empty()) {
            // The schema itself may have it.
            if !pointer.starts_with("/$defs/") && !pointer.starts_with("/definitions/") {
                self.problems.add_here(format!("the reference {reference} leads nowhere"));
            }
            return None;
        }
        if let Some((name, _)) = self.names.iter().find(|(_, known)| **known == pointer) {
            return Some(name.clone());
        }
        let short = pointer.strip_prefix("/components/schemas/").unwrap_or(&pointer[1..]);
        let mut name = short.replace("~1", "/").replace("~0", "~").replace('/', ".");
        while self.names.contains_key(&name) {
            name.push('_');
        }
        self.names.insert(name.clone(), pointer);
        self.queue.push(name.clone());
        Some(name)
    }

    /// Adds the definitions, with what these refer to in turn.
    fn define(&mut self, schema: &mut Value) {
        let mut definitions = Map::new();
        while let Some(name) = self.queue.pop() {
            let target = self.names.get(&name).and_then(|pointer| self.document.pointer(pointer));
            let mut definition = target.cloned().unwrap_or_default();
            self.rewrite(&mut definition);
            definitions.insert(name, definition);
        }
        if let Value::Object(schema) = schema
            && !definitions.is_empty()
        {
            let own = schema.entry("$defs").or_insert_with(|| json!({}));
            own.as_object_mut().into_iter().for_each(|own| own.append(&mut definitions));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema of a body, and what is wrong with it.
    fn alone(schema: Value, schemas: Value) -> (Value, usize) {
        let document = json!({"components": {"schemas": schemas}});
        let body = json!({"content": {"application/json": {"schema": schema}}});
        let mut problems = Problems::of_body();
        let schema = of_body(&document, &body, &mut problems).unwrap();
        let problems = match problems.done() {
            Ok(()) => 0,
            Err(crate::api::error::Error::Invalid(list)) => list.len(),
            Err(other) => panic!("{other}"),
        };
        (schema, problems)
    }

    #[test]
    fn what_is_referred_to_comes_along_once() {
        let schemas = json!({
            "pet": {"properties": {
                "owner": {"$ref": "#/components/schemas/owner"},
                "mother": {"$ref": "#/components/schemas/pet"},
            }},
            "owner": {"type": "string"},
            "unused": {},
        });
        let pet = json!({"$ref": "#/components/schemas/pet"});
        let (schema, wrong) = alone(json!({"oneOf": [pet, {"type": "null"}], "not": pet}), schemas);
        let own = json!({"$ref": "#/$defs/pet"});
        let expect = json!({
            "oneOf": [own, {"type": "null"}], "not": own,
            "$defs": {
                "owner": {"type": "string"},
                "pet": {"properties": {"owner": {"$ref": "#/$defs/owner"}, "mother": own}},
            },
        });
        assert_eq!((schema, wrong), (expect, 0));
    }

    #[test]
    fn names_do_not_clash() {
        let schemas = json!({
            "a": {"type": "string", "properties": {"b": {"type": "boolean"}}},
            "x/y": {"type": "integer"},
        });
        let references = json!({"allOf": [
            {"$ref": "#/components/schemas/a"}, {"$ref": "#/$defs/a"},
            {"$ref": "#/components/schemas/a/properties/b"}, {"$ref": "#/components/schemas/x~1y"},
            {"$ref": "#/components/schemas/x%7E1y"},
        ], "$defs": {"a": {"type": "null"}}});
        let (schema, wrong) = alone(references, schemas);
        let expect = json!({"allOf": [
            {"$ref": "#/$defs/a_"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a.properties.b"},
            {"$ref": "#/$defs/x.y"}, {"$ref": "#/$defs/x.y"},
        ], "$defs": {
            "a": {"type": "null"},
            "a_": {"type": "string", "properties": {"b": {"type": "boolean"}}},
            "a.properties.b": {"type": "boolean"},
            "x.y": {"type": "integer"},
        }});
        assert_eq!((schema, wrong), (expect, 0));
    }

    #[test]
    fn only_references_are_rewritten() {
        let data = json!({"$ref": "#/components/schemas/a"});
        let schema = json!({
            "properties": {"$ref": {"type": "string"}, "default": {"const": data}},
            "examples": [data], "enum": [data], "$ref": "https://example.com/schema",
        });
        let (same, wrong) = alone(schema.clone(), json!({"a": {}}));
        assert_eq!((same, wrong), (schema, 0));
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_wrong() {
        for reference in ["#/components/schemas/gone", "#", "#/"] {
            let (_, wrong) = alone(json!({ "$ref": reference }), json!({}));
            assert_eq!(wrong, 1, "{reference}");
        }
    }

    #[test]
    fn examples_of_the_body_are_examples_of_the_schema() {
        let document = json!({"components": {"examples": {"one": {"value": 1}}}});
        let body = json!({"content": {"application/vnd.a+json": {
            "schema": {},
            "examples": {"a": {"$ref": "#/components/examples/one"}, "b": {"value": {"n": 2}}},
        }, "text/plain": {}}});
        let schema = of_body(&document, &body, &mut Problems::of_body());
        assert_eq!(schema, Some(json!({"examples": [1, {"n": 2}]})));
    }
}
