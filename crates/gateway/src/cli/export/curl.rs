//! A shell script that sends messages as they came.

use super::Exported;
use crate::cli::Failure;
use crate::cli::curl::{command, quoted};
use crate::cli::replay::request_of;
use crate::cli::server::failed;

pub(super) fn script(exported: &[Exported]) -> Result<String, Failure> {
    let mut text = "#!/bin/sh\n# Sends the messages below to its first argument, in the order in \
        which they came.\nset -eu\nurl=\"${1:?say where to: a URL}\"\n"
        .to_owned();
    for one in exported {
        let request = request_of(&one.content, None)?;
        let word = |name: &str| one.content[name].as_str().unwrap_or_default();
        // What is a comment has one line.
        let title = format!("{} {} {}", word("id"), word("eventType"), word("timestamp"));
        text.push_str(&format!("\n# {}\n", title.replace(char::is_control, " ")));
        let url = format!("\"$url\"{}", quoted(word("target")));
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = request.bytes().map_err(|error| failed(&error))?;
        text.push_str(&command(&request.method, &url, headers, &body));
        text.push_str("\necho\n");
    }
    Ok(text)
}
