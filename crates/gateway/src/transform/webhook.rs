//! What `handler(webhook)` is given, and what is read of what it gives back.
//!
//! The contract is Svix's: `method`, `url`, `payload` and `headers` may be changed, `cancel` set;
//! `eventType`, `env` and `transformationsParams` are for reading.

use std::{collections::BTreeMap, fmt::Write as _};

use bytes::Bytes;
use http::Method;
use ringback_domain::header;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{Failure, MAX_OUTPUT};

/// Headers that a program may add.
const HEADERS: usize = 32;
/// All of them together, in bytes.
const HEADER_BYTES: usize = 8 * 1024;
const CONTENT_TYPE: &str = "content-type";

/// A request that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    /// Where it goes; for a destination, its kind.
    pub url: &'a str,
    /// What happened.
    pub event_type: &'a str,
    /// The media type of the payload; JSON if there is none.
    pub content_type: Option<&'a str>,
    /// The payload.
    pub payload: &'a [u8],
    /// What the owner of the program keeps beside it.
    pub variables: &'a BTreeMap<String, String>,
}

/// What a program made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// POST or PUT.
    pub method: Method,
    /// Where it goes, if not to where it went; not checked yet.
    pub url: Option<String>,
    /// The payload.
    pub body: Bytes,
    /// Its media type.
    pub content_type: Option<String>,
    /// Headers to add, valid ones only.
    pub headers: Vec<(String, String)>,
    /// Whether nothing is to be sent.
    pub cancel: bool,
    /// What was left out and why, a line each, for the log.
    pub notes: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    method: &'a str,
    url: &'a str,
    event_type: &'a str,
    payload: Payload<'a>,
    headers: BTreeMap<String, String>,
    env: &'a BTreeMap<String, String>,
    transformations_params: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

#[derive(Deserialize)]
struct Returned {
    method: Option<Value>,
    url: Option<Value>,
    payload: Option<Box<RawValue>>,
    headers: Option<Value>,
    cancel: Option<Value>,
}

impl Webhook<'_> {
    /// What the program is given, as JSON.
    ///
    /// # Errors
    /// [`Failure::Invalid`]: the payload is no text.
    pub fn input(&self) -> Result<String, Failure> {
        let payload = match serde_json::from_slice(self.payload) {
            Ok(json) => Payload::Json(json),
            Err(_) => Payload::Text(std::str::from_utf8(self.payload).map_err(|_| {
                Failure::Invalid("the payload is not text: it cannot be transformed".to_owned())
            })?),
        };
        let given = Given {
            method: Method::POST.as_str(),
            url: self.url,
            event_type: self.event_type,
            payload,
            headers: BTreeMap::new(),
            env: self.variables,
            transformations_params: BTreeMap::new(),
        };
        serde_json::to_string(&given).map_err(|error| Failure::Invalid(error.to_string()))
    }

    /// Reads what the program gave back.
    ///
    /// # Errors
    /// [`Failure::Invalid`] says what cannot be used.
    pub fn read(&self, output: &str) -> Result<Made, Failure> {
        let invalid = |what: &str| Failure::Invalid(format!("handler returned {what}"));
        let returned: Returned =
            serde_json::from_str(output).map_err(|_| invalid("something other than a webhook"))?;
        let method = match &returned.method {
            None => Method::POST,
            Some(Value::String(name)) if name.eq_ignore_ascii_case("POST") => Method::POST,
            Some(Value::String(name)) if name.eq_ignore_ascii_case("PUT") => Method::PUT,
            Some(_) => return Err(invalid("a method other than POST and PUT")),
        };
        let url = match returned.url {
            None => None,
            Some(Value::String(url)) => Some(url).filter(|url| url != self.url),
            Some(_) => return Err(invalid("a url that is not a string")),
        };
        let mut made = Made {
            method,
            url,
            body: Bytes::new(),
            content_type: self.content_type.map(str::to_owned),
            headers: Vec::new(),
            cancel: matches!(returned.cancel, Some(Value::Bool(true))),
            notes: String::new(),
        };
        if made.cancel {
            return Ok(made);
        }
        made.add_headers(returned.headers.unwrap_or_default())?;
        let payload = returned.payload.ok_or_else(|| invalid("no payload"))?;
        made.body = made.body(&payload);
        if made.body.len() > MAX_OUTPUT {
            let what = format!("handler returned a payload of more than {} KiB", MAX_OUTPUT / 1024);
            return Err(Failure::TooLarge(what));
        }
        Ok(made)
    }
}

impl Made {
    /// The payload's bytes: a string is sent as it is where the content is not JSON.
    fn body(&self, payload: &RawValue) -> Bytes {
        let is_json = self.content_type.as_deref().is_none_or(|media_type| {
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("application/json")
                || media_type.to_ascii_lowercase().ends_with("+json")
        });
        if !is_json && let Ok(text) = serde_json::from_str::<String>(payload.get()) {
            return text.into();
        }
        payload.get().to_owned().into()
    }

