//! `ringback sign` and `ringback providers sign`: a provider's file run backwards, and the headers of
//! Standard Webhooks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringback_domain::provider::Provider;
use ringback_domain::provider::vector::WireRequest;
use ringback_domain::signature::{SigningKey, signature_header};
use ringback_domain::time::Timestamp;

use super::curl::{command, quoted};
use super::providers::{Directory, find};
use super::server::failed;
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
    making: Making,
}

/// `ringback sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --provider the headers are those of Standard Webhooks: HMAC with a secret (whsec_…), Ed25519 \
with a private key (whsk_…); with several, one signature each.

Examples:
  ringback sign --secret whsec_… --body event.json
  echo '{}' | ringback sign --secret whsk_… --body - --url http://localhost:3000/hook --curl | sh
  ringback sign --provider github --secret S --body event.json --header 'x-github-event: push' --json")]
pub(super) struct TopArgs {
    /// In whose style: an id that `ringback providers` lists [default: Standard Webhooks]
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    #[command(flatten)]
    making: Making,
    /// The message's id [default: a random one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Print the whole request as JSON, not only its headers
    #[arg(long, conflicts_with = "curl")]
    json: bool,
}

/// What is signed, and with what.
#[derive(Debug, clap::Args)]
struct Making {
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
    let signed = args.making.signed(&args.provider, None)?;
    Ok(if args.making.curl { data(&line(&signed)?) } else { data(&text_of(&signed)) }?)
}

pub(super) fn run_top(args: TopArgs) -> Result<(), Failure> {
    let signed = match &args.provider {
        Some(provider) => args.making.signed(provider, args.id.as_deref())?,
        None => args.making.standard(args.id.as_deref())?,
    };
    if args.making.curl {
        return Ok(data(&line(&signed)?)?);
    }
    if args.json {
        return Ok(data(&text_of(&signed))?);
    }
    Ok(signed.headers.iter().try_for_each(|(name, value)| data(&format!("{name}: {value}")))?)
}

impl Making {
    /// The request, signed as a provider signs.
    fn signed(&self, provider: &str, id: Option<&str>) -> Result<WireRequest, Failure> {
        let provider = find(&self.directory.catalog()?, provider)?.provider;
        let settings = self.supplied.settings(&provider)?;
        let random = u64::from_be_bytes(wiring::entropy().bytes());
        let request = request(self, &provider, random)?;
        let made = format!("sample_{random:016x}");
        request.sign(&provider, &settings, None, id.unwrap_or(&made), self.time()).map_err(
            |error| Failure::Failed(format!("{} cannot be signed: {error}", provider.name)),
        )
    }

    /// The request with the headers of Standard Webhooks.
    fn standard(&self, id: Option<&str>) -> Result<WireRequest, Failure> {
        let usage = |what: &str| Failure::Usage(what.to_owned());
        if !self.supplied.is_secret_only() {
            return Err(usage("--set names settings of a provider: say which with --provider"));
        }
        if self.body.is_none() && self.request.is_none() {
            return Err(usage("what is to be signed? --body FILE, where - is standard input"));
        }
        let secrets = self.supplied.secrets();
        if secrets.is_empty() {
            return Err(usage("--secret is needed: whsec_… (HMAC) or whsk_… (Ed25519)"));
        }
        let keys = secrets.into_iter().map(SigningKey::parse).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| Failure::Usage(format!("--secret: {error}")))?;
        let catalog = self.directory.catalog()?;
        let mut request = request(self, &find(&catalog, "standard-webhooks")?.provider, 0)?;
        let body = request.bytes().map_err(|error| usage(&error.to_string()))?;
        let id = match id {
            Some(id) if id.is_empty() || id.contains('.') => {
                return Err(usage(
                    "--id: an id is not empty and has no dot, which ends it in what is signed",
                ));
            }
            Some(id) => id.to_owned(),
            None => format!("msg_{:032x}", u128::from_be_bytes(wiring::entropy().bytes())),
        };
        let seconds = self.time().seconds();
        let signature = signature_header(&keys, &id, seconds, &body);
        let made = [("id", id), ("timestamp", seconds.to_string()), ("signature", signature)];
        let made = made.map(|(name, value)| (format!("webhook-{name}"), value));
        request.headers.extend(made);
        Ok(request)
    }

    fn time(&self) -> Timestamp {
        match self.now {
            Some(seconds) => Timestamp(seconds.saturating_mul(1000)),
            None => wiring::clock().now(),
        }
    }
}

/// What is to be signed.
fn request(args: &Making, provider: &Provider, random: u64) -> Result<WireRequest, Failure> {
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

/// The request as a command line.
fn line(request: &WireRequest) -> Result<String, Failure> {
    let url = quoted(request.url.as_deref().unwrap_or_default());
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = request.bytes().map_err(|error| failed(&error))?;
    Ok(command(&request.method, &url, headers, &body))
}
