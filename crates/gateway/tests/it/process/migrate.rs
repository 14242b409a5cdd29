//! `ringback migrate`: an installation moves into a database and goes on there.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::Method;
use ringback_pg_cluster::Database;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{raw, run, run_on, stderr, stdout, text};
use crate::support::{Answer, PATIENCE, Receiver, Server, Settings, Store};

/// What is asked of the server before and after: everything that lists something.
const LISTS: &[&str] = &[
    "/api/v1/app?limit=250",
    "/api/v1/app/one/endpoint",
    "/api/v1/app/one/endpoint/open/headers",
    "/api/v1/app/one/endpoint/open/secret",
    "/api/v1/app/one/msg?limit=250&with_content=true",
    "/api/v1/app/one/msg?tag=red",
    "/api/v1/app/one/attempt/endpoint/open?limit=250",
    "/api/v1/app/two/msg",
    "/api/v1/event-type?include_archived=true&with_content=true",
    "/api/v1/background-task",
    "/api/v1/environment",
];

async fn lists(server: &Server) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for path in LISTS {
        all.push((*path, server.get(path).await));
    }
    all
}

/// Posts with an idempotency key; the status and the body.
fn post_once(server: &Server, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let (status, _, body) = raw(server, path, &format!("idempotency-key: {key}\r\n"), body);
    (status, body)
}

/// The store's files and what is in them.
fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(data).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let store = names.filter(|name| name.starts_with("ringback.sqlite"));
    store.map(|name| (name.clone(), std::fs::read(data.join(&name)).unwrap())).collect()
}

