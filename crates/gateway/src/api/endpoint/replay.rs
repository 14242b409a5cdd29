//! Sending many messages to an endpoint once more. One attempt is made of each; what fails again can
//! be recovered again.

use axum::{extract::State, response::Response};
use ringback_domain::{
    replay::{Selection, Shape, Standing, Which},
    scope::Reference,
    task::Kind,
    time::Timestamp,
};
use ringback_store::Place;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    field::Problems,
    idempotency::{Answered, Once, Posted},
    task::{self, Asked, TaskOut},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(recover))
        .routes(routes!(replay_missing))
        .routes(routes!(bulk_replay))
}

/// What such a task counts.
const COUNTS: &[&str] = &["messagesSent", "messagesSeen", "messagesWithoutContent"];

/// From when to when.
#[derive(Deserialize, ToSchema)]
pub(super) struct ReplayIn {
    /// Only messages accepted at this time or later.
    #[schema(required, nullable = false, format = DateTime)]
    since: Option<String>,
    /// Only messages accepted before; until now if not given.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// `current`: in the version that the endpoint gets now (if not given); `original`: in the one
    /// that was sent first.
    #[schema(value_type = Option<String>)]
    version: Option<Shape>,
}

/// Which messages.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkReplayIn {
    /// Only messages accepted at this time or later.
    #[schema(required, nullable = false, format = DateTime)]
    since: Option<String>,
    /// Only messages accepted before; until now if not given.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Only these event types.
    event_types: Option<Vec<String>>,
    /// Only with this channel.
    channel: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only what stands like this at the endpoint: 0 delivered, 2 failed, 3 failed so far; of 1 and
    /// 4, what was not tried, there is nothing to be sent again.
    #[schema(minimum = 0, maximum = 4)]
    status: Option<u8>,
    /// Only whose last answer was of this class: 0 (none), 100, 200, 300, 400 or 500.
    status_code_class: Option<u16>,
    /// `current`: in the version that the endpoint gets now (if not given); `original`: in the one
    /// that was sent first.
    #[schema(value_type = Option<String>)]
    version: Option<Shape>,
}

/// Send what failed at an endpoint once more
///
/// Sent is what was tried there and never succeeded, also if another attempt is planned, unless that
/// is due. Asking twice sends nothing twice.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = ReplayIn,
    responses((status = 202, body = TaskOut)))]
async fn recover(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Posted { body, once }: Posted<ReplayIn>,
) -> Result<Response, Answered> {
    let selection = Selection::all(Which::Failed);
    Ok(begin(&api, scoped, endpoint, Kind::Recover, body.check(selection)?, &once).await?)
}

/// Send an endpoint what it never got
///
/// Sent is what was never tried there, though the endpoint as it is now would get it.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = ReplayIn,
    responses((status = 202, body = TaskOut)))]
async fn replay_missing(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Posted { body, once }: Posted<ReplayIn>,
) -> Result<Response, Answered> {
    let selection = Selection::all(Which::Missing);
    Ok(begin(&api, scoped, endpoint, Kind::Replay, body.check(selection)?, &once).await?)
}

/// Send what was sent to an endpoint once more, whether it succeeded or not
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid")),
    request_body = BulkReplayIn,
    responses((status = 202, body = TaskOut)))]
async fn bulk_replay(
    State(api): State<Api>,
    scoped: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Posted { body, once }: Posted<BulkReplayIn>,
) -> Result<Response, Answered> {
    Ok(begin(&api, scoped, endpoint, Kind::BulkReplay, body.check()?, &once).await?)
}

/// A body that was checked.
struct Wanted {
    selection: Selection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

async fn begin(
    api: &Api,
    Scoped { scope, now }: Scoped,
    endpoint: Reference,
    kind: Kind,
    Wanted { selection, since, until }: Wanted,
    once: &Once,
) -> Result<Response, Error> {
    let request = serde_json::to_value(selection).map_err(|_| Error::Internal)?;
    let place = Place::Endpoint(scope.application, endpoint);
    let environment = scope.environment;
    let asked = Asked { environment, place, kind, request, counts: COUNTS, since, until, now };
    task::begin(api, asked, once).await
}

impl ReplayIn {
    fn check(self, selection: Selection) -> Result<Wanted, Error> {
        let version = self.version.unwrap_or_default();
        let selection = Selection { version, ..selection };
        let mut problems = Problems::of_body();
        let (since, until) = span(&mut problems, self.since, self.until);
        problems.done()?;
        Ok(Wanted { selection, since, until })
    }
}

impl BulkReplayIn {
    fn check(self) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        let (since, until) = span(&mut problems, self.since, self.until);
        problems.event_types("eventTypes", self.event_types.as_ref());
        let standing = match self.status {
            None => None,
            Some(0) => Some(Standing::Delivered),
            Some(2) => Some(Standing::Failed),
            Some(3) => Some(Standing::Retrying),
            Some(1 | 4) => Some(Standing::Untried),
            Some(5..) => {
                problems.add("status", "it is between 0 and 4");
                None
            }
        };
        let status_codes = match self.status_code_class {
            None => None,
            Some(0) => Some((0, 0)),
            Some(class @ (100 | 200 | 300 | 400 | 500)) => Some((class, class + 99)),
            Some(_) => {
                problems.add("statusCodeClass", "it is 0, 100, 200, 300, 400 or 500");
                None
            }
        };
        problems.done()?;
        let event_types = self.event_types.unwrap_or_default();
        let (channel, tag) = (self.channel, self.tag);
        let which = Which::Sent;
        let version = self.version.unwrap_or_default();
        let selection =
            Selection { which, event_types, channel, tag, standing, status_codes, version };
        Ok(Wanted { selection, since, until })
    }
}

fn span(
    problems: &mut Problems,
    since: Option<String>,
    until: Option<String>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let since = problems.required("since", since).and_then(|time| problems.time("since", &time));
    let until = until.and_then(|time| problems.time("until", &time));
    if since.zip(until).is_some_and(|(since, until)| until < since) {
        problems.add("until", "it is before since");
    }
    (since, until)
}
