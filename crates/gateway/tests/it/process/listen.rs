//! `ringback listen` against a server that says what the test tells it to, and against a real one.

mod proxy;
mod scripted;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::{command, run, stderr, stdout, text};
use crate::support::{Answer, PATIENCE, Receiver, Server, Settings, TOKEN};
use scripted::{Said, Scripted};

/// Listens until it ends by itself.
fn listen(url: &str, words: &[&str]) -> Output {
    run(&[&["listen", "--name", "test"], words].concat(), &env(url))
}

/// Listens until it is told to end.
fn listening(url: &str, words: &[&str]) -> Child {
    command(&[&["listen", "--name", "test"], words].concat(), &env(url))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn env(url: &str) -> [(&str, &str); 2] {
    [("RINGBACK_URL", url), ("RINGBACK_TOKEN", TOKEN)]
}

#[test]
fn bytes_headers_and_order_arrive_as_they_were_sent() {
    let receiver = Receiver::ok();
    let body: Vec<u8> = (0..=255).chain(*b"\r\n\0{}").collect();
    let sent = body.clone();
    let server = Scripted::start(201, move |_, connection| {
        connection.hello(3);
        let headers = json!([
            ["x-b", "2"],
            ["x-a", "1"],
            ["x-b", "3"],
            ["host", "hooks.example"],
            ["content-type", "application/octet-stream"],
            ["x-name", "é"],
        ]);
        connection.event("msg_1", json!({ "headers": headers, "target": "?a=b&c=%20" }), &sent);
        connection.event("msg_2", json!({ "method": "GET" }), b"");
        connection.event("msg_3", json!({ "method": "PUT" }), b"three");
        assert_eq!(connection.acknowledged("msg_3"), ["msg_1", "msg_2", "msg_3"]);
        assert_eq!(connection.next(), Said::Gone(true));
        true
    });
    let url = receiver.url();
    let output = listen(&server.url, &["github", "--forward", &url, "--once", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let receipts = receiver.receipts();
    let methods: Vec<&str> = receipts.iter().map(|receipt| receipt.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "PUT"]);
    let first = &receipts[0];
    assert_eq!(
        (&first.body[..], first.path.as_str(), first.query.as_str()),
        (&body[..], "/hook", "a=b&c=%20")
    );
    let names: Vec<&str> = first.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["host", "x-b", "x-a", "content-type", "x-name", "content-length"]);
    let twice: Vec<_> = first.headers.get_all("x-b").iter().collect();
    assert_eq!(twice, ["2", "3"]);
    assert_eq!(first.headers["x-name"].as_bytes(), "é".as_bytes());
    assert_eq!(first.header("host"), receiver.address.to_string());
    let shown = stdout(&output);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.contains("→ 204") && !shown.contains('\x1b'), "{shown}");
    assert!(stderr(&output).contains("3 events behind"), "{}", stderr(&output));
    let (line, terms) = &server.requests()[0];
    assert_eq!(line, "PUT /api/v1/listener/test");
    assert_eq!((&terms["sources"], &terms["shared"]), (&json!(["github"]), &json!(false)));
}

