//! Messages as the API spells them. The payload is carried as text, never parsed into a value, so
//! key order and the spelling of numbers stay as they came.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use ringback_domain::{
    event_type::check_name,
    id::{Kind, MessageId},
    message::{Message, Origin, check_ordering_key},
    time::Timestamp,
};
use ringback_store::NewMessage;
use serde::{Deserialize, Serialize, Serializer, de::IgnoredAny, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        application::ApplicationIn,
        error::{Error, Problem},
        extract,
        field::{Problems, none_if_empty},
        query::{self, FromQuery, Params},
    },
    contract,
};

const HOUR: Duration = Duration::from_secs(3600);
/// The longest retention that can be asked for, in days.
const DAYS: u32 = 90;
/// The longest content type, in bytes.
const CONTENT_TYPE_LENGTH: usize = 256;

/// A message to send.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageIn<'a> {
    /// What happened, such as `user.created`.
    #[schema(required, nullable = false, example = "user.created")]
    event_type: Option<String>,
    /// What receivers get, byte for byte: any JSON object.
    #[serde(borrow)]
    #[schema(required, nullable = false, value_type = Object)]
    payload: Option<&'a RawValue>,
    /// Your own id for it, unique in the application.
    event_id: Option<String>,
    /// Whom it concerns: endpoints can filter by these. At most 10.
    channels: Option<Vec<String>>,
    /// Your own labels. At most 10.
    tags: Option<Vec<String>>,
    /// Endpoints that keep an order get messages with the same key one after the other; at most 256
    /// characters. Those without one share one order.
    #[schema(max_length = 256)]
    ordering_key: Option<String>,
    /// The version of the event type that the payload has, by its label; the type's default if absent.
    schema_version: Option<String>,
    /// Creates the application that the path names, if it does not exist.
    application: Option<ApplicationIn>,
    /// For how many days the content is kept, 1 to 90; never longer than the server keeps it.
    #[schema(minimum = 1, maximum = 90)]
    payload_retention_period: Option<u32>,
    /// The same in hours, 1 to 2160.
    #[schema(minimum = 1, maximum = 2160)]
    payload_retention_hours: Option<u32>,
    /// `rawPayload`: text to send instead of `payload`; `headers.content-type`: of which type.
    #[schema(value_type = Option<Object>)]
    transformations_params: Option<Map<String, Value>>,
    #[schema(ignore)]
    deliver_at: Option<IgnoredAny>,
}

/// A body that was read and checked.
#[derive(Debug)]
pub struct Posted {
    /// What is to be stored.
    pub message: NewMessage,
    /// The payload once more, known to be JSON; none for a raw one.
    pub json: Option<Box<RawValue>>,
    /// The version that it is said to have, by its label.
    pub schema_version: Option<String>,
    /// How the application is created if it does not exist; checked.
    pub application: Option<ApplicationIn>,
}

impl Posted {
    /// Reads the body of a message create. `nonce` is random, `retention` how long the server keeps
    /// content. The payload shares the body's memory.
    ///
    /// # Errors
    /// 422 that names every wrong field.
    pub fn read(
        body: &Bytes,
        depth: usize,
        nonce: u64,
        now: Timestamp,
        retention: Duration,
    ) -> Result<Posted, Error> {
        let body_in: MessageIn<'_> = extract::parse(body, depth)?;
        if let Some(application) = &body_in.application {
            application.check(Problems::of_body_field("application"))?;
        }
        let mut problems = Problems::of_body();
        let content = body_in.content(&mut problems);
        body_in.check(&mut problems);
        problems.done()?;
        let (payload, content_type) = match content {
            Content::Json(text) => (body.slice_ref(text.as_bytes()), None),
            Content::Raw { text, content_type } => (Bytes::from(text), Some(content_type)),
        };
        let expires_at = now + body_in.kept().map_or(retention, |kept| kept.min(retention));
        let message = NewMessage {
            nonce,
            accepted_at: now,
            expires_at,
            origin: Origin::Send,
            event_type: body_in.event_type.unwrap_or_default(),
            event_id: body_in.event_id,
            channels: none_if_empty(body_in.channels),
            tags: none_if_empty(body_in.tags),
            content_type,
            payload,
            ordering_key: body_in.ordering_key,
            ..NewMessage::default()
        };
        // Copied: that is cheaper than to check for the answer what was checked here.
        let json = message.content_type.is_none().then_some(body_in.payload).flatten();
        let json = json.map(RawValue::to_owned);
        let MessageIn { schema_version, application, .. } = body_in;
        Ok(Posted { message, json, schema_version, application })
    }
}

