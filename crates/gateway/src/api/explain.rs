//! Why a message reached an endpoint or did not: always an answer.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    attempt::{Outcome, Phase},
    endpoint,
    id::{EndpointId, MessageId},
    message::Origin,
    pace::{Wait, Why},
    route::Verdict,
    time::Timestamp,
};
use ringback_store::{Explained, Explanation, Rank};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    attempt::AttemptOut,
    error::Error,
    extract::{self, Named, Scoped},
    reply::json,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(explain))
}

/// Why a message goes where it goes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExplanationOut<'a> {
    /// The message.
    #[schema(value_type = String)]
    msg_id: MessageId,
    /// Your own id for it.
    event_id: Option<&'a str>,
    /// What happened.
    event_type: &'a str,
    /// Whom it concerns.
    channels: Option<&'a [String]>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// One line for every endpoint that the application has or had.
    endpoints: Vec<ExplainedOut<'a>>,
}

/// One endpoint's line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExplainedOut<'a> {
    /// The endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// Your own name for it.
    uid: Option<&'a str>,
    /// Where requests go now.
    url: &'a str,
    /// The endpoint's state now.
    endpoint_state: &'static str,
    /// How far the message is.
    state: Progress,
    /// Why, in a word that stays the same.
    reason: Reason,
    /// How many requests were made.
    attempts: u32,
    /// When the next one is planned, if nothing holds it; if the endpoint does not answer or is
    /// sent as much as it takes, when its next attempt comes, with this message or an older one.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
    /// How the last one went.
    last_attempt: Option<AttemptOut<'a>>,
}

/// How far a message is at one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// The endpoint took it.
    Delivered,
    /// An attempt is to come.
    Pending,
    /// It waits for the endpoint to be resumed or enabled.
    Held,
    /// It was tried as often as the schedule says.
    Failed,
    /// The endpoint was deleted before it took it.
    Canceled,
    /// It was not for this endpoint.
    NotSent,
}

/// Why a message is as far as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// An attempt succeeded.
    Success,
    /// The first attempt is to come.
    Due,
    /// An attempt failed, the next is planned.
    Retrying,
    /// The last attempt of the schedule failed.
    Exhausted,
    /// What was pending was settled; the attempts are no longer known.
    Settled,
    /// The endpoint wants other event types.
    EventType,
    /// The endpoint wants other channels.
    Channel,
    /// The endpoint's filter does not want what is in it.
    Filter,
    /// Whether the endpoint's filter wants it would have cost too much to find out.
    FilterOverrun,
    /// The message lacks something that the destination's mapping asks for.
    EventIncomplete,
    /// The message could not become what the destination takes.
    EventUnfit,
    /// The event has no meaning in the version that the endpoint gets.
    VersionSuppressed,
    /// The message is older than what the endpoint takes.
    VersionUnavailable,
    /// The message could not become the version that the endpoint gets.
    ConversionFailed,
    /// The endpoint's transformation wanted nothing sent.
    TransformCanceled,
    /// The endpoint's transformation failed.
    TransformError,
    /// The endpoint was made after the message.
    EndpointCreatedLater,
    /// Somebody tried another endpoint out.
    ExampleForAnother,
    /// The endpoint is, or was when the message came, switched off.
    EndpointDisabled,
    /// The endpoint answered 410 Gone.
    EndpointDisabledGone,
    /// The endpoint failed for days.
    EndpointDisabledFailing,
    /// It is due, and the endpoint does not answer: it is probed.
    EndpointNotAnswering,
    /// It is due, and the endpoint failed so often that it is left alone for a while.
    EndpointCircuitOpen,
    /// It is due, and the endpoint asked to be left alone for a while.
    EndpointBusy,
    /// It is due, and the endpoint's rate is used up.
    EndpointThrottled,
    /// The endpoint keeps an order, and an earlier message of it is to come first.
    OrderWaits,
    /// The last attempt failed, and the order waits until somebody sends or skips the message.
    OrderBlocked,
    /// The last attempt failed, and somebody gave the message up so that its order goes on.
    OrderSkipped,
    /// The endpoint is paused.
    EndpointPaused,
    /// The endpoint was deleted.
    EndpointDeleted,
    /// Nothing is sent to the endpoint: whoever wants its messages reads them there.
    Pulled,
}