#[test]
fn a_connection_that_breaks_costs_no_event_and_brings_none_twice() {
    let receiver = Receiver::ok();
    let server = Scripted::start(201, |number, connection| {
        connection.hello(0);
        match number {
            0 => {
                connection.event("msg_1", json!({}), b"1");
                connection.event("msg_2", json!({}), b"2");
                connection.acknowledged("msg_2");
                connection.half_an_event("msg_3");
                false
            }
            1 => {
                assert!(connection.query.contains("after=msg_2"), "{}", connection.query);
                // As if the last acknowledgements had been lost.
                for id in ["msg_1", "msg_2", "msg_3"] {
                    connection.event(id, json!({}), &id.as_bytes()[4..]);
                }
                connection.acknowledged("msg_3");
                connection.close(1001, "stopping");
                false
            }
            _ => {
                assert!(connection.query.contains("after=msg_3"), "{}", connection.query);
                connection.event("msg_4", json!({}), b"4");
                connection.acknowledged("msg_4");
                true
            }
        }
    });
    let url = receiver.url();
    let output = listen(&server.url, &["--forward", &url, "--once", "4", "--print", "quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let bodies: Vec<_> = receiver.receipts().iter().map(|receipt| receipt.body.clone()).collect();
    assert_eq!(bodies, ["1", "2", "3", "4"]);
    let said = stderr(&output);
    assert_eq!(said.matches("connection lost").count(), 2, "{said}");
    assert_eq!(said.matches("connected again after").count(), 2, "{said}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_place_that_was_moved_counts_more_than_ours() {
    let receiver = Receiver::ok();
    let server = Scripted::start(201, |number, connection| {
        connection.hello(0);
        if number > 0 {
            assert!(!connection.query.contains("after"), "{}", connection.query);
        }
        connection.event("msg_1", json!({}), b"1");
        connection.acknowledged("msg_1");
        if number == 0 {
            connection.close(4004, "moved");
        }
        number > 0
    });
    let url = receiver.url();
    let output = listen(&server.url, &["--forward", &url, "--once", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    assert_eq!(receiver.count(), 2);
}

#[test]
fn who_is_not_there_yet_is_waited_for() {
    // A port where nobody listens, until somebody does.
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let server = Scripted::start(201, |_, connection| {
        connection.hello(0);
        connection.event("msg_1", json!({}), b"1");
        connection.event("msg_2", json!({}), b"2");
        assert_eq!(connection.acknowledged("msg_2"), ["msg_1", "msg_2"]);
        true
    });
    let url = format!("http://{address}/");
    let mut child = listening(&server.url, &["--forward", &url, "--once", "2"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = lines.find(|line| line.as_ref().unwrap().contains("nobody takes msg_1"));
    assert!(told.unwrap().unwrap().contains("connection refused"));
    let receiver = Receiver::at(address, |_, _| Answer::status(500));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    server.finished();
    let bodies: Vec<_> = receiver.receipts().iter().map(|receipt| receipt.body.clone()).collect();
    assert_eq!(bodies, ["1", "2"]);
}

#[test]
fn what_is_given_up_is_acknowledged_or_given_back() {
    for (words, expected) in
        [(&["--once", "1"][..], "ack"), (&["--once", "1", "--group", "g"], "nack")]
    {
        let server = Scripted::start(201, move |_, connection| {
            connection.hello(0);
            connection.event("msg_1", json!({}), b"1");
            assert_eq!(connection.next(), Said::Text(json!({ "type": expected, "id": "msg_1" })));
            true
        });
        let words = [&["listen", "--forward", "http://127.0.0.1:1/", "--give-up", "1ms"], words];
        let output = run(&words.concat(), &env(&server.url));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        server.finished();
        assert!(stdout(&output).contains("given"), "{}", stdout(&output));
    }
}

#[test]
fn a_program_gets_what_providers_write_and_runs_none_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = "cat > body; env > env; touch ran; exit 7";
    let server = Scripted::start(201, |_, connection| {
        connection.hello(0);
        let headers = json!([
            ["x-a", "$(touch x) `touch x`; touch x"],
            ["x-b", "1\n2"],
            ["path", "/nowhere"],
        ]);
        let more =
            json!({ "headers": headers, "eventType": "'; touch x; '", "target": "?$(touch x)" });
        connection.event("msg_1", more, b"\xff$(touch x)\n");
        connection.acknowledged("msg_1");
        true
    });
    let words = ["listen", "--once", "1", "--exec", "sh", "-c", script, "$(touch x)"];
    let output = command(&words, &env(&server.url)).current_dir(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    assert_eq!(read("body"), b"\xff$(touch x)\n");
    assert!(directory.path().join("ran").exists() && !directory.path().join("x").exists());
    let env = String::from_utf8(read("env")).unwrap();
    for line in [
        "RINGBACK_EVENT_ID=msg_1",
        "RINGBACK_EVENT_TYPE='; touch x; '",
        "RINGBACK_SOURCE=GitHub",
        "RINGBACK_TARGET=?$(touch x)",
        "RINGBACK_HEADER_X_A=$(touch x) `touch x`; touch x",
        "RINGBACK_HEADER_X_B=1\n2",
        "RINGBACK_HEADER_PATH=/nowhere",
    ] {
        assert!(env.contains(&format!("{line}\n")), "{line} in {env}");
    }
    assert!(!env.contains(TOKEN), "{env}");
    assert!(stdout(&output).contains("exit 7"), "{}", stdout(&output));
}

#[test]
fn no_more_than_the_bound_are_under_way_and_places_move_in_order() {
    const EACH: Duration = Duration::from_millis(200);
    let receiver = Receiver::with(|_, _| Answer::Slowly(200, EACH));
    let server = Scripted::start(201, |_, connection| {
        connection.hello(0);
        (1..=6).for_each(|n| connection.event(&format!("msg_{n}"), json!({}), b"{}"));
        let acknowledged = connection.acknowledged("msg_6");
        assert!(acknowledged.is_sorted(), "{acknowledged:?}");
        true
    });
    let url = receiver.url();
    let output = listen(&server.url, &["--forward", &url, "--concurrency", "2", "--once", "6"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let at: Vec<_> = receiver.receipts().iter().map(|receipt| receipt.at).collect();
    // Two at once, and the third only when one of them has its answer.
    assert!(at[1] - at[0] < EACH, "{at:?}");
    at.windows(3).for_each(|at| assert!(at[2] - at[0] >= EACH, "{at:?}"));
}

#[test]
fn no_more_programs_run_than_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    // Two places: whoever finds none is one too many. The first waits until both were taken once.
    let script = "if mkdir one; then place=one; elif mkdir two; then place=two; touch both; \
                  else touch third; exit 1; fi; while ! [ -e both ]; do :; done; \
                  sleep 0.1; rmdir $place";
    let server = Scripted::start(201, |_, connection| {
        connection.hello(0);
        (1..=6).for_each(|n| connection.event(&format!("msg_{n}"), json!({}), b"{}"));
        connection.acknowledged("msg_6");
        true
    });
    let words = ["listen", "--concurrency", "2", "--once", "6", "--json", "--exec", "sh", "-c"];
    let words = [&words[..], &[script]].concat();
    let output = command(&words, &env(&server.url)).current_dir(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let exits: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"]["exitCode"].clone())
        .collect();
    assert_eq!(exits, [0; 6], "{}", stdout(&output));
    let exists = |name: &str| directory.path().join(name).exists();
    assert!(exists("both") && !exists("third"));
}

#[test]
fn answers_go_back_and_files_are_requests() {
    let directory = tempfile::tempdir().unwrap();
    let headers = vec![("content-type", "text/xml".to_owned())];
    let body = bytes::Bytes::from_static(b"\xff<Response/>");
    let receiver = Receiver::with(move |_, _| Answer::Whole(202, headers.clone(), body.clone()));
    let server = Scripted::start(201, |_, connection| {
        connection.hello(0);
        connection.event("msg_1", json!({ "answerWithin": 60000 }), b"{}");
        let Said::Answer(head, body) = connection.next() else { panic!("no answer") };
        assert_eq!((&head["id"], &head["status"]), (&json!("msg_1"), &json!(202)));
        assert!(head["headers"].as_array().unwrap().contains(&json!(["content-type", "text/xml"])));
        assert_eq!(body, b"\xff<Response/>");
        connection.acknowledged("msg_1");
        true
    });
    let (url, files) = (receiver.url(), text(directory.path()));
    let output = listen(
        &server.url,
        &["--forward", &url, "--answer", "--once", "1", "--record", files, "--json"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.finished();
    let told: Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    assert_eq!((&told["id"], &told["body"]), (&json!("msg_1"), &json!("{}")));
    assert_eq!(told["outcome"]["status"], 202);
    assert_eq!(server.requests()[0].1["answers"], true);
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    let words = ["verify", "--provider", "github", "--secret", "made-up", "--request", text(&file)];
    let judged = run(&words, &[]);
    assert!(stdout(&judged).contains("missing_header"), "{}{}", stdout(&judged), stderr(&judged));
}

#[test]
fn ends_and_exit_codes() {
    let url = "http://127.0.0.1:1";
    for (words, code, told) in [
        (&["--forward", "ftp://localhost"][..], 64, "http and https"),
        (&["--forward", "localhost"], 64, "--forward"),
        (&["--filter", "{"], 64, "--filter is not JSON"),
        (&["--timeout", "soon"], 64, "such as 500ms"),
        (&["--answer"], 64, "--forward"),
        (&["--since", "now", "--skip"], 64, "--skip"),
        (&[], 1, "cannot connect"),
    ] {
        let output = listen(url, words);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told) && !said.contains(TOKEN), "{words:?}: {said}");
    }
    let refuses = Scripted::start(401, |_, _| true);
    let output = listen(&refuses.url, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("401"), "{}", stderr(&output));
    for (code, told) in [(4001, "--name"), (4002, "operator"), (4003, "deleted")] {
        let server = Scripted::start(201, move |_, connection| {
            connection.hello(0);
            connection.close(code, "because");
            true
        });
        let output = listen(&server.url, &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(told) && said.contains("because"), "{code}: {said}");
        server.finished();
    }
}

#[test]
fn a_place_is_sought_where_the_listener_was_there_before() {
    for (status, words, expected) in [
        (200, &["--skip"][..], Some(json!({ "to": "now" }))),
        (200, &["--since", "start"], Some(json!({ "to": "start" }))),
        (201, &["--since", "start"], None),
        (200, &[], None),
    ] {
        let server = Scripted::start(status, |_, connection| {
            connection.hello(0);
            connection.event("msg_1", json!({}), b"{}");
            connection.acknowledged("msg_1");
            true
        });
        let output = listen(&server.url, &[words, &["--once", "1"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let mut requests = server.requests().into_iter();
        let (_, terms) = requests.next().unwrap();
        assert_eq!(terms.get("from").is_some(), !words.is_empty(), "{terms}");
        let sought = requests.next().map(|(line, body)| {
            assert_eq!(line, "POST /api/v1/listener/lsn_made_up/seek");
            body
        });
        assert_eq!(sought, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_may_be_killed_meanwhile() {
    use super::trigger::of;
    use crate::listen::{SECRET, body, send, source};
    const EACH: usize = 15;
    let mut server = Server::start(Settings::default());
    let path = source(&server, "github", "hub", json!({})).await;
    let receiver = Receiver::ok();
    let url = receiver.url();
    let words = ["hub", "--forward", &url, "--once", "30"];
    let mut child = listening(&server.url, &words);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = |what: &str| lines.find_map(|line| line.ok().filter(|line| line.contains(what)));
    assert!(told("listening as test to hub").is_some());
    for number in 0..EACH {
        send(&server, &path, "push", &number.to_string(), &body(number)).await;
    }
    receiver.arrived(1).await;
    server.kill();
    assert!(told("connection lost").is_some());
    server.restart_in_place();
    for number in EACH..2 * EACH {
        send(&server, &path, "push", &number.to_string(), &body(number)).await;
    }
    assert!(told("connected again").is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let arrived: Vec<_> = receiver.receipts().iter().map(|receipt| receipt.body.clone()).collect();
    let sent: Vec<_> = (0..2 * EACH).map(body).collect();
    assert_eq!(arrived, sent);
    let first = &receiver.receipts()[0];
    assert_eq!(first.header("x-github-event"), "push");
    // The provider's own signature, and it fits what arrived.
    let file = server.data().join("request.json");
    std::fs::write(&file, of(first).to_string()).unwrap();
    let words = ["verify", "--provider", "github", "--secret", SECRET, "--request", text(&file)];
    let judged = run(&words, &[]);
    assert!(judged.status.success(), "{}{}", stdout(&judged), stderr(&judged));
    // Everything was acknowledged before it ended; the server writes that down soon.
    let begun = tokio::time::Instant::now();
    loop {
        let listener = server.get("/api/v1/listener/test").await;
        if listener["behind"] == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{listener}");
    }
}
