//! Whether those who read an older version can read everything that a newer one sends.
//!
//! That is the question of whoever sends: receivers are deployed, and get new data. It is asked of
//! two JSON Schemas and answered on the safe side: what is not understood is "cannot tell", never
//! "yes". A schema with `properties` is taken as what its sender sends: what it does not name is not
//! sent, unless it says so with `additionalProperties` or `patternProperties`. Without that reading
//! no field could ever be left out.
//!
//! Understood are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`,
//! bounds of numbers, lengths and counts, `uniqueItems`, `allOf`, `anyOf`, `oneOf` and references.
//! Other keywords count as kept where both schemas say the same.

use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// How deep schemas are followed.
const DEPTH: usize = 48;
/// How many pairs of parts are compared.
const PAIRS: usize = 20_000;
/// How many findings are told.
const FINDINGS: usize = 20;
/// Says nothing about a value.
const NOTES: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "$vocabulary",
    "default",
    "definitions",
    "deprecated",
    "description",
    "example",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// Something that an older version does not take, or that nobody can tell about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where in a payload: a JSON Pointer in which `[*]` stands for each element.
    pub place: String,
    /// What is wrong there, for people.
    pub what: String,
    /// Whether it is certain; if not, nobody can tell.
    pub certain: bool,
}

/// What a payload of the new version may be that an old reader refuses; nothing if there is none.
#[must_use]
pub fn check(new: &Value, old: &Value) -> Vec<Finding> {
    let mut compare =
        Compare { new, old, place: Vec::new(), open: Vec::new(), pairs: PAIRS, depth: 0 };
    let mut findings = compare.part(new, old);
    // What is certain comes first.
    findings.sort_by_key(|finding| !finding.certain);
    findings.dedup();
    findings.truncate(FINDINGS);
    findings
}

/// A payload that fits the new schema and not the old one: of these, or of these without what a
/// finding names.
#[must_use]
pub fn counterexample(
    (new, old): (&Schema, &Schema),
    findings: &[Finding],
    payloads: &[Value],
) -> Option<Value> {
    let refused = |payload: &Value| {
        let text = payload.to_string();
        new.check(text.as_bytes()).is_ok() && old.check(text.as_bytes()).is_err()
    };
    let without = |payload: &Value| {
        findings.iter().map(|finding| removed(payload, &finding.place)).collect::<Vec<_>>()
    };
    let mut candidates: Vec<Value> = payloads.to_vec();
    candidates.extend(payloads.iter().flat_map(without));
    candidates.into_iter().find(refused)
}

fn removed(payload: &Value, place: &str) -> Value {
    let mut payload = payload.clone();
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    if let Some(Value::Object(fields)) = payload.pointer_mut(&parent.replace("[*]", "0")) {
        fields.remove(&name.replace("~1", "/").replace("~0", "~"));
    }
    payload
}

type Found = Vec<Finding>;

struct Compare<'a> {
    new: &'a Value,
    old: &'a Value,
    /// Where in a payload.
    place: Vec<String>,
    /// Pairs of references that are being compared: what goes round is asked once.
    open: Vec<(String, String)>,
    pairs: usize,
    depth: usize,
}

