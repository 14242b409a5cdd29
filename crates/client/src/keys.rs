//! Documents with keys that providers publish, fetched by a function of the user's and kept.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringback_domain::provider::FetchedKeys;
use ringback_domain::time::Timestamp;

use crate::BoxError;

/// How long a document is used before it is fetched again.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A document that lacks a key is fetched again after this time; so is one that was not to be had.
const REFRESH: Duration = Duration::from_secs(60);
/// How many documents are kept, and fetched in a minute: strangers can name addresses, though only
/// at the provider's hosts.
const LIMIT: usize = 30;

/// Fetches the text at an `https` URL.
pub(crate) type Fetch = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>> + Send + Sync,
>;

#[derive(Default)]
pub(crate) struct Keys {
    // Held for a look-up or an insertion, never across an await.
    documents: Mutex<HashMap<String, Document>>,
}

struct Document {
    /// Empty if it could not be had: that reads as no key.
    text: Arc<str>,
    at: Timestamp,
}

/// The documents at one moment.
pub(crate) struct At<'a>(&'a Keys, Timestamp);

impl FetchedKeys for At<'_> {
    fn get(&self, url: &str) -> Option<Arc<str>> {
        let documents = self.0.documents();
        let document = documents.get(url)?;
        let lasts = if document.text.is_empty() { REFRESH } else { KEPT };
        (self.1.since(document.at) <= lasts).then(|| Arc::clone(&document.text))
    }
}

impl Keys {
    pub(crate) fn at(&self, now: Timestamp) -> At<'_> {
        At(self, now)
    }

    /// Fetches a document and keeps it, or that it could not be had.
    pub(crate) async fn fetch(
        &self,
        url: &str,
        fetch: &Fetch,
        now: Timestamp,
    ) -> Result<(), BoxError> {
        if !self.has_room(now) {
            return Err("too many keys were fetched in the last minute".into());
        }
        let fetched = fetch(url.to_owned()).await;
        let text = fetched.as_deref().map_or_else(|_| Arc::from(""), Arc::from);
        self.documents().insert(url.to_owned(), Document { text, at: now });
        fetched.map(drop)
    }

    /// Drops what is older than a minute, after a request named a key that no document has. Answers
    /// whether that is worth another look.
    pub(crate) fn outdated(&self, now: Timestamp) -> bool {
        let mut documents = self.documents();
        let before = documents.len();
        documents.retain(|_, document| now.since(document.at) <= REFRESH);
        documents.len() != before
    }

    fn has_room(&self, now: Timestamp) -> bool {
        let mut documents = self.documents();
        if documents.len() >= LIMIT {
            documents.retain(|_, document| now.since(document.at) <= REFRESH);
        }
        documents.len() < LIMIT
    }

    fn documents(&self) -> MutexGuard<'_, HashMap<String, Document>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
