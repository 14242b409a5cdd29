//! What an application may use: set by admins, held against messages and endpoints.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::quota::{LARGEST, Limit, Quota};
use ringback_store::WriteError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Caller, Json, Named},
    field::Problems,
    reply::{json, nothing},
};
use crate::quota::Over;

/// The most endpoints, pending deliveries or messages that a limit can name.
const MOST: u64 = 10_000_000;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get, set, delete))
}

/// What an application may use, in place of the server's defaults. A field that is absent or null
/// leaves the default in force, 0 lifts it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationQuotaIn {
    /// Messages accepted a second, on the average.
    #[schema(minimum = 0, maximum = 10000000)]
    messages_per_second: Option<u64>,
    /// Messages accepted at once; what comes in a second if not given.
    #[schema(minimum = 0, maximum = 10000000)]
    messages_burst: Option<u64>,
    /// Bytes of requests that create messages, a second, on the average.
    #[schema(minimum = 0, maximum = 1000000000000_i64)]
    bytes_per_second: Option<u64>,
    /// Endpoints.
    #[schema(minimum = 0, maximum = 10000000)]
    endpoints: Option<u64>,
    /// Deliveries that are pending; while there are as many, messages are refused.
    #[schema(minimum = 0, maximum = 10000000)]
    pending: Option<u64>,
}

/// What an application may use; null is without limit, or not said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationQuotaLimits {
    /// Messages accepted a second, on the average.
    messages_per_second: Option<u64>,
    /// Messages accepted at once.
    messages_burst: Option<u64>,
    /// Bytes of requests that create messages, a second, on the average.
    bytes_per_second: Option<u64>,
    /// Endpoints.
    endpoints: Option<u64>,
    /// Deliveries that are pending.
    pending: Option<u64>,
}

/// The quota of an application.
#[derive(Serialize, ToSchema)]
struct ApplicationQuotaOut {
    /// What was set for it.
    #[serde(flatten)]
    own: ApplicationQuotaLimits,
    /// What is in force: what was set for it, else the server's defaults.
    effective: ApplicationQuotaLimits,
}

impl From<Quota> for ApplicationQuotaLimits {
    fn from(quota: Quota) -> ApplicationQuotaLimits {
        let Quota { messages_per_second, messages_burst, bytes_per_second, endpoints, pending } =
            quota;
        ApplicationQuotaLimits {
            messages_per_second,
            messages_burst,
            bytes_per_second,
            endpoints,
            pending,
        }
    }
}

impl ApplicationQuotaIn {
    /// # Errors
    /// 422 with every field that is wrong.
    fn check(self) -> Result<Quota, Error> {
        let mut problems = Problems::of_body();
        for (field, value, most) in [
            ("messagesPerSecond", self.messages_per_second, MOST),
            ("messagesBurst", self.messages_burst, MOST),
            ("bytesPerSecond", self.bytes_per_second, LARGEST),
            ("endpoints", self.endpoints, MOST),
            ("pending", self.pending, MOST),
        ] {
            if value.is_some_and(|value| value > most) {
                problems.add(field, format!("it is between 0 and {most}"));
            }
        }
        problems.done()?;
        Ok(Quota {
            messages_per_second: self.messages_per_second,
            messages_burst: self.messages_burst,
            bytes_per_second: self.bytes_per_second,
            endpoints: self.endpoints,
            pending: self.pending,
        })
    }
}

fn shown(api: &Api, own: Quota) -> Response {
    let effective = api.quotas.effective(own).into();
    json(StatusCode::OK, &ApplicationQuotaOut { own: own.into(), effective })
}

/// Get what an application may use
#[utoipa::path(get, path = "/api/v1/app/{app_id}/quota", tag = "Application Quota",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = ApplicationQuotaOut)))]
async fn get(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(application): Named<extract::Application>,
) -> Result<Response, Error> {
    let (_, own) = api.store.quota(environment, application).await?;
    Ok(shown(&api, own))
}

/// Set what an application may use
///
/// It counts at once, for messages and endpoints that come from now on.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/quota", tag = "Application Quota",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = ApplicationQuotaIn,
    responses((status = 200, body = ApplicationQuotaOut)))]
async fn set(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(application): Named<extract::Application>,
    Json(body): Json<ApplicationQuotaIn>,
) -> Result<Response, Error> {
    let own = body.check()?;
    let scope = api.store.set_quota(environment, application, own).await?;
    api.quotas.set(scope, own);
    Ok(shown(&api, own))
}

/// Go back to the server's defaults for an application
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/quota", tag = "Application Quota",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Caller { environment, .. }: Caller,
    Named(application): Named<extract::Application>,
) -> Result<Response, Error> {
    let own = Quota::default();
    let scope = api.store.set_quota(environment, application, own).await?;
    api.quotas.set(scope, own);
    Ok(nothing())
}

/// What the creation of an endpoint that was held against a quota is refused with.
pub(super) fn endpoint_refused(error: WriteError, most: Option<u64>) -> Error {
    match (error, most) {
        (WriteError::Limit("endpoints"), Some(value)) => {
            let detail = told(Limit::Endpoints, value);
            Error::Refused { code: "quota_exceeded", detail }
        }
        (error, _) => error.into(),
    }
}

/// For people: which quota it is.
fn told(limit: Limit, value: u64) -> String {
    format!("the application's quota is used up: {} is {value}", limit.name())
}

impl From<Over> for Error {
    fn from(Over { limit, value, after }: Over) -> Error {
        // Whole seconds, the next one: who comes sooner is refused again.
        let retry_after = after.as_millis().div_ceil(1_000).max(1) as u64;
        Error::OverQuota { detail: told(limit, value), retry_after }
    }
}
