//! What messages of a source say about callbacks: rules of its owner, as they are stored and as the
//! API takes them, and their being told to the store.
//!
//! A provider is answered only after every callback that its event is about was told: what was
//! acknowledged always counts. If that cannot be done, the provider comes again, and what comes again
//! is a duplicate that is told anew.

use bytes::Bytes;
use ringback_domain::{
    callback::{
        Answer,
        correlate::{self, LOOKBACK, Match, Rule, Written},
    },
    filter,
    id::MessageId,
    provider::Request,
};
use ringback_store::{Append, Correlation, Keeping, Unavailable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{call::Call, decide::Outcome, door::Door, message::retention};
use crate::callback::sha256;

/// Which messages answer a callback, and which one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SourceCorrelation)]
pub struct Options {
    /// What the rule is called.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Where a message has the callback's reference, as a template:
    /// `{json.data.object.client_reference_id}`.
    pub reference: String,
    /// Where it has the amount that was paid: `{json.data.object.amount_total}`. A callback that
    /// expects one takes no other.
    #[schema(nullable)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Where it has the currency: `{json.data.object.currency}`.
    #[schema(nullable)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Only messages that this filter matches.
    #[schema(nullable, value_type = Option<Object>)]
    #[serde(default)]
    pub when: Option<serde_json::Value>,
    /// What such a message means for the callback.
    #[serde(default)]
    pub outcome: Means,
    /// For how many seconds a message is remembered for a callback that is made later.
    #[schema(maximum = 604800)]
    #[serde(default = "lookback")]
    pub lookback: u32,
}

/// What a message means for its callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SourceCorrelationOutcome)]
pub enum Means {
    /// It is the answer.
    #[default]
    Complete,
    /// There will be none.
    Fail,
}

fn lookback() -> u32 {
    LOOKBACK
}

impl Options {
    /// The rule, ready to judge.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn rule(&self) -> Result<Rule, correlate::Wrong> {
        let outcome = match self.outcome {
            Means::Complete => correlate::Outcome::Complete,
            Means::Fail => correlate::Outcome::Fail,
        };
        let Options { name, reference, amount, currency, when, lookback, .. } = self;
        Rule::compile(&Written {
            name,
            reference,
            amount: amount.as_deref(),
            currency: currency.as_deref(),
            when: when.as_ref(),
            outcome,
            lookback: *lookback,
        })
    }
}

/// Says what is wrong with rules.
pub(super) fn check(rules: &[Options], say: &mut impl FnMut(&'static str, String)) {
    if rules.len() > correlate::MAX_RULES {
        say("correlations", format!("has more than {} rules", correlate::MAX_RULES));
    }
    for (index, rule) in rules.iter().enumerate() {
        if let Err(wrong) = rule.rule() {
            say("correlations", format!("[{index}].{}: {wrong}", wrong.field()));
        }
    }
}

/// What one message says about callbacks; nothing, of most.
#[derive(Debug, Default)]
pub(super) struct Said {
    matches: Vec<Match>,
    content_type: Option<String>,
    body: Bytes,
}

impl Said {
    /// What `append` says, which is made of `request`. What was not proven says nothing.
    pub(super) fn by(
        call: &Call<'_>,
        request: &Request<'_>,
        outcome: &Outcome,
        append: &Append,
    ) -> Said {
        let rules = &call.ready.correlations;
        if rules.is_empty() || !outcome.is_proven() {
            return Said::default();
        }
        let message = &append.message;
        let target = call.target();
        // Of a batch each message has a body of its own.
        let request = Request::new(request.method, request.url, request.headers, &message.payload);
        let event = filter::Event {
            headers: message.headers.as_deref().unwrap_or_default(),
            content_type: message.content_type.as_deref(),
            body: &message.payload,
            target: Some(&target),
        };
        let found = correlate::judge(rules, &request, &event);
        for rule in found.overrun {
            let source = call.ready.source.id;
            tracing::warn!(%source, rule, "a correlation rule costs too much to judge an event by");
        }
        let (content_type, body) = (message.content_type.clone(), message.payload.clone());
        Said { matches: found.matches, content_type, body }
    }
}

impl Door {
    /// Tells callbacks what a message said that is in the store by now.
    ///
    /// # Errors
    /// If the store cannot be told all of it: to be said again, which changes nothing that was told.
    pub(super) async fn correlate(
        &self,
        call: &Call<'_>,
        message: MessageId,
        said: Said,
    ) -> Result<(), Unavailable> {
        let Said { matches, content_type, body } = said;
        let ready = call.ready;
        let hash = sha256(&body);
        for Match { reference, outcome, price, lookback } in matches {
            let failed = outcome == correlate::Outcome::Fail;
            let correlation = Correlation {
                environment: ready.scope.environment,
                source: ready.source.id.key(),
                reference,
                answer: Answer { failed, body: hash },
                price,
                message,
                content_type: content_type.clone(),
                body: body.clone(),
                forget_at: call.now + lookback,
                keeping: Keeping {
                    nonce: u64::from_ne_bytes(self.parts.world.entropy.bytes()),
                    expires_at: call.now + retention(&ready.config, self.parts.retention),
                },
                now: call.now,
            };
            self.parts.callbacks.correlate(correlation).await?;
        }
        Ok(())
    }
}
