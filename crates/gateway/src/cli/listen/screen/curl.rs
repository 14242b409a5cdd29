//! An event as a command line for a shell that sends it again.

use url::Url;

use super::super::event::Event;
use crate::cli::outward::{below, is_own};
use crate::cli::sign::quoted;

/// Sends the same bytes with the same headers to `base`. A body that is no text goes through
/// `base64 -d`.
pub(super) fn command(event: &Event, base: &Url) -> String {
    let url = below(base, &event.target);
    let mut line = format!("curl -X {} {}", quoted(&event.method), quoted(url.as_str()));
    for (name, value) in &event.headers {
        let name = name.to_ascii_lowercase();
        if !is_own(&name) {
            // As `curl` has it: with nothing behind the colon the header is left out.
            let header = match value.is_empty() {
                true => format!("{name};"),
                false => format!("{name}: {value}"),
            };
            line.push_str(&format!(" \\\n  -H {}", quoted(&header)));
        }
    }
    if event.header("content-type").is_none() {
        line.push_str(" \\\n  -H 'content-type:'");
    }
    match std::str::from_utf8(&event.body) {
        Ok("") => line,
        // Not `--data-binary`, for which a body that begins with @ names a file.
        Ok(text) if !text.contains('\0') => format!("{line} \\\n  --data-raw {}", quoted(text)),
        _ => {
            let text = data_encoding::BASE64.encode(&event.body);
            format!("echo {text} | base64 -d |\n{line} \\\n  --data-binary @-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::event;
    use super::*;

    #[test]
    fn a_shell_takes_every_part_for_one_word() {
        let base = Url::parse("http://localhost:3000/hook").unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            header("X-A", "it's $(touch x)"),
            header("x-empty", ""),
            header("Host", "hooks.example"),
        ];
        let event = Event { headers, body: "@/etc/passwd".into(), ..event("msg_1") };
        let event = Event { target: "?a=b".to_owned(), ..event };
        assert_eq!(
            command(&event, &base),
            "curl -X 'POST' 'http://localhost:3000/hook?a=b' \\\n  \
             -H 'x-a: it'\\''s $(touch x)' \\\n  -H 'x-empty;' \\\n  -H 'content-type:' \\\n  \
             --data-raw '@/etc/passwd'"
        );
        let binary = Event { body: b"\xff".as_slice().into(), ..event };
        let line = command(&binary, &base);
        assert!(line.starts_with("echo /w== | base64 -d |\ncurl"), "{line}");
        assert!(line.ends_with("--data-binary @-"), "{line}");
    }
}
