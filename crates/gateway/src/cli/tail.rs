//! `ringback tail`: what happens at a server, while it happens.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::server::{Server, carried, path_segment, refused};
use super::{Failure, data, note};
use crate::api_client::{CallError, Followed};
use crate::app::Signals;
use crate::terminal::{Colours, printable};

/// The server says something every 15 s, if only that it is there.
const SILENCE: Duration = Duration::from_secs(40);
/// Between one connection and the next; longer and longer.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 15];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
One line for each request that arrives at a source, each message that is accepted, each attempt that \
ends, and each circuit of an endpoint that is opened or closed. Nothing of it is kept for whoever is away: what was missed is in the lists of the API, and \
`ringback listen` misses nothing.

Examples:
  ringback tail
  ringback tail --failed
  ringback tail --what attempt --application acme --event-type invoice.paid --json")]
pub(super) struct Args {
    /// Only these; may be given several times
    #[arg(long, value_parser = ["request", "message", "attempt", "breaker"])]
    what: Vec<String>,
    /// Only of this source, by id or uid
    #[arg(long)]
    source: Option<String>,
    /// Only of this application, by id or uid
    #[arg(long, value_name = "APP", alias = "app", conflicts_with = "source")]
    application: Option<String>,
    /// Only of this event type; may be given several times
    #[arg(long, value_name = "TYPE")]
    event_type: Vec<String>,
    /// Only requests that were not taken, attempts that failed and circuits that were opened
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    server: Server,
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    carried(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            ended = follow(&args) => ended,
            () = signals.stop() => Ok(()),
        }
    })
}

fn path(args: &Args) -> String {
    let mut query: Vec<String> = Vec::new();
    let mut put = |name: &str, value: &str| query.push(format!("{name}={}", path_segment(value)));
    args.what.iter().for_each(|what| put("what", what));
    args.source.iter().for_each(|source| put("source", source));
    args.application.iter().for_each(|application| put("application", application));
    args.event_type.iter().for_each(|kind| put("event_type", kind));
    if args.failed {
        put("failed", "true");
    }
    format!("/api/v1/tail?{}", query.join("&"))
}

/// Follows for ever; ends where going on makes no sense.
async fn follow(args: &Args) -> Result<(), Failure> {
    let api = args.server.client()?.with_patience(SILENCE);
    let path = path(args);
    let colours = Colours::of_stdout();
    let mut in_vain = 0;
    let mut has_looked = false;
    loop {
        let mut unwritten = None;
        let mut came = false;
        let followed = api.follow(&path, |text| {
            if !came && has_looked {
                note("connected again: what happened meanwhile is not told");
            }
            (came, has_looked) = (true, true);
            let Some(json) = text.strip_prefix("data:") else { return };
            if unwritten.is_none() {
                unwritten = tell(json.trim_start(), args.json, colours).err();
            }
        });
        let followed = followed.await;
        if let Some(error) = unwritten {
            return Err(error.into());
        }
        let why = match followed {
            Ok(Followed::Ended) => "the server ended the connection".to_owned(),
            Ok(Followed::Refused(answer)) if answer.status.is_server_error() => {
                refused(&answer).to_string()
            }
            Ok(Followed::Refused(answer)) => return Err(refused(&answer)),
            Err(error @ (CallError::Url(_) | CallError::Request(_) | CallError::Tls(_))) => {
                return Err(Failure::Usage(error.to_string()));
            }
            // Somebody who mistyped the address shall not wait for ever.
            Err(error) if !has_looked => return Err(Failure::Failed(error.to_string())),
            Err(error) => error.to_string(),
        };
        in_vain = if came { 0 } else { in_vain + 1 };
        let pause = PAUSES[in_vain.min(PAUSES.len() - 1)];
        note(&format!("DISCONNECTED: {why}; trying again in {pause} s"));
        sleep(Duration::from_secs(pause)).await;
    }
}

fn tell(json: &str, as_json: bool, colours: Colours) -> std::io::Result<()> {
    if as_json {
        return data(json);
    }
    match serde_json::from_str::<Value>(json) {
        Ok(told) => data(&line(&told, colours)),
        Err(_) => data(&printable(json)),
    }
}

