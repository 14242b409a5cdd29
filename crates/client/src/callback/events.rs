//! What happens to a callback, as a stream of events and as functions that are called back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::Error;
use super::connection::{Ask, Away, Connection, Opened, is_temporary};
use super::sse::{Parser, ServerSentEvent};
use super::view::{self, Content, Status};
use crate::BoxError;

/// A stream of events that is silent for this long has died: there is a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

const EVENT_STREAM: &str = "text/event-stream";

/// What may happen to a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    /// The other side said how far it is.
    Progress,
    /// A stream got one more item.
    Item,
    /// A browser came back with what proves nothing.
    Returned,
    /// There is an answer.
    Completed,
    /// There will be none.
    Failed,
    /// A deadline passed.
    Expired,
    /// The application does not want it any more.
    Canceled,
}

/// Something that happened to a callback.
#[derive(Clone, Debug)]
pub struct Event {
    /// Ringback's name for it. Empty if it is known by polling only.
    pub id: String,
    /// What it is.
    pub happened: Happened,
    /// What came with it: JSON, the fields of a form, or text; null if nothing did.
    pub value: Value,
    /// All that is said about it.
    pub data: Value,
}

/// What happens to a callback, from the beginning to its end.
///
/// It goes on where it was when the connection breaks. Where there is no way for a stream of events,
/// what is told is that a browser came back and how it ended.
pub struct Events {
    connection: Arc<Connection>,
    path: String,
    /// The latest event that was given.
    last: String,
    ready: VecDeque<Event>,
    way: Way,
    away: Away,
}

enum Way {
    /// It has to be asked for.
    None,
    Stream {
        opened: Box<Opened>,
        parser: Parser,
        heard: bool,
    },
    /// With what is known already.
    Polls(Status),
    /// It has ended.
    Over,
}

/// What keeps a stream from going on.
enum Trouble {
    /// It goes on later.
    Passing(BoxError),
    Final(Error),
}

impl From<BoxError> for Trouble {
    fn from(error: BoxError) -> Self {
        Self::Passing(error)
    }
}

impl Events {
    pub(super) fn new(connection: Arc<Connection>, path: String) -> Self {
        let away = connection.away();
        let (last, ready) = (String::new(), VecDeque::new());
        Self { connection, path, last, ready, way: Way::None, away }
    }

    /// Goes on after an event that was heard before, in this process or another.
    #[must_use]
    pub fn after(self, id: impl Into<String>) -> Self {
        Self { last: id.into(), ..self }
    }

    /// The next event; none after the end. Dropping the future loses none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Refused`]; how a callback ends is an event.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if !event.id.is_empty() {
                    self.last.clone_from(&event.id);
                }
                if event.happened.is_end() {
                    (self.way, self.ready) = (Way::Over, VecDeque::new());
                }
                return Ok(Some(event));
            }
            match self.advance().await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(problem)) => {
                    self.way = Way::None;
                    self.away.pause(problem, None).await?;
                }
            }
        }
    }

    /// One step towards the next event; `false` after the end.
    async fn advance(&mut self) -> Result<bool, Trouble> {
        match &mut self.way {
            Way::Over => return Ok(false),
            Way::None => self.way = open(&self.connection, &self.path, &self.last).await?,
            Way::Polls(known) => {
                let polled = view::poll(&self.connection, &self.path).await;
                let view = polled.map_err(Trouble::Final)?;
                if let (true, Some(happened)) = (view.status != *known, view.status.happened()) {
                    *known = view.status;
                    let value = view.result.map(Content::into_value).unwrap_or_default();
                    let data = serde_json::json!({"callback": view.id});
                    self.ready.push_back(Event { id: String::new(), happened, value, data });
                }
            }
            Way::Stream { opened, parser, heard } => match timeout(SILENCE, opened.chunk()).await {
                Ok(chunk) => {
                    let ended = || Trouble::Passing("the stream of events ended early".into());
                    let events = parser.push(&chunk?.ok_or_else(ended)?);
                    self.ready.extend(events.into_iter().filter_map(Event::read));
                    *heard = true;
                    self.away.ended();
                }
                // A proxy that gathers a stream until its end lets nothing through.
                Err(_) if !*heard => self.way = Way::Polls(Status::Pending),
                Err(elapsed) => return Err(Trouble::Passing(elapsed.into())),
            },
        }
        Ok(true)
    }
}

