//! JSON Schemas that bodies are held against: compiled once, used for every body.
//!
//! A schema is written by whoever configures a source, so it reaches nothing outside of itself: a
//! `$ref` has to lead to a place in the same schema, and nothing is ever fetched. What it may cost is
//! bounded twice: written out without references a schema has at most [`EXPANDED`] parts, and
//! checking a body looks at parts at most [`VISITS`] times. Patterns are run by an engine whose time
//! is linear in the text. What is said about a body quotes no value of it:
//! it ends up in logs and lists.

mod cost;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::filter::{BODY_BYTES, REGEX_BYTES};

/// The longest schema, in bytes of JSON without white space.
pub const LENGTH: usize = 64 * 1024;
/// How many parts a schema may have once each `$ref` is replaced by what it leads to.
pub const EXPANDED: u64 = 5_000;
/// How deep its parts may be nested then.
pub const DEPTH: usize = 100;
/// How often checking one body may look at a part of the schema.
pub const VISITS: u32 = 200_000;
/// The longest body of which more is said than that it is wrong.
const EXPLAINED_BYTES: usize = 256 * 1024;
/// How long an explanation may be, in characters.
const EXPLANATION: usize = 300;

/// A schema, ready to check bodies.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Validator,
    /// Whether the first violation can be looked for: that looks at everything, and in a schema that
    /// goes round in circles it may not end in time.
    explains: bool,
}

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Longer than [`LENGTH`].
    #[error("longer than {LENGTH} bytes")]
    Length,
    /// It is no schema, refers to what is not in it, or has a pattern that cannot be run.
    #[error("{what} (at {})", if place.is_empty() { "the top" } else { place })]
    Invalid {
        /// A JSON Pointer into the schema, as far as it is known.
        place: String,
        /// What is wrong there.
        what: String,
    },
}

/// Why a body is not what its schema says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at {})", if place.is_empty() { "the top" } else { place })]
pub struct Violation {
    /// A JSON Pointer (RFC 6901) into the body.
    pub place: String,
    /// What is wrong there, without the value itself.
    pub what: String,
}

impl Schema {
    /// Compiles a schema: of the draft that its `$schema` names, else of 2020-12.
    ///
    /// # Errors
    /// [`Mistake`], with its place where that is known.
    pub fn compile(schema: &Value) -> Result<Schema, Mistake> {
        if schema.to_string().len() > LENGTH {
            return Err(Mistake::Length);
        }
        let circular = cost::check(schema)?;
        let build = |schema: &Value| {
            let options = jsonschema::options()
                .offline()
                .with_pattern_options(PatternOptions::regex().size_limit(REGEX_BYTES))
                .with_keyword(cost::KEYWORD, |_, _, _| Ok(Box::new(cost::Budget)));
            options.build(schema).map_err(|error| Mistake::Invalid {
                place: error.instance_path().as_str().to_owned(),
                what: shortened(&error.to_string()),
            })
        };
        // First as it is written, for the places of mistakes.
        build(schema)?;
        let validator = build(&cost::budgeted(schema))?;
        Ok(Schema { validator, explains: !circular })
    }