/// One line for what happened.
fn line(told: &Value, Colours { good, bad, dim, end, .. }: Colours) -> String {
    let text = |name: &str| -> String {
        match &told[name] {
            Value::Null => String::new(),
            Value::String(text) => printable(&text.replace('\n', " ")),
            other => other.to_string(),
        }
    };
    let time = text("time");
    // Only the time of day; who wants the date has --json.
    let time = time.split_once('T').map_or(time.as_str(), |(_, time)| time.trim_end_matches('Z'));
    let words = |words: &[String]| {
        let words: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
        words.join(" ")
    };
    let rest = match told["what"].as_str().unwrap_or_default() {
        "request" => {
            let status = text("status");
            let taken = ["accepted", "duplicate", "challenge"].contains(&status.as_str());
            let colour = if taken { good } else { bad };
            let status = format!("{colour}{status}{end}");
            let answered = format!("→ {}", text("responseStatusCode"));
            let (name, kind) = (text("sourceName"), text("eventType"));
            words(&["request".into(), name, kind, status, text("reason"), answered, text("msgId")])
        }
        "message" => {
            let endpoints = format!("→ {} endpoints", text("endpoints"));
            words(&["message".into(), text("eventType"), endpoints, text("id")])
        }
        "attempt" => {
            let outcome = text("outcome");
            let taken = ["delivered", "filtered"].contains(&outcome.as_str());
            let colour = if taken { good } else { bad };
            let outcome = format!("{colour}{outcome}{end}");
            let status = text("responseStatusCode");
            let status = if status == "0" { String::new() } else { status };
            let number = format!("#{}", text("number"));
            let took = format!("{dim}{} ms{end}", text("durationMs"));
            words(&[
                "attempt".into(),
                text("eventType"),
                number,
                outcome,
                status,
                text("failedPhase"),
                text("reason"),
                took,
                format!("→ {}", text("endpoint")),
                text("msgId"),
            ])
        }
        "breaker" => {
            let state = text("state");
            let colour = if state == "closed" { good } else { bad };
            let until = match text("until") {
                until if until.is_empty() => until,
                until => format!("until {until}"),
            };
            let state = format!("{colour}{state}{end}");
            words(&["breaker".into(), state, until, format!("→ {}", text("endpoint"))])
        }
        "missed" => format!("{bad}MISSED {} lines: this terminal is too slow{end}", text("count")),
        _ => printable(&told.to_string()),
    };
    match time {
        "" => rest,
        time => format!("{dim}{time}{end} {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happens_is_a_line() {
        for (told, expect) in [
            (
                json!({"what": "request", "time": "2026-01-31T12:00:00.123Z", "sourceName": "GitHub",
                    "status": "unverified", "reason": "missing_signature", "eventType": "push",
                    "responseStatusCode": 401, "msgId": null}),
                "12:00:00.123 request GitHub push unverified missing_signature → 401",
            ),
            (
                json!({"what": "message", "time": "2026-01-31T12:00:00Z", "id": "msg_1",
                    "eventType": "a\u{1b}[2J", "endpoints": 2}),
                "12:00:00 message a\\u{1b}[2J → 2 endpoints msg_1",
            ),
            (
                json!({"what": "attempt", "time": "2026-01-31T12:00:00Z", "msgId": "msg_1",
                    "endpoint": "ep_1", "eventType": "a", "number": 2, "outcome": "retrying",
                    "responseStatusCode": 0, "failedPhase": "connect", "reason": "refused",
                    "durationMs": 3}),
                "12:00:00 attempt a #2 retrying connect refused 3 ms → ep_1 msg_1",
            ),
            (
                json!({"what": "breaker", "time": "2026-01-31T12:00:00Z", "endpoint": "ep_1",
                    "state": "opened", "until": "2026-01-31T12:00:30Z"}),
                "12:00:00 breaker opened until 2026-01-31T12:00:30Z → ep_1",
            ),
            (json!({"what": "missed", "count": 7}), "MISSED 7 lines: this terminal is too slow"),
        ] {
            assert_eq!(line(&told, Colours::default()), expect);
        }
    }
}
