//! What a message would become at a destination, without sending it.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    destination::{Event, Filled, Unfilled},
    id::Kind,
    message::Message,
    scope::{Reference, Scope},
};
use ringback_store::{MessageQuery, Order, Page, Position};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    existing,
    model::{Config, DestinationIn, Sent},
};
use crate::api::{
    Api,
    error::Error,
    extract::{self, Json, Named, Scoped},
    reply::json,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(dry_run)).routes(routes!(dry_run_new))
}

/// Which message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DryRunIn {
    /// The message's id or event id; the newest if not given.
    msg_id: Option<String>,
}

/// A destination to try out, and the message to try it with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewDryRunIn {
    /// The kind, as when it is created.
    #[serde(rename = "type")]
    #[schema(required, nullable = false, example = "slack")]
    kind: Option<String>,
    /// The settings, as when it is created.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// The message's id or event id; the newest if not given.
    msg_id: Option<String>,
}

/// What would be sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DryRunOut {
    /// The message.
    msg_id: String,
    /// Its event type.
    event_type: String,
    /// What the mapping made of it; null if it could not.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
    /// The request, every secret in it replaced by `***`; null if there is none.
    #[schema(required)]
    request: Option<RequestOut>,
    /// Why nothing would be sent; `onMissing` says what becomes of such a message.
    #[schema(required)]
    problem: Option<String>,
}

/// A request.
#[derive(Serialize, ToSchema)]
struct RequestOut {
    /// The method.
    method: String,
    /// The URL.
    url: String,
    /// The headers that the kind sets.
    headers: BTreeMap<String, String>,
    /// The body.
    body: String,
}

/// Show what a message would become at a destination
#[utoipa::path(post, path = "/api/v1/app/{app_id}/destination/{destination_id}/dry-run",
    tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid"),
        ("destination_id" = String, Path, description = "id or uid")),
    request_body = DryRunIn,
    responses((status = 200, body = DryRunOut)))]
async fn dry_run(
    State(api): State<Api>,
    scoped: Scoped,
    Named(destination): Named<extract::Destination>,
    Json(body): Json<DryRunIn>,
) -> Result<Response, Error> {
    ran(&api, scoped, destination, body).await
}

pub(in crate::api) async fn ran(
    api: &Api,
    scoped: Scoped,
    destination: Reference,
    body: DryRunIn,
) -> Result<Response, Error> {
    let (_, config) = existing(api, scoped.scope, destination).await?;
    tried(api, scoped, &config, body.msg_id).await
}

/// Show what a message would become at a destination that is not there yet
#[utoipa::path(post, path = "/api/v1/app/{app_id}/destination/dry-run", tag = "Destination",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = NewDryRunIn,
    responses((status = 200, body = DryRunOut)))]
async fn dry_run_new(
    State(api): State<Api>,
    scoped: Scoped,
    Json(body): Json<NewDryRunIn>,
) -> Result<Response, Error> {
    let NewDryRunIn { kind, config, msg_id } = body;
    let wanted = DestinationIn { kind, config, ..DestinationIn::default() };
    let (_, config) = wanted.complete(None, api.reach())?;
    tried(&api, scoped, &config, msg_id).await
}

async fn tried(
    api: &Api,
    Scoped { scope, now }: Scoped,
    config: &Config,
    message: Option<String>,
) -> Result<Response, Error> {
    let Some(Sent { kind, given }) = config.sent() else {
        let detail = "nothing is sent to a polling endpoint".to_owned();
        return Err(Error::Conflict { code: "endpoint_pulled", detail });
    };
    let message = message_to_try(api, scope, message).await?;
    let body = message.payload.as_deref().ok_or_else(|| {
        Error::invalid("body", "msgId", "the content of this message is not kept any more")
    })?;
    let id = message.id.to_string();
    let event = Event {
        id: &id,
        kind: &message.event_type,
        at: message.created_at.millis(),
        content_type: message.content_type.as_deref(),
        body,
        headers: message.headers.as_deref().unwrap_or_default(),
    };
    let given = kind.masked(kind.given(given).map_err(|_| Error::Internal)?);
    let fields = kind.fields(&given, &event);
    let request = match &fields {
        Ok(_) => kind.fill(&given, &event, now).transpose(),
        Err(unfilled) => Err(unfilled.clone()),
    };
    let problem = request.as_ref().err().map(Unfilled::to_string);
    let request = request.ok().flatten().map(RequestOut::from);
    let fields = fields.ok();
    let (msg_id, event_type) = (id.clone(), message.event_type.clone());
    Ok(json(StatusCode::OK, &DryRunOut { msg_id, event_type, fields, request, problem }))
}

async fn message_to_try(
    api: &Api,
    scope: Scope,
    message: Option<String>,
) -> Result<Message, Error> {
    if let Some(message) = message {
        let reference = Reference::parse(Kind::Message, &message);
        return Ok(api.store.message(scope, reference, true).await?);
    }
    let newest = MessageQuery {
        page: Page { limit: 1, from: Position::Start, order: Order::Descending },
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
        with_content: true,
    };
    let none = || Error::invalid("body", "msgId", "there is no message yet to try it with");
    api.store.messages(scope, newest).await?.items.pop().ok_or_else(none)
}

impl From<Filled> for RequestOut {
    fn from(filled: Filled) -> RequestOut {
        let Filled { method, url, headers, body } = filled;
        let body = String::from_utf8_lossy(&body).into_owned();
        RequestOut { method, url, headers: headers.into_iter().collect(), body }
    }
}
