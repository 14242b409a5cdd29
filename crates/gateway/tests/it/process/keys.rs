//! `ringback keys`: the key that seals is replaced while everything goes on.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use http::Method;
use ringback_domain::signature::SigningKey;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{raw, run_on, stderr, stdout};
use crate::{
    delivery::verify,
    support::{Receiver, Server, Settings},
};

/// Endpoints that get nothing; more than are resealed at once.
const QUIET: usize = 150;

/// Runs `ringback keys …` with `--json` on the server's data.
fn keys(server: &Server, word: &str, env: &[(&str, &str)]) -> Result<Value, String> {
    let output = run_on(server, &["keys", word, "--json"], env);
    if output.status.code() != Some(0) {
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        return Err(stderr(&output));
    }
    Ok(serde_json::from_str(&stdout(&output)).unwrap())
}

/// Waits until the old keys have sealed nothing that is there; returns the list.
fn resealed(server: &Server) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let listed = keys(server, "list", &[]).unwrap();
        let listed = listed.as_array().unwrap();
        let old = &listed[1..];
        assert!(old.iter().all(|key| key["seals"] == false && key["atHand"] == true), "{old:?}");
        if old.iter().all(|key| key["values"] == 0) {
            return listed.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{old:?}");
    }
}

/// An application with one endpoint that gets everything, and many that get nothing.
async fn endpoints(server: &Server, receiver: &Receiver, secret: &str) -> String {
    let app = server.post("/api/v1/app", json!({ "name": "test" })).await;
    let path = format!("/api/v1/app/{}/endpoint", app["id"].as_str().unwrap());
    let url = receiver.url().replace("//", "//made-up:made-up@");
    let headers = json!({ "x-made-up": "a value" });
    let access = json!({ "type": "apiKey", "header": "x-open", "value": "made-up-key" });
    let endpoint = json!({ "url": url, "secret": secret, "headers": headers, "access": access });
    server.post(&path, endpoint).await;
    for _ in 0..QUIET {
        let quiet = json!({ "url": receiver.url(), "filterTypes": ["never.sent"] });
        server.post(&path, quiet).await;
    }
    format!("/api/v1/app/{}/msg", app["id"].as_str().unwrap())
}

/// Sends one message after the other until it is told to end; how many were taken.
fn sending(server: &Server, path: &str, mut done: watch::Receiver<bool>) -> JoinSet<usize> {
    let (client, path) = (server.client(), path.to_owned());
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        let mut sent = 0;
        while !*done.borrow_and_update() {
            let body = json!({ "eventType": "a", "payload": { "number": sent } });
            let answer = client.call(Method::POST, &path, Some(body.to_string().into())).await;
            assert_eq!(answer.unwrap().status, 202);
            sent += 1;
        }
        sent
    });
    sending
}

