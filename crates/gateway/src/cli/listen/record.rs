//! Events as files: what was received, under the time at which it was.

use std::path::{Path, PathBuf};

use ringback_domain::provider::vector::WireRequest;

use super::event::Event;
use super::line::content;
use crate::cli::Failure;
use crate::cli::fixture::{Fixture, joined, url_of};

/// Writes the event into a file of its own in this directory, which is made if it is not there.
pub(super) fn write(directory: &Path, event: &Event) -> Result<PathBuf, Failure> {
    fixture(event).write_as(directory, &file_name(event))
}

/// `20260921T093001.250Z-github-push-msg_….json`
fn file_name(event: &Event) -> String {
    let time = event.received_at.replace([':', '-'], "");
    let parts = [time.as_str(), &event.provider, event.kind(), &event.id];
    let parts: Vec<String> = parts.into_iter().map(cleaned).collect();
    format!("{}.json", parts.join("-"))
}

/// Nothing that leads out of the directory, and nothing that a shell would take for more.
fn cleaned(part: &str) -> String {
    /// Of each part; file systems take 255 bytes for the whole.
    const LONGEST: usize = 48;
    let allowed = |one: char| one.is_ascii_alphanumeric() || "._".contains(one);
    let cleaned = part.chars().take(LONGEST).map(|one| if allowed(one) { one } else { '_' });
    cleaned.collect::<String>().trim_start_matches('.').to_owned()
}

fn fixture(event: &Event) -> Fixture {
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let (body, body_base64) = content(&event.body);
    Fixture {
        provider: Some(event.provider.clone()).filter(|provider| !provider.is_empty()),
        event: event.event_type.clone(),
        id: Some(event.id.clone()),
        received_at: Some(event.received_at.clone()),
        request: WireRequest {
            method: event.method.clone(),
            url: url_of(&event.target),
            headers: joined(event.headers.iter().map(lower)),
            body: body.unwrap_or_default().to_owned(),
            body_base64,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::sample::event;
    use super::*;

    #[test]
    fn a_file_is_a_request_again() {
        let directory = tempfile::tempdir().unwrap();
        let nested = directory.path().join("a/b");
        let body = b"\xff\x00".as_slice().into();
        let hostile = Event {
            event_type: Some("../../x; y".to_owned()),
            target: "?a=b".to_owned(),
            body,
            ..event("msg_1")
        };
        let path = write(&nested, &hostile).unwrap();
        assert_eq!(path, nested.join("20261121T093001.250Z-github-_.._x__y-msg_1.json"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let Fixture { provider, event, id, received_at, request } = Fixture::read(&path).unwrap();
        assert_eq!((provider.as_deref(), id.as_deref()), (Some("github"), Some("msg_1")));
        assert_eq!(event.as_deref(), Some("../../x; y"));
        assert_eq!(received_at.as_deref(), Some("2026-11-21T09:30:01.250Z"));
        assert_eq!(request.bytes().unwrap(), b"\xff\x00");
        assert_eq!(request.url.as_deref(), Some("https://localhost/?a=b"));
    }
}
