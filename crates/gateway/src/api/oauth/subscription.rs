//! Webhooks that a connection registers: "connect and subscribe" is one flow.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    application::Metadata,
    id::Kind,
    oauth::subscribe::{NoRequest, Refused, Secret},
    scope::Reference,
    source::Source,
};
use ringback_store::audit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::connection::ConnectionOut;
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named},
        field::Problems,
        reply::{json, nothing},
        source::{self, Called},
    },
    oauth::{Subscribe, Unsubscribed},
};

/// The random bytes of a secret that is made for a source.
const SECRET: usize = 32;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(delete))
}

/// A webhook to register.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SubscriptionIn {
    /// The source that is called, by id or uid. What it needs to verify is put into it.
    source: Option<String>,
    /// What it is about: `{"repository": "owner/name"}`, as the provider's file has it.
    target: Metadata,
    /// What it tells, as the provider calls it; the usual ones if not given.
    events: Vec<String>,
}

/// Webhooks that a connection has registered.
#[derive(Serialize, ToSchema)]
struct SubscriptionsOut {
    #[schema(value_type = Vec<Object>)]
    data: Vec<ringback_domain::oauth::connection::Subscription>,
}

/// List what a connection has subscribed to
#[utoipa::path(get, path = "/api/v1/connection/{connection_id}/subscription", tag = "Connection",
    operation_id = "list_subscriptions",
    params(("connection_id" = String, Path, description = "id")),
    responses((status = 200, body = SubscriptionsOut)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
) -> Result<Response, Error> {
    let connection = api.store.connection(caller.environment, id).await?;
    Ok(json(StatusCode::OK, &SubscriptionsOut { data: connection.subscriptions }))
}

/// Register the provider's webhook for a source
///
/// With the connection's token. The provider signs with the source's secret, or the source gets the
/// one that it signs with. 400 `subscription_manual` has the steps where there is no interface for it.
#[utoipa::path(post, path = "/api/v1/connection/{connection_id}/subscription", tag = "Connection",
    operation_id = "subscribe",
    params(("connection_id" = String, Path, description = "id")),
    request_body = SubscriptionIn,
    responses((status = 201, body = ConnectionOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
    Json(body): Json<SubscriptionIn>,
) -> Result<Response, Error> {
    let mut problems = Problems::of_body();
    let named = problems.required("source", body.source.as_deref());
    problems.done()?;
    let environment = caller.environment;
    let connection = api.store.connection(environment, id).await?;
    audit::about("app_id", connection.application.to_string());
    let named = Reference::parse(Kind::Source, named.unwrap_or_default());
    let source = api.store.source(environment, named).await?;
    audit::about("source_id", source.id.to_string());
    let Called { url, secret } = source::called(&api, environment, &source)?;
    let wanted = Subscribe {
        source: source.id,
        provider: &source.provider,
        url: &url,
        target: &body.target,
        events: &body.events,
    };
    let (signer, of_client) = api.oauth.signer(&connection, &wanted).await?;
    let secret = match signer {
        Secret::Ours => Some(match secret {
            Some(secret) => secret,
            None => {
                let random: [u8; SECRET] = api.world.entropy.bytes();
                let made = data_encoding::HEXLOWER.encode(&random);
                sign_with(&api, caller, &source, &made).await?;
                made
            }
        }),
        Secret::Client => {
            let of_client = of_client.map(|secret| secret.to_string());
            let secret = of_client.filter(|it| secret.as_ref() != Some(it));
            if let Some(secret) = secret {
                sign_with(&api, caller, &source, &secret).await?;
            }
            None
        }
        Secret::Answer(_) => None,
    };
    let subscribed = api.oauth.subscribe((environment, id), &wanted, secret.as_deref()).await?;
    if let Some(secret) = &subscribed.secret {
        sign_with(&api, caller, &source, secret).await?;
    }
    Ok(json(StatusCode::CREATED, &ConnectionOut::new(&subscribed.connection)))
}

/// Lets the source verify with this secret.
async fn sign_with(api: &Api, caller: Caller, source: &Source, secret: &str) -> Result<(), Error> {
    source::verify_with(api, caller, source.id, secret).await
}

/// Remove a webhook that a connection has registered
#[utoipa::path(delete,
    path = "/api/v1/connection/{connection_id}/subscription/{subscription_id}", tag = "Connection",
    operation_id = "unsubscribe",
    params(("connection_id" = String, Path, description = "id"),
        ("subscription_id" = String, Path, description = "what the provider calls it")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<extract::Connection>,
    Named(subscription): Named<extract::Subscription>,
) -> Result<Response, Error> {
    api.oauth.unsubscribe((caller.environment, id), &subscription).await?;
    Ok(nothing())
}

impl From<Unsubscribed> for Error {
    fn from(error: Unsubscribed) -> Error {
        let detail = error.to_string();
        match error {
            Unsubscribed::NoRequest(NoRequest::Target(_)) | Unsubscribed::OtherSource(_) => {
                let field = match error {
                    Unsubscribed::OtherSource(_) => "source",
                    _ => "target",
                };
                Error::invalid("body", field, detail)
            }
            Unsubscribed::NoRequest(NoRequest::Form(field, label)) => {
                let mut problems = Problems::of_body();
                problems.add_below("target", Some(&field), format!("it is not {label}"));
                match problems.done() {
                    Err(error) => error,
                    Ok(()) => Error::Internal,
                }
            }
            Unsubscribed::NoRequest(NoRequest::Events | NoRequest::Event) => {
                Error::invalid("body", "events", detail)
            }
            Unsubscribed::NoRequest(NoRequest::Manual(_)) => {
                Error::Refused { code: "subscription_manual", detail }
            }
            Unsubscribed::NoRequest(NoRequest::Unmade(_)) => {
                Error::Refused { code: "oauth_misconfigured", detail }
            }
            Unsubscribed::Refused(Refused::Exists) => {
                Error::Conflict { code: "subscription_exists", detail }
            }
            Unsubscribed::Refused(Refused::Unavailable(_)) => Error::Unavailable {
                code: "provider_unavailable",
                detail: "the provider cannot do it at the moment",
                retry_after: "5",
            },
            Unsubscribed::Refused(_) => Error::Conflict { code: "provider_refused", detail },
            Unsubscribed::Unknown => Error::NotFound("subscription"),
            Unsubscribed::Trouble(trouble) => trouble.into(),
        }
    }
}