impl Compare<'_> {
    fn finding(&self, what: impl Into<String>, certain: bool) -> Found {
        let escaped = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let place = self.place.iter().map(escaped).collect();
        vec![Finding { place, what: what.into(), certain }]
    }

    fn no(&self, what: impl Into<String>) -> Found {
        self.finding(what, true)
    }

    fn unknown(&self, keyword: &str) -> Found {
        self.finding(format!("nobody can tell whether `{keyword}` still holds"), false)
    }

    fn below(&mut self, name: &str, new: &Value, old: &Value) -> Found {
        self.place.push(name.to_owned());
        let found = self.part(new, old);
        self.place.pop();
        found
    }

    fn part(&mut self, new: &Value, old: &Value) -> Found {
        if is_anything(old) || *new == Value::Bool(false) || self.same(new, old) {
            return Found::new();
        }
        if self.pairs == 0 || self.depth == DEPTH {
            return self.finding("the schemas are too large to be compared here", false);
        }
        self.pairs -= 1;
        self.depth += 1;
        let found = self.resolved(new, old);
        self.depth -= 1;
        found
    }

    /// Whether both say the same, in the same words.
    fn same(&self, new: &Value, old: &Value) -> bool {
        new == old && (self.new == self.old || !new.to_string().contains("\"$ref\""))
    }

    fn resolved(&mut self, new: &Value, old: &Value) -> Found {
        let pair = (reference(new), reference(old));
        if pair == (None, None) {
            return self.objects(new, old);
        }
        let names = (named(new, pair.0.as_deref()), named(old, pair.1.as_deref()));
        if self.open.contains(&names) {
            return Found::new();
        }
        let (Some(new), Some(old)) = (followed(self.new, new), followed(self.old, old)) else {
            return self.unknown("$ref");
        };
        self.open.push(names);
        let found = self.part(&new, &old);
        self.open.pop();
        found
    }

    fn objects(&mut self, new: &Value, old: &Value) -> Found {
        let Value::Object(constraints) = old else {
            return self.no("the older version takes nothing here");
        };
        let everything = Map::new();
        let sent = new.as_object().unwrap_or(&everything);
        if let Some(values) = values(sent) {
            return self.values(new, &values, old);
        }
        if let Some(branches) = sent.get("anyOf").or(sent.get("oneOf")).and_then(Value::as_array) {
            return self.branches(sent, branches, old);
        }
        if sent.contains_key("allOf") {
            match merged(sent) {
                Some(merged) => return self.part(&merged, old),
                None => return self.unknown("allOf"),
            }
        }
        let mut found = Found::new();
        for (keyword, constraint) in constraints {
            if !NOTES.contains(&keyword.as_str()) {
                found.extend(self.keyword(keyword, constraint, sent, constraints));
            }
        }
        found
    }

    /// All values that the new schema allows, one by one.
    fn values(&mut self, new: &Value, values: &[Value], old: &Value) -> Found {
        let (Some(sent), Some(read)) = (alone(self.new, new), alone(self.old, old)) else {
            return self.unknown("enum");
        };
        let takes = |schema: &Schema, it: &Value| schema.check(it.to_string().as_bytes()).is_ok();
        match values.iter().find(|it| takes(&sent, it) && !takes(&read, it)) {
            Some(value) => self.no(format!("the older version does not take {value}")),
            None => Found::new(),
        }
    }

    /// Whichever branch a payload takes, the older version has to take it.
    fn branches(&mut self, sent: &Map<String, Value>, branches: &[Value], old: &Value) -> Found {
        let keyword = if sent.contains_key("anyOf") { "anyOf" } else { "oneOf" };
        let mut rest = sent.clone();
        rest.remove(keyword);
        let mut found = Found::new();
        for branch in branches {
            let mut both = rest.clone();
            both.insert("allOf".to_owned(), {
                let mut all =
                    rest.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
                all.push(branch.clone());
                Value::Array(all)
            });
            match merged(&both) {
                Some(merged) => found.extend(self.part(&merged, old)),
                None => found.extend(self.unknown(keyword)),
            }
        }
        found
    }

    fn keyword(
        &mut self,
        keyword: &str,
        constraint: &Value,
        sent: &Map<String, Value>,
        constraints: &Map<String, Value>,
    ) -> Found {
        let types = types(sent);
        let sends = |kind: &str| types.contains(&kind);
        match keyword {
            "type" => self.types(&types, constraint),
            "enum" | "const" => self.no(format!(
                "the older version takes only {}, and the new schema does not say which it sends",
                if keyword == "enum" { constraint.clone() } else { json!([constraint]) }
            )),
            "required" | "properties" | "additionalProperties" if !sends("object") => Found::new(),
            "required" => self.required(constraint, sent),
            "properties" => self.properties(constraint, sent),
            "additionalProperties" => self.additional(constraint, sent, constraints),
            "items" if !sends("array") => Found::new(),
            "items" if constraint.is_array() || sent.contains_key("prefixItems") => {
                if sent.get("items") == Some(constraint) {
                    Found::new()
                } else {
                    self.unknown("items")
                }
            }
            "items" => {
                let anything = Value::Bool(true);
                self.below("[*]", sent.get("items").unwrap_or(&anything), constraint)
            }
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum"
                if !sends("number") && !sends("integer") =>
            {
                Found::new()
            }
            "minLength" | "maxLength" | "pattern" | "format" if !sends("string") => Found::new(),
            "minItems" | "maxItems" | "uniqueItems" if !sends("array") => Found::new(),
            "minProperties" | "maxProperties" if !sends("object") => Found::new(),
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                self.bound(keyword, constraint, sent)
            }
            "minLength" | "minItems" | "minProperties" => {
                self.count(keyword, constraint, sent, |new, old| new >= old)
            }
            "maxLength" | "maxItems" | "maxProperties" => {
                self.count(keyword, constraint, sent, |new, old| new <= old)
            }
            "uniqueItems" if *constraint == Value::Bool(true) => match sent.get("uniqueItems") {
                Some(Value::Bool(true)) => Found::new(),
                _ => self.no("the older version wants each element once"),
            },
            "allOf" => {
                let all = constraint.as_array().cloned().unwrap_or_default();
                let new = Value::Object(sent.clone());
                all.iter().flat_map(|old| self.part(&new, old)).collect()
            }
            "anyOf" => self.any(constraint, sent),
            _ if sent.get(keyword) == Some(constraint) => Found::new(),
            _ => self.unknown(keyword),
        }
    }

    fn types(&self, types: &[&str], constraint: &Value) -> Found {
        let taken = listed(constraint);
        let fits = |kind: &&&str| {
            taken.contains(*kind) || (**kind == "integer" && taken.contains(&"number"))
        };
        let refused: Vec<&str> = types.iter().filter(|kind| !fits(kind)).copied().collect();
        if refused.is_empty() {
            return Found::new();
        }
        self.no(format!(
            "it may be of type {}, the older version takes {constraint}",
            refused.join(", ")
        ))
    }

    fn required(&mut self, constraint: &Value, sent: &Map<String, Value>) -> Found {
        let names = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let promised = names(sent.get("required"));
        let mut found = Found::new();
        for name in names(Some(constraint)).iter().filter(|name| !promised.contains(name)) {
            self.place.push(name.clone());
            found.extend(self.no("the older version requires it, the new one may leave it out"));
            self.place.pop();
        }
        found
    }

    fn properties(&mut self, constraint: &Value, sent: &Map<String, Value>) -> Found {
        let Some(expected) = constraint.as_object() else { return Found::new() };
        let named = sent.get("properties").and_then(Value::as_object);
        let mut found = Found::new();
        for (name, old) in expected {
            if let Some(new) = named.and_then(|named| named.get(name)) {
                found.extend(self.below(name, new, old));
            } else if sent.contains_key("patternProperties") {
                found.extend(self.unknown("patternProperties"));
            } else if let Some(others) = sent.get("additionalProperties") {
                found.extend(self.below(name, others, old));
            } else if named.is_none() && !is_anything(old) {
                self.place.push(name.clone());
                found.extend(self.unknown("properties"));
                self.place.pop();
            }
        }
        found
    }

    fn additional(
        &mut self,
        constraint: &Value,
        sent: &Map<String, Value>,
        constraints: &Map<String, Value>,
    ) -> Found {
        if constraints.contains_key("patternProperties") || sent.contains_key("patternProperties") {
            return if sent.get("patternProperties") == constraints.get("patternProperties")
                && sent.get("additionalProperties") == Some(constraint)
                && sent.get("properties") == constraints.get("properties")
            {
                Found::new()
            } else {
                self.unknown("patternProperties")
            };
        }
        let known = constraints.get("properties").and_then(Value::as_object);
        let mut found = Found::new();
        for (name, new) in sent.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if known.is_some_and(|known| known.contains_key(name)) || *new == Value::Bool(false) {
                continue;
            }
            if *constraint == Value::Bool(false) {
                self.place.push(name.clone());
                found.extend(self.no("the older version allows no other properties"));
                self.place.pop();
            } else {
                found.extend(self.below(name, new, constraint));
            }
        }
        if let Some(others) = sent.get("additionalProperties") {
            found.extend(self.part(others, constraint));
        } else if !sent.contains_key("properties") {
            found.extend(self.unknown("additionalProperties"));
        }
        found
    }

    fn bound(&self, keyword: &str, constraint: &Value, sent: &Map<String, Value>) -> Found {
        let lower = keyword.ends_with("inimum");
        let exclusive = keyword.starts_with("exclusive");
        let Some(limit) = constraint.as_f64() else { return self.unknown(keyword) };
        let names =
            if lower { ["minimum", "exclusiveMinimum"] } else { ["maximum", "exclusiveMaximum"] };
        let holds = names.iter().zip([false, true]).any(|(name, strictly)| {
            let own = sent.get(*name).and_then(Value::as_f64);
            own.is_some_and(|own| {
                let inside = if lower { own > limit } else { own < limit };
                inside || (own == limit && (strictly || !exclusive))
            })
        });
        if holds {
            return Found::new();
        }
        self.no(format!("the older version has `{keyword}` {constraint}, and the new one less"))
    }

    fn count(
        &self,
        keyword: &str,
        constraint: &Value,
        sent: &Map<String, Value>,
        holds: impl Fn(f64, f64) -> bool,
    ) -> Found {
        let Some(limit) = constraint.as_f64() else { return self.unknown(keyword) };
        let own = sent.get(keyword).and_then(Value::as_f64);
        if own.is_some_and(|own| holds(own, limit)) || (keyword.starts_with("min") && limit == 0.0)
        {
            return Found::new();
        }
        self.no(format!("the older version has `{keyword}` {constraint}, and the new one less"))
    }

    fn any(&mut self, constraint: &Value, sent: &Map<String, Value>) -> Found {
        let new = Value::Object(sent.clone());
        for old in constraint.as_array().cloned().unwrap_or_default() {
            if self.part(&new, &old).is_empty() {
                return Found::new();
            }
        }
        self.unknown("anyOf")
    }
}

