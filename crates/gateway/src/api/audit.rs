//! The audit log: who changed what.
//!
//! An operation that changes something runs in a scope of its own; as soon as it is known who
//! calls, that is noted in it, and the store writes it down with the change. See
//! [`ringback_store::audit`].

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode};
use ringback_domain::{
    access::Role,
    application::OPERATIONAL_UID,
    id::{ApplicationId, AuditId, Key, Kind},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{Act, Actor, AuditQuery, Entry, Order, audit};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema, openapi};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{Caller, found},
    list::{List, shown},
    query::{FromQuery, Paging, Params, Query},
    reply::json,
};
use crate::auth::Identity;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// Where a request comes from, as far as its connection says.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// What log lines about the request carry.
    pub trace_id: u128,
    /// The peer: a proxy, if there is one in between.
    pub address: SocketAddr,
}

/// The name of the operation that a request asks for.
#[derive(Clone)]
struct Operation(Arc<str>);

/// The names of all operations that may change something, by method and path.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<HashMap<(Method, String), Arc<str>>>);

impl Names {
    /// Those that the document has.
    pub(super) fn of(document: &openapi::OpenApi) -> Names {
        let mut names = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(name) = operation.as_ref().and_then(|one| one.operation_id.as_deref()) {
                    names.insert((method, path.clone()), Arc::from(name));
                }
            }
        }
        Names(Arc::new(names))
    }
}

/// Lets an operation that may change something run in a scope of its own.
pub(super) async fn scoped(
    State(names): State<Names>,
    path: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = path.map(|path| path.as_str().to_owned()).unwrap_or_default();
    match names.0.get(&(request.method().clone(), path)) {
        Some(name) => {
            request.extensions_mut().insert(Operation(Arc::clone(name)));
            audit::scope(next.run(request)).await
        }
        None => next.run(request).await,
    }
}

/// Notes who does what, if the request may change something.
pub(super) async fn note(
    parts: &mut Parts,
    api: &Api,
    identity: &Identity,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(Operation(name)) = parts.extensions.get().cloned() else { return Ok(()) };
    let params = RawPathParams::from_request_parts(parts, api).await;
    let params = params.map_err(|_| Error::NoRoute)?;
    let mut resources: BTreeMap<String, String> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let application = resolve(api, identity.environment, &mut resources, parts.uri.path()).await?;
    let origin = parts.extensions.get::<Origin>();
    audit::note(Act { application, resources, ..act(identity, &name, origin, now) });
    Ok(())
}

/// What somebody does who was let in.
pub fn act(identity: &Identity, operation: &str, origin: Option<&Origin>, now: Timestamp) -> Act {
    let actor = match identity.token {
        Some(id) => Actor::Token { id, name: identity.name.clone(), role: identity.grant.role },
        None => Actor::Bootstrap,
    };
    Act {
        environment: identity.environment,
        application: None,
        actor,
        operation: operation.to_owned(),
        resources: BTreeMap::new(),
        request: origin.map(|origin| format!("{:032x}", origin.trace_id)),
        address: origin.map(|origin| origin.address.ip().to_string()),
        at: now,
    }
}

/// Puts ids in the place of names, which may come to mean something else. Returns the key of the
/// application. What does not exist keeps its name: a change may be about to make it.
async fn resolve(
    api: &Api,
    environment: Key,
    resources: &mut BTreeMap<String, String>,
    path: &str,
) -> Result<Option<Key>, Error> {
    if let Some(named) = resources.get("source_id") {
        let named = Reference::parse(Kind::Source, named);
        if let Some(source) = found(api.store.source(environment, named).await)? {
            resources.insert("source_id".to_owned(), source.id.to_string());
            resources.insert("app_id".to_owned(), source.application.to_string());
        }
    }
    let named = match resources.get("app_id") {
        Some(named) => Reference::parse(Kind::Application, named),
        None if path.starts_with("/api/v1/operational-webhook/") => {
            Reference::Uid(OPERATIONAL_UID.to_owned())
        }
        None => return Ok(None),
    };
    let Some(application) = found(api.store.application(environment, named).await)? else {
        return Ok(None);
    };
    let key = application.id.key();
    let scope = Scope { environment, application: key };
    resources.insert("app_id".to_owned(), application.id.to_string());
    // A destination is an endpoint, and found by that.
    if let Some(destination) = resources.remove("destination_id") {
        resources.insert("endpoint_id".to_owned(), destination);
    }
    if let Some(endpoint) = resources.get_mut("endpoint_id")
        && let uid @ Reference::Uid(_) = Reference::parse(Kind::Endpoint, endpoint)
        && let Some(found) = found(api.store.endpoint(scope, uid).await)?
    {
        *endpoint = found.id.to_string();
    }
    if let Some(message) = resources.get_mut("msg_id")
        && let event_id @ Reference::Uid(_) = Reference::parse(Kind::Message, message)
        && let Some(found) = found(api.store.message(scope, event_id, false).await)?
    {
        *message = found.id.to_string();
    }
    Ok(Some(key))
}

