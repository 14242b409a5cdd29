//! What a newcomer runs into says what to do next.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use super::{command, run, run_on, stderr, stdout, text};
use crate::support::{Receiver, Server, Settings, TOKEN};

/// Runs `ringback send app a` in a folder.
fn send_in(folder: &std::path::Path, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let sent = command(&["send", "app", "a"], env).current_dir(folder).output().unwrap();
    (sent.status.code(), stdout(&sent), stderr(&sent))
}

#[test]
fn nobody_there_is_told_with_how_to_start() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let env = [("RINGBACK_URL", &*url), ("RINGBACK_TOKEN", TOKEN)];
    for words in [&["send", "app", "a"][..], &["sample", "github"], &["connections", "list"]] {
        let refused = run(words, &env);
        assert_eq!((refused.status.code(), &*stdout(&refused)), (Some(1), ""), "{words:?}");
        let told = stderr(&refused);
        assert!(told.contains("is the server running? `ringback dev`"), "{told}");
        assert!(told.contains(&url) && told.contains("RINGBACK_URL"), "{told}");
    }
}

/// The token of a development server is found in its folder, and goes nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_given_is_looked_for_in_the_folder() {
    let receiver = Receiver::ok();
    let server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let url = ("RINGBACK_URL", &*server.url);
    let (code, out, told) = send_in(folder.path(), &[url]);
    assert_eq!((code, &*out), (Some(64), ""), "{told}");
    for part in ["RINGBACK_TOKEN", "ringback-data/dev-token", "$(ringback token create)"] {
        assert!(told.contains(part), "no {part} in {told}");
    }

    let made = run_on(&server, &["token", "create"], &[]);
    let data = folder.path().join("ringback-data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("dev-token"), &made.stdout).unwrap();
    let words = ["send", &*app, "a"];
    for env in [&[url][..], &[url, ("RINGBACK_TOKEN", "")]] {
        let sent = command(&words, env).current_dir(folder.path()).output().unwrap();
        assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    }
    // Where the data directory has another name, it is found by that.
    let elsewhere = [url, ("RINGBACK_DATA", text(&data))];
    assert_eq!(run(&words, &elsewhere).status.code(), Some(0));
    receiver.wait_for(3);

    // What is given counts, even if it is wrong.
    let wrong = [url, ("RINGBACK_TOKEN", "wrong-0123456789")];
    let (code, _, told) = send_in(folder.path(), &wrong);
    assert_eq!(code, Some(1));
    assert!(told.contains("401") && told.contains("`ringback token create`"), "{told}");
    // Another machine is not given it: the name is not even looked for.
    let (code, _, told) = send_in(folder.path(), &[("RINGBACK_URL", "http://ringback.invalid")]);
    assert_eq!(code, Some(64));
    assert!(told.contains("no token for http://ringback.invalid"), "{told}");
    let token = stdout(&made);
    assert!(!told.contains(token.trim()), "{told}");
    fs::write(data.join("dev-token"), "broken").unwrap();
    assert_eq!(send_in(folder.path(), &[url]).0, Some(64), "what is no token is not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_what_would_be_taken() {
    let server = Server::start(Settings::default());
    let (app, _) = server.application("http://127.0.0.1:9/").await;
    let made = run_on(&server, &["token", "create", "--role", "read"], &[]);
    let reading = stdout(&made);
    let told = |words: &[&str], token: &str| {
        let refused = run(words, &[("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", token)]);
        assert_eq!((refused.status.code(), &*stdout(&refused)), (Some(1), ""), "{words:?}");
        stderr(&refused)
    };
    let forbidden = told(&["send", &app, "a"], reading.trim());
    assert!(forbidden.contains("403") && forbidden.contains("--role"), "{forbidden}");
    let unknown = told(&["send", "nobody", "a"], TOKEN);
    assert!(unknown.contains("404") && unknown.contains("environment"), "{unknown}");
    // Whatever listens there, it is no Ringback.
    let other = Receiver::with(|_, _| crate::support::Answer::status(404));
    let env = [("RINGBACK_URL", &*other.url()), ("RINGBACK_TOKEN", TOKEN)];
    let refused = run(&["send", "app", "a"], &env);
    assert!(stderr(&refused).contains("no answer of a Ringback server"), "{}", stderr(&refused));
    let source = json!({ "name": "made up", "uid": "github", "type": "github", "config": { "secret": "made-up" } });
    server.post("/ingest/api/v1/source", source).await;
    let event = told(&["sample", "github", "--event", "x"], TOKEN);
    assert!(event.contains("there is no such sample") && event.contains("push"), "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_is_told_with_a_way_around() {
    let server = Server::start(Settings::default());
    let held = run_on(&server, &["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(held.status.code(), Some(75));
    assert!(stderr(&held).contains("another directory with --data"), "{}", stderr(&held));
    let folder = tempfile::tempdir().unwrap();
    let listen = server.url.strip_prefix("http://").unwrap();
    let taken = run(&["serve", "--listen", listen, "--data", text(folder.path())], &[]);
    assert_eq!(taken.status.code(), Some(1), "{}", stderr(&taken));
    assert!(stderr(&taken).contains("takes a free port"), "{}", stderr(&taken));
}

#[test]
fn a_name_that_nothing_has_is_told_with_what_was_meant() {
    for (words, meant) in [
        (&["providers", "show", "gihtub"][..], "did you mean github?"),
        (&["providers", "sign", "strpie"], "did you mean stripe?"),
        (&["destinations", "show", "slakc"], "did you mean slack?"),
        (&["connections", "provider", "gogle"], "did you mean google?"),
        (&["verify", "--provider", "shopfy", "--request", "-"], "did you mean shopify?"),
        (&["providers", "show", "pigeon"], "`ringback providers` lists them"),
    ] {
        let unknown = run(words, &[]);
        assert_eq!((unknown.status.code(), &*stdout(&unknown)), (Some(64), ""), "{words:?}");
        assert!(stderr(&unknown).contains(meant), "{words:?}: {}", stderr(&unknown));
    }
}
