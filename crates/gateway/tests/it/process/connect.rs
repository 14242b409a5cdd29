//! `ringback connect` and what `ringback connections` does with what comes of it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::{Child, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{command, run, stderr, stdout, text};
use crate::support::{Answer, Authority, Receiver, Server, Settings, TOKEN, browse};

/// As a server has to list it for this command.
const LISTED: &str = "http://127.0.0.1/connected";

/// A server with an application `mine`, and an authorization server.
async fn stage(targets: &str) -> (Server, Authority) {
    let settings = Settings::default().env("RINGBACK_CALLBACK_REDIRECT_TARGETS", targets);
    let server = Server::start(settings);
    server.post("/api/v1/app", json!({ "name": "mine", "uid": "mine" })).await;
    (server, Authority::start())
}

/// The variables of whoever sits at the machine.
fn env(url: &str) -> Vec<(&str, &str)> {
    vec![("RINGBACK_URL", url), ("RINGBACK_TOKEN", TOKEN), ("USER", "ada")]
}

/// A command under way, and what it has said.
struct Said {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    text: String,
}

impl Said {
    fn start(words: &[&str], env: &[(&str, &str)]) -> Said {
        let mut child = command(&[&["connect", "oauth2"], words].concat(), env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Said { child, stderr, text: String::new() }
    }

    /// Everything until it waits for somebody.
    fn until_it_waits(&mut self) -> &str {
        while !self.text.contains("Ctrl-C ends this") {
            let read = self.stderr.read_line(&mut self.text).unwrap();
            assert_ne!(read, 0, "it ended early: {}", self.text);
        }
        &self.text
    }

    /// The URL on a line of its own.
    fn url(&mut self) -> String {
        let text = self.until_it_waits();
        text.lines()
            .find_map(|line| line.trim().strip_prefix("http"))
            .map(|rest| format!("http{rest}"))
            .unwrap()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::INT).unwrap();
    }

    /// Exit code, standard output, and all it has said.
    fn end(mut self) -> (Option<i32>, String, String) {
        self.stderr.read_to_string(&mut self.text).unwrap();
        let Output { status, stdout, .. } = self.child.wait_with_output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), self.text)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_typed_on_another_device() {
    let (server, authority) = stage(LISTED).await;
    server.post("/api/v1/oauth-client", authority.client("mine")).await;
    let mut said = Said::start(&["--scope", "read", "--scope", "write"], &env(&server.url));
    let shown = said.until_it_waits();
    for part in ["https://auth.example.com/device\n", "MADE-UPCD", "/device?code=MADE-UPCD"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    authority.polled(1).await;
    authority.type_code(true);
    let (code, id, text) = said.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("connected ada at oauth2 as 42\n"), "{text}");
    let connection = server.get(&format!("/api/v1/connection/{}", id.trim())).await;
    assert_eq!(connection["scopes"], json!(["read", "write"]));
    assert_eq!(connection["userRef"], "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_comes_back_to_this_machine() {
    let (server, authority) = stage(LISTED).await;
    server.post("/api/v1/oauth-client", authority.client_without_devices("mine")).await;
    let env = env(&server.url);
    let mut said = Said::start(&["--no-open", "--user-ref", "eve", "--json"], &env);
    let url = said.url();
    let (last, page) = browse(&url).await;
    assert!(last.starts_with("http://127.0.0.1:") && last.contains("/connected?"), "{last}");
    let page = page.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Done here") && !page.text().contains("<script"), "{page:?}");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{page:?}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let (code, shown, text) = said.end();
    assert_eq!(code, Some(0), "{text}");
    let connection: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&connection["userRef"], &connection["status"]), (&json!("eve"), &json!("active")));
    assert_eq!(authority.count("authorization_code"), 1);

    // A browser is wanted, and the program that opens one is there.
    let client = server.post("/api/v1/oauth-client", authority.client("mine")).await;
    let directory = tempfile::tempdir().unwrap();
    let opened = opener(&directory);
    let mut env = env.clone();
    env.push(("PATH", text_of(&directory)));
    let words = ["--browser", "--client", client["id"].as_str().unwrap()];
    let mut said = Said::start(&words, &env);
    let url = said.url();
    assert_eq!(fs::read_to_string(opened).unwrap(), format!("{url}\n"));
    authority.deny();
    let (_, page) = browse(&url).await;
    assert!(page.unwrap().text().contains("Nothing was granted"));
    let (code, shown, text) = said.end();
    assert_eq!((code, &*shown), (Some(1), ""), "{text}");
    assert!(text.ends_with("error: nothing was granted: access_denied\n"), "{text}");
}

/// Where a program that is said to open browsers writes what it is given; it is read once written.
fn opener(directory: &TempDir) -> std::path::PathBuf {
    let opened = directory.path().join("opened");
    assert!(rustix::fs::mkfifoat(rustix::fs::CWD, &opened, 0o600.into()).is_ok());
    for name in ["xdg-open", "open"] {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"$1\" > {}\n", text(&opened))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    opened
}

