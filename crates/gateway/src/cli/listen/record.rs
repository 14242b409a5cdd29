//! Events as files: each as `ringback verify --request` and `ringback providers sign --request`
//! take it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use ringback_domain::provider::vector::WireRequest;
use serde::Serialize;

use super::event::Event;

/// A file's content: a request, and what is known about it.
#[derive(Serialize)]
struct Fixture<'a> {
    provider: &'a str,
    event: Option<&'a str>,
    #[serde(flatten)]
    request: WireRequest,
}

/// Writes the event into a file of its own in this directory, which is made if it is not there.
pub(super) fn write(directory: &Path, event: &Event) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut text = serde_json::to_string_pretty(&fixture(event)).map_err(io::Error::other)?;
    text.push('\n');
    fs::write(directory.join(file_name(event)), text)
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

fn fixture(event: &Event) -> Fixture<'_> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &event.headers {
        // Several headers of one name are one list (RFC 9110, section 5.2).
        let list = headers.entry(name.to_ascii_lowercase());
        list.and_modify(|list| *list = format!("{list}, {value}")).or_insert_with(|| value.clone());
    }
    let (body, body_base64) = match std::str::from_utf8(&event.body) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::new(), Some(data_encoding::BASE64.encode(&event.body))),
    };
    let query = event.target.split_once('?').map(|(_, query)| query);
    let url = query.map(|query| format!("https://localhost/?{query}"));
    let request = WireRequest { method: event.method.clone(), url, headers, body, body_base64 };
    Fixture { provider: &event.provider, event: event.event_type.as_deref(), request }
}

#[cfg(test)]
mod tests {
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
        write(&nested, &hostile).unwrap();
        let name = "20261121T093001.250Z-github-_.._x__y-msg_1.json";
        let text = fs::read_to_string(nested.join(name)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["provider"], &value["event"]), (&"github".into(), &"../../x; y".into()));
        let request: WireRequest = serde_json::from_value(value).unwrap();
        assert_eq!(request.bytes().unwrap(), b"\xff\x00");
        assert_eq!(request.url.as_deref(), Some("https://localhost/?a=b"));
    }
}
