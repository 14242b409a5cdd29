//! What an application is told about a callback: the `callback.*` messages, one for each transition.
//!
//! ```json
//! {"type": "callback.completed", "timestamp": "2026-01-01T00:00:00.000Z",
//!  "data": {"id": "cb_…", "kind": "result", "status": "completed", "reference": "order-17", …,
//!           "request": {"id": "cbreq_…", "act": "complete", "by": "url", "verdict": "settled"},
//!           "result": {"contentType": "application/json", "size": 11, "json": {"ok": true}}}}
//! ```

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{Act, Callback, Fate, Request, State, Step, Verdict};
use crate::time::Timestamp;

/// The largest body that is put into a message; of a larger one there is only what is said about it.
pub const INLINE: usize = 64 * 1024;

/// What a form's body is.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The type of the message about a callback that was made.
pub const CREATED: &str = "callback.created";

/// Something that the application is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What happened: `callback.completed` and the like.
    pub event_type: &'static str,
    /// The message's payload, JSON.
    pub payload: Vec<u8>,
}

/// What is told about a callback that was just made.
pub fn created(callback: &Callback) -> Told {
    told(CREATED, callback, None, callback.created_at)
}

/// What is told about a step: that it ended, and what became of a request that is of interest.
/// `callback` is as it is after the step.
pub fn stepped(
    callback: &Callback,
    step: &Step,
    request: Option<&Request>,
    now: Timestamp,
) -> Vec<Told> {
    let mut all = Vec::new();
    if let Some(ended) = step.ended {
        // A deadline ended it: whatever came now has nothing to do with it.
        let by = request.filter(|request| request.fate == Fate::Settled);
        all.push(told(ended_type(ended), callback, by, now));
    }
    let noted = request.and_then(|request| match (request.fate, request.act) {
        (Fate::Item, _) | (Fate::Noted, Act::Progress) => Some("callback.progress"),
        // Once: what comes back again, or after the end, is only kept.
        (Fate::Noted, Act::Return)
            if step.verdict == Verdict::Noted && step.after.state == State::Returned =>
        {
            Some("callback.returned")
        }
        (Fate::Conflict, _) => Some("callback.conflict"),
        (Fate::Late, Act::Complete | Act::Fail | Act::Close) => Some("callback.late"),
        _ => None,
    });
    all.extend(noted.map(|event_type| told(event_type, callback, request, now)));
    all
}

fn ended_type(state: State) -> &'static str {
    match state {
        State::Pending | State::Returned => "callback.returned",
        State::Completed => "callback.completed",
        State::Failed => "callback.failed",
        State::Expired => "callback.expired",
        State::Canceled => "callback.canceled",
    }
}

fn told(
    event_type: &'static str,
    callback: &Callback,
    request: Option<&Request>,
    now: Timestamp,
) -> Told {
    let mut data = about(callback);
    if let Some(request) = request {
        data.insert("request".to_owned(), about_request(request));
        if let Some(body) = &request.body {
            let name = if request.fate == Fate::Settled { "result" } else { "body" };
            data.insert(name.to_owned(), content(request.content_type.as_deref(), body, INLINE));
        }
    }
    let payload = json!({"type": event_type, "timestamp": now.to_string(), "data": data});
    Told { event_type, payload: payload.to_string().into_bytes() }
}

/// A callback as messages and the API show it: no URL, no secret.
pub fn about(callback: &Callback) -> Map<String, Value> {
    let time = |time: Timestamp| Value::String(time.to_string());
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| drop(data.insert(name.to_owned(), value));
    put("id", json!(callback.id));
    put("application", json!(callback.application));
    put("kind", json!(callback.kind.name()));
    put("status", json!(callback.course.state.name()));
    if let Some(source) = callback.source {
        put("source", json!(source));
    }
    if let Some(reference) = &callback.reference {
        put("reference", json!(reference));
    }
    put("tags", json!(callback.tags));
    put("metadata", json!(callback.metadata));
    put("createdAt", time(callback.created_at));
    put("expiresAt", time(callback.course.expires_at));
    if let Some(settled_at) = callback.settled_at {
        put("settledAt", time(settled_at));
    }
    data
}

fn about_request(request: &Request) -> Value {
    let mut value = json!({
        "id": request.id,
        "act": request.act.name(),
        "by": request.by.name(),
        "verdict": request.fate.name(),
        "receivedAt": request.received_at.to_string(),
    });
    if let Some(item) = request.item {
        value["item"] = json!(item);
    }
    if let Some(message) = request.message {
        value["messageId"] = json!(message);
    }
    value
}

