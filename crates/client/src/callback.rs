//! Asks somebody else, hands out a URL, and gets exactly one answer.
//!
//! ```no_run
//! use ringback_client::callback::{Callback, Error, Gateway, Happened, NewCallback};
//!
//! #[derive(serde::Deserialize)]
//! struct Approval {
//!     approved: bool,
//! }
//!
//! # async fn mail(_: &str) {}
//! # async fn run(token: &str) -> Result<(), Error> {
//! let gateway = Gateway::new("http://127.0.0.1:8071", token)?;
//! let callback: Callback<Approval> = gateway.callback(NewCallback::of("acme")).await?;
//! mail(callback.url()).await;
//! let answer = callback.wait().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Waiting only reads. Whoever drops the future loses nothing: the answer is there for the next who
//! waits, in this process or another ([`Gateway::attach`]). A server that goes away while somebody
//! waits is asked again, until the [patience](Gateway::patience) is at its end.
//!
//! No task is spawned: each request has a connection of its own, which lives and dies with the future.

mod connection;
mod error;
mod events;
mod sse;
mod view;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use connection::{Ask, Connection};
pub use error::Error;
pub use events::{Event, Events, Following, Happened};
pub use view::{Content, Status, View};

/// How long the server may be away, unless it is said otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
/// A Ringback server, seen from an application. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Gateway {
    connection: Arc<Connection>,
}

/// A callback that is wanted: `NewCallback { expires_in: Some(600), ..NewCallback::of("acme") }`.
///
/// `docs/callbacks.md` says what each field does; those of type [`Value`] are as they are there.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCallback {
    /// The same key is the same callback: after a crash, ask again with it. Random without it.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
    /// Id or uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// `result`, unless it is `redirect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Seconds from now; a day without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// RFC 3339, in the place of `expires_in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The longest silence of the other side, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<u64>,
    /// `single`, unless it is `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// How many items end a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u32>,
    /// Methods that answer; POST without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The other side's name for it: an order number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The source whose messages may settle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Labels to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Texts of your own.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Who may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completer: Option<Value>,
    /// A JSON Schema: what does not fit it is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Which answers are a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_when: Option<Value>,
    /// Which answers are a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_when: Option<Value>,
    /// What whoever answers is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<Value>,
    /// The words of the page that a person sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Value>,
    /// Where a browser is sent that comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Value>,
}

impl NewCallback {
    /// A callback of this application (id or uid), and nothing special.
    pub fn of(application: impl Into<String>) -> Self {
        Self { application: application.into(), ..Self::default() }
    }
}

/// A request that the gateway makes, with `{{callback.url}}` somewhere in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewCall {
    /// The same key is the same call. Random without it.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
    /// Id or uid.
    pub application: String,
    /// `{"method", "url", "headers", "body"}`.
    pub request: Value,
    /// What is special about its callback.
    pub callback: NewCallback,
    /// How an answer that is to be fetched is polled for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Value>,
}

impl Gateway {
    /// A server, such as `http://127.0.0.1:8071`, and the token to speak to it with.
    ///
    /// # Errors
    /// [`Error::Setup`] if that is no URL of a server, or the token cannot be sent.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Ok(Self { connection: Arc::new(Connection::new(url, token, PATIENCE)?) })
    }

    /// How long the server may be away before that is an error; a minute without this.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        let connection = Connection { patience, ..Connection::clone(&self.connection) };
        Self { connection: Arc::new(connection) }
    }

    /// A new callback, with an answer of type `T`.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn callback<T>(&self, wanted: NewCallback) -> Result<Callback<T>, Error> {
        let (body, key) = (Body::json(&wanted)?, wanted.idempotency_key.as_deref());
        let said = self.connection.ask(&Ask::post("/api/v1/callback", Some(body), key)).await?;
        Ok(Callback::of(&self.connection, said.json()?))
    }

    /// A callback that was made before, by its id: to go on waiting after a restart.
    pub fn attach<T>(&self, id: impl Into<String>) -> Callback<T> {
        Callback::of(&self.connection, view::Made { id: id.into(), ..view::Made::default() })
    }

    /// Has the gateway make a request, and waits for the answer in whichever form it comes: at once,
    /// polled for, or through the callback. To drop the future and ask again later, choose the key.
    ///
    /// # Errors
    /// As [`Callback::wait`].
    pub async fn call<T: DeserializeOwned>(&self, call: NewCall) -> Result<T, Error> {
        let ask =
            Ask::post("/api/v1/call", Some(Body::json(&call)?), call.idempotency_key.as_deref());
        let view: View = self.connection.ask(&ask.patient()).await?.json()?;
        // From here on it is a callback like any other: no connection has to hold until the answer.
        if view.status.is_end() {
            return Ok(serde_json::from_value(view.answer()?)?);
        }
        self.attach(view.id).wait().await
    }
}

