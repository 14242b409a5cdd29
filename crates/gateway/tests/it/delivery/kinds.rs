//! Every kind of destination that speaks HTTP, before a receiver that has its good and its bad days.
//!
//! What is sent is the example of the kind's file, so that a new file is tested without a word here.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ringback_domain::destination::{Kind, example::EVENT};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Bench, schedule, text};
use crate::support::{Answer, Receipt, Receiver};

/// A receiver that answers the first request so, the second so, and every later one as the last.
fn script(answers: Vec<Answer>) -> Receiver {
    let next = AtomicUsize::new(0);
    Receiver::with(move |_, _| {
        let at = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        answers[at].clone()
    })
}

fn success(kind: &Kind) -> Answer {
    Answer::Body(Bytes::from(kind.example.answer.clone()))
}

/// The kind's example as it is posted to the API, at this receiver.
fn example(kind: &Kind, receiver: &Receiver) -> Value {
    let origin = format!("http://{}", receiver.address);
    let here = |value: &str| match Url::parse(value) {
        Ok(url) if url.scheme() == "https" => {
            let host = format!("https://{}", url.host_str().unwrap());
            value.replacen(&host, &origin, 1)
        }
        _ => value.to_owned(),
    };
    let settings = kind.example.settings.iter();
    let mut config: Map<String, Value> =
        settings.map(|(name, value)| (name.clone(), here(value).into())).collect();
    if kind.settings.iter().any(|setting| setting.name == "url") {
        config.entry("url").or_insert(origin.into());
    }
    config.insert("fields".to_owned(), kind.example.fields.clone());
    json!({ "type": kind.id, "config": config })
}

/// Sends the event of every example to it alone.
async fn send(bench: &Bench, destination: &Value) -> (String, String) {
    let endpoint =
        text(&bench.server.post(&bench.path("/destination"), destination.clone()).await["id"]);
    let payload: Value = serde_json::from_slice(EVENT.body).unwrap();
    let message = json!({ "eventType": EVENT.kind, "payload": payload });
    (bench.send_as(message).await, endpoint)
}

/// Runs a case for every kind, each with an application of its own.
async fn each(gaps: &'static str, case: impl AsyncFn(&Bench, &Kind)) {
    let settings = schedule(gaps).env("RINGBACK_DELIVERY_TIMEOUT", "1");
    let mut bench = Bench::new(settings).await;
    let kinds = ringback_builtin::kinds().iter().map(|file| file.parsed().unwrap());
    let mut count = 0;
    for kind in kinds.filter(|kind| !kind.has_code()) {
        bench.app = text(&bench.server.post("/api/v1/app", json!({ "name": kind.id })).await["id"]);
        case(&bench, &kind).await;
        count += 1;
    }
    assert!(count >= 13, "{count}");
}

/// The method and the path, without a query, of the request that the kind's file shows.
fn line(kind: &Kind) -> String {
    let request = kind.example.request.as_deref().unwrap();
    let (method, url) = request.lines().next().unwrap().split_once(' ').unwrap();
    format!("{method} {}", Url::parse(url).unwrap().path())
}

fn body(kind: &Kind) -> &str {
    kind.example.request.as_deref().unwrap().split_once("\n\n").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_documented_is_what_arrives() {
    each("3600", async |bench, kind| {
        let receiver = script(vec![success(kind)]);
        let (message, endpoint) = send(bench, &example(kind, &receiver)).await;
        bench.explained(&message, &endpoint, "delivered", "success").await;
        let [Receipt { method, path, headers, body: sent, .. }] = &receiver.receipts()[..] else {
            panic!("{}: {:?}", kind.id, receiver.receipts());
        };
        assert_eq!(format!("{method} {path}"), line(kind), "{}", kind.id);
        // What differs from the file's example: the id of the message, and where the receiver is.
        let sent = String::from_utf8(sent.to_vec()).unwrap().replace(&message, EVENT.id);
        let sent = sent.replace(&format!("http://{}", receiver.address), "https://host");
        let hosts = ["https://sqs.eu-central-1.amazonaws.com"];
        let expect = hosts
            .iter()
            .fold(body(kind).to_owned(), |text, host| text.replace(host, "https://host"));
        // The body as it came has the order of the message that was sent, not of the file.
        match (serde_json::from_str::<Value>(&sent), serde_json::from_str::<Value>(&expect)) {
            (Ok(sent), Ok(expect)) => assert_eq!(sent, expect, "{}", kind.id),
            _ => assert_eq!(sent, expect, "{}", kind.id),
        }
        assert!(headers["user-agent"].to_str().unwrap().starts_with("Ringback/"), "{}", kind.id);
        assert!(!headers.contains_key("webhook-signature"), "{}", kind.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_moment_is_overcome() {
    each("1,1,1", async |bench, kind| {
        let busy = Answer::Status(429, vec![("retry-after", "1".to_owned())]);
        let receiver = script(vec![Answer::status(500), busy, success(kind)]);
        let (message, endpoint) = send(bench, &example(kind, &receiver)).await;
        bench.explained(&message, &endpoint, "delivered", "success").await;
        let reasons: Vec<Value> = bench
            .attempts(&message, 3)
            .await
            .iter()
            .map(|one| one["responseStatusCode"].clone())
            .collect();
        assert_eq!(reasons, [500, 429, 200], "{}", kind.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_will_never_be_taken_is_not_tried_again() {
    each("3600", async |bench, kind| {
        for status in kind.permanent() {
            let receiver = script(vec![Answer::status(*status)]);
            let (message, endpoint) = send(bench, &example(kind, &receiver)).await;
            let line = bench.explained(&message, &endpoint, "failed", "exhausted").await;
            assert_eq!(
                (&line["attempts"], &line["nextAttempt"]),
                (&json!(1), &Value::Null),
                "{}",
                kind.id
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_is_asked_again() {
    each("1", async |bench, kind| {
        let receiver = script(vec![Answer::Never, success(kind)]);
        let (message, endpoint) = send(bench, &example(kind, &receiver)).await;
        bench.explained(&message, &endpoint, "delivered", "success").await;
        let attempts = bench.attempts(&message, 2).await;
        assert_eq!(attempts[0]["reason"], "timeout", "{}", kind.id);
    })
    .await;
}
