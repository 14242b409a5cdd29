//! Clients: an application's registrations at providers.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    id::{Kind, OauthClientId},
    oauth::{Client, provider::AuthMethod},
    scope::Scope,
    time::Timestamp,
};
use ringback_store::{OauthClientQuery, Order, WriteError, audit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::{CREATED, application, check_scopes};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named},
        field::Problems,
        idempotency::{Answered, Posted},
        list::{List, shown},
        query::{FromQuery, Paging, Params, Query},
        reply::{json, nothing, render, rendered},
    },
    oauth::Secrets,
};

const METHODS: [(&str, AuthMethod); 4] = [
    ("client_secret_basic", AuthMethod::ClientSecretBasic),
    ("client_secret_post", AuthMethod::ClientSecretPost),
    ("private_key_jwt", AuthMethod::PrivateKeyJwt),
    ("none", AuthMethod::None),
];

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, update, delete))
}

/// A client to keep.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct OauthClientIn {
    /// The application, by id or uid.
    application: Option<String>,
    /// The provider: `github`, `google`, `openid` …; see `ringback connections providers`.
    provider: Option<String>,
    /// For people.
    name: Option<String>,
    /// What the provider calls it.
    client_id: Option<String>,
    /// What the provider has given it; never shown again.
    client_secret: Option<String>,
    /// How it proves itself, if not as the provider usually has it.
    client_auth: Option<String>,
    /// A private key for `private_key_jwt` and signed requests: a JWK, or PKCS #8 as PEM.
    signing_key: Option<String>,
    /// What the key signs with: `RS256`, `PS256`, `ES256`, `EdDSA`.
    signing_algorithm: Option<String>,
    /// What the provider needs to know: `tenant`, `shop`, `issuer` …
    settings: BTreeMap<String, String>,
    /// Asked for when an authorization names none.
    scopes: Vec<String>,
    /// Lets the client register itself, where the provider takes that.
    register: bool,
    /// What a provider asks for that does not take everybody.
    registration_token: Option<String>,
}

/// A client; no secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OauthClientOut {
    id: String,
    /// The application that registered.
    application: String,
    provider: String,
    name: String,
    client_id: String,
    /// How it proves itself, if not as the provider usually has it.
    #[schema(required)]
    client_auth: Option<String>,
    settings: BTreeMap<String, String>,
    scopes: Vec<String>,
    /// Whether there is a secret or a key.
    has_secret: bool,
    /// What is registered with the provider: it is this client's alone.
    redirect_uri: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

fn out(api: &Api, client: Client) -> OauthClientOut {
    OauthClientOut {
        id: client.id.to_string(),
        application: client.application.to_string(),
        redirect_uri: api.oauth.redirect_uri(client.id),
        provider: client.provider,
        name: client.name,
        client_id: client.client_id,
        client_auth: client.auth,
        settings: client.settings,
        scopes: client.scopes,
        has_secret: client.sealed.is_some(),
        created_at: client.created_at,
        updated_at: client.updated_at,
    }
}

impl OauthClientIn {
    /// What can be said of it alone. Secrets that are not given are those of before.
    fn check(&self, problems: &mut Problems) {
        problems.name("name", self.name.as_ref());
        problems.name("clientId", self.client_id.as_ref());
        problems.one_of("clientAuth", self.client_auth.as_deref(), &METHODS);
        check_scopes(problems, &self.scopes);
    }

    fn secrets(&self, before: Secrets) -> Secrets {
        let secret = |given: &Option<String>| given.clone().map(Zeroizing::new);
        Secrets {
            client_secret: secret(&self.client_secret).or(before.client_secret),
            signing_key: secret(&self.signing_key).or(before.signing_key),
            algorithm: self.signing_algorithm.clone().or(before.algorithm),
        }
    }
}

