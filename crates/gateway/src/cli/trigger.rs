//! `ringback trigger`: what a provider would send, now: a sample of its file or a recorded event, with
//! fields of one's own, signed, to a URL or through a source.

use std::path::PathBuf;
use std::time::Duration;

use ringback_domain::provider::vector::{SignError, WireRequest};
use ringback_domain::provider::{Provider, Settings, Unsignable};
use ringback_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use super::fixture::Fixture;
use super::outward::Target;
use super::providers::{Directory, find};
use super::sample::{sent, signed};
use super::server::{Server, carried, failed, listed, path_segment};
use super::table::table;
use super::verify::settings;
use super::{Failure, data, note};
use crate::api_client::{Answer, ApiClient};
use crate::receive::catalog::Catalog;
use crate::terminal::printable;
use crate::wiring;

/// The most events of one call, and the fastest they go.
const MOST: u32 = 10_000;
const FASTEST: f64 = 1000.0;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
`ringback trigger list` lists the providers with their events, `ringback trigger list stripe` those of \
one.

With --to the request is signed here, with --secret; through a source the server signs it with the \
source's own settings. Without either it goes through the one source of that provider.

--set data.object.amount=5000 sets a field by its path; --set amount=5000 the one field of that name, \
wherever it stands; --set .amount=5000 one at the top. A value is JSON if it reads as such, text \
otherwise.

Examples:
  ringback trigger stripe payment_intent.succeeded --set amount=5000
  ringback trigger github push --to http://localhost:3000/webhooks --secret S
  ringback trigger slack --source my-slack --count 50 --rate 5
  ringback trigger --fixture recorded/invoice.paid-msg_….json --to http://localhost:3000/webhooks --secret S")]
pub(super) struct Args {
    /// Whose event: an id that `ringback providers` lists; or `list`
    #[arg(required_unless_present = "fixture")]
    provider: Option<String>,
    /// Which sample event of the provider's file [default: its first one]
    event: Option<String>,
    /// A field of the body to set; may be given several times
    #[arg(long, value_name = "PATH=VALUE", conflicts_with = "as_recorded")]
    set: Vec<String>,
    /// A recorded event instead of a sample, as `ringback export --format fixture` writes it; - is
    /// standard input
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    fixture: Option<PathBuf>,
    /// Send the recorded event as it was, with its old signature and id
    #[arg(long, requires = "fixture")]
    as_recorded: bool,
    /// Send it to this URL, signed here
    #[arg(long, value_name = "URL", conflicts_with = "source")]
    to: Option<String>,
    /// Send it to this source, by id or uid, signed with the source's settings
    #[arg(long)]
    source: Option<String>,
    /// What --to signs with: the provider's first setting, usually a secret. Better given by the
    /// variable, as arguments are visible to others
    #[arg(long, value_name = "S", env = "RINGBACK_SECRET", hide_env_values = true)]
    secret: Vec<String>,
    /// Another setting that --to signs with, as `ringback providers show ID` names them
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<String>,
    /// With --to, send what cannot be signed without a signature
    #[arg(long, requires = "to")]
    unsigned: bool,
    /// How many, each an event of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// How many a second [default: one after the other]
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Print JSON, a line for each: what was sent and what was answered
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    directory: Directory,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let catalog = args.directory.catalog()?;
    if args.provider.as_deref() == Some("list") {
        return list(&catalog, args.event.as_deref(), args.json);
    }
    if !(1..=MOST).contains(&args.count) {
        return Err(Failure::Usage(format!("--count is 1 to {MOST}")));
    }
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate <= FASTEST)) {
        return Err(Failure::Usage(format!(
            "--rate is more than 0 and at most {FASTEST} a second"
        )));
    }
    let fixture = args.fixture.as_deref().map(Fixture::read).transpose()?;
    let named = args.provider.clone().or_else(|| fixture.as_ref()?.provider.clone());
    let Some(named) = named else {
        let what = "the recorded event does not say whose it is: name its provider";
        return Err(Failure::Usage(what.to_owned()));
    };
    let provider = find(&catalog, &named)?.provider;
    let set = args.set.iter().map(|pair| field(pair)).collect::<Result<Vec<_>, _>>()?;
    let trigger = Trigger { args: &args, provider: &provider, fixture, set };
    carried(trigger.run())
}

