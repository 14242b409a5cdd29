//! What arrived at a callback, and what became of it.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    callback::{Request, told},
    id::{CallbackRequestId, Kind, MessageId},
    time::Timestamp,
};
use ringback_store::Order;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    error::Error,
    extract::{self, Caller, Named},
    list::{List, shown},
    query::{Paging, Query},
    reply::json,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// Something that arrived at a callback.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallbackRequestOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "cbreq_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: CallbackRequestId,
    /// What was wanted: `complete`, `fail`, `close`, `progress`, `heartbeat`, `return`, `cancel` or
    /// `extend`.
    act: &'static str,
    /// Who it came from: `url`, `application`, `source`, `lookup`, `call` or `signature`.
    by: &'static str,
    /// What became of it: `settled`, `item`, `noted`, `duplicate`, `conflict`, `late` or `refused`.
    verdict: &'static str,
    /// Which item of a stream it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
    /// Why it was refused, in a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How it was sent; empty if it was not by HTTP.
    method: String,
    /// Query and further path, without the secret.
    target: String,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What the body is.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// How many bytes the body has.
    size: u64,
    /// Its headers, without credentials; only of a single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    /// Its content as `json`, `form`, `text` or `base64`, with its `size` and `contentType`; only of a
    /// single request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
    /// The message of a source that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    message_id: Option<MessageId>,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
}

impl CallbackRequestOut {
    fn listed(request: Request) -> CallbackRequestOut {
        CallbackRequestOut {
            id: request.id,
            act: request.act.name(),
            by: request.by.name(),
            verdict: request.fate.name(),
            item: request.item,
            reason: request.reason,
            method: request.method,
            target: request.target,
            address: request.address,
            content_type: request.content_type,
            size: request.bytes,
            headers: None,
            body: None,
            message_id: request.message,
            received_at: request.received_at,
        }
    }

    fn whole(request: Request) -> CallbackRequestOut {
        let content_type = request.content_type.as_deref();
        let body = request.body.as_deref();
        let body = body.map(|body| told::content(content_type, body, usize::MAX));
        let headers = request.headers.iter().cloned().collect();
        CallbackRequestOut { body, headers: Some(headers), ..CallbackRequestOut::listed(request) }
    }
}

/// List what arrived at a callback
#[utoipa::path(get, path = "/api/v1/callback/{callback_id}/request", tag = "Callback Request",
    params(("callback_id" = String, Path, description = "id"), Paging),
    responses((status = 200, body = List<CallbackRequestOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::CallbackRequest, Order::Descending)?;
    let callback = api.store.callback(caller.environment, callback, caller.now).await?;
    let listed = api.store.callback_requests(callback.id, page.clone(), false).await?;
    let list = shown(Kind::CallbackRequest, &page, listed, CallbackRequestOut::listed);
    Ok(json(StatusCode::OK, &list))
}

/// Get a request that arrived at a callback
#[utoipa::path(get, path = "/api/v1/callback/{callback_id}/request/{callback_request_id}",
    tag = "Callback Request",
    params(("callback_id" = String, Path, description = "id"),
        ("callback_request_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackRequestOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    Named(request): Named<extract::CallbackRequest>,
) -> Result<Response, Error> {
    let callback = api.store.callback(caller.environment, callback, caller.now).await?;
    let request = api.store.callback_request(callback.id, request).await?;
    Ok(json(StatusCode::OK, &CallbackRequestOut::whole(request)))
}
