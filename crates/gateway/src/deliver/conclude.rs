//! An attempt ended: what follows for the delivery, for the endpoint, and for those who want to
//! know; all of it goes into one record.

use std::rc::Rc;

use bytes::Bytes;
use ringback_domain::{
    attempt::{Outcome, Phase, Trigger},
    breaker::Turn,
    delivery::Rendering,
    id::{AttemptId, Key},
    retry::{Before, Decision, KeptBack, Schedule},
    time::Timestamp,
};
use ringback_store::{Due, HealthChange, Record};
use tokio::time::Instant;

use super::{
    attempt::Made, batch::Batch, fixed::Sent, lane::Follows, lane::Heard, notice::Told,
    prepare::Prepared, services::Services, state::FailingSince, state::State,
};
use crate::log::{
    replies,
    taps::{Happened, What},
};

/// An attempt that ended.
pub(super) struct Ended<'a> {
    pub(super) due: &'a Due,
    pub(super) prepared: &'a Rc<Prepared>,
    pub(super) id: AttemptId,
    pub(super) made: Made,
    /// What was sent.
    pub(super) sent: Sent,
    /// The other messages that it was sent with, if it was.
    pub(super) batch: Option<&'a Batch>,
    /// For the jitter.
    pub(super) random: u64,
}

/// A request that ended.
pub(super) struct Request<'a> {
    pub(super) endpoint: Key,
    pub(super) prepared: &'a Rc<Prepared>,
    pub(super) begun: Instant,
    /// For the jitter.
    pub(super) random: u64,
}

/// What a request told about its endpoint.
#[derive(Clone, Copy)]
pub(super) struct Learned {
    /// Whether it may disable the endpoint.
    disables: bool,
    turn: Option<Turn>,
    failing_since: FailingSince,
    now: Timestamp,
}

impl Learned {
    /// What there is to say for the other messages of the same request: it is said already.
    pub(super) fn again(self) -> Learned {
        let after = self.failing_since.after;
        let failing_since = FailingSince { before: after, after };
        Learned { disables: false, turn: None, failing_since, ..self }
    }
}

/// Updates the lane with what a request told.
pub(super) fn learn(
    services: &Services,
    state: &mut State,
    request: &Request<'_>,
    made: &mut Made,
) -> Learned {
    let now = services.world.clock.now();
    let Request { endpoint, prepared, begun, random } = *request;
    let current = state.is_current(endpoint, prepared);
    // A connection to where the endpoint was before is of no use to it.
    let sender = made.sender.take().filter(|_| current);
    let failing_since = state.ended(endpoint, sender, made.sign, now);
    if made.kept_back.is_none() {
        state.took(endpoint, made.timings.total);
    }
    // What the old URL answered says nothing about the new one.
    let turn = if current {
        let heard = Heard { sign: made.sign, ending: made.ending, begun, random };
        let Follows { left, turn } = state.heard(endpoint, heard, &services.breakers);
        for left in left {
            services.replies.tell(left.content.id, endpoint, replies::Outcome::Failed);
        }
        turn
    } else {
        None
    };
    Learned { disables: current, turn, failing_since, now }
}

/// Makes the record of a message's attempt, with what its request told.
pub(super) fn conclude(
    services: &Services,
    state: &mut State,
    mut ended: Ended<'_>,
    learned: Learned,
) -> Record {
    let Learned { disables, turn, failing_since, now } = learned;
    let endpoint = ended.due.endpoint;
    let number = match ended.due.trigger {
        Trigger::Scheduled => ended.due.attempts + 1,
        Trigger::Manual => 0,
    };
    let decision = decide(services, &ended, failing_since.after, number, now);
    let decision = if disables { decision } else { decision.without_disabling() };
    if let Some(disable) = decision.disable {
        state.stop(endpoint, disable);
    }
    state.account(services, endpoint);
    measure(services, &ended, decision.outcome, now);
    let reply = reply(&mut ended.made);
    services.replies.tell(ended.due.content.id, endpoint, reply);
    services.taps.tell(|| happened(&ended, number, decision, now));
    tell_turn(services, &ended, turn, now);
    record(services, ended, Verdict { number, decision, turn, failing_since, now })
}

fn decide(
    services: &Services,
    ended: &Ended<'_>,
    failing_since: Option<Timestamp>,
    number: u32,
    now: Timestamp,
) -> Decision {
    let decision = match (ended.made.kept_back, ended.due.trigger) {
        (Some(kept_back), trigger) => kept_back.decision(trigger),
        (None, Trigger::Manual) => Schedule::decide_manual(ended.made.ending),
        (None, Trigger::Scheduled) => {
            let before = Before { attempts: number, failing_since };
            let schedule = ended.prepared.schedule.as_deref().unwrap_or(&services.schedule);
            schedule.decide(before, ended.made.ending, now, ended.random)
        }
    };
    let blocks = ended.due.sequence.is_some() && ended.prepared.blocks;
    if blocks { decision.blocking() } else { decision }
}

