//! Calls: requests that the server sends itself, with a callback's URL in them.
//!
//! What an answer means is said in [`ringback_domain::callback::call`]; here it is asked for, and what
//! it says is judged like anything that comes to the callback's URL.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use ringback_domain::{
    callback::{
        By, Callback,
        call::{Filled, Next, Reply, Request, Stage},
        state,
    },
    retry::parse_retry_after,
    target::{Rules, Target},
    time::Timestamp,
};
use ringback_store::{NewCallbackRequest, Unavailable, WriteError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Callbacks, Terms,
    errand::{Done, Work},
    judge::{self, Arrived, Refused},
};
use crate::outbound::{Answer, Connector, Limits, Once, Reason};

/// How long a request may take: with `Prefer: respond-async` whoever works for long says so.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer that is taken.
const LARGEST: usize = 1024 * 1024;

/// A call, as far as it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    /// The request as it was asked for.
    pub(crate) request: Request,
    /// What comes next.
    pub(crate) stage: Stage,
    /// The pause between polls that the caller wants, in seconds.
    pub(crate) interval: Option<u64>,
    /// Whether plain `http` is not dialled.
    pub(crate) require_https: bool,
}

impl Call {
    /// Makes the next request; what it says is done with the callback.
    pub(super) async fn attempt(
        &self,
        callbacks: &Callbacks,
        connector: &Connector,
        callback: &Callback,
        attempts: u32,
    ) -> Result<Done, Unavailable> {
        let Some(url) = callbacks.url(callback) else { return Ok(Done::Ended) };
        let id = callback.id.to_string();
        let filled = match &self.stage {
            Stage::Send => self.request.fill(&id, &url),
            Stage::Poll(at) => self.request.poll(&id, &url, at),
        };
        let target = Target::parse(&filled.url, Rules { require_https: self.require_https });
        let answer = match &target {
            Ok(target) => exchange(connector, target, &filled).await,
            Err(error) => {
                self.fail(callbacks, callback, error.to_string()).await?;
                return Ok(Done::Ended);
            }
        };
        let now = callbacks.parts().world.clock.now();
        let next = match &answer {
            Ok(answer) => {
                let interval = self.interval.map(Duration::from_secs);
                self.stage.after(reply(answer, now), &filled.url, attempts, interval)
            }
            // Trying again would not change that.
            Err(Reason::RefusedByPolicy) => {
                self.fail(callbacks, callback, Reason::RefusedByPolicy.to_string()).await?;
                return Ok(Done::Ended);
            }
            Err(reason) => {
                tracing::debug!(callback = %id, %reason, "a call was not answered");
                self.stage.unanswered(attempts)
            }
        };
        match (next, answer) {
            (Next::Answered { failed }, Ok(answer)) => {
                self.answered(callbacks, callback, &answer, failed, now).await?;
                Ok(Done::Ended)
            }
            (Next::Later(stage, wait), _) => {
                Ok(Done::Later(Work::Call(Call { stage, ..self.clone() }), now + wait))
            }
            (Next::Answered { .. } | Next::Wait, _) => Ok(Done::Ended),
        }
    }

    /// Does with the callback what the answer says.
    async fn answered(
        &self,
        callbacks: &Callbacks,
        callback: &Callback,
        answer: &Answer,
        failed: bool,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let headers = shown(answer);
        let content_type = headers.iter().find(|(name, _)| name == "content-type");
        let content_type = content_type.map(|(_, value)| value.as_str());
        let arrived =
            Arrived { target: "", headers: &headers, content_type, content: &answer.body };
        let terms = Terms::of(callback);
        let (act, kept) = if failed {
            failure(&answer.body)
        } else {
            match judge::judge(&terms, &arrived) {
                Ok(said) => said,
                Err(refused) => {
                    let why = match refused {
                        Refused::Schema(violation) => violation.to_string(),
                        Refused::TooComplex => "it is too complex for the filters".to_owned(),
                    };
                    tracing::debug!(callback = %callback.id, why, "a call's answer is not taken");
                    failure(&answer.body)
                }
            }
        };
        let mut request = NewCallbackRequest {
            content_type: content_type.map(str::to_owned),
            headers: headers.clone(),
            body: answer.body.clone(),
            ..nothing(kept)
        };
        request.target = format!("status={}", answer.status.as_u16());
        settle(callbacks, callback, act, request, now).await
    }

    /// Fails the callback: the request can never be made.
    async fn fail(
        &self,
        callbacks: &Callbacks,
        callback: &Callback,
        why: String,
    ) -> Result<(), Unavailable> {
        let now = callbacks.parts().world.clock.now();
        let body = Bytes::from(why);
        let (act, kept) = failure(&body);
        let content_type = Some("text/plain; charset=utf-8".to_owned());
        settle(
            callbacks,
            callback,
            act,
            NewCallbackRequest { content_type, body, ..nothing(kept) },
            now,
        )
        .await
    }
}

async fn settle(
    callbacks: &Callbacks,
    callback: &Callback,
    act: state::Act,
    request: NewCallbackRequest,
    now: Timestamp,
) -> Result<(), Unavailable> {
    match callbacks.step(callbacks.act(callback.id, act, request, now)).await {
        Err(WriteError::Unavailable(reason)) => Err(reason),
        // Whoever came first, it is written down; one that is gone needs no answer.
        _ => Ok(()),
    }
}

fn failure(body: &[u8]) -> (state::Act, ringback_domain::callback::Act) {
    (super::commit::answer(true, body), ringback_domain::callback::Act::Fail)
}

fn nothing(act: ringback_domain::callback::Act) -> NewCallbackRequest {
    NewCallbackRequest {
        act,
        by: By::Call,
        refused: None,
        method: String::new(),
        target: String::new(),
        address: None,
        content_type: None,
        headers: Vec::new(),
        body: Bytes::new(),
        message: None,
    }
}

async fn exchange(
    connector: &Connector,
    target: &Target,
    filled: &Filled,
) -> Result<Answer, Reason> {
    let once = Once {
        method: &filled.method,
        target,
        headers: &filled.headers,
        body: Bytes::from(filled.body.clone()),
    };
    let limits = Limits { keep: LARGEST, read: LARGEST, headers: 100 };
    connector.once(once, &limits, Instant::now() + PATIENCE).await
}

fn reply(answer: &Answer, now: Timestamp) -> Reply<'_> {
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    Reply {
        status: answer.status.as_u16(),
        location: header(header::LOCATION),
        retry_after: header(header::RETRY_AFTER).and_then(|text| parse_retry_after(text, now)),
        complete: !answer.truncated,
    }
}

/// The headers of an answer as they are kept: no cookies.
fn shown(answer: &Answer) -> Vec<(String, String)> {
    let kept = answer.headers.iter().filter(|(name, _)| **name != header::SET_COOKIE);
    kept.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
    .collect()
}
