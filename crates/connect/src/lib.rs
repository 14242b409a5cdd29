//! Destinations that have a protocol of their own: databases, brokers, mail.
//!
//! A kind is one file here, which says what its settings dial and how an event is handed over, one
//! file in `destinations/`, which says what it is given, and one line of [`KINDS`]. All kinds have the
//! same shape: an event has a connection to itself for as long as it takes, and a connection is kept
//! for the next event only after one that went well. So a delivery that is given up takes its
//! connection with it, no answer can be taken for another event's, and nothing reconnects behind
//! anybody's back: only what [`dials`] names is dialled, and only by a delivery.

mod dial;
mod email;
mod nats;
mod postgres;
mod rabbitmq;
mod redis_stream;
mod refused;
mod settings;
mod spare;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::destination::Problem;
use serde_json::{Map, Value};

pub use refused::Refused;
use settings::{Place, Settings};

/// Every kind: its id, which is the name of its file in `destinations/`, and what does it.
const KINDS: &[Kind] = &[
    Kind::of::<email::Email>("email"),
    Kind::of::<nats::Nats>("nats"),
    Kind::of::<postgres::Postgres>("postgres"),
    Kind::of::<rabbitmq::RabbitMq>("rabbitmq"),
    Kind::of::<redis_stream::RedisStream>("redis-stream"),
];

/// The way to one destination.
///
/// It is made without dialling, dials when there is an event, and dials anew when a connection is
/// gone. A delivery that is dropped before it ends leaves it usable. Dropping it ends every
/// connection, and every task that it started.
pub trait Client: Send + Sync + fmt::Debug {
    /// Hands over one event. Whoever takes it has confirmed it, as far as its protocol can say so.
    ///
    /// # Errors
    /// [`Refused`]
    fn deliver<'a>(&'a self, event: &'a Handed) -> Delivery<'a>;
}

/// What the other side said when it took the event, for the attempt's record; may be empty.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<String, Refused>> + Send + 'a>>;

/// One event for a destination, its mapping filled.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The message's id: `msg_…`.
    pub id: String,
    /// Its event type.
    pub kind: String,
    /// When it arrived, milliseconds since 1970.
    pub at: i64,
    /// What its body is.
    pub content_type: Option<String>,
    /// The exact bytes.
    pub body: Bytes,
    /// What the mapping made of it, defaults included.
    pub fields: Map<String, Value>,
}

/// What settings say is dialled, host (an IPv6 address without brackets) and port each: to be held
/// against what the operator allows. `None` if there is no such kind.
pub fn dials(
    kind: &str,
    settings: &BTreeMap<String, String>,
) -> Option<Result<Vec<(String, u16)>, Problem>> {
    let place = (find(kind)?.place)(Settings(settings));
    Some(place.map(|Place { host, port }| vec![(host, port)]))
}

/// The way to a destination with these settings, complete with defaults; nothing is dialled yet.
/// `None` if there is no such kind.
pub fn open(
    kind: &str,
    settings: &BTreeMap<String, String>,
) -> Option<Result<Arc<dyn Client>, Problem>> {
    Some((find(kind)?.open)(Settings(settings)))
}

