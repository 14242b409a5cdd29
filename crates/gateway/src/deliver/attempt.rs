//! One attempt: over a kept connection if there is one, else over a new one, under one deadline.

use std::{mem, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use ringback_connect::Refused;
use ringback_domain::{
    attempt::{Phase, Timings},
    lane::Sign,
    retry::{Ending, KeptBack, Meaning, parse_retry_after},
    time::Timestamp,
};
use ringback_store::Content;
use tokio::time::{Instant, timeout};

use super::{
    access::{Access, Pass},
    batch::Batch,
    claim::{Unkept, claim},
    control::Control,
    destination::{Destination, Unsent},
    handshake::Handshake,
    render::Rendered,
    route::{Http, Route},
    services::Services,
    token::NoToken,
};
use crate::{
    log::replies,
    outbound::{self, Answer, ConnectFailure, ExchangeFailure, Reason, Sender, exchange},
};

/// How an attempt went.
pub(super) struct Made {
    pub(super) ending: Ending,
    /// Set if nothing was sent because of the endpoint's filter.
    pub(super) kept_back: Option<KeptBack>,
    /// What is kept of the answer's body.
    pub(super) response: Bytes,
    /// The answer for those who wait for it, if it can be passed on.
    pub(super) reply: Option<Arc<replies::Answer>>,
    pub(super) failed: Option<Phase>,
    pub(super) reason: Option<&'static str>,
    pub(super) timings: Timings,
    pub(super) sign: Sign,
    /// What the receiver asked for, beside its status.
    pub(super) control: Option<Control>,
    /// The connection, if it can be used again.
    pub(super) sender: Option<Sender>,
}

/// Makes one attempt with what a message was made into. Connections that it opens are driven on this
/// core.
pub(super) async fn make_rendered(
    services: &Services,
    route: &Route,
    rendered: &Rendered,
    sequence: Option<i64>,
    kept: Option<Sender>,
    now: Timestamp,
) -> Made {
    let claimed = match (route, &rendered.way) {
        (Route::Http(usual), way) => {
            let way = way.as_ref().unwrap_or(usual);
            let is_large = way.is_too_large(&rendered.content);
            // Boxed: it is rare, and every attempt would carry its state around.
            if is_large {
                Some(Box::pin(claim(services, way, &rendered.content)).await)
            } else {
                None
            }
        }
        (Route::Handover(_), _) => None,
    };
    let content = match &claimed {
        None => &rendered.content,
        Some(Ok(claim)) => claim,
        Some(Err(Unkept)) => return Made::unkept(kept),
    };
    let sent = Sent::One { content, sequence };
    let (usual, way) = match (route, &rendered.way) {
        (Route::Http(usual), Some(way)) => (usual, way),
        (Route::Http(http), None) => return send(services, http, sent, kept, now).await,
        // Boxed: it is rare, and every attempt would carry its state around.
        (Route::Handover(destination), _) => {
            return Box::pin(hand_over(services, destination, content)).await;
        }
    };
    if way.goes_where(usual) {
        return send(services, way, sent, kept, now).await;
    }
    // The lane's connection goes elsewhere: it stays for the next, and this one's is not kept.
    let made = send(services, way, sent, None, now).await;
    Made { sender: kept, ..made }
}

/// Makes one attempt with several messages.
pub(super) async fn make_batch(
    services: &Services,
    route: &Http,
    batch: &Batch,
    kept: Option<Sender>,
    now: Timestamp,
) -> Made {
    send(services, route, Sent::Batch(batch), kept, now).await
}

/// What is sent.
#[derive(Clone, Copy)]
enum Sent<'a> {
    One {
        content: &'a Content,
        /// Its place, if the endpoint keeps an order.
        sequence: Option<i64>,
    },
    Batch(&'a Batch),
}

impl<'a> Sent<'a> {
    fn request(
        self,
        route: &Http,
        pass: Option<&Pass>,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        match self {
            Sent::One { content, sequence } => route.request(content, sequence, pass, now),
            Sent::Batch(batch) => route.batch_request(batch, pass, now),
        }
    }

    /// The message to which somebody waits for an answer. What is answered to several is answered to
    /// none of them.
    fn awaited(self, services: &Services) -> Option<&'a Content> {
        match self {
            Sent::One { content, .. } => services.replies.is_awaited(content.id).then_some(content),
            Sent::Batch(_) => None,
        }
    }
}

