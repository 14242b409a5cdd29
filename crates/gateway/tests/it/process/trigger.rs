//! `ringback trigger`: samples and recorded events, to a URL and through a source.

use serde_json::{Value, json};

use super::{run, stderr, stdout, text};
use crate::support::{Answer, Receiver, Server, Settings, TOKEN};

const SECRET: &str = "whsec_cmItdGVzdC1zZWNyZXQtb2YtYS1zb3VyY2U=";

/// What `ringback verify` says of what arrived, by exit code.
fn is_valid(provider: &str, request: &Value) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request.json");
    std::fs::write(&file, request.to_string()).unwrap();
    let words = ["verify", "--provider", provider, "--secret", SECRET, "--request", text(&file)];
    run(&words, &[]).status.success()
}

/// What arrived, as `ringback verify --request` takes it.
pub(super) fn of(receipt: &crate::support::Receipt) -> Value {
    let headers = receipt.headers.iter();
    let headers: serde_json::Map<String, Value> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let body = std::str::from_utf8(&receipt.body).unwrap();
    json!({ "method": receipt.method.as_str(), "headers": headers, "body": body })
}

#[test]
fn a_sample_with_a_field_of_ones_own_is_signed() {
    let receiver = Receiver::ok();
    let to = receiver.url();
    let trigger = |set: &[&str]| {
        let words = ["trigger", "stripe", "payment_intent.succeeded", "--to", &to];
        run(&[&words[..], set].concat(), &[("RINGBACK_SECRET", SECRET)])
    };
    // It has several ids: a lone name is not guessed.
    let several = trigger(&["--set", "id=evt_made_up"]);
    assert_eq!(several.status.code(), Some(64), "{}", stderr(&several));
    assert!(stderr(&several).contains("data.object.id, id"), "{}", stderr(&several));
    let set = ["amount=5000", ".id=evt_made_up", "data.object.metadata.mine=true"];
    let set = set.map(|set| ["--set", set]).concat();
    let sent = trigger(&set);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let told = stderr(&sent);
    assert!(told.starts_with("sent payment_intent.succeeded of stripe to http://127."), "{told}");
    let receipt = receiver.wait_for(1).remove(0);
    let body: Value = serde_json::from_slice(&receipt.body).unwrap();
    let object = &body["data"]["object"];
    assert_eq!((&body["id"], &object["amount"]), (&json!("evt_made_up"), &json!(5000)));
    assert_eq!(
        (&object["metadata"]["mine"], &object["amount_received"]),
        (&json!(true), &json!(4200))
    );
    assert!(is_valid("stripe", &of(&receipt)));
    let mut forged = of(&receipt);
    forged["body"] = json!("{}");
    assert!(!is_valid("stripe", &forged));
}

#[test]
fn each_of_many_is_an_event_of_its_own() {
    let receiver = Receiver::ok();
    let to = receiver.url();
    let words = ["trigger", "github", "--to", &to, "--secret", SECRET, "--count", "3", "--json"];
    let sent = run(&words, &[]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let lines: Vec<Value> =
        stdout(&sent).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["response"]["status"], 204);
    let receipts = receiver.wait_for(3);
    let mut ids: Vec<_> =
        receipts.iter().map(|one| one.header("x-github-delivery").to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(receipts.iter().all(|one| is_valid("github", &of(one))));
}

#[test]
fn events_are_listed_and_wrong_arguments_named() {
    let all = stdout(&run(&["trigger", "list"], &[]));
    assert!(all.starts_with("PROVIDER") && all.contains("\nstripe "), "{all}");
    let events = stdout(&run(&["trigger", "list", "slack"], &[]));
    assert!(events.lines().any(|line| line == "app_mention"), "{events}");
    let json = stdout(&run(&["trigger", "list", "slack", "--json"], &[]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["id"], "slack");
    let failing = Receiver::with(|_, _| Answer::status(500));
    let to = failing.url();
    for (words, code, what) in [
        (vec!["trigger", "slack"], 64, "--to"),
        (vec!["trigger", "slak"], 64, "there is no provider"),
        (vec!["trigger", "slack", "nothing", "--to", &to], 64, "app_mention"),
        (vec!["trigger", "stripe", "--to", &to], 64, "--secret"),
        (vec!["trigger", "paypal", "--to", &to], 64, "--unsigned"),
        (vec!["trigger", "paypal", "--to", &to, "--unsigned"], 1, "500"),
        (vec!["trigger", "github", "--to", "nowhere"], 64, "is not a URL"),
        (vec!["trigger", "github", "--to", &to, "--count", "0"], 64, "--count"),
        (vec!["trigger", "github", "--to", &to, "--secret", "s", "--set", "x"], 64, "PATH=VALUE"),
        (vec!["trigger", "--fixture", "/nowhere"], 64, "/nowhere"),
    ] {
        let output = run(&words, &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(what), "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_source_what_was_set_is_signed_too() {
    let server = Server::start(Settings::default());
    let receiver = Receiver::ok();
    let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let none = run(&["trigger", "slack"], &env);
    assert!(stderr(&none).contains("no source of slack"), "{}", stderr(&none));
    let source = |uid: &str| json!({ "name": uid, "uid": uid, "type": "slack", "config": { "secret": SECRET } });
    server.post("/ingest/api/v1/source", source("one")).await;
    server.post("/ingest/api/v1/source/one/endpoint", json!({ "url": receiver.url() })).await;
    let sent = run(&["trigger", "slack", "app_mention", "--set", "event.text=mine"], &env);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let receipt = receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("ringback-verdict"), "verified");
    let body: Value = serde_json::from_slice(&receipt.body).unwrap();
    assert_eq!(body["event"]["text"], "mine");

    // What was received is a fixture, and a fixture is an event again.
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("recorded");
    let words = ["export", "--source", "one", "--format", "fixture", "--out", text(&folder)];
    let exported = run(&words, &env);
    assert!(exported.status.success(), "{}", stderr(&exported));
    let file = stdout(&exported).trim().to_owned();
    let recorded: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (&recorded["provider"], &recorded["event"]),
        (&json!("slack"), &json!("app_mention"))
    );
    let again = run(&["trigger", "--fixture", &file], &env);
    assert!(again.status.success(), "{}", stderr(&again));
    let receipts = receiver.wait_for(2);
    assert_eq!(receipts[1].header("ringback-verdict"), "verified");
    let body: Value = serde_json::from_slice(&receipts[1].body).unwrap();
    assert_eq!(body["event"]["text"], "mine");
    let ids = receipts.iter().map(|one| one.header("ringback-event-id"));
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 2);
    // As it was, it is the event that came before: the source takes it for that.
    let old = run(&["trigger", "--fixture", &file, "--as-recorded"], &env);
    assert!(stderr(&old).contains("sent app_mention of slack"), "{}", stderr(&old));
    assert_eq!(receiver.count(), 2);

    server.post("/ingest/api/v1/source", source("two")).await;
    let several = run(&["trigger", "slack"], &env);
    assert_eq!(several.status.code(), Some(64));
    assert!(stderr(&several).contains("one, two"), "{}", stderr(&several));
    assert!(run(&["trigger", "slack", "--source", "two"], &env).status.success());
}
