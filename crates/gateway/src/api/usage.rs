//! What applications used: counted by background tasks, whose data tells when they have ended.

use axum::{extract::State, response::Response};
use ringback_domain::{
    id::{ApplicationId, Kind},
    scope::Reference,
    task,
    time::Timestamp,
};
use ringback_store::Place;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{Caller, found},
    field::Problems,
    idempotency::{Answered, Once, Posted},
    task::{Asked, TaskOut, begin, begin_as},
};
use crate::tasks::Wanted;

/// The most applications that one request can name.
const NAMED: usize = 1_000;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(aggregate_app_stats))
        .routes(routes!(aggregate_event_types))
}

/// What to count.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AppUsageStatsIn {
    /// Messages accepted at this time or later.
    #[schema(required, nullable = false, format = DateTime)]
    since: Option<String>,
    /// Messages accepted before this time.
    #[schema(required, nullable = false, format = DateTime)]
    until: Option<String>,
    /// Only these applications, by id or uid, at most 1,000; all of the environment if not given.
    app_ids: Option<Vec<String>>,
}

/// The task that counts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AppUsageStatsOut {
    #[serde(flatten)]
    task: TaskOut,
    /// Those of `appIds` that do not exist; the others are counted.
    unresolved_app_ids: Vec<String>,
}

/// Count to how many endpoints the messages of applications went
///
/// When the task has ended, its data has `appStats`: for each application `appId`, `appUid` and
/// `messageDestinations`, the number of endpoints that its messages were for, each message counted
/// for itself.
#[utoipa::path(post, path = "/api/v1/stats/usage/app", tag = "Statistics",
    request_body = AppUsageStatsIn,
    responses((status = 202, body = AppUsageStatsOut)))]
async fn aggregate_app_stats(
    State(api): State<Api>,
    caller: Caller,
    Posted { body, once }: Posted<AppUsageStatsIn>,
) -> Result<Response, Answered> {
    let mut problems = Problems::of_body();
    let since = problems.required("since", body.since);
    let since = since.and_then(|time| problems.time("since", &time)).unwrap_or_default();
    let until = problems.required("until", body.until);
    let until = until.and_then(|time| problems.time("until", &time)).unwrap_or(Timestamp(i64::MAX));
    if until <= since {
        problems.add("until", "it is later than since");
    }
    if body.app_ids.as_ref().is_some_and(|named| named.len() > NAMED) {
        problems.add("appIds", format!("there are at most {NAMED}"));
    }
    problems.done()?;
    let (applications, unresolved_app_ids) = match body.app_ids {
        Some(named) => resolve(&api, caller, named).await?,
        None => (None, Vec::new()),
    };
    let wanted = Wanted { since: since.millis(), until: until.millis(), applications };
    let asked = asked(caller, task::Kind::ApplicationStats, &wanted)?;
    let shape = |task| AppUsageStatsOut { task, unresolved_app_ids };
    Ok(begin_as(&api, asked, &once, shape).await?)
}

/// List the event types that the endpoints of applications are for
///
/// When the task has ended, its data has `event_types`: for each application `appId`, `appUid`,
/// `explicitlySubscribedEventTypes`, and `hasCatchAllEndpoint`: whether an endpoint takes all.
#[utoipa::path(put, path = "/api/v1/stats/usage/event-types", tag = "Statistics",
    responses((status = 202, body = TaskOut)))]
async fn aggregate_event_types(State(api): State<Api>, caller: Caller) -> Result<Response, Error> {
    let asked = asked(caller, task::Kind::EventTypes, &Wanted::default())?;
    begin(&api, asked, &Once::unclaimed(caller.environment)).await
}

fn asked(
    Caller { environment, now }: Caller,
    kind: task::Kind,
    wanted: &Wanted,
) -> Result<Asked, Error> {
    let request: Value = serde_json::to_value(wanted).map_err(|_| Error::Internal)?;
    let (place, counts, since, until) = (Place::Environment, &[] as &[_], None, None);
    Ok(Asked { environment, place, kind, request, counts, since, until, now })
}

/// The applications that these names mean, by growing id, and the names that mean none.
async fn resolve(
    api: &Api,
    Caller { environment, .. }: Caller,
    named: Vec<String>,
) -> Result<(Option<Vec<ApplicationId>>, Vec<String>), Error> {
    let (mut applications, mut unresolved) = (Vec::new(), Vec::new());
    for name in named {
        let reference = Reference::parse(Kind::Application, &name);
        match found(api.store.application(environment, reference).await)? {
            Some(application) => applications.push(application.id),
            None => unresolved.push(name),
        }
    }
    if applications.is_empty() {
        return Err(Error::invalid("body", "appIds", "none of these applications exists"));
    }
    applications.sort_unstable();
    applications.dedup();
    Ok((Some(applications), unresolved))
}
