//! `ringback listen`: what arrives at sources comes to this machine, over one connection that it opens.
//!
//! In reading order: the server is told who listens and to what (here), the connection is kept
//! ([`link`], speaking [`frame`] through [`wire`]), what comes is taken down ([`book`]), handed over
//! ([`work`] to [`forward`] or [`exec`]) and acknowledged ([`session`]). [`face`] tells whoever looks.
//!
//! An event is acknowledged when localhost has answered, whatever it says, or the program has ended.
//! Until then it is the server's, which keeps it through a restart of either side.

mod backoff;
mod book;
mod event;
mod exec;
mod face;
mod forward;
mod frame;
mod line;
mod lines;
mod link;
mod name;
mod record;
mod resign;
#[cfg(test)]
mod sample;
mod screen;
mod secure;
mod session;
mod status;
mod wire;
mod work;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use url::Url;

use super::providers::Directory;
use super::server::{Server, carried, failed, path_segment, refused, unanswered};
use super::{Failure, note, span};
use crate::api_client::{Answer, ApiClient, CallError};
use crate::outbound::SystemNetwork;
use crate::terminal::{Colours, printable};
use crate::wiring;
use exec::Exec;
use face::Face;
use forward::Forward;
use lines::{Lines, Print};
use link::Link;
use resign::Signer;
use screen::{Screen, ScreenHead};
use secure::Secure;
use session::{Ends, Session, Terms};
use work::{Pace, Taker, Worker};

/// What is heard and not yet taken down; the server's window bounds what follows.
const HEARD: usize = 64;
/// How often a request is made whose answer is lost on its way.
const TRIES: u32 = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Several sources can be listened to at once, and all of them by naming none. Events wait at the server \
while nobody listens, and while nothing answers on localhost.

Examples: ringback listen github --forward http://localhost:3000/webhooks
          ringback listen github stripe --events push,invoice.* --exec ./handle.sh
          ringback listen --print json --once 1")]
pub(super) struct Args {
    /// Sources, by id or uid [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Where each event goes: its path is kept, the event's query is appended
    #[arg(long, value_name = "URL", conflicts_with = "exec")]
    forward: Option<Url>,
    /// A program to run for each event, with its arguments: no shell, the body is its input
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<OsString>,
    /// The same behind two dashes
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["forward", "exec"])]
    command: Vec<OsString>,
    /// At most so many events under way at a time; more than one gives up their order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Name of the place to go on from [default: user, machine and sources]
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    name: Option<String>,
    /// Share the events with everybody who names the same group: each goes to one of them
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only events of these types, such as push or invoice.*
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Vec<String>,
    /// Only events that this filter lets through (docs/filters.md)
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// Only events whose sender is proven
    #[arg(long)]
    verified_only: bool,
    /// Where to begin: now, start, a time (RFC 3339), a length of time ago (2h), or an event's id
    /// [default: where it was left, now the first time]
    #[arg(long, value_name = "WHERE", conflicts_with = "skip")]
    since: Option<String>,
    /// Drop what waits, and begin now
    #[arg(long)]
    skip: bool,
    /// Sign each event anew, as its provider does, with this secret and the present time
    #[arg(long, value_name = "SECRET", requires = "forward")]
    re_sign: Option<String>,
    /// A header that is set in every request to localhost
    #[arg(long, value_name = "NAME:VALUE", requires = "forward", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// How long localhost or the program may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span::parse)]
    timeout: Duration,
    /// Give an event up that nobody takes for so long [default: never; in a group it goes to
    /// somebody else after 10s]
    #[arg(long, value_name = "AFTER", value_parser = span::parse)]
    give_up: Option<Duration>,
    /// Let localhost's answer be the one that the provider gets
    #[arg(long, requires = "forward")]
    answer: bool,
    /// Write each event into a file of this directory, as `ringback verify --request` takes it
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// How events are shown [default: an interactive screen on a terminal, compact elsewhere]
    #[arg(long, value_name = "HOW")]
    print: Option<Print>,
    /// The same as --print json
    #[arg(long, conflicts_with = "print")]
    json: bool,
    /// Take any certificate from an https URL of --forward
    #[arg(long, requires = "forward")]
    insecure: bool,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    once: Option<u64>,
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    carried(listen(args))
}

async fn listen(args: Args) -> Result<(), Failure> {
    let clock = wiring::clock();
    let taker = Arc::new(args.taker()?);
    let signer = match &args.re_sign {
        Some(secret) => Some(Signer::new(args.directory.catalog()?, secret.clone())),
        None => None,
    };
    let api = args.server.client()?;
    let name = args.listener();
    let listener = registered(&api, &name, &args, clock.now()).await?;

    let head = ScreenHead {
        server: api.base().as_str().trim_end_matches('/').to_owned(),
        name: name.clone(),
        takes: args.takes(),
        forward: args.forward.clone(),
    };
    let (checkpoint, place) = watch::channel(None);
    let (outbox, said) = mpsc::unbounded_channel();
    let (told, heard) = mpsc::channel(HEARD);
    let (pace, going) = watch::channel(Pace::Going);
    let (notices, noticed) = mpsc::unbounded_channel();
    let link = Link {
        api,
        listener,
        client: format!("ringback/{} {}", env!("CARGO_PKG_VERSION"), host()),
        clock: Arc::clone(&clock),
        entropy: wiring::entropy(),
        checkpoint: place,
        outbox: said,
        told,
        is_moved: false,
    };
    let worker = Worker {
        taker,
        give_up: args.give_up,
        is_shared: args.group.is_some(),
        entropy: wiring::entropy(),
        pace: going,
        notices,
    };
    let terms = Terms {
        is_shared: args.group.is_some(),
        answers: args.answer,
        concurrency: usize::from(args.concurrency),
        once: args.once,
        record: args.record.clone(),
        forward: args.forward.clone(),
        takes: args.takes(),
    };
    let face = args.face(head)?;
    let ends = Ends { pace, checkpoint, outbox };
    Session::new(terms, worker, signer, clock, face, ends).run(link, heard, noticed).await
}

