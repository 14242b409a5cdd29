//! What an OpenAPI document says about webhooks: `webhooks` of version 3.1, or `x-webhooks` as
//! documents of version 3.0 have it.
//!
//! A webhook's name is the event type's. Its schema becomes one that stands alone: what it refers
//! to in the document is put into its `$defs`.

mod schema;

use ringback_domain::event_type::check_name;
use ringback_store::IMPORTED_EVENT_TYPES;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{import::EventTypeFromOpenApi, one_flag};
use crate::api::{
    error::{Error, Problem},
    field::Problems,
};

/// The most bytes of the schemas of one document, as they are stored: many event types can refer to
/// the same large definition, and each gets it.
const SCHEMAS_BYTES: usize = 4 << 20;
/// How many references lead from one to the next.
const HOPS: usize = 8;
/// The methods of an operation, the usual one first.
const METHODS: [&str; 8] = ["post", "put", "patch", "get", "delete", "head", "options", "trace"];

/// The event types in a document that was given as `field` of the body, by name.
///
/// # Errors
/// 422 that names every webhook of which something is wrong.
pub(super) fn event_types(
    document: &Value,
    field: &str,
) -> Result<Vec<EventTypeFromOpenApi>, Error> {
    let (section, webhooks) = webhooks(document, field)?;
    if webhooks.len() > IMPORTED_EVENT_TYPES {
        let what = format!("there are at most {IMPORTED_EVENT_TYPES}");
        return Err(Error::Invalid(vec![Problem::at(&["body", field, section], what)]));
    }
    let mut problems = Problems::of_body();
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (name, item) in webhooks {
        let mut of_webhook = Problems::at(&["body", field, section, name]);
        found.extend(event_type(document, name, item, &mut of_webhook));
        problems.append(of_webhook);
        let schemas = found.last().and_then(|one| one.schemas.as_ref());
        bytes += schemas.map_or(0, |schemas| schemas.to_string().len());
        if bytes > SCHEMAS_BYTES {
            let what = format!("the schemas have more than {SCHEMAS_BYTES} bytes");
            return Err(Error::Invalid(vec![Problem::at(&["body", field, section], what)]));
        }
    }
    problems.done()?;
    Ok(found)
}

fn webhooks<'a>(
    document: &'a Value,
    field: &str,
) -> Result<(&'static str, &'a Map<String, Value>), Error> {
    for section in ["webhooks", "x-webhooks"] {
        match document.get(section) {
            None => {}
            Some(Value::Object(webhooks)) => return Ok((section, webhooks)),
            Some(_) => {
                let problem = Problem::at(&["body", field, section], "it is an object");
                return Err(Error::Invalid(vec![problem]));
            }
        }
    }
    Err(Error::invalid("body", field, "the document has no webhooks"))
}

/// What this module reads of an operation.
#[derive(Default, Deserialize)]
struct Operation {
    summary: Option<String>,
    description: Option<String>,
    deprecated: Option<bool>,
    #[serde(rename = "x-svix-group-name")]
    group_name: Option<String>,
    #[serde(rename = "x-svix-feature-flags")]
    feature_flags: Option<Vec<String>>,
    #[serde(rename = "x-svix-feature-flag")]
    feature_flag: Option<String>,
}

/// The event type of one webhook; none if something is wrong with it.
fn event_type(
    document: &Value,
    name: &str,
    item: &Value,
    problems: &mut Problems,
) -> Option<EventTypeFromOpenApi> {
    if let Err(what) = check_name(name) {
        problems.add_here(what);
    }
    let Some(item @ Value::Object(keywords)) = followed(document, item) else {
        problems.add_here("it is an object that says what is sent");
        return None;
    };
    let of_item = Operation::deserialize(item).map_err(|what| problems.add_here(what)).ok()?;
    let method = METHODS.into_iter().find(|method| keywords.contains_key(*method));
    let (method, operation) = method.map_or(("", None), |method| (method, keywords.get(method)));
    let read = operation.map(Operation::deserialize).transpose();
    let read = problems.check(method, read)?.unwrap_or_default();
    let body = operation.and_then(|operation| operation.get("requestBody"));
    let body = body.and_then(|body| followed(document, body));
    let of_body = body.and_then(|body| body.get("description")?.as_str()).map(str::to_owned);

    let summary = read.summary.or(of_item.description).or(of_item.summary).or(of_body);
    let description = read.description.or(summary).unwrap_or_default();
    let group_name = read.group_name.or(of_item.group_name);
    let flags = read.feature_flags.or(of_item.feature_flags);
    let feature_flag = one_flag(problems, flags, read.feature_flag.or(of_item.feature_flag));
    problems.description("description", Some(&description));
    problems.name("x-svix-group-name", group_name.as_ref());
    let schema = body.and_then(|body| schema::of_body(document, body, problems));
    Some(EventTypeFromOpenApi {
        name: name.to_owned(),
        description,
        schemas: schema.map(|schema| json!({ "1": schema })),
        deprecated: read.deprecated.unwrap_or(false),
        group_name,
        feature_flags: feature_flag.clone().map(|flag| vec![flag]),
        feature_flag,
    })
}

/// What a reference of the document leads to, or the value itself.
fn followed<'a>(document: &'a Value, mut value: &'a Value) -> Option<&'a Value> {
    for _ in 0..HOPS {
        match value.get("$ref").and_then(Value::as_str) {
            None => return Some(value),
            Some(reference) => value = document.pointer(&pointer(reference)?)?,
        }
    }
    None
}