/// A body as it can stand in JSON: parsed where it is JSON or a form, else as text, else in Base64;
/// above `most` bytes only its size. What cannot be parsed is never left out for that.
pub fn content(content_type: Option<&str>, body: &[u8], most: usize) -> Value {
    let mut value = json!({"size": body.len()});
    if let Some(content_type) = content_type {
        value["contentType"] = json!(content_type);
    }
    if body.len() > most {
        value["truncated"] = json!(true);
        return value;
    }
    let essence = essence(content_type);
    let is_json = essence.is_empty() || essence == "application/json" || essence.ends_with("+json");
    let (name, parsed) = if let (true, Ok(parsed)) = (is_json, serde_json::from_slice(body)) {
        ("json", parsed)
    } else if essence == FORM {
        ("form", form(body))
    } else if let Ok(text) = std::str::from_utf8(body) {
        ("text", json!(text))
    } else {
        ("base64", json!(BASE64.encode(body)))
    };
    value[name] = parsed;
    value
}

/// Whether a body of this type is a form.
pub fn is_form(content_type: Option<&str>) -> bool {
    essence(content_type) == FORM
}

/// A media type without its parameters, in lower case.
fn essence(content_type: Option<&str>) -> String {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// The fields of a form or a query; one that comes more than once is a list.
pub fn form(body: &[u8]) -> Value {
    let mut fields = Map::new();
    for (name, value) in ::url::form_urlencoded::parse(body) {
        let value = json!(value);
        match fields.get_mut(&*name) {
            None => drop(fields.insert(Cow::into_owned(name), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        callback::{self, Answer, By, Course, Kind, Mode, Turn, state},
        id::{ApplicationId, CallbackId, CallbackRequestId, Id},
        scope::Scope,
    };

    fn callback() -> Callback {
        Callback {
            id: CallbackId(Id { key: 1, shard: 0, nonce: 0 }),
            scope: Scope { environment: 1, application: 2 },
            application: ApplicationId(Id { key: 2, shard: 0, nonce: 0 }),
            kind: Kind::Result,
            course: Course {
                state: State::Pending,
                expires_at: Timestamp(1_000),
                heartbeat: None,
                mode: Mode::Single,
                answered: None,
            },
            turn: Turn { version: 1, turn: 0 },
            terms: "{}".to_owned(),
            sealed: Some(b"sealed".to_vec()),
            source: None,
            reference: Some("order-17".to_owned()),
            expects: callback::Price::default(),
            tags: vec!["a".to_owned()],
            metadata: [("k".to_owned(), "v".to_owned())].into(),
            created_at: Timestamp(0),
            settled_at: None,
            settled_by: None,
            requests: 0,
        }
    }

    fn request(step: &Step, act: Act) -> Request {
        Request {
            id: CallbackRequestId(Id { key: 9, shard: 0, nonce: 0 }),
            act,
            by: By::Url,
            fate: step.verdict.into(),
            item: None,
            reason: None,
            method: "POST".to_owned(),
            target: String::new(),
            address: None,
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: Some(br#"{"ok":true}"#.to_vec()),
            bytes: 11,
            message: None,
            received_at: Timestamp(5),
        }
    }

    /// The types of what is told, and the payload of the last.
    fn of(before: &Callback, act: state::Act, now: i64) -> (Vec<&'static str>, Value, Callback) {
        let now = Timestamp(now);
        let step = before.course.act(act, now);
        let request = callback::Act::of(act).map(|act| request(&step, act));
        let after = before.clone().after(&step, request.as_ref().map(|it| it.id), now);
        let told = stepped(&after, &step, request.as_ref(), now);
        let types = told.iter().map(|told| told.event_type).collect();
        let last = told.last().map(|told| serde_json::from_slice(&told.payload).unwrap());
        (types, last.unwrap_or_default(), after)
    }

    #[test]
    fn every_transition_is_told_once() {
        let answer = |body| state::Act::Answer(Answer { failed: false, body: [body; 32] });
        let failure = state::Act::Answer(Answer { failed: true, body: [3; 32] });
        let start = callback();
        let (types, payload, completed) = of(&start, answer(1), 10);
        assert_eq!(types, ["callback.completed"]);
        assert_eq!(payload["data"]["result"]["json"], json!({"ok": true}));
        assert_eq!(payload["data"]["settledAt"], "1970-01-01T00:00:00.010Z");
        assert_eq!(payload["data"]["status"], "completed");
        for (before, act, now, expect) in [
            (&completed, answer(1), 20, &[][..]),
            (&completed, answer(2), 20, &["callback.conflict"]),
            (&completed, state::Act::Tick, 5_000, &[]),
            (&start, failure, 10, &["callback.failed"]),
            (&start, state::Act::Cancel, 10, &["callback.canceled"]),
            (&start, state::Act::Progress, 10, &["callback.progress"]),
            (&start, state::Act::Heartbeat, 10, &[]),
            (&start, state::Act::Return, 10, &["callback.returned"]),
            (&start, state::Act::Tick, 1_000, &["callback.expired"]),
            (&start, answer(1), 1_000, &["callback.expired", "callback.late"]),
            (&start, state::Act::Heartbeat, 1_000, &["callback.expired"]),
        ] {
            assert_eq!(of(before, act, now).0, expect, "{act:?}");
        }
    }

    #[test]
    fn a_browser_that_comes_back_again_is_no_news() {
        let (types, _, returned) = of(&callback(), state::Act::Return, 10);
        assert_eq!(types, ["callback.returned"]);
        assert_eq!(of(&returned, state::Act::Return, 20).0, Vec::<&str>::new());
        let answer = state::Act::Answer(Answer { failed: false, body: [1; 32] });
        let (_, _, completed) = of(&returned, answer, 30);
        assert_eq!(of(&completed, state::Act::Return, 40).0, Vec::<&str>::new());
    }

    #[test]
    fn verifiers_of_a_redirect_agree_by_what_they_say() {
        let redirect = Callback { kind: Kind::Redirect, ..callback() };
        let answer = |body, failed| state::Act::Answer(Answer { failed, body: [body; 32] });
        let now = Timestamp(10);
        for (kind, expect) in
            [(Kind::Redirect, state::Verdict::Duplicate), (Kind::Result, state::Verdict::Conflict)]
        {
            let before = Callback { kind, ..redirect.clone() };
            let step = before.act(answer(1, false), now);
            let after = before.after(&step, None, now);
            assert_eq!(after.act(answer(2, false), now).verdict, expect);
            assert_eq!(after.act(answer(1, true), now).verdict, state::Verdict::Conflict);
        }
    }

    #[test]
    fn an_expiry_has_the_time_of_its_deadline_and_no_cause() {
        let late = state::Act::Answer(Answer { failed: false, body: [1; 32] });
        let (_, _, after) = of(&callback(), late, 4_000);
        assert_eq!((after.settled_at, after.settled_by), (Some(Timestamp(1_000)), None));
        assert_eq!(callback().at(Timestamp(4_000)).settled_at, Some(Timestamp(1_000)));
    }

    #[test]
    fn nothing_that_is_sealed_or_opens_it_is_told() {
        let text = String::from_utf8(created(&callback()).payload).unwrap();
        assert!(!text.contains("sealed") && !text.contains("url"), "{text}");
    }

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        let json = "application/json";
        for (content_type, body, most, expect) in [
            (
                Some(json),
                &br#"{"a":1}"#[..],
                99,
                json!({"size": 7, "contentType": json, "json": {"a": 1}}),
            ),
            (None, b"[1]", 99, json!({"size": 3, "json": [1]})),
            (None, b"no", 99, json!({"size": 2, "text": "no"})),
            (Some(json), b"{", 99, json!({"size": 1, "contentType": json, "text": "{"})),
            (
                Some("image/png"),
                b"\xff\x00",
                99,
                json!({"size": 2, "contentType": "image/png", "base64": "/wA="}),
            ),
            (
                Some("application/x-www-form-urlencoded; charset=utf-8"),
                b"a=1&b=%20&a=2&a=3",
                99,
                json!({"size": 17, "contentType": "application/x-www-form-urlencoded; charset=utf-8",
                    "form": {"a": ["1", "2", "3"], "b": " "}}),
            ),
            (Some(json), b"12345", 4, json!({"size": 5, "contentType": json, "truncated": true})),
            (Some(json), b"", 4, json!({"size": 0, "contentType": json, "text": ""})),
        ] {
            assert_eq!(content(content_type, body, most), expect, "{content_type:?}");
        }
    }
}
