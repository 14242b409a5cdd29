//! What the application itself does to its callbacks: answer, fail, close, cancel, extend.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use ringback_domain::{
    callback::{self, By, Callback, Fate, Mode, State as Progress, Verdict, state},
    id::CallbackId,
};
use ringback_store::{
    CallbackQuery, CallbackStep, NewCallbackRequest, Order, Page, Position, audit,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api, Rules,
        error::Error,
        extract::{self, Caller, Json, Named},
        field::Problems,
        reply::json,
    },
    callback::{CallbackOut, answer},
};

use super::{application, model};

/// How many callbacks one request cancels, and how many pages it looks at for them.
const CANCELED: usize = 250;
const PAGES: usize = 40;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(complete))
        .routes(routes!(fail))
        .routes(routes!(close))
        .routes(routes!(cancel))
        .routes(routes!(extend))
        .routes(routes!(cancel_many))
}

/// A body of any kind.
struct Content {
    content_type: Option<String>,
    body: Bytes,
}

impl FromRequest<Api> for Content {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Content, Error> {
        let (mut parts, body) = request.into_parts();
        // Whoever is nobody is not read.
        Caller::from_request_parts(&mut parts, api).await?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Rules { body_limit, read_timeout, .. } = api.rules;
        let body = extract::read_body(&parts.headers, body, body_limit, read_timeout).await?;
        Ok(Content { content_type, body })
    }
}

/// Answer a callback
///
/// The body, of any content type, is the answer. Of a stream it is an item.
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/complete", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackOut)))]
async fn complete(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    content: Content,
) -> Result<Response, Error> {
    let act = answer(false, &content.body);
    act_on(&api, caller, callback, (act, callback::Act::Complete), content).await
}

/// Fail a callback
///
/// The body, of any content type, says why.
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/fail", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackOut)))]
async fn fail(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    content: Content,
) -> Result<Response, Error> {
    let act = answer(true, &content.body);
    act_on(&api, caller, callback, (act, callback::Act::Fail), content).await
}

/// Close a stream: it has no more items
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/close", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackOut)))]
async fn close(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    content: Content,
) -> Result<Response, Error> {
    let now = api.store.callback(caller.environment, callback, caller.now).await?;
    if now.course.mode == Mode::Single {
        let detail = "only a stream is closed: this callback takes one answer".to_owned();
        return Err(Error::Refused { code: "not_a_stream", detail });
    }
    act_on(&api, caller, callback, (state::Act::Close, callback::Act::Close), content).await
}

/// Cancel a callback: nobody waits for it any more
///
/// Whoever answers is told so, and so is whoever says how far they are.
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/cancel", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackOut)))]
async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
) -> Result<Response, Error> {
    let act = (state::Act::Cancel, callback::Act::Cancel);
    act_on(&api, caller, callback, act, nothing()).await
}

/// Wait until another time
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/extend", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    request_body = model::Expiry,
    responses((status = 200, body = CallbackOut)))]
async fn extend(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    Json(body): Json<model::Expiry>,
) -> Result<Response, Error> {
    api.store.callback(caller.environment, callback, caller.now).await?;
    let act = (state::Act::Extend(body.wanted(caller.now)?), callback::Act::Extend);
    act_on(&api, caller, callback, act, nothing()).await
}

fn nothing() -> Content {
    Content { content_type: None, body: Bytes::new() }
}

/// Does this to a callback of the caller's, and says how it is after that.
async fn act_on(
    api: &Api,
    caller: Caller,
    callback: CallbackId,
    (act, kept_as): (state::Act, callback::Act),
    content: Content,
) -> Result<Response, Error> {
    let before = api.store.callback(caller.environment, callback, caller.now).await?;
    audit::about("app_id", before.application.to_string());
    let step = step(api, caller, callback, (act, kept_as), content);
    let stepped = api.callbacks.step(step).await?;
    let fate = Fate::from(stepped.verdict);
    match stepped.verdict {
        Verdict::Conflict => {
            let detail = "another answer came before".to_owned();
            Err(Error::Conflict { code: "callback_conflict", detail })
        }
        Verdict::Late(state) => {
            let detail = format!("the callback has ended: it is {}", state.name());
            Err(Error::Conflict { code: "callback_ended", detail })
        }
        _ => {
            let mut response = json(StatusCode::OK, &CallbackOut::new(&stepped.callback, None));
            let name = HeaderValue::from_static(fate.name());
            response.headers_mut().insert("callback-status", name);
            Ok(response)
        }
    }
}

fn step(
    api: &Api,
    caller: Caller,
    callback: CallbackId,
    (act, kept_as): (state::Act, callback::Act),
    content: Content,
) -> CallbackStep {
    let request = NewCallbackRequest {
        act: kept_as,
        by: By::Application,
        refused: None,
        method: "POST".to_owned(),
        target: String::new(),
        address: None,
        content_type: content.content_type,
        headers: Vec::new(),
        body: content.body,
        message: None,
    };
    api.callbacks.act(callback, act, request, caller.now)
}

/// Which callbacks to cancel: those that are open, and are all that is said here.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
struct CallbackCancelIn {
    /// Of this application, by id or uid.
    application: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// With this reference.
    reference: Option<String>,
    /// Of this kind.
    kind: Option<String>,
}

/// How many were canceled.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallbackCancelOut {
    /// By this request.
    canceled: usize,
    /// Whether there are no more. Otherwise the same request goes on.
    done: bool,
}

/// Cancel many callbacks
///
/// A request cancels at most 250: it is repeated until `done`.
#[utoipa::path(post, path = "/api/v1/callback/cancel", tag = "Callback",
    request_body = CallbackCancelIn,
    responses((status = 200, body = CallbackCancelOut)))]
async fn cancel_many(
    State(api): State<Api>,
    caller: Caller,
    Json(body): Json<CallbackCancelIn>,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    let kind = problems.one_of("kind", body.kind.as_deref(), &model::KINDS);
    if body.application.is_none() && body.tag.is_none() && body.reference.is_none() {
        problems.add_here("it says which: by application, tag or reference");
    }
    problems.done()?;
    let application = match &body.application {
        Some(named) => {
            let application = application(&api, caller, Some(named)).await?;
            audit::about("app_id", application.to_string());
            Some(application.key())
        }
        None => None,
    };
    let mut query = CallbackQuery {
        page: Page { limit: CANCELED, from: Position::Start, order: Order::Descending },
        application,
        states: vec![Progress::Pending, Progress::Returned],
        kind,
        tag: body.tag,
        reference: body.reference,
        before: None,
        after: None,
        now: caller.now,
    };
    let mut open: Vec<Callback> = Vec::new();
    let mut done = false;
    for _ in 0..PAGES {
        let found = api.store.callbacks(caller.environment, query.clone()).await?;
        let last = found.reached.or_else(|| found.items.last().map(|last| last.id.0));
        open.extend(found.items);
        done = found.done;
        let Some(last) = last.filter(|_| !done && open.len() < CANCELED) else { break };
        query.page.from = Position::After(last);
        query.page.limit = CANCELED - open.len();
    }
    let cancel = (state::Act::Cancel, callback::Act::Cancel);
    let steps: Vec<_> =
        open.iter().map(|callback| step(&api, caller, callback.id, cancel, nothing())).collect();
    let stepped = match steps.is_empty() {
        true => Vec::new(),
        false => api.callbacks.steps(steps).await?,
    };
    let ended = stepped.iter().flatten().filter(|it| it.ended == Some(Progress::Canceled));
    Ok(json(StatusCode::OK, &CallbackCancelOut { canceled: ended.count(), done }))
}
