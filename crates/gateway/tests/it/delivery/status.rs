//! What each kind of answer leads to.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, schedule, times};
use crate::support::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_2xx_is_success_and_redirects_are_never_followed() {
    let target = Receiver::ok();
    let elsewhere = target.url();
    let receiver = Receiver::with(move |receipt, _| {
        let status = receipt.path.trim_start_matches('/').parse().unwrap();
        Answer::Status(status, vec![("location", elsewhere.clone())])
    });
    // No gaps: one attempt each.
    let bench = Bench::new(schedule("")).await;
    for (status, reason) in [
        (200, None),
        (201, None),
        (204, None),
        (299, None),
        (301, Some("redirect_not_followed")),
        (302, Some("redirect_not_followed")),
        (304, Some("redirect_not_followed")),
        (307, Some("redirect_not_followed")),
        (308, Some("redirect_not_followed")),
        (400, Some("client_error_status")),
        (404, Some("client_error_status")),
        (429, Some("too_many_requests")),
        (500, Some("server_error_status")),
        (503, Some("service_unavailable")),
    ] {
        let url = format!("http://{}/{status}", receiver.address);
        let endpoint = bench.endpoint_with(json!({ "url": url })).await;
        let message = bench.send("status.test").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        assert_eq!(attempt["responseStatusCode"], status);
        assert_eq!(attempt["status"], if reason.is_none() { 0 } else { 2 }, "{attempt}");
        assert_eq!(attempt["reason"], json!(reason), "{attempt}");
        assert_eq!(attempt["failedPhase"], json!(reason.map(|_| "status")), "{attempt}");
        assert_eq!(attempt["nextAttempt"], Value::Null);
        assert_eq!(bench.get_endpoint(&endpoint).await["state"], "enabled", "{status}");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    bench.endpoint(&target.url()).await;
    let marker = bench.send("marker").await;
    let arrived: Vec<_> = target.wait_for(1).iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(arrived, [marker], "nothing but what was sent to it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_disables_the_endpoint_and_what_waits_is_held() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 410 } else { 204 }));
    let beside = Receiver::ok();
    let bench = Bench::new(schedule("0.2")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    bench.endpoint(&beside.url()).await;
    let held = bench.send("gone.test").await;
    let attempt = bench.attempts(&held, 1).await;
    assert!(attempt.iter().all(|one| one["attemptNumber"] == 1));
    bench.endpoint_is(&endpoint, "disabled_gone").await;
    assert_eq!(bench.get_endpoint(&endpoint).await["disabled"], true);
    let line = bench.explained(&held, &endpoint, "held", "endpoint_disabled_gone").await;
    assert_eq!(line["nextAttempt"], Value::Null, "{line}");

    // New messages pass it by.
    let passed = bench.send("gone.test").await;
    beside.wait_for(2);
    let line = bench.explain(&passed, &endpoint).await;
    assert_eq!(
        (&line["state"], &line["reason"]),
        (&json!("not_sent"), &json!("endpoint_disabled_gone"))
    );
    assert_eq!(receiver.receipts().len(), 1);

    bench.patch(&endpoint, json!({ "disabled": false })).await;
    let line = bench.explained(&held, &endpoint, "delivered", "success").await;
    assert_eq!(line["attempts"], 2);
    assert_eq!(times(&receiver, &[&held, &passed]), [2, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_counts_on_429_and_503_alone() {
    let receiver = Receiver::with(|receipt, before| match before {
        0 => {
            let status = receipt.path.trim_start_matches('/').parse().unwrap();
            Answer::Status(status, vec![("retry-after", "3".to_owned())])
        }
        _ => Answer::status(204),
    });
    let bench = Bench::new(schedule("1,1,1")).await;
    for status in [429, 503, 500] {
        let url = format!("http://{}/{status}", receiver.address);
        bench
            .endpoint_with(json!({ "url": url, "eventTypes": [format!("status.{status}")] }))
            .await;
        bench.send(&format!("status.{status}")).await;
    }
    let receipts = receiver.wait_for(6);
    for status in [429, 503, 500] {
        let path = format!("/{status}");
        let at: Vec<_> = receipts.iter().filter(|one| one.path == path).map(|one| one.at).collect();
        let gap = at[1] - at[0];
        let bounds = if status == 500 { 1..3 } else { 3..5 };
        assert!(bounds.contains(&gap.as_secs()), "{status}: {gap:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_last_gap_a_message_is_exhausted() {
    let receiver = Receiver::with(|receipt, _| {
        let failing = receipt.body.windows(5).any(|part| part == b"never");
        Answer::status(if failing { 400 } else { 200 })
    });
    let bench = Bench::new(schedule("0.1,0.3")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("never").await;
    let attempts = bench.attempts(&message, 3).await;
    let line = bench.explain(&message, &endpoint).await;
    assert_eq!((&line["state"], &line["reason"]), (&json!("failed"), &json!("exhausted")));
    assert_eq!((&line["attempts"], &line["nextAttempt"]), (&json!(3), &Value::Null));
    let planned: Vec<_> = attempts.iter().map(|one| one["nextAttempt"].is_string()).collect();
    assert_eq!(planned, [true, true, false]);
    let receipts = receiver.wait_for(3);
    for (index, gap) in [100, 300].into_iter().enumerate() {
        let waited = receipts[index + 1].at - receipts[index].at;
        assert!(waited >= Duration::from_millis(gap), "gap {index}: {waited:?}");
    }
    let marker = bench.send("marker").await;
    bench.explained(&marker, &endpoint, "delivered", "success").await;
    assert_eq!(times(&receiver, &[&message, &marker]), [3, 1]);
}
