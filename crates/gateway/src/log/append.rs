//! Commit, then wake the lanes: the one place where that happens.

use std::sync::Arc;

use ringback_domain::{attempt::Trigger, scope::Scope};
use ringback_store::{
    Append, AppendError, Appended, Content, Due, Release, Released, Store, WriteError, delivery_key,
};

use super::{
    Ears, Lanes, Taps,
    taps::{Happened, What},
};

/// The log's front: appends to the store and wakes the lanes.
#[derive(Clone)]
pub struct Log {
    store: Arc<dyn Store>,
    lanes: Arc<dyn Lanes>,
    ears: Ears,
}

impl Log {
    /// A log on this store that wakes these lanes, and tells those who listen.
    pub fn new(store: Arc<dyn Store>, lanes: Arc<dyn Lanes>, ears: Ears) -> Log {
        Log { store, lanes, ears }
    }

    /// Who looks at what happens.
    pub fn taps(&self) -> &Taps {
        &self.ears.taps
    }

    /// Appends messages; when it returns, what succeeded is durable and its lanes know of it.
    /// Each message succeeds or fails for itself.
    pub async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        // Payloads are reference counted: the copy for the lanes shares their bytes.
        let messages: Vec<_> = batch.iter().map(Kept::of).collect();
        let results = self.store.append(batch).await;
        let mut due = Vec::with_capacity(results.len());
        for (kept, appended) in messages.into_iter().zip(&results) {
            let Ok(appended) = appended else { continue };
            if !appended.repeated {
                self.ears.bells.ring(appended.application);
                self.ears.taps.tell(|| kept.happened(appended));
            }
            if !appended.endpoints.is_empty() {
                kept.deliveries(appended, &mut due);
            }
            // Whether its turn has come is known to the store.
            appended.ordered.iter().for_each(|endpoint| self.lanes.look(*endpoint));
        }
        if !due.is_empty() {
            self.lanes.deliver(due);
        }
        results
    }

    /// Makes messages of a request that was kept; when it returns, they are durable and their lanes
    /// look for them.
    ///
    /// # Errors
    /// As [`Sources::release`](ringback_store::Sources::release).
    pub async fn release(&self, release: Release) -> Result<Released, WriteError> {
        let released = self.store.release(release).await?;
        if let Released::Now(appended) = &released {
            for appended in appended {
                self.ears.bells.ring(appended.application);
            }
            for endpoint in appended.iter().flat_map(|appended| &*appended.endpoints) {
                self.lanes.look(*endpoint);
            }
        }
        Ok(released)
    }

    /// Tells the lanes of deliveries that became due by something that is committed already.
    pub fn deliver(&self, due: Vec<Due>) {
        self.lanes.deliver(due);
    }
}

/// What the lanes need of a message while the store has the rest.
struct Kept {
    environment: i64,
    event_type: Box<str>,
    event_id: Option<String>,
    content_type: Option<String>,
    payload: bytes::Bytes,
    headers: Option<Arc<[(String, String)]>>,
    version: Option<u32>,
    accepted_at: ringback_domain::time::Timestamp,
}

impl Kept {
    fn of(append: &Append) -> Kept {
        let message = &append.message;
        Kept {
            environment: append.environment,
            event_type: message.event_type.as_str().into(),
            event_id: message.event_id.clone(),
            content_type: message.content_type.clone(),
            payload: message.payload.clone(),
            headers: message.headers.clone(),
            version: message.version,
            accepted_at: message.accepted_at,
        }
    }

    fn happened(&self, appended: &Appended) -> Happened {
        Happened {
            environment: self.environment,
            application: appended.application,
            at: self.accepted_at,
            what: What::Message {
                id: appended.id,
                event_type: self.event_type.to_string(),
                endpoints: appended.endpoints.len(),
            },
        }
    }

    fn deliveries(self, appended: &Appended, due: &mut Vec<Due>) {
        let scope = Scope { environment: self.environment, application: appended.application };
        let content = Arc::new(Content {
            id: appended.id,
            scope,
            event_type: self.event_type,
            event_id: self.event_id,
            content_type: self.content_type,
            payload: self.payload,
            headers: self.headers,
            version: self.version,
        });
        let endpoints = appended.endpoints.iter().enumerate();
        let at_once = endpoints.filter(|(_, endpoint)| !appended.ordered.contains(endpoint));
        due.extend(at_once.map(|(index, endpoint)| Due {
            scope,
            delivery: delivery_key(appended.id, index),
            endpoint: *endpoint,
            attempts: 0,
            trigger: Trigger::Scheduled,
            due_at: self.accepted_at,
            sequence: None,
            fixed: None,
            content: Arc::clone(&content),
        }));
    }
}