fn is_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(anything) => *anything,
        Value::Object(fields) => fields.keys().all(|key| NOTES.contains(&key.as_str())),
        _ => false,
    }
}

/// A part of a schema as one of its own.
fn alone(root: &Value, part: &Value) -> Option<Schema> {
    let mut schema = json!({ "allOf": [part] });
    for key in ["$schema", "$defs", "definitions"] {
        if let Some(value) = root.get(key) {
            schema[key] = value.clone();
        }
    }
    Schema::compile(&schema).ok()
}

fn reference(schema: &Value) -> Option<String> {
    schema.get("$ref").and_then(Value::as_str).map(str::to_owned)
}

fn named(schema: &Value, reference: Option<&str>) -> String {
    reference.map_or_else(|| schema.to_string(), str::to_owned)
}

/// The schema with what its reference leads to, all the way.
fn followed(root: &Value, schema: &Value) -> Option<Value> {
    let Some(path) = reference(schema) else { return Some(schema.clone()) };
    let target = root.pointer(path.strip_prefix('#')?)?;
    let mut rest = schema.as_object()?.clone();
    rest.remove("$ref");
    if is_anything(&Value::Object(rest.clone())) {
        return Some(target.clone());
    }
    let all = rest.entry("allOf").or_insert_with(|| json!([]));
    all.as_array_mut()?.push(target.clone());
    Some(Value::Object(rest))
}

