//! Access to the portal of an application: short-lived tokens for what a customer may do there.
//!
//! A portal token is never larger than the token that asks for it: only roles that may do all of
//! that inside the application can ask, and it ends no later than theirs.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use ringback_domain::{
    access::{Capabilities, Capability, Grant, Right, Role},
    id::{ApplicationId, TokenId},
    scope::Reference,
    time::Timestamp,
    token::Token,
};
use ringback_store::{ExpireSessions, NewApplication, NewToken, WriteError, audit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    application::ApplicationIn,
    error::Error,
    extract::{self, Caller, Json, Named, Scoped, Who, found},
    field::Problems,
    idempotency::{Answered, Posted},
    reply::{nothing, render, rendered},
};

/// How long a portal token works if nobody says.
const LASTS: u32 = 7 * 24 * 3600;
/// The shortest time that can be asked for.
const SHORTEST: u32 = 3600;
/// The most flags or sessions in one request.
const NAMES: usize = 100;
/// The longest flag or name of a session, in characters.
const NAME_LENGTH: usize = 256;
/// How many sessions end in one transaction.
const STEP: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(app_portal_access))
        .routes(routes!(dashboard_access))
        .routes(routes!(expire_all))
        .routes(routes!(logout))
}

/// What a portal token is for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppPortalAccessIn {
    /// The application to create, if there is none with the id or uid of the path.
    application: Option<ApplicationIn>,
    /// Only looking, without secrets.
    read_only: Option<bool>,
    /// What its holder may do; everything if not given. `ViewBase` is always among them.
    #[schema(value_type = Option<Vec<String>>, example = json!(["ViewBase", "ManageEndpoint"]))]
    capabilities: Option<Vec<String>>,
    /// The flags of event types that its holder sees beside those without a flag.
    feature_flags: Option<Vec<String>>,
    /// How long it works, in seconds, 3600 to 604800; seven days if not given.
    #[schema(minimum = 3600, maximum = 604800)]
    expiry: Option<u32>,
    /// Names it, so that it can be ended with others of that name.
    #[schema(max_length = 256)]
    session_id: Option<String>,
}

impl AppPortalAccessIn {
    /// For one application, with everything that its holder may do there.
    pub(super) fn for_source(expiry: Option<u32>, read_only: Option<bool>) -> AppPortalAccessIn {
        AppPortalAccessIn { expiry, read_only, ..AppPortalAccessIn::default() }
    }
}

/// The way into a portal.
#[derive(Serialize, ToSchema)]
pub(super) struct AppPortalAccessOut<'a> {
    /// Where the portal is, with the token behind the `#`, which no server gets to see.
    url: String,
    /// The token.
    token: &'a str,
}

/// Which portal tokens end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationTokenExpireIn {
    /// In how many seconds, 0 to 604800; at once if not given.
    #[schema(minimum = 0, maximum = 604800)]
    expiry: Option<u32>,
    /// Only those with one of these names.
    session_ids: Option<Vec<String>>,
}

/// Nothing.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Nothing {}

/// Open the portal of an application to somebody
#[utoipa::path(post, path = "/api/v1/auth/app-portal-access/{app_id}", tag = "Authentication",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = AppPortalAccessIn,
    responses((status = 200, body = AppPortalAccessOut<'_>)))]
async fn app_portal_access(
    State(api): State<Api>,
    who: Who,
    caller: Caller,
    Named(named): Named<extract::Application>,
    headers: HeaderMap,
    posted: Posted<AppPortalAccessIn>,
) -> Result<Response, Answered> {
    open(&api, (who, caller), named, &headers, posted).await
}

/// Open the portal of an application to somebody: the old spelling
#[utoipa::path(post, path = "/api/v1/auth/dashboard-access/{app_id}", tag = "Authentication",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = AppPortalAccessOut<'_>)))]
async fn dashboard_access(
    State(api): State<Api>,
    who: Who,
    caller: Caller,
    Named(named): Named<extract::Application>,
    headers: HeaderMap,
    Posted { once, .. }: Posted<Nothing>,
) -> Result<Response, Answered> {
    let body = AppPortalAccessIn::default();
    open(&api, (who, caller), named, &headers, Posted { body, once }).await
}

pub(super) async fn open(
    api: &Api,
    (Who(identity), caller): (Who, Caller),
    named: Reference,
    headers: &HeaderMap,
    Posted { body, once }: Posted<AppPortalAccessIn>,
) -> Result<Response, Answered> {
    let Caller { environment, now } = caller;
    body.check()?;
    let application = application(api, &identity.grant, caller, named, &body).await?;
    let token = Token::mint(api.world.entropy.bytes());
    let end = now + Duration::from_secs(body.expiry.unwrap_or(LASTS).into());
    let url = format!("{}/portal#token={}", origin(headers), token.as_str());
    let out = render(&AppPortalAccessOut { url, token: token.as_str() });
    let answer = once.secret_answer(&api.vault, StatusCode::OK, &out)?;
    let id = api.mint(now, TokenId);
    audit::about("token_id", id.to_string());
    audit::about("app_id", application.to_string());
    let new = NewToken {
        id,
        environment,
        hash: token.hash(),
        hint: token.hint(),
        name: String::new(),
        grant: body.grant(application),
        session: body.session_id,
        created_at: now,
        expires_at: Some(identity.expires_at.map_or(end, |own| own.min(end))),
        answer,
    };
    api.store.create_token(new).await?;
    Ok(rendered(StatusCode::OK, out))
}

/// The application that the path names; made, if it does not exist and the body describes it.
async fn application(
    api: &Api,
    grant: &Grant,
    Caller { environment, now }: Caller,
    named: Reference,
    body: &AppPortalAccessIn,
) -> Result<ApplicationId, Error> {
    let there = found(api.store.application(environment, named.clone()).await)?;
    let (None, Some(described)) = (&there, &body.application) else {
        return there.map(|one| one.id).ok_or(Error::NotFound("application"));
    };
    let has = grant.role;
    grant.permits(Right::Manage).map_err(|needs| Error::Forbidden { needs, has })?;
    let application = described.describe(api.mint(now, ApplicationId), now, Some(&named))?;
    let id = application.id.to_string();
    let new = NewApplication { environment, application, answer: None };
    let create = async {
        audit::about("app_id", id);
        api.store.create_application(new).await
    };
    match audit::beside("application.create", create).await {
        Ok(created) => Ok(created.id),
        // Somebody else created it meanwhile.
        Err(WriteError::Conflict(_)) => Ok(api.store.application(environment, named).await?.id),
        Err(error) => Err(error.into()),
    }
}

/// End portal tokens of an application
#[utoipa::path(post, path = "/api/v1/auth/app/{app_id}/expire-all", tag = "Authentication",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = ApplicationTokenExpireIn,
    responses((status = 204)))]
