//! What handlers are called with: typed, checked, and already inside the caller's tenancy.
//!
//! Invariant: a handler that reaches below an environment has a [`Caller`], one that reaches below
//! an application a [`Scoped`]. Neither can be made from anything but a valid token and an existing
//! application of its environment.

use std::{sync::Arc, time::Duration};

use axum::{
    BoxError,
    extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request},
    http::request::Parts,
};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ringback_domain::{
    id::{
        AttemptId, AuthorizationId, CallbackId, CallbackRequestId, ConnectionId, Key, Kind,
        OauthClientId, RequestId, TaskId,
    },
    json::check_depth,
    scope::{Reference, Scope, check_uid},
    time::Timestamp,
};
use ringback_store::ReadError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use super::{
    Api, Rules, audit,
    error::{Error, Problem},
};
use crate::auth::{Identity, Wish};

/// Who calls, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The environment that the token opens.
    pub(super) environment: Key,
    /// When the request came.
    pub(super) now: Timestamp,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Caller, Error> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(*caller);
        }
        let now = api.world.clock.now();
        let route = parts.extensions.get::<MatchedPath>().cloned();
        let application = match Named::<Application>::from_request_parts(parts, api).await {
            Ok(Named(reference)) => Some(reference),
            // The route has no application; a path that cannot be read has no handler either.
            Err(_) => None,
        };
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        let wish = Wish { method: &parts.method, route, application: application.as_ref() };
        let header = parts.headers.get(header::AUTHORIZATION);
        let identity = api.auth.admit(header, wish, now).await?;
        audit::note(parts, api, &identity, now).await?;
        let caller = Caller { environment: identity.environment, now };
        parts.extensions.insert(caller);
        parts.extensions.insert(Who(identity));
        Ok(caller)
    }
}

/// All that is known of whoever calls.
#[derive(Clone)]
pub(super) struct Who(pub(super) Arc<Identity>);

impl FromRequestParts<Api> for Who {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Who, Error> {
        Caller::from_request_parts(parts, api).await?;
        // Whoever is admitted has been noted.
        parts.extensions.get::<Who>().cloned().ok_or(Error::Internal)
    }
}

/// A caller and the application that the path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scoped {
    /// What the store may be asked for.
    pub(super) scope: Scope,
    /// When the request came.
    pub(super) now: Timestamp,
}

impl FromRequestParts<Api> for Scoped {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Scoped, Error> {
        let Caller { environment, now } = Caller::from_request_parts(parts, api).await?;
        let Named(application) = Named::<Application>::from_request_parts(parts, api).await?;
        let application = api.store.application(environment, application).await?.id.key();
        Ok(Scoped { scope: Scope { environment, application }, now })
    }
}

/// What a segment of the path names: an id or a uid of a `T`.
pub(super) struct Named<T: Nameable>(pub(super) T::Reference);

/// A kind of thing that a path can name.
pub(super) trait Nameable {
    /// What the segment is read as.
    type Reference;
    /// What the segment is called in the route.
    const SEGMENT: &'static str;
    /// # Errors
    /// 404 where the segment can name nothing.
    fn read(segment: &str) -> Result<Self::Reference, Error>;
}

/// An application: id or uid.
pub(super) struct Application;
/// An endpoint: id or uid.
pub(super) struct Endpoint;
/// A destination: id or uid of the endpoint that it is.
pub(super) struct Destination;
/// A polling endpoint: id or uid of the endpoint that it is.
pub(super) struct Sink;
/// Who reads a polling endpoint: a name.
pub(super) struct Consumer;
/// A message: id or event id.
pub(super) struct Message;
/// An attempt: id.
pub(super) struct Attempt;
/// An event type: its name.
pub(super) struct EventType;
/// A version of an event type: its label.
pub(super) struct Version;
/// A background task: id.
pub(super) struct Task;
/// A source: id or uid.
pub(super) struct Source;
/// A request that arrived at a source: id.
pub(super) struct Arrived;

/// A callback: id.
pub(super) struct Callback;
/// A request that arrived at a callback: id.
pub(super) struct CallbackRequest;
/// A client at a provider: id.
pub(super) struct OauthClient;
/// A person who is asked: id.
pub(super) struct Authorization;
/// What was granted: id.
pub(super) struct Connection;
/// A listener: id or name.
pub(super) struct Listener;
/// A webhook that a connection has registered: what the provider calls it.
pub(super) struct Subscription;

impl Nameable for Application {
    type Reference = Reference;
    const SEGMENT: &'static str = "app_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Ok(Reference::parse(Kind::Application, segment))
    }
}

