//! The connection to the server: made, kept, lost, made again, for as long as somebody listens.

use std::sync::Arc;
use std::time::Duration;

use ringback_domain::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::backoff::Backoff;
use super::event::Event;
use super::frame::{self, Behind, Frame, Hello};
use super::wire::Wire;
use crate::api_client::{Answer, ApiClient, Opened};
use crate::cli::server::{path_segment, refused};
use crate::seam::{BoxStream, Clock, Entropy};

/// Nothing heard for so long, and the connection is lost. The server pings every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// The same after this machine slept: who is still there answers at once.
const SILENCE_AFTER_SLEEP: Duration = Duration::from_secs(5);
/// How often the clocks are compared.
const WATCH: Duration = Duration::from_secs(2);
/// A clock that is ahead of its time by more says that the machine slept.
const SLEPT: Duration = Duration::from_secs(10);
/// For the server to answer our farewell.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// What a connection is made of.
pub(super) struct Link {
    pub(super) api: ApiClient,
    /// The listener's id.
    pub(super) listener: String,
    pub(super) client: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Where to go on.
    pub(super) checkpoint: watch::Receiver<Option<String>>,
    /// As many as there are events in the server's window, so it needs no bound of its own.
    pub(super) outbox: mpsc::UnboundedReceiver<Message>,
    pub(super) told: mpsc::Sender<Told>,
    /// The next connection begins where the server says, whatever the checkpoint.
    pub(super) is_moved: bool,
}

/// What is told to whoever listens.
#[derive(Debug)]
pub(super) enum Told {
    Open(Hello),
    Event(Box<Event>),
    Behind(Behind),
    /// Why, in words. It is tried again.
    Lost(String),
    /// The place was moved at the server: what we know of it does not count any more.
    Moved,
    /// It was there, and so long asleep.
    Slept(Duration),
    /// Why there is no use in trying again.
    Over(String),
}

/// How one connection ended.
enum End {
    Lost(String),
    Moved,
    Over(String),
    /// Whoever listens has gone, and all that they said is sent.
    Left,
}

impl Link {
    /// Keeps a connection until there is no use in it, or nobody listens any more: the outbox is
    /// closed.
    pub(super) async fn keep(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let end = match self.open().await {
                Ok(stream) => self.converse(stream, &mut backoff).await,
                Err(end) => end,
            };
            let told = match end {
                End::Left => return,
                End::Over(why) => {
                    let _ = self.told.send(Told::Over(why)).await;
                    return;
                }
                End::Lost(why) => Told::Lost(why),
                End::Moved => {
                    self.is_moved = true;
                    Told::Moved
                }
            };
            if self.told.send(told).await.is_err() {
                return;
            }
            let wait = backoff.next(u64::from_be_bytes(self.entropy.bytes()));
            let again = sleep(wait);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    // What is said to nobody is said again: the checkpoint, or the event comes again.
                    said = self.outbox.recv() => if said.is_none() { return },
                }
            }
        }
    }

    async fn open(&self) -> Result<BoxStream, End> {
        let path = self.path();
        match self.api.websocket(&path, frame::PROTOCOL).await {
            Ok(Opened::Stream(stream)) => Ok(stream),
            Ok(Opened::Refused(answer)) => Err(judged(&answer)),
            Err(error) => Err(End::Lost(error.to_string())),
        }
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("client", &self.client);
        if let (false, Some(after)) = (self.is_moved, self.checkpoint.borrow().as_deref()) {
            query.append_pair("after", after);
        }
        format!("/api/v1/listener/{}/connect?{}", path_segment(&self.listener), query.finish())
    }

    async fn converse(&mut self, stream: BoxStream, backoff: &mut Backoff) -> End {
        let (reader, writer) = split(stream);
        let mut open = Open {
            reader,
            writer,
            wire: Wire::new(Role::Client),
            piece: Vec::with_capacity(PIECE),
            silence: Instant::now() + SILENCE,
            farewell: None,
        };
        // What was said to the connection before this one.
        while self.outbox.try_recv().is_ok() {}
        let mut watch = Watch::new(&*self.clock);
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = open.farewell.unwrap_or(open.silence);
            let has_to_send = !open.wire.unsent().is_empty();
            tokio::select! {
                biased;
                read = open.reader.read_buf(&mut open.piece) => {
                    match read {
                        Ok(0) if open.farewell.is_some() => return End::Left,
                        Ok(0) => return End::Lost("the connection was closed".to_owned()),
                        Ok(_) => {}
                        Err(_) if open.farewell.is_some() => return End::Left,
                        Err(error) => return End::Lost(error.to_string()),
                    }
                    open.silence = Instant::now() + SILENCE;
                    open.wire.feed(&open.piece);
                    open.piece.clear();
                    if let Err(end) = self.hear(&mut open, backoff).await {
                        return end;
                    }
                }
                written = open.writer.write(open.wire.unsent()), if has_to_send => match written {
                    Ok(sent) => drop(open.wire.unsent().drain(..sent)),
                    Err(error) => return End::Lost(error.to_string()),
                },
                said = self.outbox.recv(), if open.farewell.is_none() => {
                    let message = said.unwrap_or_else(|| {
                        open.farewell = Some(Instant::now() + FAREWELL);
                        Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
                    });
                    if let Err(error) = open.wire.send(message) {
                        return End::Lost(error.to_string());
                    }
                }
                _ = ticks.tick() => {
                    if let Some(slept) = watch.slept(self.clock.now(), Instant::now()) {
                        open.silence = Instant::now() + SILENCE_AFTER_SLEEP;
                        let _ = open.wire.send(Message::Ping(Default::default()));
                        let _ = self.told.send(Told::Slept(slept)).await;
                    }
                }
                () = sleep_until(deadline) => {
                    return match open.farewell {
                        Some(_) => End::Left,
                        None => End::Lost("nothing was heard any more".to_owned()),
                    };
                }
            }
        }
    }

    /// Everything that has arrived as a whole.
    async fn hear(&mut self, open: &mut Open, backoff: &mut Backoff) -> Result<(), End> {
        while let Some(message) = open.wire.next().map_err(lost)? {
            let frame = match message {
                Message::Text(text) => frame::text(&text).map_err(lost)?,
                Message::Binary(bytes) => frame::binary(&bytes).map_err(lost)?,
                Message::Close(_) if open.farewell.is_some() => return Err(End::Left),
                Message::Close(close) => return Err(closed(close)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            let told = match frame {
                Frame::Hello(hello) => {
                    backoff.reset();
                    self.is_moved = false;
                    Told::Open(hello)
                }
                Frame::Event(event) => Told::Event(event),
                Frame::Behind(behind) => Told::Behind(behind),
                Frame::Unknown => continue,
            };
            // Whoever takes nothing any more may still have something to say: the outbox tells.
            let _ = self.told.send(told).await;
        }
        Ok(())
    }
}

fn lost(error: impl std::error::Error) -> End {
    End::Lost(error.to_string())
}

/// A connection that is open.
struct Open {
    reader: ReadHalf<BoxStream>,
    writer: WriteHalf<BoxStream>,
    wire: Wire,
    piece: Vec<u8>,
    /// When it counts as lost unless something is heard.
    silence: Instant,
    /// When the server has had time enough to answer ours.
    farewell: Option<Instant>,
}

/// Tells whether this machine slept, or this process was stopped, since it was last asked.
struct Watch {
    wall: Timestamp,
    steady: Instant,
}

impl Watch {
    fn new(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), steady: Instant::now() }
    }

    fn slept(&mut self, wall: Timestamp, steady: Instant) -> Option<Duration> {
        let passed = wall.since(self.wall).max(steady - self.steady);
        (self.wall, self.steady) = (wall, steady);
        (passed > WATCH + SLEPT).then_some(passed)
    }
}

