//! `ringback verify`: what a source would say about a request, without a source.
//!
//! One request with its secret, or a file of known answers. Both are judged by
//! `ringback_domain::provider`, as a source judges. Nothing is fetched: a key that a provider
//! publishes is given.

mod detect;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringback_domain::provider::vector::{self, Answer, Vector, WireRequest};
use ringback_domain::provider::{
    Kind, Provider, Reason, Reply, Settings, State, Strength, Verdict,
};
use ringback_domain::signature::SigningKey;
use ringback_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::providers::{Directory, find};
use super::{Failure, data, note};
use crate::receive::catalog::Catalog;
use crate::terminal::{Colours, printable};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 the request is valid, 1 it is not, 64 a wrong argument. With --vectors: 0 if every \
answer is the one that its vector expects, 1 if one is not.

Without --provider the headers say whose request it looks like, Standard Webhooks among them; \
which one that is, is told.

Examples:
  ringback verify --secret whsec_… --request request.json
  ringback verify --provider github --secret S --request request.json
with {\"method\": \"POST\", \"headers\": {\"x-hub-signature-256\": \"sha256=…\"}, \"body\": \"{}\"}")]
pub(super) struct Args {
    /// Who sent it: an id that `ringback providers` lists [default: whoever its headers look like]
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    #[command(flatten)]
    supplied: Supplied,
    /// The URL as it is registered with the provider, where that is signed [default: the request's]
    #[arg(long, value_name = "URL", conflicts_with = "vectors")]
    public_url: Option<String>,
    /// The request as JSON: method, url, headers, and body or `body_base64`; - is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "vectors")]
    request: Option<PathBuf>,
    /// What the provider publishes and a source would fetch: a certificate, a PEM key or a JWKS
    #[arg(long, value_name = "FILE", conflicts_with = "vectors")]
    key: Option<PathBuf>,
    /// When it arrived, in seconds since 1970 [default: now]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true, conflicts_with = "vectors")]
    now: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Judge a file of known answers instead and print a line of JSON for each; - is standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "request", "set"])]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    directory: Directory,
}

/// What a source would have.
#[derive(Debug, clap::Args)]
pub(super) struct Supplied {
    /// The provider's first setting, usually a secret; several while it is rotated. Better given by
    /// the variable, as arguments are visible to others
    #[arg(long, value_name = "S", env = "RINGBACK_SECRET", hide_env_values = true)]
    secret: Vec<String>,
    /// Another setting of the provider, as `ringback providers show ID` names them
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let catalog = args.directory.catalog()?;
    match (&args.vectors, &args.provider, &args.request) {
        (Some(file), ..) => vectors(&catalog, file),
        (None, provider, Some(file)) => request(&catalog, provider.as_deref(), file, &args),
        _ => Err(Failure::Usage("--request is needed, or --vectors".to_owned())),
    }
}

fn request(
    catalog: &Catalog,
    provider: Option<&str>,
    file: &Path,
    args: &Args,
) -> Result<(), Failure> {
    let named = match provider {
        Some(id) => {
            let provider = find(catalog, id)?.provider;
            let settings = args.supplied.settings(&provider)?;
            Some((provider, settings))
        }
        None => None,
    };
    let request: WireRequest = serde_json::from_str(&read(file)?).map_err(|error| {
        Failure::Usage(format!("{} is not a request as JSON: {error}", file.display()))
    })?;
    let (provider, settings) = match named {
        Some(named) => named,
        None => {
            let provider = detect::provider(catalog, &request)?;
            let settings = args.supplied.settings(&provider)?;
            (provider, settings)
        }
    };
    let document = args.key.as_deref().map(read).transpose()?.map(Arc::from);
    let now = match args.now {
        Some(seconds) => Timestamp(seconds.saturating_mul(1000)),
        None => wiring::clock().now(),
    };
    let judged = request.judge(&provider, &settings, args.public_url.as_deref(), document, now);
    let answer = match judged {
        Ok(answer) => answer,
        Err(error @ vector::Error::Body) => return Err(Failure::Usage(error.to_string())),
        Err(vector::Error::Key(url)) => {
            note(&format!("the key at {url} has to be fetched: do so, and give it with --key"));
            without_key(&provider)
        }
    };
    match args.json {
        true => data(&text_of(&Told::new(&provider, &answer)))?,
        false => data(&line(&provider, &answer, Colours::of_stdout()))?,
    }
    if answer.is_valid() { Ok(()) } else { Err(Failure::Told) }
}