impl Nameable for Endpoint {
    type Reference = Reference;
    const SEGMENT: &'static str = "endpoint_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Ok(Reference::parse(Kind::Endpoint, segment))
    }
}

impl Nameable for Destination {
    type Reference = Reference;
    const SEGMENT: &'static str = "destination_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Endpoint::read(segment)
    }
}

impl Nameable for Sink {
    type Reference = Reference;
    const SEGMENT: &'static str = "sink_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Endpoint::read(segment)
    }
}

impl Nameable for Consumer {
    type Reference = String;
    const SEGMENT: &'static str = "consumer_id";
    fn read(segment: &str) -> Result<String, Error> {
        check_uid(Kind::Endpoint, segment)
            .map_err(|what| Error::invalid("path", Consumer::SEGMENT, what))?;
        Ok(segment.to_owned())
    }
}

impl Nameable for Message {
    type Reference = Reference;
    const SEGMENT: &'static str = "msg_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Ok(Reference::parse(Kind::Message, segment))
    }
}

impl Nameable for Attempt {
    type Reference = AttemptId;
    const SEGMENT: &'static str = "attempt_id";
    fn read(segment: &str) -> Result<AttemptId, Error> {
        segment.parse().map_err(|_| Error::NotFound("attempt"))
    }
}

impl Nameable for Source {
    type Reference = Reference;
    const SEGMENT: &'static str = "source_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Ok(Reference::parse(Kind::Source, segment))
    }
}

impl Nameable for Listener {
    type Reference = Reference;
    const SEGMENT: &'static str = "listener_id";
    fn read(segment: &str) -> Result<Reference, Error> {
        Ok(Reference::parse(Kind::Listener, segment))
    }
}

impl Nameable for Arrived {
    type Reference = RequestId;
    const SEGMENT: &'static str = "request_id";
    fn read(segment: &str) -> Result<RequestId, Error> {
        segment.parse().map_err(|_| Error::NotFound("request"))
    }
}

impl Nameable for Callback {
    type Reference = CallbackId;
    const SEGMENT: &'static str = "callback_id";
    fn read(segment: &str) -> Result<CallbackId, Error> {
        segment.parse().map_err(|_| Error::NotFound("callback"))
    }
}

impl Nameable for CallbackRequest {
    type Reference = CallbackRequestId;
    const SEGMENT: &'static str = "callback_request_id";
    fn read(segment: &str) -> Result<CallbackRequestId, Error> {
        segment.parse().map_err(|_| Error::NotFound("callback request"))
    }
}

impl Nameable for OauthClient {
    type Reference = OauthClientId;
    const SEGMENT: &'static str = "oauth_client_id";
    fn read(segment: &str) -> Result<OauthClientId, Error> {
        segment.parse().map_err(|_| Error::NotFound("oauth client"))
    }
}

impl Nameable for Authorization {
    type Reference = AuthorizationId;
    const SEGMENT: &'static str = "authorization_id";
    fn read(segment: &str) -> Result<AuthorizationId, Error> {
        segment.parse().map_err(|_| Error::NotFound("authorization"))
    }
}

impl Nameable for Connection {
    type Reference = ConnectionId;
    const SEGMENT: &'static str = "connection_id";
    fn read(segment: &str) -> Result<ConnectionId, Error> {
        segment.parse().map_err(|_| Error::NotFound("connection"))
    }
}

impl Nameable for Subscription {
    type Reference = String;
    const SEGMENT: &'static str = "subscription_id";
    fn read(segment: &str) -> Result<String, Error> {
        Ok(segment.to_owned())
    }
}

impl Nameable for Task {
    type Reference = TaskId;
    const SEGMENT: &'static str = "task_id";
    fn read(segment: &str) -> Result<TaskId, Error> {
        segment.parse().map_err(|_| Error::NotFound("task"))
    }
}

impl Nameable for EventType {
    type Reference = String;
    const SEGMENT: &'static str = "event_type_name";
    fn read(segment: &str) -> Result<String, Error> {
        Ok(segment.to_owned())
    }
}

impl Nameable for Version {
    type Reference = String;
    const SEGMENT: &'static str = "version_label";
    fn read(segment: &str) -> Result<String, Error> {
        Ok(segment.to_owned())
    }
}

impl<T: Nameable, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Error> {
        // What is not UTF-8 once it is decoded names nothing.
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Error::NoRoute)?;
        let segment = params.iter().find(|(name, _)| *name == T::SEGMENT);
        let (_, segment) = segment.ok_or(Error::NoRoute)?;
        T::read(segment).map(Named)
    }
}