/// How a caller is told that a message does not keep to its event type's contract.
pub fn not_admitted(refused: contract::Refused) -> Error {
    match refused {
        contract::Refused::Version(what) => Error::invalid("body", "schemaVersion", what),
        contract::Refused::Payload { label, violation } => {
            let path = violation.place.split('/').skip(1);
            let path = path.map(|part| part.replace("~1", "/").replace("~0", "~"));
            let loc = ["body", "payload"].map(str::to_owned).into_iter().chain(path).collect();
            let msg = format!("it is not what version {label} says: {violation}");
            Error::Invalid(vec![Problem { loc, msg, kind: "value_error" }])
        }
        contract::Refused::Unavailable(unavailable) => unavailable.into(),
    }
}

/// What receivers get.
enum Content<'a> {
    /// The payload as it stands in the body.
    Json(&'a str),
    /// A text that may be anything.
    Raw { text: String, content_type: String },
}

impl<'a> MessageIn<'a> {
    fn check(&self, problems: &mut Problems) {
        if let Some(name) = problems.required("eventType", self.event_type.as_ref()) {
            problems.check("eventType", check_name(name));
        }
        problems.uid("eventId", Kind::Message, self.event_id.as_ref());
        problems.labels("channels", self.channels.as_ref());
        problems.labels("tags", self.tags.as_ref());
        if let Some(key) = &self.ordering_key {
            problems.check("orderingKey", check_ordering_key(key));
        }
        problems.unsupported("deliverAt", self.deliver_at.as_ref());
        for (field, value, limit) in [
            ("payloadRetentionPeriod", self.payload_retention_period, DAYS),
            ("payloadRetentionHours", self.payload_retention_hours, DAYS * 24),
        ] {
            if value.is_some_and(|value| !(1..=limit).contains(&value)) {
                problems.add(field, format!("it is between 1 and {limit}"));
            }
        }
    }

    /// What receivers get. Where the body is wrong, `problems` says so and the result is void.
    fn content(&self, problems: &mut Problems) -> Content<'a> {
        let payload = problems.required("payload", self.payload).map_or("{}", RawValue::get);
        if !payload.starts_with('{') {
            problems.add(
                "payload",
                "it is a JSON object; transformationsParams.rawPayload can be any text",
            );
        }
        match self.raw(problems) {
            Some((text, content_type)) => Content::Raw { text, content_type },
            None => Content::Json(payload),
        }
    }

    /// The text and type that replace the payload.
    fn raw(&self, problems: &mut Problems) -> Option<(String, String)> {
        const FIELD: &str = "transformationsParams";
        let params = self.transformations_params.as_ref()?;
        for name in params.keys().filter(|name| !["rawPayload", "headers"].contains(&name.as_str()))
        {
            problems.add_below(FIELD, Some(name), "this field is not supported yet");
        }
        let headers = match params.get("headers") {
            None | Some(Value::Null) => None,
            Some(Value::Object(headers)) => Some(headers),
            Some(_) => {
                problems.add_below(FIELD, Some("headers"), "it is an object");
                None
            }
        };
        let mut content_type = None;
        for (name, value) in headers.into_iter().flatten() {
            if !name.eq_ignore_ascii_case("content-type") {
                problems.add_below(FIELD, Some(name), "only content-type is supported yet");
            } else if let Some(value) = value.as_str().filter(|value| is_content_type(value)) {
                content_type = Some(value.to_owned());
            } else {
                problems.add_below(FIELD, Some(name), "it is a media type");
            }
        }
        match params.get("rawPayload") {
            Some(Value::String(text)) => {
                // Named even if it is JSON: that is how a raw payload is told from an object.
                let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
                Some((text.clone(), content_type))
            }
            None | Some(Value::Null) => {
                if content_type.is_some() {
                    problems.add_below(FIELD, Some("headers"), "only together with rawPayload");
                }
                None
            }
            Some(_) => {
                problems.add_below(FIELD, Some("rawPayload"), "it is a text");
                None
            }
        }
    }

    /// For how long the caller wants the content to be kept. Hours win, as they say more.
    fn kept(&self) -> Option<Duration> {
        let hours = self.payload_retention_hours;
        hours.or(self.payload_retention_period.map(|days| days * 24)).map(|hours| HOUR * hours)
    }
}

