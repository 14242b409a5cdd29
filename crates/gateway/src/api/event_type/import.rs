//! Event types from the `webhooks` of an OpenAPI document.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    event_type::EventType,
    id::{EventTypeId, Id},
    json::check_depth,
    time::Timestamp,
};
use ringback_store::{Import, Others};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document;
use crate::api::{
    Api,
    error::{Error, Problem},
    extract::Caller,
    idempotency::{Answered, Posted},
    reply::{json, render, rendered},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(import_openapi))
}

/// An OpenAPI 3.1 document, once: as `spec` or as `specRaw`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventTypeImportOpenApiIn {
    /// Only say what would be imported.
    dry_run: Option<bool>,
    /// Archive all event types that the document does not have.
    replace_all: Option<bool>,
    /// The document as a JSON object.
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
    /// The document as a text of JSON or YAML.
    spec_raw: Option<String>,
}

/// What was imported.
#[derive(Serialize, ToSchema)]
struct EventTypeImportOpenApiOut {
    data: EventTypeImportOpenApiOutData,
}

/// What was imported, or would be.
#[derive(Default, Serialize, ToSchema)]
struct EventTypeImportOpenApiOutData {
    /// The names of what was imported.
    modified: Vec<String>,
    /// What would be imported, for a `dryRun`.
    // The SDKs spell it like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_modify: Option<Vec<EventTypeFromOpenApi>>,
}

/// An event type as the document has it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventTypeFromOpenApi {
    /// Its name: that of the webhook.
    pub(super) name: String,
    /// For people.
    pub(super) description: String,
    /// JSON Schemas by version.
    #[schema(value_type = Option<Object>)]
    pub(super) schemas: Option<Value>,
    /// Still sent, no longer recommended.
    pub(super) deprecated: bool,
    /// For people: which group it is listed under.
    pub(super) group_name: Option<String>,
    /// Shown only to applications with this flag.
    pub(super) feature_flags: Option<Vec<String>>,
    /// The old spelling of `featureFlags`.
    #[schema(deprecated)]
    pub(super) feature_flag: Option<String>,
}

/// Create or replace event types by what an OpenAPI document says about webhooks
#[utoipa::path(post, path = "/api/v1/event-type/import/openapi", tag = "Event Type",
    request_body = EventTypeImportOpenApiIn,
    responses((status = 200, body = EventTypeImportOpenApiOut)))]
async fn import_openapi(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Posted { body, once }: Posted<EventTypeImportOpenApiIn>,
) -> Result<Response, Answered> {
    let (dry_run, others) = (body.dry_run == Some(true), body.others());
    let (field, document) = body.document(api.rules.json_depth)?;
    let found = document::event_types(&document, field)?;
    if dry_run {
        let data = EventTypeImportOpenApiOutData { to_modify: Some(found), ..Default::default() };
        return Ok(json(StatusCode::OK, &EventTypeImportOpenApiOut { data }));
    }
    let modified = found.iter().map(|one| one.name.clone()).collect();
    let data = EventTypeImportOpenApiOutData { modified, to_modify: None };
    let told = render(&EventTypeImportOpenApiOut { data });
    let answer = once.answer(StatusCode::OK, &told);
    let event_types = minted(api.mint(now, |id| id), &api, found, now);
    let import = Import { environment, event_types, others, now, answer };
    api.store.import_event_types(import).await?;
    Ok(rendered(StatusCode::OK, told))
}

/// The event types with ids. So many minted in one millisecond would meet, so each has the key
/// after the one before.
fn minted(
    first: Id,
    api: &Api,
    found: Vec<EventTypeFromOpenApi>,
    now: Timestamp,
) -> Vec<EventType> {
    let id = |offset| {
        let nonce = u64::from_ne_bytes(api.world.entropy.bytes());
        EventTypeId(Id { key: first.key + offset, nonce, ..first })
    };
    (0..).zip(found).map(|(offset, one)| one.into_event_type(id(offset), now)).collect()
}

impl EventTypeFromOpenApi {
    fn into_event_type(self, id: EventTypeId, now: Timestamp) -> EventType {
        EventType {
            id,
            name: self.name,
            description: self.description,
            schemas: self.schemas,
            archived: false,
            deprecated: self.deprecated,
            feature_flag: self.feature_flag,
            group_name: self.group_name,
            created_at: now,
            updated_at: now,
        }
    }
}

impl EventTypeImportOpenApiIn {
    fn others(&self) -> Others {
        if self.replace_all == Some(true) { Others::Archive } else { Others::Keep }
    }

    /// The document, and the field that it came in.
    fn document(self, depth: usize) -> Result<(&'static str, Value), Error> {
        match (self.spec, self.spec_raw) {
            (Some(spec), None) => Ok(("spec", spec)),
            (None, Some(text)) => Ok(("specRaw", read(&text, depth)?)),
            _ => {
                let detail = "the document is given once: as spec or as specRaw".to_owned();
                Err(Error::Refused { code: "one_spec_needed", detail })
            }
        }
    }
}

/// Reads a document that is JSON or YAML.
fn read(text: &str, depth: usize) -> Result<Value, Error> {
    if text.trim_start().starts_with('{') {
        check_depth(text.as_bytes(), depth)
            .map_err(|what| Error::invalid("body", "specRaw", what))?;
        // A YAML document may begin like that, too.
        if let Ok(document) = serde_json::from_str(text) {
            return Ok(document);
        }
    }
    let document: BTreeMap<String, Value> =
        serde_saphyr::from_str_with_options(text, limits(depth)).map_err(|error| unread(&error))?;
    Ok(Value::from_iter(document))
}

/// A few lines of YAML can stand for a lot by referring to each other, so what they unfold to is
/// bounded, too.
fn limits(depth: usize) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: depth, max_documents: 1 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        with_snippet: false,
    }
}

fn unread(error: &serde_saphyr::Error) -> Error {
    let loc = ["body", "specRaw"].map(str::to_owned).to_vec();
    let msg = format!("it is neither JSON nor YAML: {error}");
    Error::Invalid(vec![Problem { loc, msg, kind: "value_error" }])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts() {
        let expect = json!({"webhooks": {"a": {"post": {"responses": {"200": {"x": [1, true]}}}}}});
        for text in [
            expect.to_string(),
            "webhooks:\n  a:\n    post: &p\n      responses:\n        200:\n          x: [1, true]\n"
                .to_owned(),
            "{webhooks: {a: {post: {responses: {'200': {x: [1, true]}}}}}}".to_owned(),
            "---\nwebhooks: {a: {post: {responses: {200: {x: &x [1, true]}}}}}\n".to_owned(),
        ] {
            assert_eq!(read(&text, 64).unwrap(), expect, "{text}");
        }
    }

    #[test]
    fn texts_that_are_none() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65));
        let deep_yaml = format!("a: {}1{}", "[".repeat(65), "]".repeat(65));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{before}]\n");
        }
        let (colon, two) = ("a: b: c".to_owned(), "a: 1\n---\nb: 2\n".to_owned());
        for text in ["text".to_owned(), "[1]".to_owned(), colon, two, deep, deep_yaml, bomb] {
            let Err(Error::Invalid(problems)) = read(&text, 64) else { panic!("{text:.80}") };
            assert_eq!(problems[0].loc, ["body", "specRaw"], "{text:.80}");
            assert!(problems[0].msg.len() < 500, "{}", problems[0].msg);
        }
    }
}
