//! NATS: an event becomes a message, kept by JetStream unless it is not wanted.
//!
//! What a publisher needs of the protocol is a few lines of text
//! (<https://docs.nats.io/reference/reference-protocols/nats-protocol>), so they are written out here.
//! A message to JetStream is a request, and its answer says that it is stored. Without JetStream there
//! is no answer, but the server handles what it is sent in order: who gets a `PONG` knows that what was
//! sent before the `PING` has arrived and was not refused.

use bytes::Bytes;
use ringback_domain::destination::Problem;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;

use crate::dial::{Link, Stream, dial, is_quiet, protect};
use crate::settings::problem;
use crate::spare::Spare;
use crate::{Handed, Place, Protocol, Refused, Settings};

/// The longest line of the server's, in bytes; the first one names every server of a cluster.
const LINE: u64 = 256 * 1024;
/// The largest answer of JetStream's, in bytes.
const ANSWER: usize = 64 * 1024;

/// Subjects of somebody's server.
pub(crate) struct Nats {
    place: Place,
    /// TLS is asked for, whether or not the server does.
    must_protect: bool,
    tls: TlsConnector,
    proof: Proof,
    jetstream: bool,
    spare: Spare<Session>,
}

/// Who this is.
#[derive(Serialize)]
struct Proof {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<String>,
}

/// What the server says of itself.
#[derive(Deserialize)]
struct Info {
    max_payload: usize,
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    headers: bool,
}

/// What a client says of itself.
#[derive(Serialize)]
struct Connect<'a> {
    #[serde(flatten)]
    proof: &'a Proof,
    verbose: bool,
    pedantic: bool,
    tls_required: bool,
    name: &'a str,
    lang: &'a str,
    version: &'a str,
    protocol: u8,
    headers: bool,
    no_responders: bool,
}

const SCHEMES: &[(&str, u16)] = &[("nats", 4222), ("tls", 4222)];

impl Protocol for Nats {
    fn place(settings: Settings<'_>) -> Result<Place, Problem> {
        settings.url("url", SCHEMES).map(|(_, place)| place)
    }

    fn open(settings: Settings<'_>) -> Result<Nats, Problem> {
        let (url, place) = settings.url("url", SCHEMES)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("url", "must not hold credentials"));
        }
        let given = |name| settings.get(name).map(str::to_owned);
        let proof =
            Proof { user: given("user"), pass: given("password"), auth_token: given("token") };
        if proof.user.is_none() && proof.pass.is_some() {
            return Err(problem("user", "is missing: there is a password"));
        }
        let must_protect = url.scheme() == "tls";
        let (tls, jetstream) = (settings.tls()?, settings.is("jetStream", true)?);
        Ok(Nats { place, must_protect, tls, proof, jetstream, spare: Spare::new() })
    }

    async fn deliver(&self, event: &Handed) -> Result<String, Refused> {
        let message = Message::of(event)?;
        let mut session = match self.spare.take(|session| is_quiet(&mut session.link)) {
            Some(session) => session,
            None => self.connect().await?,
        };
        message.check(session.largest)?;
        let said = match self.jetstream {
            true => session.store(&message).await?,
            false => session.send(&message).await?,
        };
        self.spare.put(session);
        said
    }
}

