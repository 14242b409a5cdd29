//! Callbacks: URLs that are handed out, and the one answer that each of them waits for.

mod call;
mod model;
mod request;
mod settle;

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use ringback_domain::{
    callback::{Callback, Course, Heartbeat, Kind, Purpose, State as Progress},
    id::{ApplicationId, CallbackId, Kind as IdKind},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{
    CallbackClaim, CallbackQuery, CreatedCallback, NewCallback, Order, WriteError, audit,
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Rules,
    error::Error,
    extract::{self, Caller, Named},
    field::Problems,
    idempotency,
    list::List,
    query::{FromQuery, Paging, Params, Query},
    reply::json,
};
use crate::callback::{CallbackOut, Callbacks, Work, sha256};
use model::{CallbackIn, Wanted};

/// How often an id is drawn anew that somebody has already.
const DRAWS: usize = 3;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(result))
        .routes(routes!(events))
        .routes(routes!(rotate))
        .merge(call::routes())
        .merge(settle::routes())
        .merge(request::routes())
}

/// A callback that was made, and what opens it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedCallbackOut {
    #[serde(flatten)]
    callback: CallbackOut,
    /// Where it is answered. Whoever has it may.
    url: String,
    /// Whoever has it may follow this callback: `GET /wait/{waitToken}`.
    wait_token: String,
    /// Of a redirect: the key of the signature that a browser takes along to its target.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_secret: Option<String>,
}

impl CreatedCallbackOut {
    fn new(callbacks: &Callbacks, callback: &Callback) -> Result<CreatedCallbackOut, Error> {
        let url = callbacks.url(callback);
        let token = callbacks.token(Purpose::Wait, callback);
        let (Some(url), Some(token)) = (url, token) else {
            tracing::error!(callback = %callback.id, "the key of a callback's URL is gone");
            return Err(Error::Internal);
        };
        let wait_token = token.as_str().to_owned();
        let status_secret = match callback.kind {
            Kind::Redirect => callbacks.token(Purpose::Status, callback),
            Kind::Result => None,
        };
        let status_secret = status_secret.map(|secret| secret.as_str().to_owned());
        let callback = CallbackOut::new(callback, None);
        Ok(CreatedCallbackOut { callback, url, wait_token, status_secret })
    }
}

/// The body of a request that makes a callback, and that it is made once.
struct Asked<T> {
    body: T,
    claim: Option<CallbackClaim>,
}

impl<T: DeserializeOwned> FromRequest<Api> for Asked<T> {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Asked<T>, Error> {
        let (mut parts, body) = request.into_parts();
        let Caller { environment, now } = Caller::from_request_parts(&mut parts, api).await?;
        let key = idempotency::key(&parts.headers)?.map(str::to_owned);
        let Rules { body_limit, read_timeout, .. } = api.rules;
        let bytes = extract::read_body(&parts.headers, body, body_limit, read_timeout).await?;
        let claim = match key {
            // The generic layer would keep the answer, and with it the URL. Its rules for keys hold.
            Some(key) => {
                idempotency::check(environment, &key, now)?;
                Some(CallbackClaim { key: sha256(key.as_bytes()), body: sha256(&bytes) })
            }
            None => None,
        };
        Ok(Asked { body: extract::parse(&bytes, api.rules.json_depth)?, claim })
    }
}

