//! Receivers that are asked first whether they want to be sent to.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::{Bench, schedule, text};
use crate::support::{Answer, Receipt, Receiver, Settings};

/// Allows what is asked for, at this rate.
fn allows(rate: &'static str) -> Receiver {
    Receiver::with(move |receipt, _| {
        if receipt.method != Method::OPTIONS {
            return Answer::status(204);
        }
        let origin = receipt.header("webhook-request-origin").to_owned();
        let rate = ("webhook-allowed-rate", rate.to_owned());
        Answer::Status(200, vec![("webhook-allowed-origin", origin), rate])
    })
}

fn named() -> Settings {
    schedule("1,3600").env("RINGBACK_PUBLIC_URL", "https://hooks.example.com")
}

fn questions(receipts: &[Receipt]) -> usize {
    receipts.iter().filter(|receipt| receipt.method == Method::OPTIONS).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_is_asked_before_the_first_delivery_and_for_every_url() {
    let receiver = allows("*");
    let bench = Bench::new(named()).await;
    let wanted = json!({ "url": receiver.url(), "delivery": { "handshake": true },
        "throttleRate": 100, "headers": { "x-tenant": "made-up" } });
    let endpoint = bench.endpoint_with(wanted).await;
    for count in 2..=4 {
        bench.send("asked.first").await;
        receiver.wait_for(count);
    }
    let receipts = receiver.receipts();
    assert_eq!((receipts[0].method.clone(), questions(&receipts)), (Method::OPTIONS, 1));
    for (name, value) in [
        ("webhook-request-origin", "hooks.example.com"),
        ("webhook-request-rate", "6000"),
        ("x-tenant", "made-up"),
        ("webhook-signature", ""),
    ] {
        assert_eq!(receipts[0].header(name), value, "{name}");
    }

    // Another change asks nobody; another URL does.
    bench.patch(&endpoint, json!({ "description": "changed" })).await;
    bench.send("asked.first").await;
    assert_eq!(questions(&receiver.wait_for(5)), 1);
    let other = receiver.url().replace("/hook", "/other");
    bench.patch(&endpoint, json!({ "url": other })).await;
    bench.send("asked.first").await;
    let receipts = receiver.wait_for(7);
    assert_eq!(
        (receipts[5].method.clone(), receipts[5].path.as_str()),
        (Method::OPTIONS, "/other")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_allow_it_is_sent_nothing() {
    let receiver = Receiver::with(|receipt, _| match receipt.path.as_str() {
        "/silent" => Answer::status(200),
        "/other" => {
            let origin = "other.example.com".to_owned();
            Answer::Status(200, vec![("webhook-allowed-origin", origin)])
        }
        "/moved" => Answer::Status(302, vec![("location", "/allowed".to_owned())]),
        _ => Answer::status(405),
    });
    let bench = Bench::new(named()).await;
    for (path, status, why) in [
        ("/silent", 200, "its answer has no webhook-allowed-origin"),
        ("/other", 200, "its answer allows another origin"),
        ("/moved", 302, "it answered with status 302"),
        ("/none", 405, "it answered with status 405"),
    ] {
        let url = receiver.url().replace("/hook", path);
        let wanted = json!({ "url": url, "delivery": { "handshake": true } });
        let endpoint = bench.endpoint_with(wanted).await;
        let message = bench.send("refused.first").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        assert_eq!(attempt["responseStatusCode"], status, "{attempt}");
        assert!(text(&attempt["response"]).contains(why), "{attempt}");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    let receipts = receiver.receipts();
    assert_eq!(questions(&receipts), receipts.len(), "{receipts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_that_it_allows_is_kept_from_the_first_delivery_on() {
    // One a second.
    let receiver = allows("60");
    let bench = Bench::new(named()).await;
    let wanted = json!({ "url": receiver.url(), "delivery": { "handshake": true } });
    bench.endpoint_with(wanted).await;
    for _ in 0..3 {
        bench.send("slow.down").await;
    }
    let receipts = receiver.wait_for(4);
    assert_eq!(questions(&receipts), 1);
    let deliveries: Vec<_> = receipts.iter().filter(|one| one.method == Method::POST).collect();
    let spent = deliveries[2].at - deliveries[0].at;
    assert!(spent >= Duration::from_millis(1_900), "{spent:?}");
}