impl Supplied {
    /// The settings that were given; a value that cannot be right is told, and tried all the same.
    pub(super) fn settings(&self, provider: &Provider) -> Result<Settings, Failure> {
        settings(provider, &self.secret, ("--set", &self.set))
    }

    /// Whether no setting is named.
    pub(super) fn is_secret_only(&self) -> bool {
        self.set.is_empty()
    }

    /// The secrets alone; a variable that is there and empty gives none.
    pub(super) fn secrets(&self) -> Vec<&str> {
        self.secret.iter().map(String::as_str).filter(|secret| !secret.is_empty()).collect()
    }
}

/// The settings of a provider that secrets, and pairs of a flag, give; a value that cannot be right
/// is told, and tried all the same.
pub(super) fn settings(
    provider: &Provider,
    secrets: &[String],
    (flag, pairs): (&str, &[String]),
) -> Result<Settings, Failure> {
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A variable that is there and empty gives none.
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let Some(main) = provider.settings.first() else {
            let reason = format!("{} takes no secret: it proves nothing", provider.name);
            return Err(Failure::Usage(reason));
        };
        let (name, value) = match public_key(provider, secret) {
            Some((name, key)) => (name, key),
            None => (main.name.clone(), secret.clone()),
        };
        given.entry(name).or_default().push(value);
    }
    for pair in pairs {
        let Some((typed, value)) = pair.split_once('=') else {
            return Err(Failure::Usage(format!("{flag} takes NAME=VALUE")));
        };
        let Some(name) = vector::setting_for(provider, typed) else {
            let names = provider.settings.iter().map(|one| one.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let reason = format!("{} has no setting {typed:?}: it has {names}", provider.name);
            return Err(Failure::Usage(reason));
        };
        given.entry(name).or_default().push(value.to_owned());
    }
    let mut settings = Settings::new();
    for (name, values) in given {
        let declared = provider.setting(&name);
        for error in values.iter().filter_map(|value| declared?.check(value).err()) {
            note(&format!("no source would take this `{name}`: {error}"));
        }
        settings.set(name, values);
    }
    Ok(settings)
}

/// Keys of Ed25519, as Standard Webhooks write them, are no shared secret: what verifies is the
/// public one.
fn public_key(provider: &Provider, secret: &str) -> Option<(String, String)> {
    let public = match secret {
        public if public.starts_with("whpk_") => public.to_owned(),
        private if private.starts_with("whsk_") => {
            SigningKey::parse(private).ok()?.to_verifying().to_string()
        }
        _ => return None,
    };
    let setting = provider.settings.iter().find(|setting| setting.kind == Kind::PublicKey)?;
    Some((setting.name.clone(), public))
}

/// What a source says while it cannot have the provider's key.
fn without_key(provider: &Provider) -> Answer {
    Answer {
        verdict: Verdict {
            state: State::Failed,
            reason: Some(Reason::KeyUnavailable),
            claims: None,
        },
        reply: provider.refusal(),
        learned: BTreeMap::new(),
        challenge: None,
        event: None,
    }
}

/// The verdict for people.
fn line(provider: &Provider, answer: &Answer, colours: Colours) -> String {
    let Colours { good, bad, dim, end, .. } = colours;
    let name = &provider.name;
    let valid = |what: String| format!("{good}✓ valid{end}  {}", plain(&what));
    let invalid = |code: &str, what: String| {
        format!("{bad}✗ invalid{end}  {dim}{code}{end}  {}", plain(&what))
    };
    let said = match (&answer.verdict.reason, &answer.challenge, answer.verdict.state) {
        (Some(reason), ..) => invalid(reason.code(), reason.to_string()),
        (_, Some(challenge), _) => valid(format!("challenge of {name}: {challenge}")),
        (_, _, State::Verified) if provider.strength == Strength::Partial => {
            valid(format!("signed in part by {name}{}", event(answer)))
        }
        (_, _, State::Verified) => valid(format!("signed by {name}{}", event(answer))),
        (_, _, State::Authenticated) => {
            valid(format!("shared secret of {name}, nothing is signed{}", event(answer)))
        }
        _ => invalid(answer.reason(), format!("{name} proves nothing")),
    };
    let Reply { status, body, .. } = &answer.reply;
    let answered = format!("{status} {}", String::from_utf8_lossy(body));
    format!("{said}  {dim}→ {}{end}", plain(answered.trim_end()))
}

/// Type and id of the event.
fn event(answer: &Answer) -> String {
    let Some(event) = &answer.event else { return String::new() };
    let kind = event.kind.iter().map(|kind| format!(": {kind}"));
    let id = event.id.iter().map(|id| format!(", id {id}"));
    kind.chain(id).collect()
}