/// Create a callback
///
/// Its URL is open when this is answered. The same request with the same `Idempotency-Key` is answered
/// with the same callback and URL (200).
#[utoipa::path(post, path = "/api/v1/callback", tag = "Callback",
    request_body = CallbackIn,
    responses((status = 200, body = CreatedCallbackOut), (status = 201, body = CreatedCallbackOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Asked { body, claim }: Asked<CallbackIn>,
) -> Result<Response, Error> {
    let application = application(&api, caller, body.application.as_deref()).await?;
    let wanted = body.check(&api, caller, Problems::of_body()).await?;
    let created = make(&api, caller, application, &wanted, (claim, None)).await?;
    let status = if created.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let callback = created.callback.at(caller.now);
    Ok(json(status, &CreatedCallbackOut::new(&api.callbacks, &callback)?))
}

/// The application that a body names.
async fn application(
    api: &Api,
    caller: Caller,
    named: Option<&str>,
) -> Result<ApplicationId, Error> {
    let mut problems = Problems::of_body();
    let named = problems.required("application", named);
    problems.done()?;
    let named = Reference::parse(IdKind::Application, named.unwrap_or_default());
    Ok(api.store.application(caller.environment, named).await?.id)
}

/// Makes a callback of this application, with what the server is to do for it by itself.
///
/// # Errors
/// 409 if its reference is taken, or the claim was made for something else.
async fn make(
    api: &Api,
    caller: Caller,
    application: ApplicationId,
    wanted: &Wanted,
    (claim, work): (Option<CallbackClaim>, Option<&Work>),
) -> Result<CreatedCallback, Error> {
    audit::about("app_id", application.to_string());
    let keeping = api.callbacks.keeping(caller.now);
    for _ in 0..DRAWS {
        let callback = build(api, caller, application, wanted)?;
        audit::about("callback_id", callback.id.to_string());
        let errand = work.map(|work| api.callbacks.errand(&callback, work, caller.now));
        let errand = errand.transpose()?;
        match api.callbacks.create(NewCallback { callback, claim, errand, keeping }).await {
            Ok(created) => return Ok(created),
            // Its number was drawn before in this very millisecond.
            Err(WriteError::Conflict("callback id")) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(WriteError::Conflict("callback id").into())
}

fn build(
    api: &Api,
    Caller { environment, now }: Caller,
    application: ApplicationId,
    wanted: &Wanted,
) -> Result<Callback, Error> {
    let id = api.mint(now, CallbackId);
    let place = (environment, id.key());
    let random = api.world.entropy.bytes();
    Ok(Callback {
        id,
        scope: Scope { environment, application: application.key() },
        application,
        kind: wanted.kind,
        course: Course {
            state: Progress::Pending,
            expires_at: wanted.expires_at,
            heartbeat: wanted.heartbeat.map(|within| Heartbeat { within, seen_at: now }),
            mode: wanted.mode,
            answered: None,
        },
        turn: api.callbacks.first_turn().ok_or(Error::Internal)?,
        terms: serde_json::to_string(&wanted.terms).map_err(|_| Error::Internal)?,
        sealed: wanted.secrets.seal(&api.keyring, random, place)?,
        source: wanted.source,
        reference: wanted.reference.clone(),
        expects: wanted.terms.expects(),
        tags: wanted.tags.clone(),
        metadata: wanted.metadata.clone(),
        created_at: now,
        settled_at: None,
        settled_by: None,
        requests: 0,
    })
}

/// Which callbacks to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this application, by id or uid.
    application: Option<String>,
    /// Only in this state; may be given several times.
    #[param(required = false)]
    status: Vec<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only with this reference.
    reference: Option<String>,
    /// Only made before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only made after.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter {
            application: query.text("application"),
            status: query.list("status"),
            kind: query.text("kind"),
            tag: query.text("tag"),
            reference: query.text("reference"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

/// List callbacks
#[utoipa::path(get, path = "/api/v1/callback", tag = "Callback", params(Paging, Filter),
    responses((status = 200, body = List<CallbackOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(IdKind::Callback, Order::Descending)?;
    let mut problems = Problems::at(&["query"]);
    let state = |name: &String| Progress::ALL.into_iter().find(|state| state.name() == name);
    let states: Vec<Progress> = filter.status.iter().filter_map(state).collect();
    if states.len() != filter.status.len() {
        problems.add("status", "there is no such status");
    }
    let kind = problems.one_of("kind", filter.kind.as_deref(), &model::KINDS);
    problems.done()?;
    let application = match &filter.application {
        Some(named) => Some(self::application(&api, caller, Some(named)).await?.key()),
        None => None,
    };
    let query = CallbackQuery {
        page: page.clone(),
        application,
        states,
        kind,
        tag: filter.tag,
        reference: filter.reference,
        before: filter.before,
        after: filter.after,
        now: caller.now,
    };
    let found = api.store.callbacks(caller.environment, query).await?;
    let ids = found.items.iter().map(|callback| callback.id.0).collect();
    let data = found.items.iter().map(|callback| CallbackOut::new(callback, None)).collect();
    let end = (found.done, found.reached);
    Ok(json(StatusCode::OK, &List::found(IdKind::Callback, &page, ids, data, end)))
}

/// Get a callback
#[utoipa::path(get, path = "/api/v1/callback/{callback_id}", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CallbackOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
) -> Result<Response, Error> {
    let callback = api.store.callback(caller.environment, callback, caller.now).await?;
    Ok(json(StatusCode::OK, &CallbackOut::new(&callback, None)))
}

/// Get the result of a callback
///
/// With `Prefer: wait=30` this waits for it, at most 60 seconds. 200 with `result` once it has ended;
/// until then 202 and `Retry-After`.
#[utoipa::path(get, path = "/api/v1/callback/{callback_id}/result", tag = "Callback",
    params(("callback_id" = String, Path, description = "id"),
        ("prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for it")),
    responses((status = 200, body = CallbackOut), (status = 202, body = CallbackOut)))]
async fn result(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    Ok(api.callbacks.result(caller.environment, callback, &headers, |view| view).await?)
}

/// Follow a callback
///
/// Server-sent events: `progress`, `item` and `returned`, and then `completed`, `failed`, `expired` or
/// `canceled`, after which the stream ends. It goes on after `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/callback/{callback_id}/events", tag = "Callback",
    params(("callback_id" = String, Path, description = "id"),
        ("last-event-id" = Option<String>, Header, description = "the id of the last event seen")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 204, description = "All of it was seen")))]
async fn events(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    Ok(api.callbacks.events(caller.environment, callback, &headers).await?)
}

/// Give a callback a new URL; the old one is closed at once
#[utoipa::path(post, path = "/api/v1/callback/{callback_id}/rotate", tag = "Callback",
    params(("callback_id" = String, Path, description = "id")),
    responses((status = 200, body = CreatedCallbackOut)))]
async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Named(callback): Named<extract::Callback>,
) -> Result<Response, Error> {
    let before = api.store.callback(caller.environment, callback, caller.now).await?;
    audit::about("app_id", before.application.to_string());
    let turned = api.callbacks.turn(caller.environment, &before).await?.at(caller.now);
    Ok(json(StatusCode::OK, &CreatedCallbackOut::new(&api.callbacks, &turned)?))
}
