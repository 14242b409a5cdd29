//! One connection of a listener: events go out, acknowledgements and answers come in.
//!
//! A WebSocket (RFC 6455) over the connection that asked for it, so that it passes every proxy. Text
//! frames are JSON; a binary frame is a line of JSON and raw bytes after it. `docs/listen.md` has
//! the messages.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ringback_domain::{
    id::{Key, MessageId},
    listener::Listener,
    time::Timestamp,
};
use ringback_store::{Behind, Unavailable};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, handshake::derive_accept_key, protocol::CloseFrame, protocol::Role,
        protocol::WebSocketConfig, protocol::frame::coding::CloseCode,
    },
};

use super::{
    Event, Listeners,
    event::{frame, split},
    live::{About, COUNTED, Leave, Next, Seat, WINDOW},
};
use crate::log::replies::{Answer, MAX_BODY, Outcome};

/// What both sides speak.
const PROTOCOL: &str = "ringback.listen.v1";
/// How often a connection is shown to be alive.
const PING: Duration = Duration::from_secs(15);
/// How long a connection may be silent until it is given up.
const SILENCE: Duration = Duration::from_secs(40);
/// How often a client is told how far it is behind, at most.
const BEHIND: Duration = Duration::from_secs(1);
/// How long a client has to hear why it is sent away.
const FAREWELL: Duration = Duration::from_secs(2);
/// The largest message that a client may send: an answer and its headers.
const LONGEST: usize = MAX_BODY + 64 * 1024;

/// Why a request does not become a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It asks for no upgrade to this protocol.
    #[error("a WebSocket with the protocol ringback.listen.v1 is needed")]
    NoUpgrade,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Who connects, and where they were.
#[derive(Clone, Debug)]
pub struct Coming {
    /// What the client calls itself.
    pub client: Option<String>,
    /// The address it comes from.
    pub address: Option<IpAddr>,
    /// The last event that it has dealt with.
    pub after: Option<MessageId>,
    /// When it comes.
    pub now: Timestamp,
}

/// The answer that turns a request into a connection, which is served from then on.
///
/// # Errors
/// [`Refused`] if it cannot be one.
pub fn upgrade(
    listeners: &Listeners,
    (environment, listener): (Key, Listener),
    headers: &HeaderMap,
    on_upgrade: Option<OnUpgrade>,
    coming: Coming,
) -> Result<Response, Refused> {
    let is = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut words = values.flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let asks = is(header::UPGRADE, "websocket")
        && is(header::SEC_WEBSOCKET_VERSION, "13")
        && is(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks);
    let (Some(key), Some(on_upgrade)) = (key, on_upgrade) else { return Err(Refused::NoUpgrade) };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| Refused::NoUpgrade)?;
    let served = listeners.clone();
    let session = async move {
        match on_upgrade.await {
            Ok(upgraded) => serve(served, environment, listener, coming, upgraded).await,
            Err(error) => tracing::debug!(%error, "a connection did not become a listener's"),
        }
    };
    if !listeners.serve(session) {
        return Err(Refused::Stopping);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let own = response.headers_mut();
    own.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    own.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    own.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    own.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What the client is told in text.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Told<'a> {
    Hello {
        listener: String,
        name: &'a str,
        sources: Vec<Heard<'a>>,
        behind: u64,
        behind_is_exact: bool,
        oldest_waiting: Option<Timestamp>,
        shared: bool,
        window: usize,
    },
    Behind {
        count: u64,
        is_exact: bool,
        oldest_waiting: Option<Timestamp>,
    },
}

#[derive(Serialize)]
struct Heard<'a> {
    id: String,
    name: &'a str,
    provider: &'a str,
}

/// The head of an event's frame.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    r#type: &'static str,
    #[serde(flatten)]
    event: Event,
    /// How long somebody waits for the answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_within: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

/// What the client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Said {
    Ack {
        id: MessageId,
    },
    Nack {
        id: MessageId,
    },
    Answer {
        id: MessageId,
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
}

