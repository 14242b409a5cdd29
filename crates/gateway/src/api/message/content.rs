//! A message as it came: for whoever sends it on, or keeps it, byte for byte.

use axum::{extract::State, response::Response};
use data_encoding::BASE64;
use http::StatusCode;
use ringback_domain::{
    id::MessageId,
    message::{Message, Origin},
    scope::Scope,
    source::TARGET_HEADER,
    time::Timestamp,
};
use ringback_store::ArrivalQuery;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    reply::json,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get_content))
}

/// A message as it came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageContentOut {
    /// The message.
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: MessageId,
    /// What happened.
    event_type: String,
    /// Your own id for it; of a source's message, the provider's.
    event_id: Option<String>,
    /// The source that it came through, if it came through one.
    source: Option<String>,
    /// How it was sent, `POST` if nobody knows.
    method: String,
    /// Query and further path that it was sent with.
    target: String,
    /// Names in lower case and values, in their order: those that a provider sent, without secrets,
    /// cookies and what belongs to the connection.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    /// The body as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in base64, where it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Whether the body no longer exists.
    expired: bool,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Get a message as it came, byte for byte
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/content", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id")),
    responses((status = 200, body = MessageContentOut)))]
async fn get_content(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
) -> Result<Response, Error> {
    let message = api.store.message(scope, message, true).await?;
    let method = match message.origin {
        Origin::Receive => method(&api, scope, &message).await?,
        _ => None,
    };
    Ok(json(StatusCode::OK, &MessageContentOut::new(message, method)))
}

/// How a message of a source was sent, where it is the first of a request.
async fn method(api: &Api, scope: Scope, message: &Message) -> Result<Option<String>, Error> {
    let query = ArrivalQuery {
        environment: scope.environment,
        applications: vec![scope.application],
        after: message.id.key() - 1,
        limit: 1,
        bytes: 1,
    };
    let found = api.store.arrivals(query).await?.items.into_iter().next();
    let request = found.filter(|arrived| arrived.id == message.id).and_then(|one| one.request);
    Ok(request.map(|request| request.method))
}

/// What is kept with the message's headers under this name.
fn kept<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let headers = message.headers.as_deref().unwrap_or_default();
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl MessageContentOut {
    fn new(message: Message, method: Option<String>) -> MessageContentOut {
        let owned = |name| kept(&message, name).map(str::to_owned);
        let (source, target) = (owned("ringback-source"), owned(TARGET_HEADER));
        let event_id = message.event_id.clone().or_else(|| owned("ringback-event-id"));
        let own = |name: &str| name.starts_with(':') || name.starts_with("ringback-");
        let mut headers = message.headers.clone().unwrap_or_default();
        headers.retain(|(name, _)| !own(name));
        if !headers.iter().any(|(name, _)| name == "content-type") && source.is_none() {
            let kind = message.content_type.as_deref().unwrap_or("application/json");
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        let expired = message.payload.is_none();
        let (body, body_base64) = match message.payload.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(bytes)) => (None, Some(BASE64.encode(bytes.as_bytes()))),
        };
        MessageContentOut {
            id: message.id,
            event_type: message.event_type,
            event_id,
            source,
            method: method.unwrap_or_else(|| "POST".to_owned()),
            target: target.unwrap_or_default(),
            headers,
            body,
            body_base64,
            expired,
            timestamp: message.created_at,
        }
    }
}
