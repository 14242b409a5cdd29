//! Authorizations: a person is asked, and comes back.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use ringback_domain::{
    application::Metadata,
    callback::redirect::Target,
    id::{AuthorizationId, Kind},
    oauth::{
        Authorization, Client,
        authorization::{Act, Binding, Flow, Purpose, Stage, Verdict},
    },
    time::Timestamp,
};
use ringback_store::{AuthorizationQuery, AuthorizationStep, Order, audit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{CREATED, application, check_scopes, check_user_ref, connection::ConnectionOut};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named},
        field::Problems,
        idempotency::{Answered, Posted},
        list::List,
        query::{FromQuery, Paging, Params, Query},
        reply::{json, render, rendered},
    },
    oauth::{Begun, Confirmed, Trouble},
};

/// How long a person has, if nobody says, and the least and most, in seconds.
const PATIENCE: u64 = 600;
const PATIENCE_LEAST: u64 = 60;
const PATIENCE_MOST: u64 = 3_600;
/// The most parameters of a request beside those of the standard, and the longest, in characters.
const PARAMS: usize = 20;
const PARAM_LENGTH: usize = 1_000;
/// Parameters that only Ringback sets: they are what makes a flow safe.
const OURS: [&str; 14] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "client_assertion",
];
const PURPOSES: [(&str, Purpose); 2] = [("connect", Purpose::Connect), ("login", Purpose::Login)];
const BINDINGS: [(&str, Binding); 2] = [("confirm", Binding::Confirm), ("cookie", Binding::Cookie)];

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(device))
        .routes(routes!(get))
        .routes(routes!(confirm))
        .routes(routes!(cancel))
        .routes(routes!(poll))
}

/// A person to ask.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct AuthorizationIn {
    /// As which client.
    client: Option<String>,
    /// The application's name for the person: the user of its own session.
    user_ref: Option<String>,
    /// What is asked for; the client's scopes if not given.
    scopes: Vec<String>,
    /// Where the browser is sent on to; one of the listed targets.
    return_to: Option<String>,
    /// `connect` (default), or `login`: who it is, and nothing is kept.
    purpose: Option<String>,
    /// `confirm` (default): the application says who came back. `cookie`: it sets the cookie of the
    /// answer in the person's browser, of which this server has to be on the same site.
    binding: Option<String>,
    /// The connection to authorize anew.
    connection: Option<String>,
    /// How long the person has, in seconds, 60 to 3600; 600 if not given.
    #[schema(minimum = 60, maximum = 3600)]
    expires_in: Option<u64>,
    /// Labels; the connection gets them, too.
    metadata: Metadata,
    /// More parameters of the request: `login_hint`, `prompt` …
    params: BTreeMap<String, String>,
}

/// A flow; no secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizationOut {
    id: String,
    application: String,
    client: String,
    /// `code` or `device`.
    flow: &'static str,
    purpose: &'static str,
    binding: &'static str,
    user_ref: String,
    scopes: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    return_to: String,
    /// `pending`, `returned`, `exchanging`, `completed`, `failed`, `expired`, `canceled`.
    status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The connection that came of it, or is authorized anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    metadata: Metadata,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Until when the present status lasts at most.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<Timestamp>,
}

impl AuthorizationOut {
    fn new(flow: &Authorization) -> AuthorizationOut {
        AuthorizationOut {
            id: flow.id.to_string(),
            application: flow.application.to_string(),
            client: flow.client.to_string(),
            flow: flow.flow.name(),
            purpose: flow.purpose.name(),
            binding: flow.binding.name(),
            user_ref: flow.user_ref.clone(),
            scopes: flow.scopes.clone(),
            return_to: flow.return_to.clone(),
            status: flow.stage.name(),
            reason: flow.reason.clone(),
            connection: flow.connection.map(|id| id.to_string()),
            metadata: flow.metadata.clone(),
            created_at: flow.created_at,
            expires_at: flow.deadline,
            settled_at: flow.settled_at,
        }
    }
}

/// A flow that was made, and where it begins.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreatedAuthorizationOut {
    #[serde(flatten)]
    authorization: AuthorizationOut,
    /// Where the person's browser goes. Whoever has it may begin.
    url: String,
    /// What the application sets in the person's browser, where that is what binds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<CookieOut>,
}

/// A cookie to set for the whole site: `Secure; HttpOnly; SameSite=None; Domain=…; Path=/oauth`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CookieOut {
    name: String,
    value: String,
    /// In seconds.
    max_age: u64,
}

/// A flow on another device, and what the person has to do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceAuthorizationOut {
    #[serde(flatten)]
    authorization: AuthorizationOut,
    /// What the person types.
    user_code: String,
    /// Where.
    verification_uri: String,
    /// The same with the code in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete: Option<String>,
    /// How many seconds lie between two polls.
    interval: u64,
}