/// `data.amount=5000`
fn field(pair: &str) -> Result<(String, Value), Failure> {
    let Some((path, value)) = pair.split_once('=').filter(|(path, _)| !path.is_empty()) else {
        return Err(Failure::Usage("--set takes PATH=VALUE, such as data.amount=5000".to_owned()));
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((path.to_owned(), value))
}

/// Providers with their events.
fn list(catalog: &Catalog, provider: Option<&str>, json: bool) -> Result<(), Failure> {
    let all = match provider {
        Some(id) => vec![find(catalog, id)?.provider],
        None => catalog.entries().into_iter().map(|entry| entry.provider).collect(),
    };
    let events = |provider: &Provider| -> Vec<String> {
        provider.samples.iter().map(|sample| sample.event.clone()).collect()
    };
    if json {
        let line =
            |one: &Provider| json!({ "id": one.id, "name": one.name, "events": events(one) });
        let all: Vec<Value> = all.iter().map(|one| line(one)).collect();
        return Ok(data(&Value::from(all).to_string())?);
    }
    if let ([only], Some(_)) = (all.as_slice(), provider) {
        return Ok(events(only).iter().try_for_each(|event| data(event))?);
    }
    let head = ["PROVIDER", "EVENTS"].map(str::to_owned);
    let rows = all.iter().map(|one| [one.id.clone(), events(one).join(" ")]);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    Ok(data(table(&rows).trim_end())?)
}

struct Trigger<'a> {
    args: &'a Args,
    provider: &'a Provider,
    fixture: Option<Fixture>,
    set: Vec<(String, Value)>,
}

/// Where events go.
enum Way {
    To(Box<Target>, Settings),
    Through(Box<ApiClient>, String),
}

