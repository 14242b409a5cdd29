//! `ringback replay` and `ringback export`: what came, once more and elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{run, stderr, stdout, text};
use crate::support::{Answer, Receiver, Server, Settings, TOKEN};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_once_more_to_where_they_went() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    // 410 ends a delivery at once.
    let receiver = Receiver::with(move |_, _| {
        Answer::status(if well.load(Ordering::SeqCst) { 204 } else { 400 })
    });
    let server = Server::start(Settings::default());
    let (app, endpoint) = server.application(&receiver.url()).await;
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let mut ids = Vec::new();
    for kind in ["a.one", "a.two", "a.one"] {
        let sent = run(&["send", &app, kind, "{\"b\": 1.50}"], &env);
        ids.push(stdout(&sent).trim().to_owned());
    }
    receiver.arrived(3).await;
    let replay = |words: &[&str]| run(&[&["replay", "--app", &app][..], words].concat(), &env);
    let dry = replay(&["--since", "1h", "--event-type", "a.one", "--dry-run"]);
    let expect = format!("2 messages would be replayed: {} to {}\n", ids[0], ids[2]);
    assert_eq!(stdout(&dry), expect, "{}", stderr(&dry));
    assert_eq!(stdout(&replay(&["--until", "1h", "--dry-run"])), "0 messages would be replayed\n");
    let after = replay(&["--after", &ids[1], "--dry-run", "--json"]);
    assert_eq!(parsed(&stdout(&after))["first"], *ids[2]);

    is_well.store(true, Ordering::SeqCst);
    let done = replay(&["--since", "1h", "--rate", "50", "--json"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(stderr(&done), "", "no bar without a terminal");
    let summary = parsed(&stdout(&done));
    assert_eq!((&summary["messages"], &summary["sent"]), (&json!(3), &json!(3)));
    let receipts = receiver.arrived(6).await;
    let order: Vec<_> = receipts[3..].iter().map(|one| one.id().to_owned()).collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, ids);

    // By the id alone, wherever it is; to those that failed there is nothing to be sent any more.
    let one = run(&["replay", &ids[0]], &env);
    assert_eq!(stdout(&one), "replayed 1 message, sent 1 times\n", "{}", stderr(&one));
    receiver.arrived(7).await;
    let to = run(&["replay", &ids[0], "--to", &endpoint], &env);
    assert!(to.status.success(), "{}", stderr(&to));
    receiver.arrived(8).await;

    // From here, as it came.
    let here = Receiver::ok();
    let forwarded = run(&["replay", &ids[0], "--forward", &here.url()], &env);
    assert!(forwarded.status.success(), "{}", stderr(&forwarded));
    let receipt = here.wait_for(1).remove(0);
    assert_eq!(
        (&receipt.body[..], receipt.header("content-type")),
        (&b"{\"b\": 1.50}"[..], "application/json")
    );

    for (words, code, what) in [
        (vec!["replay"], 64, "--app or --source"),
        (vec!["replay", "msg_none"], 1, "there is no message msg_none"),
        (vec!["replay", "--app", "none", "--since", "1h"], 1, "404"),
        (vec!["replay", "--app", &app, "--since", "soon"], 64, "2h"),
        (vec!["replay", &ids[0], "--to", "none"], 1, "404"),
        (vec!["replay", "req_none"], 1, "no source has it"),
        (vec!["replay", "req_none", &ids[0]], 64, "by themselves"),
        (vec!["replay", &ids[0], "--rate", "0"], 64, "--rate"),
    ] {
        let output = run(&words, &env);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(what), "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_of_time_goes_to_another_endpoint_at_a_rate() {
    let (first, second) = (Receiver::ok(), Receiver::ok());
    let server = Server::start(Settings::default());
    let (app, _) = server.application(&first.url()).await;
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    for _ in 0..4 {
        assert!(run(&["send", &app, "a.one", "{}"], &env).status.success());
    }
    first.arrived(4).await;
    let path = format!("/api/v1/app/{app}/endpoint");
    let other = server.post(&path, json!({ "url": second.url() })).await;
    let words = ["replay", "--app", &app, "--since", "1h", "--rate", "10"];
    let begun = Instant::now();
    let done = run(&[&words[..], &["--to", other["id"].as_str().unwrap()]].concat(), &env);
    // Three pauses lie between four messages.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(stdout(&done), "replayed 4 messages, sent 4 times\n", "{}", stderr(&done));
    second.arrived(4).await;
    assert_eq!((first.count(), second.count()), (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_a_source_is_exported_byte_for_byte() {
    let server = Server::start(Settings::default());
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let made = json!({
        "name": "any", "uid": "any", "type": "generic-webhook",
        "options": { "methods": ["POST", "PUT"] },
    });
    let made = server.post("/ingest/api/v1/source", made).await;
    let url = made["ingestUrl"].as_str().unwrap();
    let path = &url[url.find("/in/").unwrap()..];
    let binary = [0xff, 0, b'\n', b'\''];
    let say =
        |kind: &'static str| [("content-type", kind), ("x-mine", "it's"), ("authorization", "no")];
    for (method, path, kind, body) in [
        ("PUT", format!("{path}?a=b"), "application/octet-stream", &binary[..]),
        ("POST", path.to_owned(), "application/json", b"{\"type\": \"x.y\", \"n\": 1.50}"),
    ] {
        let body = bytes::Bytes::copy_from_slice(body);
        let sent = server.client().send(method.parse().unwrap(), &path, say(kind), body).await;
        assert_eq!(sent.unwrap().status, 200);
    }
    let export = |words: &[&str]| {
        let output = run(&[&["export", "--source", "any"][..], words].concat(), &env);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let lines: Vec<Value> = export(&[]).lines().map(parsed).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["method"], &lines[0]["target"], &lines[0]["bodyBase64"]),
        (&json!("PUT"), &json!("?a=b"), &json!("/wAKJw=="))
    );
    assert_eq!(lines[1]["body"], "{\"type\": \"x.y\", \"n\": 1.50}");
    let headers = lines[1]["headers"].to_string();
    assert!(headers.contains("[\"x-mine\",\"it's\"]"), "{headers}");
    assert!(!headers.contains("authorization") && !headers.contains("ringback-"), "{headers}");

    // The script sends what came.
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("send.sh");
    export(&["--format", "curl", "--out", text(&script)]);
    let receiver = Receiver::ok();
    let ran = Command::new("sh").arg(&script).arg(receiver.url()).output().unwrap();
    assert!(ran.status.success(), "{}", stderr(&ran));
    let receipts = receiver.wait_for(2);
    assert_eq!((receipts[0].method.as_str(), &receipts[0].body[..]), ("PUT", &binary[..]));
    assert_eq!(receipts[0].query, "a=b");
    assert_eq!((receipts[1].header("x-mine"), receipts[1].body.len()), ("it's", 26));

    let har = parsed(&export(&["--format", "har"]));
    assert_eq!(har["log"]["version"], "1.2");
    let entries = har["log"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["request"]["postData"]["text"], lines[1]["body"]);
    assert_eq!(entries[0]["request"]["postData"]["_encoding"], "base64");

    let id = lines[0]["id"].as_str().unwrap();
    let folder = directory.path().join("fixtures");
    let one = run(&["export", id, "--format", "fixture", "--out", text(&folder), "--json"], &env);
    let told = parsed(&stdout(&one));
    assert_eq!(told["messages"], 1, "{}", stderr(&one));
    let file = told["files"][0].as_str().unwrap();
    let fixture = parsed(&std::fs::read_to_string(file).unwrap());
    assert_eq!(fixture["body_base64"], "/wAKJw==");
    assert_eq!(fixture["provider"], "generic-webhook");

    let wrong = run(&["export", "--format", "har", "--json", "--source", "any"], &env);
    assert_eq!(wrong.status.code(), Some(64));
    let wrong = run(&["export", "--source", "none"], &env);
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
}

/// What was refused is judged again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_replayed_once_the_secret_is_right() {
    let server = Server::start(Settings::default());
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let source = |secret: &str| json!({ "name": "s", "uid": "s", "type": "github", "config": { "secret": secret } });
    let wrong = "made-up-and-wrong-0001";
    let right = "made-up-and-right-0001";
    let made = server.post("/ingest/api/v1/source", source(wrong)).await;
    let url = made["ingestUrl"].as_str().unwrap();
    let to = format!("{}{}", server.url, &url[url.find("/in/").unwrap()..]);
    let refused = run(&["trigger", "github", "--to", &to, "--secret", right], &env);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    let listed = server.get("/ingest/api/v1/source/s/request").await;
    let id = listed["data"][0]["id"].as_str().unwrap();
    let still = run(&["replay", id], &env);
    assert_eq!(still.status.code(), Some(1));
    assert!(stderr(&still).contains("409"), "{}", stderr(&still));
    server.call(http::Method::PUT, "/ingest/api/v1/source/s", Some(source(right))).await;
    let taken = run(&["replay", id], &env);
    assert!(taken.status.success(), "{}", stderr(&taken));
    let now = server.get(&format!("/ingest/api/v1/source/s/request/{id}")).await;
    assert_eq!(now["status"], "accepted");
}
