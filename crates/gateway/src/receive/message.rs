//! What an event becomes that passed: one message, or one for each event of a batch. Pure.

use std::time::Duration;

use bytes::Bytes;
use ringback_domain::{
    idempotency::Claim,
    message::{ORDERING_KEY_LENGTH, Origin},
    provider::{Event, Request, Template},
    scope::Reference,
    source::{TARGET_HEADER, VERDICT_HEADER},
};
use ringback_store::{Append, Arrival, NewMessage};

use super::{
    Config, DedupeBy, PREFIX,
    call::Call,
    decide::Outcome,
    headers::{self, Header},
};

/// How the messages of a source are made, whatever the event is.
pub(super) struct Making<'a> {
    /// How long they are kept, unless the source says otherwise.
    pub(super) retention: Duration,
    /// Draws the random bits of ids.
    pub(super) nonce: &'a dyn Fn() -> u64,
}

impl Making<'_> {
    /// The messages of an event, at least one; the first has what it was as a request.
    pub(super) fn messages(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        body: &Bytes,
        outcome: &Outcome,
    ) -> Vec<Append> {
        let kind = outcome.event.kind.as_deref().unwrap_or(&call.provider.id);
        let whole = identity(call, request, &outcome.event);
        let items = if call.ready.config.split { call.provider.items(request) } else { None };
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            let mut append = self.message(call, outcome, kind, body.clone(), whole.as_deref());
            append.message.ordering_key = ordering_key(call, request);
            return vec![self.arrived(call, outcome, append, whole)];
        };
        let item = |(index, item): (usize, &ringback_domain::provider::Item<'_>)| {
            let id = match (&item.event.id, &whole) {
                (Some(id), _) => Some(id.clone()),
                (None, Some(whole)) => Some(format!("{whole}/{index}")),
                (None, None) => None,
            };
            let kind = item.event.kind.as_deref().unwrap_or(kind);
            let body = Bytes::copy_from_slice(item.body.as_bytes());
            let mut append = self.message(call, outcome, kind, body, id.as_deref());
            let own =
                Request::new(request.method, request.url, request.headers, item.body.as_bytes());
            append.message.ordering_key = ordering_key(call, &own);
            if index == 0 { self.arrived(call, outcome, append, id) } else { append }
        };
        items.iter().enumerate().map(item).collect()
    }

    fn message(
        &self,
        call: &Call<'_>,
        outcome: &Outcome,
        kind: &str,
        payload: Bytes,
        id: Option<&str>,
    ) -> Append {
        let Call { ready, now, .. } = *call;
        // What was not proven makes no claim: a forgery cannot make the real event a duplicate.
        let claim = id.filter(|_| outcome.is_proven()).and_then(|id| claim(call, id, &payload));
        let mut kept = headers::forwarded(call.headers, &call.provider.secret_headers());
        kept.extend(marks(call, outcome, kind, id));
        let content_type = kept.iter().find(|(name, _)| name == "content-type");
        Append {
            environment: ready.scope.environment,
            application: Reference::Id(ready.source.application.0),
            message: NewMessage {
                nonce: (self.nonce)(),
                accepted_at: now,
                expires_at: now + retention(&ready.config, self.retention),
                origin: Origin::Receive,
                event_type: kind.to_owned(),
                content_type: content_type.map(|(_, value)| value.clone()),
                payload,
                headers: Some(kept.into()),
                ..NewMessage::default()
            },
            claim,
        }
    }

    fn arrived(
        &self,
        call: &Call<'_>,
        outcome: &Outcome,
        mut append: Append,
        event_id: Option<String>,
    ) -> Append {
        append.message.arrival = Some(Box::new(Arrival {
            source: call.ready.source.id.key(),
            nonce: (self.nonce)(),
            verdict: outcome.state.as_str().to_owned(),
            reason: outcome.reason.clone(),
            status: outcome.reply.status,
            method: call.method.to_owned(),
            target: call.target(),
            address: call.address.map(|address| address.to_string()),
            event_id,
        }));
        append
    }
}

/// What the source's template makes of a request: what is too long for a key is cut, as the same text is
/// cut in the same way.
fn ordering_key(call: &Call<'_>, request: &Request<'_>) -> Option<String> {
    let template = Template::parse(call.ready.config.ordering_key.as_deref()?).ok()?;
    let made = template.for_request(request)?;
    Some(made.chars().filter(|character| *character != '\0').take(ORDERING_KEY_LENGTH).collect())
}

/// How long what arrives at a source is kept.
pub(super) fn retention(config: &Config, otherwise: Duration) -> Duration {
    match config.retention_days {
        Some(days) => Duration::from_secs(u64::from(days) * 86_400),
        None => otherwise,
    }
}

/// By what a request is recognised when it comes again.
fn identity(call: &Call<'_>, request: &Request<'_>, event: &Event) -> Option<String> {
    let dedupe = &call.ready.config.dedupe;
    match dedupe.by {
        DedupeBy::None => None,
        DedupeBy::Provider => event.id.clone(),
        DedupeBy::Field => Template::parse(dedupe.field.as_deref()?).ok()?.for_request(request),
        DedupeBy::Body => Some(super::hex_digest(request.body)),
    }
}

fn claim(call: &Call<'_>, id: &str, body: &[u8]) -> Option<Claim> {
    let path = format!("{PREFIX}{}", call.ready.source.id);
    let environment = call.ready.scope.environment;
    // Ids of providers may be anything; a digest of them always is a key.
    let key = super::hex_digest(id.as_bytes());
    let claim = Claim::new(environment, "POST", &path, &key, body, call.now).ok()?;
    Some(Claim { expires_at: call.now + call.ready.config.window(), ..claim })
}

/// What Ringback says of an event to whoever receives it.
fn marks(call: &Call<'_>, outcome: &Outcome, kind: &str, id: Option<&str>) -> Vec<Header> {
    let mut marks = vec![
        ("ringback-source".to_owned(), call.ready.source.id.to_string()),
        ("ringback-event".to_owned(), kind.to_owned()),
        (VERDICT_HEADER.to_owned(), outcome.state.as_str().to_owned()),
        (TARGET_HEADER.to_owned(), call.target()),
    ];
    let printable = |text: &&str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if let Some(id) = id.filter(printable) {
        marks.push(("ringback-event-id".to_owned(), id.to_owned()));
    }
    if let Some(mark) = outcome.mark {
        marks.push(("ringback-mark".to_owned(), mark.to_owned()));
    }
    marks
}