fn measure(services: &Services, ended: &Ended<'_>, outcome: Outcome, now: Timestamp) {
    let Ended { due, made, .. } = ended;
    services.metrics.attempted(outcome, made.failed, made.timings.total);
    if outcome == Outcome::Delivered && due.trigger == Trigger::Scheduled {
        services.metrics.delivery.observe(now.since(due.content.id.0.created_at()));
    }
}

/// What those are told who wait for the endpoint's answer.
fn reply(made: &mut Made) -> replies::Outcome {
    match (made.kept_back, made.reply.take()) {
        (
            Some(
                KeptBack::NotWanted | KeptBack::Lacking | KeptBack::Suppressed | KeptBack::Canceled,
            ),
            _,
        ) => replies::Outcome::NotWanted,
        (_, Some(answer)) => replies::Outcome::Answered(answer),
        (_, None) => replies::Outcome::Failed,
    }
}

fn happened(ended: &Ended<'_>, number: u32, decision: Decision, at: Timestamp) -> Happened {
    let Ended { due, prepared, made, .. } = ended;
    Happened {
        environment: due.scope.environment,
        application: due.scope.application,
        at,
        what: What::Attempt {
            msg_id: due.content.id,
            application: prepared.application,
            endpoint: prepared.endpoint,
            event_type: due.content.event_type.to_string(),
            number,
            outcome: decision.outcome.name(),
            response_status_code: made.ending.status_code,
            failed_phase: made.failed.map(Phase::name),
            reason: made.reason,
            duration_ms: made.timings.total.as_millis() as u64,
            next_attempt: decision.next_at,
        },
    }
}

/// Tells those who look what became of the endpoint's circuit.
fn tell_turn(services: &Services, ended: &Ended<'_>, turn: Option<Turn>, at: Timestamp) {
    let (state, until) = match turn {
        Some(Turn::Opened { wait, .. }) => ("opened", Some(at + wait)),
        Some(Turn::Closed) => ("closed", None),
        Some(Turn::Spared) | None => return,
    };
    let Ended { due, prepared, .. } = ended;
    services.taps.tell(|| Happened {
        environment: due.scope.environment,
        application: due.scope.application,
        at,
        what: What::Breaker {
            application: prepared.application,
            endpoint: prepared.endpoint,
            state,
            until,
        },
    });
}

struct Verdict {
    number: u32,
    decision: Decision,
    turn: Option<Turn>,
    failing_since: FailingSince,
    now: Timestamp,
}

fn record(services: &Services, ended: Ended<'_>, verdict: Verdict) -> Record {
    let Ended { due, prepared, id, made, sent, batch, .. } = ended;
    let Verdict { number, decision, turn, failing_since, now } = verdict;
    let told = Told {
        prepared,
        content: &due.content,
        id,
        number,
        made: &made,
        decision,
        turn,
        failing_since: failing_since.after,
    };
    let notices = told.notices(services, now);
    let turned = failing_since.before.is_some() != failing_since.after.is_some();
    let health = (turned || decision.disable.is_some())
        .then_some(HealthChange { failing_since: failing_since.after, disable: decision.disable });
    Record {
        scope: due.scope,
        epoch: services.store.epoch(),
        delivery: due.delivery,
        message: due.content.id.key(),
        endpoint: due.endpoint,
        revision: prepared.revision,
        id,
        number,
        trigger: due.trigger,
        status_code: made.ending.status_code,
        response: made.response,
        failed: made.failed,
        reason: made.reason,
        timings: made.timings,
        outcome: decision.outcome,
        next_at: decision.next_at,
        health,
        rendering: rendering(sent.rendering(), batch),
        fix: fix(due, &sent, decision.outcome),
        ordered: due.sequence.is_some(),
        notices,
    }
}

/// What is kept with the attempt of what the message was made into.
fn rendering(made: Option<&Rendering>, batch: Option<&Batch>) -> Option<String> {
    let Some(batch) = batch else { return serde_json::to_string(made?).ok() };
    let rendering = Rendering {
        batch: Some(batch.id.clone()),
        body_sha256: batch.digest.clone(),
        ..made.cloned().unwrap_or_default()
    };
    serde_json::to_string(&rendering).ok()
}

/// What is kept of what was sent, so that the next attempt sends the same.
fn fix(due: &Due, sent: &Sent, outcome: Outcome) -> Option<Bytes> {
    let again = matches!(outcome, Outcome::Retry | Outcome::Held);
    if again && due.fixed.is_none() { sent.keep() } else { None }
}
