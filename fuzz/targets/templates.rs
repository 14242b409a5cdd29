//! Templates and whole files: whatever is written, it is read or refused, and then filled.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringback_domain::provider::Provider;
use ringback_fuzz::{Input, judge};

/// A file with the fuzzer's template as what is signed, as an id and as an answer.
fn file(template: &str) -> String {
    let quoted = quoted(template);
    format!(
        r#"schema = 1
id = "fuzz"
name = "Fuzz"
docs = "https://example.com/"
strength = "signed"
proof = "derived"

[[setting]]
name = "secret"
kind = "secret"

[[verify]]
scheme = "hmac"
hash = "sha256"
key = "{{setting.secret}}"
message = {quoted}
signature = {{ header = "x-signature" }}

[[handshake]]
name = "challenge"
when = {{ "query.challenge" = "*" }}
body = {quoted}

[event]
id = [{quoted}]
split = "/items"
item_id = [{quoted}]
"#
    )
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            other if other.is_control() => out.push_str(&format!("\\u{:04X}", other as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (template, query, body, header) = (input.text(), input.text(), input.part(), input.part());
    // The bytes as a file themselves.
    drop(Provider::parse(&template));
    let Ok(provider) = Provider::parse(&file(&template)) else { return };
    provider.ways();
    let headers = [("x-signature", header), ("content-type", header)];
    judge(&provider, &headers, &query, body, "");
});
