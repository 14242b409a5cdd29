//! What a version has to pass before it is sent, and a conversion before it is used.
//!
//! Every example of every version goes down every way that a message can go. So whoever publishes
//! hears of what would fail in the night, and of which receivers would not understand it.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, value::RawValue};

use super::{
    compatibility,
    conversion::{Chain, Conversion, Converted, Failure, Link, Scripts},
    tree::Tree,
    version::{Example, Status, Version},
};
use crate::{example, schema::Schema};

/// How many examples are converted at most.
const RUNS: usize = 500;
/// How many problems are told.
const PROBLEMS: usize = 50;
/// The longest counterexample that is told, in bytes.
const SHOWN: usize = 600;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The name of the event type.
    pub event_type: String,
    /// All versions of the type, in any order. Drafts other than the candidate have no part.
    pub versions: Vec<Version>,
    /// By the ordinal that it leads from: the revision in force, and its conversion.
    pub conversions: BTreeMap<u32, (Arc<str>, Arc<Conversion>)>,
    /// The ordinal of the version that is to be sent from now on, or whose conversion is new.
    pub candidate: u32,
}

/// Something that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What has it: `schema`, `examples`, `compatibility` or `conversion`, and what of that.
    pub place: Vec<String>,
    /// For people.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Why it does not pass; it does if there are none.
    pub problems: Vec<Problem>,
    /// What does not keep it from passing.
    pub warnings: Vec<String>,
}

impl Report {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, place: &[&str], what: impl ToString) {
        if self.problems.len() < PROBLEMS {
            let place = place.iter().map(|part| (*part).to_owned()).collect();
            self.problems.push(Problem { place, what: what.to_string() });
        }
    }
}

/// Checks a version as if it were sent already.
pub async fn check(subject: &Subject, scripts: &impl Scripts) -> Report {
    let mut report = Report::default();
    let mut sent: Vec<(&Version, Arc<Schema>)> = Vec::new();
    for version in &subject.versions {
        let candidate = version.ordinal == subject.candidate;
        if !candidate && !version.status.is_sent() {
            continue;
        }
        match version.compile() {
            Ok(schema) => sent.push((version, Arc::new(schema))),
            Err(mistake) if candidate => report.add(&["schema"], mistake),
            // It was published by somebody who wanted it so.
            Err(_) => {}
        }
    }
    sent.sort_by_key(|(version, _)| version.ordinal);
    let Some((candidate, schema)) = sent.iter().find(|(it, _)| it.ordinal == subject.candidate)
    else {
        return report;
    };
    examples(candidate, schema, &mut report);
    for (older, reader) in sent.iter().filter(|(it, _)| it.ordinal < candidate.ordinal) {
        if older.status == Status::Active || older.status == Status::Deprecated {
            compatible(subject, (candidate, schema), (older, reader), &mut report);
        }
    }
    if report.passes() {
        ways(subject, &sent, scripts, &mut report).await;
    }
    report
}

/// The way from one version of a type down to another.
#[must_use]
pub fn chain(
    versions: &[Version],
    conversions: &BTreeMap<u32, (Arc<str>, Arc<Conversion>)>,
    (from, to): (u32, u32),
    schema: Option<Arc<Schema>>,
) -> Chain {
    let label = |ordinal: u32| {
        let version = versions.iter().find(|it| it.ordinal == ordinal);
        version.map_or_else(|| ordinal.to_string().into(), |it| it.label.as_str().into())
    };
    let link =
        |ordinal| Link { from: label(ordinal), conversion: conversions.get(&ordinal).cloned() };
    Chain { links: (to + 1..=from).rev().map(link).collect(), schema }
}

fn examples(version: &Version, schema: &Schema, report: &mut Report) {
    let mut valid = 0;
    for (index, example) in version.examples.iter().enumerate() {
        match schema.check(example.payload.get().as_bytes()) {
            Ok(()) => valid += 1,
            Err(violation) => {
                let what = format!("`{}` is not what the schema says: {violation}", example.name);
                report.add(&["examples", &index.to_string(), "payload"], what);
            }
        }
    }
    if valid == 0 && report.passes() {
        report.add(&["examples"], "at least one example is needed");
    }
    for name in uncovered(version) {
        report.warnings.push(format!("no example has the optional property `{name}`"));
    }
}

/// Optional properties that no example has.
fn uncovered(version: &Version) -> Vec<String> {
    let mut open = Vec::new();
    optional(&version.schema, String::new(), 8, &mut open);
    let payloads: Vec<Value> = version
        .examples
        .iter()
        .filter_map(|example| serde_json::from_str(example.payload.get()).ok())
        .collect();
    open.retain(|place| payloads.iter().all(|payload| payload.pointer(place).is_none()));
    open.truncate(PROBLEMS);
    open
}

