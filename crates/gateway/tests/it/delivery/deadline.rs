//! One deadline for the whole attempt, and how much of an answer is kept.

use std::io::Write;

use serde_json::{Value, json};

use super::{
    Bench, schedule,
    wire::{Wire, drip, hang, read_request},
};
use crate::support::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deadline_covers_head_and_body() {
    let silent = Wire::new(|mut stream| hang(&mut stream));
    let slow_head = Wire::new(|mut stream| {
        read_request(&mut stream);
        drip(&mut stream, "HTTP/1.1 200 OK\r\nx-slow: yesyesyesyesyesyesyes\r\n");
    });
    let slow_body = Wire::new(|mut stream| {
        read_request(&mut stream);
        // The other side may have gone.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        drip(&mut stream, &"x".repeat(1_000));
    });
    let settings = schedule("").env("RINGBACK_DELIVERY_TIMEOUT", "1");
    let bench = Bench::new(settings).await;
    for (name, wire, status, phase) in [
        ("silent", &silent, 0, "first_byte"),
        ("slow head", &slow_head, 0, "first_byte"),
        ("slow body", &slow_body, 200, "body"),
    ] {
        let endpoint = bench.endpoint(&wire.url()).await;
        let message = bench.send("slow.test").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        assert_eq!(attempt["failedPhase"], phase, "{name}: {attempt}");
        assert_eq!(attempt["reason"], "timeout", "{name}: {attempt}");
        assert_eq!(attempt["responseStatusCode"], status, "{name}: {attempt}");
        assert_eq!(attempt["status"], 2, "{name}: a 200 that does not end is no success");
        let took = attempt["responseDurationMs"].as_u64().unwrap();
        assert!((1_000..1_500).contains(&took), "{name}: {took} ms");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_kib_of_an_answer_are_kept() {
    let receiver = Receiver::with(|receipt, _| {
        let length: usize = receipt.path.trim_start_matches('/').parse().unwrap();
        Answer::Body("y".repeat(length).into())
    });
    let bench = Bench::new(schedule("")).await;
    for (length, kept) in [(5, 5), (16_384, 16_384), (16_385, 16_384), (1_000_000, 16_384)] {
        let url = format!("http://{}/{length}", receiver.address);
        let endpoint = bench.endpoint(&url).await;
        let message = bench.send("long.test").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        assert_eq!(attempt["response"].as_str().unwrap().len(), kept, "{length}");
        assert_eq!(attempt["status"], 0, "a long answer is a success all the same");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_target_is_refused_before_it_is_dialled() {
    let private = Wire::new(|_| {});
    let settings = schedule("0.1").env("RINGBACK_DELIVERY_ALLOW_CIDRS", "10.255.0.0/16");
    let bench = Bench::new(settings).await;
    bench.endpoint(&private.url()).await;
    let message = bench.send("guard.test").await;
    for attempt in bench.attempts(&message, 2).await {
        assert_eq!(attempt["failedPhase"], "guard", "{attempt}");
        assert_eq!(attempt["reason"], "refused_by_policy", "{attempt}");
        assert_eq!(attempt["responseStatusCode"], 0);
        assert_eq!(attempt["response"], "");
    }
    assert_eq!(private.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_has_its_phases() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", refused.local_addr().unwrap());
    drop(refused);
    let bench = Bench::new(schedule("")).await;
    bench.endpoint(&url).await;
    let message = bench.send("phase.test").await;
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert_eq!(attempt["failedPhase"], "connect", "{attempt}");
    assert_eq!(attempt["reason"], "connection_refused", "{attempt}");
    assert_eq!(attempt["nextAttempt"], Value::Null);
    assert!(attempt["phases"]["connectMs"].is_number(), "{attempt}");
    assert_eq!(attempt["phases"]["bodyMs"], json!(0.0));
}
