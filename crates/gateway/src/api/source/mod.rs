//! Sources: URLs that providers call. The routes are those of Svix's ingest API, and what it lacks
//! beside them.

mod destination;
mod endpoint;
mod kinds;
mod model;
mod request;
mod sample;
mod stream;

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::Response,
};
use http::{HeaderMap, StatusCode};
use ringback_domain::{
    application::Application,
    id::{ApplicationId, Key, Kind, SourceId},
    provider::Kind as SettingKind,
    scope::{Reference, Scope, check_uid},
    seal::Context,
    source::Source,
};
use ringback_store::{NewSource, Order, RotateSourceToken, SettingsChange, SourceChange, audit};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Caller, Json, Named, Scoped, Who, found},
    idempotency::{Answered, Posted},
    list::{List, shown},
    portal::{self, AppPortalAccessIn, AppPortalAccessOut},
    query::{Paging, Query},
    reply::{json, nothing, render, rendered},
};
use crate::receive;
pub(super) use model::read_setting;
use model::{IngestSourceIn, IngestSourceOut, Wanted};

/// How long a source that was made, or armed, takes what a handshake brings.
const ARMED: Duration = Duration::from_secs(3600);
/// How long the old URL of a source is good after a rotation, if nobody says.
const OVERLAP: u32 = 24 * 3600;
/// The most secrets that a source verifies with at a time, where one is added to them.
const SECRETS: usize = 4;
/// Random bytes in a source's URL: 160 bits, nobody guesses them.
const TOKEN: usize = 20;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, delete))
        .routes(routes!(rotate_token))
        .routes(routes!(arm))
        .routes(routes!(dashboard))
        .merge(endpoint::routes())
        .merge(destination::routes())
        .merge(request::routes())
        .merge(sample::routes())
        .merge(stream::routes())
}

/// A caller and the application of the source that the path names.
struct Within(Scoped);

impl FromRequestParts<Api> for Within {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Within, Error> {
        let Caller { environment, now } = Caller::from_request_parts(parts, api).await?;
        let Named(source) = Named::<extract::Source>::from_request_parts(parts, api).await?;
        let found = api.store.source(environment, source).await?;
        let scope = Scope { environment, application: found.application.key() };
        Ok(Within(Scoped { scope, now }))
    }
}

/// List sources
#[utoipa::path(get, path = "/ingest/api/v1/source", tag = "Source", params(Paging),
    responses((status = 200, body = List<IngestSourceOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Source, Order::Ascending)?;
    let listed = api.store.sources(caller.environment, page.clone()).await?;
    let show = |source| out(&api, caller.environment, source);
    Ok(json(StatusCode::OK, &shown(Kind::Source, &page, listed, show)))
}

/// Create a source
///
/// The answer has its URL (`ingestUrl`), to be registered with the provider.
#[utoipa::path(post, path = "/ingest/api/v1/source", tag = "Source",
    request_body = IngestSourceIn,
    responses((status = 201, body = IngestSourceOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<IngestSourceIn>,
) -> Result<Response, Answered> {
    let wanted = body.check(&api.catalog)?;
    wanted.complete(&api.catalog)?;
    let new = build(&api, caller, wanted)?;
    let body = render(&out(&api, caller.environment, new.source.clone()));
    let answer = once.secret_answer(&api.vault, StatusCode::CREATED, &body)?;
    api.store.create_source(NewSource { answer, ..new }).await?;
    // Before its URL is known to anybody: whoever listens to all sources hears it, too.
    api.directory.forget();
    Ok(rendered(StatusCode::CREATED, body))
}

/// Get a source
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = IngestSourceOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    let source = api.store.source(caller.environment, source).await?;
    Ok(json(StatusCode::OK, &out(&api, caller.environment, source)))
}

/// Replace a source, or create it
///
/// Settings that `config` does not name stay as they are: they cannot be read, so they could not be
/// written back.
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = IngestSourceIn,
    responses((status = 200, body = IngestSourceOut), (status = 201, body = IngestSourceOut)))]
