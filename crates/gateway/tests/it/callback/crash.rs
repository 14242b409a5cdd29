//! What was acknowledged survives: the process is killed while answers come, again and again; and so
//! does what was taken from somebody who did not wait to hear it.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use tokio::time::Instant;

use super::*;

/// Rounds of answering and killing.
const ROUNDS: usize = 3;
/// Callbacks of a round.
const CALLBACKS: usize = 40;
/// Callbacks that are answered by somebody who goes away.
const ABANDONED: usize = 30;
/// How long each of them is waited for: longer than it takes to be told.
const WAIT: &str = "wait=5";

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_from_somebody_who_goes_away_is_told() {
    let bench = Bench::new().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..ABANDONED {
        let one = bench.made(json!({})).await;
        let (url, path) = (bench.server.url.clone(), format!("/wait/{}", one.wait_token));
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n", one.path);
        waiting.spawn(async move {
            let begun = Instant::now();
            let waited = call(&url, Method::GET, &path, &[("prefer", WAIT)], Bytes::new()).await;
            (waited.json()["status"] == "completed", begun.elapsed())
        });
        let address = bench.server.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(format!("{head}{{}}").as_bytes()).unwrap();
    }
    // Whose connection was gone before all of it was read has not answered.
    let mut answered = 0;
    while let Some(waited) = waiting.join_next().await {
        if let (true, after) = waited.unwrap() {
            assert!(after < Duration::from_secs(4), "told at the end of the wait: {after:?}");
            answered += 1;
        }
    }
    assert!(answered > 0);
    bench.told(ABANDONED + answered);
}
