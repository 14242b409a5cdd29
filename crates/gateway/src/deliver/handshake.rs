//! Asks a receiver whether it wants to be sent to, before anything is: once for each URL while the
//! process runs.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use ringback_domain::{
    delivery::handshake::{Allowed, REQUEST_ORIGIN, REQUEST_RATE, judge},
    id::Key,
    time::Timestamp,
};
use ringback_store::Lane;
use tokio::sync::OnceCell;

use super::{attempt::Made, services::Services};
use crate::outbound::Answer;

/// Attempts a second as long as nothing is allowed: one asks, and the others wait for what it
/// hears.
const UNKNOWN: f64 = 1.0;
/// How many answers are remembered.
const REMEMBERED: usize = 100_000;

/// What receivers allowed, by endpoint: an idle lane is forgotten, and its receiver is not asked
/// again for that.
#[derive(Debug, Default)]
pub struct Consents(Mutex<HashMap<Key, Consent>>);

#[derive(Debug)]
struct Consent {
    url: String,
    allowed: Allowed,
}

/// The question to one endpoint, and what is known of its answer.
pub(super) struct Handshake {
    endpoint: Key,
    url: String,
    origin: String,
    /// Attempts a second that it is to get, at most.
    rate: Option<u32>,
    /// Set once, by whoever asks first; the others wait.
    allowed: OnceCell<Allowed>,
}

impl Consents {
    fn get(&self, endpoint: Key, url: &str) -> Option<Allowed> {
        let consents = self.lock();
        consents.get(&endpoint).filter(|consent| consent.url == url).map(|consent| consent.allowed)
    }

    fn keep(&self, endpoint: Key, url: &str, allowed: Allowed) {
        let mut consents = self.lock();
        if consents.len() >= REMEMBERED {
            consents.clear();
        }
        consents.insert(endpoint, Consent { url: url.to_owned(), allowed });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Consent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    pub(super) fn new(lane: &Lane, services: &Services) -> Handshake {
        let (endpoint, url) = (lane.endpoint.id.key(), lane.endpoint.url.clone());
        Handshake {
            allowed: OnceCell::new_with(services.consents.get(endpoint, &url)),
            endpoint,
            url,
            origin: services.origin.clone(),
            rate: lane.endpoint.throttle_rate,
        }
    }

    /// Attempts a second that the receiver allows.
    pub(super) fn rate(&self) -> Option<f64> {
        self.allowed.get().map_or(Some(UNKNOWN), |allowed| allowed.rate)
    }

    /// Asks, unless it is known that the receiver wants it. `request` makes a request with the
    /// headers that it is given.
    ///
    /// # Errors
    /// The attempt, which ended with that.
    pub(super) async fn ask(
        &self,
        services: &Services,
        request: impl AsyncFnOnce(HeaderMap) -> Result<Answer, Made>,
        now: Timestamp,
    ) -> Result<(), Made> {
        let ask = async || {
            let answer = request(self.headers()).await?;
            let header = |name: &str| answer.headers.get(name)?.to_str().ok();
            let judged = judge(&self.origin, answer.status.as_u16(), header);
            let allowed = judged.map_err(|refused| {
                let why = format!("asked with OPTIONS whether it wants deliveries, {refused}");
                Made::refused(&answer, why, now)
            })?;
            services.consents.keep(self.endpoint, &self.url, allowed);
            Ok(allowed)
        };
        self.allowed.get_or_try_init(ask).await.map(|_| ())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(origin) = HeaderValue::try_from(&self.origin) {
            headers.insert(HeaderName::from_static(REQUEST_ORIGIN), origin);
        }
        if let Some(rate) = self.rate {
            let a_minute = HeaderValue::from(u64::from(rate) * 60);
            headers.insert(HeaderName::from_static(REQUEST_RATE), a_minute);
        }
        headers
    }
}
