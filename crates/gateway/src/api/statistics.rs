//! Figures about endpoints.
//!
//! What is counted is bounded, so a figure costs the same on a busy endpoint as on any other. Where
//! there is too much it is for a shorter time: `since` says from when on, `complete` that it is so.

use std::time::Duration;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::time::Timestamp;
use ringback_store::{COUNT, Window};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    query::{FromQuery, Params, Query},
    reply::json,
};

/// How far back figures reach if nobody says.
const USUAL: Duration = Duration::from_secs(28 * 86_400);
/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get_stats)).routes(routes!(get_attempt_stats))
}

/// How far messages are at an endpoint; each is counted once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointStatsOut {
    /// The endpoint took them.
    success: u64,
    /// They were not tried yet.
    pending: u64,
    /// They were tried and will be again.
    sending: u64,
    /// They were tried as often as they will be.
    fail: u64,
    /// Always 0: only what goes to a deleted endpoint is canceled, and that has no figures.
    canceled: u64,
    #[serde(flatten)]
    counted: CountedOut,
}

/// How attempts went.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointAttemptStatsOut {
    /// The endpoint answered with a success.
    success: u64,
    /// It did not.
    fail: u64,
    /// Always 0: an attempt was made, or is none.
    canceled: u64,
    #[serde(flatten)]
    counted: CountedOut,
}

/// What was counted.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CountedOut {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Up to when.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Whether that is all that was asked for. If not, there was too much of it (more than 50,000
    /// attempts, or pending messages), and `since` is later than asked for.
    complete: bool,
}

/// What to count.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only from this time on; 28 days before `until` if not given.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only before this time; now if not given.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl FromQuery for Asked {
    fn read(query: &mut Params) -> Asked {
        let (since, until) = (query.time("since"), query.time("until"));
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let _: Option<()> = query.wrong("until", "it is later than since");
        }
        Asked { since, until }
    }
}

impl Asked {
    fn window(&self, now: Timestamp) -> Window {
        // What comes in this millisecond counts, too.
        let until = self.until.unwrap_or(now + Duration::from_millis(1));
        Window { since: self.since.unwrap_or(until - USUAL), until, most: COUNT }
    }
}

/// The window that begins and ends with an hour, and holds this one.
fn whole_hours(Window { since, until, most }: Window) -> Window {
    let (first, last) = (since.millis().div_euclid(HOUR), (until.millis() - 1).div_euclid(HOUR));
    Window { since: Timestamp(first * HOUR), until: Timestamp((last + 1) * HOUR), most }
}

impl CountedOut {
    fn new(Window { since, until, .. }: Window, counted: Timestamp) -> CountedOut {
        CountedOut { since: counted, until, complete: counted <= since }
    }
}

/// Count how far an endpoint's messages are
///
/// Those accepted in a window, each once. No more than 50,000 attempts and 50,000 pending messages
/// are looked at; if there are more, the figures are for the newest of them, and `since` says from
/// when on.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats", tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid"), Asked),
    responses((status = 200, body = EndpointStatsOut)))]
async fn get_stats(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let window = asked.window(now);
    let stats = api.store.endpoint_stats(scope, endpoint, window).await?;
    let out = EndpointStatsOut {
        success: stats.success,
        pending: stats.pending,
        sending: stats.sending,
        fail: stats.fail,
        canceled: 0,
        counted: CountedOut::new(window, stats.since),
    };
    Ok(json(StatusCode::OK, &out))
}

/// Count how the attempts to an endpoint went
///
/// Those begun in a window, which is widened to whole hours. No more than 50,000 are looked at; if
/// there are more, the figures are for the newest of them, and `since` says from when on.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/attempt-stats",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid"), Asked),
    responses((status = 200, body = EndpointAttemptStatsOut)))]
async fn get_attempt_stats(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let window = whole_hours(asked.window(now));
    let stats = api.store.attempt_stats(scope, endpoint, window).await?;
    let out = EndpointAttemptStatsOut {
        success: stats.success,
        fail: stats.fail,
        canceled: 0,
        counted: CountedOut::new(window, stats.since),
    };
    Ok(json(StatusCode::OK, &out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::parse;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn windows() {
        let window = |text: &str| {
            let Window { since, until, .. } = parse::<Asked>(text)?.window(NOW);
            Ok::<_, Error>((NOW.0 - since.0, until.0 - NOW.0))
        };
        let usual = USUAL.as_millis() as i64;
        assert_eq!(window(""), Ok((usual - 1, 1)));
        assert_eq!(window("since=2027-01-15T07:59:59Z"), Ok((1_000, 1)));
        assert_eq!(window("until=2027-01-15T07:59:59Z"), Ok((usual + 1_000, -1_000)));
        for wrong in ["since=soon", "since=2027-01-15T08:00:00Z&until=2027-01-15T08:00:00Z"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_are_whole() {
        for (since, until, first, end) in [
            (0, HOUR, 0, HOUR),
            (1, HOUR, 0, HOUR),
            (HOUR - 1, HOUR + 1, 0, 2 * HOUR),
            (HOUR, HOUR + 1, HOUR, 2 * HOUR),
        ] {
            let window = Window { since: Timestamp(since), until: Timestamp(until), most: COUNT };
            let whole = whole_hours(window);
            assert_eq!((whole.since.0, whole.until.0), (first, end));
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let window = Window { since: Timestamp(5), until: Timestamp(9), most: COUNT };
        assert!(CountedOut::new(window, Timestamp(5)).complete);
        assert!(!CountedOut::new(window, Timestamp(6)).complete);
    }
}
