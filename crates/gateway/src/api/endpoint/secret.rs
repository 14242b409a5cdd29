//! The signing secret of an endpoint.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    id::Key,
    scope::{Reference, Scope},
    signature::{KeyError, SigningKey},
};
use ringback_store::RotateSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    error::Error,
    extract::{self, Named, OldSdk, Scoped},
    field::Problems,
    idempotency::{Answered, Posted},
    reply::{json, render, rendered},
    vault,
};

/// The longest time that an old secret can sign beside a new one.
const LONGEST_GRACE: u32 = 7 * 24 * 3600;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get_secret)).routes(routes!(rotate_secret))
}

/// A secret.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EndpointSecretOut<'a> {
    /// What a receiver verifies with: `whsec_…`, or `whpk_…` for Ed25519.
    key: &'a str,
}

/// A secret to sign with from now on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointSecretRotateIn {
    /// `whsec_…` or `whsk_…`; a random one if not given.
    key: Option<String>,
    /// How long the old secret signs too, in seconds, 0 to 604800; a day if not given.
    #[schema(minimum = 0, maximum = 604800)]
    grace_period_seconds: Option<u32>,
}

/// Get the secret of an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = EndpointSecretOut<'_>)))]
async fn get_secret(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
) -> Result<Response, Error> {
    got(&api, scope, endpoint).await
}

/// Shows the newest secret.
pub(in crate::api) async fn got(
    api: &Api,
    scope: Scope,
    endpoint: Reference,
) -> Result<Response, Error> {
    let stored = api.store.endpoint_secrets(scope, endpoint).await?;
    let newest = stored.secrets.first().ok_or(Error::NotFound("secret"))?;
    let text = api.vault.open(&place(scope, stored.endpoint), &newest.sealed)?;
    let key = std::str::from_utf8(&text).ok().map(SigningKey::parse);
    let key = key.and_then(Result::ok).ok_or_else(unreadable)?;
    Ok(json(StatusCode::OK, &EndpointSecretOut { key: &key.to_verifying() }))
}

/// Sign with a new secret; the old one signs too for a while
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = EndpointSecretRotateIn,
    responses((status = 200, body = EndpointSecretOut<'_>),
        (status = 204, description = "to SDKs of 2024 and before, without the secret")))]
async fn rotate_secret(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    OldSdk(old_sdk): OldSdk,
    posted: Posted<EndpointSecretRotateIn>,
) -> Result<Response, Answered> {
    let told = if old_sdk { Told::Nothing } else { Told::Secret };
    rotated(&api, scoped, endpoint, posted, told).await
}

/// What a rotation is answered with.
#[derive(Clone, Copy)]
pub(in crate::api) enum Told {
    /// The new secret.
    Secret,
    /// That it is done.
    Nothing,
}

/// Puts a new secret in front of the others.
pub(in crate::api) async fn rotated(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    Posted { body, once }: Posted<EndpointSecretRotateIn>,
    told: Told,
) -> Result<Response, Answered> {
    let (key, grace) = body.check()?;
    let key = key_or_random(api, key)?;
    let owner = api.store.endpoint(scope, endpoint.clone()).await?.id.key();
    let secret = api.vault.seal(&place(scope, owner), key.to_secret().as_bytes())?;
    let (status, body) = match told {
        Told::Nothing => (StatusCode::NO_CONTENT, bytes::Bytes::new()),
        Told::Secret => (StatusCode::OK, render(&EndpointSecretOut { key: &key.to_verifying() })),
    };
    let answer = once.secret_answer(&api.vault, status, &body)?;
    let old_until = now + grace.unwrap_or(api.rules.rotation_overlap);
    let rotate = RotateSecret { scope, endpoint, secret, old_until, now, answer };
    let endpoint = api.store.rotate_secret(rotate).await?;
    api.lanes.changed(endpoint).await;
    Ok(rendered(status, body))
}

impl EndpointSecretRotateIn {
    fn check(self) -> Result<(Option<SigningKey>, Option<Duration>), Error> {
        let mut problems = Problems::of_body();
        let key = self.key.as_deref().map(SigningKey::parse);
        let key = key.and_then(|key| problems.check("key", key));
        if self.grace_period_seconds.is_some_and(|seconds| seconds > LONGEST_GRACE) {
            problems.add("gracePeriodSeconds", format!("it is between 0 and {LONGEST_GRACE}"));
        }
        problems.done()?;
        let grace = self.grace_period_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        Ok((key, grace))
    }
}

/// The secret of a new endpoint, sealed: the given one, or a random one.
pub(super) fn seal(
    api: &Api,
    scope: Scope,
    endpoint: Key,
    key: Option<SigningKey>,
) -> Result<Vec<u8>, Error> {
    let key = key_or_random(api, key)?;
    api.vault.seal(&place(scope, endpoint), key.to_secret().as_bytes())
}

fn key_or_random(api: &Api, key: Option<SigningKey>) -> Result<SigningKey, Error> {
    let random = || SigningKey::hmac(&api.world.entropy.bytes::<32>());
    key.map_or_else(random, Ok).map_err(|_: KeyError| unreadable())
}

fn place(scope: Scope, endpoint: Key) -> vault::Context<'static> {
    let Scope { environment, .. } = scope;
    vault::Context { environment, owner: endpoint, purpose: vault::SECRET }
}

fn unreadable() -> Error {
    tracing::error!("an endpoint's secret is no key");
    Error::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations() {
        let check =
            |body: &str| extract::parse::<EndpointSecretRotateIn>(body.as_bytes(), 64)?.check();
        let (key, grace) = check("").unwrap();
        assert!(key.is_none() && grace.is_none());
        let (_, grace) = check(r#"{"gracePeriodSeconds":0}"#).unwrap();
        assert_eq!(grace, Some(Duration::ZERO));
        for (wrong, field) in [
            (r#"{"key":"whsec_c2hvcnQ="}"#, "key"),
            (r#"{"key":"whpk_c2hvcnQ="}"#, "key"),
            (r#"{"gracePeriodSeconds":604801}"#, "gracePeriodSeconds"),
            (r#"{"gracePeriodSeconds":-1}"#, "gracePeriodSeconds"),
        ] {
            let Err(Error::Invalid(problems)) = check(wrong) else { panic!("{wrong}") };
            assert_eq!(problems[0].loc, ["body", field], "{wrong}");
        }
    }
}
