//! From a provider's request to an acknowledged message.
//!
//! Durable first: an event is answered with success only once its message is on the disk. Whatever
//! is refused is written down with its reason, in a bounded way.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};
use ringback_domain::{
    id::MessageId,
    provider::{Reply, Request},
    source::Fate,
};
use ringback_store::{Append, AppendError};

use super::{
    call::Call,
    correlate::Said,
    decide::{Outcome, decide},
    door::{Busy, Door, Judged},
    headers,
    message::Making,
    note::Came,
    read::{self, Unread},
    reply::Awaited,
};
use crate::{core::Random, http::Upload, log::Batch};

/// Where sources are called.
pub const PREFIX: &str = "/in/";
/// What is said when the store cannot take anything.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The door as one core uses it: appends of the same moment go to the store together.
pub struct OnCore {
    door: Door,
    batch: Rc<Batch>,
    random: Random,
}

/// The secret of a source's URL, if this request is to one.
pub fn route<B>(request: &http::Request<B>) -> Option<&str> {
    let rest = request.uri().path().strip_prefix(PREFIX)?;
    let token = rest.strip_suffix('/').unwrap_or(rest);
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(token)
}

impl Door {
    /// The door for one core. To be called there.
    pub fn on_core(&self) -> OnCore {
        let batch = Batch::new(self.parts.log.clone());
        let random = Random::new(Arc::clone(&self.parts.world.entropy));
        OnCore { door: self.clone(), batch, random }
    }
}

impl OnCore {
    /// Answers a request to the source with this token.
    pub async fn accept(
        &self,
        token: &str,
        parts: &request::Parts,
        body: Upload,
        peer: SocketAddr,
    ) -> Response {
        let door = &self.door.parts;
        let now = door.world.clock.now();
        let ready = match door.directory.find(token, now).await {
            Ok(Some(ready)) => ready,
            Ok(None) => return plain(StatusCode::NOT_FOUND),
            Err(error) => {
                tracing::warn!(%error, "a source could not be looked up");
                return unavailable();
            }
        };
        let Some(provider) = ready.provider.clone() else {
            tracing::error!(source = %ready.source.id, "no file describes the source's provider");
            return unavailable();
        };
        let call = Call {
            ready: &ready,
            provider: &provider,
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &headers::all(&parts.headers),
            address: Some(peer.ip()),
            received_at: now,
            now,
        };
        match self.handle(&call, &parts.headers, body).await {
            Ok(reply) => answer(reply),
            Err(Busy) => unavailable(),
        }
    }

    /// Asks first what costs nothing.
    async fn handle(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        body: Upload,
    ) -> Result<Reply, Busy> {
        let door = &self.door;
        let config = &call.ready.config;
        if !call.address_is_allowed() {
            let outcome = Outcome::early(Fate::AddressNotAllowed, StatusCode::FORBIDDEN);
            return Ok(door.refuse(call, outcome, Came::nothing()).await);
        }
        if let Some(rate) = config.rate_limit
            && let Err(after) = door.limits.call(call.ready.source.id.key(), rate, call.now)
        {
            let outcome = Outcome::early(Fate::RateLimited, StatusCode::TOO_MANY_REQUESTS)
                .with_header("retry-after", (after.as_secs() + 1).to_string());
            return Ok(door.refuse(call, outcome, Came::nothing()).await);
        }
        if !call.may_be_event() && !call.provider.challenges_by(call.method) {
            let outcome = Outcome::method_not_allowed(&config.methods);
            return Ok(door.refuse(call, outcome, Came::nothing()).await);
        }
        let limit = config.body_limit.unwrap_or(call.provider.answer.body_limit);
        let read = read::body(headers, body, limit, door.parts.read_timeout, &door.parts.spool);
        match read.await {
            Ok(body) => self.judge(call, body).await,
            Err(Unread::TooLarge { at_least }) => {
                let mut outcome = Outcome::early(Fate::TooLarge, StatusCode::PAYLOAD_TOO_LARGE);
                outcome.reason = Some(format!("more than {limit} bytes"));
                let came = Came { bytes: at_least, ..Came::nothing() };
                Ok(door.refuse(call, outcome, came).await)
            }
            Err(Unread::Slow) => Ok(Reply::empty(StatusCode::REQUEST_TIMEOUT.as_u16())),
            Err(Unread::Broken) => Ok(Reply::empty(StatusCode::BAD_REQUEST.as_u16())),
            Err(Unread::Spool(error)) => {
                tracing::error!(%error, "a large body could not be kept while it arrived");
                Err(Busy)
            }
        }
    }