/// One schema that says what all of `allOf` and its neighbours say; none if that cannot be written
/// down by putting keywords beside each other.
fn merged(schema: &Map<String, Value>) -> Option<Value> {
    let mut into = schema.clone();
    let all = into.remove("allOf")?;
    for part in all.as_array()? {
        let fields = match part {
            Value::Bool(true) => continue,
            Value::Object(fields) => fields,
            _ => return None,
        };
        for (keyword, value) in fields {
            join(&mut into, keyword, value)?;
        }
    }
    Some(Value::Object(into))
}

fn join(into: &mut Map<String, Value>, keyword: &str, value: &Value) -> Option<()> {
    let Some(here) = into.get_mut(keyword) else {
        into.insert(keyword.to_owned(), value.clone());
        return Some(());
    };
    if here == value || NOTES.contains(&keyword) {
        return Some(());
    }
    match keyword {
        "required" | "allOf" => here.as_array_mut()?.extend(value.as_array()?.iter().cloned()),
        "properties" => {
            let here = here.as_object_mut()?;
            for (name, schema) in value.as_object()? {
                let both = match here.get(name) {
                    Some(own) => json!({ "allOf": [own, schema] }),
                    None => schema.clone(),
                };
                here.insert(name.clone(), both);
            }
        }
        _ => return None,
    }
    Some(())
}

