//! Trying an endpoint out with an example of an event.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    contract::version::{Example, Version},
    delivery::Delivery,
    endpoint::Endpoint,
    event_type::check_name,
    example,
    message::Origin,
    scope::Reference,
};
use ringback_store::{Append, NewMessage};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api, MessageOut,
        error::Error,
        extract::{self, Named, Scoped},
        field::Problems,
        idempotency::{Answered, Posted},
        message,
        reply::{json as answer, render},
    },
    contract::Known,
    log::{Ears, Log},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(send_example))
}

/// Which example.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExampleIn {
    /// The event type's name.
    #[schema(required, nullable = false, example = "user.created")]
    event_type: Option<String>,
    /// Which of the schema's `examples`, counted from 0.
    example_index: Option<usize>,
    /// What to send instead.
    #[schema(value_type = Option<Object>)]
    payload: Option<Map<String, Value>>,
}

/// Send an example of an event to an endpoint
///
/// It goes to this endpoint alone, whether or not the endpoint wants this type, and is otherwise
/// delivered as any message. The example is that of the version that the endpoint gets, else one that
/// fits its schema.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = ExampleIn,
    responses((status = 202, body = inline(MessageOut<'_>))))]
async fn send_example(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(application): Named<extract::Application>,
    Named(endpoint): Named<extract::Endpoint>,
    Posted { body, once }: Posted<ExampleIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let name = problems.required("eventType", body.event_type).unwrap_or_default();
    problems.check("eventType", check_name(&name));
    problems.done()?;
    let endpoint = api.store.endpoint(scope, endpoint).await?;
    if !endpoint.state.takes_messages() {
        let detail = format!("the endpoint is {}", endpoint.state.name());
        return Err(Error::Conflict { code: "endpoint_disabled", detail }.into());
    }
    let event_type = api.store.event_type(scope.environment, name.clone()).await?;
    let contract = api.contracts.find(scope.environment, &name, now).await?;
    let version = contract.as_ref().and_then(|contract| pinned(contract, &endpoint, &name));
    let payload = match body.payload {
        Some(payload) => Value::Object(payload),
        None => {
            let schemas = version.map(schemas).or(event_type.schemas);
            example::of(&name, schemas.as_ref(), body.example_index).map_err(refused)?
        }
    };
    // The name of the path may mean another application by now.
    let application = api.store.application(scope.environment, application).await?.id;
    if application.key() != scope.application {
        return Err(Error::NotFound("application").into());
    }
    let message = NewMessage {
        nonce: u64::from_ne_bytes(api.world.entropy.bytes()),
        accepted_at: now,
        expires_at: now + api.rules.retention,
        origin: Origin::Example,
        event_type: name,
        payload: render(&payload),
        version: version.map(|version| version.ordinal),
        only: Some(endpoint.id.key()),
        ..NewMessage::default()
    };
    let claim = once.claim();
    let application = Reference::Id(application.0);
    let new = Append { environment: scope.environment, application, message, claim };
    // It is for this endpoint alone: whoever listens is not told.
    let log = Log::new(api.store.clone(), api.lanes.clone(), Ears::default());
    let appended = log.append(vec![new]).await.pop().ok_or(Error::Internal)??;
    // Read, as it may be the one that this request made before.
    let message = api.store.message(scope, Reference::Id(appended.id.0), true).await?;
    let label = message::version(&api, scope, &message, now).await?;
    Ok(answer(StatusCode::ACCEPTED, &MessageOut::stored(&message, true).in_version(label)))
}

/// The version that the endpoint gets.
fn pinned<'a>(contract: &'a Known, endpoint: &Endpoint, event_type: &str) -> Option<&'a Version> {
    let delivery = endpoint.delivery.as_deref().map(serde_json::from_str::<Delivery>);
    let pins = delivery.and_then(Result::ok).unwrap_or_default().versions;
    let edition = contract.pinned(event_type, pins.as_ref(), endpoint.created_at)?;
    Some(&edition.version)
}

/// A version as a map of schemas that has nothing else, with its examples.
fn schemas(version: &Version) -> Value {
    let mut schema = version.schema.clone();
    let payload = |one: &Example| serde_json::from_str(one.payload.get()).ok();
    let examples: Vec<Value> = version.examples.iter().filter_map(payload).collect();
    if let (Some(schema), false) = (schema.as_object_mut(), examples.is_empty()) {
        schema.insert("examples".to_owned(), examples.into());
    }
    json!({ &version.label: schema })
}

fn refused(error: example::Error) -> Error {
    let field = match error {
        example::Error::NoSuchIndex { .. } => "exampleIndex",
        example::Error::NoObject => "eventType",
    };
    Error::invalid("body", field, error)
}
