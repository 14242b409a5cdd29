//! What is made of an endpoint's messages before they are sent: a program of its owner.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    endpoint::Endpoint,
    id::Key,
    scope::{Reference, Scope},
    target::Target,
    time::Timestamp,
};
use ringback_store::WriteError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Json, Named, Scoped},
        field::Problems,
        patch,
        reply::{json, nothing},
    },
    transform::{Call, Entry, Failure, Made, Ran, Transformation, Webhook},
};

/// How often a change is tried again when somebody else changes it at the same time.
const RETRIES: usize = 5;
/// The most variables, and all of them together in bytes.
const VARIABLES: usize = 64;
const VARIABLE_BYTES: usize = 16 * 1024;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(get_transformation, patch_transformation))
        .routes(routes!(dry_run_transformation))
}

/// What is made of messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransformationOut {
    /// The program, which defines `handler(webhook)`; null if there is none.
    #[schema(required, value_type = Option<String>)]
    code: Option<Arc<str>>,
    /// Whether it is used.
    enabled: bool,
    /// What the program finds in `webhook.env`.
    variables: BTreeMap<String, String>,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

/// What changes; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransformationPatch {
    /// The program, which defines `handler(webhook)`; null removes it. `docs/transformations.md`
    /// describes what it is given and what it may do.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>,
        example = "function handler(webhook) { return webhook }")]
    code: Option<Option<String>>,
    /// Whether it is used; a first program is, if this does not say otherwise.
    enabled: Option<bool>,
    /// What the program finds in `webhook.env`, in place of all that there is.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    variables: Option<BTreeMap<String, String>>,
}

/// A message to try a transformation with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransformationDryRunIn {
    /// The payload: any JSON.
    #[schema(required, nullable = false, value_type = Object)]
    payload: Option<Box<RawValue>>,
    /// The event type.
    #[schema(required, nullable = false, example = "invoice.paid")]
    event_type: Option<String>,
    /// The program to try; the one that is there, if not given.
    code: Option<String>,
    /// The variables to try it with; those that are there, if not given.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    variables: Option<BTreeMap<String, String>>,
}

/// What would be sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransformationDryRunOut {
    /// What would be sent, but for the headers that every request has; null if nothing would be.
    #[schema(required)]
    request: Option<TransformedOut>,
    /// Whether the program wants nothing sent.
    canceled: bool,
    /// What it logged, and what was left out of what it gave back.
    log: String,
    /// Why nothing could be made of the message, with the line of the program.
    #[schema(required)]
    problem: Option<String>,
}

/// A request that a program made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransformedOut {
    /// The method.
    method: String,
    /// The URL; for a destination, its kind.
    url: String,
    /// The headers that it added.
    headers: BTreeMap<String, String>,
    /// The body.
    body: String,
}

/// Get the transformation of an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/transformation",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = TransformationOut)))]
async fn get_transformation(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    got(&api, scope, endpoint).await
}

/// Change the transformation of an endpoint
///
/// From the answer on, messages are sent as it makes them. What was sent before and is tried again
/// stays what it was.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/transformation",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = TransformationPatch,
    responses((status = 204)))]
async fn patch_transformation(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<TransformationPatch>,
) -> Result<Response, Error> {
    patched(&api, scoped, endpoint, body).await?;
    Ok(nothing())
}

/// Show what a transformation would make of a message
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/transformation/dry-run",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = TransformationDryRunIn,
    responses((status = 200, body = TransformationDryRunOut)))]
async fn dry_run_transformation(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<TransformationDryRunIn>,
) -> Result<Response, Error> {
    tried(&api, scoped, endpoint, body).await
}

// What the routes above do, those of destinations and those of sources.

pub(in crate::api) async fn got(
    api: &Api,
    scope: Scope,
    endpoint: Reference,
) -> Result<Response, Error> {
    let (_, there) = read(api, scope, endpoint).await?;
    let Transformation { code, enabled, variables, updated_at, .. } = there;
    Ok(json(StatusCode::OK, &TransformationOut { code, enabled, variables, updated_at }))
}

pub(in crate::api) async fn patched(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    body: TransformationPatch,
) -> Result<(), Error> {
    let mut problems = Problems::of_body();
    check_variables(&mut problems, body.variables.as_ref());
    problems.done()?;
    // An empty text is how some SDKs say that there is none.
    let code = body.code.map(|code| code.filter(|code| !code.trim().is_empty()));
    let body = TransformationPatch { code, ..body };
    if let Some(Some(code)) = &body.code {
        let checked = api.sandbox.check(scope.environment, code, Entry::Handler).await;
        checked.map_err(|failure| refused(&failure))?;
    }
    for _ in 0..RETRIES {
        let (stored, there) = read(api, scope, endpoint.clone()).await?;
        let changed = body.change(there, now);
        let sealed = seal(api, scope, stored.endpoint, &changed)?;
        let set = api.store.set_transformation(
            scope,
            endpoint.clone(),
            stored.transformation,
            sealed,
            now,
        );
        match set.await {
            Err(WriteError::Conflict(_)) => {}
            set => {
                api.lanes.changed(set?).await;
                return Ok(());
            }
        }
    }
    let detail = "the transformation is being changed by others all the time".to_owned();
    Err(Error::Conflict { code: "conflict", detail })
}

