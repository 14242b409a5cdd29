//! A call: a request that Ringback sends with a callback's URL in it, and what its answers mean.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Send
//!     Send --> Send: nobody there, 408, 425, 429, 5xx: later
//!     Send --> [*]: 200: that is the answer
//!     Send --> Poll: 202 with a Location
//!     Send --> Wait: 202, 201, 204: the answer comes to the callback
//!     Send --> [*]: anything else: it failed
//!     Poll --> Poll: 202, nobody there, 429, 5xx: later
//!     Poll --> Poll: 303: its Location is polled at once
//!     Poll --> [*]: 200: that is the answer
//!     Poll --> [*]: anything else: it failed
//! ```
//!
//! Whatever comes first ends the callback: an answer here, one at its URL, a message of a source, or
//! its deadline. A repeated request has the same URL and the same `Idempotency-Key`, so whoever
//! gets it twice can know.
//!
//! 202 and `Location` are RFC 9110's (15.3.3, 15.4.4), `Prefer: respond-async` is RFC 7240's (4.1).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Origin, Url};

use crate::time::Timestamp;

/// Stands where the callback's URL goes: in URL, headers and body of a request.
pub const URL: &str = "{{callback.url}}";
/// Stands where the callback's id goes.
pub const ID: &str = "{{callback.id}}";

/// The pauses between attempts; the last one is repeated until the callback ends.
const GAPS: [u64; 6] = [1, 5, 15, 60, 300, 900];
/// How long a poll waits that was not told how long.
const POLL: Duration = Duration::from_secs(5);
/// The shortest that a server may ask for: it is not to be asked more often than this.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest that a server may ask for.
const LONGEST: Duration = Duration::from_secs(900);

/// A request as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// `POST` unless it says so.
    #[serde(default = "post")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// In the order in which they are sent.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// A text is sent as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

fn post() -> String {
    "POST".to_owned()
}

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its method.
    pub method: String,
    /// Its whole URL.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Where a call is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The request has not been taken yet.
    Send,
    /// This URL is asked for the answer.
    Poll(String),
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// The `Retry-After` header, read by [`crate::retry::parse_retry_after`].
    pub retry_after: Option<Duration>,
    /// Whether the body is no larger than what is taken.
    pub complete: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is the answer; `failed` says whether it is a failure.
    Answered {
        /// Whether there will be no other.
        failed: bool,
    },
    /// This comes next, after so long.
    Later(Stage, Duration),
    /// The answer comes to the callback by itself.
    Wait,
}

impl Request {
    /// Whether the callback's URL is anywhere in it.
    pub fn hands_out_url(&self) -> bool {
        let in_body = self.body.as_ref().is_some_and(|body| body.to_string().contains(URL));
        in_body
            || self.url.contains(URL)
            || self.url.contains(&encoded(URL))
            || self.headers.iter().any(|(_, value)| value.contains(URL))
    }

    /// The request with the callback's URL and id where they belong: encoded in its URL, as they are
    /// elsewhere.
    pub fn fill(&self, id: &str, callback_url: &str) -> Filled {
        let plain = |text: &str| text.replace(URL, callback_url).replace(ID, id);
        let (body, content_type) = match &self.body {
            None => (Vec::new(), None),
            Some(Value::String(text)) => {
                (plain(text).into_bytes(), Some("text/plain; charset=utf-8"))
            }
            Some(body) => {
                (replaced(body, &plain).to_string().into_bytes(), Some("application/json"))
            }
        };
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), plain(value)))
            .collect();
        let mut default = |name: &str, value: &str| {
            if !headers.iter().any(|(given, _)| given == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        if let Some(content_type) = content_type {
            default("content-type", content_type);
        }
        default("prefer", "respond-async");
        default("idempotency-key", id);
        let url = self.url.replace(URL, &encoded(callback_url)).replace(ID, id);
        Filled { method: self.method.to_ascii_uppercase(), url, headers, body }
    }

    /// The request that asks `url` for the answer. What the first request had to prove itself with
    /// goes along only to where that went.
    pub fn poll(&self, id: &str, callback_url: &str, url: &str) -> Filled {
        let filled = self.fill(id, callback_url);
        let same = origin(&filled.url).is_some_and(|one| Some(one) == origin(url));
        let of_its_body = ["content-type", "content-encoding", "prefer", "idempotency-key"];
        let keep = |(name, _): &(String, String)| {
            (same || name == "accept") && !of_its_body.contains(&name.as_str())
        };
        let headers = filled.headers.into_iter().filter(keep).collect();
        Filled { method: "GET".to_owned(), url: url.to_owned(), headers, body: Vec::new() }
    }
}

