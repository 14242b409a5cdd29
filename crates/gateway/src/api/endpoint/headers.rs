//! The headers that an endpoint's requests carry beside Ringback's own.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    header,
    id::Key,
    scope::{Reference, Scope},
};
use ringback_store::WriteError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use super::model::{HEADERS, check_headers};
use crate::api::{
    Api,
    error::Error,
    extract::{self, Json, Named, Scoped},
    field::Problems,
    reply::{json, nothing},
    vault::{self, Vault},
};

/// How often a change is tried again when somebody else changes the headers at the same time.
const RETRIES: usize = 5;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get_headers, set_headers, patch_headers))
}

type Headers = BTreeMap<String, String>;

/// The headers of an endpoint.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EndpointHeadersOut {
    /// Those that can be shown.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: Headers,
    /// The names of those that hold a credential.
    sensitive: Vec<String>,
}

/// All headers of an endpoint.
#[derive(Deserialize, ToSchema)]
pub(in crate::api) struct EndpointHeadersIn {
    /// By name.
    #[schema(required, value_type = BTreeMap<String, String>)]
    headers: Option<Headers>,
}

/// What changes of an endpoint's headers.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointHeadersPatchIn {
    /// To add or replace, by name.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Option<Headers>,
    /// Names to remove.
    delete_headers: Option<Vec<String>>,
}

/// Get the headers of an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointHeadersOut)))]
async fn get_headers(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    got(&api, scope, endpoint).await
}

/// Shows the headers, but not the credentials among them.
pub(in crate::api) async fn got(
    api: &Api,
    scope: Scope,
    endpoint: Reference,
) -> Result<Response, Error> {
    let stored = api.store.endpoint_secrets(scope, endpoint).await?;
    let headers = open(&api.vault, scope, stored.endpoint, stored.headers.as_deref())?;
    let (sensitive, headers): (Headers, Headers) =
        headers.into_iter().partition(|(name, _)| header::is_sensitive(name));
    let sensitive = sensitive.into_keys().collect();
    Ok(json(StatusCode::OK, &EndpointHeadersOut { headers, sensitive }))
}

/// Replace the headers of an endpoint
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointHeadersIn,
    responses((status = 204)))]
async fn set_headers(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointHeadersIn>,
) -> Result<Response, Error> {
    replaced(&api, scoped, endpoint, body).await
}

/// Puts other headers in the place of all that there are.
pub(in crate::api) async fn replaced(
    api: &Api,
    scoped: Scoped,
    endpoint: Reference,
    body: EndpointHeadersIn,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    problems.required("headers", body.headers.as_ref());
    check_headers(&mut problems, body.headers.as_ref());
    problems.done()?;
    let headers = body.headers.unwrap_or_default();
    change(api, scoped, endpoint, |_| merged(Headers::new(), headers.clone(), &[])).await
}

/// Change some headers of an endpoint
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointHeadersPatchIn,
    responses((status = 204)))]
async fn patch_headers(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Json(body): Json<EndpointHeadersPatchIn>,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    check_headers(&mut problems, body.headers.as_ref());
    problems.done()?;
    let (set, delete) = (body.headers.unwrap_or_default(), body.delete_headers.unwrap_or_default());
    change(&api, scoped, endpoint, |old| merged(old, set.clone(), &delete)).await
}

/// Replaces the headers by what `edit` makes of them, whoever else does so at the same time.
async fn change(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    edit: impl Fn(Headers) -> Headers,
) -> Result<Response, Error> {
    for _ in 0..RETRIES {
        let stored = api.store.endpoint_secrets(scope, endpoint.clone()).await?;
        let old = open(&api.vault, scope, stored.endpoint, stored.headers.as_deref())?;
        let headers = edit(old);
        if headers.len() > HEADERS {
            let what = format!("there are at most {HEADERS}");
            return Err(Error::invalid("body", "headers", what));
        }
        let sealed = seal(&api.vault, scope, stored.endpoint, &headers)?;
        let set = api.store.set_headers(scope, endpoint.clone(), stored.headers, sealed, now);
        match set.await {
            Err(WriteError::Conflict(_)) => {}
            set => {
                api.lanes.changed(set?).await;
                return Ok(nothing());
            }
        }
    }
    let detail = "the headers are being changed by others all the time".to_owned();
    Err(Error::Conflict { code: "conflict", detail })
}

/// Names are compared as HTTP does: without regard to case.
fn merged(old: Headers, set: Headers, delete: &[String]) -> Headers {
    let mut headers = old;
    headers.retain(|name, _| !delete.iter().any(|other| other.eq_ignore_ascii_case(name)));
    for (name, value) in set {
        // The body itself may hold one header in two spellings: the last one counts.
        headers.retain(|other, _| !other.eq_ignore_ascii_case(&name));
        headers.insert(name, value);
    }
    headers
}

/// The headers as they are stored; none for none.
pub(super) fn seal(
    vault: &Vault,
    scope: Scope,
    endpoint: Key,
    headers: &Headers,
) -> Result<Option<Vec<u8>>, Error> {
    if headers.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_vec(headers).map(Zeroizing::new).map_err(unreadable)?;
    vault.seal(&place(scope, endpoint), &text).map(Some)
}

fn open(
    vault: &Vault,
    scope: Scope,
    endpoint: Key,
    sealed: Option<&[u8]>,
) -> Result<Headers, Error> {
    let Some(sealed) = sealed else { return Ok(Headers::new()) };
    let text = vault.open(&place(scope, endpoint), sealed)?;
    serde_json::from_slice(&text).map_err(unreadable)
}

fn place(scope: Scope, endpoint: Key) -> vault::Context<'static> {
    let Scope { environment, .. } = scope;
    vault::Context { environment, owner: endpoint, purpose: vault::HEADERS }
}

fn unreadable(_: serde_json::Error) -> Error {
    tracing::error!("an endpoint's headers cannot be read or written");
    Error::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn merging() {
        let old = headers(&[("X-A", "1"), ("X-B", "2"), ("X-C", "3")]);
        let new = merged(old, headers(&[("x-a", "4"), ("X-D", "5")]), &["x-b".to_owned()]);
        assert_eq!(new, headers(&[("x-a", "4"), ("X-C", "3"), ("X-D", "5")]));
        let twice = merged(Headers::new(), headers(&[("X-A", "1"), ("x-a", "2")]), &[]);
        assert_eq!(twice, headers(&[("x-a", "2")]));
    }

    #[test]
    fn what_is_stored_comes_back() {
        let vault = Vault::for_test();
        let scope = Scope { environment: 1, application: 2 };
        let some = headers(&[("authorization", "Bearer made-up")]);
        let sealed = seal(&vault, scope, 3, &some).unwrap();
        assert_eq!(open(&vault, scope, 3, sealed.as_deref()).unwrap(), some);
        assert!(open(&vault, scope, 4, sealed.as_deref()).is_err());
        assert_eq!(seal(&vault, scope, 3, &Headers::new()).unwrap(), None);
        assert_eq!(open(&vault, scope, 3, None).unwrap(), Headers::new());
    }
}