/// Hands a message to a destination with a protocol of its own.
async fn hand_over(services: &Services, destination: &Destination, content: &Content) -> Made {
    let Some(client) = destination.client() else {
        return Made::unprepared("destination_unknown");
    };
    let handed = match destination.handed(content) {
        Ok(handed) => handed,
        Err(unsent) => return Made::unsent(unsent, None),
    };
    let started = Instant::now();
    let outcome = timeout(services.limits.timeout, client.deliver(&handed)).await;
    let mut made = match outcome {
        Ok(outcome) => Made::handed_over(outcome),
        Err(_) => Made {
            failed: Some(Phase::Handover),
            reason: Some(Reason::Timeout.as_str()),
            ..Made::nothing()
        },
    };
    made.response.truncate(services.limits.answer.keep);
    made.timings.total = started.elapsed();
    made
}

/// Makes one request.
async fn send(
    services: &Services,
    route: &Http,
    sent: Sent<'_>,
    kept: Option<Sender>,
    now: Timestamp,
) -> Made {
    let started = Instant::now();
    let deadline = started + route.timeout;
    let limits = limits(services, sent);
    let mut timings = Timings::default();
    let mut kept = kept.filter(|sender| !sender.is_closed());
    let mut pass = match pass(services, route, deadline).await {
        Ok(pass) => pass,
        Err(why) => return Made { sender: kept, ..Made::locked_out(why, started.elapsed()) },
    };
    if let Some(handshake) = &route.handshake {
        // Boxed: it is rare, and every attempt would carry its state around.
        let asked = Box::pin(ask(services, route, handshake, pass.as_ref(), deadline, now)).await;
        if let Err(mut made) = asked {
            if made.ending.status_code == StatusCode::UNAUTHORIZED {
                spoiled(pass.as_ref());
            }
            made.timings.total = started.elapsed();
            made.response.truncate(services.limits.answer.keep);
            return Made { sender: kept, ..made };
        }
    }
    let mut repeated = false;
    let result = loop {
        let request = match sent.request(route, pass.as_ref(), now) {
            Ok(request) => request,
            Err(unsent) => return Made::unsent(unsent, kept),
        };
        let reused = kept.is_some();
        let mut sender = match kept.take() {
            Some(sender) => sender,
            // Boxed: dialling is rare, and every attempt would carry its state around.
            None => match Box::pin(open(services, route, deadline, &mut timings)).await {
                Ok(sender) => sender,
                Err(failure) => break Err(Failure::Connect(failure)),
            },
        };
        match exchange(&mut sender, request, &limits, deadline).await {
            // A token that was kept may be one that is not good any more: a new one is tried at once.
            Ok(answer)
                if answer.status == StatusCode::UNAUTHORIZED
                    && spoiled(pass.as_ref())
                    && !mem::replace(&mut repeated, true) =>
            {
                kept = answer.reusable.then_some(sender);
                pass = match self::pass(services, route, deadline).await {
                    Ok(pass) => pass,
                    Err(why) => {
                        return Made { sender: kept, ..Made::locked_out(why, started.elapsed()) };
                    }
                };
            }
            Ok(answer) => break Ok((answer, sender)),
            // The receiver closed the kept connection before it saw the request: not its failure.
            Err(failure) if reused && failure.ended_unanswered() => {}
            Err(failure) => break Err(Failure::Exchange(failure)),
        }
    };
    let mut made = match result {
        Ok((answer, sender)) => {
            let reply = reply(services, sent, &answer);
            let (ending, control) = route.read(&answer, now);
            let mut made = Made::answered(answer, ending, sender, timings);
            made.response.truncate(services.limits.answer.keep);
            Made { reply, control, reason: control.map(Control::reason).or(made.reason), ..made }
        }
        Err(failure) => Made::failed(failure, timings),
    };
    made.timings.total = started.elapsed();
    made
}

/// What opens the endpoint.
async fn pass(
    services: &Services,
    route: &Http,
    deadline: Instant,
) -> Result<Option<Pass>, NoToken> {
    let Some(access) = &route.access else { return Ok(None) };
    access.pass(services, deadline).await
}

/// Lets go of the token that was shown; whether a new one may do better.
fn spoiled(pass: Option<&Pass>) -> bool {
    pass.is_some_and(Pass::spoil)
}

/// Asks whether the endpoint wants to be sent to, unless that is known.
///
/// # Errors
/// The attempt, which ended with that.
async fn ask(
    services: &Services,
    route: &Http,
    handshake: &Handshake,
    pass: Option<&Pass>,
    deadline: Instant,
    now: Timestamp,
) -> Result<(), Made> {
    let mut timings = Timings::default();
    let ask = async |question| {
        let request = route.question(question, pass);
        let opened = open(services, route, deadline, &mut timings).await;
        let mut sender =
            opened.map_err(|failure| Made::failed(Failure::Connect(failure), timings))?;
        let answer = exchange(&mut sender, request, &services.limits.answer, deadline).await;
        answer.map_err(|failure| Made::failed(Failure::Exchange(failure), timings))
    };
    handshake.ask(services, ask, now).await
}