/// What came of a flow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConfirmedOut {
    #[serde(flatten)]
    authorization: AuthorizationOut,
    /// The connection, of a flow for one.
    #[serde(rename = "granted", skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionOut>,
    /// Who it is, verified, of a flow for a login: it is said this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Map<String, Value>>,
}

/// Who came back.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
struct ConfirmIn {
    /// The user of the application's own session, now.
    user_ref: Option<String>,
    /// What came with the browser, in the query of `returnTo`.
    confirmation: Option<String>,
}

/// What is asked for, once it is checked.
struct Wanted {
    client: Client,
    user_ref: String,
    purpose: Purpose,
    binding: Binding,
    return_to: String,
    patience: Duration,
}

impl AuthorizationIn {
    async fn check(&self, api: &Api, caller: Caller, flow: Flow) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        let client = problems.required("client", self.client.as_deref());
        let client = client.and_then(|text| problems.check("client", text.parse()));
        let user_ref = check_user_ref(&mut problems, self.user_ref.clone());
        check_scopes(&mut problems, &self.scopes);
        problems.metadata("metadata", Some(&self.metadata));
        let purpose = problems.one_of("purpose", self.purpose.as_deref(), &PURPOSES);
        let binding = problems.one_of("binding", self.binding.as_deref(), &BINDINGS);
        let purpose = purpose.unwrap_or(Purpose::Connect);
        let seconds = self.expires_in.unwrap_or(PATIENCE);
        if !(PATIENCE_LEAST..=PATIENCE_MOST).contains(&seconds) {
            problems.add("expiresIn", format!("it is {PATIENCE_LEAST} to {PATIENCE_MOST} seconds"));
        }
        if purpose == Purpose::Login && self.connection.is_some() {
            problems.add("connection", "a login authorizes none");
        }
        if purpose == Purpose::Login && binding == Some(Binding::Cookie) {
            problems.add("binding", "who logs in is said when the application confirms");
        }
        self.check_params(&mut problems);
        let return_to = match flow {
            Flow::Device => {
                problems.unwanted("returnTo", self.return_to.as_ref());
                problems.unwanted("binding", self.binding.as_ref());
                String::new()
            }
            Flow::Code => {
                let page = problems.required("returnTo", self.return_to.as_deref());
                let targets = api.callbacks.targets();
                let page = page.map(|page| Target::listed(page, targets).map(|()| page.to_owned()));
                page.and_then(|page| problems.check("returnTo", page)).unwrap_or_default()
            }
        };
        problems.done()?;
        let (Some(client), Some(user_ref)) = (client, user_ref) else {
            return Err(Error::Internal);
        };
        Ok(Wanted {
            client: api.store.oauth_client(caller.environment, client).await?,
            user_ref,
            purpose,
            binding: binding.unwrap_or(Binding::Confirm),
            return_to,
            patience: Duration::from_secs(seconds),
        })
    }

    fn check_params(&self, problems: &mut Problems) {
        if self.params.len() > PARAMS {
            problems.add("params", format!("it has at most {PARAMS} items"));
        }
        for (name, value) in &self.params {
            let length = name.chars().count().max(value.chars().count());
            let what = match name.as_str() {
                ours if OURS.contains(&ours) => "only the server sets it",
                "" => "it has a name",
                _ if length > PARAM_LENGTH => "it is too long",
                _ => continue,
            };
            problems.add_below("params", Some(name), what);
        }
    }

    fn build(
        &self,
        api: &Api,
        caller: Caller,
        wanted: &Wanted,
        flow: Flow,
    ) -> Result<Authorization, Error> {
        let connection = self.connection.as_deref().map(str::parse);
        let connection = connection.transpose();
        let connection = connection.map_err(|_| Error::NotFound("connection"))?;
        let Wanted { client, .. } = wanted;
        Ok(Authorization {
            id: api.mint(caller.now, AuthorizationId),
            scope: client.scope,
            application: client.application,
            client: client.id,
            flow,
            purpose: wanted.purpose,
            binding: wanted.binding,
            user_ref: wanted.user_ref.clone(),
            scopes: self.scopes.clone(),
            return_to: wanted.return_to.clone(),
            params: self.params.clone().into_iter().collect(),
            connection,
            turn: api.oauth.turn().ok_or(Error::Internal)?,
            stage: Stage::Pending,
            reason: None,
            deadline: caller.now + wanted.patience,
            sealed: None,
            metadata: self.metadata.clone(),
            created_at: caller.now,
            settled_at: None,
        })
    }

    /// The same for a connection that is there.
    pub(super) fn anew(
        self,
        client: String,
        connection: String,
        user_ref: String,
    ) -> AuthorizationIn {
        AuthorizationIn {
            client: Some(client),
            connection: Some(connection),
            user_ref: self.user_ref.or(Some(user_ref)),
            ..self
        }
    }
}