/// The stream of what happened after the event `last`, or another way to know.
async fn open(connection: &Connection, path: &str, last: &str) -> Result<Way, Trouble> {
    let mut ask = Ask::get(&format!("{path}/events")).header("accept", EVENT_STREAM);
    if !last.is_empty() {
        ask = ask.header("last-event-id", last);
    }
    let opened = timeout(SILENCE, connection.open(&ask)).await.map_err(BoxError::from)??;
    let kind = opened.headers.get(header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM.as_bytes()));
    match opened.status {
        StatusCode::OK if is_stream => {
            Ok(Way::Stream { opened: Box::new(opened), parser: Parser::default(), heard: false })
        }
        // Everything was heard before.
        StatusCode::NO_CONTENT => Ok(Way::Over),
        // Somebody knows nothing of streams of events.
        StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::NOT_IMPLEMENTED => Ok(Way::Polls(Status::Pending)),
        status if status.is_success() => Ok(Way::Polls(Status::Pending)),
        status => {
            let said = timeout(SILENCE, opened.whole()).await.map_err(BoxError::from)??;
            let refused = Error::refusal(status, &said.body);
            let passing = is_temporary(status);
            Err(if passing { Trouble::Passing(refused.into()) } else { Trouble::Final(refused) })
        }
    }
}

impl Event {
    /// None for what this version does not know.
    fn read(event: ServerSentEvent) -> Option<Self> {
        let happened = serde_json::from_value(Value::String(event.event)).ok()?;
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let brought = data.get("result").or(data.get("body")).unwrap_or(&Value::Null);
        let value = Content::deserialize(brought).map(Content::into_value).unwrap_or_default();
        Some(Self { id: event.id, happened, value, data })
    }
}

impl Happened {
    /// Whether nothing more happens after it.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Canceled)
    }
}

impl Status {
    fn happened(self) -> Option<Happened> {
        match self {
            Self::Pending => None,
            Self::Returned => Some(Happened::Returned),
            Self::Completed => Some(Happened::Completed),
            Self::Failed => Some(Happened::Failed),
            Self::Expired => Some(Happened::Expired),
            Self::Canceled => Some(Happened::Canceled),
        }
    }
}

type Called<'h> = Pin<Box<dyn Future<Output = ()> + Send + 'h>>;
type Handler<'h> = Box<dyn FnMut(Event) -> Called<'h> + Send + 'h>;

/// Functions that are called back for what happens to a callback, while this is awaited: one at a
/// time, in the order of what happens. It ends with the callback.
#[must_use = "nothing is called before it is awaited"]
pub struct Following<'h> {
    events: Events,
    handlers: Vec<(Happened, Handler<'h>)>,
}

impl<'h> Following<'h> {
    pub(super) fn new(events: Events) -> Self {
        Self { events, handlers: Vec::new() }
    }

    /// Has one more function called.
    pub fn on<H, F>(mut self, happened: Happened, mut handler: H) -> Self
    where
        H: FnMut(Event) -> F + Send + 'h,
        F: Future<Output = ()> + Send + 'h,
    {
        let handler = move |event| -> Called<'h> { Box::pin(handler(event)) };
        self.handlers.push((happened, Box::new(handler)));
        self
    }

    async fn run(mut self) -> Result<(), Error> {
        while let Some(event) = self.events.next().await? {
            for (wanted, handler) in &mut self.handlers {
                if *wanted == event.happened {
                    handler(event.clone()).await;
                }
            }
        }
        Ok(())
    }
}

impl<'h> IntoFuture for Following<'h> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'h>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