/// What a refusal before the first frame means.
fn judged(answer: &Answer) -> End {
    let said = refused(answer).to_string();
    match answer.status.as_u16() {
        401 => End::Over(format!("{said}; give a token that is valid with RINGBACK_TOKEN")),
        404 => End::Over(format!("{said}; the listener was deleted: listen again to make it anew")),
        408 | 425 | 429 => End::Lost(said),
        400..500 => End::Over(said),
        _ => End::Lost(said),
    }
}

/// What the server's farewell means.
fn closed(close: Option<CloseFrame>) -> End {
    let (code, said) = close.map_or((1005, String::new()), |close| {
        (u16::from(close.code), close.reason.as_str().to_owned())
    });
    let said = crate::terminal::printable(&said);
    match code {
        4001 => End::Over(format!(
            "somebody else listens under this name ({said}); take a name of your own with --name, \
             or share the events with --group"
        )),
        4002 => End::Over(format!(
            "an operator ended the connection ({said}); listen again when they let you"
        )),
        4003 => {
            End::Over(format!("the listener was deleted ({said}); listen again to make it anew"))
        }
        4004 => End::Moved,
        1001 => End::Lost("the server is stopping".to_owned()),
        code => End::Lost(format!("the server closed the connection ({code} {said})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_farewells_are_final() {
        let over = |code: u16| {
            let close = CloseFrame { code: code.into(), reason: "because".into() };
            matches!(closed(Some(close)), End::Over(_))
        };
        for (code, expected) in
            [(4001, true), (4002, true), (4003, true), (1001, false), (1011, false), (4000, false)]
        {
            assert_eq!(over(code), expected, "{code}");
        }
        assert!(matches!(closed(None), End::Lost(_)));
        let moved = CloseFrame { code: 4004.into(), reason: "".into() };
        assert!(matches!(closed(Some(moved)), End::Moved));
    }

    #[test]
    fn some_refusals_are_final() {
        for (status, expected) in [
            (401, true),
            (403, true),
            (404, true),
            (409, true),
            (429, false),
            (500, false),
            (502, false),
            (503, false),
            (200, false),
        ] {
            let status = http::StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: Default::default(), body: "{}".into() };
            assert_eq!(matches!(judged(&answer), End::Over(_)), expected, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_says_that_we_slept() {
        let start = Instant::now();
        let at = Timestamp(1_000_000);
        let mut watch = Watch { wall: at, steady: start };
        let second = Duration::from_secs(1);
        assert_eq!(watch.slept(at + 2 * second, start + 2 * second), None);
        // Laptops stop the steady clock, SIGSTOP does not.
        assert_eq!(watch.slept(at + 62 * second, start + 4 * second), Some(60 * second));
        assert_eq!(watch.slept(at + 64 * second, start + 64 * second), Some(60 * second));
        // A clock that was set back is no sleep.
        assert_eq!(watch.slept(at, start + 66 * second), None);
    }
}