/// Everything that arrived is signed with the secret and has the header, the credentials and the key.
fn check(receiver: &Receiver, secret: &str) {
    for receipt in receiver.receipts() {
        verify(secret, &receipt).unwrap();
        assert_eq!(receipt.header("x-made-up"), "a value");
        assert!(receipt.header("authorization").starts_with("Basic "));
        assert_eq!(receipt.header("x-open"), "made-up-key");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_replaced_while_messages_go_out() {
    let receiver = Receiver::ok();
    let mut server = Server::start(Settings::default());
    let secret = SigningKey::hmac(b"made-up-secret-of-an-endpoint!!!").unwrap().to_secret();
    let path = endpoints(&server, &receiver, &secret).await;
    let file = server.data().join("master.key");
    let first = std::fs::read_to_string(&file).unwrap();

    let (end, done) = watch::channel(false);
    let sent = sending(&server, &path, done);
    let rotated = keys(&server, "rotate", &[]).unwrap();
    server.wait_for_log("secrets were sealed anew");
    let listed = resealed(&server);
    end.send(true).unwrap();
    let mut sent: usize = sent.join_all().await.into_iter().sum();
    receiver.arrived(sent).await;
    check(&receiver, &secret);
    assert_eq!((listed.len(), &listed[0]["id"]), (2, &rotated["id"]));
    assert_eq!(listed[0]["seals"], true);
    // Each endpoint's secret, the headers, the credentials, what opens it and the canary.
    assert_eq!(listed[0]["values"], QUIET + 5);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().ends_with(&first), "the old one is behind it");
    let early = keys(&server, "retire", &[]).unwrap_err();
    assert!(early.contains("less than 60 s ago"), "{early}");

    // A crash at any moment loses nothing: the next process goes on.
    keys(&server, "rotate", &[]).unwrap();
    server.kill();
    server.restart();
    assert_eq!(resealed(&server).len(), 3);
    let retired = keys(&server, "retire", &[]).unwrap();
    assert_eq!(retired["ids"].as_array().unwrap().len(), 2);
    assert!(retired["ids"].as_array().unwrap().contains(&rotated["id"]));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1);
    let nothing = keys(&server, "retire", &[]).unwrap_err();
    assert!(nothing.contains("there is no old key"), "{nothing}");

    // Nothing needs the old ones any more, nor what a process remembered of them.
    assert!(server.stop().success());
    server.restart();
    server.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    sent += 1;
    receiver.arrived(sent).await;
    check(&receiver, &secret);
    let log = run_on(&server, &["audit", "--json"], &[]);
    let log: Value = serde_json::from_str(&stdout(&log)).unwrap();
    let about_keys = log.as_array().unwrap().iter().map(|entry| &entry["operation"]);
    let about_keys: Vec<_> =
        about_keys.filter_map(Value::as_str).filter(|it| it.starts_with("key.")).collect();
    assert_eq!(about_keys, ["key.retire", "key.rotate", "key.rotate"]);

    // Without a server the command does all of it, where no other server can be at work.
    assert!(server.stop().success());
    let rotated = keys(&server, "rotate", &[]);
    if server.store().url().is_some() {
        let refused = rotated.unwrap_err();
        assert!(refused.contains("through the server"), "{refused}");
        return;
    }
    rotated.unwrap();
    let listed = keys(&server, "list", &[]).unwrap();
    assert_eq!((&listed[0]["values"], &listed[1]["values"]), (&json!(QUIET + 5), &json!(0)));
    keys(&server, "retire", &[]).unwrap();
    server.restart();
    server.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    receiver.arrived(sent + 1).await;
    check(&receiver, &secret);
    let texts = [first.trim().to_owned(), text.trim().to_owned()];
    assert!(texts.iter().all(|text| !server.log().contains(text)), "no key is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_a_setting_is_replaced_by_settings() {
    let receiver = Receiver::ok();
    let (old, new) = ("1a".repeat(32), "2b".repeat(32));
    let settings = Settings::default().env("RINGBACK_SECRETS_KEY", &old);
    let mut server = Server::start(settings);
    let secret = SigningKey::hmac(b"made-up-secret-of-an-endpoint!!!").unwrap().to_secret();
    let path = endpoints(&server, &receiver, &secret).await;
    let refused = keys(&server, "rotate", &[]).unwrap_err();
    assert!(refused.contains("secrets.previous_keys"), "{refused}");
    assert!(server.stop().success());

    let (data, store) = (Some(server.data().to_owned()), Some(server.store().clone()));
    let settings = Settings { data, store, ..Settings::default() };
    let mut both = Server::start(
        settings
            .clone()
            .env("RINGBACK_SECRETS_KEY", &new)
            .env("RINGBACK_SECRETS_PREVIOUS_KEYS", &old),
    );
    both.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    assert_eq!(resealed(&both).len(), 2);
    assert!(both.stop().success());
    let alone = Server::start(settings.env("RINGBACK_SECRETS_KEY", &new));
    alone.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    receiver.arrived(2).await;
    check(&receiver, &secret);
}

/// What was answered with a secret is answered again for a day: until then its key is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_for_answers_that_may_be_asked_for_again() {
    let mut server = Server::start(Settings::default());
    let body = json!({ "name": "test", "uid": "test", "type": "github" });
    let ask = |server: &Server| {
        let path = "/ingest/api/v1/source";
        let (status, _, answer) = raw(server, path, "idempotency-key: made-up\r\n", &body);
        assert_eq!(status, 201, "{answer}");
        answer
    };
    let answered = ask(&server);
    keys(&server, "rotate", &[]).unwrap();
    server.kill();
    server.restart();
    let listed = resealed(&server);
    assert_eq!((&listed[0]["answers"], &listed[1]["answers"]), (&json!(0), &json!(1)));
    let needed = keys(&server, "retire", &[]).unwrap_err();
    assert!(needed.contains("1 answers to repeated requests"), "{needed}");
    assert_eq!(ask(&server), answered);
}
