//! Messages as CloudEvents 1.0: in the JSON format ("JSON Event Format", 3) and over HTTP ("HTTP
//! Protocol Binding", 3.1 and 3.2).

use std::fmt::Write as _;

use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::plain::{Plain, essence_of};

/// The content type of an event in structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";

const VERSION: &str = "1.0";

/// An event with its payload inside: JSON as it is, text as a string, anything else in Base64.
pub(super) fn structured(plain: &Plain<'_>, content_type: &str) -> Vec<u8> {
    let mut event = Vec::with_capacity(256 + plain.body.len() * 4 / 3);
    event.push(b'{');
    let attributes = [
        ("specversion", VERSION),
        ("id", plain.id),
        ("source", plain.source),
        ("type", plain.kind),
        ("time", plain.at),
        ("datacontenttype", content_type),
    ];
    for (name, value) in attributes {
        event.extend_from_slice(format!("\"{name}\":{},", quoted(value)).as_bytes());
    }
    match Data::of(plain.body, content_type) {
        Data::Json(json) => {
            event.extend_from_slice(b"\"data\":");
            event.extend_from_slice(json);
        }
        Data::Text(text) => {
            event.extend_from_slice(format!("\"data\":{}", quoted(text)).as_bytes());
        }
        Data::Bytes(bytes) => {
            let text = BASE64.encode(bytes);
            event.extend_from_slice(format!("\"data_base64\":\"{text}\"").as_bytes());
        }
    }
    event.push(b'}');
    event
}

/// The attributes of an event as headers.
pub(super) fn attributes(plain: &Plain<'_>) -> Vec<(&'static str, String)> {
    [
        ("ce-specversion", VERSION),
        ("ce-id", plain.id),
        ("ce-source", plain.source),
        ("ce-type", plain.kind),
        ("ce-time", plain.at),
    ]
    .map(|(name, value)| (name, encoded(value)))
    .into()
}

/// What stands for the payload in an event.
pub(super) enum Data<'a> {
    Json(&'a [u8]),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    /// JSON only if it is what it says that it is.
    pub(super) fn of(body: &'a [u8], content_type: &str) -> Data<'a> {
        let text = std::str::from_utf8(body);
        if is_json(content_type) {
            let json = serde_json::from_slice::<&RawValue>(body);
            // What only says that it is JSON would break the event around it.
            return json.map_or(Data::Bytes(body), |_| Data::Json(body));
        }
        match text {
            Ok(text) if is_utf8(content_type) => Data::Text(text),
            _ => Data::Bytes(body),
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = essence_of(content_type).to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Whether a content type is of text, and nothing says that it is in another encoding than UTF-8.
fn is_utf8(content_type: &str) -> bool {
    let essence = essence_of(content_type).to_ascii_lowercase();
    let text = essence.starts_with("text/")
        || ["/xml", "+xml", "/x-www-form-urlencoded", "/yaml", "+yaml"]
            .iter()
            .any(|end| essence.ends_with(end));
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    text && charset.is_none_or(|charset| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|one| charset.eq_ignore_ascii_case(one))
    })
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a header says for an attribute ("HTTP Protocol Binding", 3.1.3.2).
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => _ = write!(encoded, "%{byte:02X}"),
            0x21..=0x7e => encoded.push(byte.into()),
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::plain::PLAIN, *};

    fn data(content_type: &str, body: &[u8]) -> Value {
        let event = structured(&Plain { body, ..PLAIN }, content_type);
        let mut event: Value = serde_json::from_slice(&event).unwrap();
        let mut object = std::mem::take(event.as_object_mut().unwrap());
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "msg_1"),
            ("source", "/app/app_1"),
            ("type", "order.paid"),
            ("time", "2026-11-21T09:30:00.000Z"),
            ("datacontenttype", content_type),
        ] {
            assert_eq!(object.remove(name), Some(json!(value)));
        }
        Value::Object(object)
    }

    #[test]
    fn a_payload_is_json_text_or_bytes() {
        for (content_type, body, expect) in [
            ("application/json", &b" {\"a\":1}"[..], json!({ "data": { "a": 1 } })),
            ("application/vnd.x+json; v=1", b"[]", json!({ "data": [] })),
            ("application/json", b"{", json!({ "data_base64": "ew==" })),
            ("text/plain", b"a \"b\"", json!({ "data": "a \"b\"" })),
            ("application/xml; charset=UTF-8", b"<a/>", json!({ "data": "<a/>" })),
            ("text/plain; charset=iso-8859-1", b"a", json!({ "data_base64": "YQ==" })),
            ("text/plain", b"\xff", json!({ "data_base64": "/w==" })),
            ("application/octet-stream", b"a", json!({ "data_base64": "YQ==" })),
        ] {
            assert_eq!(data(content_type, body), expect, "{content_type}");
        }
    }

    #[test]
    fn json_stays_as_it_is_spelled() {
        let body = br#"{ "z" : 1.50, "a":1e2,"big":12345678901234567890123 }"#;
        let event = structured(&Plain { body, ..PLAIN }, "application/json");
        let data = [b"\"data\":", &body[..], b"}"].concat();
        assert!(event.ends_with(&data), "{}", String::from_utf8_lossy(&event));
    }

    #[test]
    fn headers_hold_what_a_header_may() {
        // The example of the specification, and what it says must be encoded.
        for (value, expect) in [
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("a\"b%c", "a%22b%25c"),
            ("order.paid~!", "order.paid~!"),
        ] {
            assert_eq!(encoded(value), expect);
        }
        let names: Vec<_> = attributes(&PLAIN).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"]);
    }
}
