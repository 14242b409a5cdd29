//! The whole of what a provider's file says about a request, in the order a source asks for it:
//! is it a challenge, is it proven, what happened.

use super::definition::Provider;
use super::event::Event;
use super::handshake::{Answered, Challenge, Reply};
use super::request::Request;
use super::settings::Settings;
use super::verdict::Verdict;
use super::verify::{FetchedKeys, KeyRequest, Outcome};
use crate::time::Timestamp;

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A challenge with its answer; nothing happened.
    Challenge(Answered),
    /// A challenge that must not be answered.
    RefusedChallenge {
        /// The answer to it.
        reply: Reply,
        /// Why.
        verdict: Verdict,
    },
    /// An event, proven or not.
    Event {
        /// Whether it was proven.
        verdict: Verdict,
        /// What happened, if it can be read.
        event: Event,
    },
    /// A key has to be fetched first; then ask again.
    Fetch(KeyRequest),
}

impl Provider {
    /// Judges a request that arrived at `now`.
    pub fn judge(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        keys: &dyn FetchedKeys,
        now: Timestamp,
    ) -> Judgement {
        match self.challenge(request, settings, keys, now) {
            Challenge::Answered(answered) => return Judgement::Challenge(answered),
            Challenge::Refused { reply, verdict } => {
                return Judgement::RefusedChallenge { reply, verdict };
            }
            Challenge::Fetch(key) => return Judgement::Fetch(key),
            Challenge::None => {}
        }
        match self.verify(request, settings, keys, now) {
            Outcome::Fetch(key) => Judgement::Fetch(key),
            Outcome::Verdict(verdict) => {
                let event = self.event(request, verdict.claims.as_deref());
                Judgement::Event { verdict, event }
            }
        }
    }
}
