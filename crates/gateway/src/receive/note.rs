//! Writing down what does not become a message: refusals within bounds, what is acknowledged always.

use std::time::Duration;

use bytes::Bytes;
use ringback_domain::{
    id::{MessageId, RequestId},
    provider::Reply,
    source::{Fate, Received},
};
use ringback_store::NewRequest;

use super::{
    call::Call,
    decide::Outcome,
    door::{Busy, Door},
    headers,
    message::retention,
};
use crate::log::taps::{Happened, What};

/// Bytes of a refused request's body that are kept.
const REFUSED_BODY: usize = 64 * 1024;
/// How long the record of a refused request is kept.
const REFUSED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What came of a body.
pub(super) struct Came {
    /// As much as is at hand.
    pub(super) body: Bytes,
    /// How much there was, as far as it is known.
    pub(super) bytes: u64,
    /// Values in it that are written down nowhere: what a handshake brought.
    pub(super) secrets: Vec<String>,
}

impl Came {
    pub(super) fn whole(body: Bytes) -> Came {
        Came { bytes: body.len() as u64, body, secrets: Vec::new() }
    }

    /// The same, but for these values.
    pub(super) fn without(self, secrets: impl IntoIterator<Item = String>) -> Came {
        let secrets: Vec<String> = secrets.into_iter().filter(|it| !it.is_empty()).collect();
        let clean = |mut text: String| {
            secrets.iter().for_each(|secret| text = text.replace(secret, headers::REDACTED));
            text.into()
        };
        let body = String::from_utf8(self.body.to_vec()).map(clean).unwrap_or_default();
        Came { body, secrets, ..self }
    }

    /// It was not read.
    pub(super) fn nothing() -> Came {
        Came::whole(Bytes::new())
    }
}

impl Door {
    /// Writes a request down as far as the bound allows; what it is answered.
    pub(super) async fn refuse(&self, call: &Call<'_>, outcome: Outcome, mut came: Came) -> Reply {
        self.parts.metrics.received(outcome.fate);
        self.happened(call, &outcome, None, came.bytes);
        if !self.limits.note(call.ready.source.id.key(), call.now) {
            return outcome.reply;
        }
        came.body.truncate(REFUSED_BODY);
        let reply = outcome.reply.clone();
        if let Err(Busy) = self.note(call, outcome, came).await {
            tracing::debug!(source = %call.ready.source.id, "a refusal was not written down");
        }
        reply
    }

    /// Writes a whole request down; only then it is answered.
    pub(super) async fn keep(
        &self,
        call: &Call<'_>,
        outcome: Outcome,
        came: Came,
    ) -> Result<Reply, Busy> {
        self.parts.metrics.received(outcome.fate);
        self.happened(call, &outcome, None, came.bytes);
        let reply = outcome.reply.clone();
        self.note(call, outcome, came).await?;
        Ok(reply)
    }

    /// Tells those who look what became of a request.
    pub(super) fn happened(
        &self,
        call: &Call<'_>,
        outcome: &Outcome,
        message: Option<(MessageId, Fate)>,
        bytes: u64,
    ) {
        self.parts.log.taps().tell(|| Happened {
            environment: call.ready.scope.environment,
            application: call.ready.scope.application,
            at: call.received_at,
            what: What::Request {
                source: call.ready.source.id,
                source_name: call.ready.source.name.clone(),
                status: message.map_or(outcome.fate, |(_, fate)| fate).as_str(),
                reason: outcome.reason.clone(),
                event_type: outcome.event.kind.clone(),
                event_id: outcome.event.id.clone(),
                response_status_code: outcome.reply.status,
                bytes,
                msg_id: message.map(|(message, _)| message),
            },
        });
    }

    async fn note(&self, call: &Call<'_>, outcome: Outcome, came: Came) -> Result<(), Busy> {
        let entropy = &self.parts.world.entropy;
        let id = ringback_store::mint(call.now, entropy.bytes(), RequestId);
        let shown = headers::shown(call.headers, &call.provider.secret_headers(), &came.secrets);
        let headers = match outcome.fate.may_be_replayed() {
            true => shown.with_hidden(|plain| {
                self.parts
                    .keyring
                    .seal(entropy.bytes(), &call.ready.place(headers::HIDDEN), plain)
                    .ok()
            }),
            false => shown.headers,
        };
        let retention = retention(&call.ready.config, self.parts.retention);
        let kept = match outcome.fate {
            // It was acknowledged like what is delivered.
            Fate::Quarantined => retention,
            _ => REFUSED_KEPT.min(retention),
        };
        let request = Received {
            id,
            fate: outcome.fate,
            reason: outcome.reason,
            verdict: outcome.state.as_str().to_owned(),
            status: outcome.reply.status,
            method: call.method.to_owned(),
            target: call.target(),
            headers,
            address: call.address.map(|address| address.to_string()),
            event_id: outcome.event.id,
            event_type: outcome.event.kind,
            bytes: came.bytes,
            body: Some(came.body.to_vec()),
            message: None,
            received_at: call.received_at,
        };
        let new = NewRequest {
            scope: call.ready.scope,
            source: call.ready.source.id.key(),
            request,
            expires_at: call.now + kept,
        };
        self.parts.store.log_request(new).await.map_err(|_| Busy)
    }
}