/// Create a client
///
/// The answer has its redirect URI, to be registered with the provider.
#[utoipa::path(post, path = "/api/v1/oauth-client", tag = "OAuth Client",
    request_body = OauthClientIn,
    responses((status = 201, body = OauthClientOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<OauthClientIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    body.check(&mut problems);
    let named = problems.required("application", body.application.as_deref());
    let provider = problems.required("provider", body.provider.as_deref());
    if body.client_id.is_none() && !body.register {
        problems.add("clientId", "field required, unless the client registers itself");
    }
    problems.done()?;
    let application = application(&api, caller, named.unwrap_or_default()).await?;
    audit::about("app_id", application.to_string());
    let mut client = Client {
        id: api.mint(caller.now, OauthClientId),
        scope: Scope { environment: caller.environment, application: application.key() },
        application,
        provider: provider.unwrap_or_default().to_owned(),
        name: body.name.clone().unwrap_or_default(),
        client_id: body.client_id.clone().unwrap_or_default(),
        auth: body.client_auth.clone(),
        settings: body.settings.clone(),
        scopes: body.scopes.clone(),
        sealed: None,
        created_at: caller.now,
        updated_at: caller.now,
    };
    let mut secrets = body.secrets(Secrets::default());
    fits(&api, &client, &secrets)?;
    if body.register {
        let token = body.registration_token.as_deref();
        api.oauth.register(&mut client, &mut secrets, token).await.map_err(Error::from)?;
    }
    client.sealed = api.oauth.seal_secrets(&client, &secrets).map_err(Error::from)?;
    audit::about("oauth_client_id", client.id.to_string());
    let text = render(&out(&api, client.clone()));
    let answer = once.answer(CREATED, &text);
    api.store.create_oauth_client(client, answer).await?;
    Ok(rendered(CREATED, text))
}

/// Whether the provider is known, takes these settings, and can be proven to with these secrets.
fn fits(api: &Api, client: &Client, secrets: &Secrets) -> Result<(), Error> {
    let mut problems = Problems::of_body();
    let provider = api.oauth.provider(&client.provider);
    let Some(provider) = problems.check("provider", provider.ok_or("there is no such provider"))
    else {
        return problems.done();
    };
    if let Err(found) = provider.settings(&client.settings) {
        for problem in found {
            problems.add_below("settings", Some(&problem.place), problem.message);
        }
    }
    if let Err(what) = secrets.key() {
        problems.add("signingKey", what);
    }
    let method = client.auth.as_deref().and_then(AuthMethod::from_name);
    if method == Some(AuthMethod::PrivateKeyJwt) && secrets.signing_key.is_none() {
        problems.add("signingKey", "field required with private_key_jwt");
    }
    problems.done()
}

/// Which clients to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this application, by id or uid.
    application: Option<String>,
    /// Only at this provider.
    provider: Option<String>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        Filter { application: query.text("application"), provider: query.text("provider") }
    }
}

/// List clients
#[utoipa::path(get, path = "/api/v1/oauth-client", tag = "OAuth Client", params(Paging, Filter),
    responses((status = 200, body = List<OauthClientOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::OauthClient, Order::Descending)?;
    let application = match &filter.application {
        Some(named) => Some(self::application(&api, caller, named).await?.key()),
        None => None,
    };
    let query = OauthClientQuery { page: page.clone(), application, provider: filter.provider };
    let listed = api.store.oauth_clients(caller.environment, query).await?;
    let show = |client| out(&api, client);
    Ok(json(StatusCode::OK, &shown(Kind::OauthClient, &page, listed, show)))
}

/// Get a client
#[utoipa::path(get, path = "/api/v1/oauth-client/{oauth_client_id}", tag = "OAuth Client",
    params(("oauth_client_id" = String, Path, description = "id")),
    responses((status = 200, body = OauthClientOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(client): Named<extract::OauthClient>,
) -> Result<Response, Error> {
    let client = api.store.oauth_client(caller.environment, client).await?;
    Ok(json(StatusCode::OK, &out(&api, client)))
}

/// Replace what may change of a client
///
/// Application, provider and redirect URI stay. Secrets that are not given stay as they are: they
/// cannot be read, so they could not be written back.
#[utoipa::path(put, path = "/api/v1/oauth-client/{oauth_client_id}", tag = "OAuth Client",
    params(("oauth_client_id" = String, Path, description = "id")),
    request_body = OauthClientIn,
    responses((status = 200, body = OauthClientOut)))]
async fn update(
    State(api): State<Api>,
    caller: Caller,
    Named(client): Named<extract::OauthClient>,
    Json(body): Json<OauthClientIn>,
) -> Result<Response, Error> {
    let before = api.store.oauth_client(caller.environment, client).await?;
    audit::about("app_id", before.application.to_string());
    let mut problems = Problems::of_body();
    body.check(&mut problems);
    if body.provider.as_ref().is_some_and(|provider| *provider != before.provider) {
        problems.add("provider", "it cannot be changed: what it has granted is another's");
    }
    if body.register {
        problems.add("register", "only a new client registers itself");
    }
    problems.done()?;
    let secrets = api.oauth.open_secrets(&before).map_err(Error::from)?;
    let secrets = body.secrets(secrets);
    let client = Client {
        name: body.name.unwrap_or(before.name),
        client_id: body.client_id.unwrap_or(before.client_id),
        auth: body.client_auth,
        settings: body.settings,
        scopes: body.scopes,
        updated_at: caller.now,
        ..before
    };
    fits(&api, &client, &secrets)?;
    let sealed = api.oauth.seal_secrets(&client, &secrets).map_err(Error::from)?;
    let client = Client { sealed, ..client };
    api.store.update_oauth_client(client.clone()).await?;
    Ok(json(StatusCode::OK, &out(&api, client)))
}

/// Delete a client, with its flows
///
/// One that has connections stays: end them first.
#[utoipa::path(delete, path = "/api/v1/oauth-client/{oauth_client_id}", tag = "OAuth Client",
    params(("oauth_client_id" = String, Path, description = "id")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(client): Named<extract::OauthClient>,
) -> Result<Response, Error> {
    match api.store.delete_oauth_client(caller.environment, client).await {
        Ok(()) => Ok(nothing()),
        Err(WriteError::Conflict("connections")) => {
            let detail = "it has connections: delete them first".to_owned();
            Err(Error::Conflict { code: "has_connections", detail })
        }
        Err(error) => Err(error.into()),
    }
}
