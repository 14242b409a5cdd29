//! `ringback replay`: messages sent once more, to where they went or elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use http::Method;
use ringback_domain::provider::vector::WireRequest;
use serde_json::{Value, json};

use super::fixture::joined;
use super::outward::Target;
use super::selection::{Found, Selection};
use super::server::{Server, ask, call, carried, listed, path_segment, refused};
use super::{Failure, data, note};
use crate::api_client::ApiClient;
use crate::app::Signals;
use crate::terminal::printable;

/// The fastest that messages are sent again, each second.
const FASTEST: f64 = 1000.0;
/// Failures that are told one by one.
const TOLD: usize = 20;
/// Endpoints of a message.
const ENDPOINTS: usize = 10_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each message goes once more to every endpoint that it went to, with its own id, so that receivers that \
know it already can tell. --failed leaves out those that took it. --forward sends it from here, with the \
headers and the bytes that it came with.

A request of a source that became no message (req_…) is judged again, and taken if nothing speaks \
against it any more.

Examples:
  ringback replay msg_1srOrx2ZWZBpBUvZwXKQmoEYga2
  ringback replay --app acme --since 2h --status failed --failed --rate 20
  ringback replay --source github --since 3d --event-type push --forward http://localhost:3000/webhooks
  ringback replay --app acme --since 2026-01-31T12:00:00Z --to ep_… --dry-run")]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Only to endpoints that did not take it
    #[arg(long)]
    failed: bool,
    /// To this endpoint instead, by id or uid
    #[arg(long, value_name = "ENDPOINT", conflicts_with_all = ["failed", "forward"])]
    to: Option<String>,
    /// To this URL instead, from here: with the headers and the body that it came with
    #[arg(long, value_name = "URL", conflicts_with = "failed")]
    forward: Option<String>,
    /// At most so many messages a second
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Only say how many it would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Summary {
    messages: usize,
    sent: usize,
    failures: Vec<(String, String)>,
    /// The last message that was dealt with, if that was not the last one.
    interrupted_after: Option<Option<String>>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate <= FASTEST)) {
        return Err(Failure::Usage(format!(
            "--rate is more than 0 and at most {FASTEST} a second"
        )));
    }
    let requests = args.selection.ids.iter().filter(|id| id.starts_with("req_")).count();
    if requests > 0 && (requests < args.selection.ids.len() || args.to.is_some()) {
        let what = "requests (req_…) are replayed by themselves, without messages and --to";
        return Err(Failure::Usage(what.to_owned()));
    }
    if requests > 0 && args.forward.is_some() {
        let what = "--forward sends messages: a request becomes one when it is replayed";
        return Err(Failure::Usage(what.to_owned()));
    }
    carried(replay(&args, requests > 0))
}

async fn replay(args: &Args, requests: bool) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let api = args.server.client()?;
    let forward = args.forward.as_deref().map(Target::new).transpose()?;
    let found = match requests {
        true => args.selection.ids.iter().map(|id| of_request(id)).collect(),
        false => args.selection.find(&api).await?,
    };
    if args.dry_run {
        return dry(args, &found);
    }
    let replay = Replay { args, api: &api, forward, requests };
    let summary = replay.all(&found, signals).await?;
    tell(args, &found, &summary)
}

/// A request of a source has no application yet.
fn of_request(id: &str) -> Found {
    Found { id: id.to_owned(), app: String::new(), provider: None }
}

fn dry(args: &Args, found: &[Found]) -> Result<(), Failure> {
    let (first, last) = (found.first(), found.last());
    if args.json {
        let id = |one: Option<&Found>| one.map(|one| one.id.clone());
        let line = json!({
            "dryRun": true, "messages": found.len(), "first": id(first), "last": id(last),
        });
        return Ok(data(&line.to_string())?);
    }
    let span = first.zip(last).map(|(first, last)| format!(": {} to {}", first.id, last.id));
    Ok(data(&format!("{} would be replayed{}", counted(found.len()), span.unwrap_or_default()))?)
}

fn counted(messages: usize) -> String {
    match messages {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    }
}

struct Replay<'a> {
    args: &'a Args,
    api: &'a ApiClient,
    forward: Option<Target>,
    requests: bool,
}

