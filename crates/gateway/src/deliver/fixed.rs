//! What was made of a message, as it is kept with a delivery that is tried again: the same is sent
//! each time, whatever is changed meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::delivery::Rendering;
use ringback_store::Content;
use serde::{Deserialize, Serialize};

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
}

impl Fixed {
    /// The bytes that are kept: a line of JSON, and the body.
    pub(super) fn keep(&self, body: &[u8]) -> Option<Bytes> {
        let mut kept = serde_json::to_vec(self).ok()?;
        kept.push(b'\n');
        kept.extend_from_slice(body);
        Some(kept.into())
    }

    /// Reads what was kept, and what to send instead of the message as it is.
    pub(super) fn read(kept: &Bytes, message: &Content) -> Option<(Fixed, Arc<Content>)> {
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let fixed: Fixed = serde_json::from_slice(&kept[..end]).ok()?;
        let content = fixed.content(message, kept.slice(end + 1..));
        Some((fixed, content))
    }

    /// The message with this body.
    pub(super) fn content(&self, message: &Content, body: Bytes) -> Arc<Content> {
        let content_type = self.content_type.clone();
        Arc::new(Content { payload: body, content_type, ..message.clone() })
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
        };
        let kept = fixed.keep(b"a\nb").unwrap();
        let (read, content) = Fixed::read(&kept, &message).unwrap();
        assert_eq!(read, fixed);
        assert_eq!((&content.payload[..], content.id), (&b"a\nb"[..], message.id));
        assert_eq!(content.content_type.as_deref(), Some("text/plain"));
        assert!(Fixed::read(&Bytes::from_static(b"{}"), &message).is_none());
    }
}