/// Who changed something.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditActorOut {
    /// `token`, `bootstrap` (the bootstrap token), `command` (a command on the server's machine) or
    /// `system` (the server by itself).
    r#type: &'static str,
    /// The token's id.
    id: Option<String>,
    /// What the token is for.
    name: Option<String>,
    /// What the token may do: `admin`, `application`, `portal` …
    role: Option<&'static str>,
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditOut {
    /// Its id.
    #[schema(value_type = String, example = "audit_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: AuditId,
    /// When it was.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Who did it.
    actor: AuditActorOut,
    /// What was done: the `operationId` of this document, or `token.create`, `token.revoke`,
    /// `key.rotate`, `key.retire`, `endpoint.disable`.
    #[schema(example = "endpoint.patch")]
    operation: String,
    /// Always `success`: what is refused, or fails, changes nothing and has no entry.
    outcome: &'static str,
    /// Ids and names of what it was done to, by the names that the paths have for them.
    resources: BTreeMap<String, String>,
    /// The request's trace id, as in the log; null for what is no request.
    request_id: Option<String>,
    /// The address that it came from: the proxy's, if there is one in between.
    address: Option<String>,
}

impl From<Actor> for AuditActorOut {
    fn from(actor: Actor) -> AuditActorOut {
        let of = |r#type| AuditActorOut { r#type, id: None, name: None, role: None };
        match actor {
            Actor::Token { id, name, role } => AuditActorOut {
                id: Some(id.to_string()),
                name: Some(name),
                role: Some(Role::name(role)),
                ..of("token")
            },
            Actor::Bootstrap => of("bootstrap"),
            Actor::Command => of("command"),
            Actor::System => of("system"),
        }
    }
}

impl From<Entry> for AuditOut {
    fn from(Entry { id, act }: Entry) -> AuditOut {
        AuditOut {
            id,
            timestamp: act.at,
            actor: act.actor.into(),
            operation: act.operation,
            outcome: "success",
            resources: act.resources,
            request_id: act.request,
            address: act.address,
        }
    }
}

/// Which entries to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only about this application, by id or uid. Of a deleted one only the id is known.
    app_id: Option<String>,
    /// Only of this operation, such as `endpoint.patch`.
    operation: Option<String>,
    /// Only made before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only made after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter {
            app_id: query.text("app_id"),
            operation: query.text("operation"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

/// List the audit log
///
/// Who changed what in the environment of the token, which has to be an admin's.
#[utoipa::path(get, path = "/api/v1/audit", tag = "Audit", params(Paging, Filter),
    responses((status = 200, body = List<AuditOut>)))]
async fn list(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Audit, Order::Descending)?;
    let application = match filter.app_id {
        Some(named) => Some(application(&api, environment, &named).await?.key()),
        None => None,
    };
    let Filter { operation, before, after, .. } = filter;
    let query = AuditQuery { page: page.clone(), application, operation, before, after };
    let listed = api.store.audit(environment, query).await?;
    Ok(json(StatusCode::OK, &shown(Kind::Audit, &page, listed, AuditOut::from)))
}

async fn application(api: &Api, environment: Key, named: &str) -> Result<ApplicationId, Error> {
    match Reference::parse(Kind::Application, named) {
        Reference::Id(id) => Ok(ApplicationId(id)),
        uid @ Reference::Uid(_) => Ok(api.store.application(environment, uid).await?.id),
    }
}
