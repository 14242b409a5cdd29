//! What a message becomes for whoever reads an endpoint.

use std::collections::BTreeMap;

use ringback_domain::{
    endpoint::Endpoint,
    filter::{Event, Expression, Outcome},
    id::MessageId,
    source::TARGET_HEADER,
    time::Timestamp,
};
use ringback_store::Arrived;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::listen::terms::kept;

/// A message, as whoever reads an endpoint gets it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PollingEndpointMessageOut)]
pub struct Given {
    /// The message.
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: MessageId,
    /// What happened.
    event_type: String,
    /// The sender's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// The JSON object; `{}` if it is something else.
    #[schema(value_type = Object)]
    #[serde(serialize_with = "object")]
    payload: Option<Box<RawValue>>,
    /// What there is instead of a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_payload: Option<String>,
    /// The type of `rawPayload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    /// The sender's own labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    /// Headers that are kept with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    headers: BTreeMap<String, String>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// SDKs want an object, whatever was sent.
fn object<S: Serializer>(
    payload: &Option<Box<RawValue>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match payload {
        Some(payload) => payload.serialize(serializer),
        None => serializer.serialize_map(Some(0))?.end(),
    }
}

/// What makes of a message what one endpoint gets: nothing if its filter does not want it.
pub(super) struct Giving {
    filter: Option<Expression>,
}

impl Giving {
    pub(super) fn new(endpoint: &Endpoint) -> Giving {
        let filter = endpoint.filter.as_deref().and_then(|text| serde_json::from_str(text).ok());
        // Checked when it was saved.
        Giving { filter: filter.and_then(|filter| Expression::compile(&filter).ok()) }
    }

    /// What is given of a message. Whatever else is made of messages for one endpoint belongs here, in
    /// the order of `deliver::render`: convert, filter, transform.
    pub(super) async fn give(&self, arrived: &Arrived) -> Option<Given> {
        if !self.wants(arrived) {
            return None;
        }
        let parsed: Option<Box<RawValue>> = match arrived.content_type {
            None => serde_json::from_slice(&arrived.payload).ok(),
            Some(_) => None,
        };
        let raw = || String::from_utf8_lossy(&arrived.payload).into_owned();
        let raw_payload = parsed.is_none().then(raw);
        let own = |name: &str| name.starts_with(':') || name.starts_with("ringback-");
        let headers = arrived.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
        Some(Given {
            id: arrived.id,
            event_type: arrived.event_type.clone(),
            event_id: arrived.event_id.clone(),
            payload: parsed,
            raw_payload,
            content_type: arrived.content_type.clone(),
            channels: arrived.channels.clone(),
            tags: arrived.tags.clone(),
            headers,
            timestamp: arrived.created_at,
        })
    }

    /// What a filter cannot judge is given: whoever reads looks at it, and nothing is lost.
    fn wants(&self, arrived: &Arrived) -> bool {
        let Some(filter) = &self.filter else { return true };
        let event = Event {
            headers: &arrived.headers,
            content_type: arrived.content_type.as_deref(),
            body: &arrived.payload,
            target: kept(arrived, TARGET_HEADER),
        };
        !matches!(filter.judge(&event), Outcome::NoMatch)
    }
}