fn text_of(directory: &TempDir) -> &str {
    text(directory.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_interrupts_it_cancels() {
    let (server, authority) = stage(LISTED).await;
    server.post("/api/v1/oauth-client", authority.client("mine")).await;
    for words in [&["--browser", "--no-open"][..], &[]] {
        let mut said = Said::start(words, &env(&server.url));
        said.until_it_waits();
        said.interrupt();
        let (code, shown, text) = said.end();
        assert_eq!((code, &*shown), (Some(1), ""), "{text}");
        assert!(text.ends_with("error: interrupted; the authorization is canceled\n"), "{text}");
    }
    let canceled = server.get("/api/v1/authorization?status=canceled").await;
    assert_eq!(canceled["data"].as_array().unwrap().len(), 2);

    // The person says no, or is late: there is nothing left to cancel.
    authority.type_code(false);
    let denied = run(&["connect", "oauth2"], &env(&server.url));
    assert_eq!(denied.status.code(), Some(1));
    assert!(stderr(&denied).contains("access_denied"), "{}", stderr(&denied));
    authority.hurry(1);
    let late = run(&["connect", "oauth2"], &env(&server.url));
    assert_eq!(late.status.code(), Some(1));
    let told = "error: the server answered 409 Conflict: the authorization is expired\n";
    assert!(stderr(&late).ends_with(told), "{}", stderr(&late));
}

/// A server that says it is over sooner than any of ours would.
#[test]
fn whoever_does_not_come_back_in_time_cancels() {
    let canceled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&canceled);
    let server = Receiver::with(move |receipt, _| {
        let (status, json) = match &*receipt.path {
            "/api/v1/oauth-client" => (200, json!({ "data": [{ "id": "ocl_1" }], "done": true })),
            "/api/v1/authorization/auth_1/cancel" => {
                count.fetch_add(1, Ordering::SeqCst);
                (200, json!({}))
            }
            _ => (
                201,
                json!({ "id": "auth_1", "url": "https://auth.example.com/", "createdAt":
                    "2026-01-01T00:00:00.000Z", "expiresAt": "2026-01-01T00:00:00.100Z" }),
            ),
        };
        Answer::Whole(status, Vec::new(), json.to_string().into())
    });
    let url = format!("http://{}", server.address);
    let late = run(&["connect", "oauth2", "--browser", "--no-open"], &env(&url));
    assert_eq!(late.status.code(), Some(1));
    let told = "error: nobody came back within 0.1 s; the authorization is canceled\n";
    assert!(stderr(&late).ends_with(told), "{}", stderr(&late));
    assert_eq!(canceled.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_said() {
    let (server, authority) = stage("https://app.example.com/").await;
    let env = env(&server.url);
    let check = |words: &[&str], code: i32, parts: &[&str]| {
        let refused = run(&[&["connect"], words].concat(), &env);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{words:?}: no {part:?} in {said}");
        }
    };
    let next = ["no client at github", "POST /api/v1/oauth-client", "connections provider github"];
    check(&["github"], 1, &next);
    check(
        &["github", "--application", "mine"],
        1,
        &["of the application mine", "\"application\":\"mine\""],
    );
    check(&["github", "--application", "nobody"], 1, &["404", "application"]);

    let one = server.post("/api/v1/oauth-client", authority.client("mine")).await;
    let one = one["id"].as_str().unwrap();
    check(&["github", "--client", one], 64, &["is a client at oauth2, not at github"]);
    check(&["oauth2", "--client", "ocl_1"], 1, &["404"]);
    let listed = ["sends no browser to http://127.0.0.1/connected", "callback.redirect_targets"];
    check(&["oauth2", "--browser"], 1, &listed);

    let mut other = authority.client("mine");
    other["name"] = "the other".into();
    let other = server.post("/api/v1/oauth-client", other).await;
    let other = other["id"].as_str().unwrap();
    check(&["oauth2"], 64, &["several clients at oauth2", "--client", one, other, "the other"]);
    check(&["oauth2", "--user-ref", "", "--client", one], 1, &["422", "body.userRef"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_listed_used_and_ended() {
    let (server, authority) = stage(LISTED).await;
    let client = server.post("/api/v1/oauth-client", authority.client("mine")).await;
    let own = json!({ "client": client["id"] });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = server.post("/api/v1/connection", own.clone()).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let env = env(&server.url);
    let done = |words: &[&str]| {
        let done = run(&[&["connections"], words].concat(), &env);
        assert!(done.status.success(), "{words:?}: {}", stderr(&done));
        (stdout(&done), stderr(&done))
    };
    let (list, _) = done(&["list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("STATUS"), "{list}");
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].starts_with(&ids[1]) && lines[1].ends_with("active"), "{list}");
    let (one, _) = done(&["list", "--limit", "1", "--json"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(one[0]["id"], *ids[1]);
    let (none, _) = done(&["list", "--provider", "github", "--json"]);
    assert_eq!(none, "[]\n");

    let id = ids[0].as_str();
    let (page, _) = done(&["get", id]);
    assert!(page.contains(&format!("id           {id}\n")), "{page}");
    let (json, _) = done(&["get", id, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["id"], *id);
    let (token, said) = done(&["token", id]);
    assert!(authority.knows(token.trim_end()) && said.is_empty(), "{token} {said}");
    let (json, _) = done(&["token", id, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["accessToken"], token.trim_end());

    let (_, said) = done(&["revoke", id]);
    assert_eq!(said, format!("revoked {id}: the provider has forgotten the tokens\n"));
    let refused = run(&["connections", "token", id], &env);
    assert_eq!((refused.status.code(), &*stdout(&refused)), (Some(1), ""));
    assert!(stderr(&refused).contains("the connection is revoked"), "{}", stderr(&refused));
    let (revoked, _) = done(&["list", "--status", "revoked"]);
    assert!(revoked.contains(id) && !revoked.contains(&*ids[1]), "{revoked}");
    done(&["delete", id]);
    let gone = run(&["connections", "get", id], &env);
    assert!(stderr(&gone).contains("404"), "{}", stderr(&gone));
    assert_eq!(gone.status.code(), Some(1));
}
