//! Answers that come from the destination itself: for slash commands, instructions for a call,
//! interactions, and whoever reads the result of the processing from the status.
//!
//! Durable first, as ever: the message is appended, its delivery is the engine's, and only then the
//! answer is waited for, until a deadline. Whatever happens to it costs the destination's words and
//! nothing else.

use std::{sync::Arc, time::Duration};

use ringback_domain::{
    attempt::Outcome,
    id::{Key, Kind},
    provider::{Provider, Reply, Request},
    scope::{Reference, check_uid},
};
use ringback_store::{Appended, AttemptQuery, NewMessage, Order, Page, Position, ReadError, Store};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::{
    call::Call,
    config::{Acknowledge, Statuses, acknowledgement},
};
use crate::{
    listen::{Answerers, Listeners},
    log::{
        Replies,
        replies::{Answer, Waiting, Whose},
    },
};

/// How long a destination may take, in milliseconds: at least, at most, and where nobody says.
const SHORTEST: u32 = 100;
const LONGEST: u32 = 30_000;
const USUAL: u32 = 2_500;
/// What is left of a provider's patience for the way there and back, in milliseconds.
const WAY: u32 = 500;
/// How many successes of a message are looked at.
const SUCCESSES: usize = 50;

/// Whether the destination itself answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = SourceReply)]
pub struct Options {
    /// Who answers.
    pub mode: Mode,
    /// The endpoint that answers, by id or uid. The oldest that wants the message when absent.
    #[schema(nullable)]
    pub endpoint: Option<String>,
    /// How long it may take, from 100 to 30000 milliseconds. When absent half a second less than
    /// the provider's own limit, or 2500.
    #[schema(nullable, minimum = 100, maximum = 30000)]
    pub deadline_ms: Option<u32>,
    /// What is answered if it takes longer, fails, or is not there: 200 to 299, or 400 to 599 to
    /// have the provider come again. As without destination when absent.
    #[schema(nullable)]
    pub fallback: Option<Acknowledge>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SourceReplyMode)]
pub enum Mode {
    /// The source, as soon as the message is durable.
    #[default]
    Immediate,
    /// The destination.
    Destination,
}

impl Options {
    /// Says what is wrong.
    pub(super) fn check(&self, split: bool, say: &mut impl FnMut(&'static str, String)) {
        if self.mode == Mode::Destination && split {
            say("reply.mode", "one destination cannot answer for each event of `split`".to_owned());
        }
        let id = |text: &str| matches!(Reference::parse(Kind::Endpoint, text), Reference::Id(_));
        if let Some(endpoint) = self.endpoint.as_deref().filter(|text| !id(text))
            && let Err(error) = check_uid(Kind::Endpoint, endpoint)
        {
            say("reply.endpoint", error.to_string());
        }
        if self.deadline_ms.is_some_and(|ms| !(SHORTEST..=LONGEST).contains(&ms)) {
            say("reply.deadlineMs", format!("has to be from {SHORTEST} to {LONGEST}"));
        }
        if let Some(answer) = &self.fallback {
            let fields = ["reply.fallback.status", "reply.fallback.headers", "reply.fallback.body"];
            answer.check(fields, Statuses::SuccessOrFailure, say);
        }
    }

    /// How long the destination has to answer; none if the source answers itself.
    pub(super) fn waits(&self, provider: &Provider) -> Option<Duration> {
        (self.mode == Mode::Destination).then(|| self.deadline(provider))
    }

    fn deadline(&self, provider: &Provider) -> Duration {
        let patience = provider.answer.deadline.map(|seconds| (seconds * 1_000.0) as u32);
        let usual = patience.map(|ms| ms.saturating_sub(WAY)).unwrap_or(USUAL);
        let chosen = self.deadline_ms.unwrap_or(usual).clamp(SHORTEST, LONGEST);
        Duration::from_millis(chosen.into())
    }
}

/// A destination's answer that is waited for.
pub(super) struct Awaited {
    replies: Arc<Replies>,
    listeners: Listeners,
    /// None if too many wait already.
    waiting: Option<Waiting>,
    /// Whether it is a repeated event whose first was delivered, to no one who waited.
    was_delivered: bool,
    until: Instant,
}

/// The endpoint that the source has chosen to answer.
async fn chosen(store: &dyn Store, call: &Call<'_>) -> Result<Option<Key>, ReadError> {
    let ready = call.ready;
    let Some(name) = &ready.config.reply.endpoint else { return Ok(None) };
    let name = Reference::parse(Kind::Endpoint, name);
    Ok(Some(store.endpoint(ready.scope, name).await?.id.key()))
}

/// What the provider is answered with.
enum Given {
    /// The destination's own answer.
    Destination(Reply),
    /// What is answered without destination: it has the message already.
    Acknowledgement,
    /// What stands for the destination's answer.
    Fallback,
}

impl Awaited {
    /// Begins to wait for this message, which is to be appended, if its source lets its
    /// destination answer. Then its request is noted with no status: that is the destination's.
    pub(super) fn begin(
        call: &Call<'_>,
        (replies, listeners): (&Arc<Replies>, &Listeners),
        message: &mut NewMessage,
    ) -> Option<Awaited> {
        let options = &call.ready.config.reply;
        if options.mode == Mode::Immediate {
            return None;
        }
        if let Some(arrival) = &mut message.arrival {
            arrival.status = 0;
        }
        Some(Awaited {
            replies: Arc::clone(replies),
            listeners: listeners.clone(),
            waiting: replies.wait_for(message.nonce),
            was_delivered: false,
            until: Instant::now() + options.deadline(call.provider),
        })
    }

