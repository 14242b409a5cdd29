//! Answers that come from the destination itself, within a deadline.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::support::Answer;

const BODY: &str = r#"{"action":"opened"}"#;
const HEADERS: [(&str, &str); 2] =
    [("x-github-event", "issues"), ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")];

/// A destination that answers with this text.
fn saying(status: u16, text: &'static str) -> Receiver {
    let headers = || {
        vec![
            ("content-type", "text/xml".to_owned()),
            ("set-cookie", "a=b".to_owned()),
            ("x-accel-redirect", "/internal".to_owned()),
        ]
    };
    Receiver::with(move |_, _| {
        Answer::Whole(status, headers(), Bytes::from_static(text.as_bytes()))
    })
}

/// Options that let the destination answer within this time.
fn within(deadline_ms: u32) -> Value {
    json!({ "reply": {
        "mode": "destination", "deadlineMs": deadline_ms,
        "fallback": { "status": 203, "body": "later" },
    } })
}

/// Waits until the message has this status at its endpoint.
async fn settled(bench: &Bench, message: &str, status: u8) {
    let path = format!("/api/v1/app/{}/msg/{message}/endpoint", bench.app);
    while bench.server.get(&path).await["data"][0]["status"] != status {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_destination_answers() {
    let bench = Bench::new("github", saying(201, "<Say/>"), within(20_000)).await;
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!((answered.status, &answered.body[..]), (201, &b"<Say/>"[..]));
    assert_eq!(answered.headers["content-type"], "text/xml");
    assert_eq!(answered.headers["content-security-policy"], "sandbox");
    for kept in ["set-cookie", "x-accel-redirect"] {
        assert!(!answered.headers.contains_key(kept), "{answered:?}");
    }
    let request = &bench.requests("").await[0];
    assert_eq!(request["status"], "accepted");
    assert_eq!(request["responseStatusCode"], 0, "its attempts have it");
    settled(&bench, request["msgId"].as_str().unwrap(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_destination_is_not_waited_for_and_still_delivered_to() {
    let slow = Receiver::with(|_, _| Answer::Slowly(200, Duration::from_secs(2)));
    let bench = Bench::new("github", slow, within(200)).await;
    let begun = Instant::now();
    let answered = bench.event(&HEADERS, BODY).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((answered.status, &answered.body[..]), (203, &b"later"[..]));
    let receipts = bench.receiver.wait_for(1);
    settled(&bench, receipts[0].id(), 0).await;
    assert_eq!(bench.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_passed_on_and_what_comes_again_is_tried_again() {
    let receiver = Receiver::with(|_, before| match before {
        0 => Answer::Whole(422, Vec::new(), Bytes::from_static(b"no such order")),
        _ => Answer::Body(Bytes::from_static(b"done")),
    });
    let bench = Bench::new("github", receiver, within(20_000)).await;
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!((answered.status, &answered.body[..]), (422, &b"no such order"[..]));
    let id = bench.receiver.receipts()[0].id().to_owned();
    settled(&bench, &id, 3).await;
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!((answered.status, &answered.body[..]), (200, &b"done"[..]));
    assert_eq!(bench.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_destination_gets_it_later() {
    let dead = Receiver::ok();
    let address = dead.address;
    let settings = Settings::default().env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1,1,1");
    let config = json!({ "secret": SECRET });
    let mut bench = Bench::on(settings, "github", dead, config, within(20_000)).await;
    bench.receiver = Receiver::ok(); // What listened there goes.
    let begun = Instant::now();
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!((answered.status, &answered.body[..]), (203, &b"later"[..]));
    // While it is known to be away, nobody waits for the next time that it is tried.
    for number in 0..30 {
        let delivery = format!("delivery-{number}");
        let headers = [("x-github-event", "issues"), ("x-github-delivery", &*delivery)];
        assert_eq!(bench.event(&headers, BODY).await.status, 203);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    bench.receiver = Receiver::at(address, |_, _| Answer::status(204));
    assert_eq!(bench.receiver.wait_for(31)[0].body, BODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_gets_the_same_answer_and_runs_once() {
    let receiver = Receiver::with(|receipt, _| match receipt.header("x-github-event") {
        "issues" => Answer::Whole(201, Vec::new(), Bytes::from_static(b"once")),
        _ => Answer::Slowly(202, Duration::from_millis(500)),
    });
    let mut bench = Bench::new("github", receiver, within(20_000)).await;
    for _ in 0..3 {
        let answered = bench.event(&HEADERS, BODY).await;
        assert_eq!((answered.status, &answered.body[..]), (201, &b"once"[..]));
    }
    assert_eq!(bench.receiver.count(), 1);
    // While the first is under way, whoever repeats it waits with it.
    let slow = [("x-github-event", "push"), ("x-github-delivery", "another")];
    let (one, two) = tokio::join!(bench.event(&slow, BODY), bench.event(&slow, BODY));
    assert_eq!((one.status, two.status), (202, 202));
    assert_eq!(bench.receiver.count(), 2);
    // A new process has forgotten what was answered, but not that it was delivered.
    settled(&bench, bench.receiver.receipts()[0].id(), 0).await;
    bench.server.stop();
    bench.server.restart();
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!((answered.status, &answered.body[..]), (200, &b""[..]));
    assert_eq!(bench.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_hangs_up_loses_nothing() {
    let slow = Receiver::with(|_, _| Answer::Slowly(202, Duration::from_secs(2)));
    let bench = Bench::new("github", slow, within(20_000)).await;
    tokio::select! {
        _ = bench.event(&HEADERS, BODY) => panic!("it was answered"),
        () = async { while bench.receiver.count() == 0 { tokio::task::yield_now().await } } => {}
    }
    // What it hung up on is still under way: it waits for that.
    assert_eq!(bench.event(&HEADERS, BODY).await.status, 202);
    let requests = bench.requests("").await;
    let fates: Vec<_> = requests.iter().map(|request| &request["status"]).collect();
    assert_eq!(fates, ["duplicate", "accepted"]);
    settled(&bench, bench.receiver.receipts()[0].id(), 0).await;
    assert_eq!(bench.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_that_wants_it_answers_or_the_one_that_is_named() {
    let bench = Bench::new("github", saying(200, "first"), within(20_000)).await;
    let second = saying(200, "second");
    let path = "/ingest/api/v1/source/test/endpoint";
    bench.server.post(path, json!({ "url": second.url(), "uid": "two" })).await;
    let event = async |id: &str| {
        let answered = bench.event(&[HEADERS[0], ("x-github-delivery", id)], BODY).await;
        String::from_utf8(answered.body.to_vec()).unwrap()
    };
    assert_eq!(event("1").await, "first");
    let filter = json!({ "filter": { "body": { "action": "closed" } } });
    let one = format!("/api/v1/app/{}/endpoint/one", bench.app);
    let (status, _) = bench.server.call(Method::PATCH, &one, Some(filter)).await;
    assert_eq!(status, 200);
    assert_eq!(event("2").await, "second");
    let name = async |endpoint: &str| {
        let mut options = within(20_000);
        options["reply"]["endpoint"] = endpoint.into();
        let source = json!({ "name": "test", "type": "github", "options": options });
        let path = "/ingest/api/v1/source/test";
        let (status, answer) = bench.server.call(Method::PUT, path, Some(source)).await;
        assert_eq!(status, 200, "{answer}");
    };
    name("one").await;
    assert_eq!(event("3").await, "later", "it does not want the message");
    name("two").await;
    assert_eq!(event("4").await, "second");
    name("three").await;
    assert_eq!(event("5").await, "later", "there is no such endpoint");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_leads_elsewhere_is_not_passed_on() {
    let receiver = Receiver::with(|receipt, _| match receipt.header("x-github-delivery") {
        "whole" => Answer::Body(vec![b'x'; 64 * 1024].into()),
        "large" => Answer::Body(vec![b'x'; 64 * 1024 + 1].into()),
        _ => Answer::Status(302, vec![("location", "https://example.com".to_owned())]),
    });
    let bench = Bench::new("github", receiver, within(20_000)).await;
    for (id, status, length) in [("whole", 200, 64 * 1024), ("large", 203, 5), ("else", 203, 5)] {
        let answered = bench.event(&[("x-github-delivery", id)], BODY).await;
        assert_eq!((answered.status, answered.body.len()), (status, length), "{id}");
    }
    // With the attempt as much is kept as ever.
    let id = bench.receiver.receipts()[0].id().to_owned();
    settled(&bench, &id, 0).await;
    let attempts = format!("/api/v1/app/{}/attempt/msg/{id}", bench.app);
    let attempts = bench.server.get(&attempts).await;
    assert_eq!(attempts["data"][0]["response"].as_str().unwrap().len(), 16 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slash_command_of_slack_is_answered_by_its_destination() {
    let answer = r#"{"response_type":"in_channel","text":"Deploying now"}"#;
    let receiver = Receiver::with(move |receipt, _| {
        let command = std::str::from_utf8(&receipt.body).unwrap().contains("command=%2Fdeploy");
        assert!(command && receipt.header("ringback-event") == "command.deploy");
        let headers = vec![("content-type", "application/json".to_owned())];
        Answer::Whole(200, headers, Bytes::from_static(answer.as_bytes()))
    });
    let options = json!({ "reply": { "mode": "destination" } });
    let bench = Bench::new("slack", receiver, options).await;
    let provider = Catalog::default().get("slack").unwrap();
    let sample = provider.samples.iter().find(|one| one.event == "command.deploy").unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answered = bench.event(&headers, &sample.body).await;
    assert_eq!((answered.status, &answered.body[..]), (200, answer.as_bytes()));
    assert_eq!(answered.headers["content-type"], "application/json");
    assert_eq!(bench.requests("").await[0]["eventType"], "command.deploy");
}