/// The JSON pointer of a reference inside the document: `/components/…` of `#/components/…`.
fn pointer(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    if !fragment.contains('%') {
        return Some(fragment.to_owned());
    }
    // A fragment of a URL may be escaped once more than the pointer in it. A `+` is none here.
    let query = fragment.replace('+', "%2B");
    let (decoded, _) = url::form_urlencoded::parse(query.as_bytes()).next()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &Value) -> Vec<EventTypeFromOpenApi> {
        event_types(document, "spec").unwrap()
    }

    /// The place and the text of everything that is wrong.
    fn wrong(document: &Value) -> Vec<(String, String)> {
        match event_types(document, "spec") {
            Err(Error::Invalid(list)) => {
                list.into_iter().map(|problem| (problem.loc.join("."), problem.msg)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_that_is_read() {
        let document = json!({
            "openapi": "3.1.0",
            "webhooks": {
                "pet.new": {"post": {
                    "operationId": "ignored", "summary": "a pet", "description": "A pet came.",
                    "deprecated": true, "x-svix-group-name": "pets",
                    "x-svix-feature-flags": ["beta"],
                    "requestBody": {"content": {"application/json": {
                        "schema": {"type": "object"}, "example": {"id": 1},
                    }}},
                }},
                "pet.gone": {"$ref": "#/components/pathItems/gone"},
                "pet.fed": {"summary": "fed", "x-svix-feature-flag": "old", "put": {}},
                "pet.seen": {},
            },
            "components": {"pathItems": {"gone": {
                "post": {"requestBody": {"$ref": "#/components/requestBodies/gone"}},
            }}, "requestBodies": {"gone": {
                "description": "Which pet", "content": {"text/json": {"schema": true}},
            }}},
        });
        let plain = |name: &str, description: &str| EventTypeFromOpenApi {
            name: name.to_owned(),
            description: description.to_owned(),
            schemas: None,
            deprecated: false,
            group_name: None,
            feature_flags: None,
            feature_flag: None,
        };
        let flag = |flag: &str| (Some(flag.to_owned()), Some(vec![flag.to_owned()]));
        let (fed, new) = (flag("old"), flag("beta"));
        assert_eq!(
            read(&document),
            [
                EventTypeFromOpenApi {
                    feature_flag: fed.0,
                    feature_flags: fed.1,
                    ..plain("pet.fed", "fed")
                },
                EventTypeFromOpenApi {
                    schemas: Some(json!({"1": true})),
                    ..plain("pet.gone", "Which pet")
                },
                EventTypeFromOpenApi {
                    schemas: Some(json!({"1": {"type": "object", "examples": [{"id": 1}]}})),
                    deprecated: true,
                    group_name: Some("pets".to_owned()),
                    feature_flag: new.0,
                    feature_flags: new.1,
                    ..plain("pet.new", "A pet came.")
                },
                plain("pet.seen", ""),
            ]
        );
    }

    #[test]
    fn version_3_0_has_them_as_an_extension() {
        let document = json!({"openapi": "3.0.3", "x-webhooks": {"a.b": {"post": {}}}});
        assert_eq!(read(&document)[0].name, "a.b");
        assert!(read(&json!({"webhooks": {}})).is_empty());
    }

    #[test]
    fn wrong_webhooks_are_named() {
        let long = "x".repeat(5_000);
        let all = |webhook: Value| json!({ "webhooks": { "a.b": webhook } });
        for (document, loc) in [
            (json!({}), "body.spec"),
            (json!([]), "body.spec"),
            (json!({"webhooks": []}), "body.spec.webhooks"),
            (json!({"webhooks": {"a b": {}}}), "body.spec.webhooks.a b"),
            (all(json!("text")), "body.spec.webhooks.a.b"),
            (all(json!({"$ref": "#/components/nowhere"})), "body.spec.webhooks.a.b"),
            (all(json!({"$ref": "other.yaml"})), "body.spec.webhooks.a.b"),
            (all(json!({"$ref": "#/webhooks/a.b"})), "body.spec.webhooks.a.b"),
            (all(json!({"post": {"deprecated": "yes"}})), "body.spec.webhooks.a.b.post"),
            (all(json!({"post": {"description": long}})), "body.spec.webhooks.a.b.description"),
            (
                all(json!({"post": {"x-svix-group-name": ""}})),
                "body.spec.webhooks.a.b.x-svix-group-name",
            ),
            (
                all(json!({"post": {"x-svix-feature-flags": ["a", "b"]}})),
                "body.spec.webhooks.a.b.featureFlags",
            ),
        ] {
            let found = wrong(&document);
            assert_eq!((found.len(), found[0].0.as_str()), (1, loc), "{document:.200}");
        }
        let several = json!({"webhooks": {"a b": {}, "c": 1, "fine": {}, "é": {}}});
        assert_eq!(wrong(&several).len(), 3);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many: Map<String, Value> =
            (0..=IMPORTED_EVENT_TYPES).map(|n| (format!("a{n}"), json!({}))).collect();
        assert_eq!(wrong(&json!({ "webhooks": many }))[0].0, "body.spec.webhooks");
        // One definition of 100 kB, in the schema of every webhook.
        let webhook = json!({"post": {"requestBody": {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/large"},
        }}}}});
        let hooks: Map<String, Value> =
            (0..50).map(|n| (format!("a{n}"), webhook.clone())).collect();
        let large = json!({"description": "x".repeat(100_000)});
        let document = json!({"webhooks": hooks, "components": {"schemas": {"large": large}}});
        assert!(wrong(&document)[0].1.contains("bytes"));
    }
}
