//! Keys that providers publish: fetched through the guarded way out, kept for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ringback_domain::{
    provider::FetchedKeys,
    target::{Rules, Target},
    time::Timestamp,
};
use tokio::time::Instant;

use crate::outbound::{self, Connector, Once};

/// How long a key is used before it is fetched again.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a failure is believed.
const FAILED: Duration = Duration::from_secs(30);
/// A key that does not know the request's is fetched again after this time.
const REFRESH: Duration = Duration::from_secs(60);
/// How long a fetch may take: the provider waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document.
const MAX_DOCUMENT: usize = 256 * 1024;
/// How many documents are kept.
const LIMIT: usize = 1_000;

/// Documents by their URL. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    connector: Arc<Connector>,
    // Held for a look-up or an insertion, never across an await.
    documents: Mutex<HashMap<String, Document>>,
}

struct Document {
    /// None if it could not be had.
    text: Option<Arc<str>>,
    at: Timestamp,
}

/// The documents at one moment.
pub(super) struct At<'a> {
    keys: &'a Keys,
    now: Timestamp,
}

impl FetchedKeys for At<'_> {
    fn get(&self, url: &str) -> Option<Arc<str>> {
        let documents = self.keys.lock();
        let document = documents.get(url)?;
        let lasts = if document.text.is_some() { KEPT } else { FAILED };
        if self.now > document.at + lasts {
            return None;
        }
        // What could not be had reads as no key, until it is worth another try.
        Some(document.text.clone().unwrap_or_else(|| Arc::from("")))
    }
}

impl Keys {
    /// None yet; what is asked for comes through this way out.
    pub fn new(connector: Arc<Connector>) -> Keys {
        Keys(Arc::new(Inner { connector, documents: Mutex::default() }))
    }

    pub(super) fn at(&self, now: Timestamp) -> At<'_> {
        At { keys: self, now }
    }

    /// Fetches a document and keeps it, or that it could not be had.
    pub(super) async fn fetch(&self, url: &str, now: Timestamp) {
        let text = match self.get(url).await {
            Ok(text) => Some(Arc::from(text.as_str())),
            Err(reason) => {
                tracing::warn!(url, reason, "a provider's key could not be fetched");
                None
            }
        };
        let mut documents = self.lock();
        if documents.len() >= LIMIT && !documents.contains_key(url) {
            documents.retain(|_, document| now <= document.at + KEPT && document.text.is_some());
        }
        if documents.len() >= LIMIT {
            documents.clear();
        }
        documents.insert(url.to_owned(), Document { text, at: now });
    }

    /// Drops whatever is older than a minute, after a request named a key that no document has.
    pub(super) fn outdated(&self, now: Timestamp) -> bool {
        let mut documents = self.lock();
        let before = documents.len();
        documents.retain(|_, document| now <= document.at + REFRESH);
        documents.len() != before
    }

    /// Asks for a URL once, and tells only whether the answer was a success.
    pub(super) async fn visit(&self, url: &str) -> Result<(), String> {
        self.get(url).await.map(|_| ())
    }

    async fn get(&self, url: &str) -> Result<String, String> {
        let target =
            Target::parse(url, Rules { require_https: true }).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        let accept = "application/json, application/x-pem-file, */*".to_owned();
        let headers = [("accept".to_owned(), accept)];
        let once = Once { method: "GET", target: &target, headers: &headers, body: Bytes::new() };
        let limits = outbound::Limits { keep: MAX_DOCUMENT, read: MAX_DOCUMENT, headers: 100 };
        let answer = self.0.connector.once(once, &limits, deadline).await;
        let answer = answer.map_err(|reason| reason.as_str().to_owned())?;
        if !answer.status.is_success() {
            return Err(format!("status {}", answer.status.as_u16()));
        }
        if answer.truncated {
            return Err("too_large".to_owned());
        }
        String::from_utf8(answer.body.to_vec()).map_err(|_| "not_text".to_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Document>> {
        // Every change leaves the map whole, so a panic elsewhere cannot have broken it.
        self.0.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
