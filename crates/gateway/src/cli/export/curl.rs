//! A shell script that sends messages as they came.

use super::Exported;
use crate::cli::Failure;
use crate::cli::outward::is_own;
use crate::cli::replay::request_of;
use crate::cli::sign::quoted;

pub(super) fn script(exported: &[Exported]) -> Result<String, Failure> {
    let mut text = "#!/bin/sh\n# Sends the messages below to its first argument, in the order in \
        which they came.\nset -eu\nurl=\"${1:?say where to: a URL}\"\n"
        .to_owned();
    for one in exported {
        let request = request_of(&one.content, None)?;
        let word = |name: &str| one.content[name].as_str().unwrap_or_default().to_owned();
        // What is a comment has one line.
        let title = format!("{} {} {}", word("id"), word("eventType"), word("timestamp"));
        text.push_str(&format!("\n# {}\n", title.replace(char::is_control, " ")));
        let body = match &request.body_base64 {
            Some(encoded) => {
                text.push_str(&format!("printf %s {} | base64 -d | ", quoted(encoded)));
                "@-".to_owned()
            }
            // A leading @ would name a file.
            None if request.body.starts_with('@') => {
                text.push_str(&format!("printf %s {} | ", quoted(&request.body)));
                "@-".to_owned()
            }
            None => quoted(&request.body),
        };
        let target = quoted(&word("target"));
        text.push_str(&format!("curl -sS -X {} \"$url\"{target}", quoted(&request.method)));
        for (name, value) in &request.headers {
            if !is_own(name) {
                text.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
            }
        }
        text.push_str(&format!(" --data-binary {body}\necho\n"));
    }
    Ok(text)
}