    /// Checks a body.
    ///
    /// # Errors
    /// [`Violation`]: the first that is found. It has no place where the schema refers to itself in a
    /// circle, or the body is longer than 256 KiB.
    pub fn check(&self, body: &[u8]) -> Result<(), Violation> {
        let whole = |what: String| Violation { place: String::new(), what };
        if body.len() > BODY_BYTES {
            return Err(whole(format!("longer than the {BODY_BYTES} bytes that are checked")));
        }
        // The reader's own words say where, and quote nothing.
        let value: Value =
            serde_json::from_slice(body).map_err(|error| whole(format!("not JSON: {error}")))?;
        cost::begin(VISITS);
        let valid = self.validator.is_valid(&value);
        if valid && !cost::is_spent() {
            return Ok(());
        }
        if cost::is_spent() {
            return Err(whole("it costs too much to check".to_owned()));
        }
        if !self.explains || body.len() > EXPLAINED_BYTES {
            return Err(whole("it is not what the schema says".to_owned()));
        }
        cost::begin(u32::MAX);
        self.validator.validate(&value).map_err(|error| Violation {
            place: error.instance_path().as_str().to_owned(),
            what: shortened(&error.masked_with("the value").to_string()),
        })
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(EXPLANATION).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_are_checked() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": { "type": "integer" },
                "lines": { "items": { "$ref": "#/$defs/line" } },
                "sku": { "pattern": "^[A-Z]{2}-\\d+$" },
            },
            "$defs": { "line": { "properties": { "n/a": { "maximum": 5 } } } },
        });
        let schema = Schema::compile(&schema).unwrap();
        for (body, expect) in [
            (r#"{"id": 1}"#, None),
            (r#"{"id": 1, "sku": "AB-12"}"#, None),
            ("{", Some("not JSON: EOF while parsing an object at line 1 column 1 (at the top)")),
            ("{}", Some("\"id\" is a required property (at the top)")),
            (r#"{"id": "secret"}"#, Some("the value is not of type \"integer\" (at /id)")),
            (
                r#"{"id": 1, "lines": [{"n/a": 5}, {"n/a": 6}]}"#,
                Some("the value is greater than the maximum of 5 (at /lines/1/n~1a)"),
            ),
            (
                r#"{"id": 1, "sku": "secret"}"#,
                Some(r#"the value does not match "^[A-Z]{2}-\d+$" (at /sku)"#),
            ),
        ] {
            let violation = schema.check(body.as_bytes()).err().map(|it| it.to_string());
            assert_eq!(violation.as_deref(), expect, "{body}");
        }
        let huge = vec![b' '; BODY_BYTES + 1];
        assert!(schema.check(&huge).is_err());
    }

    #[test]
    fn what_costs_too_much_is_refused_or_stopped() {
        // Every step doubles what has to be looked at.
        let doubling = |steps: usize| {
            let step = |at: usize| {
                let next = json!({ "$ref": format!("#/$defs/{}", at + 1) });
                (at.to_string(), json!({ "anyOf": [next, next] }))
            };
            let mut defs: serde_json::Map<_, _> = (0..steps).map(step).collect();
            defs.insert(steps.to_string(), json!({ "type": "string" }));
            Schema::compile(&json!({ "$ref": "#/$defs/0", "$defs": defs }))
        };
        assert!(doubling(6).unwrap().check(b"1").is_err());
        for (steps, expect) in [
            (14, format!("more than {EXPANDED} parts without references")),
            (400, format!("deeper than {DEPTH} levels without references")),
        ] {
            match doubling(steps).map(drop) {
                Err(Mistake::Invalid { what, .. }) => assert_eq!(what, expect),
                other => panic!("{steps}: {other:?}"),
            }
        }
        // Here it is the body that doubles it: whatever the answer, it comes soon.
        let below = json!({ "properties": { "a": { "$ref": "#" } } });
        let draft = "http://json-schema.org/draft-07/schema#";
        for schema in [
            json!({ "anyOf": [below, below], "required": ["b"] }),
            json!({ "$schema": draft, "allOf": [below, below] }),
            json!({ "not": { "allOf": [below, { "not": below }] }, "oneOf": [below, below] }),
        ] {
            let schema = Schema::compile(&schema).unwrap();
            let nested = r#"{"a":"#.repeat(100) + "1" + &"}".repeat(100);
            let _ = schema.check(nested.as_bytes());
        }
        let schema = json!({ "items": { "allOf": [{}, {}, { "type": "integer" }] } });
        let schema = Schema::compile(&schema).unwrap();
        let ones = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        assert_eq!(schema.check(ones(10_000).as_bytes()), Ok(()));
        let violation = schema.check(ones(100_000).as_bytes()).unwrap_err();
        assert_eq!(violation.what, "it costs too much to check");
    }

    #[test]
    fn drafts() {
        // What `items` with a list means has changed.
        let schema = |draft: &str| {
            let schema = json!({ "$schema": draft, "items": [{ "type": "string" }] });
            Schema::compile(&schema).map(|schema| schema.check(b"[1]").is_err())
        };
        assert_eq!(schema("http://json-schema.org/draft-07/schema#"), Ok(true));
        assert!(schema("https://json-schema.org/draft/2020-12/schema").is_err());
        assert!(schema("https://example.com/my-own").is_err(), "another document");
    }

    #[test]
    fn nothing_outside_is_reached() {
        let place = "/properties/a/$ref".to_owned();
        for reference in [
            "http://127.0.0.1:1/schema.json",
            "https://example.com/schema.json#/a",
            "file:///etc/hostname",
            "other.json",
            "#/$defs/missing",
            "#anchor",
        ] {
            let schema = json!({ "properties": { "a": { "$ref": reference } } });
            let what = format!("`{reference}` is no place in this schema: expected `#/…`");
            let place = place.clone();
            assert_eq!(Schema::compile(&schema).map(drop), Err(Mistake::Invalid { place, what }));
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (schema, expect) in [
            (json!({ "type": "objekt" }), "/type"),
            (json!({ "properties": { "a": { "minLength": -1 } } }), "/properties/a/minLength"),
            (json!([]), ""),
        ] {
            match Schema::compile(&schema).map(drop) {
                Err(Mistake::Invalid { place, .. }) => assert_eq!(place, expect, "{schema}"),
                other => panic!("{schema}: {other:?}"),
            }
        }
        for pattern in ["(?=a)", "a(", "(\\w{100}){100}"] {
            assert!(Schema::compile(&json!({ "pattern": pattern })).is_err(), "{pattern}");
        }
        let long = json!({ "description": "a".repeat(LENGTH) });
        assert_eq!(Schema::compile(&long).map(drop), Err(Mistake::Length));
    }

    #[test]
    fn a_schema_may_go_round_in_circles() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#/$defs/a" }], "$defs": {
                "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" },
            } }),
            json!({ "properties": { "a": { "$ref": "#/properties/a" } } }),
        ] {
            // Refused or not: it ends.
            let _ = Schema::compile(&schema).map(|schema| schema.check(b"{}"));
        }
        let tree = json!({ "properties": { "next": { "$ref": "#" }, "n": { "type": "integer" } } });
        let tree = Schema::compile(&tree).unwrap();
        let violation = tree.check(br#"{"next": {"next": {"n": "x"}}}"#).unwrap_err();
        assert_eq!(violation.what, "it is not what the schema says");
    }
}