/// Whether it can stand in a header and looks like `type/subtype` (RFC 9110, section 8.3.1).
fn is_content_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    value.len() <= CONTENT_TYPE_LENGTH
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// A message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageOut<'a> {
    /// Ringback's id, sent to receivers as `webhook-id`.
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: MessageId,
    /// What happened.
    event_type: &'a str,
    /// Your own id for it.
    event_id: Option<&'a str>,
    /// The JSON object that receivers get; `{}` if it was not asked for or is no JSON object,
    /// `{"expired":true}` if it no longer exists.
    #[schema(value_type = Object)]
    payload: PayloadOut<'a>,
    /// What receivers get instead, if it was given as `rawPayload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_payload: Option<Cow<'a, str>>,
    /// The type of `rawPayload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    /// Whom it concerns.
    channels: Option<&'a [String]>,
    /// Your own labels.
    tags: Option<&'a [String]>,
    /// What endpoints that keep an order go by.
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<&'a str>,
    /// The version of the event type that the payload has, by its label; absent of a type without
    /// versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<Cow<'a, str>>,
    /// Whether the payload fits that version's schema; absent where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    fits_schema: Option<bool>,
    /// Always null: messages go out at once.
    #[schema(value_type = Option<String>)]
    deliver_at: (),
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// What stands in the place of the payload.
enum PayloadOut<'a> {
    /// It was not asked for, or is no JSON object.
    Nothing,
    /// It no longer exists.
    Expired,
    /// The object.
    Object(&'a RawValue),
}

impl Serialize for PayloadOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PayloadOut::Object(text) => text.serialize(serializer),
            PayloadOut::Nothing => serializer.serialize_map(Some(0))?.end(),
            PayloadOut::Expired => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("expired", &true)?;
                map.end()
            }
        }
    }
}

impl<'a> MessageOut<'a> {
    /// A message as the store has it.
    pub fn stored(message: &'a Message, with_content: bool) -> MessageOut<'a> {
        let content = Some(message.payload.as_deref()).filter(|_| with_content);
        let content_type = message.content_type.as_deref();
        let (payload, raw_payload) = shown(content, content_type.is_some());
        MessageOut {
            id: message.id,
            event_type: &message.event_type,
            event_id: message.event_id.as_deref(),
            payload,
            raw_payload,
            content_type,
            channels: message.channels.as_deref(),
            tags: message.tags.as_deref(),
            ordering_key: message.ordering_key.as_deref(),
            schema_version: None,
            fits_schema: message.fits_schema,
            deliver_at: (),
            timestamp: message.created_at,
        }
    }

    /// The same with the label of its version.
    pub(in crate::api) fn in_version(self, label: Option<String>) -> MessageOut<'a> {
        MessageOut { schema_version: label.map(Cow::Owned), ..self }
    }

    /// A message that has just been appended, under the id that the store gave it.
    pub fn appended(posted: &'a Posted, id: MessageId, with_content: bool) -> MessageOut<'a> {
        let Posted { message, json, .. } = posted;
        let content_type = message.content_type.as_deref();
        let (payload, raw_payload) = match json {
            Some(json) if with_content => (PayloadOut::Object(json), None),
            _ => {
                let content = Some(Some(&message.payload[..])).filter(|_| with_content);
                shown(content, content_type.is_some())
            }
        };
        MessageOut {
            id,
            event_type: &message.event_type,
            event_id: message.event_id.as_deref(),
            payload,
            raw_payload,
            content_type,
            channels: message.channels.as_deref(),
            tags: message.tags.as_deref(),
            ordering_key: message.ordering_key.as_deref(),
            schema_version: posted.schema_version.as_deref().map(Cow::Borrowed),
            fits_schema: message.fits_schema,
            deliver_at: (),
            timestamp: id.0.created_at(),
        }
    }
}

/// How content is shown: `None` was not asked for, `Some(None)` no longer exists.
fn shown(content: Option<Option<&[u8]>>, raw: bool) -> (PayloadOut<'_>, Option<Cow<'_, str>>) {
    match content {
        None => (PayloadOut::Nothing, None),
        Some(None) => (PayloadOut::Expired, None),
        Some(Some(bytes)) if raw => (PayloadOut::Nothing, Some(String::from_utf8_lossy(bytes))),
        // It was an object when it was accepted; still, reading must never fail.
        Some(Some(bytes)) => {
            let text = serde_json::from_slice(bytes);
            (text.map_or(PayloadOut::Nothing, PayloadOut::Object), None)
        }
    }
}

/// Whether to show payloads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WithContent {
    /// With the payload; true if not given.
    with_content: Option<bool>,
}

impl WithContent {
    /// Reads it from the text after the `?`.
    ///
    /// # Errors
    /// 422 when it is neither true nor false.
    pub fn read(query: &str) -> Result<bool, Error> {
        Ok(query::parse::<WithContent>(query)?.wanted())
    }

    pub(in crate::api) fn wanted(&self) -> bool {
        self.with_content.unwrap_or(true)
    }
}

impl FromQuery for WithContent {
    fn read(query: &mut Params) -> WithContent {
        WithContent { with_content: query.flag("with_content") }
    }
}

#[cfg(test)]
mod tests;