/// How much of the answer is looked at: more than usual only if somebody waits for it.
fn limits(services: &Services, sent: Sent<'_>) -> outbound::Limits {
    let usual = services.limits.answer;
    if sent.awaited(services).is_none() {
        return usual;
    }
    outbound::Limits {
        keep: usual.keep.max(replies::MAX_BODY),
        // One more, as the end of a chunked body is seen only behind it.
        read: usual.read.max(replies::MAX_BODY + 1),
        ..usual
    }
}

/// The answer for those who wait for it.
fn reply(services: &Services, sent: Sent<'_>, answer: &Answer) -> Option<Arc<replies::Answer>> {
    if answer.truncated || sent.awaited(services).is_none() {
        return None;
    }
    let body = answer.body.clone();
    replies::Answer::of(answer.status, &answer.headers, body).map(Arc::new)
}

/// No answer, as HTTP has them.
const UNANSWERED: Ending = Ending {
    status_code: 0,
    complete: false,
    retry_after: None,
    meaning: Meaning::ByStatus,
    disable: false,
};

enum Failure {
    Connect(ConnectFailure),
    Exchange(ExchangeFailure),
}

async fn open(
    services: &Services,
    route: &Http,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Sender, ConnectFailure> {
    let own = route.access.as_deref().and_then(Access::tls);
    let outbound::Opened { sender, connection, timings: spent, .. } =
        services.connector.connect_with(&route.target, own, deadline).await?;
    *timings = spent;
    // It ends with the connection; the core's task set drops it at the latest.
    tokio::task::spawn_local(connection);
    Ok(sender)
}

impl Made {
    fn answered(answer: Answer, ending: Ending, sender: Sender, timings: Timings) -> Made {
        let success = ending.is_success();
        Made {
            ending,
            kept_back: None,
            response: answer.body,
            reply: None,
            failed: (!success).then_some(Phase::Status),
            reason: (!success).then(|| reason(ending)),
            timings: Timings {
                first_byte: answer.timings.first_byte,
                body: answer.timings.body,
                ..timings
            },
            sign: if success { Sign::Success } else { Sign::Failure },
            control: None,
            sender: answer.reusable.then_some(sender),
        }
    }

    fn handed_over(outcome: Result<String, Refused>) -> Made {
        match outcome {
            Ok(said) => Made {
                ending: Ending { meaning: Meaning::Delivered, ..UNANSWERED },
                response: said.into(),
                sign: Sign::Success,
                ..Made::nothing()
            },
            Err(Refused { permanent, reason, explanation }) => Made {
                ending: Ending {
                    meaning: if permanent { Meaning::Permanent } else { Meaning::ByStatus },
                    ..UNANSWERED
                },
                response: explanation.into(),
                failed: Some(Phase::Handover),
                reason: Some(reason),
                // What it takes at another time, it is not there for now.
                sign: if permanent { Sign::Failure } else { Sign::Silence },
                ..Made::nothing()
            },
        }
    }

    fn failed(failure: Failure, timings: Timings) -> Made {
        let (status, phase, reason, timings) = match failure {
            Failure::Connect(failure) => (None, failure.phase, failure.reason, failure.timings),
            Failure::Exchange(failure) => {
                let spent = failure.timings;
                let timings = Timings { first_byte: spent.first_byte, body: spent.body, ..timings };
                (failure.status, failure.phase, failure.reason, timings)
            }
        };
        Made {
            ending: Ending {
                status_code: status.map_or(0, |status| status.as_u16()),
                ..UNANSWERED
            },
            failed: Some(phase),
            reason: Some(reason.as_str()),
            sign: sign(reason),
            timings,
            ..Made::nothing()
        }
    }

    /// The same for another message of the same request.
    pub(super) fn for_another(&self) -> Made {
        Made { response: self.response.clone(), reply: None, sender: None, ..*self }
    }

    /// An attempt that could not even begin, for this reason.
    pub(super) fn unprepared(reason: &'static str) -> Made {
        Made { failed: Some(Phase::Prepare), reason: Some(reason), ..Made::nothing() }
    }

    /// Nothing was sent, as what opens the endpoint was not to be had.
    fn locked_out(why: NoToken, total: Duration) -> Made {
        Made {
            response: why.to_string().into(),
            failed: Some(Phase::Access),
            reason: Some(why.reason()),
            sign: why.unreached().map_or(Sign::Silence, sign),
            timings: Timings { total, ..Timings::default() },
            ..Made::nothing()
        }
    }

    /// Nothing was sent, as the endpoint was asked and does not want it.
    pub(super) fn refused(answer: &Answer, why: String, now: Timestamp) -> Made {
        let asked = answer.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
        Made {
            ending: Ending {
                // It is no success, whatever its status.
                complete: false,
                retry_after: asked.and_then(|asked| parse_retry_after(asked, now)),
                ..Ending::of(answer.status.as_u16())
            },
            response: why.into(),
            failed: Some(Phase::Status),
            reason: Some("handshake_refused"),
            sign: Sign::Failure,
            ..Made::nothing()
        }
    }

    /// No attempt, as there is nothing to send; the connection stays.
    fn unsent(unsent: Unsent, kept: Option<Sender>) -> Made {
        match unsent {
            Unsent::Unprepared(reason) => Made::unprepared(reason),
            Unsent::KeptBack(kept_back, why) => {
                Made { response: why.into(), ..Made::kept_back(kept_back, kept) }
            }
            // It says nothing about the destination.
            Unsent::Lacking(why) => Made {
                response: why.into(),
                failed: Some(Phase::Mapping),
                reason: Some("event_incomplete"),
                sign: Sign::Nothing,
                sender: kept,
                ..Made::nothing()
            },
        }
    }

    /// No attempt, as the payload is too large for it and cannot be kept elsewhere now; the connection
    /// stays. It says nothing about the endpoint.
    pub(super) fn unkept(kept: Option<Sender>) -> Made {
        let why = "the payload is too large for a request, and what would keep it is not there now";
        Made {
            response: why.into(),
            failed: Some(Phase::Prepare),
            reason: Some("payload_store_unavailable"),
            sign: Sign::Nothing,
            sender: kept,
            ..Made::nothing()
        }
    }

    /// No attempt, as the endpoint's filter keeps the message back; the connection stays.
    pub(super) fn kept_back(kept_back: KeptBack, kept: Option<Sender>) -> Made {
        let (failed, reason) = match kept_back {
            KeptBack::NotWanted => (None, "filtered"),
            KeptBack::Overrun => (Some(Phase::Filter), "filter_overrun"),
            KeptBack::Lacking => (Some(Phase::Mapping), "event_incomplete"),
            KeptBack::Unfit => (Some(Phase::Mapping), "event_unfit"),
            KeptBack::Suppressed => (Some(Phase::Convert), "suppressed"),
            KeptBack::Unconverted => (Some(Phase::Convert), "conversion_failed"),
            KeptBack::TooOld => (Some(Phase::Convert), "version_unavailable"),
            KeptBack::Canceled => (Some(Phase::Transform), "canceled"),
            KeptBack::Untransformed => (Some(Phase::Transform), "transform_error"),
        };
        Made {
            kept_back: Some(kept_back),
            failed,
            reason: Some(reason),
            sign: Sign::Nothing,
            sender: kept,
            ..Made::nothing()
        }
    }

    /// No attempt, as what is to be sent cannot be made now; the connection stays. It says nothing
    /// about the endpoint.
    pub(super) fn later(step: Phase, why: String, kept: Option<Sender>) -> Made {
        let reason = match step {
            Phase::Convert => "convert_unavailable",
            _ => "transform_unavailable",
        };
        Made {
            response: why.into(),
            failed: Some(step),
            reason: Some(reason),
            sign: Sign::Nothing,
            sender: kept,
            ..Made::nothing()
        }
    }

    fn nothing() -> Made {
        Made {
            ending: UNANSWERED,
            kept_back: None,
            response: Bytes::new(),
            reply: None,
            failed: None,
            reason: None,
            timings: Timings { total: Duration::ZERO, ..Timings::default() },
            sign: Sign::Silence,
            control: None,
            sender: None,
        }
    }
}

/// What an attempt without an answer tells about the endpoint: nothing, where our own way out failed.
fn sign(reason: Reason) -> Sign {
    if reason.is_our_own() { Sign::Nothing } else { Sign::Silence }
}

/// Why an answer is no success.
fn reason(ending: Ending) -> &'static str {
    match ending.status_code {
        _ if ending.meaning == Meaning::Later => "too_many_requests",
        300..=399 => "redirect_not_followed",
        200..=299 => "refused_in_answer",
        410 => "gone",
        429 => "too_many_requests",
        503 => "service_unavailable",
        400..=499 => "client_error_status",
        _ => "server_error_status",
    }
}
