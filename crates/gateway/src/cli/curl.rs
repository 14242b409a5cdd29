//! A request as a command line for a shell: `curl` sends the same bytes with the same headers.

use super::outward::is_own;

/// Bytes of a body that are written as an argument; Linux takes 128 KiB.
const LONGEST: usize = 100_000;

/// The command line that sends a request. The URL is a word for the shell already, as [`quoted`]
/// makes it. Headers of the connection are curl's own. A body that cannot be an argument, as it is no
/// text or too long, goes through `base64 -d`.
pub(super) fn command<'a>(
    method: &str,
    url: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> String {
    let mut has_type = false;
    // Brackets in a URL are no patterns, and only errors are told.
    let mut line = format!("curl -gsS -X {} {url}", quoted(method));
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if is_own(&name) {
            continue;
        }
        has_type |= name == "content-type";
        // As curl has it: with nothing behind the colon the header is left out.
        let header = match value.is_empty() {
            true => format!("{name};"),
            false => format!("{name}: {value}"),
        };
        line.push_str(&format!(" \\\n  -H {}", quoted(&header)));
    }
    if body.is_empty() && matches!(method, "GET" | "HEAD") {
        return line;
    }
    if !has_type {
        // Else it says that the body is a form.
        line.push_str(" \\\n  -H 'content-type:'");
    }
    match std::str::from_utf8(body) {
        // Not `--data-binary`, for which a body that begins with @ names a file.
        Ok(text) if body.len() <= LONGEST && !text.contains('\0') => {
            format!("{line} \\\n  --data-raw {}", quoted(text))
        }
        _ => {
            let text = data_encoding::BASE64.encode(body);
            format!("echo {text} | base64 -d |\n{line} \\\n  --data-binary @-")
        }
    }
}

/// One word for a shell, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_every_part_for_one_word() {
        let headers = [("X-A", "it's $(touch x)"), ("x-empty", ""), ("Host", "hooks.example")];
        let url = quoted("http://localhost:3000/hook?a[b]=c");
        assert_eq!(
            command("POST", &url, headers, b"`x` \"$y\""),
            "curl -gsS -X 'POST' 'http://localhost:3000/hook?a[b]=c' \\\n  \
             -H 'x-a: it'\\''s $(touch x)' \\\n  -H 'x-empty;' \\\n  -H 'content-type:' \\\n  \
             --data-raw '`x` \"$y\"'"
        );
    }

    #[test]
    fn no_body_names_a_file_and_every_body_fits() {
        let xml = [("content-type", "text/xml")];
        let line = |body: &[u8]| command("POST", "'u'", xml, body);
        let head = "curl -gsS -X 'POST' 'u' \\\n  -H 'content-type: text/xml' \\\n  --data-";
        assert_eq!(line(b"@/etc/passwd"), format!("{head}raw '@/etc/passwd'"));
        assert_eq!(line(b""), format!("{head}raw ''"));
        for (body, encoded) in [(&b"\xff"[..], "/w=="), (b"a\0", "YQA=")] {
            assert_eq!(line(body), format!("echo {encoded} | base64 -d |\n{head}binary @-"));
        }
        assert!(line(&[b'x'; LONGEST]).ends_with("x'"));
        assert!(line(&[b'x'; LONGEST + 1]).ends_with("@-"));
        assert_eq!(command("GET", "'u'", [], b""), "curl -gsS -X 'GET' 'u'");
    }
}