/// One callback, as its application sees it; `T` is what its answer will be.
#[derive(Clone, Debug)]
pub struct Callback<T = Value> {
    connection: Arc<Connection>,
    path: String,
    made: view::Made,
    answer: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Callback<T> {
    /// The answer, once it is there. Dropping the future loses nothing.
    ///
    /// # Errors
    /// How else it ended: [`Error::Expired`], [`Error::Canceled`], [`Error::Failed`];
    /// [`Error::Shape`] if the answer is no `T`.
    pub async fn wait(&self) -> Result<T, Error> {
        Ok(serde_json::from_value(self.ended().await?.answer()?)?)
    }
}

impl<T> Callback<T> {
    fn of(connection: &Arc<Connection>, made: view::Made) -> Self {
        let connection = Arc::clone(connection);
        let path = format!("/api/v1/callback/{}", made.id);
        Self { connection, path, made, answer: PhantomData }
    }

    /// Ringback's name for it, to [attach](Gateway::attach) to it later.
    pub fn id(&self) -> &str {
        &self.made.id
    }

    /// Whoever has it may answer. Empty for one that was attached to: it is not stored.
    pub fn url(&self) -> &str {
        &self.made.url
    }

    /// Whoever has it may wait, and nothing else: for a browser. Empty like [`Callback::url`].
    pub fn wait_url(&self) -> String {
        let base = self.made.url.rsplit_once("/cb/").map(|(base, _)| base);
        base.map(|base| format!("{base}/wait/{}", self.made.wait_token)).unwrap_or_default()
    }

    /// How it is now.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn get(&self) -> Result<View, Error> {
        Ok(self.connection.ask(&Ask::get(&self.path)).await?.json()?)
    }

    /// How it is once it has ended, however that was.
    ///
    /// # Errors
    /// [`Error`], but for those that say how it ended.
    pub async fn ended(&self) -> Result<View, Error> {
        loop {
            let view = view::poll(&self.connection, &self.path).await?;
            if view.status.is_end() {
                return Ok(view);
            }
        }
    }

    /// What happens to it, from the beginning.
    pub fn events(&self) -> Events {
        Events::new(Arc::clone(&self.connection), self.path.clone())
    }

    /// Has a function called for what happens to it, once the result is awaited:
    /// `callback.on(Happened::Progress, …).on(Happened::Completed, …).await`.
    pub fn on<'h, H, F>(&self, happened: Happened, handler: H) -> Following<'h>
    where
        H: FnMut(Event) -> F + Send + 'h,
        F: Future<Output = ()> + Send + 'h,
    {
        Following::new(self.events()).on(happened, handler)
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it has ended otherwise.
    pub async fn complete(&self, body: impl Into<Body>) -> Result<(), Error> {
        self.act("complete", Some(body.into())).await.map(drop)
    }

    /// Adds an item to a stream.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also where it cannot be known whether it was taken: twice is two items.
    pub async fn item(&self, body: impl Into<Body>) -> Result<(), Error> {
        let ask = Ask::post(&format!("{}/complete", self.path), Some(body.into()), None);
        self.connection.ask(&Ask { is_once: true, ..ask }).await.map(drop)
    }

    /// Says that there will be no answer, and why.
    ///
    /// # Errors
    /// As [`Callback::complete`].
    pub async fn fail(&self, body: impl Into<Body>) -> Result<(), Error> {
        self.act("fail", Some(body.into())).await.map(drop)
    }

    /// Does not want the answer any more; the other side is told when it asks.
    ///
    /// # Errors
    /// As [`Callback::complete`].
    pub async fn cancel(&self) -> Result<(), Error> {
        self.act("cancel", None).await.map(drop)
    }

    /// A stream has no more items.
    ///
    /// # Errors
    /// As [`Callback::complete`].
    pub async fn end(&self) -> Result<(), Error> {
        self.act("close", None).await.map(drop)
    }

    /// Waits until so many seconds from now.
    ///
    /// # Errors
    /// As [`Callback::complete`].
    pub async fn extend(&self, seconds: u64) -> Result<(), Error> {
        let until = Body::json(&serde_json::json!({"expiresIn": seconds}))?;
        self.act("extend", Some(until)).await.map(drop)
    }

    /// The same callback with another URL; the one it had is closed.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn rotate(&self) -> Result<Self, Error> {
        Ok(Self::of(&self.connection, self.act("rotate", None).await?.json()?))
    }

    async fn act(&self, act: &str, body: Option<Body>) -> Result<connection::Said, Error> {
        let path = format!("{}/{act}", self.path);
        self.connection.ask(&Ask::post(&path, body, None)).await
    }
}

/// A body, and what it is. JSON, text and bytes become one by themselves.
#[derive(Clone, Debug)]
pub struct Body {
    content_type: String,
    bytes: Bytes,
}

impl Body {
    /// Bytes of this type.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.into(), bytes: bytes.into() }
    }

    /// Anything as JSON.
    ///
    /// # Errors
    /// Of `serde_json`.
    pub fn json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::new("application/json", serde_json::to_vec(value)?))
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self::new("application/json", value.to_string())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::new("text/plain; charset=utf-8", text.to_owned())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::new("application/octet-stream", bytes)
    }
}

impl Ask {
    fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// Posts something once: its key lets it be repeated.
    fn post(path: &str, body: Option<Body>, key: Option<&str>) -> Self {
        let key = key.map_or_else(connection::random_key, str::to_owned);
        let ask = Self::new(Method::POST, path).header("idempotency-key", &key);
        match body {
            None => ask,
            Some(Body { content_type, bytes }) => {
                Self { body: bytes, ..ask.header(header::CONTENT_TYPE.as_str(), &content_type) }
            }
        }
    }
}