impl Trigger<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let way = self.way().await?;
        let mut refused = 0;
        let pause = self.args.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let mut ticks = pause.map(tokio::time::interval);
        for _ in 0..self.args.count {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            let (event, request, answer) = self.once(&way).await?;
            self.tell(event.as_deref(), &request, &answer)?;
            refused += u32::from(!answer.status.is_success());
        }
        if self.args.count > 1 && !self.args.json {
            let taken = self.args.count - refused;
            note(&format!("{} sent, {taken} taken, {refused} not", self.args.count));
        }
        if refused == 0 { Ok(()) } else { Err(Failure::Told) }
    }

    async fn way(&self) -> Result<Way, Failure> {
        let args = self.args;
        if let Some(url) = &args.to {
            let settings = settings(self.provider, &args.secret, ("--setting", &args.setting))?;
            return Ok(Way::To(Box::new(Target::new(url)?), settings));
        }
        if !args.setting.is_empty() {
            let what = "--setting is for --to: a source signs with settings of its own";
            return Err(Failure::Usage(what.to_owned()));
        }
        let api = args.server.client().map_err(|error| match args.source {
            Some(_) => error,
            None => Failure::Usage(format!(
                "where to? --to URL sends it from here; through a source of a server: {error}"
            )),
        })?;
        let source = match &args.source {
            Some(source) => source.clone(),
            None => self.only_source(&api).await?,
        };
        Ok(Way::Through(Box::new(api), source))
    }

    /// The one source of this provider.
    async fn only_source(&self, api: &ApiClient) -> Result<String, Failure> {
        const LOOKED_THROUGH: usize = 10_000;
        let all = listed(api, "/ingest/api/v1/source?order=ascending", LOOKED_THROUGH).await?;
        let id = &self.provider.id;
        let of_provider = all.iter().filter(|source| source["type"] == id.as_str());
        let ids: Vec<&str> =
            of_provider.filter_map(|one| one["uid"].as_str().or(one["id"].as_str())).collect();
        match ids.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => Err(Failure::Failed(format!(
                "the server has no source of {id}: send it to a URL with --to, or make a source"
            ))),
            several => Err(Failure::Usage(format!(
                "the server has several sources of {id}, choose one with --source: {}",
                several.join(", ")
            ))),
        }
    }

    /// Makes one event and sends it.
    async fn once(&self, way: &Way) -> Result<(Option<String>, WireRequest, Answer), Failure> {
        match way {
            Way::To(target, settings) => {
                let (event, request) = self.made(&target.with(""), settings)?;
                let answer = target.send(&request).await?;
                Ok((event, request, answer))
            }
            Way::Through(api, source) => {
                let (event, request) = match &self.fixture {
                    Some(fixture) if self.args.as_recorded => {
                        let path = format!("/ingest/api/v1/source/{}", path_segment(source));
                        let source =
                            super::server::ask(api, http::Method::GET, &path, None).await?;
                        let url = source["ingestUrl"].as_str().map(str::to_owned);
                        (fixture.event.clone(), WireRequest { url, ..fixture.request.clone() })
                    }
                    _ => {
                        let made = signed(api, source, &self.wanted()?).await?;
                        (made.event, made.request)
                    }
                };
                let answer = sent(api, &request).await?;
                Ok((event, request, answer))
            }
        }
    }

    /// What a source is asked to sign.
    fn wanted(&self) -> Result<Value, Failure> {
        let set: Map<String, Value> = self.set.iter().cloned().collect();
        let Some(fixture) = &self.fixture else {
            return Ok(json!({ "event": self.args.event, "set": set }));
        };
        let request = self.anew(&fixture.request)?;
        let body = request.body_base64.is_none().then_some(&request.body);
        Ok(json!({
            "event": fixture.event, "set": set, "headers": request.headers,
            "body": body, "bodyBase64": request.body_base64,
        }))
    }

    /// A recorded request as another event.
    fn anew(&self, request: &WireRequest) -> Result<WireRequest, Failure> {
        let random = u64::from_be_bytes(wiring::entropy().bytes());
        let mut request = self.provider.renewed(request.clone(), random);
        request.headers.retain(|name, _| !self.provider.is_proof(&name.to_ascii_lowercase()));
        Ok(request)
    }

    /// One request to a URL, signed now.
    fn made(
        &self,
        url: &str,
        settings: &Settings,
    ) -> Result<(Option<String>, WireRequest), Failure> {
        let random = u64::from_be_bytes(wiring::entropy().bytes());
        let (event, mut request) = match &self.fixture {
            Some(fixture) => {
                let request = match self.args.as_recorded {
                    true => fixture.request.clone(),
                    false => self.anew(&fixture.request)?,
                };
                (fixture.event.clone(), WireRequest { url: Some(url.to_owned()), ..request })
            }
            None => {
                let wanted = self.args.event.as_deref();
                let sample = self.provider.sample(wanted).ok_or_else(|| self.no_event())?;
                (Some(sample.event.clone()), self.provider.request_of(sample, url, random))
            }
        };
        if self.args.as_recorded {
            return Ok((event, request));
        }
        for (path, value) in &self.set {
            let set = request.set(path, value);
            request = set.map_err(|error| Failure::Usage(format!("--set: {error}")))?;
        }
        let now: Timestamp = wiring::clock().now();
        let id = format!("sample_{random:016x}");
        match request.sign(self.provider, settings, None, &id, now) {
            Ok(signed) => Ok((event, signed)),
            Err(SignError::Provider(Unsignable::NoScheme)) => Ok((event, request)),
            Err(SignError::Provider(_)) if self.args.unsigned => Ok((event, request)),
            Err(SignError::Provider(error)) => Err(self.unsignable(&error)),
            Err(error) => Err(failed(&error)),
        }
    }

    fn no_event(&self) -> Failure {
        let known: Vec<_> = self.provider.samples.iter().map(|one| one.event.as_str()).collect();
        Failure::Usage(format!("there is no such event: there is {}", known.join(", ")))
    }

    fn unsignable(&self, error: &Unsignable) -> Failure {
        let Provider { id, name, .. } = self.provider;
        let next = match error {
            Unsignable::Missing(_) | Unsignable::Settings(_) => format!(
                "give it with --secret or --setting (`ringback providers show {id}` says which)"
            ),
            _ => "--unsigned sends it without a signature".to_owned(),
        };
        Failure::Usage(format!("{name} cannot be signed: {error}; {next}"))
    }

    fn tell(
        &self,
        event: Option<&str>,
        request: &WireRequest,
        answer: &Answer,
    ) -> Result<(), Failure> {
        let body = String::from_utf8_lossy(&answer.body);
        let url = request.url.as_deref().unwrap_or_default();
        if self.args.json {
            let headers = answer.headers.iter();
            let headers: Map<String, Value> = headers
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
                })
                .collect();
            let line = json!({
                "provider": self.provider.id, "event": event, "request": request,
                "response": { "status": answer.status.as_u16(), "headers": headers, "body": body },
            });
            return Ok(data(&line.to_string())?);
        }
        let what = event.unwrap_or("event");
        note(&printable(&format!(
            "sent {what} of {} to {url}: {}",
            self.provider.id, answer.status
        )));
        if !body.is_empty() {
            data(&printable(&body))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_if_it_reads_as_such() {
        for (pair, path, value) in [
            ("a.b=5000", "a.b", json!(5000)),
            ("a=x=y", "a", json!("x=y")),
            ("a=\"5\"", "a", json!("5")),
            ("a=", "a", json!("")),
            ("a={\"b\":1}", "a", json!({ "b": 1 })),
        ] {
            assert_eq!(field(pair).unwrap(), (path.to_owned(), value));
        }
        assert!(field("a").is_err() && field("=a").is_err());
    }
}
