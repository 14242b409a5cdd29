//! Attempts: how each request to an endpoint went, and asking for one more.
//!
//! An attempt is over when it is recorded, so it is a success (0) or a failure (2), whatever is to
//! come: `nextAttempt` says whether the delivery goes on. What the endpoint's filter does not want
//! is a success too, with the reason `filtered`: nothing was sent, and nothing is to be mended.
//! Pending, sending and canceled are states of deliveries, which [`super::attempted`] and `explain`
//! show; a list of attempts filtered by one of these is empty.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use axum::{extract::State, response::Response};
use data_encoding::BASE64;
use http::StatusCode;
use ringback_domain::{
    attempt::{Attempt, Phase, Timings, Trigger},
    delivery::Rendering,
    id::{AttemptId, EndpointId, Kind, MessageId},
    message::Message,
    replay::Shape,
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{AttemptQuery, Found, Identified, Order, Page, Resend};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    idempotency::{Answered, Posted},
    list::List,
    message::{self, MessageOut, WithContent},
    query::{FromQuery, Paging, Params, Query},
    reply::{self, render, rendered},
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list_by_endpoint))
        .routes(routes!(list_by_msg))
        .routes(routes!(get))
        .routes(routes!(resend))
}

/// An attempt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptOut<'a> {
    /// Its id.
    #[schema(value_type = String, example = "atmpt_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: AttemptId,
    /// The message that was sent.
    #[schema(value_type = String)]
    msg_id: MessageId,
    /// The endpoint it was sent to.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// The endpoint's URL at that time.
    url: &'a str,
    /// The beginning of the answer, as base64 where it is not UTF-8; empty if not asked for.
    response: Cow<'a, str>,
    /// The answer's status; 0 without one.
    response_status_code: u16,
    /// From start to end.
    response_duration_ms: u64,
    /// 0 success, or not wanted by the endpoint's filter; 2 failure.
    status: u8,
    /// `success` or `fail`.
    status_text: &'static str,
    /// 0 the schedule, 1 somebody who asked for it.
    trigger_type: u8,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Counted from 1; 0 for one that was asked for.
    attempt_number: u32,
    /// What failed: `prepare`, `convert`, `filter`, `transform`, `mapping`, `dns`, `guard`,
    /// `connect`, `tls`, `send`, `first_byte`, `body`, `status` or `handover`.
    failed_phase: Option<&'static str>,
    /// Why, in a word that stays the same; of a success only that nothing was to be sent: `filtered`,
    /// `suppressed`, `canceled` or `event_incomplete`.
    reason: Option<&'a str>,
    /// What the message was made into for the endpoint; absent where it was sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    rendering: Option<RenderingOut>,
    /// When the next one is planned.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
    /// The batch that it went with, as `webhook-id` had it; absent if it went alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    /// What the time was spent on.
    phases: PhasesOut,
    /// The message, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<MessageOut<'a>>,
}

/// What a message was made into before it was sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RenderingOut {
    /// The label of the version of its event type that was sent; null of a type without versions.
    version: Option<String>,
    /// The revisions of the conversions that led there, in their order.
    conversions: Vec<String>,
    /// The revision of the endpoint's transformation; null without one.
    transformation: Option<String>,
    /// SHA-256 of the payload in hexadecimal digits, before it was put into the endpoint's format and
    /// compressed, or of the batch's body. It is the same for all attempts of a delivery that go by
    /// themselves.
    body_sha256: String,
}

impl RenderingOut {
    fn of(attempt: &Attempt) -> Option<RenderingOut> {
        let rendering: Rendering = serde_json::from_str(attempt.rendering.as_deref()?).ok()?;
        let Rendering { version, conversions, transformation, body_sha256, .. } = rendering;
        Some(RenderingOut { version, conversions, transformation, body_sha256 })
    }
}

/// How long each part of an attempt took, in milliseconds; 0 where it did not happen.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PhasesOut {
    /// Looking the host name up.
    dns_ms: f64,
    /// TCP.
    connect_ms: f64,
    /// TLS.
    tls_ms: f64,
    /// From the request to the answer's head.
    first_byte_ms: f64,
    /// Reading the answer's body.
    body_ms: f64,
}

