//! What the frames of `ringback.listen.v1` say.
//!
//! Text is one JSON object with a `type`. Binary is a line of JSON, the head, and raw bytes, the body.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::event::{Answered, Event, Headers};

/// The protocol's name in the handshake.
pub(super) const PROTOCOL: &str = "ringback.listen.v1";
/// The longest answer that is handed to a provider, in bytes.
pub(super) const LONGEST_ANSWER: usize = 64 * 1024;

/// What the server says.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    Hello(Hello),
    Event(Box<Event>),
    Behind(Behind),
    /// Of a later version: passed over.
    Unknown,
}

/// The first frame of a connection.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Hello {
    pub(super) name: String,
    pub(super) sources: Vec<Source>,
    #[serde(flatten)]
    pub(super) backlog: Backlog,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Source {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) provider: String,
}

/// How far behind, as `hello` says it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Backlog {
    behind: u64,
    behind_is_exact: bool,
    oldest_waiting: Option<String>,
}

/// How many events wait at the server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Behind {
    pub(super) count: u64,
    pub(super) is_exact: bool,
    pub(super) oldest_waiting: Option<String>,
}

impl From<Backlog> for Behind {
    fn from(backlog: Backlog) -> Behind {
        let Backlog { behind, behind_is_exact, oldest_waiting } = backlog;
        Behind { count: behind, is_exact: behind_is_exact, oldest_waiting }
    }
}

/// A frame that is not as the protocol has it.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the server's {0} cannot be read")]
pub(super) struct Unreadable(&'static str);

/// Reads a text frame.
pub(super) fn text(text: &str) -> Result<Frame, Unreadable> {
    match type_of(text.as_bytes())?.as_str() {
        "hello" => read(text.as_bytes(), "hello").map(Frame::Hello),
        "behind" => read(text.as_bytes(), "backlog").map(Frame::Behind),
        _ => Ok(Frame::Unknown),
    }
}

/// Reads a binary frame; the body is the frame's own memory.
pub(super) fn binary(frame: &Bytes) -> Result<Frame, Unreadable> {
    let end = frame.iter().position(|byte| *byte == b'\n').ok_or(Unreadable("frame"))?;
    let head = &frame[..end];
    if type_of(head)? != "event" {
        return Ok(Frame::Unknown);
    }
    let event: Event = read(head, "event")?;
    Ok(Frame::Event(Box::new(Event { body: frame.slice(end + 1..), ..event })))
}

/// `{"type":"ack"}`: dealt with.
pub(super) fn ack(id: &str) -> String {
    json!({ "type": "ack", "id": id }).to_string()
}

/// `{"type":"nack"}`: to somebody else.
pub(super) fn nack(id: &str) -> String {
    json!({ "type": "nack", "id": id }).to_string()
}

/// What localhost answered, for the provider; none if it is longer than what can be passed on.
pub(super) fn answer(id: &str, answered: &Answered) -> Option<Bytes> {
    if answered.is_truncated || answered.body.len() > LONGEST_ANSWER {
        return None;
    }
    let ours = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];
    let headers = answered.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
    let headers: Headers = headers.cloned().collect();
    let head = json!({
        "type": "answer", "id": id, "status": answered.status, "headers": headers,
    });
    let mut frame = format!("{head}\n").into_bytes();
    frame.extend_from_slice(&answered.body);
    Some(frame.into())
}

fn type_of(json: &[u8]) -> Result<String, Unreadable> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    read::<Typed>(json, "frame").map(|typed| typed.r#type)
}

fn read<T: serde::de::DeserializeOwned>(json: &[u8], what: &'static str) -> Result<T, Unreadable> {
    serde_json::from_slice(json).map_err(|_| Unreadable(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_bytes() {
        let mut frame = br#"{"type":"event","id":"msg_1","source":"src_1","sourceName":"GitHub","provider":"github","eventType":"push","eventId":null,"verdict":"verified","method":"POST","target":"?a=b","headers":[["x-a","1"],["x-b","2"],["x-a","3"]],"receivedAt":"2026-11-21T09:30:00.000Z","answerWithin":2500}"#.to_vec();
        frame.extend_from_slice(b"\n\xff\n\x00{}");
        let Ok(Frame::Event(event)) = binary(&frame.into()) else { panic!() };
        assert_eq!(&event.body[..], b"\xff\n\x00{}");
        assert_eq!((event.id.as_str(), event.answer_within), ("msg_1", Some(2500)));
        let headers: Vec<_> = event.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]);
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_broken_told() {
        assert_eq!(text(r#"{"type":"weather"}"#), Ok(Frame::Unknown));
        assert_eq!(binary(&Bytes::from_static(b"{\"type\":\"x\"}\n")), Ok(Frame::Unknown));
        for broken in ["", "[]", "{}", r#"{"type":"hello","behind":"many"}"#] {
            assert!(text(broken).is_err(), "{broken}");
        }
        assert!(binary(&Bytes::from_static(b"{\"type\":\"event\"}")).is_err());
        assert!(binary(&Bytes::from_static(b"{\"type\":\"event\"}\n")).is_err());
    }

    #[test]
    fn hello_says_how_far_behind() {
        let said = r#"{"type":"hello","listener":"lsn_1","name":"ada","sources":[{"id":"src_1","name":"GitHub","provider":"github"}],"behind":12,"behindIsExact":true,"oldestWaiting":null,"shared":false,"window":1024}"#;
        let Ok(Frame::Hello(hello)) = text(said) else { panic!() };
        assert_eq!((hello.name.as_str(), hello.sources.len()), ("ada", 1));
        let behind = Behind::from(hello.backlog);
        assert_eq!(behind, Behind { count: 12, is_exact: true, oldest_waiting: None });
    }

    #[test]
    fn an_answer_is_a_head_and_bytes() {
        let header = |name: &str| (name.to_owned(), "x".to_owned());
        let headers = vec![header("content-type"), header("connection")];
        let body = Bytes::from_static(b"\xff<x/>");
        let answered = Answered { status: 200, headers, body, is_truncated: false };
        let frame = answer("msg_1", &answered).unwrap();
        let (head, body) = frame.split_at(frame.iter().position(|byte| *byte == b'\n').unwrap());
        assert_eq!(&body[1..], b"\xff<x/>");
        let head: serde_json::Value = serde_json::from_slice(head).unwrap();
        let expected = json!({
            "type": "answer", "id": "msg_1", "status": 200, "headers": [["content-type", "x"]],
        });
        assert_eq!(head, expected);
        assert_eq!(answer("msg_1", &Answered { is_truncated: true, ..answered }), None);
    }
}