fn optional(schema: &Value, place: String, depth: usize, open: &mut Vec<String>) {
    let required = schema.get("required").and_then(Value::as_array);
    let named = schema.get("properties").and_then(Value::as_object);
    for (name, below) in named.into_iter().flatten().filter(|_| depth > 0) {
        let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        optional(below, place.clone(), depth - 1, open);
        if !required.is_some_and(|names| names.iter().any(|it| it == name)) {
            open.push(place);
        }
    }
}

/// Old readers take what is new as it is, or something is done to it on the way.
fn compatible(
    subject: &Subject,
    (new, schema): (&Version, &Schema),
    (old, reader): (&Version, &Schema),
    report: &mut Report,
) {
    if (old.ordinal + 1..=new.ordinal).any(|ordinal| subject.conversions.contains_key(&ordinal)) {
        return;
    }
    let findings = compatibility::check(&new.schema, &old.schema);
    let Some(first) = findings.first() else { return };
    let place = if first.place.is_empty() { "the top" } else { &first.place };
    let mut what =
        format!("readers of version {} do not take it: {} (at {place})", old.label, first.what);
    if !first.certain {
        what = format!(
            "it cannot be told whether readers of version {} take it: {} (at {place})",
            old.label, first.what
        );
    }
    let mut payloads: Vec<Value> = new
        .examples
        .iter()
        .filter_map(|example| serde_json::from_str(example.payload.get()).ok())
        .collect();
    let schemas = Value::from_iter([("1", new.schema.clone())]);
    payloads.extend(example::of(&subject.event_type, Some(&schemas), None));
    if let Some(payload) = compatibility::counterexample((schema, reader), &findings, &payloads) {
        let mut text = payload.to_string();
        if text.len() > SHOWN {
            text = text.chars().take(SHOWN).chain(['…']).collect();
        }
        what.push_str(&format!("; they would refuse {text}"));
    }
    what.push_str("; add a conversion (one without steps says that payloads fit as they are)");
    report.add(&["compatibility", &old.label], what);
}

/// Every example of every version, down every way.
async fn ways(
    subject: &Subject,
    sent: &[(&Version, Arc<Schema>)],
    scripts: &impl Scripts,
    report: &mut Report,
) {
    let mut left = RUNS;
    for (from, _) in sent {
        for (to, schema) in sent.iter().filter(|(to, _)| to.ordinal < from.ordinal) {
            // What does not touch the candidate was looked at when it came.
            if subject.candidate > from.ordinal || subject.candidate < to.ordinal {
                continue;
            }
            let ways = (from.ordinal, to.ordinal);
            let schema = Some(Arc::clone(schema));
            let chain = chain(&subject.versions, &subject.conversions, ways, schema);
            for example in &from.examples {
                if left == 0 {
                    let what = format!("more than {RUNS} examples would have to be converted");
                    return report.add(&["examples"], what);
                }
                left -= 1;
                let place = ["conversion", &from.label, &to.label, &example.name];
                if let Err(what) = one(&chain, example, &to.label, scripts).await {
                    report.add(&place, what);
                }
            }
        }
    }
}

async fn one(
    chain: &Chain,
    example: &Example,
    to: &str,
    scripts: &impl Scripts,
) -> Result<(), String> {
    let payload = example.payload.get();
    let say = |failure: Failure| failure.to_string();
    let once = chain.convert(payload.as_bytes(), scripts).await.map_err(say)?;
    let twice = chain.convert(payload.as_bytes(), scripts).await.map_err(say)?;
    if once != twice {
        return Err("two runs do not agree".to_owned());
    }
    let Some(expected) = example.expected.get(to) else { return Ok(()) };
    let text = match &once {
        Converted::Same => payload,
        Converted::Changed(text) => text,
        Converted::Suppressed => {
            return Err("a result is expected, but it is suppressed".to_owned());
        }
    };
    if same(text, expected) {
        Ok(())
    } else {
        Err(format!("expected {}, got {text}", expected.get()))
    }
}

/// Whether two texts say the same: the order of keys means nothing, the digits of numbers do.
fn same(text: &str, expected: &RawValue) -> bool {
    let sorted = |text: &str| Tree::parse(text.as_bytes()).ok().map(sorted);
    sorted(text).is_some_and(|text| Some(text) == sorted(expected.get()))
}

