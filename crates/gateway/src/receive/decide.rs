//! What becomes of a request, once it is known whether it was proven. Pure.

use http::StatusCode;
use ringback_domain::{
    provider::{Event, Reason, Reply, Request, State, Strength, Template, Verdict},
    source::Fate,
};

use super::{OnViolation, call::Call, config::acknowledgement};

/// What the deliveries of a body say that is not what its schema says.
const SCHEMA_INVALID: &str = "schema_invalid";

/// What becomes of a request.
pub(super) struct Outcome {
    pub(super) fate: Fate,
    /// Whether it was proven.
    pub(super) state: State,
    /// Why it is not what one would wish.
    pub(super) reason: Option<String>,
    /// What its deliveries say, if it is taken all the same.
    pub(super) mark: Option<&'static str>,
    pub(super) reply: Reply,
    /// What happened, as far as it could be read; the type is there if the event has passed.
    pub(super) event: Event,
}

impl Outcome {
    /// Of a request that was not judged.
    pub(super) fn early(fate: Fate, status: StatusCode) -> Outcome {
        Outcome {
            fate,
            state: State::Unattempted,
            reason: None,
            mark: None,
            reply: Reply::empty(status.as_u16()),
            event: Event { id: None, kind: None },
        }
    }

    pub(super) fn method_not_allowed(methods: &[String]) -> Outcome {
        let early = Outcome::early(Fate::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED);
        early.with_header("allow", methods.join(", "))
    }

    /// Of one that was judged.
    pub(super) fn of(fate: Fate, verdict: &Verdict, reply: Reply) -> Outcome {
        Outcome {
            fate,
            state: verdict.state,
            reason: verdict.reason.as_ref().map(|reason| reason.code().to_owned()),
            mark: verdict.reason.as_ref().map(Reason::code),
            reply,
            event: Event { id: None, kind: None },
        }
    }

    pub(super) fn with_header(mut self, name: &str, value: String) -> Outcome {
        self.reply.headers.push((name.to_owned(), value));
        self
    }

    pub(super) fn is_proven(&self) -> bool {
        matches!(self.state, State::Verified | State::Authenticated)
    }
}

/// What becomes of an event.
pub(super) fn decide(
    call: &Call<'_>,
    request: &Request<'_>,
    verdict: &Verdict,
    event: Event,
) -> Outcome {
    let config = &call.ready.config;
    let proves_nothing = call.provider.strength == Strength::None;
    let passes = verdict.is_proven()
        || !config.enforce
        || (proves_nothing && verdict.state == State::Unattempted);
    if !passes {
        let fate = match verdict.reason {
            Some(Reason::Stale(_) | Reason::FromFuture(_) | Reason::Expired) => Fate::Stale,
            _ => Fate::Unverified,
        };
        return Outcome { event, ..Outcome::of(fate, verdict, call.provider.refusal()) };
    }
    let reply = acknowledgement(config.acknowledge.as_ref(), request)
        .unwrap_or_else(|| call.provider.acknowledgement());
    let kind = event_type(call, request, &event);
    let violation = violation(call, request, &kind);
    let event = Event { kind: Some(kind), ..event };
    let accepted = Outcome { event, ..Outcome::of(Fate::Accepted, verdict, reply) };
    let Some(violation) = violation else { return accepted };
    let accepted = Outcome { reason: Some(violation), ..accepted };
    match config.on_violation {
        OnViolation::Mark => Outcome { mark: Some(SCHEMA_INVALID), ..accepted },
        OnViolation::Quarantine => Outcome { fate: Fate::Quarantined, ..accepted },
        OnViolation::Reject => {
            let reply = Reply::empty(StatusCode::UNPROCESSABLE_ENTITY.as_u16());
            Outcome { fate: Fate::SchemaInvalid, reply, ..accepted }
        }
    }
}

fn event_type(call: &Call<'_>, request: &Request<'_>, event: &Event) -> String {
    let own = call.ready.config.event_type.as_deref();
    let own = own.and_then(|text| Template::parse(text).ok()?.for_request(request));
    let own = own.filter(|kind| !kind.is_empty()).map(|kind| Event::type_of(&kind));
    own.or_else(|| event.kind.clone()).unwrap_or_else(|| call.provider.id.clone())
}

/// Where the body is not what the source's schema says.
fn violation(call: &Call<'_>, request: &Request<'_>, kind: &str) -> Option<String> {
    let schemas = &call.ready.schemas;
    let violation = match schemas.get(kind).or_else(|| schemas.get("*"))? {
        Ok(schema) => schema.check(request.body).err()?.to_string(),
        // Checked when it was saved; a later version may take less. Nothing passes unchecked.
        Err(mistake) => format!("the schema cannot be used: {mistake}"),
    };
    let source = call.ready.source.id;
    tracing::info!(%source, event_type = kind, violation, "a body is not what its schema says");
    Some(violation)
}
