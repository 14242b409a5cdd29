//! What the door is made of, and what every part of it uses.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ringback_domain::{
    id::Key,
    provider::{Event, Judgement, Provider, Reason, Reply, Request, Settings, State, Verdict},
    seal::Keyring,
    time::Timestamp,
};
use ringback_store::Store;

use super::{Directory, call::Call, keys::Keys, limits::Limits};
use crate::{
    callback::Callbacks,
    listen::Listeners,
    log::{Log, Replies},
    seam::World,
    telemetry::metrics::Metrics,
};

/// Keys that one request may need to have fetched: one, and one more where a set was renewed.
const FETCHES: usize = 3;

/// What the door is made of.
pub struct Parts {
    /// Where accepted messages go.
    pub log: Log,
    /// Where everything else goes.
    pub store: Arc<dyn Store>,
    /// Are answered by messages.
    pub callbacks: Callbacks,
    /// Finds sources.
    pub directory: Directory,
    /// Clock and randomness.
    pub world: World,
    /// Keys that providers publish.
    pub keys: Keys,
    /// Seals what a handshake brings, and what of a request cannot be shown.
    pub keyring: Arc<Keyring>,
    /// Where all sources are called from outside: `https://hooks.example.com`.
    pub public_url: String,
    /// Where large bodies are kept while they arrive.
    pub spool: PathBuf,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
    /// How long content is kept, unless a source says otherwise.
    pub retention: Duration,
    /// Those who listen, and may answer for a source.
    pub listeners: Listeners,
    /// What destinations answer.
    pub replies: Arc<Replies>,
    /// What is counted.
    pub metrics: Metrics,
}

/// The door. Clones share it.
#[derive(Clone)]
pub struct Door {
    pub(super) parts: Arc<Parts>,
    pub(super) limits: Arc<Limits>,
}

/// The store cannot take anything: the provider comes again.
pub(super) struct Busy;

/// What a request is.
pub(crate) enum Judged {
    /// A challenge with its answer.
    Challenge(ringback_domain::provider::Answered),
    /// A challenge that must not be answered.
    RefusedChallenge { reply: Reply, verdict: Verdict },
    /// An event, proven or not.
    Event { verdict: Verdict, event: Event },
}

impl Door {
    /// A door made of these parts.
    pub fn new(parts: Parts) -> Door {
        Door { parts: Arc::new(parts), limits: Arc::default() }
    }

    /// Asks the provider's file what a request is, as of the time when it came. Keys that this
    /// takes are fetched now.
    pub(super) async fn judge(&self, call: &Call<'_>, request: &Request<'_>) -> Judged {
        let whose = (call.provider, &call.ready.settings);
        let when = (call.received_at, call.now);
        self.judge_for(call.ready.source.id.key(), whose, request, when).await
    }

    /// The provider with this id; none if no file describes it.
    pub(crate) fn provider(&self, id: &str) -> Option<Arc<Provider>> {
        self.parts.directory.provider(id)
    }

    /// The same for whoever has such a provider and its settings. What is fetched is counted against
    /// `owner`; `when` is when the request came, and now.
    pub(crate) async fn judge_for(
        &self,
        owner: Key,
        (provider, settings): (&Provider, &Settings),
        request: &Request<'_>,
        (received_at, now): (Timestamp, Timestamp),
    ) -> Judged {
        let mut renewed = false;
        for _ in 0..FETCHES {
            let keys = self.parts.keys.at(now);
            match provider.judge(request, settings, &keys, received_at) {
                Judgement::Fetch(key) => {
                    if !self.limits.fetch(owner, now) {
                        break;
                    }
                    self.parts.keys.fetch(&key.url, now).await;
                }
                Judgement::Event { verdict, .. }
                    if verdict.reason == Some(Reason::UnknownKey)
                        && !renewed
                        && self.parts.keys.outdated(now) =>
                {
                    renewed = true;
                }
                Judgement::Challenge(answered) => return Judged::Challenge(answered),
                Judgement::RefusedChallenge { reply, verdict } => {
                    return Judged::RefusedChallenge { reply, verdict };
                }
                Judgement::Event { verdict, event } => return Judged::Event { verdict, event },
            }
        }
        let (state, reason) = (State::Failed, Some(Reason::KeyUnavailable));
        let verdict = Verdict { state, reason, claims: None };
        Judged::Event { verdict, event: provider.event(request, None) }
    }
}
