//! Asking the gateway: an errand that is done until something is certain, or the callback has ended.

use std::time::Duration;

use bytes::Bytes;
use ringback_domain::{
    callback::{
        Act, By, Callback,
        redirect::{self, Arrival, Finding, Verifier},
    },
    target::{Rules, Target},
    time::Timestamp,
};
use ringback_store::{NewCallbackRequest, Unavailable, WriteError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::options::Plan;
use crate::{
    callback::{
        Callbacks, Secrets, Terms,
        commit::answer,
        errand::{Done, Work},
    },
    outbound::{Connector, Limits, Once},
};

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const LARGEST: usize = 256 * 1024;
/// The pauses between questions, in seconds; the last one is repeated until the callback ends.
const GAPS: [u64; 10] = [1, 2, 5, 15, 30, 60, 120, 300, 900, 3600];

/// What a browser brought that the gateway is to be asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lookup {
    pub(super) method: String,
    pub(super) query: String,
    pub(super) form: String,
    /// Whether plain `http` is not dialled.
    pub(super) require_https: bool,
}

impl Lookup {
    fn arrival(&self) -> Arrival<'_> {
        Arrival { method: &self.method, query: &self.query, form: self.form.as_bytes() }
    }

    /// Whether there is anything to ask about it.
    pub(super) fn asks(&self, plan: &Plan) -> bool {
        let Plan { verifiers, settings, expected } = plan;
        verifiers.iter().any(|verifier| match verifier {
            Verifier::Lookup(lookup) => lookup.ask(&self.arrival(), settings, expected).is_ok(),
            Verifier::Signature(_) | Verifier::Webhook => false,
        })
    }

    /// Asks once; what is certain ends the callback.
    pub(in crate::callback) async fn attempt(
        &self,
        callbacks: &Callbacks,
        connector: &Connector,
        callback: &Callback,
        attempts: u32,
    ) -> Result<Done, Unavailable> {
        let secrets = Secrets::open(&callbacks.parts().keyring, callback);
        let (Some(options), Some(secrets)) = (Terms::of(callback).redirect, secrets) else {
            return Ok(Done::Ended);
        };
        let plan = options.plan(callback, &secrets.redirect);
        for verifier in &plan.verifiers {
            let Verifier::Lookup(lookup) = verifier else { continue };
            let (finding, body) = self.ask(connector, lookup, &plan).await;
            let id = callback.id;
            match finding {
                Finding::Complete | Finding::Fail => {
                    self.settle(callbacks, callback, finding == Finding::Fail, body).await?;
                    return Ok(Done::Ended);
                }
                Finding::Mismatch(field) => {
                    tracing::warn!(callback = %id, field, "a lookup found something else");
                    if attempts == 0 {
                        self.differs(callbacks, callback, field, body).await?;
                    }
                }
                Finding::Unproven(why) => {
                    tracing::info!(callback = %id, why, "a lookup found nothing yet");
                }
                Finding::Pending => {}
            }
        }
        let gap = GAPS.get(attempts as usize).or(GAPS.last()).copied().unwrap_or_default();
        let again = callbacks.parts().world.clock.now() + Duration::from_secs(gap);
        Ok(Done::Later(Work::Lookup(self.clone()), again))
    }

    /// What the gateway says, and in which words.
    async fn ask(
        &self,
        connector: &Connector,
        lookup: &redirect::Lookup,
        plan: &Plan,
    ) -> (Finding, Bytes) {
        let Plan { settings, expected, .. } = plan;
        let unproven = |why: String| (Finding::Unproven(why), Bytes::new());
        let ask = match lookup.ask(&self.arrival(), settings, expected) {
            Ok(ask) => ask,
            Err(missing) => return unproven(format!("{missing} is missing")),
        };
        let rules = Rules { require_https: self.require_https };
        let target = match Target::parse(&ask.url, rules) {
            Ok(target) => target,
            Err(error) => return unproven(error.to_string()),
        };
        let once = Once {
            method: &ask.method,
            target: &target,
            headers: &ask.headers,
            body: Bytes::from(ask.body),
        };
        let limits = Limits { keep: LARGEST, read: LARGEST, headers: 100 };
        match connector.once(once, &limits, Instant::now() + PATIENCE).await {
            Ok(answer) if answer.truncated => unproven("the answer is too large".to_owned()),
            Ok(answer) => {
                let status = answer.status.as_u16();
                (lookup.judge(status, &answer.body, settings, expected), answer.body)
            }
            Err(reason) => unproven(reason.as_str().to_owned()),
        }
    }

    async fn settle(
        &self,
        callbacks: &Callbacks,
        callback: &Callback,
        failed: bool,
        body: Bytes,
    ) -> Result<(), Unavailable> {
        let now = callbacks.parts().world.clock.now();
        let act = answer(failed, &body);
        let request = said(if failed { Act::Fail } else { Act::Complete }, body);
        ended(callbacks.step(callbacks.act(callback.id, act, request, now)).await)
    }

    /// Writes down that something else was found.
    async fn differs(
        &self,
        callbacks: &Callbacks,
        callback: &Callback,
        field: &str,
        body: Bytes,
    ) -> Result<(), Unavailable> {
        let now: Timestamp = callbacks.parts().world.clock.now();
        let refused = Some(format!("{field}_mismatch"));
        let request = NewCallbackRequest { refused, ..said(Act::Complete, body) };
        ended(callbacks.step(callbacks.refuse(callback.id, request, now)).await)
    }
}

/// Whoever came first, it is written down; a callback that is gone needs no answer.
fn ended<T>(stepped: Result<T, WriteError>) -> Result<(), Unavailable> {
    match stepped {
        Err(WriteError::Unavailable(reason)) => Err(reason),
        _ => Ok(()),
    }
}

/// An answer to a lookup, as it is kept.
fn said(act: Act, body: Bytes) -> NewCallbackRequest {
    NewCallbackRequest {
        act,
        by: By::Lookup,
        refused: None,
        method: String::new(),
        target: String::new(),
        address: None,
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        body,
        message: None,
    }
}
