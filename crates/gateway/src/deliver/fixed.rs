//! What was made of a message, as it is kept with a delivery that is tried again: the same is sent
//! each time, whatever is changed meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::delivery::Rendering;
use ringback_store::Content;
use serde::{Deserialize, Serialize};

use crate::transform::Made;

/// What is kept of a message that was sent as it is.
const MESSAGE: &[u8] = b"\n";

/// What is known of a delivery from before its attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Earlier {
    /// Nothing.
    Nothing,
    /// An attempt sent the message as it is.
    Message,
    /// An attempt sent this.
    Made(Box<Fixed>, Arc<Content>),
    /// It is to be made as it was made once, of which this is noted.
    Named(Rendering),
}

impl Earlier {
    /// Reads what was kept; none if that cannot be read.
    pub(super) fn read(kept: &Bytes, message: &Content) -> Option<Earlier> {
        match kept.iter().position(|byte| *byte == b'\n') {
            None => serde_json::from_slice(kept).ok().map(Earlier::Named),
            Some(0) => Some(Earlier::Message),
            Some(end) => {
                let fixed: Fixed = serde_json::from_slice(&kept[..end]).ok()?;
                let same = fixed.same.then(|| message.payload.clone());
                let content = fixed.content(message, same.unwrap_or_else(|| kept.slice(end + 1..)));
                Some(Earlier::Made(Box::new(fixed), content))
            }
        }
    }
}

/// What was sent, as far as an attempt came to that.
pub(super) enum Sent {
    /// Nothing.
    Nothing,
    /// The message as it is.
    Message,
    /// What was made of it.
    Made(Box<Fixed>, Arc<Content>),
}

impl Sent {
    /// The bytes that are kept, so that the next attempt sends the same.
    pub(super) fn keep(&self) -> Option<Bytes> {
        match self {
            Sent::Nothing => None,
            Sent::Message => Some(Bytes::from_static(MESSAGE)),
            Sent::Made(fixed, content) => fixed.keep(&content.payload),
        }
    }

    /// What is noted of it with the attempt; none if it was the message as it is.
    pub(super) fn rendering(&self) -> Option<&Rendering> {
        match self {
            Sent::Nothing | Sent::Message => None,
            Sent::Made(fixed, _) => Some(&fixed.rendering),
        }
    }
}

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
    fn keep(&self, body: &[u8]) -> Option<Bytes> {
        let mut kept = serde_json::to_vec(self).ok()?;
        kept.push(b'\n');
        if !self.same {
            kept.extend_from_slice(body);
        }
        Some(kept.into())
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
        let read = |kept: &Bytes| Earlier::read(kept, &message);
        let made = |kept: &Bytes| match read(kept) {
            Some(Earlier::Made(fixed, content)) => (*fixed, content),
            earlier => panic!("{earlier:?}"),
        };
        let (again, content) = made(&kept);
        assert_eq!(again, fixed);
        assert_eq!((&content.payload[..], content.id), (&b"a\nb"[..], message.id));
        assert_eq!(content.content_type.as_deref(), Some("text/plain"));
        assert_eq!(content.headers, fixed.came_with);
        let same = Fixed { same: true, ..Fixed::default() };
        let kept = same.keep(&message.payload).unwrap();
        assert!(kept.ends_with(b"\n"), "the body is kept a second time");
        assert_eq!(made(&kept).1.payload, message.payload);
        assert_eq!(read(&Sent::Message.keep().unwrap()), Some(Earlier::Message));
        let noted = serde_json::to_string(&fixed.rendering).unwrap();
        assert_eq!(read(&noted.into()), Some(Earlier::Named(fixed.rendering)));
        for broken in ["{", "{\n{}", ""] {
            assert_eq!(read(&broken.into()), None, "{broken}");
        }
    }
}
