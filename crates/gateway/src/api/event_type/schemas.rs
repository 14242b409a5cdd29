//! The `schemas` of an event type as SDKs know them: a map from labels to JSON Schemas, beside the
//! versions that Ringback keeps.
//!
//! A key is a label. A new key is a version that is sent at once, without a gate: clients that were
//! written for this interface expect that to succeed, so what the gate says is kept in the changelog.
//! It is the default only if there is none. A key that is dropped is a version that is retired.

use ringback_domain::{
    contract::version::{Dialect, Example, MOST, Status, Version, check_label},
    id::Key,
    time::Timestamp,
};
use ringback_store::{Contract, VersionRow};
use serde_json::{Map, Value, value::RawValue};

use super::{contract, note_mistake};
use crate::api::{Api, error::Error, field::Problems};

/// How much of what the gate says is kept, in bytes.
const SAID: usize = 4_000;

/// Checks a map of schemas.
pub(super) fn check(problems: &mut Problems, schemas: Option<&Value>) {
    let Some(schemas) = schemas else { return };
    let Some(schemas) = schemas.as_object() else {
        problems.add("schemas", "it is an object");
        return;
    };
    if schemas.len() > MOST {
        problems.add("schemas", format!("an event type has at most {MOST} versions"));
        return;
    }
    for (label, schema) in schemas {
        if let Err(mistake) = check_label(label) {
            problems.add_below("schemas", Some(label), mistake);
        } else if let Err(mistake) = version(label, schema, 1).compile() {
            note_mistake(problems, &["schemas", label], &mistake);
        }
    }
}

fn version(label: &str, schema: &Value, ordinal: u32) -> Version {
    Version {
        label: label.to_owned(),
        ordinal,
        status: Status::Active,
        dialect: Dialect::Draft7,
        schema: schema.clone(),
        changelog: String::new(),
        examples: examples(schema),
        deprecated_at: None,
        sunset_at: None,
        default_since: None,
    }
}

/// What the schema itself gives as examples.
fn examples(schema: &Value) -> Vec<Example> {
    let listed = schema.get("examples").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().chain(schema.get("example"));
    let example = |(index, payload): (usize, &Value)| {
        let payload = RawValue::from_string(payload.to_string()).ok()?;
        Some(Example { name: format!("example {index}"), payload, expected: Default::default() })
    };
    let found: Vec<Example> = listed
        .enumerate()
        .take(ringback_domain::contract::version::EXAMPLES)
        .filter_map(example)
        .collect();
    let kept = ringback_domain::contract::version::check_examples(&found);
    if kept.is_ok() { found } else { Vec::new() }
}

/// The versions of an event type that are new or change when its map becomes `schemas`.
///
/// # Errors
/// 409 if a version would end that endpoints are pinned to, or several would.
pub(super) async fn plan(
    api: &Api,
    (environment, now): (Key, Timestamp),
    contract: &Contract,
    schemas: Option<&Value>,
) -> Result<Vec<VersionRow>, Error> {
    let nothing = Map::new();
    let map = schemas.and_then(Value::as_object).unwrap_or(&nothing);
    let mut changed = Vec::new();
    let dropped: Vec<&VersionRow> = contract
        .versions
        .iter()
        .filter(|row| row.version.status.is_sent() && !map.contains_key(&row.version.label))
        .collect();
    let detaches = schemas.is_none();
    if detaches && dropped.len() > 1 {
        let detail = "it has several versions: retire them one by one".to_owned();
        return Err(Error::Conflict { code: "version_pinned", detail });
    }
    for row in dropped {
        if !detaches {
            let pinned = contract::pinned(api, environment, contract, row.version.ordinal).await?;
            if !pinned.is_empty() {
                return Err(contract::still_pinned(&row.version.label, &pinned));
            }
        }
        let mut row = row.clone();
        row.version.status = Status::Retired;
        row.updated_at = now;
        changed.push(row);
    }
    for row in &contract.versions {
        let Some(schema) = map.get(&row.version.label) else { continue };
        if row.version.schema == *schema && row.version.status.is_sent() {
            continue;
        }
        let mut row = row.clone();
        if row.version.schema != *schema {
            row.version.dialect = Dialect::Draft7;
            row.version.examples = examples(schema);
            row.version.schema = schema.clone();
        }
        if !row.version.status.is_sent() {
            row.version.status = Status::Active;
        }
        row.updated_at = now;
        changed.push(row);
    }
    added(api, (environment, now), contract, map, &mut changed).await;
    Ok(changed)
}

/// The versions of new keys.
async fn added(
    api: &Api,
    (environment, now): (Key, Timestamp),
    contract: &Contract,
    map: &Map<String, Value>,
    changed: &mut Vec<VersionRow>,
) {
    let known = |label: &str| contract.versions.iter().any(|row| row.version.label == label);
    let mut new: Vec<(&String, &Value)> = map.iter().filter(|(label, _)| !known(label)).collect();
    // Several at once have no order of their own: numbers count as such.
    new.sort_by_key(|(label, _)| {
        (label.trim_start_matches('v').parse::<u64>().ok(), (*label).clone())
    });
    let first = api.mint(now, |id| id).key;
    let mut so_far = contract.clone();
    for (offset, (label, schema)) in (0..).zip(new) {
        let mut version = version(label, schema, contract::next_ordinal(&so_far.versions));
        let report = contract::judged(api, environment, &so_far, &version, None).await;
        if !report.passes() && !so_far.versions.is_empty() {
            let said: Vec<String> =
                report.problems.iter().map(|it| format!("- {}", it.what)).collect();
            let mut text = format!("It was published without the check:\n{}", said.join("\n"));
            while text.len() > SAID {
                text.pop();
            }
            version.changelog = text;
        }
        let row = VersionRow { key: first + offset, version, created_at: now, updated_at: now };
        so_far.versions.push(row.clone());
        changed.push(row);
    }
    let has_default = contract.versions.iter().any(|row| row.version.default_since.is_some());
    if !has_default && let Some(newest) = changed.last_mut() {
        newest.version.default_since = Some(now);
    }
}
