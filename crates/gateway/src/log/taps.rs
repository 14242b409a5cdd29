//! What happens, as it happens, for whoever looks: told to those who are there, and kept nowhere.
//!
//! Where nobody looks, telling is one look at a number. Who is too slow is told how much they missed.

use std::sync::Arc;

use ringback_domain::{
    id::{ApplicationId, EndpointId, Key, MessageId, SourceId},
    time::Timestamp,
};
use serde::Serialize;
use tokio::sync::broadcast;

use super::Bells;

/// How much may wait for somebody who looks.
const WAITING: usize = 1_024;

/// Those who look. Clones share it.
#[derive(Clone)]
pub struct Taps(broadcast::Sender<Arc<Happened>>);

impl Default for Taps {
    fn default() -> Taps {
        Taps(broadcast::Sender::new(WAITING))
    }
}

impl Taps {
    /// Tells those who look, if there are any.
    pub fn tell(&self, happened: impl FnOnce() -> Happened) {
        if self.0.receiver_count() > 0 {
            // Those who looked may have gone meanwhile.
            let _ = self.0.send(Arc::new(happened()));
        }
    }

    /// Looks from now on.
    pub fn look(&self) -> broadcast::Receiver<Arc<Happened>> {
        self.0.subscribe()
    }
}

/// Those who are told of what is committed: by a ring, and in words.
#[derive(Clone, Default)]
pub struct Ears {
    /// Who waits for something to arrive.
    pub bells: Bells,
    /// Who looks at what happens.
    pub taps: Taps,
}

/// What happened, and where.
#[derive(Debug)]
pub struct Happened {
    /// In whose environment.
    pub environment: Key,
    /// In which application.
    pub application: Key,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// A request arrived at a source.
    Request {
        /// The source.
        source: SourceId,
        /// What people call it.
        source_name: String,
        /// What became of it.
        status: &'static str,
        /// Why, in a stable word.
        reason: Option<String>,
        /// The type of the event.
        event_type: Option<String>,
        /// The provider's id of it.
        event_id: Option<String>,
        /// What was answered.
        response_status_code: u16,
        /// Bytes of its body.
        bytes: u64,
        /// The message that it became or repeats.
        msg_id: Option<MessageId>,
    },
    /// A message was accepted.
    Message {
        /// The message.
        id: MessageId,
        /// What happened.
        event_type: String,
        /// How many endpoints it goes to.
        endpoints: usize,
    },
    /// An attempt ended.
    Attempt {
        /// The message.
        msg_id: MessageId,
        /// Of which application.
        application: ApplicationId,
        /// To which endpoint.
        endpoint: EndpointId,
        /// What happened.
        event_type: String,
        /// Counted from 1; 0 for one that somebody asked for.
        number: u32,
        /// What becomes of the delivery.
        outcome: &'static str,
        /// The answer's status, 0 without one.
        response_status_code: u16,
        /// The phase that failed.
        failed_phase: Option<&'static str>,
        /// Why, in a stable word.
        reason: Option<&'static str>,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// When it is tried next.
        next_attempt: Option<Timestamp>,
    },
    /// An endpoint's circuit was opened, as it fails too often, or closed.
    Breaker {
        /// Of which application.
        application: ApplicationId,
        /// Of which endpoint.
        endpoint: EndpointId,
        /// `opened` or `closed`.
        state: &'static str,
        /// When it is probed.
        until: Option<Timestamp>,
    },
}
