//! Redis streams: an event becomes an entry.
//!
//! All that is said is one command and one answer, so the protocol is written out here
//! (RESP2, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use ringback_domain::destination::Problem;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::dial::{Link, is_quiet, link};
use crate::settings::{decoded, problem};
use crate::spare::Spare;
use crate::{Handed, Place, Protocol, Refused, Settings, written};

/// Adds an entry unless the event's id is claimed, and claims it, which nothing comes between.
const ONCE: &str = "\
local known = redis.call('GET', KEYS[2])
if known then return known end
local entry = redis.call('XADD', KEYS[1], unpack(ARGV, 2))
redis.call('SET', KEYS[2], entry, 'EX', ARGV[1])
return entry";

/// The longest line or text that an answer may have, in bytes.
const ANSWER: usize = 64 * 1024;

/// A stream of somebody's.
pub(crate) struct RedisStream {
    place: Place,
    tls: Option<TlsConnector>,
    /// What is said first: who this is, and which database is meant.
    opening: Vec<Vec<Vec<u8>>>,
    stream: String,
    /// About how many entries are kept.
    longest: Option<u64>,
    /// How many seconds an event's id is remembered; 0 if it is not.
    dedupe: u64,
    spare: Spare<Link>,
}

const SCHEMES: &[(&str, u16)] = &[("redis", 6379), ("rediss", 6379)];

impl Protocol for RedisStream {
    fn place(settings: Settings<'_>) -> Result<Place, Problem> {
        settings.url("url", SCHEMES).map(|(_, place)| place)
    }

    fn open(settings: Settings<'_>) -> Result<RedisStream, Problem> {
        let (url, place) = settings.url("url", SCHEMES)?;
        let tls = (url.scheme() == "rediss").then(|| settings.tls()).transpose()?;
        let stream = settings.need("stream")?.to_owned();
        if tagged(&stream).is_none() {
            return Err(problem("stream", "has braces that are no hash tag"));
        }
        let mut opening = Vec::new();
        if let Some(password) = url.password() {
            let user = Some(url.username()).filter(|user| !user.is_empty());
            let words = ["AUTH"].into_iter().chain(user).chain([password]);
            opening.push(words.map(|word| decoded(word).into_bytes()).collect());
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() {
            let number: u32 =
                database.parse().map_err(|_| problem("url", "ends with no database's number"))?;
            opening.push(vec![b"SELECT".to_vec(), number.to_string().into_bytes()]);
        }
        let longest = settings.number("maxLength")?;
        let dedupe = settings.number("dedupeSeconds")?.unwrap_or_default();
        Ok(RedisStream { place, tls, opening, stream, longest, dedupe, spare: Spare::new() })
    }

    async fn deliver(&self, event: &Handed) -> Result<String, Refused> {
        let command = self.command(event);
        let mut link = match self.spare.take(is_quiet) {
            Some(link) => link,
            None => self.connect().await?,
        };
        let answer = ask(&mut link, &command).await?;
        self.spare.put(link);
        answer.map_err(|error| refused(&error))
    }
}

/// The stream's name with its hash tag, so that keys that begin with it are in the same slot of a
/// cluster. `None` if it has braces that are none.
fn tagged(stream: &str) -> Option<String> {
    match stream.split_once('{') {
        Some((_, rest)) => rest.find('}').filter(|end| *end > 0).map(|_| stream.to_owned()),
        None if stream.contains('}') => None,
        None => Some(format!("{{{stream}}}")),
    }
}

impl RedisStream {
    async fn connect(&self) -> Result<Link, Refused> {
        let mut link = link(&self.place, self.tls.as_ref()).await?;
        for command in &self.opening {
            ask(&mut link, command).await?.map_err(|error| refused(&error))?;
        }
        Ok(link)
    }

    fn command(&self, event: &Handed) -> Vec<Vec<u8>> {
        let text = |text: &str| text.as_bytes().to_vec();
        let mut entry = Vec::new();
        if let Some(longest) = self.longest {
            entry.extend([text("MAXLEN"), text("~"), text(&longest.to_string())]);
        }
        entry.push(text("*"));
        if event.fields.is_empty() {
            entry.extend([text("id"), text(&event.id), text("type"), text(&event.kind)]);
            entry.extend([text("payload"), event.body.to_vec()]);
        }
        for (name, value) in &event.fields {
            entry.extend([text(name), written(value).into_bytes()]);
        }
        let mut command = match (self.dedupe, tagged(&self.stream)) {
            (0, _) | (_, None) => vec![text("XADD"), text(&self.stream)],
            (seconds, Some(prefix)) => {
                let claim = format!("{prefix}:{}", event.id);
                let keys = [text("2"), text(&self.stream), text(&claim)];
                let mut script = vec![text("EVAL"), text(ONCE)];
                script.extend(keys);
                script.push(text(&seconds.to_string()));
                script
            }
        };
        command.extend(entry);
        command
    }
}

/// One command, and what the server says to it; an error of the server's is the inner one.
async fn ask(link: &mut Link, command: &[Vec<u8>]) -> Result<Result<String, String>, Refused> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    link.write_all(&bytes).await?;
    link.flush().await?;
    let line = line(link).await?;
    let nonsense = || Refused::nonsense("the server is no Redis");
    match line.split_at_checked(1).ok_or_else(nonsense)? {
        ("-", error) => Ok(Err(error.to_owned())),
        ("+" | ":", text) => Ok(Ok(text.to_owned())),
        ("$", length) => {
            let length: usize = length.parse().map_err(|_| nonsense())?;
            if length > ANSWER {
                return Err(nonsense());
            }
            let mut text = vec![0; length + 2];
            link.read_exact(&mut text).await?;
            text.truncate(length);
            Ok(Ok(String::from_utf8_lossy(&text).into_owned()))
        }
        _ => Err(nonsense()),
    }
}

async fn line(link: &mut Link) -> Result<String, Refused> {
    let mut line = Vec::new();
    link.take(ANSWER as u64).read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(Refused::for_now("connection_lost", "the server closed the connection")),
    }
}

/// What an error means: its first word says so
/// (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
fn refused(error: &str) -> Refused {
    match error.split(' ').next() {
        Some("WRONGTYPE") => Refused::for_good("wrong_type", error),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Refused::for_now("authentication", error),
        // `LOADING`, `OOM`, `READONLY`, `CLUSTERDOWN`, too many clients; also `MOVED`: nothing is
        // dialled that was not said.
        _ => Refused::for_now("server", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_in_the_slot_of_its_stream() {
        let check = |stream, expect: Option<&str>| assert_eq!(tagged(stream).as_deref(), expect);
        check("orders", Some("{orders}"));
        check("app:{7}:orders", Some("app:{7}:orders"));
        check("a{}b", None);
        check("a}b", None);
        check("a{b", None);
    }

    #[test]
    fn errors_are_told_apart_by_their_first_word() {
        let check = |error, permanent, reason| {
            let refused = refused(error);
            assert_eq!((refused.permanent, refused.reason), (permanent, reason), "{error}");
        };
        check("WRONGTYPE Operation against a key", true, "wrong_type");
        check("ERR max number of clients reached", false, "server");
        check("OOM command not allowed when used memory > 'maxmemory'.", false, "server");
        check("MOVED 3999 127.0.0.1:6381", false, "server");
        check("NOAUTH Authentication required.", false, "authentication");
    }
}
