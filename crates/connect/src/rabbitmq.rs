//! RabbitMQ: an event becomes a persistent message that the broker has confirmed.
//!
//! Publishing takes a dozen of AMQP's methods, which `wire.rs` has: why not a client's crate is in
//! `docs/adr/0017-protocols-of-their-own.md`. A broker confirms a persistent message for a durable
//! queue when it is on disk; one that is routed nowhere comes back before it is confirmed.

mod wire;

use ringback_domain::destination::Problem;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use self::wire::{Arguments, Method, Reader};
use crate::dial::{Link, is_quiet, link};
use crate::settings::{decoded, problem};
use crate::spare::Spare;
use crate::{Handed, Place, Protocol, Refused, Settings};

/// The one channel of a connection.
const CHANNEL: u16 = 1;
/// The largest frame that is taken, in bytes: what the broker asks for by default.
const FRAME: u32 = 128 * 1024;
/// What a message keeps through a restart of the broker.
const PERSISTENT: u8 = 2;
/// Which properties a message has: content type (if it is known), delivery mode, message id,
/// timestamp, type.
const PROPERTIES: u16 = 1 << 12 | 1 << 7 | 1 << 6 | 1 << 5;
const CONTENT_TYPE: u16 = 1 << 15;

/// An exchange of somebody's.
pub(crate) struct RabbitMq {
    place: Place,
    tls: Option<TlsConnector>,
    user: String,
    password: String,
    vhost: String,
    exchange: String,
    routing_key: String,
    mandatory: bool,
    spare: Spare<Session>,
}

const SCHEMES: &[(&str, u16)] = &[("amqp", 5672), ("amqps", 5671)];

impl Protocol for RabbitMq {
    fn place(settings: Settings<'_>) -> Result<Place, Problem> {
        settings.url("uri", SCHEMES).map(|(_, place)| place)
    }

    fn open(settings: Settings<'_>) -> Result<RabbitMq, Problem> {
        let (uri, place) = settings.url("uri", SCHEMES)?;
        let tls = (uri.scheme() == "amqps").then(|| settings.tls()).transpose()?;
        // As <https://www.rabbitmq.com/docs/uri-spec> has it: what is not said is the broker's own
        // default, and a slash alone is a virtual host without a name.
        let user = Some(uri.username()).filter(|user| !user.is_empty()).unwrap_or("guest");
        let password = uri.password().unwrap_or("guest");
        let vhost = uri.path().strip_prefix('/').unwrap_or("%2F");
        let short = |name: &str| match settings.get(name).unwrap_or_default() {
            text if text.len() > wire::SHORT => {
                Err(problem(name, format!("is longer than {} bytes", wire::SHORT)))
            }
            text => Ok(text.to_owned()),
        };
        Ok(RabbitMq {
            place,
            tls,
            user: decoded(user),
            password: decoded(password),
            vhost: decoded(vhost),
            exchange: short("exchange")?,
            routing_key: short("routingKey")?,
            mandatory: settings.is("mandatory", true)?,
            spare: Spare::new(),
        })
    }

    async fn deliver(&self, event: &Handed) -> Result<String, Refused> {
        let key = event.text("key").unwrap_or_else(|| self.routing_key.clone());
        let texts = [&key, &event.id, &event.kind];
        if texts.iter().any(|text| text.len() > wire::SHORT) {
            let explanation = format!("a key, an id, a type has at most {} bytes", wire::SHORT);
            return Err(Refused::for_good("too_long", explanation));
        }
        let mut session = match self.spare.take(|session| is_quiet(&mut session.link)) {
            Some(session) => session,
            None => self.connect().await?,
        };
        let arguments = Arguments::default()
            .number16(0)
            .short(&self.exchange)
            .short(&key)
            .byte(u8::from(self.mandatory));
        let body = event.payload();
        let frame = session.frame as usize;
        wire::publish(&mut session.link, CHANNEL, arguments, properties(event), &body, frame)
            .await?;
        let confirmed = session.confirmed().await?;
        self.spare.put(session);
        confirmed
    }
}

/// A connection with its channel.
struct Session {
    link: Link,
    /// Bytes of a frame.
    frame: u32,
}