impl Stage {
    /// What follows from a reply to the request at `url`, after `attempts` that brought nothing;
    /// `interval` is what the caller wants between polls.
    pub fn after(
        &self,
        reply: Reply<'_>,
        url: &str,
        attempts: u32,
        interval: Option<Duration>,
    ) -> Next {
        let asked = reply.retry_after.map(|wait| wait.clamp(SHORTEST, LONGEST));
        let polled = asked.or(interval).unwrap_or(POLL);
        let at = |location: &str| Some(Url::parse(url).ok()?.join(location).ok()?.to_string());
        let location = reply.location.and_then(at);
        match (reply.status, self, location) {
            (202, _, Some(location)) => Next::Later(Stage::Poll(location), polled),
            (202, Stage::Poll(_), None) => Next::Later(self.clone(), polled),
            // Its Location names the answer.
            (303, Stage::Poll(_), Some(location)) => Next::Later(Stage::Poll(location), SHORTEST),
            (201 | 202 | 204, Stage::Send, _) => Next::Wait,
            (408 | 425 | 429 | 500..=599, ..) => {
                Next::Later(self.clone(), asked.unwrap_or_else(|| gap(attempts)))
            }
            // It will not be smaller the next time.
            (200..=299, ..) if !reply.complete => Next::Answered { failed: true },
            (200..=299, ..) => Next::Answered { failed: false },
            _ => Next::Answered { failed: true },
        }
    }

    /// What follows if nobody answered.
    pub fn unanswered(&self, attempts: u32) -> Next {
        Next::Later(self.clone(), gap(attempts))
    }
}

impl Next {
    /// When the next request is due, if there is one.
    pub fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Next::Later(_, wait) => Some(now + *wait),
            Next::Answered { .. } | Next::Wait => None,
        }
    }
}

fn gap(attempts: u32) -> Duration {
    let index = usize::try_from(attempts).unwrap_or(usize::MAX).min(GAPS.len() - 1);
    Duration::from_secs(GAPS[index])
}

