//! Waiting for a callback: until it has ended, or following what happens to it.
//!
//! Waiting reads and never consumes: any number may wait, before the answer and after it. A waiter is
//! a place in the list of [`super::waiters`] and a timer; nothing runs for it meanwhile.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ringback_domain::{
    callback::{Callback, Request},
    id::{CallbackId, CallbackRequestId, Id, Key},
};
use ringback_store::{Order, Page, Position, ReadError, Unavailable};
use tokio::time::{Instant, timeout_at};

use super::{
    CallbackOut, Callbacks,
    view::{EventOut, event_name},
    waiters::Waiting,
};
use crate::{
    api,
    http::{self as wire, Happening, event_stream},
};

/// The longest that anybody waits for a result, in seconds.
pub const LONGEST: u64 = 60;
/// When whoever asks for a result that is not there is to come again, in seconds.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("1");
/// How often something is sent to those who follow, so that nothing in between gives up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Requests that are read at a time: their bodies are in memory then.
const PAGE: usize = 8;
/// What a result was waited for.
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A callback after a wait.
pub struct Waited {
    /// It.
    pub callback: Callback,
    /// The request that ended it, with its body.
    pub settling: Option<Request>,
}

/// How long the caller prefers to wait, in seconds (RFC 7240, `Prefer: wait=N`); at most [`LONGEST`].
pub fn wait_of(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    let wait = preferences.find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
    })?;
    wait.parse().ok().map(|seconds: u64| seconds.min(LONGEST))
}

impl Callbacks {
    /// Waits until a callback has ended, at most so long.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if it is not there.
    pub async fn wait(
        &self,
        environment: Key,
        callback: CallbackId,
        at_most: Duration,
    ) -> Result<Waited, ReadError> {
        let until = Instant::now() + at_most;
        let mut waiting = self.waiters().wait_for(callback);
        loop {
            let callback = self.read(environment, callback).await?;
            if !callback.course.state.is_open() {
                let settling = match callback.settled_by {
                    Some(id) => Some(self.parts().store.callback_request(callback.id, id).await?),
                    None => None,
                };
                return Ok(Waited { callback, settling });
            }
            if Instant::now() >= until {
                return Ok(Waited { callback, settling: None });
            }
            let due = Instant::now() + self.until_due(&callback);
            if let Ok(false) = timeout_at(until.min(due), waiting.rung()).await {
                return Ok(Waited { callback, settling: None });
            }
        }
    }

