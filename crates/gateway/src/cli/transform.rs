//! `ringback transform run`: what a transformation makes of an event, here, without a server.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use ringback_domain::time::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::{
    Failure, data, note,
    verify::{read, text_of},
};
use crate::{
    telemetry::metrics::Metrics,
    transform::{Call, Entry, Made, Sandbox, Settings, Webhook, this_program},
    wiring,
};

/// `ringback transform`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what a program makes of an event
    Run(Args),
}

/// `ringback transform run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The program defines handler(webhook), and runs with the limits that it has in a server: \
docs/transformations.md. What it logs goes to the standard error.

Examples:
  ringback transform run handler.js --event paid.json --type invoice.paid
  echo '{\"amount\": 250}' | ringback transform run handler.js --event - --env TEAM=shop --json")]
pub(super) struct Args {
    /// The program; - is standard input
    #[arg(value_name = "FILE")]
    program: PathBuf,
    /// The payload, as JSON; - is standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// What happened
    #[arg(long = "type", value_name = "EVENT_TYPE", default_value = "example")]
    event_type: String,
    /// A variable, which the program finds in webhook.env
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Where the message goes
    #[arg(long, value_name = "URL", default_value = "https://example.com/")]
    url: String,
    /// Print JSON: method, URL, headers, body
    #[arg(long)]
    json: bool,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Run(args) = command;
    let (program, payload) = (read(&args.program)?, read(&args.event)?);
    if let Err(error) = serde_json::from_str::<&serde_json::value::RawValue>(&payload) {
        return Err(Failure::Usage(format!("--event: it is no JSON: {error}")));
    }
    let variables = args.env.iter().cloned().collect();
    let webhook = Webhook {
        url: &args.url,
        event_type: &args.event_type,
        content_type: None,
        payload: payload.trim().as_bytes(),
        variables: &variables,
    };
    let now = wiring::clock().now();
    let made = make(&webhook, program.into(), now);
    let made = made.map_err(|failure| Failure::Failed(failure.to_string()))?;
    Ok(show(&args, made)?)
}

fn make(
    webhook: &Webhook<'_>,
    program: Arc<str>,
    at: Timestamp,
) -> Result<Made, Box<dyn std::error::Error>> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let settings = Settings { program: this_program()?, children: 1, waiting: 1 };
    let sandbox = Sandbox::new(settings, runtime.handle().clone(), Metrics::new());
    let entry = Entry::Handler;
    let call = Call { tenant: 0, program, entry, input: webhook.input()?, at, seed: 0 };
    let ran = runtime.block_on(sandbox.run(call))?;
    ran.log.lines().for_each(note);
    Ok(webhook.read(&ran.output)?)
}

fn show(args: &Args, made: Made) -> std::io::Result<()> {
    made.notes.lines().for_each(note);
    if made.cancel {
        note("nothing is sent: the program sets cancel");
        return if args.json { data("null") } else { Ok(()) };
    }
    let Made { method, url, body, content_type, headers, .. } = made;
    let url = url.as_deref().unwrap_or(&args.url);
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    let mut headers: BTreeMap<String, String> = headers.into_iter().collect();
    headers.entry("content-type".to_owned()).or_insert(content_type);
    let body = String::from_utf8_lossy(&body);
    if args.json {
        let request: Value = json!({ "method": method.as_str(), "url": url, "headers": headers,
            "body": body });
        return data(&text_of(&request));
    }
    data(&format!("{method} {url}"))?;
    headers.iter().try_for_each(|(name, value)| data(&format!("{name}: {value}")))?;
    data("")?;
    data(&body)
}