impl RabbitMq {
    async fn connect(&self) -> Result<Session, Refused> {
        let link = link(&self.place, self.tls.as_ref()).await?;
        let mut session = Session { link, frame: FRAME };
        session.link.write_all(wire::PROTOCOL).await?;
        session.link.flush().await?;
        session.answer(wire::START).await?;
        let proof = format!("\0{}\0{}", self.user, self.password);
        let introduction = Arguments::default()
            .long(introduction().bytes())
            .short("PLAIN")
            .long(proof.as_bytes())
            .short("en_US");
        session.call(0, wire::START_OK, introduction).await?;
        let tune = session.answer(wire::TUNE).await?;
        let mut tune = Reader(&tune);
        let (_channels, largest) = (tune.number16(), tune.number32());
        // Zero is no limit.
        let largest = largest.filter(|largest| *largest > 0).unwrap_or(FRAME);
        session.frame = largest.min(FRAME);
        // No heartbeats: an event has a deadline, and between events nobody misses the other side.
        let tuned = Arguments::default().number16(CHANNEL).number32(session.frame).number16(0);
        session.call(0, wire::TUNE_OK, tuned).await?;
        let host = Arguments::default().short(&self.vhost).short("").byte(0);
        session.call(0, wire::OPEN, host).await?;
        session.answer(wire::OPEN_OK).await?;
        session.call(CHANNEL, wire::CHANNEL_OPEN, Arguments::default().short("")).await?;
        session.answer(wire::CHANNEL_OPEN_OK).await?;
        session.call(CHANNEL, wire::CONFIRM_SELECT, Arguments::default().byte(0)).await?;
        session.answer(wire::CONFIRM_SELECT_OK).await?;
        Ok(session)
    }
}

/// Who this is: the broker shows it, and says why it refuses instead of hanging up.
fn introduction() -> Arguments {
    let able = Arguments::default()
        .short("authentication_failure_close")
        .byte(b't')
        .byte(1)
        .short("publisher_confirms")
        .byte(b't')
        .byte(1);
    Arguments::default()
        .short("product")
        .byte(b'S')
        .long(b"Ringback")
        .short("capabilities")
        .byte(b'F')
        .long(able.bytes())
}

fn properties(event: &Handed) -> Arguments {
    let seconds = u64::try_from(event.at / 1000).unwrap_or_default();
    // What is too long to be said is not.
    let content_type = event.content_type.as_ref().filter(|text| text.len() <= wire::SHORT);
    let properties = match content_type {
        Some(text) => Arguments::default().number16(PROPERTIES | CONTENT_TYPE).short(text),
        None => Arguments::default().number16(PROPERTIES),
    };
    properties.byte(PERSISTENT).short(&event.id).number64(seconds).short(&event.kind)
}

impl Session {
    async fn call(&mut self, channel: u16, method: Method, with: Arguments) -> Result<(), Refused> {
        wire::send(&mut self.link, channel, method, with).await
    }

    async fn heard(&mut self) -> Result<(Method, Vec<u8>), Refused> {
        wire::receive(&mut self.link, self.frame as usize).await
    }

    /// The arguments of the answer that is to come now.
    async fn answer(&mut self, expected: Method) -> Result<Vec<u8>, Refused> {
        match self.heard().await? {
            (method, arguments) if method == expected => Ok(arguments),
            (wire::CLOSE | wire::CHANNEL_CLOSE, arguments) => Err(closed(&arguments).for_now()),
            _ => Err(Refused::nonsense("the broker answered something else")),
        }
    }

    /// What becomes of what was published; the outer error ends the connection.
    async fn confirmed(&mut self) -> Result<Result<String, Refused>, Refused> {
        let mut returned = None;
        loop {
            match self.heard().await? {
                (wire::RETURN, arguments) => returned = Some(closed(&arguments)),
                (wire::ACK, _) => {
                    let unroutable = returned.map(|said| said.refused("unroutable"));
                    return Ok(unroutable.map_or_else(|| Ok(String::new()), Err));
                }
                (wire::NACK, _) => {
                    let explanation = "the broker could not take care of it";
                    return Ok(Err(Refused::for_now("not_confirmed", explanation)));
                }
                (wire::CHANNEL_CLOSE, arguments) => {
                    return Err(closed(&arguments).refused("rejected"));
                }
                (wire::CLOSE, arguments) => return Err(closed(&arguments).for_now()),
                _ => return Err(Refused::nonsense("the broker answered something else")),
            }
        }
    }
}

/// Why the broker closed something, or returned a message.
struct Closed {
    code: u16,
    text: String,
}

fn closed(arguments: &[u8]) -> Closed {
    let mut arguments = Reader(arguments);
    let code = arguments.number16().unwrap_or_default();
    Closed { code, text: arguments.short().unwrap_or_default() }
}

impl Closed {
    fn explanation(&self) -> String {
        format!("{} {}", self.code, self.text)
    }

    /// Before there is a message to blame.
    fn for_now(&self) -> Refused {
        // <https://www.rabbitmq.com/amqp-0-9-1-reference.html#constants>
        let reason = if self.code == 403 { "authentication" } else { "broker" };
        Refused::for_now(reason, self.explanation())
    }

    /// What it says of the message: no route, no exchange, no permission, too large.
    fn refused(&self, reason: &'static str) -> Refused {
        match self.code {
            311..=313 | 403 | 404 | 406 => Refused::for_good(reason, self.explanation()),
            _ => Refused::for_now(reason, self.explanation()),
        }
    }
}