    /// The answer to whoever asks for the result: 200 with it, or 202 if there is none yet.
    ///
    /// # Errors
    /// As [`Callbacks::wait`].
    pub async fn result(
        &self,
        environment: Key,
        callback: CallbackId,
        headers: &HeaderMap,
        show: impl FnOnce(CallbackOut) -> CallbackOut,
    ) -> Result<Response, ReadError> {
        let wait = wait_of(headers);
        let at_most = Duration::from_secs(wait.unwrap_or(0));
        let Waited { callback, settling } = self.wait(environment, callback, at_most).await?;
        let is_open = callback.course.state.is_open();
        let status = if is_open { StatusCode::ACCEPTED } else { StatusCode::OK };
        let mut response = api::json(status, &show(CallbackOut::new(&callback, settling.as_ref())));
        let headers = response.headers_mut();
        if is_open {
            headers.insert(header::RETRY_AFTER, COME_AGAIN);
        }
        let applied = wait.and_then(|wait| HeaderValue::from_str(&format!("wait={wait}")).ok());
        if let Some(applied) = applied {
            headers.insert(APPLIED, applied);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// The answer to whoever follows a callback: what happened after the event that they saw last,
    /// and what happens from now on, until it has ended. 204 to those who have seen all.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if the callback is not there.
    pub async fn events(
        &self,
        environment: Key,
        callback: CallbackId,
        headers: &HeaderMap,
    ) -> Result<Response, ReadError> {
        // First of all, so that nothing is missed.
        let waiting = self.waiters().wait_for(callback);
        let now = self.read(environment, callback).await?;
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let last = last.map(str::trim).unwrap_or_default();
        let saw_the_end = match now.settled_by {
            Some(id) => last == id.to_string(),
            None => last == callback.to_string(),
        };
        if !now.course.state.is_open() && saw_the_end {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        let following = Following {
            callbacks: self.clone(),
            environment,
            callback,
            after: last.parse().ok().map(|CallbackRequestId(id)| id),
            waiting,
            has_begun: false,
            has_ended: false,
        };
        Ok(event_stream(following))
    }

    async fn read(&self, environment: Key, callback: CallbackId) -> Result<Callback, ReadError> {
        let now = self.parts().world.clock.now();
        self.parts().store.callback(environment, callback, now).await
    }

    fn until_due(&self, callback: &Callback) -> Duration {
        callback.course.due_at().since(self.parts().world.clock.now())
    }
}

/// Somebody who follows a callback.
struct Following {
    callbacks: Callbacks,
    environment: Key,
    callback: CallbackId,
    /// What was told last.
    after: Option<Id>,
    waiting: Waiting,
    has_begun: bool,
    has_ended: bool,
}

impl Happening for Following {
    async fn next(self) -> Option<(Bytes, Following)> {
        self.step().await
    }
}

impl Following {
    async fn step(mut self) -> Option<(Bytes, Following)> {
        if self.has_ended {
            return None;
        }
        if !self.has_begun {
            self.has_begun = true;
            // Sent at once, so that whoever follows knows that they do.
            return Some((Bytes::from_static(b"retry: 1000\n\n"), self));
        }
        loop {
            // Read before its requests: those of a callback that has ended are all there.
            let callback = self.callbacks.read(self.environment, self.callback).await.ok()?;
            let (text, more) = self.told().await.ok()?;
            if !text.is_empty() {
                return Some((text.into(), self));
            }
            if more {
                continue;
            }
            if !callback.course.state.is_open() {
                self.has_ended = true;
                let ended = EventOut::of_deadline(&callback);
                let text = event(callback.course.state.name(), callback.id, &ended);
                return Some((text.into(), self));
            }
            let alive = Instant::now() + KEEP_ALIVE;
            let due = Instant::now() + self.callbacks.until_due(&callback);
            match timeout_at(alive.min(due), self.waiting.rung()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) if due <= alive => {}
                Err(_) => return Some((Bytes::from_static(b": still here\n\n"), self)),
            }
        }
    }

    /// What has happened since the last time, and whether more has to be looked at.
    async fn told(&mut self) -> Result<(String, bool), Unavailable> {
        let page = Page {
            limit: PAGE,
            from: self.after.map_or(Position::Start, Position::After),
            order: Order::Ascending,
        };
        let store = &self.callbacks.parts().store;
        let listed = store.callback_requests(self.callback, page, true).await?;
        let mut text = String::new();
        for request in &listed.items {
            self.after = Some(request.id.0);
            let Some(name) = event_name(request) else { continue };
            text.push_str(&event(name, request.id, &EventOut::of(self.callback, name, request)));
            if !["item", "progress", "returned"].contains(&name) {
                self.has_ended = true;
                break;
            }
        }
        Ok((text, !listed.done))
    }
}

/// One event of the stream.
fn event(name: &str, id: impl std::fmt::Display, data: &EventOut) -> String {
    wire::event(Some(name), Some(&id), &serde_json::to_string(data).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_read_in_every_spelling() {
        for (values, expect) in [
            (&["wait=30"][..], Some(30)),
            (&["respond-async, wait=10"], Some(10)),
            (&["respond-async", "Wait = \"5\""], Some(5)),
            (&["wait=600"], Some(LONGEST)),
            (&["wait=0"], Some(0)),
            (&["wait=soon"], None),
            (&["wait"], None),
            (&["return=minimal"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            assert_eq!(wait_of(&headers), expect, "{values:?}");
        }
    }
}
