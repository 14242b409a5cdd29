//! How an endpoint wants its deliveries, and what a message was made into for one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
}

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
        Ok(delivery)
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
    /// SHA-256 of the body that was sent, in hexadecimal digits.
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
        });
        let delivery = Delivery::read(&wanted).unwrap();
        assert_eq!(serde_json::to_value(&delivery).unwrap(), wanted);
        for (wanted, place) in [
            (json!({ "order": { "onExhausted": "wait" } }), "order/onExhausted"),
            (json!({ "versions": { "at": 1 } }), "versions/at"),
            (json!({ "concurrency": 0 }), "concurrency"),
            (json!({ "breaker": "off" }), "breaker"),
            (json!({ "ordr": {} }), "ordr"),
        ] {
            let mistake = Delivery::read(&wanted).unwrap_err();
            assert_eq!(mistake.place().collect::<Vec<_>>().join("/"), place, "{mistake}");
        }
    }
}
