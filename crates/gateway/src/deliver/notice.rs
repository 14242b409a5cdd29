//! What Ringback tells about deliveries: operational messages.
//!
//! Types and fields are those of the Svix operational webhooks, so that handlers written for them
//! keep working. They are appended in the same transaction as the result that they tell about.

use bytes::Bytes;
use ringback_domain::{
    attempt::Outcome, breaker::Turn, endpoint::State, id::AttemptId, retry::Decision,
    time::Timestamp,
};
use ringback_store::{Content, Notice};
use serde_json::{Value, json};

use super::{attempt::Made, control::Control, prepare::Prepared, services::Services};

/// The failure of which "failing" is told, and the success after which "recovered" is.
const NOTABLE_FAILURE: u32 = 4;

/// An attempt that ended, and what was decided about it.
pub(super) struct Told<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) content: &'a Content,
    pub(super) id: AttemptId,
    pub(super) number: u32,
    pub(super) made: &'a Made,
    pub(super) decision: Decision,
    pub(super) turn: Option<Turn>,
    pub(super) failing_since: Option<Timestamp>,
}

impl Told<'_> {
    /// The operational messages that this attempt gives rise to.
    pub(super) fn notices(&self, services: &Services, now: Timestamp) -> Vec<Notice> {
        if self.prepared.is_operational() {
            return Vec::new();
        }
        let mut notices = Vec::new();
        let mut tell = |event_type: &'static str, data: Value| {
            notices.push(Notice {
                event_type,
                nonce: u64::from_ne_bytes(services.world.entropy.bytes()),
                payload: Bytes::from(json!({ "type": event_type, "data": data }).to_string()),
                at: now,
                expires_at: now + services.retention,
            });
        };
        let notable = self.number == NOTABLE_FAILURE;
        match self.decision.outcome {
            Outcome::Exhausted | Outcome::Blocked => {
                tell("message.attempt.exhausted", self.about_message())
            }
            Outcome::Retry if notable => tell("message.attempt.failing", self.about_message()),
            Outcome::Delivered if self.number > NOTABLE_FAILURE => {
                tell("message.attempt.recovered", self.about_message());
            }
            _ => {}
        }
        if let Some(state) = self.decision.disable {
            tell("endpoint.disabled", self.about_endpoint(state));
        }
        match self.turn {
            // A circuit that opens again was never closed: nothing new.
            Some(Turn::Opened { wait, again: false }) => {
                let mut data = self.about();
                data["until"] = json!(now + wait);
                data["lastResponseStatusCode"] = json!(self.made.ending.status_code);
                tell("endpoint.breaker.opened", data);
            }
            Some(Turn::Closed) => tell("endpoint.breaker.closed", self.about()),
            Some(Turn::Opened { .. } | Turn::Spared) | None => {}
        }
        notices
    }

    fn about_message(&self) -> Value {
        let mut data = self.about();
        data["msgId"] = json!(self.content.id);
        data["msgEventId"] = json!(self.content.event_id);
        data["lastAttempt"] = json!({
            "id": self.id,
            "responseStatusCode": self.made.ending.status_code,
            "reason": self.made.reason,
            "timestamp": self.id.0.created_at(),
        });
        data
    }

    fn about_endpoint(&self, state: State) -> Value {
        let mut data = self.about();
        data["failSince"] = json!(self.failing_since);
        data["trigger"] = json!(match (state, self.made.control) {
            (State::Gone, Some(Control::Disable)) => "requested",
            (State::Gone, _) => "gone",
            _ => "failing",
        });
        data
    }

    fn about(&self) -> Value {
        json!({
            "appId": self.prepared.application,
            "appUid": self.prepared.application_uid,
            "endpointId": self.prepared.endpoint,
            "endpointUid": self.prepared.endpoint_uid,
        })
    }
}
