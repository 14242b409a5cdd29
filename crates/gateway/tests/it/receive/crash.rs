//! What was acknowledged survives: the process is killed while a provider sends, again and again.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;

use super::*;
use crate::support::Answer;

/// Rounds of sending and killing.
const ROUNDS: usize = 3;
/// Events of a round.
const EVENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost() {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let receiver = Receiver::with(move |_, _| {
        Answer::status(if opened.load(Ordering::Acquire) { 204 } else { 503 })
    });
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    let config = json!({ "secret": SECRET });
    let mut bench = Bench::on(settings, "github", receiver, config, json!({})).await;
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        for number in 0..EVENTS {
            let id = format!("{round}-{number}");
            let headers = [("x-github-event", "push"), ("x-github-delivery", id.as_str())];
            let body = json!({ "id": id }).to_string();
            if bench.event(&headers, &body).await.status == 200 {
                acknowledged.insert(body);
            }
        }
        bench.server.kill();
        bench.server.restart();
    }
    assert_eq!(acknowledged.len(), ROUNDS * EVENTS);
    let before = bench.receiver.count();
    open.store(true, Ordering::Release);
    bench.receiver.wait_until(|receipts, _| {
        let after = receipts.iter().skip(before);
        let got: HashSet<&[u8]> = after.map(|receipt| &receipt.body[..]).collect();
        acknowledged.iter().all(|body| got.contains(body.as_bytes()))
    });
}