/// What comes from the request cannot break the line or steer the terminal.
fn plain(text: &str) -> String {
    printable(&text.replace(['\n', '\r'], " "))
}

/// The verdict for programs.
#[derive(Serialize)]
struct Told<'a> {
    provider: &'a str,
    verdict: &'static str,
    state: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<ToldEvent<'a>>,
    response: Response<'a>,
}

#[derive(Serialize)]
struct ToldEvent<'a> {
    id: Option<&'a str>,
    r#type: Option<&'a str>,
}

/// What is answered to the request.
#[derive(Serialize)]
struct Response<'a> {
    status: u16,
    headers: BTreeMap<&'a str, &'a str>,
    body: std::borrow::Cow<'a, str>,
}

impl<'a> Response<'a> {
    fn new(reply: &'a Reply) -> Self {
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = String::from_utf8_lossy(&reply.body);
        Self { status: reply.status, headers: headers.collect(), body }
    }
}

impl<'a> Told<'a> {
    fn new(provider: &'a Provider, answer: &'a Answer) -> Self {
        Self {
            provider: &provider.id,
            verdict: word(answer),
            state: answer.verdict.state.as_str(),
            reason: answer.reason(),
            detail: answer.verdict.reason.as_ref().map(ToString::to_string),
            challenge: answer.challenge.as_deref(),
            event: answer
                .event
                .as_ref()
                .map(|event| ToldEvent { id: event.id.as_deref(), r#type: event.kind.as_deref() }),
            response: Response::new(&answer.reply),
        }
    }
}

fn word(answer: &Answer) -> &'static str {
    if answer.is_valid() { "valid" } else { "invalid" }
}

/// A file of known answers; each is read by itself, so that one mistake does not hide the others.
#[derive(Deserialize)]
struct File {
    vectors: Vec<Value>,
}

/// One line of the output.
#[derive(Serialize)]
struct Judged<'a> {
    id: &'a str,
    verdict: &'static str,
    reason: &'a str,
    response: Option<Response<'a>>,
}

fn vectors(catalog: &Catalog, file: &Path) -> Result<(), Failure> {
    let text = read(file)?;
    let File { vectors } = serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!("{} is not a file of vectors: {error}", file.display()))
    })?;
    let mut differing = 0;
    let number = vectors.len();
    for (index, vector) in vectors.into_iter().enumerate() {
        let complaints = judge(catalog, index, vector)?;
        differing += usize::from(!complaints.is_empty());
        complaints.iter().for_each(|one| note(one));
    }
    match differing {
        0 => note(&format!("{number} judged, all as expected")),
        _ => note(&format!("{number} judged, {differing} not as expected")),
    }
    if differing == 0 { Ok(()) } else { Err(Failure::Told) }
}

/// Judges one, prints its line, and returns what is not as it expects.
fn judge(catalog: &Catalog, index: usize, vector: Value) -> Result<Vec<String>, Failure> {
    let unable = |id: &str, reason: &str, why: String| {
        data(&text_of(&Judged { id, verdict: "invalid", reason, response: None }))?;
        Ok(vec![format!("{id}: {why}")])
    };
    let id = vector["id"].as_str().map_or_else(|| format!("#{}", index + 1), str::to_owned);
    let vector: Vector = match serde_json::from_value(vector) {
        Ok(vector) => vector,
        Err(error) => {
            return unable(&id, "unreadable", format!("cannot be read: {error}"));
        }
    };
    let id = &vector.id;
    let Some(provider) = catalog.get(&vector.provider) else {
        let why = format!("there is no provider {:?}", vector.provider);
        return unable(id, "unknown_provider", why);
    };
    let (answer, complaints) = match vector.judge(&provider) {
        Ok(answer) => {
            let complaints = vector.differences(&answer);
            (answer, complaints.into_iter().map(|one| format!("{id}: {one}")).collect())
        }
        Err(error @ vector::Error::Body) => return unable(id, "unreadable", error.to_string()),
        Err(error @ vector::Error::Key(_)) => {
            (without_key(&provider), vec![format!("{id}: {error}")])
        }
    };
    let response = Some(Response::new(&answer.reply));
    let (verdict, reason) = (word(&answer), answer.reason());
    data(&text_of(&Judged { id, verdict, reason, response }))?;
    Ok(complaints)
}

/// Reads a file, or the standard input for `-`.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    let unreadable = |error| Failure::Usage(format!("cannot read {}: {error}", file.display()));
    std::fs::read_to_string(file).map_err(unreadable)
}

/// What has only text as keys is always JSON.
pub(super) fn text_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