fn find(id: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

/// What a kind is to bring.
trait Protocol: Send + Sync + Sized + 'static {
    /// What the settings dial.
    fn place(settings: Settings<'_>) -> Result<Place, Problem>;
    /// Reads the settings, and dials nothing.
    fn open(settings: Settings<'_>) -> Result<Self, Problem>;
    /// As [`Client::deliver`].
    fn deliver(&self, event: &Handed) -> impl Future<Output = Result<String, Refused>> + Send;
}

struct Kind {
    id: &'static str,
    place: fn(Settings<'_>) -> Result<Place, Problem>,
    open: fn(Settings<'_>) -> Result<Arc<dyn Client>, Problem>,
}

impl Kind {
    const fn of<P: Protocol>(id: &'static str) -> Kind {
        Kind { id, place: P::place, open: Opened::<P>::client }
    }
}

/// A [`Client`] that shows nothing of itself but where it leads.
struct Opened<P> {
    place: Place,
    way: P,
}

impl<P: Protocol> Opened<P> {
    fn client(settings: Settings<'_>) -> Result<Arc<dyn Client>, Problem> {
        Ok(Arc::new(Opened { place: P::place(settings)?, way: P::open(settings)? }))
    }
}

impl<P: Protocol> Client for Opened<P> {
    fn deliver<'a>(&'a self, event: &'a Handed) -> Delivery<'a> {
        Box::pin(self.way.deliver(event))
    }
}

impl<P> fmt::Debug for Opened<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Handed {
    /// A field as text: what is no text is JSON, and null is as if it were not there.
    fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::Null => None,
            value => Some(written(value)),
        }
    }

    /// The field `body`, or the event's own.
    fn payload(&self) -> Bytes {
        self.text("body").map_or_else(|| self.body.clone(), Bytes::from)
    }
}

/// A value as text: what is no text is JSON.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_kinds_are_those_whose_files_have_no_request() {
        let files = ringback_builtin::kinds().iter();
        let coded = files.filter(|file| file.parsed().unwrap().has_code()).map(|file| file.id);
        assert!(coded.eq(KINDS.iter().map(|kind| kind.id)));
        assert!(dials("slack", &BTreeMap::new()).is_none());
        assert!(open("slack", &BTreeMap::new()).is_none());
    }

    #[test]
    fn settings_say_what_is_dialled() {
        let check = |kind, given: &[(&str, &str)], host: &str, port| {
            let dialled = dials(kind, &settings(given)).unwrap();
            assert_eq!(dialled, Ok(vec![(host.to_owned(), port)]), "{kind} {given:?}");
        };
        check("postgres", &[("url", "postgres://u@db.example.com/d")], "db.example.com", 5432);
        check("postgres", &[("url", "postgresql://u@[::1]:6000/d?sslmode=require")], "::1", 6000);
        check("rabbitmq", &[("uri", "amqp://u:p@10.0.0.1/v")], "10.0.0.1", 5672);
        check("rabbitmq", &[("uri", "amqps://mq.example.com")], "mq.example.com", 5671);
        check("nats", &[("url", "nats://nats.example.com")], "nats.example.com", 4222);
        check("nats", &[("url", "tls://nats.example.com:1")], "nats.example.com", 1);
        check("redis-stream", &[("url", "redis://:p@r.example.com/3")], "r.example.com", 6379);
        check("redis-stream", &[("url", "rediss://r.example.com:7")], "r.example.com", 7);
        check("email", &[("host", "mx.example.com"), ("port", "25")], "mx.example.com", 25);
        check("email", &[("host", "::1"), ("port", "25")], "::1", 25);
    }

    #[test]
    fn what_could_dial_something_else_is_refused() {
        let check = |kind, given: &[(&str, &str)], expect: &str| {
            let given = settings(given);
            let problem = dials(kind, &given).unwrap().unwrap_err();
            assert_eq!(problem.to_string(), expect, "{given:?}");
            assert_eq!(open(kind, &given).unwrap().unwrap_err(), problem);
        };
        let (hosts, host) = ("`url`: has to name one host", "`url`: names no host");
        check("postgres", &[("url", "postgres://u@a,b/d")], hosts);
        check("postgres", &[("url", "postgres://u@a:1,b:2/d")], "`url`: is no URL");
        check("postgres", &[("url", "postgres://u@%2Frun%2Fpostgresql/d")], hosts);
        check("postgres", &[("url", "postgres:///d?host=a")], host);
        check(
            "postgres",
            &[("url", "postgres://u@a/d?hostaddr=10.0.0.1")],
            "`url`: `hostaddr` cannot be said there",
        );
        check("postgres", &[("url", "mysql://u@a/d")], "`url`: has to begin with postgres://");
        check("postgres", &[], "`url`: is missing");
        check("nats", &[("url", "nats://a,nats://b")], hosts);
        check("nats", &[("url", "ws://a")], "`url`: has to begin with nats://");
        check("rabbitmq", &[("uri", "amqp:///v")], "`uri`: names no host");
        check("rabbitmq", &[("uri", "http://a")], "`uri`: has to begin with amqp://");
        check("redis-stream", &[("url", "redis+unix:///a")], "`url`: has to begin with redis://");
        check("redis-stream", &[("url", "redis://a,b")], hosts);
        check("email", &[("host", "a b"), ("port", "25")], "`host`: has to name one host");
        check("email", &[("host", "a"), ("port", "x")], "`port`: has to be a number");
        check("email", &[("host", "a"), ("port", "0")], "`port`: has to be a port");
    }

    #[test]
    fn settings_that_cannot_be_used_are_named_when_they_are_saved() {
        let check = |kind, given: &[(&str, &str)], place: &str| {
            let problem = open(kind, &settings(given)).unwrap().unwrap_err();
            assert_eq!(problem.place, place, "{problem}");
        };
        let postgres = ("url", "postgres://u@a/d?sslmode=disable");
        check("postgres", &[postgres], "tableName");
        check("postgres", &[postgres, ("tableName", "a..b")], "tableName");
        check("postgres", &[postgres, ("tableName", "t"), ("conflict", "a,,b")], "conflict");
        check("postgres", &[("url", "postgres://a/d"), ("tableName", "t")], "url");
        check("postgres", &[("url", "postgres://u:p@a/d"), ("tableName", "t")], "url");
        check("postgres", &[("url", "postgres://u@a/d?sslmode=x"), ("tableName", "t")], "url");
        let authority = ("sslRootCert", "no certificate");
        check("postgres", &[postgres, ("tableName", "t"), authority], "sslRootCert");
        check("rabbitmq", &[("uri", "amqps://a"), authority], "sslRootCert");
        check("rabbitmq", &[("uri", "amqp://a"), ("mandatory", "maybe")], "mandatory");
        check("rabbitmq", &[("uri", "amqp://a"), ("routingKey", &"x".repeat(256))], "routingKey");
        check("redis-stream", &[("url", "redis://a")], "stream");
        check("redis-stream", &[("url", "redis://a/x"), ("stream", "s")], "url");
        check("redis-stream", &[("url", "redis://a"), ("stream", "a}b")], "stream");
        let stream = [("url", "redis://a"), ("stream", "s"), ("maxLength", "many")];
        check("redis-stream", &stream, "maxLength");
        check("nats", &[("url", "nats://u:p@a")], "url");
        check("nats", &[("url", "nats://a"), ("password", "p")], "user");
        let email = [("host", "a"), ("port", "25"), ("tls", "none")];
        check("email", &email, "from");
        check("email", &[email[0], email[1], ("tls", "maybe"), ("from", "a@b.c")], "tls");
        check("email", &[email[0], email[1], email[2], ("from", "not one")], "from");
    }
}