/// An installation with traffic: what was delivered, what is pending, and all that hangs on it.
async fn fill(server: &Server, open: &Receiver, closed: &Receiver) {
    server
        .post("/api/v1/app", json!({"name": "Größe \"1\"", "uid": "one", "metadata": {"a": "b"}}))
        .await;
    server.post("/api/v1/app", json!({"name": "2", "uid": "two"})).await;
    let endpoint = "/api/v1/app/one/endpoint";
    let headers = json!({"x-made-up": "value"});
    server.post(endpoint, json!({"url": open.url(), "uid": "open", "headers": headers})).await;
    let filtered = json!({"url": closed.url(), "uid": "closed", "filterTypes": ["b.made"]});
    server.post("/api/v1/event-type", json!({"name": "b.made", "description": "b"})).await;
    server.post("/api/v1/event-type", json!({"name": "old", "description": "o"})).await;
    let (status, _) = server.call(Method::DELETE, "/api/v1/event-type/old", None).await;
    assert_eq!(status, 204);
    server.post(endpoint, filtered).await;
    for number in 0..20 {
        let kind = if number % 2 == 0 { "a.made" } else { "b.made" };
        let message = json!({
            "eventType": kind, "payload": {"number": number, "text": "ü"},
            "eventId": format!("event-{number}"), "tags": ["red"], "channels": ["c-1"],
        });
        server.post("/api/v1/app/one/msg", message).await;
    }
    server.post("/api/v1/app/two/msg", json!({"eventType": "a.made", "payload": {}})).await;
    server.post("/api/v1/app/one/endpoint/open/secret/rotate", json!({})).await;
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    server.post("/api/v1/app/one/endpoint/open/recover", since).await;
    // Every message was delivered to the one and tried at the other.
    open.wait_for(20);
    closed.wait_until(|_, by_id| by_id.len() == 10);
    // What is listed from now on stays as it is.
    let begun = Instant::now();
    loop {
        let attempts = server.get("/api/v1/app/one/attempt/endpoint/open?limit=250").await;
        let tasks = server.get("/api/v1/background-task").await;
        let recorded = attempts["data"].as_array().unwrap().len() == 20;
        if recorded && tasks["data"][0]["status"] == "finished" {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{attempts} {tasks}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_and_goes_on() {
    let opened = Arc::new(AtomicBool::new(false));
    let door = Arc::clone(&opened);
    let open = Receiver::ok();
    let closed = Receiver::with(move |_, _| {
        Answer::status(if door.load(Ordering::Relaxed) { 204 } else { 503 })
    });
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "3,3,3,3,3,3,3,3,3")
        .env("RINGBACK_DELIVERY_RETRY_JITTER", "0");
    let settings = Settings { store: Some(Store::Sqlite), ..settings };
    let mut server = Server::start(settings.clone());
    fill(&server, &open, &closed).await;
    let made = run_on(&server, &["token", "create", "--role", "read", "--json"], &[]);
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    let token = made["token"].as_str().unwrap();
    let message = json!({"eventType": "a.made", "payload": {"once": true}});
    let first = post_once(&server, "/api/v1/app/two/msg", "made-up-key", &message);
    assert_eq!(first.0, 202);
    let application = json!({"name": "3", "uid": "three"});
    let created = post_once(&server, "/api/v1/app", "made-up-key", &application);
    assert_eq!(created.0, 201);

    let database = Arc::new(Database::create().unwrap());
    let dsn = database.dsn();
    let copy = |data: &str, words: &[&str]| {
        let command = ["migrate", "sqlite-to-postgres", "--data", data];
        run(&[&command, words].concat(), &[("RINGBACK_STORE", &dsn)])
    };
    let data = text(server.data()).to_owned();
    let busy = copy(&data, &[]);
    assert_eq!(busy.status.code(), Some(75), "a server runs on it: {}", stderr(&busy));
    let before = lists(&server).await;
    assert!(server.stop().success());

    let files_before = files(server.data());
    let copied = copy(&data, &["--json"]);
    assert!(copied.status.success(), "{}", stderr(&copied));
    let report: Vec<Value> = serde_json::from_str(&stdout(&copied)).unwrap();
    // 22 were sent; one tells that the task has ended.
    for (table, rows) in [("application", 4), ("message", 23), ("token", 1)] {
        let of = report.iter().find(|one| one["table"] == table).unwrap();
        assert_eq!(of["rows"], rows, "{of}");
        assert_eq!(of["checksum"].as_str().map(str::len), Some(32), "{of}");
    }
    assert!(stderr(&copied).contains("message: the same on both sides"), "{}", stderr(&copied));
    assert_eq!(files(server.data()), files_before, "the source is as it was");
    let again = copy(&data, &["--restart"]);
    assert!(!again.status.success() && stderr(&again).contains("not empty"), "{}", stderr(&again));

    let settings = Settings {
        data: Some(server.data().to_owned()),
        store: Some(Store::Postgres(Arc::clone(&database))),
        ..settings
    };
    let moved = Server::start(settings);
    let pending = "SELECT count(*) FROM delivery";
    assert_ne!(database.ask(pending).unwrap(), "0", "there is something left to deliver");
    for ((path, before), (_, after)) in before.iter().zip(lists(&moved).await) {
        assert_eq!(*before, after, "{path}");
    }
    let client = moved.client_with(token);
    let answer = client.call(Method::GET, "/api/v1/app", None).await.unwrap();
    assert_eq!(answer.status, 200, "tokens open the same");
    assert_eq!(post_once(&moved, "/api/v1/app/two/msg", "made-up-key", &message), first);
    assert_eq!(post_once(&moved, "/api/v1/app", "made-up-key", &application), created);
    let repeated = json!({"eventType": "a.made", "payload": {}, "eventId": "event-1"});
    let (status, _) = moved.call(Method::POST, "/api/v1/app/one/msg", Some(repeated)).await;
    assert_eq!(status, 409, "event ids are known");

    let new =
        moved.post("/api/v1/app/one/msg", json!({"eventType": "a.made", "payload": {}})).await;
    let newest = moved.get("/api/v1/app/one/msg?limit=1").await;
    assert_eq!(newest["data"][0]["id"], new["id"], "keys go on where they were");
    opened.store(true, Ordering::Relaxed);
    closed.wait_until(|receipts, by_id| receipts.len() > by_id.len() && by_id.len() == 10);
    let begun = Instant::now();
    while database.ask(pending).unwrap() != "0" {
        assert!(begun.elapsed() < PATIENCE, "everything is delivered in the end");
        sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn what_cannot_be_copied_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let empty = text(directory.path());
    let url = [("RINGBACK_STORE", "postgres://made-up@127.0.0.1:1/x")];
    for (words, env, code, told) in [
        (vec!["--data", empty], &[][..], 64, "--store"),
        (vec!["--data", "/nowhere/at/all"], &url, 1, "no directory"),
        (vec!["--data", empty], &url, 1, "no installation"),
    ] {
        let refused = run(&[&["migrate", "sqlite-to-postgres"], &words[..]].concat(), env);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
}
