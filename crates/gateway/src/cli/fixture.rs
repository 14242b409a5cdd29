//! Recorded events as files: what `ringback export --format fixture` and `ringback listen --record`
//! write and `ringback trigger --fixture` sends. One file of JSON an event; its request is what
//! `ringback verify --request` reads.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ringback_domain::provider::vector::WireRequest;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::verify::read;

/// An event as it was received.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fixture {
    /// Whose event: an id that `ringback providers` lists; none for a message of an application.
    pub(super) provider: Option<String>,
    /// The type of the event.
    pub(super) event: Option<String>,
    /// The message that it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// When it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received_at: Option<String>,
    /// What was received.
    #[serde(flatten)]
    pub(super) request: WireRequest,
}

impl Fixture {
    /// Reads one; `-` is standard input.
    pub(super) fn read(file: &Path) -> Result<Fixture, Failure> {
        serde_json::from_str(&read(file)?).map_err(|error| {
            Failure::Usage(format!(
                "{} is not a recorded event: {error}; `ringback export --format fixture` writes some",
                file.display()
            ))
        })
    }

    /// Writes it into a folder, which is made if it is not there, under a name of its type and id.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        self.write_as(folder, &self.file_name())
    }

    /// Writes it into a folder, which is made if it is not there, under this name.
    pub(super) fn write_as(&self, folder: &Path, name: &str) -> Result<PathBuf, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        let path = folder.join(name);
        write(&path, &(serde_json::to_string_pretty(self).unwrap_or_default() + "\n"))?;
        Ok(path)
    }

    /// `invoice.paid-msg_….json`; whatever the type is, it stays one name.
    fn file_name(&self) -> String {
        let plain = |text: &str| -> String {
            let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let name = text.chars().take(80).map(|c| if safe(c) { c } else { '_' });
            name.collect::<String>().trim_start_matches('.').to_owned()
        };
        let event = self.event.as_deref().filter(|event| !event.is_empty()).unwrap_or("event");
        let parts = [event, self.id.as_deref().unwrap_or_default()];
        let parts = parts.map(plain);
        let parts: Vec<&str> =
            parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        format!("{}.json", parts.join("-"))
    }
}

/// Writes a file of events. A body may hold anything, so nobody else may read it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", path.display()))
}

/// The URL of a request that is known only by what followed its source's: at this host.
pub(super) fn url_of(target: &str) -> Option<String> {
    (!target.is_empty()).then(|| format!("https://localhost/{}", target.trim_start_matches('/')))
}

/// Headers by name; several of one name are one list (RFC 9110, section 5.3).
pub(super) fn joined(
    headers: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        match joined.get_mut(&name) {
            Some(values) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => {
                joined.insert(name, value);
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name_whatever_happened() {
        let fixture = |event: &str, id: Option<&str>| Fixture {
            provider: None,
            event: Some(event.to_owned()),
            id: id.map(str::to_owned),
            received_at: None,
            request: serde_json::from_str("{}").unwrap(),
        };
        for (event, id, expect) in [
            ("invoice.paid", Some("msg_1"), "invoice.paid-msg_1.json"),
            ("../../etc/x y", None, "_.._etc_x_y.json"),
            ("", None, "event.json"),
        ] {
            assert_eq!(fixture(event, id).file_name(), expect);
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"provider":"stripe","event":"a","method":"PUT","url":null,"headers":{"a":"b"},"body":"","body_base64":"/w=="}"#;
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        let path = fixture.write(&folder.path().join("new")).unwrap();
        let read = Fixture::read(&path).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(read.request.bytes().unwrap(), [0xff]);
    }
}
