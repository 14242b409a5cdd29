//! Deleting what was in messages and answers, before its time.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{id::Kind, scope::Reference, task};
use ringback_store::{Canceled, Place};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    field::Problems,
    idempotency::{Answered, Posted},
    reply::{json, nothing},
    task::{Asked, TaskOut, begin},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(expunge_content))
        .routes(routes!(bulk_expunge_content))
        .routes(routes!(expunge_all_contents))
        .routes(routes!(expunge_attempt_content))
}

/// The most messages of one request.
const MESSAGES: usize = 250;

/// What a purge counts.
const COUNTS: &[&str] = &["messagesPurged", "messagesSeen"];

/// Delete a message's content
///
/// The message stays, and says that its content is gone. What was pending of it is canceled; it can
/// no longer be resent.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/content", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id")),
    responses((status = 204)))]
async fn expunge_content(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
) -> Result<Response, Error> {
    let expunged = api.store.expunge(scope, vec![message]).await?;
    if expunged.found != [true] {
        return Err(Error::NotFound("message"));
    }
    tell(&api, expunged.canceled);
    Ok(nothing())
}

/// Which messages.
#[derive(Deserialize, ToSchema)]
pub(super) struct BulkExpungeIn {
    /// Ids or event ids, at most 250.
    #[schema(required, nullable = false)]
    ids: Option<Vec<String>>,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(super) struct BulkExpungeOut {
    /// `expunged` or `not-found`, by what was asked for.
    results: BTreeMap<String, &'static str>,
}

/// Delete the content of some messages
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/bulk-expunge", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = BulkExpungeIn,
    responses((status = 200, body = BulkExpungeOut)))]
async fn bulk_expunge_content(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    // What is done twice here is done once, so there is nothing to remember for the claim.
    Posted { body, .. }: Posted<BulkExpungeIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let ids = problems.required("ids", body.ids).unwrap_or_default();
    if ids.len() > MESSAGES {
        problems.add("ids", format!("there are at most {MESSAGES}"));
    }
    problems.done()?;
    let messages = ids.iter().map(|id| Reference::parse(Kind::Message, id)).collect();
    let expunged = api.store.expunge(scope, messages).await?;
    tell(&api, expunged.canceled);
    let word = |found| if found { "expunged" } else { "not-found" };
    let results = ids.into_iter().zip(expunged.found.into_iter().map(word)).collect();
    Ok(json(StatusCode::OK, &BulkExpungeOut { results }))
}

/// Nothing, or an object that says nothing.
#[derive(Deserialize)]
pub(super) struct Nothing {}

/// Delete the content of all messages of an application that were accepted until now
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/expunge-all-contents", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 202, body = TaskOut)))]
async fn expunge_all_contents(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Posted { once, .. }: Posted<Nothing>,
) -> Result<Response, Answered> {
    let asked = Asked {
        environment: scope.environment,
        place: Place::Application(scope.application),
        kind: task::Kind::PurgeContent,
        request: Value::Null,
        counts: COUNTS,
        since: None,
        until: None,
        now,
    };
    Ok(begin(&api, asked, &once).await?)
}

/// Delete what an endpoint answered
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"),
        ("attempt_id" = String, Path)),
    responses((status = 204)))]
async fn expunge_attempt_content(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Named(attempt): Named<extract::Attempt>,
) -> Result<Response, Error> {
    api.store.expunge_attempt(scope, message, attempt).await?;
    Ok(nothing())
}

/// What is in memory need not be sent either.
fn tell(api: &Api, canceled: Vec<Canceled>) {
    if !canceled.is_empty() {
        api.lanes.canceled(canceled);
    }
}
