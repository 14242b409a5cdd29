//! What providers say of themselves: their metadata, and the keys that they sign with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use ringback_domain::{
    oauth::{
        jose::JwkSet,
        metadata::{Metadata, well_known},
    },
    time::Timestamp,
};

use super::{Oauth, Trouble};

/// How long what a provider says of itself is believed.
const KEPT: Duration = Duration::from_secs(3_600);
/// How often keys are fetched anew, however many tokens name keys that are not among them.
const AGAIN: Duration = Duration::from_secs(10);
/// Issuers and sets of keys that are remembered.
const MOST: usize = 1_000;

/// What was fetched, and when.
#[derive(Default)]
pub(super) struct Discovery {
    metadata: Cache<Metadata>,
    keys: Cache<JwkSet>,
}

type Cache<T> = Mutex<HashMap<String, (Arc<T>, Timestamp)>>;

impl Oauth {
    /// What an issuer says of itself.
    ///
    /// # Errors
    /// When it says nothing, or calls itself otherwise (RFC 8414, section 3.3).
    pub(super) async fn metadata(&self, issuer: &str) -> Result<Arc<Metadata>, Trouble> {
        let cache = &self.0.discovery.metadata;
        if let Some(kept) = kept(cache, issuer, self.now(), KEPT) {
            return Ok(kept);
        }
        let mut last = Trouble::Misconfigured("the issuer is no url".to_owned());
        for url in well_known(issuer) {
            match self.document(&url).await {
                Ok(text) => {
                    let metadata = Metadata::parse(issuer, &text)
                        .map_err(|error| Trouble::Unbelievable(error.to_string()))?;
                    return Ok(keep(cache, issuer, metadata, self.now()));
                }
                Err(trouble @ Trouble::Away(_)) => return Err(trouble),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// The keys at a URL. If `kid` is not among those that were fetched before, they are fetched anew:
    /// providers change their keys at any time (OpenID Connect Core, section 10.1.1).
    ///
    /// # Errors
    /// When there are none to be had.
    pub(super) async fn keys(&self, url: &str, kid: Option<&str>) -> Result<Arc<JwkSet>, Trouble> {
        let cache = &self.0.discovery.keys;
        let now = self.now();
        if let Some(known) = kept(cache, url, now, KEPT)
            && (kid.is_none_or(|kid| known.has(kid)) || kept(cache, url, now, AGAIN).is_some())
        {
            return Ok(known);
        }
        let text = self.document(url).await?;
        let keys = JwkSet::parse(&text)
            .ok_or_else(|| Trouble::Unbelievable("its keys cannot be read".to_owned()))?;
        Ok(keep(cache, url, keys, self.now()))
    }
}

fn kept<T>(cache: &Cache<T>, name: &str, now: Timestamp, age: Duration) -> Option<Arc<T>> {
    let cache = cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (kept, since) = cache.get(name)?;
    (now.since(*since) < age).then(|| Arc::clone(kept))
}

fn keep<T>(cache: &Cache<T>, name: &str, value: T, now: Timestamp) -> Arc<T> {
    let value = Arc::new(value);
    let mut cache = cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if cache.len() >= MOST {
        cache.clear();
    }
    cache.insert(name.to_owned(), (Arc::clone(&value), now));
    value
}