async fn upsert(
    State(api): State<Api>,
    caller: Caller,
    Named(reference): Named<extract::Source>,
    Json(body): Json<IngestSourceIn>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let mut wanted = body.check(&api.catalog)?;
    let Some(current) = found(api.store.source(environment, reference.clone()).await)? else {
        wanted.uid = Some(Some(uid_for(wanted.uid, reference)?));
        wanted.complete(&api.catalog)?;
        let created = api.store.create_source(build(&api, caller, wanted)?).await?;
        api.directory.forget();
        return Ok(json(StatusCode::CREATED, &out(&api, environment, created)));
    };
    let settings = settings_change(&api, environment, &current, &wanted)?;
    let change = SourceChange {
        uid: wanted.uid,
        name: Some(wanted.name),
        provider: Some(wanted.provider),
        config: Some(wanted.options),
        settings,
        armed_until: None,
        metadata: Some(wanted.metadata),
    };
    let changed = api.store.change_source(environment, reference, change, now).await?;
    api.directory.forget();
    Ok(json(StatusCode::OK, &out(&api, environment, changed)))
}

/// Delete a source with its endpoints; what was pending is canceled
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    let endpoints = api.store.delete_source(caller.environment, source, caller.now).await?;
    api.directory.forget();
    for endpoint in endpoints {
        api.lanes.changed(endpoint).await;
    }
    Ok(nothing())
}

/// A new URL of a source.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
struct RotateTokenIn {
    /// How long the old URL is good, in seconds, 0 to 604800; a day if not given.
    #[schema(minimum = 0, maximum = 604800)]
    grace_period_seconds: Option<u32>,
}

/// The new URL of a source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RotateTokenOut {
    /// To be registered with the provider.
    ingest_url: String,
}

/// Give a source a new URL; the old one is good for a while
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/token/rotate", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = RotateTokenIn,
    responses((status = 200, body = RotateTokenOut)))]
async fn rotate_token(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
    Posted { body, once }: Posted<RotateTokenIn>,
) -> Result<Response, Answered> {
    let Caller { environment, now } = caller;
    let overlap = body.grace_period_seconds.unwrap_or(OVERLAP);
    if overlap > 7 * 24 * 3600 {
        return Err(Error::invalid("body", "gracePeriodSeconds", "it is at most 604800").into());
    }
    let current = api.store.source(environment, source.clone()).await?;
    let token = mint_token(&api);
    let body = render(&RotateTokenOut { ingest_url: url(&api, &token) });
    let rotate = RotateSourceToken {
        environment,
        source,
        hash: ringback_domain::token::hash(&token),
        sealed: api.vault.seal(&token_place(environment, current.id), token.as_bytes())?,
        old_until: now + Duration::from_secs(overlap.into()),
        now,
        answer: once.secret_answer(&api.vault, StatusCode::OK, &body)?,
    };
    api.store.rotate_source_token(rotate).await?;
    api.directory.forget();
    Ok(rendered(StatusCode::OK, body))
}

/// Let the next handshake bring a new secret
///
/// Providers such as Asana and Notion send the secret themselves when a webhook is registered. A
/// source takes it for an hour after it was made, and for an hour after this call.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/arm", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = IngestSourceOut)))]
async fn arm(
    State(api): State<Api>,
    caller: Caller,
    Named(source): Named<extract::Source>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let change = SourceChange { armed_until: Some(Some(now + ARMED)), ..SourceChange::default() };
    let changed = api.store.change_source(environment, source, change, now).await?;
    api.directory.forget();
    Ok(json(StatusCode::OK, &out(&api, environment, changed)))
}

/// What a portal token of a source is for.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
struct IngestSourceConsumerPortalAccessIn {
    /// How long it works, in seconds, 3600 to 604800; seven days if not given.
    #[schema(minimum = 3600, maximum = 604800)]
    expiry: Option<u32>,
    /// Only looking, without secrets.
    read_only: Option<bool>,
}

