//! Connections: what was granted, and tokens that are always fresh.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    application::Metadata,
    id::{ConnectionId, Kind, OauthClientId},
    oauth::{
        Connection,
        connection::{State as Status, Subscription},
    },
    time::Timestamp,
};
use ringback_store::{ConnectionQuery, Order, audit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    CREATED, application,
    authorization::{AuthorizationIn, make},
    check_scopes,
};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Named},
        field::Problems,
        idempotency::{Answered, Posted},
        list::List,
        query::{FromQuery, Paging, Params, Query},
        reply::{json, nothing, render, rendered},
    },
    oauth::Fresh,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, delete))
        .routes(routes!(token))
        .routes(routes!(refresh))
        .routes(routes!(revoke))
        .routes(routes!(reauthorize))
}

/// A connection; no token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionOut {
    id: String,
    application: String,
    client: String,
    provider: String,
    /// The application's name for the person; empty of a client's own.
    user_ref: String,
    /// `active`, `reauthorization_required`, `revoked`.
    status: &'static str,
    /// Why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who granted it, as the provider calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// What was granted, which may be less than what was asked for.
    scopes: Vec<String>,
    /// Counts the tokens that it had.
    version: u32,
    /// Whether its token can be refreshed.
    refreshable: bool,
    /// When its token ends, if somebody said.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Webhooks that were registered with it.
    #[schema(value_type = Vec<Object>)]
    subscriptions: Vec<Subscription>,
    metadata: Metadata,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its tokens were last replaced.
    #[schema(value_type = String, format = DateTime)]
    refreshed_at: Timestamp,
}

impl ConnectionOut {
    pub(super) fn new(connection: &Connection) -> ConnectionOut {
        let Connection { grant, .. } = connection;
        ConnectionOut {
            id: connection.id.to_string(),
            application: connection.application.to_string(),
            client: connection.client.to_string(),
            provider: connection.provider.clone(),
            user_ref: connection.user_ref.clone(),
            status: connection.state.name(),
            reason: connection.reason.clone(),
            account: grant.account.clone(),
            scopes: grant.scopes.clone(),
            version: connection.version,
            refreshable: grant.is_refreshable,
            expires_at: grant.expires_at,
            subscriptions: connection.subscriptions.clone(),
            metadata: connection.metadata.clone(),
            created_at: connection.created_at,
            refreshed_at: connection.refreshed_at,
        }
    }
}

/// A token that can be used now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionTokenOut {
    access_token: String,
    /// How it is used: `Bearer`.
    token_type: String,
    /// When it ends; ask again instead of keeping it.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
    scopes: Vec<String>,
    /// Counts the tokens that the connection had.
    version: u32,
    /// What the provider said beside: where its API is, for which tenant.
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
}

impl ConnectionTokenOut {
    fn new(fresh: Fresh) -> ConnectionTokenOut {
        let grant = fresh.connection.grant;
        ConnectionTokenOut {
            access_token: fresh.access_token.to_string(),
            token_type: fresh.token_type,
            expires_at: grant.expires_at,
            scopes: grant.scopes,
            version: fresh.connection.version,
            extra: fresh.extra,
        }
    }
}

/// A connection that nobody has to be asked for: the client's own.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ConnectionIn {
    /// As which client.
    client: Option<String>,
    /// What is asked for; the client's scopes if not given.
    scopes: Vec<String>,
    /// Labels.
    metadata: Metadata,
}

/// Connect a client itself
///
/// With its own credentials (client credentials); nobody is asked.
#[utoipa::path(post, path = "/api/v1/connection", tag = "Connection",
    request_body = ConnectionIn,
    responses((status = 201, body = ConnectionOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<ConnectionIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let client = problems.required("client", body.client.as_deref());
    let client = client.and_then(|text| problems.check("client", text.parse::<OauthClientId>()));
    check_scopes(&mut problems, &body.scopes);
    problems.metadata("metadata", Some(&body.metadata));
    problems.done()?;
    let client = client.ok_or(Error::Internal)?;
    let client = api.store.oauth_client(caller.environment, client).await?;
    audit::about("app_id", client.application.to_string());
    let id = api.mint(caller.now, ConnectionId);
    audit::about("connection_id", id.to_string());
    let made = api.oauth.connect_itself(id, &client, &body.scopes, body.metadata).await;
    let connection = made.map_err(Error::from)?;
    let text = render(&ConnectionOut::new(&connection));
    let answer = once.answer(CREATED, &text);
    let keeping = api.oauth.keeping(caller.now);
    let told = api.store.create_connection(connection, answer, keeping).await?;
    api.oauth.tell(&told);
    Ok(rendered(CREATED, text))
}

/// Which connections to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this application, by id or uid.
    application: Option<String>,
    /// Only as this client.
    client: Option<String>,
    /// Only at this provider.
    provider: Option<String>,
    /// Only for this person.
    user_ref: Option<String>,
    /// Only that this account granted, as the provider calls it.
    account: Option<String>,
    /// Only in this status: `active`, `reauthorization_required`, `revoked`.
    status: Option<String>,
    /// Only with this label, as `name:value`.
    metadata: Option<String>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter {
            application: query.text("application"),
            client: query.text("client"),
            provider: query.text("provider"),
            user_ref: query.text("userRef").or_else(|| query.text("user_ref")),
            account: query.text("account"),
            status: query.text("status"),
            metadata: query.text("metadata"),
        }
    }
}

