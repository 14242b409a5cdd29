//! `ringback dev` and `ringback send`.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{command, run, stderr, stdout, text};
use crate::support::{Receiver, Server, Settings, TOKEN};

#[test]
fn dev_shows_a_sample_that_arrived() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let words = ["dev", "--listen", "127.0.0.1:0", "--data", text(&data)];
    // Twice: the second time the sample is there already.
    for _ in 0..2 {
        let mut child = command(&words, &[("NO_COLOR", "1")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut shown = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !shown.contains("Ctrl-C ends") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended early: {shown}")).unwrap();
            shown.push_str(&line);
            shown.push('\n');
        }
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let status = child.wait().unwrap();
        assert!(shown.starts_with("listening on http://127.0.0.1:"), "{shown}");
        assert!(shown.contains("Sample event delivered in"), "{shown}");
        assert!(shown.contains("✓ signature verified"), "{shown}");
        assert!(shown.contains("webhook-signature") && shown.contains("v1,"), "{shown}");
        assert!(shown.contains("200 OK"), "{shown}");
        assert!(shown.contains("rbt_"), "the token: {shown}");
        assert!(shown.contains("/explain"), "{shown}");
        assert_eq!(status.code(), Some(0), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_posts_a_message() {
    let receiver = Receiver::ok();
    let server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    let env = [("RINGBACK_URL", server.url.as_str()), ("RINGBACK_TOKEN", TOKEN)];
    let payload = r#"{"b": 1.50, "a": 2}"#;
    let sent = run(&["send", &app, "invoice.paid", payload], &env);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let id = stdout(&sent).trim().to_owned();
    assert!(id.starts_with("msg_"), "{id}");
    let receipt = receiver.wait_for(1).remove(0);
    assert_eq!(receipt.id(), id);
    assert_eq!(receipt.body, payload);

    let file = server.data().with_extension("json");
    std::fs::write(&file, "{\"from\":\"a file\"}\n").unwrap();
    let sent = run(&["send", &app, "invoice.paid", &format!("@{}", text(&file)), "--json"], &env);
    let answer: Value = serde_json::from_str(&stdout(&sent)).unwrap();
    assert_eq!(answer["payload"], json!({ "from": "a file" }));
    receiver.wait_for(2);

    let [url, _] = env;
    for (words, env, code, told) in [
        (vec![&*app, "a", "{"], &env[..], 64, "not JSON"),
        (vec![&*app, "a", "@/nowhere"], &env, 64, "/nowhere"),
        (vec!["unknown", "a"], &env, 1, "404"),
        (vec![&*app, "a"], &[url, ("RINGBACK_TOKEN", "wrong-0123456789")], 1, "401"),
        (vec![&*app, "a", "--url", "http://127.0.0.1:1"], &env, 1, "cannot connect"),
        (vec![&*app, "a", "--url", "nowhere"], &env, 64, "not the URL"),
        (vec![&*app, "a"], &[url], 64, "RINGBACK_TOKEN"),
    ] {
        let refused = run(&[&["send"], &words[..]].concat(), env);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told) && !said.contains(TOKEN), "{words:?}: {said}");
    }
    assert_eq!(receiver.receipts().len(), 2);
}