/// The values that a schema allows, if it lists them.
fn values(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(Value::Array(values))) => Some(values.clone()),
        _ => None,
    }
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(value) => listed(value),
        None => TYPES.to_vec(),
    }
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says(new: &Value, old: &Value) -> Result<(), (String, bool)> {
        match check(new, old).into_iter().next() {
            None => Ok(()),
            Some(finding) => Err((finding.place, finding.certain)),
        }
    }

    #[test]
    fn what_old_readers_take() {
        let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
        let text = json!({ "type": "string" });
        let number = json!({ "type": "number" });
        let integer = json!({ "type": "integer" });
        let strict = |properties: Value| json!({ "type": "object", "properties": properties, "additionalProperties": false });
        let node = json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" }, "n": integer } } } });
        let wider = json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" }, "n": number } } } });
        let yes = Ok(());
        let no = |place: &str| Err((place.to_owned(), true));
        let unknown = |place: &str| Err((place.to_owned(), false));
        for (new, old, expect) in [
            (json!({}), json!({}), yes.clone()),
            (
                object(json!({"a": text, "b": text}), json!(["a"])),
                object(json!({"a": text}), json!(["a"])),
                yes.clone(),
            ),
            (
                object(json!({"a": text}), json!([])),
                object(json!({"a": text}), json!(["a"])),
                no("/a"),
            ),
            (
                object(json!({"b": text}), json!(["b"])),
                object(json!({"a": text}), json!([])),
                yes.clone(),
            ),
            (
                object(json!({"a": number}), json!([])),
                object(json!({"a": integer}), json!([])),
                no("/a"),
            ),
            (
                object(json!({"a": integer}), json!([])),
                object(json!({"a": number}), json!([])),
                yes.clone(),
            ),
            (
                object(json!({"a": {"type": ["string", "null"]}}), json!([])),
                object(json!({"a": text}), json!([])),
                no("/a"),
            ),
            (strict(json!({"a": text, "b": text})), strict(json!({"a": text})), no("/b")),
            (strict(json!({"a": text})), strict(json!({"a": text, "b": text})), yes.clone()),
            (
                json!({"type": "object", "additionalProperties": true}),
                strict(json!({"a": text})),
                no(""),
            ),
            (json!({"enum": ["a", "b"]}), json!({"enum": ["a", "b", "c"]}), yes.clone()),
            (json!({"enum": ["a", "d"]}), json!({"enum": ["a", "b"]}), no("")),
            (json!({"const": 5}), json!({"type": "integer", "maximum": 5}), yes.clone()),
            (text.clone(), json!({"enum": ["a"]}), no("")),
            (json!({"type": "array", "items": text}), json!({"items": text}), yes.clone()),
            (json!({"type": "array"}), json!({"items": text}), no("/[*]")),
            (
                json!({"items": object(json!({"a/b": number}), json!([]))}),
                json!({"items": object(json!({"a/b": text}), json!([]))}),
                no("/[*]/a~1b"),
            ),
            (json!({"type": "integer", "minimum": 1}), json!({"minimum": 0}), yes.clone()),
            (json!({"type": "integer", "minimum": 0}), json!({"exclusiveMinimum": 0}), no("")),
            (json!({"type": "integer", "exclusiveMinimum": 0}), json!({"minimum": 0}), yes.clone()),
            (json!({"type": "integer", "maximum": 9}), json!({"maximum": 8}), no("")),
            (
                json!({"type": "string", "maxLength": 9}),
                json!({"maxLength": 10, "minimum": 5}),
                yes.clone(),
            ),
            (json!({"type": "string"}), json!({"maxLength": 10}), no("")),
            (json!({"type": "array", "minItems": 1}), json!({"minItems": 2}), no("")),
            (json!({"type": "string", "pattern": "^a"}), json!({"pattern": "^a"}), yes.clone()),
            (json!({"type": "string", "pattern": "^ab"}), json!({"pattern": "^a"}), unknown("")),
            (json!({"type": "string"}), json!({"not": {"const": "x"}}), unknown("")),
            (json!({"anyOf": [text, integer]}), json!({"type": ["string", "number"]}), yes.clone()),
            (json!({"anyOf": [text, number]}), json!({"type": ["string", "integer"]}), no("")),
            (text.clone(), json!({"anyOf": [integer, text]}), yes.clone()),
            (
                json!({"allOf": [object(json!({"a": text}), json!(["a"])), object(json!({"b": text}), json!(["b"]))]}),
                object(json!({"a": text, "b": text}), json!(["a", "b"])),
                yes.clone(),
            ),
            (
                object(json!({"a": text}), json!(["a"])),
                json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                no("/b"),
            ),
            (node.clone(), wider.clone(), yes.clone()),
            (wider, node.clone(), no("/n")),
            (node.clone(), node, yes.clone()),
            (
                json!({"type": "object", "title": "x"}),
                json!({"type": "object", "title": "y", "description": "z"}),
                yes,
            ),
        ] {
            assert_eq!(says(&new, &old), expect, "{new} for readers of {old}");
        }
    }

    #[test]
    fn a_counterexample_is_one() {
        let new = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let old =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let findings = check(&new, &old);
        let both = (&Schema::compile(&new).unwrap(), &Schema::compile(&old).unwrap());
        let found = counterexample(both, &findings, &[json!({"a": "x", "b": 1})]);
        assert_eq!(found, Some(json!({"b": 1})));
        assert_eq!(counterexample((both.0, both.0), &findings, &[json!({"a": "x"})]), None);
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({})),
            Just(json!({"type": "string"})),
            (0..3i64).prop_map(|least| json!({"type": "integer", "minimum": least})),
            (0..3i64).prop_map(|most| json!({"type": "number", "exclusiveMaximum": most})),
            prop::sample::subsequence(vec![json!("a"), json!(1), json!(null)], 1..3)
                .prop_map(|values| json!({"enum": values})),
            (0..3u64).prop_map(|length| json!({"type": ["string", "null"], "maxLength": length})),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let properties = prop::collection::btree_map("[ab]", inner.clone(), 0..3);
            let required = prop::sample::subsequence(vec!["a", "b"], 0..2);
            prop_oneof![
                (properties.clone(), required, any::<bool>()).prop_map(|(properties, required, strict)| {
                    let mut schema = json!({"type": "object", "properties": properties, "required": required});
                    if strict {
                        schema["additionalProperties"] = json!(false);
                    }
                    schema
                }),
                inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
                prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"anyOf": all})),
                prop::collection::vec(inner, 1..3).prop_map(|all| json!({"allOf": all})),
            ]
        })
    }

    /// Payloads that name only what the schemas above can name.
    fn payloads() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!("a")),
            Just(json!("aaa")),
            Just(json!(null)),
            Just(json!(1.5)),
            (0..4i64).prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 8, 2, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..2).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..2)
                    .prop_map(|fields| fields.into_iter().collect::<Value>()),
            ]
        })
    }

    /// The schema as senders are taken to mean it: where it names properties, there are no others.
    fn closed(schema: &Value, whole: bool) -> Value {
        let Value::Object(fields) = schema else { return schema.clone() };
        let each = |value: &Value, whole| -> Value {
            value.as_array().into_iter().flatten().map(|it| closed(it, whole)).collect()
        };
        let close = |(key, value): (&String, &Value)| {
            let value = match key.as_str() {
                "properties" => {
                    let fields = value.as_object().into_iter().flatten();
                    fields.map(|(name, it)| (name.clone(), closed(it, true))).collect()
                }
                "items" => closed(value, true),
                "allOf" | "anyOf" => each(value, false),
                _ => value.clone(),
            };
            (key.clone(), value)
        };
        let mut closed: Value = fields.iter().map(close).collect();
        if whole && schema.to_string().contains("\"properties\"") {
            closed["unevaluatedProperties"] = json!(false);
        }
        closed
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// A "yes" is never wrong about what is sent.
        #[test]
        fn a_yes_is_true(new in schemas(), old in schemas(), payload in payloads()) {
            if !check(&new, &old).is_empty() {
                return Ok(());
            }
            let sent = Schema::compile(&closed(&new, true)).unwrap();
            let read = Schema::compile(&old).unwrap();
            let text = payload.to_string();
            if sent.check(text.as_bytes()).is_ok() {
                prop_assert!(read.check(text.as_bytes()).is_ok(), "{} for {}: {}", new, old, payload);
            }
        }

        #[test]
        fn a_schema_is_compatible_with_itself(schema in schemas()) {
            prop_assert!(check(&schema, &schema).is_empty());
        }
    }
}
