//! `ringback export`: messages as they came, in forms that other tools read.

mod curl;
mod har;

use std::path::PathBuf;

use clap::ValueEnum;
use http::Method;
use serde_json::{Value, json};

use super::fixture::{Fixture, url_of, write};
use super::replay::request_of;
use super::selection::{Found, Selection};
use super::server::{Server, ask, carried, listed, path_segment};
use super::{Failure, data, note};
use crate::api_client::ApiClient;

/// Attempts of a message that are exported.
const ATTEMPTS: usize = 1000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
curl: a shell script that sends them to its first argument. har: an HTTP archive, with an entry for \
each attempt and what was answered. jsonl: a line of JSON each, with everything that is kept. fixture: \
a folder of files for `ringback trigger --fixture`. Bodies keep their bytes: what is no text is base64.

Headers are those that are kept of a message: no secrets, no cookies. What is exported holds the data \
of the events themselves: mind where it lies.

Examples:
  ringback export msg_1srOrx2ZWZBpBUvZwXKQmoEYga2 --format curl | sh -s http://localhost:3000/webhooks
  ringback export --source github --since 3d --format fixture --out recorded
  ringback export --app acme --since 2h --status failed --format har --out failed.har")]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file to write, or the folder for fixtures [default: standard output; for fixtures:
    /// fixtures]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
    /// Print what was written as JSON; with --out, or for fixtures
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Curl,
    Har,
    Jsonl,
    Fixture,
}

/// A message with everything that is exported of it.
struct Exported {
    found: Found,
    /// As the API gives it.
    content: Value,
    /// The oldest first; only for archives.
    attempts: Vec<Value>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    if args.json && args.out.is_none() && args.format != Format::Fixture {
        let what = "--json tells what was written to --out; --format jsonl writes JSON lines";
        return Err(Failure::Usage(what.to_owned()));
    }
    let exported = carried(export(&args))?;
    let gone = exported.iter().filter(|one| one.content["expired"] == true).count();
    if gone > 0 {
        note(&format!("{gone} of them are no longer kept with their content, and are left out"));
    }
    let exported: Vec<Exported> =
        exported.into_iter().filter(|one| one.content["expired"] != true).collect();
    let text = match args.format {
        Format::Fixture => return fixtures(&args, &exported),
        Format::Curl => curl::script(&exported)?,
        Format::Har => har::archive(&exported)?.to_string() + "\n",
        Format::Jsonl => exported.iter().map(|one| line(one).to_string() + "\n").collect(),
    };
    let Some(path) = &args.out else {
        return match text.trim_end() {
            "" => Ok(()),
            text => Ok(data(text)?),
        };
    };
    write(path, &text)?;
    told(&args, exported.len(), &[path.display().to_string()])
}

fn told(args: &Args, messages: usize, files: &[String]) -> Result<(), Failure> {
    if args.json {
        let told = json!({ "messages": messages, "files": files });
        return Ok(data(&told.to_string())?);
    }
    let place = match files {
        [only] => only.clone(),
        several => format!("{} files", several.len()),
    };
    note(&format!("{messages} exported to {place}"));
    Ok(())
}

async fn export(args: &Args) -> Result<Vec<Exported>, Failure> {
    let api = args.server.client()?;
    let mut exported = Vec::new();
    for found in args.selection.find(&api).await? {
        exported.push(one(&api, found, args.format).await?);
    }
    Ok(exported)
}

async fn one(api: &ApiClient, found: Found, format: Format) -> Result<Exported, Failure> {
    let (app, id) = (path_segment(&found.app), path_segment(&found.id));
    let path = format!("/api/v1/app/{app}/msg/{id}/content");
    let content = ask(api, Method::GET, &path, None).await?;
    let mut attempts = Vec::new();
    if format == Format::Har {
        let path = format!("/api/v1/app/{app}/attempt/msg/{id}?with_content=true");
        attempts = listed(api, &path, ATTEMPTS).await?;
        attempts.reverse();
    }
    Ok(Exported { found, content, attempts })
}

/// Everything that is kept, on one line.
fn line(one: &Exported) -> Value {
    let mut line = one.content.clone();
    line["provider"] = json!(one.found.provider);
    line["appId"] = json!(one.found.app);
    line
}

fn fixtures(args: &Args, exported: &[Exported]) -> Result<(), Failure> {
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("fixtures"));
    let mut files = Vec::new();
    for one in exported {
        let text = |name: &str| one.content[name].as_str().map(str::to_owned);
        let url = text("target").as_deref().and_then(url_of);
        let fixture = Fixture {
            provider: one.found.provider.clone(),
            event: text("eventType"),
            id: text("id"),
            received_at: text("timestamp"),
            request: request_of(&one.content, url)?,
        };
        let path = fixture.write(&folder)?;
        if !args.json {
            data(&path.display().to_string())?;
        }
        files.push(path.display().to_string());
    }
    if args.json { told(args, exported.len(), &files) } else { Ok(()) }
}