/// Open the portal of a source to somebody
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/dashboard", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = IngestSourceConsumerPortalAccessIn,
    responses((status = 200, body = AppPortalAccessOut<'_>)))]
async fn dashboard(
    State(api): State<Api>,
    who: Who,
    caller: Caller,
    Named(source): Named<extract::Source>,
    headers: HeaderMap,
    Posted { body, once }: Posted<IngestSourceConsumerPortalAccessIn>,
) -> Result<Response, Answered> {
    let source = api.store.source(caller.environment, source).await?;
    let named = Reference::Id(source.application.0);
    let body = AppPortalAccessIn::for_source(body.expiry, body.read_only);
    portal::open(&api, (who, caller), named, &headers, Posted { body, once }).await
}

fn build(api: &Api, caller: Caller, wanted: Wanted) -> Result<NewSource, Error> {
    let Caller { environment, now } = caller;
    let id = api.mint(now, SourceId);
    let application = api.mint(now, ApplicationId);
    audit::about("source_id", id.to_string());
    let token = mint_token(api);
    let settings = match wanted.settings.is_empty() {
        true => None,
        false => Some(seal_settings(api, environment, id, &wanted.settings)?),
    };
    let source = Source {
        id,
        uid: wanted.uid.flatten(),
        name: wanted.name.clone(),
        provider: wanted.provider,
        application,
        config: wanted.options,
        settings,
        token: api.vault.seal(&token_place(environment, id), token.as_bytes())?,
        armed_until: Some(now + ARMED),
        metadata: wanted.metadata,
        created_at: now,
        updated_at: now,
    };
    let application = Application {
        id: application,
        uid: None,
        name: wanted.name,
        metadata: Default::default(),
        throttle_rate: None,
        created_at: now,
        updated_at: now,
    };
    let token_hash = ringback_domain::token::hash(&token);
    Ok(NewSource { environment, source, application, token_hash, answer: None })
}

/// What of the settings changes: those that are named; a null clears.
fn settings_change(
    api: &Api,
    environment: Key,
    current: &Source,
    wanted: &Wanted,
) -> Result<Option<SettingsChange>, Error> {
    if wanted.settings.is_empty() && wanted.cleared.is_empty() {
        return Ok(None);
    }
    let mut values = model::Values::new();
    if current.provider == wanted.provider {
        let opened = opened_settings(api, environment, current);
        for (name, old) in opened.iter() {
            values.insert(name.to_owned(), old.iter().map(|value| value.to_string()).collect());
        }
    }
    for name in &wanted.cleared {
        values.remove(name);
    }
    values.extend(wanted.settings.clone());
    let sealed = match values.is_empty() {
        true => None,
        false => Some(seal_settings(api, environment, current.id, &values)?),
    };
    Ok(Some(SettingsChange { expected: current.settings.clone(), sealed }))
}

fn opened_settings(
    api: &Api,
    environment: Key,
    source: &Source,
) -> ringback_domain::provider::Settings {
    let opened = source.settings.as_ref().and_then(|sealed| {
        receive::open_settings(&api.keyring, environment, source.id.key(), sealed)
    });
    opened.unwrap_or_default()
}

fn seal_settings(
    api: &Api,
    environment: Key,
    id: SourceId,
    values: &model::Values,
) -> Result<Vec<u8>, Error> {
    let place = Context { environment, owner: id.key(), purpose: receive::SETTINGS };
    let plain = serde_json::to_vec(values).map_err(|_| Error::Internal)?;
    api.vault.seal(&place, &plain)
}

fn token_place(environment: Key, id: SourceId) -> Context<'static> {
    Context { environment, owner: id.key(), purpose: receive::TOKEN }
}

/// Letters and digits, so that no provider's form stumbles over it.
fn mint_token(api: &Api) -> String {
    let random: [u8; TOKEN] = api.world.entropy.bytes();
    data_encoding::BASE32_NOPAD.encode(&random).to_ascii_lowercase()
}

fn url(api: &Api, token: &str) -> String {
    format!("{}{}{token}", api.public_url, receive::PREFIX)
}

/// The URL that the source is called at; none if it cannot be opened.
fn ingest_url(api: &Api, environment: Key, source: &Source) -> Option<String> {
    let token = api.vault.open(&token_place(environment, source.id), &source.token).ok()?;
    let token = std::str::from_utf8(&token).ok()?;
    Some(url(api, token))
}

fn out(api: &Api, environment: Key, source: Source) -> IngestSourceOut {
    let url = ingest_url(api, environment, &source);
    let settings = opened_settings(api, environment, &source);
    let provider = api.catalog.get(&source.provider);
    IngestSourceOut::new(source, provider.as_deref(), &settings, url)
}

/// Where and how a source is called.
pub(super) struct Called {
    /// Its URL.
    pub(super) url: String,
    /// The secret that its messages are signed with, the newest of several.
    pub(super) secret: Option<String>,
}

/// What whoever registers a source with its provider needs to know.
///
/// # Errors
/// 500 if what is stored of it cannot be opened.
pub(super) fn called(api: &Api, environment: Key, source: &Source) -> Result<Called, Error> {
    let url = ingest_url(api, environment, source).ok_or(Error::Internal)?;
    let name = secret_of(api, source);
    let settings = opened_settings(api, environment, source);
    let mut values = settings.iter().filter(|(found, _)| Some(*found) == name.as_deref());
    let secret = values.find_map(|(_, values)| Some(values.first()?.to_string()));
    Ok(Called { url, secret })
}

/// Lets a source verify with one more secret, which is the newest from now on.
///
/// # Errors
/// 400 where its provider signs with none.
pub(super) async fn verify_with(
    api: &Api,
    Caller { environment, now }: Caller,
    source: SourceId,
    secret: &str,
) -> Result<(), Error> {
    let reference = Reference::Id(source.0);
    let source = api.store.source(environment, reference.clone()).await?;
    let Some(name) = secret_of(api, &source) else {
        let detail = "what the source's provider sends is not signed with a secret".to_owned();
        return Err(Error::Refused { code: "no_secret", detail });
    };
    let mut values = model::Values::new();
    for (name, old) in opened_settings(api, environment, &source).iter() {
        values.insert(name.to_owned(), old.iter().map(|value| value.to_string()).collect());
    }
    let held = values.entry(name).or_default();
    held.retain(|old| old != secret);
    held.insert(0, secret.to_owned());
    held.truncate(SECRETS);
    let sealed = Some(seal_settings(api, environment, source.id, &values)?);
    let settings = Some(SettingsChange { expected: source.settings, sealed });
    let change = SourceChange { settings, ..SourceChange::default() };
    api.store.change_source(environment, reference, change, now).await?;
    api.directory.forget();
    Ok(())
}

/// What the setting is called that messages of a source are verified with.
fn secret_of(api: &Api, source: &Source) -> Option<String> {
    let provider = api.catalog.get(&source.provider)?;
    let mut secrets =
        provider.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
    secrets.next().map(|setting| setting.name.clone())
}

/// The uid that a PUT creates with: the body's, else the path's.
fn uid_for(given: Option<Option<String>>, path: Reference) -> Result<String, Error> {
    match (given.flatten(), path) {
        (_, Reference::Id(_)) => Err(Error::NotFound("source")),
        (Some(uid), Reference::Uid(_)) => Ok(uid),
        (None, Reference::Uid(uid)) => {
            let checked = check_uid(Kind::Source, &uid);
            checked.map_err(|what| Error::invalid("path", "source_id", what))?;
            Ok(uid)
        }
    }
}