impl<'a> AttemptOut<'a> {
    pub(super) fn new(attempt: &'a Attempt, with_content: bool) -> AttemptOut<'a> {
        let (status, status_text) = if attempt.succeeded() { (0, "success") } else { (2, "fail") };
        AttemptOut {
            id: attempt.id,
            msg_id: attempt.message,
            endpoint_id: attempt.endpoint,
            url: &attempt.url,
            response: if with_content { text(&attempt.response) } else { Cow::Borrowed("") },
            response_status_code: attempt.status_code,
            response_duration_ms: attempt.timings.total.as_millis() as u64,
            status,
            status_text,
            trigger_type: match attempt.trigger {
                Trigger::Scheduled => 0,
                Trigger::Manual => 1,
            },
            timestamp: attempt.id.0.created_at(),
            attempt_number: attempt.number,
            failed_phase: attempt.failed.map(Phase::name),
            reason: attempt.reason.as_deref(),
            rendering: RenderingOut::of(attempt),
            next_attempt: attempt.next_at,
            batch_id: batch_id(attempt),
            phases: PhasesOut::from(attempt.timings),
            msg: None,
        }
    }
}

impl From<Timings> for PhasesOut {
    fn from(timings: Timings) -> PhasesOut {
        let ms = |duration: Duration| duration.as_micros() as f64 / 1000.0;
        PhasesOut {
            dns_ms: ms(timings.dns),
            connect_ms: ms(timings.connect),
            tls_ms: ms(timings.tls),
            first_byte_ms: ms(timings.first_byte),
            body_ms: ms(timings.body),
        }
    }
}

fn batch_id(attempt: &Attempt) -> Option<String> {
    let rendering: Rendering = serde_json::from_str(attempt.rendering.as_deref()?).ok()?;
    rendering.batch
}

/// The answer as text. Where it was cut off, half a character may be at its end: that is left out.
fn text(response: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(response) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&response[..error.valid_up_to()])
        }
        Err(_) => Cow::Owned(BASE64.encode(response)),
    }
}

/// Which attempts to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// 0 successes, 2 failures; attempts have no other.
    #[param(value_type = Option<u8>)]
    status: Option<Status>,
    /// 0 without an answer, 100, 200, 300, 400 or 500.
    status_code_class: Option<u16>,
    /// Only of messages of these event types.
    #[param(explode = false, required = false)]
    event_types: Vec<String>,
    /// Only of messages with this channel.
    channel: Option<String>,
    /// Only of messages with this tag.
    tag: Option<String>,
    /// Only begun before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only begun after.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

/// What the SDKs call a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Success,
    Fail,
    /// Pending, sending, canceled: no attempt is.
    Other,
}

/// Which attempts of a message to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AtEndpoint {
    /// Only to this endpoint: id or uid.
    pub(super) endpoint_id: Option<String>,
}

/// Whether to show messages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct WithMsg {
    /// With each attempt's message.
    with_msg: Option<bool>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        let status = match query.number("status") {
            None => None,
            Some(0) => Some(Status::Success),
            Some(2) => Some(Status::Fail),
            Some(1 | 3 | 4) => Some(Status::Other),
            Some(5u8..) => query.wrong("status", "it is between 0 and 4"),
        };
        let class = query.number("status_code_class");
        Filter {
            status,
            status_code_class: match class {
                Some(0 | 100 | 200 | 300 | 400 | 500) | None => class,
                Some(_) => query.wrong("status_code_class", "it is 0, 100, 200, 300, 400 or 500"),
            },
            event_types: query.list("event_types"),
            channel: query.text("channel"),
            tag: query.text("tag"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

impl FromQuery for AtEndpoint {
    fn read(query: &mut Params) -> AtEndpoint {
        AtEndpoint { endpoint_id: query.text("endpoint_id") }
    }
}

/// In which version of its event type a message is sent once more.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct InVersion {
    /// `current`: in the one that the endpoint gets now (if not given); `original`: in the one that
    /// was sent first.
    #[param(value_type = Option<String>)]
    version: Shape,
}

impl FromQuery for InVersion {
    fn read(query: &mut Params) -> InVersion {
        let version = match query.text("version").as_deref() {
            None | Some("current") => Shape::Current,
            Some("original") => Shape::Original,
            Some(_) => query.wrong("version", "it is current or original").unwrap_or_default(),
        };
        InVersion { version }
    }
}

impl FromQuery for WithMsg {
    fn read(query: &mut Params) -> WithMsg {
        WithMsg { with_msg: query.flag("with_msg") }
    }
}

impl Filter {
    fn query(
        self,
        page: Page,
        message: Option<Reference>,
        endpoint: Option<Reference>,
    ) -> AttemptQuery {
        AttemptQuery {
            page,
            message,
            endpoint,
            succeeded: self.status.map(|status| status == Status::Success),
            retrying: None,
            status_codes: self.status_code_class.map(|class| match class {
                0 => (0, 0),
                class => (class, class + 99),
            }),
            event_types: self.event_types,
            channel: self.channel,
            tag: self.tag,
            before: self.before,
            after: self.after,
        }
    }
}

/// List attempts to an endpoint
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid"),
        Paging, Filter, WithContent, WithMsg),
    responses((status = 200, body = List<AttemptOut<'_>>)))]
async fn list_by_endpoint(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    Query(content): Query<WithContent>,
    Query(WithMsg { with_msg }): Query<WithMsg>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Attempt, Order::Descending)?;
    let none = filter.status == Some(Status::Other);
    // Also tells an endpoint that does not exist from one without attempts.
    api.store.endpoint(scope, endpoint.clone()).await?;
    let query = filter.query(page.clone(), None, Some(endpoint));
    let found = if none { nothing() } else { api.store.search_attempts(scope, query).await? };
    let messages = match with_msg {
        Some(true) => messages(&api, scope, &found.items, now).await?,
        _ => HashMap::new(),
    };
    Ok(list(&page, &found, content.wanted(), &messages))
}

/// List attempts for a message
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}", tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"),
        Paging, Filter, WithContent, AtEndpoint),
    responses((status = 200, body = List<AttemptOut<'_>>)))]
async fn list_by_msg(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    Query(content): Query<WithContent>,
    Query(AtEndpoint { endpoint_id }): Query<AtEndpoint>,
) -> Result<Response, Error> {
    let endpoint = endpoint_id.map(|endpoint| Reference::parse(Kind::Endpoint, &endpoint));
    of_message(&api, scope, (message, endpoint), &paging, filter, content).await
}

/// The attempts of a message, or those to one endpoint.
pub(super) async fn of_message(
    api: &Api,
    scope: Scope,
    (message, endpoint): (Reference, Option<Reference>),
    paging: &Paging,
    filter: Filter,
    content: WithContent,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Attempt, Order::Descending)?;
    let none = filter.status == Some(Status::Other);
    api.store.message(scope, message.clone(), false).await?;
    let query = filter.query(page.clone(), Some(message), endpoint);
    let found = if none { nothing() } else { api.store.search_attempts(scope, query).await? };
    Ok(list(&page, &found, content.wanted(), &HashMap::new()))
}

/// Get an attempt
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"),
        ("attempt_id" = String, Path)),
    responses((status = 200, body = AttemptOut<'_>)))]
async fn get(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Named(attempt): Named<extract::Attempt>,
) -> Result<Response, Error> {
    let attempt = api.store.attempt(scope, message, attempt).await?;
    Ok(reply::json(StatusCode::OK, &AttemptOut::new(&attempt, true)))
}

/// Nothing, or an object that says nothing.
#[derive(Deserialize)]
struct Nothing {}

/// Send a message to an endpoint once more, whatever the schedule says
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"),
        ("endpoint_id" = String, Path, description = "id or uid"), InVersion),
    responses((status = 202, body = Object)))]
