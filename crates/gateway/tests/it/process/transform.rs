//! `ringback transform run`: programs, tried without a server.

use std::{
    fs,
    io::Write as _,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::{command, stderr, stdout};

/// The output of these words with this program, and this event on the standard input.
fn output(words: [&str; 2], program: &str, event: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handler.js");
    fs::write(&file, program).unwrap();
    let files = [file.to_str().unwrap(), "--event", "-"];
    let mut child = command(&[&words[..], &files, more].concat(), &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(event.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_program_is_tried_without_a_server() {
    let tried = |program: &str, event: &str, more: &[&str]| {
        output(["transform", "run"], program, event, more)
    };
    let program = "function handler(webhook) {\n  console.log('n is', webhook.payload.n);\n  \
        webhook.payload = { n: webhook.payload.n + 1, type: webhook.eventType };\n  \
        webhook.headers['x-team'] = webhook.env.TEAM;\n  return webhook\n}";
    let more = ["--type", "a.b", "--env", "TEAM=shop", "--url", "https://example.com/hook"];
    let output = tried(program, "{\"n\": 1}\n", &more);
    let expect = "POST https://example.com/hook\ncontent-type: application/json\nx-team: shop\n\n\
        {\"n\":2,\"type\":\"a.b\"}\n";
    assert_eq!((stdout(&output), stderr(&output)), (expect.to_owned(), "n is 1\n".to_owned()));
    let output = tried(program, "{\"n\": 1}", &["--json", "--env", "TEAM=shop"]);
    let request: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        request,
        json!({ "method": "POST", "url": "https://example.com/", "body": "{\"n\":2,\"type\":\"example\"}",
            "headers": { "content-type": "application/json", "x-team": "shop" } })
    );

    let cancels = "function handler(webhook) { webhook.cancel = true; return webhook }";
    let output = tried(cancels, "{}", &["--json"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), "null\n".to_owned()));
    for (program, event, code, says) in [
        ("function handler(webhook) {\n  return nowhere\n}", "{}", 1, "(line 2, column 10)"),
        ("while (true) {}", "{}", 1, "did not end within 250 ms"),
        ("let a = 1", "{}", 1, "defines no function handler(webhook)"),
        (cancels, "{", 64, "--event: it is no JSON"),
    ] {
        let output = tried(program, event, &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says) && stdout(&output).is_empty(), "{said}");
    }
}
