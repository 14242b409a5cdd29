//! What a worker needs from the rest of the process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::{
    id::{AttemptId, Id, KeySequence},
    retry::Schedule,
    seal::Keyring,
    time::Timestamp,
};
use ringback_store::Store;

use super::{Breakers, Engine, Providers, handshake::Consents, recipe::Tools, token::Tokens};
use crate::{
    contract,
    log::{Pressure, Replies, Taps},
    outbound,
    outbound::{Connector, Hosts},
    payloads::Payloads,
    seam::World,
    telemetry::metrics::Metrics,
    transform::Sandbox,
};

/// What a worker needs.
pub struct Services {
    /// Clock, randomness.
    pub world: World,
    /// Where deliveries and results are.
    pub store: Arc<dyn Store>,
    /// The way out.
    pub connector: Arc<Connector>,
    /// Whom destinations with a protocol of their own may dial.
    pub hosts: Arc<Hosts>,
    /// Where payloads are kept that are too large for a request.
    pub payloads: Option<Payloads>,
    /// Where transformations run.
    pub sandbox: Sandbox,
    /// What payloads of event types become in older versions.
    pub contracts: contract::Directory,
    /// Finds those in whose style is signed.
    pub providers: Providers,
    /// Opens secrets.
    pub keyring: Arc<Keyring>,
    /// When to try again.
    pub schedule: Schedule,
    /// When endpoints that fail are left alone.
    pub breakers: Arc<Breakers>,
    /// How much at once.
    pub limits: Limits,
    /// Whether plain `http` targets may still be dialled.
    pub require_https: bool,
    /// How long content is kept; for operational messages.
    pub retention: Duration,
    /// What is counted.
    pub metrics: Metrics,
    /// The other cores.
    pub engine: Engine,
    /// How much is waiting, for the intake.
    pub pressure: Arc<Pressure>,
    /// Who waits for what an endpoint answers.
    pub replies: Arc<Replies>,
    /// Who looks at what happens.
    pub taps: Taps,
    /// What receivers allowed that were asked first.
    pub consents: Consents,
    /// Tokens that open endpoints.
    pub tokens: Tokens,
    /// The name under which they are asked: this installation's in DNS.
    pub origin: String,
    /// The keys of attempts, shared by all cores.
    pub attempt_keys: Mutex<KeySequence>,
}

impl Services {
    /// What recipes are made with.
    pub(super) fn tools(&self) -> Tools<'_> {
        Tools { world: &self.world, contracts: &self.contracts, sandbox: &self.sandbox }
    }

    /// The id of an attempt that begins now.
    pub(super) fn attempt_id(&self, now: Timestamp, nonce: u64) -> AttemptId {
        let mut keys = self.attempt_keys.lock().unwrap_or_else(PoisonError::into_inner);
        AttemptId(Id { key: keys.next(now, 0), shard: 0, nonce })
    }
}

/// How much at once; numbers of a process are divided among its cores.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Total time of an attempt.
    pub timeout: Duration,
    /// The longest that an endpoint may ask for.
    pub longest: Duration,
    /// Requests open to one endpoint.
    pub per_endpoint: u32,
    /// Requests open on this core; connections that are held open for later take the room that is
    /// left.
    pub sockets: u32,
    /// Attempts begun on this core whose result is not committed.
    pub in_flight: usize,
    /// Deliveries of one lane in memory.
    pub head: usize,
    /// Deliveries of all lanes of this core in memory.
    pub heads: usize,
    /// Bytes of their payloads.
    pub head_bytes: usize,
    /// Bytes of payload that one read of the store may bring.
    pub refill_bytes: usize,
    /// What is read of an answer.
    pub answer: outbound::Limits,
}
