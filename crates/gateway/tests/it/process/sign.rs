//! `ringback providers sign` and `ringback sample`: what a provider would send.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use super::{command, run, stderr, stdout};
use crate::support::{Answer, Receiver, Server, Settings, TOKEN};

const SECRET: &str = "whsec_cmItdGVzdC1zZWNyZXQtb2YtYS1zb3VyY2U=";

/// Runs the program with this on its standard input.
fn run_with(words: &[&str], input: &str) -> Output {
    let mut child = command(words, &[("RINGBACK_SECRET", SECRET)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What `ringback verify` says about a request.
fn verdict(provider: &str, request: &str) -> String {
    let words = ["verify", "--provider", provider, "--request", "-", "--json"];
    let output = run_with(&words, request);
    let told: Value = serde_json::from_str(&stdout(&output)).unwrap();
    told["reason"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_signed_verifies() {
    let sign = |words: &[&str], input: &str| {
        let output = run_with(&[&["providers", "sign"][..], words].concat(), input);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    for provider in ["stripe", "github", "slack", "shopify", "standard-webhooks", "gitlab"] {
        assert_eq!(verdict(provider, &sign(&[provider], "")), "ok", "{provider}");
    }
    let body = "{\"zen\": \"Don't panic\"}\n";
    let signed = sign(&["github", "--body", "-", "--header", "X-GitHub-Event: ping"], body);
    assert_eq!(verdict("github", &signed), "ok");
    let signed: Value = serde_json::from_str(&signed).unwrap();
    assert_eq!(
        (signed["body"].as_str(), &signed["headers"]["x-github-event"]),
        (Some(body), &json!("ping"))
    );

    // One that was captured long ago.
    let old = ["slack", "--event", "command.deploy", "--now", "1700000000"];
    let old = sign(&old, "");
    assert_eq!(verdict("slack", &old), "stale");
    let anew = sign(&["slack", "--request", "-"], &old);
    assert_eq!(verdict("slack", &anew), "ok");
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (old, anew) = (parsed(&old), parsed(&anew));
    assert_eq!(old["body"], anew["body"]);
    assert_ne!(old["headers"]["x-slack-signature"], anew["headers"]["x-slack-signature"]);
}

#[test]
fn a_command_line_is_one_for_a_shell_and_what_cannot_be_signed_is_told() {
    let words = [
        "providers",
        "sign",
        "github",
        "--body",
        "-",
        "--url",
        "http://127.0.0.1:1/?a=b",
        "--curl",
    ];
    let line = stdout(&run_with(&words, "@it's"));
    let head = "curl -gsS -X 'POST' 'http://127.0.0.1:1/?a=b' \\\n  -H 'x-hub-";
    assert!(line.starts_with(head), "{line}");
    assert!(line.trim_end().ends_with(r"--data-raw '@it'\''s'"), "{line}");
    for (words, code, what) in [
        (["providers", "sign", "paypal"].to_vec(), 1, "private key"),
        (["providers", "sign", "stripe", "--event", "x"].to_vec(), 64, "invoice.paid"),
        (["providers", "sign", "strip"].to_vec(), 64, "did you mean stripe?"),
    ] {
        let refused = run(&words, &[("RINGBACK_SECRET", SECRET)]);
        assert_eq!(refused.status.code(), Some(code), "{words:?}");
        assert!(stderr(&refused).contains(what), "{}", stderr(&refused));
    }
}

/// What the shell sends is what was signed, also where curl has a meaning of its own for it.
#[test]
fn a_command_line_sends_what_was_signed() {
    let receiver = Receiver::ok();
    let url = format!("{}?a[b]={{c,d}}", receiver.url());
    let long = "x".repeat(200_000);
    for (count, body) in ["@/etc/hostname", "it's \"$x\"\\\n", "", &long].into_iter().enumerate() {
        let words = ["sign", "--secret", SECRET, "--body", "-", "--url", &url, "--curl"];
        let mut shell = Command::new("sh").stdin(Stdio::piped()).spawn().unwrap();
        let line = stdout(&run_with(&words, body));
        shell.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success(), "{count}");
        let receipt = receiver.wait_for(count + 1).pop().unwrap();
        assert!(receipt.body == body.as_bytes(), "{count}: {} bytes", receipt.body.len());
        assert_eq!((&*receipt.query, receipt.header("content-type")), ("a[b]={c,d}", ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_goes_the_way_of_an_event() {
    let server = Server::start(Settings::default().env("RINGBACK_PUBLIC_URL", "https://x.example"));
    let receiver = Receiver::with(|_, _| Answer::status(204));
    let source = json!({ "name": "test", "uid": "test", "type": "slack" });
    server.post("/ingest/api/v1/source", source.clone()).await;
    let endpoint = json!({ "url": receiver.url() });
    server.post("/ingest/api/v1/source/test/endpoint", endpoint).await;
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let unable = run(&["sample", "test"], &env);
    assert_eq!(unable.status.code(), Some(1));
    assert!(stderr(&unable).contains("secret"), "{}", stderr(&unable));
    let mut complete = source;
    complete["config"] = json!({ "secret": SECRET });
    let path = "/ingest/api/v1/source/test";
    assert_eq!(server.call(http::Method::PUT, path, Some(complete)).await.0, 200);
    for words in [
        vec!["sample", "test"],
        vec!["sample", "test", "--event", "command.deploy"],
        vec!["sample", "test"],
    ] {
        let sent = run(&words, &env);
        assert!(sent.status.success(), "{}", stderr(&sent));
        assert!(stderr(&sent).contains("the source answered 200"), "{}", stderr(&sent));
    }
    let sent = run(&["sample", "test", "--json"], &env);
    let answer: Value = serde_json::from_str(&stdout(&sent)).unwrap();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("")), "{answer}");
    assert!(answer["headers"].is_object(), "{answer}");
    // None is taken for one that came before.
    let mut receipts = receiver.wait_for(4);
    receipts.sort_by_key(|receipt| receipt.header("ringback-event").to_owned());
    let kinds: Vec<_> = receipts.iter().map(|receipt| receipt.header("ringback-event")).collect();
    assert_eq!(kinds, ["app_mention", "app_mention", "app_mention", "command.deploy"]);
    for receipt in &receipts {
        assert_eq!(receipt.header("ringback-verdict"), "verified");
        assert_eq!(receipt.header("x-ringback-sample"), "1");
    }
    let none = run(&["sample", "test", "--event", "x"], &env);
    assert!(stderr(&none).contains("command.deploy"), "{}", stderr(&none));
}

/// A body and the headers of Standard Webhooks, with either kind of key; and why one is wrong.
#[test]
fn standard_webhooks_are_signed_and_verified_without_a_provider() {
    // The seed is 32 times 7.
    let private = format!("whsk_{}", "BwcH".repeat(10) + "Bwc=");
    let sign = |words: &[&str]| run_with(&[&["sign"][..], words].concat(), "{\"a\": 1}");
    for (secret, scheme) in [(SECRET, "v1,"), (&private, "v1a,")] {
        let headers = stdout(&sign(&["--secret", secret, "--body", "-", "--id", "msg_made_up"]));
        assert!(headers.contains("webhook-id: msg_made_up\n"), "{headers}");
        assert!(headers.contains(&format!("webhook-signature: {scheme}")), "{headers}");
        let signed = stdout(&sign(&["--secret", secret, "--body", "-", "--json"]));
        let verify = |request: &str, secret: &str| {
            let words = ["verify", "--secret", secret, "--request", "-"];
            let output = run_with(&words, request);
            assert!(stderr(&output).contains("(standard-webhooks)"), "{}", stderr(&output));
            (output.status.code(), stdout(&output))
        };
        let (code, said) = verify(&signed, secret);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("✓ valid  signed by Standard Webhooks"), "{said}");
        let mut changed: Value = serde_json::from_str(&signed).unwrap();
        changed["body"] = json!("{\"a\":1}");
        let (code, said) = verify(&changed.to_string(), secret);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("signature_mismatch"), "{said}");
        let other = "whsec_b3RoZXItc2VjcmV0LXRoYXQtaXMtbm90LWl0";
        assert_eq!(verify(&signed, other).0, Some(1));
    }
    let compact = stdout(&run_with(&["sign", "--secret", SECRET, "--body", "-", "--json"], "{}"));
    let mut touched: Value = serde_json::from_str(&compact).unwrap();
    touched["body"] = json!("{ }");
    let words = ["verify", "--request", "-"];
    let said = stdout(&run_with(&words, &touched.to_string()));
    assert!(said.contains("body_changed") && said.contains("compact json"), "{said}");
    let curl = stdout(&sign(&["--body", "-", "--url", "http://127.0.0.1:1/", "--curl"]));
    assert!(curl.starts_with("curl -gsS -X 'POST' 'http://127.0.0.1:1/'"), "{curl}");
    let github = sign(&["--provider", "github", "--body", "-"]);
    assert!(stdout(&github).contains("x-hub-signature-256: sha256="), "{}", stdout(&github));
    for (words, what) in [
        (&["sign", "--secret", SECRET][..], "--body"),
        (&["sign", "--secret", "whsec_", "--body", "-"], "--secret: the key is empty"),
        (&["sign", "--secret", SECRET, "--body", "-", "--id", "a.b"], "--id"),
        (&["sign", "--secret", SECRET, "--body", "-", "--set", "a=b"], "--provider"),
        (&["verify", "--request", "-"], "no header says whose"),
    ] {
        let output = run_with(words, "{}");
        assert_eq!(output.status.code(), Some(64), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(what), "{words:?}: {}", stderr(&output));
    }
}
