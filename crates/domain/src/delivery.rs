//! How an endpoint wants its deliveries, and what a message was made into for one of them.

pub mod access;
mod batch;
mod cloudevents;
mod form;
mod format;
pub mod handshake;
mod method;
mod plain;
mod retry;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    batch::{BYTES as BATCH_BYTES, Batch, Batched, Element, batched},
    form::Unfit,
    format::{Format, Shape, Shaped},
    method::Method,
    plain::Plain,
    retry::Retry,
};
pub use crate::mistake::Mistake;
use crate::{mistake, time::Timestamp};

/// How an endpoint wants its deliveries. It is stored as JSON, and the API takes it as that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Delivery {
    /// One after the other, by ordering key; in any order when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Requests open at once, at most; what the installation allows when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Whether it is left alone for a while when it fails too often; as the installation has it when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<bool>,
    /// Which versions of payloads it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<Pins>,
    /// What its requests look like.
    #[serde(skip_serializing_if = "is_usual")]
    pub format: Format,
    /// The content type of the format `raw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Of CloudEvents, their source: a URI, or a reference to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Several messages in one request; each in one of its own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Whether bodies are compressed on their way.
    #[serde(skip_serializing_if = "is_usual")]
    pub gzip: bool,
    /// Whether it is asked first if it wants to be sent to: see [`handshake`].
    #[serde(skip_serializing_if = "is_usual")]
    pub handshake: bool,
    /// Payloads with more bytes are not sent: the receiver is told where to fetch them. As the
    /// installation has it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large_over: Option<u32>,
    /// The method of its requests.
    #[serde(skip_serializing_if = "is_usual")]
    pub method: Method,
    /// When it is tried again; as the installation has it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The total time of an attempt, in seconds; as the installation has it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// Whether something is as usual, and need not be said.
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The bounds of an attempt's time, in seconds.
const TIMEOUT: std::ops::RangeInclusive<f64> = 0.1..=300.0;
/// The longest content type, and the longest source.
const LONGEST: usize = 1_024;

/// The largest payload that can be said to go with its request, in bytes.
const LARGE: u32 = 64 * 1024 * 1024;

/// The most requests that may be open at once, and the most types that may be pinned.
const MOST: usize = 1_000;

impl Delivery {
    /// Reads what somebody wants.
    ///
    /// # Errors
    /// [`Mistake`] says what cannot be, and where it stands.
    pub fn read(value: &serde_json::Value) -> Result<Delivery, Mistake> {
        let delivery: Delivery = mistake::read(value)?;
        if delivery.concurrency.is_some_and(|most| !(1..=MOST as u32).contains(&most)) {
            return Err(Mistake::at(&["concurrency"], format!("it is from 1 to {MOST}")));
        }
        if delivery.versions.as_ref().is_some_and(|pins| pins.types.len() > MOST) {
            return Err(Mistake::at(&["versions", "types"], format!("there are at most {MOST}")));
        }
        delivery.check_format()?;
        if let Some(batch) = delivery.batch {
            batch.check(delivery.format)?;
        }
        if delivery.large_over.is_some_and(|bytes| bytes > LARGE) {
            return Err(Mistake::at(&["largeOver"], format!("it is at most {LARGE} bytes")));
        }
        if let Some(retry) = &delivery.retry {
            retry.check()?;
        }
        if delivery.timeout.is_some_and(|seconds| !TIMEOUT.contains(&seconds)) {
            let (least, most) = (TIMEOUT.start(), TIMEOUT.end());
            return Err(Mistake::at(&["timeout"], format!("it is from {least} to {most} seconds")));
        }
        Ok(delivery)
    }

    /// The shape of its requests.
    pub fn shape(&self) -> Shape {
        let (content_type, source) = (self.content_type.clone(), self.source.clone());
        Shape { format: self.format, content_type, source }
    }

    fn check_format(&self) -> Result<(), Mistake> {
        let cloudevents = matches!(self.format, Format::Cloudevents | Format::CloudeventsBinary);
        if let Some(content_type) = &self.content_type {
            let wrong = |what: &str| Err(Mistake::at(&["contentType"], what));
            if self.format != Format::Raw {
                return wrong("only the format raw has one of its own");
            }
            let (essence, visible) =
                (plain::essence_of(content_type), |byte| matches!(byte, b' '..=b'~'));
            if content_type.len() > LONGEST
                || !essence
                    .split_once('/')
                    .is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty())
                || essence.contains(' ')
                || !content_type.bytes().all(visible)
            {
                return wrong("it is no content type, such as text/csv");
            }
        }
        if let Some(source) = &self.source {
            let wrong = |what: &str| Err(Mistake::at(&["source"], what));
            if !cloudevents {
                return wrong("only the formats cloudevents and cloudevents-binary have one");
            }
            let may = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
            if source.is_empty() || source.len() > LONGEST || !source.bytes().all(may) {
                return wrong(
                    "it is a URI or a reference to one, such as https://example.com/orders",
                );
            }
        }
        Ok(())
    }
}