impl Nats {
    async fn connect(&self) -> Result<Session, Refused> {
        let no_nats = || Refused::nonsense("the server is no NATS server");
        let mut stream = BufReader::new(dial(&self.place).await?);
        let first = line(&mut stream).await?;
        let info = first.strip_prefix("INFO ").ok_or_else(no_nats)?;
        let info: Info = serde_json::from_str(info).map_err(|_| no_nats())?;
        // What came before the handshake might be of anybody.
        if !stream.buffer().is_empty() || !info.headers {
            return Err(no_nats());
        }
        let is_protected = self.must_protect || info.tls_required;
        let stream: Box<dyn Stream> = match is_protected {
            true => protect(stream.into_inner(), &self.tls, &self.place).await?,
            false => Box::new(stream.into_inner()),
        };
        let connect = Connect {
            proof: &self.proof,
            verbose: false,
            pedantic: false,
            tls_required: is_protected,
            name: "ringback",
            lang: "rust",
            version: env!("CARGO_PKG_VERSION"),
            protocol: 0,
            headers: true,
            no_responders: true,
        };
        let connect = serde_json::to_string(&connect).map_err(|_| no_nats())?;
        let inbox = format!("_INBOX.ringback.{}", nonce());
        let mut link = BufReader::new(stream);
        let mut opening = format!("CONNECT {connect}\r\n");
        if self.jetstream {
            opening.push_str(&format!("SUB {inbox}.* 1\r\n"));
        }
        link.write_all(format!("{opening}PING\r\n").as_bytes()).await?;
        link.flush().await?;
        let mut session = Session { link, inbox, asked: 0, largest: info.max_payload };
        match session.heard().await? {
            Heard::Pong => Ok(session),
            Heard::Refused(error) => Err(Refused::for_now("authentication", error)),
            Heard::Answer { .. } => Err(no_nats()),
        }
    }
}

/// What nobody else uses as a part of an inbox's name.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let half = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// A message as it is sent.
struct Message {
    subject: String,
    headers: String,
    payload: Bytes,
}

impl Message {
    fn of(event: &Handed) -> Result<Message, Refused> {
        let subject = event.text("subject").unwrap_or_else(|| event.kind.clone());
        let token = |token: &str| {
            let printable = token.chars().all(|c| !c.is_whitespace() && !c.is_control());
            !token.is_empty() && !matches!(token, "*" | ">") && printable
        };
        if !subject.split('.').all(token) {
            let explanation = "a subject is words between dots, without blanks, `*` and `>`";
            return Err(Refused::for_good("invalid_subject", explanation));
        }
        let mut headers = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n", event.id);
        let others =
            [("event-type", Some(&event.kind)), ("content-type", event.content_type.as_ref())];
        for (name, value) in others {
            // What would be another header is none of ours.
            if let Some(value) = value.filter(|value| !value.chars().any(char::is_control)) {
                headers.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        headers.push_str("\r\n");
        Ok(Message { subject, headers, payload: event.payload() })
    }

    fn check(&self, largest: usize) -> Result<(), Refused> {
        let bytes = self.headers.len() + self.payload.len();
        let explanation = || format!("{bytes} bytes, and the server takes {largest}");
        if bytes > largest { Err(Refused::for_good("too_large", explanation())) } else { Ok(()) }
    }
}

/// A connection.
struct Session {
    link: Link,
    /// Where answers come, with one part more that counts the requests.
    inbox: String,
    asked: u64,
    /// Bytes of a message.
    largest: usize,
}

/// What the server says.
enum Heard {
    Pong,
    Refused(String),
    Answer { no_responders: bool, body: Vec<u8> },
}

/// What JetStream says
/// (<https://docs.nats.io/reference/reference-protocols/nats_api_reference>).
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<NotStored>,
}

#[derive(Deserialize)]
struct NotStored {
    code: u16,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// The outer error ends the connection, the inner one does not.
type Said = Result<Result<String, Refused>, Refused>;

impl Session {
    /// A request to JetStream.
    async fn store(&mut self, message: &Message) -> Said {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        self.write(message, &reply, "").await?;
        match self.heard().await? {
            Heard::Answer { no_responders: true, .. } => {
                let explanation = "no stream of JetStream's takes this subject";
                Ok(Err(Refused::for_now("no_stream", explanation)))
            }
            Heard::Answer { body, .. } => Ok(stored(&body)?),
            Heard::Refused(error) => Err(not_allowed(error)),
            Heard::Pong => Err(Refused::nonsense("an answer to nothing")),
        }
    }

