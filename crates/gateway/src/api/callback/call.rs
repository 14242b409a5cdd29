//! Calls: requests that the server sends itself, with a callback's URL in them.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ringback_domain::{
    callback::call::{Request, Stage, URL},
    target::{Rules, Target},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Asked, application, make, model::CallbackIn};
use crate::{
    api::{Api, error::Error, extract::Caller, field::Problems},
    callback::{Call, CallbackOut, Work},
};

/// Methods of requests.
const METHODS: [(&str, &str); 5] =
    [("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];
/// The most headers.
const HEADERS: usize = 50;
/// The longest pause between polls that can be wanted, in seconds.
const INTERVAL: u64 = 900;
/// Headers that belong to the connection, or say what follows from the rest.
const OURS: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
];

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(call))
}

/// A call to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallIn {
    /// The application that waits, by id or uid.
    #[schema(required, nullable = false)]
    application: Option<String>,
    /// What is sent.
    #[schema(required, nullable = false)]
    request: Option<RequestIn>,
    /// How the answer is taken that comes to the callback's URL.
    callback: Option<CallbackIn>,
    /// How an answer is asked for that is to be had elsewhere (202 with `Location`).
    poll: Option<PollIn>,
}

/// A request to send. `{{callback.url}}` and `{{callback.id}}` are filled in, in the URL, in values of
/// headers and in texts of the body.
#[derive(Deserialize, ToSchema)]
#[schema(as = CallRequestIn)]
struct RequestIn {
    /// `POST` if not given.
    #[schema(default = "POST")]
    method: Option<String>,
    /// Where to.
    #[schema(required, nullable = false)]
    url: Option<String>,
    /// By name. `Prefer: respond-async` and an `Idempotency-Key` are sent unless they are here.
    headers: Option<BTreeMap<String, String>>,
    /// A text is sent as it is, anything else as JSON.
    #[schema(value_type = Option<Value>)]
    body: Option<Value>,
}

/// How an answer is asked for.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = CallPollIn)]
struct PollIn {
    /// Seconds between two questions, where the other side does not say; 5 if not given.
    #[schema(minimum = 1, maximum = 900)]
    interval: Option<u64>,
}

/// Call another API
///
/// Sends the request, and takes the answer in whichever form it comes first: at once (200), where a 202
/// with `Location` points, at the callback's URL, or in a message of its source. What is not taken
/// (nobody there, 408, 425, 429, 5xx) is sent again, with the same URL and `Idempotency-Key`. With
/// `Prefer: wait=60` the answer is waited for: 200 with `result`; otherwise, and if it takes longer, 202
/// and `Location`.
#[utoipa::path(post, path = "/api/v1/call", tag = "Callback", request_body = CallIn,
    params(("prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the answer")),
    responses((status = 200, body = CallbackOut), (status = 202, body = CallbackOut)))]
async fn call(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Asked { body, claim }: Asked<CallIn>,
) -> Result<Response, Error> {
    let rules = api.rules.target;
    let CallIn { application: named, request, callback, poll } = body;
    let mut problems = Problems::of_body();
    let request = problems.required("request", request);
    let request = request.and_then(|request| request.check(&mut problems, rules));
    let interval = poll.and_then(|poll| poll.check(&mut problems));
    let callback = callback.unwrap_or_default();
    callback.of_a_call(&mut problems);
    problems.done()?;
    let application = application(&api, caller, named.as_deref()).await?;
    let wanted = callback.check(&api, caller, Problems::of_body_field("callback")).await?;
    let request = request.ok_or(Error::Internal)?;
    let require_https = rules.require_https;
    let call = Work::Call(Call { request, stage: Stage::Send, interval, require_https });
    let made = make(&api, caller, application, &wanted, (claim, Some(&call))).await?;
    let id = made.callback.id;
    let mut answer = api.callbacks.result(caller.environment, id, &headers, |view| view).await?;
    let location = format!("/api/v1/callback/{id}/result");
    if let (StatusCode::ACCEPTED, Ok(location)) =
        (answer.status(), HeaderValue::from_str(&location))
    {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

impl RequestIn {
    fn check(self, problems: &mut Problems, rules: Rules) -> Option<Request> {
        let mut within = Problems::of_body_field("request");
        let method = within.one_of("method", self.method.as_deref(), &METHODS).unwrap_or("POST");
        let url = within.required("url", self.url).unwrap_or_default();
        // As long as it will be, and as absolute.
        let sample = url.replace(URL, &"x".repeat(200));
        within.check("url", Target::parse(&sample, rules));
        let headers: Vec<(String, String)> = self.headers.unwrap_or_default().into_iter().collect();
        if headers.len() > HEADERS {
            within.add("headers", format!("there are at most {HEADERS}"));
        }
        for (name, value) in &headers {
            let known = HeaderName::from_bytes(name.as_bytes());
            match (known, HeaderValue::from_str(value)) {
                (Ok(name), Ok(_)) if !OURS.contains(&name) => {}
                (Ok(name), Ok(_)) => {
                    within.add_below("headers", Some(name.as_str()), "it is not yours to set");
                }
                _ => within.add_below("headers", Some(name), "it is no header"),
            }
        }
        problems.append(within);
        Some(Request { method: method.to_owned(), url, headers, body: self.body })
    }
}

impl PollIn {
    fn check(self, problems: &mut Problems) -> Option<u64> {
        if self.interval.is_some_and(|seconds| !(1..=INTERVAL).contains(&seconds)) {
            let mut within = Problems::of_body_field("poll");
            within.add("interval", format!("it is 1 to {INTERVAL} seconds"));
            problems.append(within);
        }
        self.interval
    }
}
