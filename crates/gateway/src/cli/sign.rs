//! `ringback providers sign`: a provider's file run backwards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringback_domain::provider::Provider;
use ringback_domain::provider::vector::WireRequest;
use ringback_domain::time::Timestamp;

use super::providers::{Directory, find};
use super::verify::{Supplied, read, text_of};
use super::{Failure, data};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --body and --request it is the first sample event of the provider's file.

Example: ringback providers sign stripe --secret whsec_made-up --url http://127.0.0.1:3000/hook --curl | sh")]
pub(super) struct Args {
    /// Whose style: an id that `ringback providers` lists
    provider: String,
    #[command(flatten)]
    supplied: Supplied,
    /// The body, byte for byte; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "event"])]
    body: Option<PathBuf>,
    /// A request that was captured, as `ringback verify` takes it: it is signed anew; - is standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event", "header"])]
    request: Option<PathBuf>,
    /// Which sample event of the provider's file
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// A header beside those that are made
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// Where it goes, for providers that sign the URL [default: the request's, or one of
    /// this host]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// When it is signed, in seconds since 1970 [default: now]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Print a command line for a shell instead of JSON
    #[arg(long)]
    curl: bool,
    #[command(flatten)]
    directory: Directory,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let provider = find(&args.directory.catalog()?, &args.provider)?.provider;
    let settings = args.supplied.settings(&provider)?;
    let random = u64::from_be_bytes(wiring::entropy().bytes());
    let request = request(&args, &provider, random)?;
    let now = match args.now {
        Some(seconds) => Timestamp(seconds.saturating_mul(1000)),
        None => wiring::clock().now(),
    };
    let id = format!("sample_{random:016x}");
    let signed = request
        .sign(&provider, &settings, None, &id, now)
        .map_err(|error| Failure::Failed(format!("{} cannot be signed: {error}", provider.name)))?;
    Ok(if args.curl { data(&curl(&signed)?) } else { data(&text_of(&signed)) }?)
}

/// What is to be signed.
fn request(args: &Args, provider: &Provider, random: u64) -> Result<WireRequest, Failure> {
    const NOWHERE: &str = "https://localhost/";
    let url = || args.url.clone().unwrap_or_else(|| NOWHERE.to_owned());
    let mut request = match (&args.request, &args.body) {
        (Some(file), _) => {
            let request: WireRequest = serde_json::from_str(&read(file)?).map_err(|error| {
                Failure::Usage(format!("{} is not a request as JSON: {error}", file.display()))
            })?;
            let url = args.url.clone().or(request.url.clone()).unwrap_or_else(url);
            WireRequest { url: Some(url), ..request }
        }
        (None, Some(file)) => WireRequest {
            method: "POST".to_owned(),
            url: Some(url()),
            headers: BTreeMap::new(),
            body: read(file)?,
            body_base64: None,
        },
        (None, None) => {
            let sample = provider.sample(args.event.as_deref()).ok_or_else(|| {
                let known: Vec<_> = provider.samples.iter().map(|one| one.event.as_str()).collect();
                Failure::Usage(format!("there is no such event: there is {}", known.join(", ")))
            })?;
            provider.request_of(sample, &url(), random)
        }
    };
    for header in &args.header {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Failure::Usage("--header takes NAME:VALUE".to_owned()));
        };
        request.headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(request)
}

/// The request as a command line; a body that is no text has none.
fn curl(request: &WireRequest) -> Result<String, Failure> {
    if request.body_base64.is_some() {
        return Err(Failure::Usage("a body that is not text has no command line".to_owned()));
    }
    let url = request.url.as_deref().unwrap_or_default();
    let mut line = format!("curl -X {} {}", quoted(&request.method), quoted(url));
    for (name, value) in &request.headers {
        line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    line.push_str(&format!(" --data-binary {}", quoted(&request.body)));
    Ok(line)
}

/// One word for a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_word() {
        assert_eq!(quoted("it's; `x` $y"), r"'it'\''s; `x` $y'");
    }
}
