//! `ringback inspect`: a URL to throw away, and what arrives at it.
//!
//! The URL is that of a source that proves nothing and takes everything; a listener shows what comes.
//! Both are deleted at the end, and those that a killed run left behind at the next start: what is
//! made says in its metadata until when it is meant.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use ringback_domain::time::Timestamp;
use serde_json::{Value, json};

use super::server::{Server, ask, call, carried, listed, path_segment, refused};
use super::{Failure, data, note};
use crate::api_client::ApiClient;
use crate::app::Signals;
use crate::terminal::{Colours, printable};
use crate::wiring;

/// How long one call waits for something to arrive, in seconds.
const WAIT: u64 = 25;
/// What a source of this command has in its metadata: until when it is meant, in milliseconds since
/// 1970.
const MARK: &str = "ringback-inspect-until";
/// How long a run lasts at most; what is older is nobody's.
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// Sources that are looked through for what was left behind.
const SOURCES: usize = 10_000;
/// Bytes of a body that are shown.
const SHOWN: usize = 64 * 1024;
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ctrl-C ends it and deletes the URL with what arrived, unless --keep says otherwise; the next run \
deletes what a killed one left. It lasts a day at most.

Examples:
  ringback inspect
  ringback inspect --status 202 --body '{\"received\":true}' --header content-type:application/json
  ringback inspect --json | jq .body")]
pub(super) struct Args {
    /// The status that is answered, 200 to 299
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..300))]
    status: u16,
    /// The body that is answered
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// A header that is answered; may be given several times
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// Leave the URL there at the end
    #[arg(long)]
    keep: bool,
    /// End after so many requests
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    #[command(flatten)]
    server: Server,
    /// Print each request as a line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    carried(inspect(&args))
}

async fn inspect(args: &Args) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let acknowledge = acknowledge(args)?;
    let api = args.server.client()?.with_patience(Duration::from_secs(WAIT + 15));
    let now = wiring::clock().now();
    clean(&api, now).await?;
    let made = Made::new(&api, acknowledge, now).await?;
    let seen = tokio::select! {
        seen = made.show(&api, args) => seen,
        () = signals.stop() => Ok(()),
        () = tokio::time::sleep(LASTS) => Err(Failure::Failed("a day has passed".to_owned())),
    };
    if args.keep {
        // Whoever wants it kept does not want the next run to tidy it away.
        made.keep(&api).await?;
        note(&format!("kept: {} (source {})", made.url, made.source));
    } else {
        made.delete(&api).await?;
    }
    seen
}

/// What is answered. Braces would be templates.
fn acknowledge(args: &Args) -> Result<Value, Failure> {
    let mut headers = BTreeMap::new();
    for header in &args.header {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Failure::Usage("--header takes NAME:VALUE".to_owned()));
        };
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    let body = args.body.as_deref().unwrap_or_default().replace('{', "{{").replace('}', "}}");
    Ok(json!({ "status": args.status, "headers": headers, "body": body }))
}

/// Deletes what runs left that were killed.
async fn clean(api: &ApiClient, now: Timestamp) -> Result<(), Failure> {
    let all = listed(api, "/ingest/api/v1/source?order=ascending", SOURCES).await?;
    let is_over = |source: &&Value| {
        let until = source["metadata"][MARK].as_str().and_then(|text| text.parse::<i64>().ok());
        until.is_some_and(|until| until < now.millis())
    };
    for source in all.iter().filter(is_over).filter_map(|source| source["id"].as_str()) {
        delete(api, &format!("/ingest/api/v1/source/{}", path_segment(source))).await?;
        delete(api, &format!("/api/v1/listener/{}", name_of(source))).await?;
    }
    Ok(())
}

/// Deletes what may be gone already.
async fn delete(api: &ApiClient, path: &str) -> Result<(), Failure> {
    let answer = call(api, Method::DELETE, path, None).await?;
    match answer.status.is_success() || answer.status == http::StatusCode::NOT_FOUND {
        true => Ok(()),
        false => Err(refused(&answer)),
    }
}

/// The listener of a source of ours.
fn name_of(source: &str) -> String {
    format!("inspect-{}", source.trim_start_matches("src_"))
}

/// A source and its listener.
struct Made {
    source: String,
    url: String,
    listener: String,
}

