//! Several messages in one request.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::{
    Mistake,
    cloudevents::{self, Data},
    format::{Format, JSON, Shape},
    plain::{Plain, essence_of},
};

/// The most messages that may be asked for.
const MOST: u32 = 1_000;
/// The longest that may be waited for more, in seconds.
const LONGEST: f64 = 60.0;
/// Payloads of one request, in bytes: what goes beyond that waits for the next one. The first message
/// goes, whatever its size.
pub const BYTES: usize = 1024 * 1024;

/// The content type of events of which there are several (CloudEvents, "JSON Event Format", 4).
const EVENTS: &str = "application/cloudevents-batch+json";

/// How many messages an endpoint wants at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// At most.
    pub messages: u32,
    /// How long the first of them waits for more, in seconds.
    #[serde(default = "a_second")]
    pub wait: f64,
}

fn a_second() -> f64 {
    1.0
}

/// A message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The message.
    pub plain: Plain<'a>,
    /// Its place, if the endpoint keeps an order.
    pub sequence: Option<i64>,
    /// The headers that it came with.
    pub headers: &'a [(String, String)],
}

/// Several messages as one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batched {
    /// The same for the same messages in the same order.
    pub id: String,
    /// A JSON array.
    pub body: Vec<u8>,
    /// Its content type.
    pub content_type: &'static str,
}

impl Batch {
    pub(super) fn check(self, format: Format) -> Result<(), Mistake> {
        if !(2..=MOST).contains(&self.messages) {
            let what = format!("it is from 2 to {MOST}");
            return Err(Mistake::at(&["batch", "messages"], what));
        }
        if !(0.0..=LONGEST).contains(&self.wait) {
            let what = format!("it is from 0 to {LONGEST} seconds");
            return Err(Mistake::at(&["batch", "wait"], what));
        }
        if !matches!(format, Format::Standard | Format::Cloudevents) {
            return Err(Mistake::at(
                &["batch"],
                "only the formats standard and cloudevents have one",
            ));
        }
        Ok(())
    }

    /// How long the first message waits for more.
    pub fn wait(self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }
}

/// Makes one body of several messages, in their order: an array of CloudEvents if that is the format,
/// else of objects with `id`, `type`, `timestamp` and `payload`.
pub fn batched(shape: &Shape, elements: &[Element<'_>]) -> Batched {
    let format = shape.format;
    let mut body = vec![b'['];
    for (place, element) in elements.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let content_type = element.plain.content_type.unwrap_or(JSON);
        match format {
            Format::Cloudevents => {
                let source = shape.source.as_deref().unwrap_or(element.plain.source);
                let plain = Plain { source, ..element.plain };
                body.extend(cloudevents::structured(&plain, content_type));
            }
            _ => object(&mut body, element, content_type),
        }
    }
    body.push(b']');
    let content_type = if format == Format::Cloudevents { EVENTS } else { JSON };
    Batched { id: id(elements), body, content_type }
}

fn id(elements: &[Element<'_>]) -> String {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for element in elements {
        hash.update(element.plain.id.as_bytes());
        hash.update(b"\n");
    }
    format!("batch_{}", HEXLOWER.encode(&hash.finish().as_ref()[..16]))
}