    /// Waits for the first of a repeated event from now on. To be called before that is sent again,
    /// so that what ends is told.
    pub(super) async fn join(&mut self, store: &dyn Store, call: &Call<'_>, first: &Appended) {
        self.waiting = self.replies.wait_for(first.id.0.nonce);
        let is_alone = self.waiting.as_ref().is_some_and(|waiting| !waiting.joined_others());
        if let Ok(chosen) = chosen(store, call).await {
            self.was_delivered = is_alone && was_delivered(store, call, first, chosen).await;
        }
    }

    /// The answer to a request whose message was appended: waits until the destination has given
    /// it, or the deadline. `acknowledged` is what is answered without destination.
    pub(super) async fn reply(
        self,
        store: &dyn Store,
        call: &Call<'_>,
        request: &Request<'_>,
        first: &Appended,
        acknowledged: Reply,
    ) -> Reply {
        let given = timeout_at(self.until, self.destination(store, call, first)).await;
        match given.unwrap_or(Given::Fallback) {
            Given::Destination(answer) => answer,
            Given::Acknowledgement => acknowledged,
            Given::Fallback => {
                let chosen = call.ready.config.reply.fallback.as_ref();
                acknowledgement(chosen, request).unwrap_or(acknowledged)
            }
        }
    }

    async fn destination(self, store: &dyn Store, call: &Call<'_>, first: &Appended) -> Given {
        let now = call.now;
        let Ok(chosen) = chosen(store, call).await else { return Given::Fallback };
        if first.repeated {
            // It may have been told while it was looked whether it was delivered.
            if let Some(answer) = self.replies.remembered(first.id, now) {
                return Given::Destination(passed_on(&answer));
            }
            if self.was_delivered {
                return Given::Acknowledgement;
            }
        }
        let Some(waiting) = self.waiting else { return Given::Fallback };
        let Answerers { instead, otherwise } =
            self.listeners.answerers(call.ready.scope.application).await;
        let whose = match chosen {
            _ if first.repeated && !(instead.is_empty() && otherwise.is_empty()) => Whose::Any,
            _ if !instead.is_empty() => Whose::AnyOf(instead.into()),
            _ if !first.repeated && first.endpoints.is_empty() => Whose::AnyOf(otherwise.into()),
            Some(endpoint) if first.repeated || first.endpoints.contains(&endpoint) => {
                Whose::One(endpoint)
            }
            Some(_) => return Given::Fallback,
            None if first.repeated => Whose::Any,
            None => Whose::First(Arc::clone(&first.endpoints)),
        };
        match waiting.answer(whose, now).await {
            Some(answer) => Given::Destination(passed_on(&answer)),
            None => Given::Fallback,
        }
    }
}

/// Whether a message was delivered before, to this endpoint or to any.
async fn was_delivered(
    store: &dyn Store,
    call: &Call<'_>,
    first: &Appended,
    endpoint: Option<Key>,
) -> bool {
    let query = AttemptQuery {
        page: Page { limit: SUCCESSES, from: Position::Start, order: Order::Descending },
        message: Some(Reference::Id(first.id.0)),
        endpoint: None,
        succeeded: Some(true),
        retrying: None,
        status_codes: None,
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
    };
    let attempts = store.attempts(call.ready.scope, query).await;
    attempts.is_ok_and(|listed| {
        listed.items.iter().any(|attempt| {
            attempt.outcome == Outcome::Delivered
                && endpoint.is_none_or(|endpoint| attempt.endpoint.key() == endpoint)
        })
    })
}

/// The answer with what keeps a browser from taking it for a page of this host.
fn passed_on(answer: &Answer) -> Reply {
    let guards = [("content-security-policy", "sandbox"), ("x-content-type-options", "nosniff")];
    let guards = guards.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = answer.headers.iter().cloned().chain(guards).collect();
    Reply { status: answer.status, headers, body: answer.body.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    #[test]
    fn a_destination_has_less_time_than_the_provider_waits() {
        let check = |provider: &str, chosen: Option<u32>, expect: u64| {
            let provider = Catalog::default().get(provider).unwrap();
            let options = Options { deadline_ms: chosen, ..Options::default() };
            assert_eq!(options.deadline(&provider), Duration::from_millis(expect));
        };
        check("slack", None, 2_500);
        check("github", None, 9_500);
        check("docusign", None, 30_000);
        check("generic-hmac", None, 2_500);
        check("slack", Some(1_000), 1_000);
    }
}