impl Replay<'_> {
    async fn all(&self, found: &[Found], mut signals: Signals) -> Result<Summary, Failure> {
        let mut bar = Bar::new(found.len());
        let mut summary = Summary::default();
        let pause = self.args.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let mut ticks = pause.map(tokio::time::interval);
        for (place, one) in found.iter().enumerate() {
            bar.show(place);
            let step = async {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                self.one(one).await
            };
            let done = tokio::select! {
                done = step => done,
                () = signals.stop() => {
                    let before = place.checked_sub(1).map(|before| found[before].id.clone());
                    summary.interrupted_after = Some(before);
                    break;
                }
            };
            summary.messages += 1;
            match done {
                Ok(sent) => summary.sent += sent,
                Err(error) => summary.failures.push((one.id.clone(), error.to_string())),
            }
        }
        bar.clear();
        Ok(summary)
    }

    /// Sends one again; to how many.
    async fn one(&self, found: &Found) -> Result<usize, Failure> {
        if self.requests {
            return self.request(&found.id).await;
        }
        let message =
            format!("/api/v1/app/{}/msg/{}", path_segment(&found.app), path_segment(&found.id));
        if let Some(target) = &self.forward {
            return self.sent_on(target, &message).await;
        }
        let endpoints = match &self.args.to {
            Some(endpoint) => vec![endpoint.clone()],
            None => {
                let path = format!("{message}/endpoint?expanded_statuses=true");
                let all = listed(self.api, &path, ENDPOINTS).await?;
                // 0 is a success.
                let wanted = |one: &&Value| !self.args.failed || one["status"] != 0;
                let ids = all.iter().filter(wanted).filter_map(|one| one["id"].as_str());
                ids.map(str::to_owned).collect()
            }
        };
        for endpoint in &endpoints {
            let path = format!("{message}/endpoint/{}/resend", path_segment(endpoint));
            ask(self.api, Method::POST, &path, Some(&json!({}))).await?;
        }
        Ok(endpoints.len())
    }

    async fn sent_on(&self, target: &Target, message: &str) -> Result<usize, Failure> {
        let content = ask(self.api, Method::GET, &format!("{message}/content"), None).await?;
        let answer = target.send(&received(&content, target)?).await?;
        if answer.status.is_success() {
            return Ok(1);
        }
        Err(Failure::Failed(format!("the receiver answered {}", answer.status)))
    }

    /// Has a request of a source judged again.
    async fn request(&self, id: &str) -> Result<usize, Failure> {
        let sources: Vec<String> = match &self.args.selection.source {
            Some(source) => vec![source.clone()],
            None => {
                const SOURCES: usize = 1000;
                let all =
                    listed(self.api, "/ingest/api/v1/source?order=ascending", SOURCES).await?;
                all.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
            }
        };
        for source in &sources {
            let (source, id) = (path_segment(source), path_segment(id));
            let path = format!("/ingest/api/v1/source/{source}/request/{id}/replay");
            let answer = call(self.api, Method::POST, &path, Some(&json!({}))).await?;
            match answer.status {
                status if status.is_success() => return Ok(1),
                http::StatusCode::NOT_FOUND => {}
                _ => return Err(refused(&answer)),
            }
        }
        Err(Failure::Failed("no source has it: name its source with --source".to_owned()))
    }
}

/// A message as it came, as a request to a receiver.
pub(super) fn received(content: &Value, target: &Target) -> Result<WireRequest, Failure> {
    let url = target.with(content["target"].as_str().unwrap_or_default());
    request_of(content, Some(url))
}

/// A message as it came, as a request.
pub(super) fn request_of(content: &Value, url: Option<String>) -> Result<WireRequest, Failure> {
    if content["expired"] == true {
        let what = "its content is no longer kept: messages keep it for a time (retention)";
        return Err(Failure::Failed(what.to_owned()));
    }
    let text = |name: &str| content[name].as_str().map(str::to_owned);
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    let headers: BTreeMap<String, String> =
        joined(content["headers"].as_array().into_iter().flatten().filter_map(pair));
    Ok(WireRequest {
        method: text("method").unwrap_or_else(|| "POST".to_owned()),
        url,
        headers,
        body: text("body").unwrap_or_default(),
        body_base64: text("bodyBase64"),
    })
}

fn tell(args: &Args, found: &[Found], summary: &Summary) -> Result<(), Failure> {
    let Summary { messages, sent, failures, interrupted_after } = summary;
    let going_on = interrupted_after.as_ref().map(|after| match after {
        Some(id) if !args.selection.is_by_id() => format!("go on with --after {id}"),
        Some(id) => format!("the last one was {id}"),
        None => "nothing was sent".to_owned(),
    });
    for (id, why) in failures.iter().take(TOLD) {
        note(&format!("{id}: {}", printable(why)));
    }
    if failures.len() > TOLD {
        note(&format!("and {} more failures", failures.len() - TOLD));
    }
    if args.json {
        let failures: Vec<Value> =
            failures.iter().map(|(id, why)| json!({ "id": id, "reason": why })).collect();
        let line = json!({
            "messages": messages, "of": found.len(), "sent": sent, "failures": failures,
            "interruptedAfter": interrupted_after.clone().flatten(),
        });
        data(&line.to_string())?;
    } else {
        let failed = match failures.len() {
            0 => String::new(),
            number => format!(", {number} failed"),
        };
        data(&format!("replayed {}, sent {sent} times{failed}", counted(*messages)))?;
    }
    if let Some(next) = going_on {
        note(&format!("interrupted after {messages} of {}: {next}", found.len()));
        return Err(Failure::Told);
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// How far it is, on a terminal.
struct Bar {
    of: usize,
    is_shown: bool,
}

impl Bar {
    const WIDTH: usize = 30;

    fn new(of: usize) -> Bar {
        Bar { of, is_shown: of > 1 && std::io::stderr().is_terminal() }
    }

    fn show(&mut self, done: usize) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r{}", self.line(done));
        }
    }

    fn line(&self, done: usize) -> String {
        let full = Self::WIDTH * done / self.of.max(1);
        format!("[{:<width$}] {done}/{}", "=".repeat(full), self.of, width = Self::WIDTH)
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        let bar = Bar { of: 4, is_shown: true };
        assert_eq!(bar.line(0), "[                              ] 0/4");
        assert_eq!(bar.line(2), "[===============               ] 2/4");
        assert_eq!(bar.line(4), "[==============================] 4/4");
    }
}