/// How a session ends.
enum End {
    /// The client went away, or says what nobody understands.
    Gone,
    /// It is sent away.
    Sent(Leave),
    /// The store cannot be asked: it is to come again.
    Unavailable(Unavailable),
    /// It says what cannot be understood.
    Confused(&'static str),
}

async fn serve(
    listeners: Listeners,
    environment: Key,
    listener: Listener,
    coming: Coming,
    upgraded: Upgraded,
) {
    let config =
        WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let (mut out, mut heard) = socket.split();
    let Coming { client, address, after, now } = coming;
    let about = About { client, address, since: now };
    let after = after.map(MessageId::key);
    let seat = match listeners.join(environment, &listener, after, about).await {
        Ok(seat) => seat,
        Err(error) => {
            tracing::warn!(%error, "a listener could not be opened");
            return farewell(&mut out, &End::Unavailable(error)).await;
        }
    };
    let end = converse(&listeners, &listener, &seat, &mut out, &mut heard).await;
    if let End::Unavailable(error) = &end {
        tracing::warn!(listener = %listener.id, %error, "a listener is sent away");
    }
    listeners.leave(seat).await;
    farewell(&mut out, &end).await;
}

async fn converse(
    listeners: &Listeners,
    listener: &Listener,
    seat: &Seat,
    out: &mut SplitSink<Socket, Message>,
    heard: &mut SplitStream<Socket>,
) -> End {
    let mut leave = seat.leave.clone();
    let out = &Mutex::new(out);
    let (asked, mut asks) = watch::channel(());
    tokio::select! {
        end = tell(listener, seat, out, &asked) => end,
        end = report(seat, out, &mut asks) => end,
        end = hear(listeners, seat, heard, &asked) => end,
        end = beat(out) => end,
        why = sent_away(&mut leave) => End::Sent(why),
    }
}

type Out<'a> = Mutex<&'a mut SplitSink<Socket, Message>>;

async fn send(out: &Out<'_>, message: Message) -> Result<(), End> {
    out.lock().await.send(message).await.map_err(|_| End::Gone)
}

/// Tells events as they come.
async fn tell(listener: &Listener, seat: &Seat, out: &Out<'_>, asked: &watch::Sender<()>) -> End {
    match hello(listener, seat).await {
        Ok(hello) => {
            if let Err(end) = send(out, hello).await {
                return end;
            }
        }
        Err(error) => return End::Unavailable(error),
    }
    loop {
        let next = match seat.next().await {
            Ok(next) => next,
            Err(error) => return End::Unavailable(error),
        };
        let Next { taken, source, is_awaited } = next;
        let Some(source) = source else { continue };
        let answer_within = is_awaited.then(|| source.answer_deadline()).flatten();
        let head = Head {
            r#type: "event",
            event: Event::of(&taken.event, &source),
            answer_within: answer_within.map(|within| within.as_millis() as u64),
            again: taken.again,
        };
        let message = Message::Binary(frame(&head, &taken.event.payload));
        if let Err(end) = send(out, message).await {
            return end;
        }
        asked.send_replace(());
    }
}

async fn hello(listener: &Listener, seat: &Seat) -> Result<Message, Unavailable> {
    let live = &seat.live;
    let Behind { count, oldest } = live.behind().await?;
    let heard = live.heard().await;
    let sources = heard.all().into_iter().map(|ready| Heard {
        id: ready.source.id.to_string(),
        name: &ready.source.name,
        provider: &ready.source.provider,
    });
    Ok(text(&Told::Hello {
        listener: listener.id.to_string(),
        name: &listener.name,
        sources: sources.collect(),
        behind: count,
        behind_is_exact: count < COUNTED,
        oldest_waiting: oldest,
        shared: live.terms.shared,
        window: WINDOW,
    }))
}

/// Tells how far the listener is behind, when that has changed.
async fn report(seat: &Seat, out: &Out<'_>, asks: &mut watch::Receiver<()>) -> End {
    let mut told = None;
    loop {
        if asks.changed().await.is_err() {
            return End::Gone;
        }
        // What happens meanwhile is told together.
        tokio::time::sleep(BEHIND).await;
        asks.mark_unchanged();
        let behind = match seat.live.behind().await {
            Ok(behind) => behind,
            Err(error) => return End::Unavailable(error),
        };
        if told != Some(behind.count) {
            told = Some(behind.count);
            let Behind { count, oldest } = behind;
            let is_exact = count < COUNTED;
            let message = text(&Told::Behind { count, is_exact, oldest_waiting: oldest });
            if let Err(end) = send(out, message).await {
                return end;
            }
        }
    }
}

/// Hears what the client says, as long as it says anything.
async fn hear(
    listeners: &Listeners,
    seat: &Seat,
    heard: &mut SplitStream<Socket>,
    asked: &watch::Sender<()>,
) -> End {
    loop {
        let message = match timeout(SILENCE, heard.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(_)) | None) | Err(_) => return End::Gone,
        };
        let (head, body) = match message {
            Message::Text(text) => (Bytes::from(text), Bytes::new()),
            Message::Binary(frame) => match split(frame) {
                Some(parts) => parts,
                None => return End::Confused("a binary frame needs a line of JSON"),
            },
            Message::Close(_) => return End::Gone,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let Ok(said) = serde_json::from_slice::<Said>(&head) else {
            return End::Confused("a message is ack, nack or answer, as JSON with its type");
        };
        match said {
            Said::Ack { id } => {
                let place = seat.acknowledge(id).await;
                listeners.reached(&seat.live, place);
                asked.send_replace(());
            }
            Said::Nack { id } => seat.put_back(id).await,
            Said::Answer { id, status, headers } => {
                let outcome = answer(status, &headers, body);
                listeners.parts().replies.tell(id, seat.live.id.key(), outcome);
            }
        }
    }
}