/// Ask a person for an authorization
///
/// The answer has a plain URL for the person's browser. The browser comes back to `returnTo` with
/// `authorization` and `confirmation` in the query, or with `error`.
#[utoipa::path(post, path = "/api/v1/authorization", tag = "Authorization",
    request_body = AuthorizationIn,
    responses((status = 201, body = CreatedAuthorizationOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    posted: Posted<AuthorizationIn>,
) -> Result<Response, Answered> {
    make(&api, caller, posted).await
}

/// Makes a flow with a browser.
pub(super) async fn make(
    api: &Api,
    caller: Caller,
    Posted { body, once }: Posted<AuthorizationIn>,
) -> Result<Response, Answered> {
    let wanted = body.check(api, caller, Flow::Code).await?;
    audit::about("app_id", wanted.client.application.to_string());
    let provider = api.oauth.provider(&wanted.client.provider);
    if provider.is_some_and(|provider| !provider.asks_by_browser()) {
        let what = "its provider asks nobody: make a connection of it";
        return Err(Error::invalid("body", "client", what).into());
    }
    let flow = body.build(api, caller, &wanted, Flow::Code)?;
    audit::about("authorization_id", flow.id.to_string());
    let url = api.oauth.url(&flow).ok_or(Error::Internal)?;
    let cookie = match flow.binding {
        Binding::Confirm => None,
        Binding::Cookie => {
            let (name, value) = api.oauth.cookie(&flow).ok_or(Error::Internal)?;
            let value = value.as_str().to_owned();
            Some(CookieOut { name, value, max_age: wanted.patience.as_secs() })
        }
    };
    let authorization = AuthorizationOut::new(&flow);
    let text = render(&CreatedAuthorizationOut { authorization, url, cookie });
    let answer = once.secret_answer(&api.vault, CREATED, &text)?;
    api.store.create_authorization(flow, answer).await?;
    Ok(rendered(CREATED, text))
}

/// Ask a person on another device
///
/// For programs without a browser: the person types a code. Whoever waits polls.
#[utoipa::path(post, path = "/api/v1/authorization/device", tag = "Authorization",
    request_body = AuthorizationIn,
    responses((status = 201, body = DeviceAuthorizationOut)))]
async fn device(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<AuthorizationIn>,
) -> Result<Response, Answered> {
    let wanted = body.check(&api, caller, Flow::Device).await?;
    audit::about("app_id", wanted.client.application.to_string());
    let mut flow = body.build(&api, caller, &wanted, Flow::Device)?;
    audit::about("authorization_id", flow.id.to_string());
    let begun = api.oauth.begin(&mut flow).await.map_err(Error::from)?;
    let Begun { user_code, verification_uri, verification_uri_complete, interval } = begun;
    let text = render(&DeviceAuthorizationOut {
        authorization: AuthorizationOut::new(&flow),
        user_code,
        verification_uri,
        verification_uri_complete,
        interval,
    });
    let answer = once.secret_answer(&api.vault, CREATED, &text)?;
    api.store.create_authorization(flow, answer).await?;
    Ok(rendered(CREATED, text))
}

/// Which flows to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this application, by id or uid.
    application: Option<String>,
    /// Only as this client.
    client: Option<String>,
    /// Only for this person.
    user_ref: Option<String>,
    /// Only in this status; may be given several times.
    #[param(required = false)]
    status: Vec<String>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter {
            application: query.text("application"),
            client: query.text("client"),
            user_ref: query.text("userRef").or_else(|| query.text("user_ref")),
            status: query.list("status"),
        }
    }
}

/// List authorizations
#[utoipa::path(get, path = "/api/v1/authorization", tag = "Authorization", params(Paging, Filter),
    responses((status = 200, body = List<AuthorizationOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Authorization, Order::Descending)?;
    let mut problems = Problems::at(&["query"]);
    let stage = |name: &String| Stage::ALL.iter().find(|stage| stage.name() == name).copied();
    let stages: Vec<Stage> = filter.status.iter().filter_map(stage).collect();
    if stages.len() != filter.status.len() {
        problems.add("status", "there is no such status");
    }
    let client = filter.client.as_deref().map(str::parse::<ringback_domain::id::OauthClientId>);
    let client = client.and_then(|client| problems.check("client", client));
    problems.done()?;
    let application = match &filter.application {
        Some(named) => Some(self::application(&api, caller, named).await?.key()),
        None => None,
    };
    let query = AuthorizationQuery {
        page: page.clone(),
        application,
        client: client.map(|client| client.key()),
        user_ref: filter.user_ref,
        stages,
        now: caller.now,
    };
    let found = api.store.authorizations(caller.environment, query).await?;
    let ids = found.items.iter().map(|flow| flow.id.0).collect();
    let data = found.items.iter().map(AuthorizationOut::new).collect();
    let end = (found.done, found.reached);
    Ok(json(StatusCode::OK, &List::found(Kind::Authorization, &page, ids, data, end)))
}

