//! What was made of a message, as it is kept with a delivery that is tried again: the same is sent
//! each time, whatever is changed meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::delivery::Rendering;
use ringback_store::Content;
use serde::{Deserialize, Serialize};

use crate::transform::Made;

/// What was made of a message; its body aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fixed {
    /// What led to it.
    pub(super) rendering: Rendering,
    /// Whether the method is PUT instead of POST.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) puts: bool,
    /// Where it goes, if not to the endpoint's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Headers that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<(String, String)>,
    /// The content type, if not `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    /// Headers that the message came with, and those that say which version it is; none if they are
    /// still those of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) came_with: Option<Arc<[(String, String)]>>,
    /// Whether the body is that of the message, which is not kept a second time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) same: bool,
}

impl Fixed {
    /// What conversions made of a message.
    pub(super) fn converted(rendering: Rendering, made: &Content, message: &Content) -> Fixed {
        Fixed {
            rendering,
            content_type: made.content_type.clone(),
            came_with: made.headers.clone(),
            same: made.payload == message.payload,
            ..Fixed::default()
        }
    }

    /// What a transformation made of a message, which had been converted before.
    pub(super) fn transformed(
        rendering: Rendering,
        made: &Made,
        converted: &Content,
        message: &Content,
    ) -> Fixed {
        Fixed {
            rendering,
            puts: made.method == http::Method::PUT,
            url: made.url.clone(),
            headers: made.headers.clone(),
            content_type: made.content_type.clone(),
            came_with: converted.headers.clone(),
            same: made.body == message.payload,
        }
    }

    /// Whether it goes somewhere else than the endpoint's messages, or otherwise.
    pub(super) fn changes_the_way(&self) -> bool {
        self.puts || self.url.is_some() || !self.headers.is_empty()
    }

    /// The bytes that are kept: a line of JSON, and the body.
    pub(super) fn keep(&self, body: &[u8]) -> Option<Bytes> {
        let mut kept = serde_json::to_vec(self).ok()?;
        kept.push(b'\n');
        if !self.same {
            kept.extend_from_slice(body);
        }
        Some(kept.into())
    }

    /// Reads what was kept, and what to send instead of the message as it is.
    pub(super) fn read(kept: &Bytes, message: &Content) -> Option<(Fixed, Arc<Content>)> {
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let fixed: Fixed = serde_json::from_slice(&kept[..end]).ok()?;
        let body = if fixed.same { message.payload.clone() } else { kept.slice(end + 1..) };
        let content = fixed.content(message, body);
        Some((fixed, content))
    }

    /// The message with this body.
    pub(super) fn content(&self, message: &Content, body: Bytes) -> Arc<Content> {
        Arc::new(Content {
            payload: body,
            content_type: self.content_type.clone(),
            headers: self.came_with.clone().or_else(|| message.headers.clone()),
            ..message.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use ringback_domain::{
        id::{Id, MessageId},
        scope::Scope,
    };

    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let message = Content {
            id: MessageId(Id { key: 1, shard: 0, nonce: 2 }),
            scope: Scope { environment: 1, application: 2 },
            event_type: "a.b".into(),
            event_id: None,
            content_type: None,
            payload: Bytes::from_static(b"{}"),
            headers: None,
            version: None,
        };
        let fixed = Fixed {
            rendering: Rendering { transformation: Some("3".to_owned()), ..Rendering::default() },
            puts: true,
            url: Some("https://example.com/other".to_owned()),
            headers: vec![("x-a".to_owned(), "1\\n".to_owned())],
            content_type: Some("text/plain".to_owned()),
            came_with: Some(Arc::new([("x-b".to_owned(), "2".to_owned())])),
            same: false,
        };
        let kept = fixed.keep(b"a\nb").unwrap();
        let (read, content) = Fixed::read(&kept, &message).unwrap();
        assert_eq!(read, fixed);
        assert_eq!((&content.payload[..], content.id), (&b"a\nb"[..], message.id));
        assert_eq!(content.content_type.as_deref(), Some("text/plain"));
        assert_eq!(content.headers, fixed.came_with);
        assert!(Fixed::read(&Bytes::from_static(b"{}"), &message).is_none());
        let same = Fixed { same: true, ..Fixed::default() };
        let kept = same.keep(&message.payload).unwrap();
        assert!(kept.ends_with(b"\n"), "the body is kept a second time");
        assert_eq!(Fixed::read(&kept, &message).unwrap().1.payload, message.payload);
    }
}