/// What those are told who wait for an answer.
fn answer(status: u16, headers: &[(String, String)], body: Bytes) -> Outcome {
    let Ok(status) = StatusCode::from_u16(status) else { return Outcome::Failed };
    let pairs = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()).ok()?))
    });
    let headers: HeaderMap = pairs.collect();
    match Answer::of(status, &headers, body) {
        Some(answer) => Outcome::Answered(Arc::new(answer)),
        None => Outcome::Failed,
    }
}

/// Shows that the connection is alive.
async fn beat(out: &Out<'_>) -> End {
    let mut beats = interval_at(Instant::now() + PING, PING);
    loop {
        beats.tick().await;
        if let Err(end) = send(out, Message::Ping(Bytes::new())).await {
            return end;
        }
    }
}

async fn sent_away(leave: &mut watch::Receiver<Option<Leave>>) -> Leave {
    match leave.wait_for(Option::is_some).await {
        Ok(why) => why.unwrap_or(Leave::ComeAgain),
        Err(_) => Leave::ComeAgain,
    }
}

/// Says why it ends, to whoever still hears it.
async fn farewell(out: &mut SplitSink<Socket, Message>, end: &End) {
    let (code, reason) = match end {
        End::Gone => return,
        End::Unavailable(_) => (CloseCode::Again, "the store cannot be asked"),
        End::Confused(what) => (CloseCode::Protocol, *what),
        End::Sent(Leave::ComeAgain) => (CloseCode::Away, "come again"),
        End::Sent(Leave::TakenOver) => (CloseCode::Library(4001), "another client has taken over"),
        End::Sent(Leave::Disconnected) => (CloseCode::Library(4002), "disconnected by an operator"),
        End::Sent(Leave::Deleted) => (CloseCode::Library(4003), "the listener was deleted"),
        End::Sent(Leave::Moved) => (CloseCode::Library(4004), "the listener was moved"),
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = timeout(FAREWELL, async {
        let _ = out.send(close).await;
        let _ = out.close().await;
    })
    .await;
}

fn text(told: &Told<'_>) -> Message {
    Message::text(serde_json::to_string(told).unwrap_or_default())
}