fn origin(url: &str) -> Option<Origin> {
    Url::parse(url).ok().map(|url| url.origin())
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The value with its texts replaced; names stay as they are.
fn replaced(value: &Value, plain: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => items.iter().map(|item| replaced(item, plain)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), replaced(value, plain)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CALLBACK: &str = "https://in.example/cb/a-b_c";

    fn request(value: Value) -> Request {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_url_is_filled_in_wherever_it_stands() {
        let request = request(json!({
            "url": "https://api.example/jobs?hook={{callback.url}}&id={{callback.id}}",
            "headers": [["X-Hook", "<{{callback.url}}>"], ["Authorization", "Bearer made-up"]],
            "body": {"hook": {"to": ["{{callback.url}}"]}, "n": 1, "{{callback.url}}": null},
        }));
        assert!(request.hands_out_url());
        let filled = request.fill("cb_1", CALLBACK);
        assert_eq!(
            filled.url,
            "https://api.example/jobs?hook=https%3A%2F%2Fin.example%2Fcb%2Fa-b_c&id=cb_1"
        );
        let headers: Vec<_> =
            filled.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("x-hook", "<https://in.example/cb/a-b_c>"),
                ("authorization", "Bearer made-up"),
                ("content-type", "application/json"),
                ("prefer", "respond-async"),
                ("idempotency-key", "cb_1"),
            ]
        );
        let body: Value = serde_json::from_slice(&filled.body).unwrap();
        assert_eq!(body, json!({"hook": {"to": [CALLBACK]}, "n": 1, "{{callback.url}}": null}));
        assert_eq!(filled, request.fill("cb_1", CALLBACK), "a retry is the same");
    }

    #[test]
    fn a_text_is_sent_as_it_is() {
        let request = request(json!({
            "method": "put", "url": "http://a.example/",
            "headers": [["content-type", "application/xml"], ["Prefer", "wait=5"]],
            "body": "<to>{{callback.url}}</to>",
        }));
        let filled = request.fill("cb_1", CALLBACK);
        assert_eq!(filled.method, "PUT");
        assert_eq!(filled.body, format!("<to>{CALLBACK}</to>").into_bytes());
        assert_eq!(filled.headers.len(), 3, "{:?}", filled.headers);
        assert!(!self::request(json!({"url": "http://a.example/"})).hands_out_url());
        assert!(
            self::request(json!({"url": "http://a.example/?%7B%7Bcallback.url%7D%7D"}))
                .hands_out_url()
        );
    }

    #[test]
    fn a_poll_proves_itself_only_where_the_request_went() {
        let request = request(json!({
            "url": "https://api.example/jobs",
            "headers": [["Authorization", "Bearer made-up"], ["Accept", "application/json"]],
            "body": {},
        }));
        let names = |url: &str| -> Vec<String> {
            let poll = request.poll("cb_1", CALLBACK, url);
            assert_eq!((poll.method.as_str(), poll.body.len()), ("GET", 0));
            poll.headers.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("https://api.example/jobs/1"), ["authorization", "accept"]);
        for other in ["https://evil.example/", "http://api.example/", "https://api.example:444/"] {
            assert_eq!(names(other), ["accept"], "{other}");
        }
    }

    #[test]
    fn every_reply_has_a_meaning() {
        let poll = |path: &str| Stage::Poll(format!("https://api.example{path}"));
        let secs = Duration::from_secs;
        let reply = |status| Reply { status, location: None, retry_after: None, complete: true };
        let to = |status, location| Reply { location: Some(location), ..reply(status) };
        let cut = |status| Reply { complete: false, ..reply(status) };
        let asks = |status, wait| Reply { retry_after: Some(secs(wait)), ..reply(status) };
        let (answered, failed) =
            (Next::Answered { failed: false }, Next::Answered { failed: true });
        let sent = |next: Duration| Next::Later(Stage::Send, next);
        for (stage, reply, attempts, expect) in [
            (Stage::Send, reply(200), 0, answered.clone()),
            (Stage::Send, reply(203), 0, answered.clone()),
            (Stage::Send, reply(201), 0, Next::Wait),
            (Stage::Send, to(201, "/jobs/1"), 0, Next::Wait),
            (Stage::Send, reply(202), 0, Next::Wait),
            (Stage::Send, reply(204), 0, Next::Wait),
            (Stage::Send, to(202, "/jobs/1"), 0, Next::Later(poll("/jobs/1"), secs(2))),
            (Stage::Send, to(202, "http://["), 0, Next::Wait),
            (Stage::Send, reply(303), 0, failed.clone()),
            (Stage::Send, to(302, "/elsewhere"), 0, failed.clone()),
            (Stage::Send, reply(400), 0, failed.clone()),
            (Stage::Send, reply(500), 0, sent(secs(1))),
            (Stage::Send, reply(500), 99, sent(secs(900))),
            (Stage::Send, asks(429, 7), 0, sent(secs(7))),
            (Stage::Send, asks(503, 86_400), 0, sent(LONGEST)),
            (Stage::Send, asks(503, 0), 0, sent(SHORTEST)),
            (Stage::Send, cut(200), 1, failed.clone()),
            (poll("/1"), reply(202), 0, Next::Later(poll("/1"), secs(2))),
            (poll("/1"), asks(202, 9), 0, Next::Later(poll("/1"), secs(9))),
            (poll("/1"), to(202, "/2"), 0, Next::Later(poll("/2"), secs(2))),
            (poll("/1"), to(303, "/done"), 0, Next::Later(poll("/done"), SHORTEST)),
            (poll("/1"), reply(200), 0, answered.clone()),
            (poll("/1"), reply(204), 0, answered),
            (poll("/1"), reply(404), 0, failed),
            (poll("/1"), reply(502), 0, Next::Later(poll("/1"), secs(1))),
        ] {
            let url = "https://api.example/jobs?a=b";
            let next = stage.after(reply, url, attempts, Some(secs(2)));
            assert_eq!(next, expect, "{stage:?} {reply:?}");
        }
        let unasked = Stage::Send.after(to(202, "x"), "https://api.example/a/b", 0, None);
        assert_eq!(unasked, Next::Later(poll("/a/x"), POLL));
        assert_eq!(Stage::Send.unanswered(0), sent(secs(1)));
    }
}