/// Tell for every endpoint why a message was or was not delivered there
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/explain", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id")),
    responses((status = 200, body = ExplanationOut<'_>)))]
async fn explain(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(message): Named<extract::Message>,
) -> Result<Response, Error> {
    let Explanation { message, endpoints } = api.store.explain(scope, message).await?;
    let mut lines = Vec::with_capacity(endpoints.len());
    for explained in &endpoints {
        let mut line = ExplainedOut::new(explained, message.origin);
        if let Some(planned) = line.next_attempt {
            let wait = api.lanes.waits(explained.endpoint.id.key()).await;
            let held_up = wait.and_then(|wait| held_up(wait, planned, now));
            if let Some((reason, next)) = held_up {
                line = ExplainedOut { reason, next_attempt: Some(next), ..line };
            }
        }
        lines.push(line);
    }
    let explanation = ExplanationOut {
        msg_id: message.id,
        event_id: message.event_id.as_deref(),
        event_type: &message.event_type,
        channels: message.channels.as_deref(),
        timestamp: message.created_at,
        endpoints: lines,
    };
    Ok(json(StatusCode::OK, &explanation))
}

impl<'a> ExplainedOut<'a> {
    fn new(explained: &'a Explained, origin: Origin) -> ExplainedOut<'a> {
        let Explained { endpoint, pending, attempts, last, .. } = explained;
        let (state, reason) = match judge(explained) {
            // An example is for one endpoint, whatever the others want.
            (_, Reason::Settled) if origin == Origin::Example => {
                (Progress::NotSent, Reason::ExampleForAnother)
            }
            judged => judged,
        };
        let next =
            pending.filter(|pending| state == Progress::Pending && pending.rank == Rank::First);
        ExplainedOut {
            endpoint_id: endpoint.id,
            uid: endpoint.uid.as_deref(),
            url: &endpoint.url,
            endpoint_state: endpoint.state.name(),
            state,
            reason,
            attempts: *attempts,
            next_attempt: next.map(|pending| pending.due_at),
            last_attempt: last.as_ref().map(|attempt| AttemptOut::new(attempt, true)),
        }
    }
}

/// A resend can deliver, or leave pending, what was not for the endpoint; so what happened is asked
/// before what was decided.
fn judge(explained: &Explained) -> (Progress, Reason) {
    let now = explained.endpoint.state;
    if explained.delivered {
        return (Progress::Delivered, Reason::Success);
    }
    if let Some(pending) = &explained.pending {
        return match now {
            endpoint::State::Enabled if pending.rank == Rank::Waits => {
                (Progress::Pending, Reason::OrderWaits)
            }
            state if pending.rank == Rank::Blocks && state != endpoint::State::Deleted => {
                (Progress::Failed, Reason::OrderBlocked)
            }
            endpoint::State::Enabled if pending.attempts == 0 => (Progress::Pending, Reason::Due),
            endpoint::State::Enabled => (Progress::Pending, Reason::Retrying),
            endpoint::State::Deleted => (Progress::Canceled, Reason::EndpointDeleted),
            state => (Progress::Held, reason(state)),
        };
    }
    match explained.verdict {
        Verdict::EventType => (Progress::NotSent, Reason::EventType),
        Verdict::Channel => (Progress::NotSent, Reason::Channel),
        Verdict::Later => (Progress::NotSent, Reason::EndpointCreatedLater),
        Verdict::State(state) => (Progress::NotSent, reason(state)),
        Verdict::Matched => match explained.last.as_ref().map(|last| (last.outcome, last.failed)) {
            Some((Outcome::Filtered, Some(Phase::Mapping))) => {
                (Progress::NotSent, Reason::EventIncomplete)
            }
            Some((_, Some(Phase::Mapping))) => (Progress::Failed, Reason::EventUnfit),
            Some((Outcome::Filtered, Some(Phase::Convert))) => {
                (Progress::NotSent, Reason::VersionSuppressed)
            }
            Some((_, Some(Phase::Convert))) => (Progress::Failed, unconverted(explained)),
            Some((Outcome::Filtered, Some(Phase::Transform))) => {
                (Progress::NotSent, Reason::TransformCanceled)
            }
            Some((_, Some(Phase::Transform))) => (Progress::Failed, untransformed(explained)),
            Some((Outcome::Filtered, _)) => (Progress::NotSent, Reason::Filter),
            Some((_, Some(Phase::Filter))) => (Progress::Failed, Reason::FilterOverrun),
            Some((Outcome::Exhausted, _)) => (Progress::Failed, Reason::Exhausted),
            Some((Outcome::Blocked, _)) => (Progress::Failed, Reason::OrderSkipped),
            _ if now == endpoint::State::Deleted => (Progress::Canceled, Reason::EndpointDeleted),
            Some(_) => (Progress::Failed, Reason::Exhausted),
            None => (Progress::Failed, Reason::Settled),
        },
    }
}

/// Why nothing was sent to an endpoint that has a transformation.
fn untransformed(explained: &Explained) -> Reason {
    match explained.last.as_ref().and_then(|last| last.reason.as_deref()) {
        Some("transform_unavailable") => Reason::Exhausted,
        _ => Reason::TransformError,
    }
}

/// Why no version of a message was sent.
fn unconverted(explained: &Explained) -> Reason {
    match explained.last.as_ref().and_then(|last| last.reason.as_deref()) {
        Some("version_unavailable") => Reason::VersionUnavailable,
        // It was given up because programs could not be run each time.
        Some("convert_unavailable") => Reason::Exhausted,
        _ => Reason::ConversionFailed,
    }
}

/// Why a delivery that is planned for this time waits longer, and until when; none if it does not.
fn held_up(wait: Wait, planned: Timestamp, now: Timestamp) -> Option<(Reason, Timestamp)> {
    let reason = match wait.why {
        Why::Absent => Reason::EndpointNotAnswering,
        Why::Open => Reason::EndpointCircuitOpen,
        Why::Asked => Reason::EndpointBusy,
        Why::Rate => Reason::EndpointThrottled,
        // Nothing holds it up.
        Why::More => Reason::Due,
    };
    let until = now + wait.left;
    (planned < until).then_some((reason, until))
}

/// Why an endpoint in this state is not sent to.
fn reason(state: endpoint::State) -> Reason {
    match state {
        endpoint::State::Enabled => Reason::Due,
        endpoint::State::Disabled => Reason::EndpointDisabled,
        endpoint::State::Gone => Reason::EndpointDisabledGone,
        endpoint::State::Failing => Reason::EndpointDisabledFailing,
        endpoint::State::Paused => Reason::EndpointPaused,
        endpoint::State::Deleted => Reason::EndpointDeleted,
        endpoint::State::Pulled => Reason::Pulled,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringback_domain::{
        attempt::{Attempt, Timings, Trigger},
        id::{AttemptId, Id},
    };
    use ringback_store::Pending;

    use super::*;

    fn explained(state: endpoint::State, verdict: Verdict) -> Explained {
        let endpoint = endpoint::Endpoint {
            id: EndpointId(Id { key: 1, shard: 0, nonce: 0 }),
            uid: None,
            url: "https://example.com/".to_owned(),
            description: String::new(),
            event_types: None,
            channels: None,
            filter: None,
            sign_as: None,
            delivery: None,
            access: None,
            metadata: Default::default(),
            throttle_rate: None,
            state,
            failing_since: None,
            revision: 0,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        Explained { endpoint, verdict, pending: None, attempts: 0, last: None, delivered: false }
    }

    #[test]
    fn what_is_due_and_waits_says_for_what() {
        let now = Timestamp(1_000);
        for (left, why, planned, expect) in [
            (0, Why::Absent, 999, Some((Reason::EndpointNotAnswering, Timestamp(1_000)))),
            (500, Why::Absent, 999, Some((Reason::EndpointNotAnswering, Timestamp(1_500)))),
            (500, Why::Open, 999, Some((Reason::EndpointCircuitOpen, Timestamp(1_500)))),
            (500, Why::Asked, 1_499, Some((Reason::EndpointBusy, Timestamp(1_500)))),
            (500, Why::Rate, 0, Some((Reason::EndpointThrottled, Timestamp(1_500)))),
            (500, Why::More, 0, Some((Reason::Due, Timestamp(1_500)))),
            (500, Why::Absent, 1_500, None),
            (0, Why::Absent, 5_000, None),
        ] {
            let wait = Wait { left: Duration::from_millis(left), why };
            assert_eq!(held_up(wait, Timestamp(planned), now), expect, "{wait:?} {planned}");
        }
    }

    #[test]
    fn every_state_has_its_reason() {
        use endpoint::State as Now;
        let pending =
            |attempts| Some(Pending { due_at: Timestamp(5), rank: Rank::First, attempts });
        let ranked = |rank| Some(Pending { due_at: Timestamp(5), rank, attempts: 0 });
        for (now, verdict, pending, delivered, expect) in [
            (
                Now::Enabled,
                Verdict::Matched,
                ranked(Rank::Waits),
                false,
                (Progress::Pending, Reason::OrderWaits),
            ),
            (
                Now::Paused,
                Verdict::Matched,
                ranked(Rank::Blocks),
                false,
                (Progress::Failed, Reason::OrderBlocked),
            ),
            (Now::Enabled, Verdict::Matched, None, true, (Progress::Delivered, Reason::Success)),
            (Now::Enabled, Verdict::Matched, pending(0), false, (Progress::Pending, Reason::Due)),
            (
                Now::Enabled,
                Verdict::Matched,
                pending(2),
                false,
                (Progress::Pending, Reason::Retrying),
            ),
            (
                Now::Paused,
                Verdict::Matched,
                pending(0),
                false,
                (Progress::Held, Reason::EndpointPaused),
            ),
            (
                Now::Gone,
                Verdict::Matched,
                pending(1),
                false,
                (Progress::Held, Reason::EndpointDisabledGone),
            ),
            (
                Now::Deleted,
                Verdict::Matched,
                pending(1),
                false,
                (Progress::Canceled, Reason::EndpointDeleted),
            ),
            (
                Now::Deleted,
                Verdict::Matched,
                None,
                false,
                (Progress::Canceled, Reason::EndpointDeleted),
            ),
            (Now::Enabled, Verdict::EventType, None, false, (Progress::NotSent, Reason::EventType)),
            (Now::Enabled, Verdict::Channel, None, false, (Progress::NotSent, Reason::Channel)),
            (
                Now::Enabled,
                Verdict::Later,
                None,
                false,
                (Progress::NotSent, Reason::EndpointCreatedLater),
            ),
            (
                Now::Enabled,
                Verdict::State(Now::Disabled),
                None,
                false,
                (Progress::NotSent, Reason::EndpointDisabled),
            ),
            // A resend to an endpoint that the message was not for.
            (Now::Enabled, Verdict::EventType, None, true, (Progress::Delivered, Reason::Success)),
        ] {
            let explained = Explained { pending, delivered, ..explained(now, verdict) };
            assert_eq!(judge(&explained), expect, "{now:?} {verdict:?} {pending:?}");
        }
    }

    #[test]
    fn what_became_nothing_says_why() {
        for (failed, reason, outcome, expect) in [
            (
                Phase::Convert,
                "suppressed",
                Outcome::Filtered,
                (Progress::NotSent, Reason::VersionSuppressed),
            ),
            (
                Phase::Convert,
                "version_unavailable",
                Outcome::Exhausted,
                (Progress::Failed, Reason::VersionUnavailable),
            ),
            (
                Phase::Convert,
                "conversion_failed",
                Outcome::Exhausted,
                (Progress::Failed, Reason::ConversionFailed),
            ),
            (
                Phase::Convert,
                "convert_unavailable",
                Outcome::Exhausted,
                (Progress::Failed, Reason::Exhausted),
            ),
            (
                Phase::Transform,
                "canceled",
                Outcome::Filtered,
                (Progress::NotSent, Reason::TransformCanceled),
            ),
            (
                Phase::Transform,
                "transform_error",
                Outcome::Exhausted,
                (Progress::Failed, Reason::TransformError),
            ),
            (
                Phase::Transform,
                "transform_unavailable",
                Outcome::Exhausted,
                (Progress::Failed, Reason::Exhausted),
            ),
            (
                Phase::Mapping,
                "event_incomplete",
                Outcome::Filtered,
                (Progress::NotSent, Reason::EventIncomplete),
            ),
        ] {
            let id = Id { key: 1, shard: 0, nonce: 0 };
            let last = Attempt {
                id: AttemptId(id),
                message: MessageId(id),
                endpoint: EndpointId(id),
                url: String::new(),
                number: 1,
                trigger: Trigger::Scheduled,
                status_code: 0,
                response: Vec::new(),
                failed: Some(failed),
                reason: Some(reason.to_owned()),
                timings: Timings::default(),
                outcome,
                next_at: None,
                rendering: None,
            };
            let enabled = explained(endpoint::State::Enabled, Verdict::Matched);
            assert_eq!(judge(&Explained { last: Some(last), ..enabled }), expect, "{reason}");
        }
    }
}