fn sorted(tree: Tree) -> Tree {
    match tree {
        Tree::Array(items) => Tree::Array(items.into_iter().map(sorted).collect()),
        Tree::Object(fields) => {
            let mut fields: Vec<_> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Tree::Object(fields)
        }
        // A text may be written with or without escapes.
        Tree::Scalar(ref text) => match tree.as_text() {
            Some(plain) => Tree::Scalar(super::tree::quoted(&plain).into()),
            None => Tree::Scalar(text.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{
        conversion::tests::{Shouting, now},
        version::Dialect,
    };

    fn version(ordinal: u32, schema: Value, examples: Value) -> Version {
        Version {
            label: ordinal.to_string(),
            ordinal,
            status: Status::Active,
            dialect: Dialect::Draft2020,
            schema,
            changelog: String::new(),
            examples: serde_json::from_str(&examples.to_string()).unwrap(),
            deprecated_at: None,
            sunset_at: None,
            default_since: None,
        }
    }

    fn of(property: &str) -> Value {
        json!({ "type": "object", "properties": { property: { "type": "string" } }, "required": [property] })
    }

    fn problems(versions: &[Version], conversions: &[(u32, Value)]) -> Vec<String> {
        let read = |(ordinal, program): &(u32, Value)| {
            let conversion = Conversion::read(program).unwrap();
            (*ordinal, (format!("r{ordinal}").into(), Arc::new(conversion)))
        };
        let subject = Subject {
            event_type: "a.b".to_owned(),
            versions: versions.to_vec(),
            conversions: conversions.iter().map(read).collect(),
            candidate: versions.iter().map(|it| it.ordinal).max().unwrap(),
        };
        let report = now(check(&subject, &Shouting));
        report.problems.iter().map(|it| format!("{}: {}", it.place.join("/"), it.what)).collect()
    }

    fn first(property: &str) -> Version {
        version(1, of(property), json!([{ "name": "e", "payload": { property: "x" } }]))
    }

    fn second(expected: Value) -> Version {
        let example = json!([{ "name": "e", "payload": { "b": "x" }, "expected": expected }]);
        version(2, of("b"), example)
    }

    #[test]
    fn what_passes() {
        let renames = json!({ "steps": [{ "op": "rename", "path": "/b", "to": "a" }] });
        let none = Vec::<String>::new();
        assert_eq!(problems(&[first("a")], &[]), none);
        assert_eq!(problems(&[first("b"), second(json!({}))], &[]), none);
        assert_eq!(problems(&[first("a"), second(json!({}))], &[(2, renames.clone())]), none);
        let expected = json!({ "1": { "a": "x" } });
        assert_eq!(problems(&[first("a"), second(expected)], &[(2, renames)]), none);
        let suppress = json!({ "loss": "suppress" });
        assert_eq!(problems(&[first("a"), second(json!({}))], &[(2, suppress)]), none);
    }

    #[test]
    fn what_does_not() {
        let renames = |to: &str| json!({ "steps": [{ "op": "rename", "path": "/b", "to": to }] });
        let no = |found: Vec<String>, expect: &str| {
            assert!(found.iter().any(|it| it.starts_with(expect)), "{expect}: {found:#?}");
        };
        no(
            problems(&[version(1, json!({ "$ref": "http://127.0.0.1:1/" }), json!([]))], &[]),
            "schema: ",
        );
        no(problems(&[version(1, json!({}), json!([]))], &[]), "examples: at least one");
        let wrong = json!([{ "name": "e", "payload": { "a": 1 } }]);
        no(problems(&[version(1, of("a"), wrong)], &[]), "examples/0/payload: `e` is not");
        let two = [first("a"), second(json!({}))];
        let found = problems(&two, &[]);
        no(found.clone(), "compatibility/1: readers of version 1 do not take it: ");
        assert!(found[0].contains(r#"they would refuse {"b":"x"}"#), "{found:#?}");
        no(problems(&two, &[(2, renames("c"))]), "conversion/2/1/e: the result does not fit");
        let throws = json!({ "steps": [{ "javascript": "throws" }] });
        no(
            problems(&two, &[(2, throws)]),
            "conversion/2/1/e: the conversion from version 2 failed",
        );
        let other = second(json!({ "1": { "a": "y" } }));
        no(problems(&[first("a"), other], &[(2, renames("a"))]), "conversion/2/1/e: expected");
    }

    /// Random each time it is asked.
    struct Moody(std::sync::atomic::AtomicU32);

    impl Scripts for Moody {
        async fn run(&self, _: &Arc<str>, _: String) -> Result<String, String> {
            let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(format!(r#"{{"a":"{count}"}}"#))
        }
    }

    #[test]
    fn two_runs_have_to_agree() {
        let conversion = Conversion::read(&json!({ "steps": [{ "javascript": "x" }] })).unwrap();
        let subject = Subject {
            event_type: "a".to_owned(),
            versions: vec![first("a"), second(json!({}))],
            conversions: BTreeMap::from([(2, ("r".into(), Arc::new(conversion)))]),
            candidate: 2,
        };
        let report = now(check(&subject, &Moody(0.into())));
        assert_eq!(report.problems[0].what, "two runs do not agree");
    }

    #[test]
    fn optional_properties_without_an_example_are_told() {
        let schema = json!({ "properties": { "a": { "properties": { "b/c": {} } } } });
        let version = version(1, schema, json!([{ "name": "e", "payload": { "a": {} } }]));
        assert_eq!(uncovered(&version), ["/a/b~1c"]);
    }

    #[test]
    fn digits_count_and_the_order_of_keys_does_not() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert!(same(r#"{"a":1,"b":"\u00e9"}"#, &raw(r#"{"b":"é","a":1}"#)));
        assert!(!same(r#"{"a":1.0}"#, &raw(r#"{"a":1}"#)));
    }
}
