//! What the server says about callbacks.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::Error;
use super::connection::{Ask, Connection};

/// Nobody who waited says so soon that there is none.
const SOON: Duration = Duration::from_secs(1);

/// How far a callback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing has come yet.
    Pending,
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

impl Status {
    /// Whether nothing more happens to it.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Pending | Self::Returned)
    }
}

/// A callback as it is; `docs/callbacks.md` says what each field means.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Ringback's name for it.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// The other side's name for it.
    pub reference: Option<String>,
    /// Labels to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Texts of the application's own.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339.
    pub settled_at: Option<String>,
    /// The request that settled it.
    pub settled_by: Option<String>,
    /// How many items a stream has.
    pub items: Option<u32>,
    /// What settled it.
    pub result: Option<Content>,
}

/// What arrived: as JSON, as the fields of a form, as text or in Base64.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Content {
    /// Bytes that arrived.
    pub size: u64,
    /// What they were said to be.
    pub content_type: Option<String>,
    /// What was JSON.
    pub json: Option<Value>,
    /// The fields of a form; one that came more than once is a list.
    pub form: Option<Value>,
    /// Other text.
    pub text: Option<String>,
    /// What is none of text.
    pub base64: Option<String>,
    /// It is too large to be shown here.
    pub truncated: bool,
}

/// What is said about a callback when it is made.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub(super) id: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) wait_token: String,
}

/// Without the secrets in the URLs.
impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("id", &self.id).finish_non_exhaustive()
    }
}

impl View {
    /// The answer; how else it ended is an error.
    pub(super) fn answer(self) -> Result<Value, Error> {
        let value = self.result.map(Content::into_value).unwrap_or_default();
        match self.status {
            Status::Failed => Err(Error::Failed(value)),
            Status::Expired => Err(Error::Expired),
            Status::Canceled => Err(Error::Canceled),
            Status::Completed | Status::Pending | Status::Returned => Ok(value),
        }
    }
}

impl Content {
    /// As one value: JSON, the fields of a form, or a string. Null if nothing came.
    pub fn into_value(self) -> Value {
        let text = self.text.or(self.base64).map(Value::String);
        self.json.or(self.form).or(text).unwrap_or_default()
    }
}

/// Asks how far it is; the server may take a while to say that there is no answer yet.
pub(super) async fn poll(connection: &Connection, path: &str) -> Result<View, Error> {
    let asked = Instant::now();
    let said = connection.ask(&Ask::get(&format!("{path}/result")).patient()).await?;
    let view: View = said.json()?;
    if !view.status.is_end() && asked.elapsed() < SOON {
        // The server is about to end, or something before it keeps it from waiting.
        sleep(said.retry_after().unwrap_or(Duration::from_secs(1))).await;
    }
    Ok(view)
}