    async fn judge(&self, call: &Call<'_>, body: Bytes) -> Result<Reply, Busy> {
        let door = &self.door;
        let url = call.url(&door.parts.public_url);
        let request = call.request(&url, &body);
        let outcome = match door.judge(call, &request).await {
            Judged::Challenge(answered) => {
                return door.challenge(call, answered, body.clone()).await;
            }
            Judged::RefusedChallenge { reply, verdict } => {
                Outcome::of(Fate::Unverified, &verdict, reply)
            }
            Judged::Event { .. } if !call.may_be_event() => {
                Outcome::method_not_allowed(&call.ready.config.methods)
            }
            Judged::Event { verdict, event } => decide(call, &request, &verdict, event),
        };
        match outcome.fate {
            Fate::Accepted => self.append(call, &request, &body, outcome).await,
            Fate::Quarantined => door.keep(call, outcome, Came::whole(body.clone())).await,
            _ => Ok(door.refuse(call, outcome, Came::whole(body.clone())).await),
        }
    }

    /// Appends what an event becomes; only then it is answered.
    async fn append(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        body: &Bytes,
        outcome: Outcome,
    ) -> Result<Reply, Busy> {
        let door = &self.door;
        let making = Making { retention: door.parts.retention, nonce: &|| self.random.next() };
        let mut messages = making.messages(call, request, body, &outcome);
        let first = messages.first_mut().map(|first| &mut first.message);
        let mut awaited = first.and_then(|first| {
            let answering = (&door.parts.replies, &door.parts.listeners);
            Awaited::begin(call, answering, first)
        });
        let says = |append: Append| {
            let said = Said::by(call, request, &outcome, &append);
            (said, self.batch.append(append))
        };
        let appends: Vec<_> = messages.into_iter().map(says).collect();
        let mut first = None;
        let mut failed = false;
        for (said, append) in appends {
            match append.await {
                Ok(appended) => {
                    let fate = if appended.repeated { Fate::Duplicate } else { Fate::Accepted };
                    door.happened(call, &outcome, Some((appended.id, fate)), body.len() as u64);
                    if appended.repeated {
                        if let Some(awaited) = awaited.as_mut().filter(|_| first.is_none()) {
                            let store = &*door.parts.store;
                            Box::pin(awaited.join(store, call, &appended)).await;
                        }
                        door.again(call, appended.id).await;
                    } else {
                        door.accepted();
                    }
                    // A duplicate, too: the one before may have ended in between.
                    if let Err(error) = Box::pin(door.correlate(call, appended.id, said)).await {
                        let source = call.ready.source.id;
                        tracing::warn!(%source, %error, "a callback was not told of an event");
                        failed = true;
                    }
                    first.get_or_insert(appended);
                }
                // Of a batch, an event that came before in another form.
                Err(AppendError::ClaimConflict) => door.parts.metrics.received(Fate::Duplicate),
                Err(AppendError::NoApplication) => {
                    // Deleted between the look-up and now.
                    door.parts.directory.forget();
                    failed = true;
                }
                Err(error) => {
                    tracing::warn!(source = %call.ready.source.id, %error, "an event was not taken");
                    failed = true;
                }
            }
        }
        match (awaited, first) {
            _ if failed => Err(Busy),
            // Boxed, so that no other request carries its state around.
            (Some(awaited), Some(first)) => {
                let store = &*door.parts.store;
                Ok(Box::pin(awaited.reply(store, call, request, &first, outcome.reply)).await)
            }
            _ => Ok(outcome.reply),
        }
    }
}

impl Door {
    /// Counts an event that became a message.
    pub(super) fn accepted(&self) {
        self.parts.metrics.messages_accepted.inc();
        self.parts.metrics.received(Fate::Accepted);
    }

    /// A duplicate is not delivered again, unless the first is undelivered: then at once.
    pub(super) async fn again(&self, call: &Call<'_>, first: MessageId) {
        self.parts.metrics.received(Fate::Duplicate);
        match self.parts.store.redeliver(call.ready.scope, first, call.now).await {
            Ok(due) if due.is_empty() => {}
            Ok(due) => self.parts.log.deliver(due),
            // It is stored and will be tried as planned.
            Err(error) => tracing::debug!(%error, "a repeated event could not be hastened"),
        }
    }
}

/// An answer as it is sent.
pub(crate) fn answer(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn plain(status: StatusCode) -> Response {
    answer(Reply::empty(status.as_u16()))
}

fn unavailable() -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_source_is_a_source() {
        let check = |path: &str, expect: Option<&str>| {
            let request = http::Request::builder().uri(path).body(()).unwrap();
            assert_eq!(route(&request), expect, "{path}");
        };
        check("/in/abc123", Some("abc123"));
        check("/in/abc123/", Some("abc123"));
        check("/in/abc123?hub.mode=subscribe", Some("abc123"));
        check("/in/", None);
        check("/in/a/b", None);
        check("/in/a%2Fb", None);
        check("/api/v1/app", None);
    }
}