    async fn send(&mut self, message: &Message) -> Said {
        self.write(message, "", "PING\r\n").await?;
        match self.heard().await? {
            Heard::Pong => Ok(Ok(String::new())),
            Heard::Refused(error) => Err(not_allowed(error)),
            Heard::Answer { .. } => Err(Refused::nonsense("an answer to nothing")),
        }
    }

    async fn write(&mut self, message: &Message, reply: &str, after: &str) -> Result<(), Refused> {
        let Message { subject, headers, payload } = message;
        let (of_headers, of_all) = (headers.len(), headers.len() + payload.len());
        let mut bytes =
            format!("HPUB {subject} {reply} {of_headers} {of_all}\r\n{headers}").into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(after.as_bytes());
        self.link.write_all(&bytes).await?;
        self.link.flush().await?;
        Ok(())
    }

    /// The next thing that is said to this client.
    async fn heard(&mut self) -> Result<Heard, Refused> {
        loop {
            let line = line(&mut self.link).await?;
            let mut words = line.split_ascii_whitespace();
            let operation = words.next().unwrap_or_default().to_ascii_uppercase();
            match &*operation {
                "PING" => {
                    self.link.write_all(b"PONG\r\n").await?;
                    self.link.flush().await?;
                }
                "PONG" => return Ok(Heard::Pong),
                "-ERR" => {
                    let error = line.split_once(' ').map_or("", |(_, error)| error);
                    return Ok(Heard::Refused(error.trim_matches('\'').to_owned()));
                }
                "MSG" | "HMSG" => {
                    // Lengths are last: of the headers, if there are any, and of all.
                    let lengths: Vec<usize> = words.rev().map_while(|it| it.parse().ok()).collect();
                    let of_headers = if operation == "HMSG" { lengths.get(1) } else { Some(&0) };
                    if let (Some(of_all), Some(of_headers)) = (lengths.first(), of_headers) {
                        return self.answer(*of_headers, *of_all).await;
                    }
                    return Err(Refused::nonsense("a message without its length"));
                }
                // The servers of a cluster change; nothing is dialled that was not said.
                "INFO" | "+OK" => {}
                _ => return Err(Refused::nonsense("the server is no NATS server")),
            }
        }
    }

    async fn answer(&mut self, of_headers: usize, of_all: usize) -> Result<Heard, Refused> {
        if of_all > ANSWER || of_headers > of_all {
            return Err(Refused::nonsense("an answer that is no answer"));
        }
        let mut bytes = vec![0; of_all + 2];
        self.link.read_exact(&mut bytes).await?;
        bytes.truncate(of_all);
        let body = bytes.split_off(of_headers);
        Ok(Heard::Answer { no_responders: bytes.starts_with(b"NATS/1.0 503"), body })
    }
}

/// What an error of the server's means for what was sent.
fn not_allowed(error: String) -> Refused {
    // The only one that leaves the connection open, and is about a subject.
    match error.starts_with("Permissions Violation") {
        true => Refused::for_good("not_allowed", error),
        false => Refused::for_now("server", error),
    }
}

fn stored(answer: &[u8]) -> Said {
    let answer: Stored = serde_json::from_slice(answer)
        .map_err(|_| Refused::nonsense("whoever answered is not JetStream"))?;
    Ok(match answer.error {
        None => {
            let again = if answer.duplicate { ", as before" } else { "" };
            Ok(format!("{} {}{again}", answer.stream, answer.seq))
        }
        Some(NotStored { code, err_code, description }) => {
            let explanation = format!("{code} {err_code}: {description}");
            match code {
                400..500 => Err(Refused::for_good("stream", explanation)),
                _ => Err(Refused::for_now("stream", explanation)),
            }
        }
    })
}

async fn line(link: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, Refused> {
    let mut line = Vec::new();
    link.take(LINE).read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(Refused::for_now("connection_lost", "the server closed the connection")),
    }
}