async fn expire_all(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Json(body): Json<ApplicationTokenExpireIn>,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    if body.expiry.is_some_and(|seconds| seconds > LASTS) {
        problems.add("expiry", format!("it is between 0 and {LASTS}"));
    }
    names(&mut problems, "sessionIds", body.session_ids.as_deref());
    problems.done()?;
    let at: Timestamp = now + Duration::from_secs(body.expiry.unwrap_or(0).into());
    // As the SDKs have it, an empty list is as good as none.
    let sessions = body.session_ids.filter(|names| !names.is_empty());
    let expire = ExpireSessions {
        environment: scope.environment,
        application: scope.application,
        sessions,
        at,
        limit: STEP,
    };
    while api.store.expire_sessions(expire.clone()).await? {}
    api.auth.forget();
    Ok(nothing())
}

/// End the portal token that this request is made with
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "Authentication",
    responses((status = 204)))]
async fn logout(
    State(api): State<Api>,
    Who(identity): Who,
    Caller { now, .. }: Caller,
) -> Result<Response, Error> {
    if let Some(token) = identity.token {
        api.store.revoke_token(token, now).await?;
        api.auth.forget();
    }
    Ok(nothing())
}

impl AppPortalAccessIn {
    /// # Errors
    /// 422 with everything that is wrong.
    fn check(&self) -> Result<(), Error> {
        let mut problems = Problems::of_body();
        if self.expiry.is_some_and(|seconds| !(SHORTEST..=LASTS).contains(&seconds)) {
            problems.add("expiry", format!("it is between {SHORTEST} and {LASTS}"));
        }
        let asked = self.capabilities.as_deref();
        let unknown = |name: &&String| capability(name).is_none();
        if let Some(name) = asked.unwrap_or_default().iter().find(unknown) {
            problems.add("capabilities", format!("{name:?} is no capability"));
        } else if asked.is_some_and(|asked| !asked.iter().any(|name| name == "ViewBase")) {
            problems.add("capabilities", "ViewBase is always among them");
        }
        names(&mut problems, "featureFlags", self.feature_flags.as_deref());
        names(&mut problems, "sessionId", self.session_id.as_ref().map(std::slice::from_ref));
        problems.done()?;
        match &self.application {
            Some(application) => application.check(Problems::of_body_field("application")),
            None => Ok(()),
        }
    }

    /// What is granted, once it is checked.
    fn grant(&self, application: ApplicationId) -> Grant {
        let asked = match &self.capabilities {
            Some(names) => names.iter().filter_map(|name| capability(name)).collect(),
            None => Capabilities::all(),
        };
        let looking = [Capability::ViewBase].into_iter().collect();
        Grant {
            role: Role::Portal,
            application: Some(application),
            capabilities: if self.read_only == Some(true) { looking } else { asked },
            flags: self.feature_flags.as_deref().map(Arc::from),
        }
    }
}

fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|one| one.name() == name)
}

fn names(problems: &mut Problems, field: &str, names: Option<&[String]>) {
    let names = names.unwrap_or_default();
    let good = |name: &String| {
        !name.is_empty()
            && name.chars().count() <= NAME_LENGTH
            && !name.chars().any(char::is_control)
    };
    if names.len() > NAMES {
        problems.add(field, format!("there are at most {NAMES}"));
    } else if !names.iter().all(good) {
        problems.add(field, format!("a name has 1 to {NAME_LENGTH} characters"));
    }
}

/// Where the caller reached this server. Only the caller is told, so it may say what it likes.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto");
    let scheme = scheme.filter(|scheme| *scheme == "https").unwrap_or("http");
    let host = text("host").unwrap_or("localhost");
    format!("{scheme}://{host}")
}