/// Get an authorization
#[utoipa::path(get, path = "/api/v1/authorization/{authorization_id}", tag = "Authorization",
    params(("authorization_id" = String, Path, description = "id")),
    responses((status = 200, body = AuthorizationOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Authorization>,
) -> Result<Response, Error> {
    let flow = api.store.authorization(caller.environment, id, caller.now).await?;
    Ok(json(StatusCode::OK, &AuthorizationOut::new(&flow)))
}

/// Confirm who came back
///
/// With the user of your own session, which is not what the browser brought. Only if it is the person
/// that was asked for, the code is exchanged; otherwise nothing comes of it any more (403).
#[utoipa::path(post, path = "/api/v1/authorization/{authorization_id}/confirm",
    tag = "Authorization",
    params(("authorization_id" = String, Path, description = "id")),
    request_body = ConfirmIn,
    responses((status = 200, body = ConfirmedOut)))]
async fn confirm(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Authorization>,
    Json(body): Json<ConfirmIn>,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    let user_ref = check_user_ref(&mut problems, body.user_ref);
    let confirmation = problems.required("confirmation", body.confirmation);
    problems.done()?;
    let (user_ref, confirmation) = (user_ref.unwrap_or_default(), confirmation.unwrap_or_default());
    let flow = api.store.authorization(caller.environment, id, caller.now).await?;
    audit::about("app_id", flow.application.to_string());
    let confirmed = api.oauth.confirm(caller.environment, id, &user_ref, &confirmation).await?;
    Ok(json(StatusCode::OK, &confirmed_out(confirmed)))
}

fn confirmed_out(confirmed: Confirmed) -> ConfirmedOut {
    match confirmed {
        Confirmed::Connected(flow, connection) => ConfirmedOut {
            authorization: AuthorizationOut::new(&flow),
            connection: Some(ConnectionOut::new(&connection)),
            claims: None,
        },
        Confirmed::LoggedIn(flow, claims) => ConfirmedOut {
            authorization: AuthorizationOut::new(&flow),
            connection: None,
            claims: Some(claims),
        },
    }
}

/// Cancel an authorization: nothing comes of it any more
#[utoipa::path(post, path = "/api/v1/authorization/{authorization_id}/cancel",
    tag = "Authorization",
    params(("authorization_id" = String, Path, description = "id")),
    responses((status = 200, body = AuthorizationOut)))]
async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Authorization>,
) -> Result<Response, Error> {
    let flow = api.store.authorization(caller.environment, id, caller.now).await?;
    audit::about("app_id", flow.application.to_string());
    let step = AuthorizationStep {
        authorization: flow.id,
        act: Act::Cancel,
        connection: None,
        keeping: api.oauth.keeping(caller.now),
        now: caller.now,
    };
    let stepped = api.store.step_authorization(step).await?;
    match stepped.verdict {
        Verdict::Taken => Ok(json(StatusCode::OK, &AuthorizationOut::new(&stepped.authorization))),
        _ => Err(Trouble::Stage(stepped.authorization.stage.name()).into()),
    }
}

/// Ask whether a person has done it on the other device
///
/// 200 with the connection; 202 and `Retry-After` until then.
#[utoipa::path(post, path = "/api/v1/authorization/{authorization_id}/poll",
    tag = "Authorization",
    params(("authorization_id" = String, Path, description = "id")),
    responses((status = 200, body = ConfirmedOut), (status = 202, body = AuthorizationOut)))]
async fn poll(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Authorization>,
) -> Result<Response, Error> {
    let flow = api.store.authorization(caller.environment, id, caller.now).await?;
    audit::about("app_id", flow.application.to_string());
    match api.oauth.poll(caller.environment, id).await {
        Ok(confirmed) => Ok(json(StatusCode::OK, &confirmed_out(confirmed))),
        Err(Trouble::Pending(wait)) => {
            let mut response = json(StatusCode::ACCEPTED, &AuthorizationOut::new(&flow));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            Ok(response)
        }
        Err(trouble) => Err(trouble.into()),
    }
}