pub(in crate::api) async fn tried(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    body: TransformationDryRunIn,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    problems.required("payload", body.payload.as_ref());
    problems.required("eventType", body.event_type.as_ref());
    check_variables(&mut problems, body.variables.as_ref());
    problems.done()?;
    let payload = body.payload.unwrap_or_default();
    let event_type = body.event_type.unwrap_or_default();
    let found = api.store.endpoint(scope, endpoint.clone()).await?;
    let (_, there) = read(api, scope, endpoint).await?;
    let program = body.code.map(Arc::from).or(there.code).ok_or_else(|| {
        Error::invalid(
            "body",
            "code",
            "the endpoint has no transformation: name the program to try",
        )
    })?;
    let variables = body.variables.unwrap_or(there.variables);
    let webhook = Webhook {
        url: &found.url,
        event_type: &event_type,
        content_type: None,
        payload: payload.get().as_bytes(),
        variables: &variables,
    };
    let call = |input| Call {
        tenant: scope.environment,
        program,
        entry: Entry::Handler,
        input,
        at: now,
        seed: 0,
    };
    let ran = match webhook.input() {
        Ok(input) => api.sandbox.run(call(input)).await,
        Err(failure) => Err(failure),
    };
    let out = match ran {
        Err(failure) if failure.is_passing() => return Err(busy(&failure)),
        Err(failure) => TransformationDryRunOut::failed(&failure, String::new()),
        Ok(Ran { output, log }) => match webhook.read(&output) {
            Ok(made) => TransformationDryRunOut::of(made, log, &found, api),
            Err(failure) => TransformationDryRunOut::failed(&failure, log),
        },
    };
    Ok(json(StatusCode::OK, &out))
}

/// What is stored, and what it says.
async fn read(
    api: &Api,
    scope: Scope,
    endpoint: Reference,
) -> Result<(ringback_store::EndpointSecrets, Transformation), Error> {
    let stored = api.store.endpoint_secrets(scope, endpoint).await?;
    let Some(sealed) = &stored.transformation else {
        return Ok((stored, Transformation::default()));
    };
    let place = Transformation::place(scope.environment, stored.endpoint);
    let text = api.vault.open(&place, sealed)?;
    let there = serde_json::from_slice(&text).map_err(|_| {
        tracing::error!("an endpoint's transformation cannot be read");
        Error::Internal
    })?;
    Ok((stored, there))
}

/// It as it is stored.
fn seal(
    api: &Api,
    scope: Scope,
    endpoint: Key,
    changed: &Transformation,
) -> Result<Option<Vec<u8>>, Error> {
    let text = serde_json::to_vec(changed).map_err(|_| Error::Internal)?;
    let place = Transformation::place(scope.environment, endpoint);
    api.vault.seal(&place, &text).map(Some)
}

impl TransformationPatch {
    fn change(&self, there: Transformation, now: Timestamp) -> Transformation {
        let first = there.code.is_none();
        let code = match &self.code {
            None => there.code,
            Some(code) => code.as_deref().map(Arc::from),
        };
        let switched_on = first && code.is_some() && there.revision == 0;
        Transformation {
            enabled: self.enabled.unwrap_or(there.enabled || switched_on) && code.is_some(),
            code,
            variables: self.variables.clone().unwrap_or(there.variables),
            revision: there.revision + 1,
            updated_at: Some(now),
        }
    }
}

impl TransformationDryRunOut {
    fn of(made: Made, log: String, endpoint: &Endpoint, api: &Api) -> TransformationDryRunOut {
        let log = log + &made.notes;
        let Made { method, url, body, content_type, headers, cancel, .. } = made;
        if cancel {
            return TransformationDryRunOut { request: None, canceled: true, log, problem: None };
        }
        if let Some(Err(error)) = url.as_deref().map(|url| Target::parse(url, api.rules.target)) {
            let problem = Some(format!("handler returned url: {error}"));
            return TransformationDryRunOut { request: None, canceled: false, log, problem };
        }
        let mut headers: BTreeMap<String, String> = headers.into_iter().collect();
        let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
        headers.insert("content-type".to_owned(), content_type);
        let request = TransformedOut {
            method: method.to_string(),
            url: url.unwrap_or_else(|| endpoint.url.clone()),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        TransformationDryRunOut { request: Some(request), canceled: false, log, problem: None }
    }

    fn failed(failure: &Failure, log: String) -> TransformationDryRunOut {
        let problem = Some(failure.to_string());
        TransformationDryRunOut { request: None, canceled: false, log, problem }
    }
}

fn check_variables(problems: &mut Problems, variables: Option<&BTreeMap<String, String>>) {
    let Some(variables) = variables else { return };
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if variables.len() > VARIABLES {
        problems.add("variables", format!("there are at most {VARIABLES}"));
    }
    if bytes > VARIABLE_BYTES {
        problems.add("variables", format!("they have at most {} KiB", VARIABLE_BYTES / 1024));
    }
}

/// What is wrong with a program that is to be saved.
fn refused(failure: &Failure) -> Error {
    if failure.is_passing() { busy(failure) } else { Error::invalid("body", "code", failure) }
}

fn busy(failure: &Failure) -> Error {
    let detail = match failure {
        Failure::Busy => "too many programs wait for their turn: try again later",
        _ => "no process can be started for the program: try again later",
    };
    Error::Unavailable { code: "transform_unavailable", detail, retry_after: "1" }
}