impl Made {
    async fn new(api: &ApiClient, acknowledge: Value, now: Timestamp) -> Result<Made, Failure> {
        let until = (now + LASTS + Duration::from_secs(60)).millis().to_string();
        let source = json!({
            "name": "inspect", "type": "generic-webhook", "metadata": { MARK: until },
            "options": {
                "enforce": false, "methods": METHODS, "acknowledge": acknowledge,
                "dedupe": { "by": "none" },
            },
        });
        let source = ask(api, Method::POST, "/ingest/api/v1/source", Some(&source)).await?;
        let id = source["id"].as_str().unwrap_or_default().to_owned();
        let url = source["ingestUrl"].as_str().unwrap_or_default().to_owned();
        let made = Made { listener: name_of(&id), source: id, url };
        let terms = json!({ "sources": [made.source], "from": "start" });
        let path = format!("/api/v1/listener/{}", made.listener);
        if let Err(error) = ask(api, Method::PUT, &path, Some(&terms)).await {
            made.delete(api).await?;
            return Err(error);
        }
        Ok(made)
    }

    /// Shows what arrives, until there was enough.
    async fn show(&self, api: &ApiClient, args: &Args) -> Result<(), Failure> {
        let colours = Colours::of_stdout();
        match args.json {
            true => data(&json!({ "url": self.url, "source": self.source }).to_string())?,
            false => data(&format!("{}{}{}", colours.bold, self.url, colours.end))?,
        }
        let ends = if args.keep { "Ctrl-C ends" } else { "Ctrl-C ends and deletes it" };
        note(&format!("whatever is sent there is shown and answered {}; {ends}", args.status));
        let path = format!("/api/v1/listener/{}/take", self.listener);
        let mut last: Option<String> = None;
        let mut seen = 0;
        loop {
            let what = json!({ "max": 20, "waitSeconds": WAIT, "acknowledge": last });
            let taken = ask(api, Method::POST, &path, Some(&what)).await?;
            for event in taken["events"].as_array().into_iter().flatten() {
                match args.json {
                    true => data(&event.to_string())?,
                    false => data(&page(event, colours))?,
                }
                last = event["id"].as_str().map(str::to_owned);
                seen += 1;
                if args.count.is_some_and(|count| seen >= count) {
                    return Ok(());
                }
            }
        }
    }

    async fn delete(&self, api: &ApiClient) -> Result<(), Failure> {
        delete(api, &format!("/api/v1/listener/{}", self.listener)).await?;
        delete(api, &format!("/ingest/api/v1/source/{}", path_segment(&self.source))).await
    }

    /// Takes the mark away.
    async fn keep(&self, api: &ApiClient) -> Result<(), Failure> {
        delete(api, &format!("/api/v1/listener/{}", self.listener)).await?;
        let path = format!("/ingest/api/v1/source/{}", path_segment(&self.source));
        let source = ask(api, Method::GET, &path, None).await?;
        let kept = json!({
            "name": source["name"], "type": source["type"], "options": source["options"],
            "metadata": {},
        });
        ask(api, Method::PUT, &path, Some(&kept)).await.map(drop)
    }
}

/// A request for people: method and target, headers, body.
fn page(event: &Value, Colours { bold, dim, end, .. }: Colours) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let one_line = |text: &str| printable(&text.replace(['\n', '\r'], " "));
    let target = match text("target") {
        "" => "/",
        target => target,
    };
    let time = one_line(text("receivedAt"));
    let head = format!("{} {}", one_line(text("method")), one_line(target));
    let mut page = format!("\n{bold}{head}{end}  {dim}{time}{end}\n");
    for header in event["headers"].as_array().into_iter().flatten() {
        let part = |index: usize| one_line(header[index].as_str().unwrap_or_default());
        page.push_str(&format!("{dim}{}:{end} {}\n", part(0), part(1)));
    }
    let body = match (event["body"].as_str(), event["bodyBase64"].as_str()) {
        (Some(""), _) | (None, None) => return page.trim_end().to_owned(),
        (Some(body), _) => match serde_json::from_str::<Value>(body) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
            Err(_) => body.to_owned(),
        },
        (None, Some(encoded)) => format!("base64: {encoded}"),
    };
    let shown: String = body.chars().take(SHOWN).collect();
    let cut = if shown.len() < body.len() { "\n… (more; --json shows all)" } else { "" };
    let lines = shown.lines().map(one_line).collect::<Vec<_>>().join("\n");
    format!("{page}\n{lines}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_page() {
        let event = json!({
            "method": "POST", "target": "?a=b", "receivedAt": "2026-01-31T12:00:00Z",
            "headers": [["content-type", "application/json"], ["x-a", "1\u{1b}[2J"]],
            "body": "{\"b\":[1]}",
        });
        let expect = "\nPOST ?a=b  2026-01-31T12:00:00Z\ncontent-type: application/json\nx-a: \
            1\\u{1b}[2J\n\n{\n  \"b\": [\n    1\n  ]\n}";
        assert_eq!(page(&event, Colours::default()), expect);
    }
}