async fn resend(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(message): Named<extract::Message>,
    Named(endpoint): Named<extract::Endpoint>,
    Query(InVersion { version }): Query<InVersion>,
    Posted { once, .. }: Posted<Nothing>,
) -> Result<Response, Answered> {
    let body = render(&json!({}));
    let answer = once.answer(StatusCode::ACCEPTED, &body);
    let due = api.store.resend(Resend { scope, message, endpoint, version, now, answer }).await?;
    api.lanes.deliver(vec![due]);
    Ok(rendered(StatusCode::ACCEPTED, body))
}

/// The page of attempts, each with its message where `messages` has it.
fn list(
    page: &Page,
    found: &Found<Attempt>,
    with_content: bool,
    messages: &HashMap<MessageId, (Message, Option<String>)>,
) -> Response {
    let show = |attempt| {
        let mut shown = AttemptOut::new(attempt, with_content);
        // Payloads are never part of it: they would be repeated for every attempt.
        let message = messages.get(&attempt.message);
        shown.msg = message.map(|(message, version)| {
            MessageOut::stored(message, false).in_version(version.clone())
        });
        shown
    };
    let ids = found.items.iter().map(Identified::id).collect();
    let data = found.items.iter().map(show).collect();
    let end = (found.done, found.reached);
    reply::json(StatusCode::OK, &List::found(Kind::Attempt, page, ids, data, end))
}

fn nothing() -> Found<Attempt> {
    Found { items: Vec::new(), done: true, reached: None }
}

/// The messages of these attempts, each once, with the labels of their versions.
async fn messages(
    api: &Api,
    scope: Scope,
    attempts: &[Attempt],
    now: Timestamp,
) -> Result<HashMap<MessageId, (Message, Option<String>)>, Error> {
    let keys = attempts.iter().map(|attempt| attempt.message.key()).collect();
    let mut found = HashMap::new();
    for message in api.store.messages_of(scope, keys).await? {
        let label = message::version(api, scope, &message, now).await?;
        found.insert(message.id, (message, label));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::parse;

    #[test]
    fn responses_are_text_wherever_they_can_be() {
        for (bytes, shown) in [
            (&b"ok"[..], "ok"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (&"gr\u{fc}".as_bytes()[..3], "gr"),
            (&[0xff, 0x00], "/wA="),
            (b"", ""),
        ] {
            assert_eq!(text(bytes), shown, "{bytes:?}");
        }
    }

    #[test]
    fn filters() {
        let page =
            Page { limit: 1, from: ringback_store::Position::Start, order: Order::Ascending };
        let query = |text: &str| parse::<Filter>(text).map(|f| f.query(page.clone(), None, None));
        let read = query("status=2&status_code_class=400&event_types=a,b&expanded_statuses=true");
        let read = read.unwrap();
        assert_eq!(read.succeeded, Some(false));
        assert_eq!(read.status_codes, Some((400, 499)));
        assert_eq!(read.event_types, ["a", "b"]);
        assert_eq!(query("status_code_class=0").unwrap().status_codes, Some((0, 0)));
        for wrong in ["status=5", "status=success", "status_code_class=404", "before=soon"] {
            assert!(query(wrong).is_err(), "{wrong}");
        }
    }
}
