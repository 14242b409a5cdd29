//! What a schema may cost: counted before it is compiled, and while a body is checked.
//!
//! References make schemas that are short to write and endless to check. The validator knows no
//! limit of its own, so every part of a schema gets one more condition, [`KEYWORD`], that counts and
//! fails once too much was counted. Whatever is looked at after that fails at once.

use std::{cell::Cell, collections::HashMap};

use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value, json};

use super::{DEPTH, EXPANDED, Mistake};

/// The condition that counts. No schema has it by accident.
pub(super) const KEYWORD: &str = "x-ringback-budget";

/// Keywords whose values are no schemas and hold none.
const VALUES: &[&str] =
    &["const", "default", "dependentRequired", "enum", "examples", "required", "type"];
/// Keywords whose values have a schema for each name.
const NAMED: &[&str] = &[
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Where a reference can lead to another document, or be found out only while checking.
const REFUSED: &[&str] = &["$dynamicRef", "$recursiveRef"];

thread_local! {
    /// How much the check that is under way on this thread may still look at. A check is over before
    /// the thread does anything else.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// Allows a check to look at this many parts.
pub(super) fn begin(visits: u32) {
    LEFT.set(visits);
}

/// Whether the check has used up what it was allowed.
pub(super) fn is_spent() -> bool {
    LEFT.get() == 0
}

/// Counts.
pub(super) struct Budget;

impl<'i> Keyword<'i> for Budget {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        let valid = self.is_valid(instance);
        if valid { Ok(()) } else { Err(ValidationError::custom("it costs too much to check")) }
    }

    fn is_valid(&self, _: &'i Value) -> bool {
        LEFT.set(LEFT.get().saturating_sub(1));
        LEFT.get() > 0
    }
}

/// The same schema with the condition in every part of it. It stands in `allOf`, which is asked
/// before what may be endless: other compositions and references.
pub(super) fn budgeted(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut with: Map<String, Value> =
        fields.iter().map(|(key, value)| (key.clone(), inside(key, value))).collect();
    let all = with.entry("allOf").or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.insert(0, json!({ KEYWORD: true }));
    }
    Value::Object(with)
}

fn inside(key: &str, value: &Value) -> Value {
    match value {
        _ if VALUES.contains(&key) => value.clone(),
        Value::Object(named) if NAMED.contains(&key) => {
            named.iter().map(|(name, value)| (name.clone(), budgeted(value))).collect()
        }
        Value::Array(items) => items.iter().map(budgeted).collect(),
        value => budgeted(value),
    }
}

/// Counts what a schema has once each reference is replaced by what it leads to. Returns whether one
/// leads in a circle.
///
/// # Errors
/// [`Mistake::Invalid`] if that is too much, or a reference leads elsewhere.
pub(super) fn check(schema: &Value) -> Result<bool, Mistake> {
    let mut count =
        Count { root: schema, known: HashMap::new(), place: Vec::new(), depth: 0, circular: false };
    // References to the schema itself go round, too.
    count.known.insert("#", None);
    count.schema(schema)?;
    Ok(count.circular)
}

struct Count<'a> {
    root: &'a Value,
    /// Of each part that a reference leads to, by its place: none while it is being counted.
    known: HashMap<&'a str, Option<u64>>,
    place: Vec<&'a str>,
    depth: usize,
    circular: bool,
}

impl<'a> Count<'a> {
    fn schema(&mut self, schema: &'a Value) -> Result<u64, Mistake> {
        let Value::Object(fields) = schema else { return Ok(1) };
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.mistake(format!("deeper than {DEPTH} levels without references")));
        }
        let mut parts = 1u64;
        for (key, value) in fields {
            self.place.push(key);
            parts = parts.saturating_add(self.keyword(key, value)?);
            if parts > EXPANDED {
                let what = format!("more than {EXPANDED} parts without references");
                return Err(self.mistake(what));
            }
            self.place.pop();
        }
        self.depth -= 1;
        Ok(parts)
    }

    fn keyword(&mut self, key: &str, value: &'a Value) -> Result<u64, Mistake> {
        match value {
            _ if VALUES.contains(&key) => Ok(0),
            _ if REFUSED.contains(&key) => {
                Err(self.mistake(format!("`{key}` is not supported: use `$ref`")))
            }
            Value::String(path) if key == "$ref" => self.reference(path),
            Value::String(_) if key == "$id" && self.place.len() > 1 => {
                Err(self.mistake("only the schema as a whole may have an `$id`".to_owned()))
            }
            Value::Object(named) if NAMED.contains(&key) => {
                let mut parts = 0u64;
                for (name, schema) in named {
                    self.place.push(name);
                    parts = parts.saturating_add(self.schema(schema)?);
                    self.place.pop();
                }
                Ok(parts)
            }
            Value::Array(items) => {
                items.iter().try_fold(0u64, |parts, it| Ok(parts.saturating_add(self.schema(it)?)))
            }
            Value::Object(_) => self.schema(value),
            _ => Ok(0),
        }
    }

    fn reference(&mut self, path: &'a str) -> Result<u64, Mistake> {
        let pointer = path.strip_prefix('#').filter(|it| it.is_empty() || it.starts_with('/'));
        let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            let what = format!("`{path}` is no place in this schema: expected `#/…`");
            return Err(self.mistake(what));
        };
        // What holds no schemas is not counted while checking either.
        if path.split('/').any(|part| VALUES.contains(&part)) {
            return Err(self.mistake(format!("`{path}` leads to something that is no schema")));
        }
        match self.known.get(path) {
            Some(Some(parts)) => return Ok(*parts),
            Some(None) => {
                self.circular = true;
                return Ok(1);
            }
            None => {}
        }
        self.known.insert(path, None);
        // What is wrong there is wrong at its own place.
        let there = pointer.unwrap_or_default().split('/').skip(1).collect();
        let here = std::mem::replace(&mut self.place, there);
        let parts = self.schema(target)?;
        self.place = here;
        self.known.insert(path, Some(parts));
        Ok(parts)
    }

    fn mistake(&self, what: String) -> Mistake {
        let place = self.place.iter().flat_map(|key| ["/", key]).collect();
        Mistake::Invalid { place, what }
    }
}
