//! Asking for one more attempt.

use serde_json::{Value, json};

use super::{Bench, millis, schedule, times};
use crate::support::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_resend_leaves_the_schedule_alone() {
    let receiver = Receiver::with(|_, _| Answer::status(500));
    let bench = Bench::new(schedule("1.5,0.5")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("resend.test").await;
    let first = bench.attempts(&message, 1).await.remove(0);
    let planned = millis(&first["nextAttempt"]);

    assert_eq!(bench.resend(&message, &endpoint).await, (202, json!({})));
    let manual = bench.attempts(&message, 2).await.remove(1);
    assert_eq!((&manual["triggerType"], &manual["attemptNumber"]), (&json!(1), &json!(0)));
    assert_eq!(manual["nextAttempt"], Value::Null, "it plans nothing");
    let line = bench.explain(&message, &endpoint).await;
    assert_eq!((&line["state"], &line["reason"]), (&json!("pending"), &json!("retrying")));
    assert_eq!(millis(&line["nextAttempt"]), planned);

    let attempts = bench.attempts(&message, 4).await;
    let numbers: Vec<_> = attempts.iter().map(|one| one["attemptNumber"].clone()).collect();
    assert_eq!(numbers, [1, 0, 2, 3]);
    let late = millis(&attempts[2]["timestamp"]) - planned;
    assert!((0..1_000).contains(&late), "the second attempt was {late} ms late");
    let line = bench.explain(&message, &endpoint).await;
    assert_eq!((&line["state"], &line["reason"]), (&json!("failed"), &json!("exhausted")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successful_resend_settles_the_delivery() {
    // The first message is taken at its second arrival, the marker is never.
    let receiver = Receiver::with(|receipt, before| {
        let marker = receipt.body.windows(6).any(|part| part == b"marker");
        Answer::status(if before == 0 || marker { 500 } else { 204 })
    });
    let bench = Bench::new(schedule("1")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("resend.test").await;
    bench.attempts(&message, 1).await;
    assert_eq!(bench.resend(&message, &endpoint).await.0, 202);
    let line = bench.explained(&message, &endpoint, "delivered", "success").await;
    assert_eq!((&line["attempts"], &line["nextAttempt"]), (&json!(2), &Value::Null));
    // It was sent later, so its second attempt comes after the one that was settled would have.
    let marker = bench.send("marker").await;
    bench.attempts(&marker, 2).await;
    assert_eq!(times(&receiver, &[&message, &marker]), [2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_resent_and_what_cannot() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("1")).await;
    let endpoint =
        bench.endpoint_with(json!({ "url": receiver.url(), "eventTypes": ["wanted"] })).await;

    // A message that was delivered already, and one that was not for the endpoint.
    let delivered = bench.send("wanted").await;
    bench.explained(&delivered, &endpoint, "delivered", "success").await;
    let filtered = bench.send("unwanted").await;
    bench.explained(&filtered, &endpoint, "not_sent", "event_type").await;
    for message in [&delivered, &filtered] {
        assert_eq!(bench.resend(message, &endpoint).await.0, 202);
    }
    bench.explained(&filtered, &endpoint, "delivered", "success").await;
    let attempts = bench.attempts(&delivered, 2).await;
    assert_eq!(attempts[1]["triggerType"], 1);
    assert_eq!(attempts[1]["status"], 0);
    assert_eq!(times(&receiver, &[&delivered, &filtered]), [2, 1]);

    // Paused: it waits.
    let pause = |word| bench.path(&format!("/endpoint/{endpoint}/{word}"));
    bench.server.post(&pause("pause"), json!({})).await;
    assert_eq!(bench.resend(&delivered, &endpoint).await.0, 202);
    bench.server.post(&pause("resume"), json!({})).await;
    bench.attempts(&delivered, 3).await;

    // Disabled, deleted, unknown.
    bench.patch(&endpoint, json!({ "disabled": true })).await;
    let (status, refused) = bench.resend(&delivered, &endpoint).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["code"].is_string() && refused["detail"].is_string(), "{refused}");
    bench.delete(&format!("/endpoint/{endpoint}")).await;
    assert_eq!(bench.resend(&delivered, &endpoint).await.0, 404);
    assert_eq!(receiver.receipts().len(), 4);
}