/// List connections
#[utoipa::path(get, path = "/api/v1/connection", tag = "Connection", params(Paging, Filter),
    responses((status = 200, body = List<ConnectionOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Connection, Order::Descending)?;
    let mut problems = Problems::at(&["query"]);
    let states: Vec<_> = Status::ALL.iter().map(|state| (state.name(), *state)).collect();
    let state = problems.one_of("status", filter.status.as_deref(), &states);
    let client = filter.client.as_deref().map(str::parse::<OauthClientId>);
    let client = client.and_then(|client| problems.check("client", client));
    let label =
        filter.metadata.as_deref().map(|text| text.split_once(':').ok_or("it is name:value"));
    let label = label.and_then(|label| problems.check("metadata", label));
    problems.done()?;
    let application = match &filter.application {
        Some(named) => Some(self::application(&api, caller, named).await?.key()),
        None => None,
    };
    let query = ConnectionQuery {
        page: page.clone(),
        application,
        client: client.map(|client| client.key()),
        provider: filter.provider,
        user_ref: filter.user_ref,
        account: filter.account,
        state,
        label: label.map(|(name, value)| (name.to_owned(), value.to_owned())),
    };
    let found = api.store.connections(caller.environment, query).await?;
    let ids = found.items.iter().map(|connection| connection.id.0).collect();
    let data = found.items.iter().map(ConnectionOut::new).collect();
    let end = (found.done, found.reached);
    Ok(json(StatusCode::OK, &List::found(Kind::Connection, &page, ids, data, end)))
}

/// Get a connection
#[utoipa::path(get, path = "/api/v1/connection/{connection_id}", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 200, body = ConnectionOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    let connection = api.store.connection(caller.environment, id).await?;
    Ok(json(StatusCode::OK, &ConnectionOut::new(&connection)))
}

/// Get a fresh token
///
/// It is refreshed if it ends soon; however many ask at once, the provider is asked once. 409
/// `reauthorization_required` where the person has to be asked again.
#[utoipa::path(get, path = "/api/v1/connection/{connection_id}/token", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 200, body = ConnectionTokenOut)))]
async fn token(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    let fresh = api.oauth.token(caller.environment, id, false).await?;
    Ok(secret(ConnectionTokenOut::new(fresh)))
}

/// Refresh a connection now, even if its token is fresh
#[utoipa::path(post, path = "/api/v1/connection/{connection_id}/refresh", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 200, body = ConnectionTokenOut)))]
async fn refresh(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    let fresh = api.oauth.token(caller.environment, id, true).await?;
    audit::about("app_id", fresh.connection.application.to_string());
    Ok(secret(ConnectionTokenOut::new(fresh)))
}

/// An answer that nobody on the way keeps (RFC 6749, section 5.1).
fn secret(token: ConnectionTokenOut) -> Response {
    let mut response = json(StatusCode::OK, &token);
    let no_store = http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(http::header::CACHE_CONTROL, no_store);
    response
}

/// A connection that was ended, and what the provider was told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RevokedOut {
    #[serde(flatten)]
    connection: ConnectionOut,
    /// `revoked`; `not_supported` where it cannot be told; `failed` where it did not take it: the
    /// tokens may be good there until they end.
    at_provider: &'static str,
}

/// Revoke a connection: the provider is told, and the tokens are erased
#[utoipa::path(post, path = "/api/v1/connection/{connection_id}/revoke", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 200, body = RevokedOut)))]
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    let (connection, told) = api.oauth.revoke(caller.environment, id).await?;
    audit::about("app_id", connection.application.to_string());
    let connection = ConnectionOut::new(&connection);
    Ok(json(StatusCode::OK, &RevokedOut { connection, at_provider: told.name() }))
}

/// Ask the person of a connection again
///
/// As `POST /api/v1/authorization`; the connection stays the same, with new tokens.
#[utoipa::path(post, path = "/api/v1/connection/{connection_id}/reauthorize", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    request_body = AuthorizationIn,
    responses((status = 201, description = "As of `POST /api/v1/authorization`")))]
async fn reauthorize(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
    Posted { body, once }: Posted<AuthorizationIn>,
) -> Result<Response, Answered> {
    let connection = api.store.connection(caller.environment, id).await?;
    let Connection { id, client, user_ref, .. } = connection;
    let body = body.anew(client.to_string(), id.to_string(), user_ref);
    make(&api, caller, Posted { body, once }).await
}

/// Delete a connection
///
/// What is stored of it is erased. The provider is not told: revoke it first.
#[utoipa::path(delete, path = "/api/v1/connection/{connection_id}", tag = "Connection",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    api.store.delete_connection(caller.environment, id).await?;
    Ok(nothing())
}