impl Args {
    fn taker(&self) -> Result<Taker, Failure> {
        let Some(url) = &self.forward else {
            return Ok(match self.program() {
                [] => Taker::Nobody,
                words => Taker::Exec(Exec::new(words.to_vec(), self.timeout)),
            });
        };
        let secure = match url.scheme() {
            "http" => None,
            "https" if self.insecure => Some(Secure::anybody().map_err(|error| failed(&error))?),
            "https" => Some(Secure::checked().map_err(|error| failed(&error))?),
            _ => {
                let reason = format!("--forward takes http and https URLs, not {url}");
                return Err(Failure::Usage(printable(&reason)));
            }
        };
        let network = SystemNetwork::new(&[], tokio::runtime::Handle::current());
        let network = Arc::new(network.map_err(|error| failed(&error))?);
        let headers = self.header.clone();
        Ok(Taker::Forward(Forward::new(url.clone(), headers, network, secure, self.timeout)))
    }

    /// The program with its arguments; none if there is to be none.
    fn program(&self) -> &[OsString] {
        if self.exec.is_empty() { &self.command } else { &self.exec }
    }

    /// Who takes events, in words.
    fn takes(&self) -> String {
        match (&self.forward, self.program().first()) {
            (Some(url), _) => format!("forwarding to {url}"),
            (None, Some(program)) => format!("running {}", program.to_string_lossy()),
            (None, None) => "only showing".to_owned(),
        }
    }

    fn listener(&self) -> String {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        let named = self.group.clone().or_else(|| self.name.clone());
        named.unwrap_or_else(|| name::default(&user, &host(), &self.sources))
    }

    fn face(&self, head: ScreenHead) -> Result<Face, Failure> {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        let print = self.print.or(self.json.then_some(Print::Json));
        if let (None, true) = (print, is_terminal) {
            return Ok(Face::Screen(Box::new(Screen::open(head)?)));
        }
        let (print, colours) = (print.unwrap_or(Print::Compact), Colours::of_stdout());
        Ok(Face::Lines(Lines { print, colours }))
    }
}

/// Tells the server who listens, and to what; the listener's id.
async fn registered(
    api: &ApiClient,
    name: &str,
    args: &Args,
    now: ringback_domain::time::Timestamp,
) -> Result<String, Failure> {
    let filter = match &args.filter {
        None => Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::Usage(format!("--filter is not JSON: {error}")))?,
    };
    let begin = match &args.since {
        _ if args.skip => Some("now".to_owned()),
        // The server knows the times, and not the lengths of time.
        Some(since) => Some(span::ago(since, now).map_or(since.clone(), |begin| begin.to_string())),
        None => None,
    };
    let mut terms = json!({
        "sources": args.sources,
        "eventTypes": args.events,
        "filter": filter,
        "verifiedOnly": args.verified_only,
        "shared": args.group.is_some(),
        "answers": args.answer,
    });
    if let Some(begin) = &begin {
        terms["from"] = json!(begin);
    }
    let path = format!("/api/v1/listener/{}", path_segment(name));
    let answer = called(api, Method::PUT, &path, &terms).await?;
    if !answer.status.is_success() {
        return Err(refused(&answer));
    }
    let listener = answer.json();
    let Some(id) = listener["id"].as_str() else {
        return Err(Failure::Failed("the server's answer names no listener".to_owned()));
    };
    let was_there = answer.status != http::StatusCode::CREATED;
    if let (true, Some(begin)) = (was_there, &begin) {
        let path = format!("/api/v1/listener/{}/seek", path_segment(id));
        let answer = called(api, Method::POST, &path, &json!({ "to": begin })).await?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
    }
    Ok(id.to_owned())
}

/// Asks for what may be asked for twice: again, where the answer is lost on its way.
async fn called(
    api: &ApiClient,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Answer, Failure> {
    let mut tries = 1;
    loop {
        let body = Some(body.to_string().into());
        match api.call(method.clone(), path, body).await {
            Ok(answer) => return Ok(answer),
            Err(error @ (CallError::Broken(..) | CallError::TimedOut(..))) if tries < TRIES => {
                note(&format!("{error}; asking again"));
                tries += 1;
            }
            Err(error) => return Err(unanswered(&error)),
        }
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let pair = text.split_once(':');
    let (name, value) = pair.ok_or_else(|| "it takes NAME:VALUE".to_owned())?;
    let name = name.trim().parse::<HeaderName>().map_err(|error| error.to_string())?;
    let value = value.trim().parse::<HeaderValue>().map_err(|error| error.to_string())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        let (name, value) = header("X-Test: a:b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-test", "a:b"));
        for wrong in ["x-test", "x test: a", "x-test: a\nb", ":a"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
