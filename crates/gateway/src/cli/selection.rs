//! Which messages a command is about: some by their ids, or those of an application or a source in a
//! span of time.

use std::time::Duration;

use http::Method;
use ringback_domain::time::Timestamp;
use serde_json::Value;

use super::server::{ask, call, listed, listed_after, path_segment, refused};
use super::{Failure, note, span};
use crate::api_client::ApiClient;
use crate::wiring;

/// Applications and sources that are looked through for a message of which only the id is known.
const PLACES: usize = 1000;

/// Which messages.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Messages (msg_…); without any, those that the flags select
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// Application, by id or uid
    #[arg(long, conflicts_with = "source")]
    app: Option<String>,
    /// Source, by id or uid
    #[arg(long)]
    pub(super) source: Option<String>,
    /// Only what came at this time or later: RFC 3339, or so long ago (90s, 30m, 2h, 3d, 1w)
    #[arg(long, value_name = "TIME", conflicts_with = "ids")]
    since: Option<String>,
    /// Only what came before this time, written likewise
    #[arg(long, value_name = "TIME", conflicts_with = "ids")]
    until: Option<String>,
    /// Only of this event type; may be given several times
    #[arg(long, value_name = "TYPE", conflicts_with = "ids")]
    event_type: Vec<String>,
    /// Only what stands like this at an endpoint
    #[arg(long, conflicts_with = "ids", value_parser = ["delivered", "pending", "failed", "retrying", "canceled"])]
    status: Option<String>,
    /// Only what came after this message: where an interrupted run goes on
    #[arg(long, value_name = "MSG", conflicts_with = "ids")]
    after: Option<String>,
    /// At most so many messages, the oldest first
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "ids")]
    limit: usize,
}

/// A message, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: String,
    /// The application that it belongs to.
    pub(super) app: String,
    /// Who sent it, if it came through a source.
    pub(super) provider: Option<String>,
}

/// An application, and what it belongs to.
#[derive(Clone, Debug)]
struct Place {
    app: String,
    provider: Option<String>,
}

impl Selection {
    /// Whether only some are wanted, by name.
    pub(super) fn is_by_id(&self) -> bool {
        !self.ids.is_empty()
    }

    /// The messages, the oldest first.
    pub(super) async fn find(&self, api: &ApiClient) -> Result<Vec<Found>, Failure> {
        let place = self.place(api).await?;
        match (self.ids.as_slice(), place) {
            ([], Some(place)) => self.search(api, &place).await,
            ([], None) => {
                let what = "which messages? name some (msg_…), or --app or --source, with --since";
                Err(Failure::Usage(what.to_owned()))
            }
            (ids, Some(place)) => {
                let found = |id: &String| Found {
                    id: id.clone(),
                    app: place.app.clone(),
                    provider: place.provider.clone(),
                };
                Ok(ids.iter().map(found).collect())
            }
            (ids, None) => searched(api, ids).await,
        }
    }

    async fn place(&self, api: &ApiClient) -> Result<Option<Place>, Failure> {
        if let Some(source) = &self.source {
            let path = format!("/ingest/api/v1/source/{}", path_segment(source));
            return Ok(of_source(&ask(api, Method::GET, &path, None).await?));
        }
        Ok(self.app.as_ref().map(|app| Place { app: app.clone(), provider: None }))
    }

    async fn search(&self, api: &ApiClient, place: &Place) -> Result<Vec<Found>, Failure> {
        let mut path = format!(
            "/api/v1/app/{}/msg?with_content=false&order=ascending",
            path_segment(&place.app)
        );
        let now = wiring::clock().now();
        for (name, given) in [("after", &self.since), ("before", &self.until)] {
            if let Some(text) = given {
                // What is after a time is not at it.
                let at = time(text, now)?;
                let at = if name == "after" { at - Duration::from_millis(1) } else { at };
                path.push_str(&format!("&{name}={}", path_segment(&at.to_string())));
            }
        }
        for kind in &self.event_type {
            path.push_str(&format!("&event_types={}", path_segment(kind)));
        }
        if let Some(number) = self.status.as_deref().and_then(status) {
            path.push_str(&format!("&status={number}"));
        }
        // One more tells whether that is all.
        let most = self.limit.saturating_add(1);
        let all = listed_after(api, &path, self.after.as_deref(), most).await?;
        let mut ids: Vec<&str> = all.iter().filter_map(|message| message["id"].as_str()).collect();
        if ids.len() >= most {
            ids.truncate(self.limit);
            let last = ids.last().copied().unwrap_or_default();
            note(&format!("only the first {} are taken: go on with --after {last}", self.limit));
        }
        let found = |id: &str| Found {
            id: id.to_owned(),
            app: place.app.clone(),
            provider: place.provider.clone(),
        };
        Ok(ids.into_iter().map(found).collect())
    }
}

fn of_source(source: &Value) -> Option<Place> {
    let provider = source["type"].as_str().map(str::to_owned);
    Some(Place { app: source["appId"].as_str()?.to_owned(), provider })
}

/// Looks for messages wherever they may be; most often they are where the one before was.
async fn searched(api: &ApiClient, ids: &[String]) -> Result<Vec<Found>, Failure> {
    let sources = listed(api, "/ingest/api/v1/source?order=ascending", PLACES).await?;
    let mut places: Vec<Place> = sources.iter().filter_map(of_source).collect();
    let apps = listed(api, "/api/v1/app?order=ascending", PLACES).await?;
    let known: Vec<String> = places.iter().map(|place| place.app.clone()).collect();
    let apps = apps.iter().filter_map(|app| app["id"].as_str());
    let apps = apps.filter(|app| !known.iter().any(|one| one == app));
    places.extend(apps.map(|app| Place { app: app.to_owned(), provider: None }));
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut at = None;
        for (index, place) in places.iter().enumerate() {
            let (app, id) = (path_segment(&place.app), path_segment(id));
            let path = format!("/api/v1/app/{app}/msg/{id}?with_content=false");
            let answer = call(api, Method::GET, &path, None).await?;
            if answer.status.is_success() {
                at = Some(index);
                break;
            }
            if answer.status != http::StatusCode::NOT_FOUND {
                return Err(refused(&answer));
            }
        }
        let Some(index) = at else {
            return Err(Failure::Failed(format!(
                "there is no message {id} in any application or source: name its place with --app \
                 or --source"
            )));
        };
        places.swap(0, index);
        let Place { app, provider } = places[0].clone();
        found.push(Found { id: id.clone(), app, provider });
    }
    Ok(found)
}

/// The number of a status in the API.
fn status(name: &str) -> Option<u8> {
    let names = ["delivered", "pending", "failed", "retrying", "canceled"];
    names.iter().position(|known| *known == name).map(|place| place as u8)
}

/// A time, or one so long ago.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    text.parse().ok().or_else(|| span::ago(text, now)).ok_or_else(|| {
        let what = "is no time: RFC 3339, such as 2026-01-31T12:00:00Z, or 90s, 30m, 2h, 3d, 1w";
        Failure::Usage(format!("{text:?} {what}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_named_or_so_long_ago() {
        let now = Timestamp(1_000_000_000_000);
        for (text, expect) in [
            ("90s", Some(now.0 - 90_000)),
            ("2h", Some(now.0 - 7_200_000)),
            ("1w", Some(now.0 - 604_800_000)),
            ("1970-01-01T00:00:01Z", Some(1000)),
            ("h", None),
            ("2y", None),
            ("-1h", None),
            ("", None),
            ("2é", None),
        ] {
            assert_eq!(time(text, now).ok().map(|time| time.0), expect, "{text}");
        }
    }
}