/// Deliveries with the same ordering key are made one after the other. A message without a key
/// shares one with all others that have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Order {
    /// What follows when no attempts are left.
    pub on_exhausted: OnExhausted,
}

/// What happens to the rest of an order when a delivery has no attempts left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnExhausted {
    /// It waits until somebody sends or skips the delivery.
    #[default]
    Block,
    /// It goes on.
    Skip,
}

/// Which versions of payloads an endpoint gets: of a type that is not named, the one that was its
/// default at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Pins {
    /// The default that was in force then, as RFC 3339; when the endpoint was made, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// By event type, the label of the version.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
    /// Whether a message that is older than the pin is not sent at all.
    pub strict: bool,
}

/// What a message was made into before it was sent; kept with the attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rendering {
    /// The label of the version that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The revisions of the conversions that led there, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conversions: Vec<String>,
    /// The revision of the transformation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transformation: Option<String>,
    /// The id of the batch that it went with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// SHA-256 of the payload that was sent, in hexadecimal digits: of the payload as conversions and
    /// transformation made it, before it was put into the endpoint's format and compressed. Of a
    /// batch, that of its body.
    pub body_sha256: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wanted_is_read_back_and_mistakes_are_found() {
        let wanted = json!({
            "order": { "onExhausted": "skip" },
            "concurrency": 4,
            "breaker": false,
            "versions": { "types": { "a.b": "2" }, "strict": true },
            "format": "cloudevents",
            "source": "https://example.com/orders",
            "batch": { "messages": 100, "wait": 0.5 },
            "gzip": true,
            "handshake": true,
            "largeOver": 65_536,
            "method": "PUT",
            "retry": { "gaps": [5, 60], "jitter": 0.5 },
            "timeout": 2.5,
        });
        let delivery = Delivery::read(&wanted).unwrap();
        assert_eq!(serde_json::to_value(&delivery).unwrap(), wanted);
        for (wanted, place) in [
            (json!({ "order": { "onExhausted": "wait" } }), "order/onExhausted"),
            (json!({ "versions": { "at": 1 } }), "versions/at"),
            (json!({ "concurrency": 0 }), "concurrency"),
            (json!({ "breaker": "off" }), "breaker"),
            (json!({ "ordr": {} }), "ordr"),
            (json!({ "format": "xml" }), "format"),
            (json!({ "contentType": "text/csv" }), "contentType"),
            (json!({ "format": "raw", "contentType": "csv" }), "contentType"),
            (json!({ "format": "raw", "contentType": "text/csv\n" }), "contentType"),
            (json!({ "source": "/a" }), "source"),
            (json!({ "batch": {} }), "batch"),
            (json!({ "batch": { "messages": 1 } }), "batch/messages"),
            (json!({ "batch": { "messages": 1_001 } }), "batch/messages"),
            (json!({ "batch": { "messages": 2, "wait": 60.5 } }), "batch/wait"),
            (json!({ "batch": { "messages": 2, "wait": -1 } }), "batch/wait"),
            (json!({ "batch": { "messages": 2 }, "format": "form" }), "batch"),
            (json!({ "format": "cloudevents", "source": "a b" }), "source"),
            (json!({ "largeOver": 67_108_865 }), "largeOver"),
            (json!({ "method": "GET" }), "method"),
            (json!({ "retry": {} }), "retry"),
            (json!({ "retry": { "gaps": [1, -1] } }), "retry/gaps[1]"),
            (json!({ "retry": { "gaps": [1, 2_592_001] } }), "retry/gaps/1"),
            (json!({ "retry": { "gaps": vec![1; 51] } }), "retry/gaps"),
            (json!({ "retry": { "gaps": [], "jitter": 2 } }), "retry/jitter"),
            (json!({ "timeout": 0 }), "timeout"),
            (json!({ "timeout": 301 }), "timeout"),
        ] {
            let mistake = Delivery::read(&wanted).unwrap_err();
            assert_eq!(mistake.place().collect::<Vec<_>>().join("/"), place, "{mistake}");
        }
    }
}