/// Whether the caller is an SDK of 2024 or before (`svix-libs/1.…`), which takes only the status
/// codes that its documentation listed.
pub(super) struct OldSdk(pub(super) bool);

impl<S: Sync> FromRequestParts<S> for OldSdk {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<OldSdk, Self::Rejection> {
        let agent = parts.headers.get(header::USER_AGENT);
        Ok(OldSdk(agent.is_some_and(|agent| agent.as_bytes().starts_with(b"svix-libs/1."))))
    }
}

/// The JSON body of a PUT or PATCH. (Of a POST: [`super::idempotency::Posted`].)
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Api) -> Result<Json<T>, Error> {
        let (parts, body) = request.into_parts();
        let Rules { body_limit, read_timeout, .. } = api.rules;
        let bytes = read_body(&parts.headers, body, body_limit, read_timeout).await?;
        parse(&bytes, api.rules.json_depth).map(Json)
    }
}

/// The whole body.
///
/// # Errors
/// 413 when it is larger than `limit`, 408 when it takes longer than `timeout`, 400 when it breaks
/// off.
pub(crate) async fn read_body<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, Error>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Error::TooLarge { limit });
    }
    let collected = tokio::time::timeout(timeout, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::TooLarge { limit }),
        Ok(Err(_)) => {
            let detail = "the body broke off".to_owned();
            Err(Error::Refused { code: "incomplete_body", detail })
        }
        Err(_) => Err(Error::TimedOut),
    }
}

/// Reads a JSON body that nests at most `depth` levels; an empty one counts as `{}`.
///
/// # Errors
/// 422 that names the field.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], depth: usize) -> Result<T, Error> {
    let body = if body.is_empty() { b"{}" } else { body };
    check_depth(body, depth).map_err(|what| Error::Invalid(vec![Problem::at(&["body"], what)]))?;
    // Keeping track of the path costs; so that is done only when there is something to tell.
    serde_json::from_slice(body).map_err(|_| locate::<T>(body))
}

/// Where the body is wrong.
fn locate<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Error {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        // The value is right, so what follows it is not.
        return not_json("there is something after the end of the JSON value");
    };
    if !error.inner().is_data() {
        return not_json(error.inner());
    }
    let mut loc = vec!["body".to_owned()];
    loc.extend(error.path().iter().filter_map(name));
    Error::Invalid(vec![Problem { loc, msg: error.inner().to_string(), kind: "value_error" }])
}

/// What a step into the body is called: `tags`, then `1`.
fn name(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn not_json(what: impl ToString) -> Error {
    let (loc, msg) = (vec!["body".to_owned()], what.to_string());
    Error::Invalid(vec![Problem { loc, msg, kind: "value_error.jsondecode" }])
}

/// Reads the result of a look-up before a change: what is not there is none.
pub(super) fn found<T>(result: Result<T, ReadError>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(ReadError::NotFound(_)) => Ok(None),
        Err(ReadError::Unavailable(unavailable)) => Err(unavailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    struct Sample<'a> {
        name: Option<String>,
        rate: Option<u32>,
        tags: Option<Vec<String>>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }

    fn problem(body: &str) -> (String, &'static str) {
        match parse::<Sample<'_>>(body.as_bytes(), 4) {
            Err(Error::Invalid(problems)) => (problems[0].loc.join("."), problems[0].kind),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_types_name_their_field() {
        for (body, loc) in [
            (r#"{"name":1}"#, "body.name"),
            (r#"{"rate":-1}"#, "body.rate"),
            (r#"{"rate":1.5}"#, "body.rate"),
            (r#"{"tags":["a",2]}"#, "body.tags.1"),
            (r#"{"payload":{"a":1},"name":[]}"#, "body.name"),
            ("[[[[[1]]]]]", "body"),
            (r#""text""#, "body"),
        ] {
            assert_eq!(problem(body), (loc.to_owned(), "value_error"), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for body in
            ["{", r#"{"name":"a"} {}"#, r#"{"name":"a",}"#, "nonsense", "{\"name\":\"\u{1}\"}"]
        {
            assert_eq!(problem(body), ("body".to_owned(), "value_error.jsondecode"), "{body}");
        }
    }

    #[test]
    fn a_payload_keeps_its_spelling() {
        let body = br#"{"payload": {"b":1.0,"a":1e2,"a":"\u00e9"} }"#;
        let sample: Sample<'_> = parse(body, 4).unwrap();
        assert_eq!(sample.payload.unwrap().get(), r#"{"b":1.0,"a":1e2,"a":"\u00e9"}"#);
        assert!(parse::<Sample<'_>>(b"", 4).is_ok());
    }
}
