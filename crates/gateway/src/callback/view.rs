//! A callback and its requests as everybody sees them: the API, and whoever may follow one.

use ringback_domain::{
    application::Metadata,
    callback::{Act, Callback, Fate, Mode, Request, told},
    id::{ApplicationId, CallbackId, CallbackRequestId, MessageId, SourceId},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A callback.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallbackOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "cb_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: CallbackId,
    /// The application that waits.
    #[schema(value_type = String)]
    pub application: ApplicationId,
    /// Who comes back: `result` or `redirect`.
    pub kind: &'static str,
    /// `pending`, `returned`, `completed`, `failed`, `expired` or `canceled`.
    pub status: &'static str,
    /// The source whose messages may answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceId>,
    /// What the other side calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Your own words for finding it.
    pub tags: Vec<String>,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    pub metadata: Metadata,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Timestamp>,
    /// The request that ended it; a deadline is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub settled_by: Option<CallbackRequestId>,
    /// The longest silence of the other side, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<u64>,
    /// `single` or `stream`.
    pub mode: &'static str,
    /// How many items a stream has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u32>,
    /// How many items end a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u32>,
    /// How many requests there were.
    pub requests: u32,
    /// What ended it, if an answer did: `size`, `contentType`, and the content as `json`, `form`,
    /// `text` or `base64`. Only where the result is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
}

impl CallbackOut {
    /// A callback, with the request that ended it where that is known.
    pub fn new(callback: &Callback, settling: Option<&Request>) -> CallbackOut {
        let (mode, items, max_items) = match callback.course.mode {
            Mode::Single => ("single", None, None),
            Mode::Stream { taken, most } => ("stream", Some(taken), Some(most)),
        };
        CallbackOut {
            id: callback.id,
            application: callback.application,
            kind: callback.kind.name(),
            status: callback.course.state.name(),
            source: callback.source,
            reference: callback.reference.clone(),
            tags: callback.tags.clone(),
            metadata: callback.metadata.clone(),
            created_at: callback.created_at,
            expires_at: callback.course.expires_at,
            settled_at: callback.settled_at,
            settled_by: callback.settled_by,
            heartbeat: callback.course.heartbeat.map(|it| it.within.as_secs()),
            mode,
            items,
            max_items,
            requests: callback.requests,
            result: settling.and_then(|request| result(request, usize::MAX)),
        }
    }

    /// What whoever holds a wait token sees: the labels are the application's own.
    #[must_use]
    pub fn for_strangers(self) -> CallbackOut {
        CallbackOut { tags: Vec::new(), metadata: Metadata::new(), ..self }
    }
}

/// What a request brought, if that was an answer.
fn result(request: &Request, most: usize) -> Option<Value> {
    let answers = matches!(request.act, Act::Complete | Act::Fail);
    let body = request.body.as_ref().filter(|_| answers)?;
    Some(told::content(request.content_type.as_deref(), body, most))
}

/// Something that happened to a callback, as those see it who follow it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventOut {
    /// The request that was its cause; a deadline is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<CallbackRequestId>,
    /// Of which callback.
    callback: CallbackId,
    /// The state of the callback after it.
    status: &'static str,
    /// From whom it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    /// Which item of a stream it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
    /// The message of a source that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    /// When it happened.
    timestamp: Timestamp,
    /// What came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// What ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

/// The name of the event that a request was, if it was one that somebody follows.
pub(super) fn event_name(request: &Request) -> Option<&'static str> {
    Some(match (request.fate, request.act) {
        (Fate::Item, _) => "item",
        (Fate::Noted, Act::Progress) => "progress",
        (Fate::Noted, Act::Return) => "returned",
        (Fate::Settled, Act::Fail) => "failed",
        (Fate::Settled, Act::Cancel) => "canceled",
        (Fate::Settled, Act::Extend) => "expired",
        (Fate::Settled, _) => "completed",
        _ => return None,
    })
}

impl EventOut {
    /// What a request did.
    pub(super) fn of(callback: CallbackId, name: &'static str, request: &Request) -> EventOut {
        let ends = request.fate == Fate::Settled;
        let content = request
            .body
            .as_ref()
            .filter(|body| !body.is_empty())
            .map(|body| told::content(request.content_type.as_deref(), body, told::INLINE));
        EventOut {
            id: Some(request.id),
            callback,
            status: match name {
                "item" | "progress" => "pending",
                other => other,
            },
            by: Some(request.by.name()),
            item: request.item,
            message_id: request.message,
            timestamp: request.received_at,
            body: content.filter(|_| !ends),
            result: result(request, told::INLINE).filter(|_| ends),
        }
    }

    /// That a deadline ended it.
    pub(super) fn of_deadline(callback: &Callback) -> EventOut {
        EventOut {
            id: None,
            callback: callback.id,
            status: callback.course.state.name(),
            by: None,
            item: None,
            message_id: None,
            timestamp: callback.settled_at.unwrap_or_else(|| callback.course.due_at()),
            body: None,
            result: None,
        }
    }
}