    fn add_headers(&mut self, headers: Value) -> Result<(), Failure> {
        let invalid = |what| Failure::Invalid(format!("handler returned {what}")).shortened();
        let headers = match headers {
            Value::Null => return Ok(()),
            Value::Object(headers) => headers,
            _ => return Err(invalid("headers that are no object".to_owned())),
        };
        if headers.len() > HEADERS {
            return Err(invalid(format!("more than {HEADERS} headers")));
        }
        let mut bytes = 0;
        for (name, value) in headers {
            let value = match value {
                Value::String(value) => value,
                Value::Number(value) => value.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Null => continue,
                _ => return Err(invalid(format!("a header {name} that is no text"))),
            };
            bytes += name.len() + value.len();
            if bytes > HEADER_BYTES {
                return Err(invalid(format!("more than {} KiB of headers", HEADER_BYTES / 1024)));
            }
            let name = name.to_ascii_lowercase();
            if name == CONTENT_TYPE {
                // The same rule as for any value, under a name that has no rule of its own.
                header::validate("x-content-type", &value)
                    .map_err(|what| invalid(format!("a content type that cannot be: {what}")))?;
                self.content_type = Some(value);
            } else if let Err(what) = header::validate(&name, &value) {
                // Whoever copies all headers along is not kept from sending.
                let _ = writeln!(self.notes, "left out: {what}");
            } else {
                self.headers.push((name, value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn webhook<'a>(payload: &'a [u8], variables: &'a BTreeMap<String, String>) -> Webhook<'a> {
        let url = "https://example.com/in";
        Webhook { url, event_type: "a.b", content_type: None, payload, variables }
    }

    fn read(returned: &Value) -> Result<Made, Failure> {
        webhook(b"{}", &BTreeMap::new()).read(&returned.to_string())
    }

    #[test]
    fn what_is_given_is_all_that_there_is() {
        let variables = BTreeMap::from([("KEY".to_owned(), "made-up".to_owned())]);
        let input = webhook(br#"{"b":1.0,"a":12345678901234567890}"#, &variables).input().unwrap();
        assert_eq!(
            input,
            r#"{"method":"POST","url":"https://example.com/in","eventType":"a.b","payload":{"b":1.0,"a":12345678901234567890},"headers":{},"env":{"KEY":"made-up"},"transformationsParams":{}}"#
        );
        let text = webhook(b"<a/>", &variables).input().unwrap();
        assert!(text.contains(r#""payload":"<a/>""#), "{text}");
        assert!(webhook(&[0xff], &variables).input().is_err());
    }

    #[test]
    fn what_comes_back_is_read() {
        let made = read(&json!({
            "method": "put", "url": "https://example.com/other", "payload": {"z": 1, "a": 2},
            "headers": {"X-A": "1", "x-b": 2, "x-c": null}, "eventType": "not.read",
        }));
        let made = made.unwrap();
        assert_eq!(made.method, Method::PUT);
        assert_eq!(made.url.as_deref(), Some("https://example.com/other"));
        assert_eq!(made.body, r#"{"a":2,"z":1}"#, "serde_json sorts what this test writes");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(made.headers, [pair("x-a", "1"), pair("x-b", "2")]);
        assert!(!made.cancel && made.notes.is_empty());
        let same = read(&json!({ "url": "https://example.com/in", "payload": [] })).unwrap();
        assert_eq!((same.url, same.method), (None, Method::POST));
        assert!(read(&json!({ "cancel": true })).unwrap().cancel);
        assert!(!read(&json!({ "cancel": "yes", "payload": 1 })).unwrap().cancel);
    }

    #[test]
    fn a_text_is_sent_as_it_is_where_the_content_is_text() {
        let body = |content_type: &str| {
            let headers = json!({ "Content-Type": content_type });
            read(&json!({ "payload": "a=1", "headers": headers })).unwrap().body
        };
        assert_eq!(body("application/x-www-form-urlencoded"), "a=1");
        assert_eq!(body("application/json; charset=utf-8"), "\"a=1\"");
        assert_eq!(body("application/cloudevents+json"), "\"a=1\"");
        assert_eq!(read(&json!({ "payload": "a=1" })).unwrap().body, "\"a=1\"");
    }

    /// Acceptance case 25: what signs, frames or routes the request is not a program's.
    #[test]
    fn case_25_headers_that_are_ours_are_left_out() {
        for name in [
            "webhook-signature",
            "Webhook-Id",
            "webhook-timestamp",
            "svix-signature",
            "Host",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "te",
        ] {
            let made = read(&json!({ "payload": {}, "headers": { name: "made-up" } })).unwrap();
            assert!(made.headers.is_empty(), "{name}");
            assert!(made.notes.starts_with("left out: "), "{name}: {}", made.notes);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let many: BTreeMap<String, &str> = (0..33).map(|n| (format!("x-{n}"), "")).collect();
        let long: BTreeMap<String, String> =
            (0..3).map(|n| (format!("x-{n}"), "v".repeat(3_000))).collect();
        for (returned, expect) in [
            (json!(3), "something other than a webhook"),
            (json!({}), "no payload"),
            (json!({ "method": "DELETE", "payload": 1 }), "a method other than POST and PUT"),
            (json!({ "url": 1, "payload": 1 }), "a url that is not a string"),
            (json!({ "headers": [], "payload": 1 }), "headers that are no object"),
            (json!({ "headers": { "a": {} }, "payload": 1 }), "a header a that is no text"),
            (json!({ "headers": many, "payload": 1 }), "more than 32 headers"),
            (json!({ "headers": long, "payload": 1 }), "more than 8 KiB of headers"),
        ] {
            let failure = read(&returned).unwrap_err().to_string();
            assert_eq!(failure, format!("handler returned {expect}"), "{returned}");
        }
    }
}
