//! An event for the tests beside this file.

use super::event::Event;

/// An event with this id and nothing special about it.
pub(super) fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        source: "src_made_up".to_owned(),
        source_name: "GitHub".to_owned(),
        provider: "github".to_owned(),
        event_type: Some("push".to_owned()),
        event_id: None,
        verdict: "verified".to_owned(),
        method: "POST".to_owned(),
        target: String::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        received_at: "2026-11-21T09:30:01.250Z".to_owned(),
        answer_within: None,
        body: bytes::Bytes::from_static(b"{\"a\":1}"),
    }
}
