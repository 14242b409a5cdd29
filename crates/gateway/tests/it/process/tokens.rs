//! `ringback token`: through the server's socket, and without a server.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use http::Method;
use ringback::control;
use ringback_pg_cluster::Database;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{run, run_on, stderr, stdout};
use crate::support::{Receiver, Server, Settings, Store};

/// Runs `ringback token …` with `--json` on the server's data.
fn token(server: &Server, words: &[&str]) -> Value {
    let output = run_on(server, &[&["token"], words, &["--json"]].concat(), &[]);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

async fn status(server: &Server, token: &str, path: &str) -> u16 {
    let answer = server.client_with(token).call(Method::GET, path, None).await.unwrap();
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_and_revoked_while_the_server_runs() {
    let server = Server::start(Settings::default());
    let socket = control::path(server.data());
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = std::fs::metadata(server.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let made = token(&server, &["create", "--name", "made up"]);
    let text_of = made["token"].as_str().unwrap();
    assert_eq!(made["environment"], "default");
    assert_eq!(status(&server, text_of, "/api/v1/app").await, 200);

    let listed = token(&server, &["list"]);
    assert!(!listed.to_string().contains(text_of), "a list has hints, not tokens");
    let row = &listed.as_array().unwrap()[0];
    assert_eq!((&row["id"], &row["name"]), (&made["id"], &json!("made up")));
    let (begin, end) = row["hint"].as_str().unwrap().split_once('…').unwrap();
    assert!(text_of.starts_with(begin) && text_of.ends_with(end), "{row}");
    assert!(begin.len() + end.len() < text_of.len() / 2, "{row}");

    let revoked = token(&server, &["revoke", made["id"].as_str().unwrap()]);
    assert!(revoked["revokedAt"].is_string(), "{revoked}");
    let begun = Instant::now();
    while status(&server, text_of, "/api/v1/app").await != 401 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it still opens");
        sleep(Duration::from_millis(50)).await;
    }
    let unknown = run_on(&server, &["token", "revoke", "tok_unknown"], &[]);
    assert_eq!(unknown.status.code(), Some(1), "{}", stderr(&unknown));
}

/// The hot route is answered by the cores, everything else by the shared runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_counts_on_both_routers() {
    let server = Server::start(Settings::default());
    let (app, _) = server.application("http://127.0.0.1:9/").await;
    let (other, _) = server.application("http://127.0.0.1:9/").await;
    let made = |words: &[&str]| {
        let made = token(&server, &[&["create", "--expires", "1h"], words].concat());
        assert!(made["expiresAt"].is_string(), "{made}");
        made["token"].as_str().unwrap().to_owned()
    };
    let message = json!({ "eventType": "a", "payload": {} }).to_string();
    let sent = async |token: &str, app: &str| {
        let (client, path) = (server.client_with(token), format!("/api/v1/app/{app}/msg"));
        let answer = client.call(Method::POST, &path, Some(message.clone().into())).await;
        answer.unwrap().status.as_u16()
    };
    for (words, send, send_other, read, list) in [
        (vec!["--role", "send"], 202, 202, 403, 403),
        (vec!["--role", "send", "--application", &app], 202, 404, 403, 403),
        (vec!["--role", "read"], 403, 403, 200, 200),
        (vec!["--role", "application", "--application", &app], 202, 404, 200, 403),
        (vec!["--role", "admin"], 202, 202, 200, 200),
    ] {
        let token = made(&words);
        assert_eq!(sent(&token, &app).await, send, "{words:?}");
        assert_eq!(sent(&token, &other).await, send_other, "{words:?}");
        let inside = format!("/api/v1/app/{app}/endpoint");
        assert_eq!(status(&server, &token, &inside).await, read, "{words:?}");
        assert_eq!(status(&server, &token, "/api/v1/app").await, list, "{words:?}");
    }
    for words in [
        vec!["--role", "application"],
        vec!["--role", "admin", "--application", &app],
        vec!["--role", "portal", "--application", &app],
        vec!["--role", "read", "--application", "nobody"],
    ] {
        let refused = run_on(&server, &[&["token", "create"], words.as_slice()].concat(), &[]);
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {}", stderr(&refused));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_are_made_with_and_without_a_server() {
    let mut server = Server::start(Settings::default());
    let run = |server: &Server, words: &[&str]| {
        let output = run_on(server, &[&["environment"], words].concat(), &[]);
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let made = run(&server, &["create", "eu", "--json"]);
    let made: Value = serde_json::from_str(&made.1).unwrap();
    assert_eq!(made["name"], "eu");
    assert_eq!(run(&server, &["create", "eu"]).0, Some(1), "there is one");
    assert_eq!(run(&server, &["create", "a b"]).0, Some(1), "it is no name");
    assert_eq!(run(&server, &["list"]).1, "default\neu\n");
    let listed = server.get("/api/v1/environment").await;
    assert_eq!(listed["data"][1], made);

    assert!(server.stop().success());
    let (code, out, told) = run(&server, &["create", "us"]);
    assert_eq!((code, out.as_str(), told.trim()), (Some(0), "", "created the environment us"));
    assert_eq!(run(&server, &["list"]).1, "default\neu\nus\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_without_a_server_too() {
    let mut server = Server::start(Settings::default());
    assert!(server.stop().success());
    // Without --json the token alone is on the standard output.
    let output = run_on(&server, &["token", "create", "--environment", "other"], &[]);
    let made = stdout(&output).trim().to_owned();
    assert!(made.starts_with("rbt_") && !made.contains(char::is_whitespace), "{made}");
    assert!(stderr(&output).contains("environment other"), "{}", stderr(&output));
    let revoked = token(&server, &["create"]);
    token(&server, &["revoke", revoked["id"].as_str().unwrap()]);

    server.restart();
    assert_eq!(status(&server, &made, "/api/v1/app").await, 200);
    assert_eq!(status(&server, revoked["token"].as_str().unwrap(), "/api/v1/app").await, 401);

    // It is of another environment, and sees nothing of the first.
    let (app, _) = server.application("http://127.0.0.1:9/").await;
    assert_eq!(status(&server, &made, &format!("/api/v1/app/{app}")).await, 404);
    let theirs = server.client_with(&made).call(Method::GET, "/api/v1/app", None).await.unwrap();
    let theirs: Value = serde_json::from_slice(&theirs.body).unwrap();
    assert_eq!(theirs["data"], json!([]));
    let message = json!({ "eventType": "a", "payload": {} }).to_string();
    let path = format!("/api/v1/app/{app}/msg");
    let client = server.client_with(&made);
    let answer = client.call(Method::POST, &path, Some(message.into())).await.unwrap();
    assert_eq!(answer.status, 404);
}

fn audit(server: &Server, words: &[&str]) -> Vec<Value> {
    let output = run_on(server, &[&["audit"], words, &["--json"]].concat(), &[]);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commands_and_requests_change_is_in_the_audit_log() {
    let mut server = Server::start(Settings::default());
    let made = token(&server, &["create", "--environment", "other", "--name", "ci"]);
    token(&server, &["revoke", made["id"].as_str().unwrap()]);
    let told = |entries: &[Value]| {
        let pair = |entry: &Value| json!([entry["operation"], entry["actor"]]);
        entries.iter().map(pair).collect::<Vec<_>>()
    };
    let expect = [
        json!(["token.revoke", "command"]),
        json!(["token.create", "command"]),
        json!(["environment.create", "command"]),
    ];
    let entries = audit(&server, &["--environment", "other"]);
    assert_eq!(told(&entries), expect);
    assert_eq!(entries[0]["resources"], json!({ "token_id": made["id"] }));
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains(made["token"].as_str().unwrap()));

    let (app, endpoint) = server.application("http://127.0.0.1:9/").await;
    let entries = audit(&server, &["--application", &app]);
    let by = |operation: &str| json!([operation, "bootstrap"]);
    assert_eq!(told(&entries), [by("endpoint.create"), by("application.create")]);
    assert_eq!(entries[0]["resources"], json!({ "app_id": app, "endpoint_id": endpoint }));
    assert_eq!(entries[0]["address"], "127.0.0.1");
    assert_eq!(entries[0]["requestId"].as_str().unwrap().len(), 32);
    let one = audit(&server, &["--operation", "application.create", "--limit", "1"]);
    assert_eq!(one, entries[1..]);
    let missing = run_on(&server, &["audit", "--environment", "none"], &[]);
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));

    // Without a server the command reads the store itself.
    server.stop();
    assert_eq!(told(&audit(&server, &["--environment", "other"])), expect);
}

/// A command with a data directory of its own, as on another machine, works on the database itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_beside_a_server_on_the_database_does_not_disturb_it() {
    let receiver = Receiver::ok();
    let database = Arc::new(Database::create().unwrap());
    let store = Some(Store::Postgres(Arc::clone(&database)));
    let server = Server::start(Settings { store, ..Settings::default() });
    let (app, _) = server.application(&receiver.url()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().to_str().unwrap();
    let url = database.dsn();
    let command = |words: &[&str]| {
        let words = [words, &["--data", data, "--json"]].concat();
        let output = run(&words, &[("RINGBACK_STORE", &url)]);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        serde_json::from_str::<Value>(&stdout(&output)).unwrap()
    };
    let epoch = database.ask("SELECT epoch FROM node").unwrap();
    let made = command(&["token", "create", "--name", "made up"]);
    command(&["environment", "create", "other"]);
    assert_eq!(command(&["token", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(status(&server, made["token"].as_str().unwrap(), "/api/v1/app").await, 200);
    assert_eq!(database.ask("SELECT epoch FROM node").unwrap(), epoch);

    // Results that are written now still take effect.
    let message = json!({ "eventType": "a", "payload": {} });
    server.post(&format!("/api/v1/app/{app}/msg"), message).await;
    receiver.wait_for(1);
    let begun = Instant::now();
    while database.ask("SELECT count(*) FROM delivery").unwrap() != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the result was not recorded");
        sleep(Duration::from_millis(20)).await;
    }
    let attempts = database.ask("SELECT count(*) FROM attempt").unwrap();
    assert_eq!(attempts, "1");
}
