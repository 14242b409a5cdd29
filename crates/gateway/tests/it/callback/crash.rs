//! What was acknowledged survives: the process is killed while answers come, again and again.

use std::collections::BTreeMap;

use super::*;

/// Rounds of answering and killing.
const ROUNDS: usize = 3;
/// Callbacks of a round.
const CALLBACKS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_answer_is_never_lost_and_told_once() {
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    let mut bench = Bench::on(settings).await;
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        for number in 0..CALLBACKS {
            let one = bench.made(json!({})).await;
            let body = format!(r#"{{"number":{number},"round":{round}}}"#);
            // The last is answered at the moment of the kill: it counts if it was acknowledged.
            if bench.post(&one.path, &body).await.status == 200 {
                acknowledged.insert(one.id.clone(), (one, body));
            }
        }
        bench.server.kill();
        bench.server.restart();
    }
    assert_eq!(acknowledged.len(), ROUNDS * CALLBACKS);
    for (one, body) in acknowledged.values() {
        let result = bench.server.get(&format!("/api/v1/callback/{}/result", one.id)).await;
        assert_eq!(result["status"], "completed");
        assert_eq!(result["result"]["json"].to_string(), *body);
        // The other side, which may not have heard, comes again.
        assert_eq!(bench.post(&one.path, body).await.header("callback-status"), "duplicate");
    }
    // One message of each kind for each; a message may come twice, with its own id.
    let (created, completed) = (acknowledged.len(), acknowledged.len());
    bench.receiver.wait_until(|_, by_id| by_id.len() >= created + completed);
    let mut messages: BTreeMap<String, String> = BTreeMap::new();
    for receipt in bench.receiver.receipts() {
        let body: Value = serde_json::from_slice(&receipt.body).unwrap();
        let about = format!("{} {}", body["type"], body["data"]["id"]);
        let id = messages.entry(about.clone()).or_insert_with(|| receipt.id().to_owned());
        assert_eq!(id, receipt.id(), "{about} is told by one message");
    }
    assert_eq!(messages.len(), created + completed);
}
