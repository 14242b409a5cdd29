//! `ringback inspect` and `ringback tail`: what arrives, while it arrives.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{command, run, stderr};
use crate::support::{Receiver, Server, Settings, TOKEN};

/// A command that goes on, and its output.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(server: &Server, words: &[&str]) -> Running {
        let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
        let mut command = command(words, &env);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it ended early").unwrap()
    }

    /// Lines until one has this.
    fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all += &self.line();
            all.push('\n');
        }
        all
    }

    fn interrupt(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends to a source's URL.
async fn call(server: &Server, url: &str, method: Method, body: &'static str) -> (u16, String) {
    let path = &url[url.find("/in/").unwrap()..];
    let headers = [("content-type", "application/json"), ("x-mine", "yes")];
    let answer = server.client().send(method, path, headers, body.into()).await.unwrap();
    (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
}

async fn sources(server: &Server) -> Vec<Value> {
    server.get("/ingest/api/v1/source").await["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_is_shown_and_the_url_is_thrown_away() {
    let server = Server::start(Settings::default());
    let words = ["inspect", "--status", "202", "--body", "{\"ok\":true}", "--header", "x-a: b"];
    let mut inspect = Running::start(&server, &words);
    let url = inspect.line();
    let (status, body) = call(&server, &url, Method::PUT, "{\"b\":[1]}").await;
    assert_eq!((status, &*body), (202, "{\"ok\":true}"));
    let shown = inspect.until("\n}");
    assert!(shown.contains("PUT /  20"), "{shown}");
    assert!(shown.contains("x-mine: yes\n"), "{shown}");
    assert!(shown.contains("{\n  \"b\": [\n    1\n  ]\n}"), "{shown}");
    // The same once more is shown once more.
    call(&server, &format!("{url}?q=1"), Method::GET, "").await;
    assert!(inspect.until("x-mine").contains("GET ?q=1"));
    assert_eq!(inspect.interrupt(), Some(0));
    assert!(sources(&server).await.is_empty());
    assert!(server.get("/api/v1/listener").await["data"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_one_left_is_deleted_and_what_is_kept_is_not() {
    let server = Server::start(Settings::default());
    let old = json!({
        "name": "inspect", "type": "generic-webhook", "metadata": { "ringback-inspect-until": "1" },
    });
    server.post("/ingest/api/v1/source", old).await;
    let mut inspect = Running::start(&server, &["inspect", "--keep", "--count", "1", "--json"]);
    let told: Value = serde_json::from_str(&inspect.line()).unwrap();
    let url = told["url"].as_str().unwrap();
    call(&server, url, Method::POST, "{\"a\": 1}").await;
    let event: Value = serde_json::from_str(&inspect.line()).unwrap();
    assert_eq!(event["body"], "{\"a\": 1}");
    assert_eq!(inspect.child.wait().unwrap().code(), Some(0));
    let left = sources(&server).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["id"], &left[0]["metadata"]), (&told["source"], &json!({})));
    for (words, code, what) in [
        (&["inspect", "--status", "500"][..], 64, "500"),
        (&["inspect", "--header", "x"], 64, "NAME:VALUE"),
        (&["inspect", "--url", "http://127.0.0.1:1"], 1, "cannot connect"),
    ] {
        let output = run(words, &[("RINGBACK_TOKEN", TOKEN)]);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(what), "{words:?}: {}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_log_has_a_line_for_each_and_comes_again() {
    let mut server = Server::start(Settings::default());
    let receiver = Receiver::ok();
    let (app, endpoint) = server.application(&receiver.url()).await;
    let mut tail = Running::start(&server, &["tail", "--event-type", "a.b"]);
    let message = || json!({ "eventType": "a.b", "payload": {} });
    let path = format!("/api/v1/app/{app}/msg");
    // Nothing is told to whoever does not look yet, so something happens until they do.
    let first = look(&server, &path, &mut tail, message).await;
    assert!(first.contains(" message a.b → 1 endpoints msg_"), "{first}");
    let attempt = tail.until("attempt");
    assert!(attempt.contains("#1 delivered 204"), "{attempt}");
    assert!(attempt.contains(&format!("→ {endpoint} msg_")), "{attempt}");

    // The server goes away and comes again: that is said, loudly.
    let mut said = BufReader::new(tail.child.stderr.take().unwrap()).lines();
    server.kill();
    let loud = said.next().unwrap().unwrap();
    assert!(loud.starts_with("DISCONNECTED: "), "{loud}");
    server.restart_in_place();
    while !said.next().unwrap().unwrap().starts_with("connected again") {}
    server.post(&path, message()).await;
    tail.until("message a.b");
    assert_eq!(tail.interrupt(), Some(0));

    for (words, code, what) in [
        (&["tail", "--application", "none"][..], 1, "404"),
        (&["tail", "--what", "x"], 64, "request"),
        (&["tail", "--url", "http://127.0.0.1:1"], 1, "cannot connect"),
    ] {
        let env = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
        let output = run(words, &env);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(what), "{words:?}: {}", stderr(&output));
    }
}

/// The first line about messages that are sent until there is one.
async fn look(
    server: &Server,
    path: &str,
    tail: &mut Running,
    message: impl Fn() -> Value,
) -> String {
    std::thread::scope(|scope| {
        let line = scope.spawn(|| tail.until(" message "));
        let runtime = tokio::runtime::Handle::current();
        while !line.is_finished() {
            tokio::task::block_in_place(|| runtime.block_on(server.post(path, message())));
        }
        line.join().unwrap()
    })
}