fn object(body: &mut Vec<u8>, element: &Element<'_>, content_type: &str) {
    let Element { plain, sequence, headers } = element;
    let mut head = serde_json::Map::new();
    head.insert("id".to_owned(), plain.id.into());
    head.insert("type".to_owned(), plain.kind.into());
    head.insert("timestamp".to_owned(), plain.at.into());
    if let Some(sequence) = sequence {
        // As the header of a single message has it: more digits than numbers have everywhere.
        head.insert("sequence".to_owned(), format!("{sequence:019}").into());
    }
    if !essence_of(content_type).eq_ignore_ascii_case(JSON) {
        head.insert("contentType".to_owned(), content_type.into());
    }
    if !headers.is_empty() {
        let mut named = serde_json::Map::new();
        for (name, value) in *headers {
            // RFC 9110, section 5.3.
            match named.get_mut(name) {
                Some(serde_json::Value::String(before)) => {
                    before.push_str(", ");
                    before.push_str(value);
                }
                _ => drop(named.insert(name.clone(), value.as_str().into())),
            }
        }
        head.insert("headers".to_owned(), named.into());
    }
    let head = serde_json::Value::Object(head).to_string();
    // The payload stands there as it is: no number or name of it is spelled anew.
    body.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
    match Data::of(plain.body, content_type) {
        Data::Json(json) => {
            body.extend_from_slice(b",\"payload\":");
            body.extend_from_slice(json);
        }
        Data::Text(text) => {
            body.extend_from_slice(b",\"payload\":");
            body.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        }
        Data::Bytes(bytes) => {
            let text = BASE64.encode(bytes);
            body.extend_from_slice(format!(",\"payloadBase64\":\"{text}\"").as_bytes());
        }
    }
    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::plain, *};

    const PLAIN: Plain<'_> = Plain { body: br#"{"z": 1.50, "a": 1e2}"#, ..plain::PLAIN };

    fn element<'a>(plain: Plain<'a>) -> Element<'a> {
        Element { plain, sequence: None, headers: &[] }
    }

    #[test]
    fn payloads_stand_in_it_as_they_are() {
        let headers = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let second = Plain { id: "msg_2", ..PLAIN };
        let elements = [
            element(PLAIN),
            Element { plain: second, sequence: Some(7), headers: &headers },
            element(Plain {
                id: "msg_3",
                content_type: Some("text/csv"),
                body: b"a,\"b\"",
                ..PLAIN
            }),
            element(Plain { id: "msg_4", body: b"\xff", ..PLAIN }),
        ];
        let batch = batched(&Shape::default(), &elements);
        let text = std::str::from_utf8(&batch.body).unwrap();
        assert!(text.contains(r#","payload":{"z": 1.50, "a": 1e2}}"#), "{text}");
        let read: Value = serde_json::from_str(text).unwrap();
        let payload = json!({ "z": 1.5, "a": 100.0 });
        let at = PLAIN.at;
        let expected = json!([
            { "id": "msg_1", "type": "order.paid", "timestamp": at, "payload": payload },
            {
                "id": "msg_2", "type": "order.paid", "timestamp": at, "payload": payload,
                "sequence": "0000000000000000007", "headers": { "x-a": "1, 3", "x-b": "2" },
            },
            {
                "id": "msg_3", "type": "order.paid", "timestamp": at, "contentType": "text/csv",
                "payload": "a,\"b\"",
            },
            { "id": "msg_4", "type": "order.paid", "timestamp": at, "payloadBase64": "/w==" },
        ]);
        assert_eq!(read, expected);
        assert_eq!(batch.content_type, "application/json");
    }

    #[test]
    fn events_are_whole() {
        let source = Some("/own".to_owned());
        let shape = Shape { format: Format::Cloudevents, content_type: None, source };
        let batch = batched(&shape, &[element(PLAIN), element(PLAIN)]);
        let read: Value = serde_json::from_slice(&batch.body).unwrap();
        assert_eq!(read[1]["specversion"], "1.0");
        assert_eq!(read[1]["data"]["a"], 100.0);
        assert_eq!(read[1]["source"], "/own");
        assert_eq!(batch.content_type, "application/cloudevents-batch+json");
    }

    #[test]
    fn the_id_is_that_of_the_messages() {
        let id = |ids: &[&str]| {
            let elements: Vec<_> = ids.iter().map(|id| element(Plain { id, ..PLAIN })).collect();
            batched(&Shape::default(), &elements).id
        };
        assert_eq!(id(&["msg_1", "msg_2"]), id(&["msg_1", "msg_2"]));
        let others: [&[&str]; 3] = [&["msg_1"], &["msg_2", "msg_1"], &["msg_1", "msg_2", "msg_3"]];
        for other in others {
            assert_ne!(id(&["msg_1", "msg_2"]), id(other), "{other:?}");
        }
        assert_eq!(id(&["msg_1"]).len(), "batch_".len() + 32);
    }
}
