//! What was acknowledged survives: the process is killed while answers come, again and again; and so
//! does what was taken from somebody who did not wait to hear it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::Duration,
};

use tokio::time::Instant;

use super::*;
use crate::support::Receipt;

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

/// Who asks for the end of a callback, all at once.
const RIVALS: [&str; 4] = ["one", "two", "fail", "cancel"];

/// Two answers, a failure and a cancellation of each callback race, and the process is killed when so
/// many were told something. Whoever was told that they won did; whoever asks again is told the same; and
/// the application is told of one end, and of that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_told_that_they_won_has_won() {
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    let mut bench = Bench::on(settings).await;
    let (mut ends, mut won) = (BTreeMap::new(), 0);
    for told in [1, 20, 60, 120] {
        let mut callbacks = Vec::new();
        for _ in 0..CALLBACKS {
            callbacks.push(bench.made(json!({})).await);
        }
        let (replied, mut replies) = tokio::sync::mpsc::unbounded_channel();
        let mut rivals = tokio::task::JoinSet::new();
        for (index, one) in callbacks.iter().enumerate() {
            for rival in RIVALS {
                let (url, reply) = (bench.server.url.clone(), replied.clone());
                let (id, path) = (one.id.clone(), one.path.clone());
                rivals.spawn(async move {
                    // A process that is killed answers nothing more.
                    if let Some(status) = ask(url, id, path, rival).await {
                        let _ = reply.send((index, rival, status));
                    }
                });
            }
        }
        drop(replied);
        let mut winners: BTreeMap<usize, &str> = BTreeMap::new();
        let mut heard = 0;
        while let Some((index, rival, status)) = replies.recv().await {
            if status == 200 {
                assert_eq!(winners.insert(index, rival), None, "two were told that they won");
            }
            heard += 1;
            if heard == told {
                bench.server.kill();
            }
        }
        rivals.join_all().await;
        bench.server.restart();
        won += winners.len();
        for (index, one) in callbacks.iter().enumerate() {
            let shown = bench.shown(one).await;
            let status = shown["status"].as_str().unwrap().to_owned();
            if let Some(winner) = winners.get(&index) {
                let expect = match *winner {
                    "fail" => "failed",
                    "cancel" => "canceled",
                    _ => "completed",
                };
                assert_eq!(status, expect, "{winner} was told that they won");
                let url = bench.server.url.clone();
                let again = ask(url, one.id.clone(), one.path.clone(), winner).await;
                assert_eq!(again, Some(200), "{winner} asks again");
            }
            if status != "pending" {
                ends.insert(one.id.clone(), format!("callback.{status}"));
            }
        }
    }
    assert!(won > 0 && ends.len() >= won);
    let all_are_told = |receipts: &[Receipt]| {
        let ended: BTreeSet<String> =
            receipts.iter().filter_map(end_told).map(|(id, _)| id).collect();
        ended.len() >= ends.len()
    };
    bench.receiver.wait_until(|receipts, _| all_are_told(receipts));
    // A message may arrive twice, with its own id.
    let mut messages: BTreeMap<String, (String, String)> = BTreeMap::new();
    for receipt in bench.receiver.receipts() {
        if let Some(told) = end_told(&receipt) {
            messages.insert(receipt.id().to_owned(), told);
        }
    }
    assert_eq!(messages.len(), ends.len(), "one message of each end, and of nothing else");
    assert_eq!(messages.into_values().collect::<BTreeMap<_, _>>(), ends);
}

/// The callback whose end is told, and how it ended.
fn end_told(receipt: &Receipt) -> Option<(String, String)> {
    let body: Value = serde_json::from_slice(&receipt.body).unwrap();
    let event_type = body["type"].as_str().unwrap().to_owned();
    let ends = ["callback.completed", "callback.failed", "callback.canceled"];
    ends.contains(&&*event_type)
        .then(|| (body["data"]["id"].as_str().unwrap().to_owned(), event_type))
}

/// Asks for the end of a callback; the status of the answer, if there is one.
async fn ask(url: String, id: String, path: String, rival: &'static str) -> Option<u16> {
    let bearer = format!("Bearer {TOKEN}");
    let (path, headers) = match rival {
        "cancel" => {
            (format!("/api/v1/callback/{id}/cancel"), vec![("authorization", bearer.as_str())])
        }
        "fail" => (format!("{path}/fail"), Vec::new()),
        _ => (path, Vec::new()),
    };
    let body = Bytes::from_static(rival.as_bytes());
    tried(&url, Method::POST, &path, &headers, body).await.map(|answer| answer.status)
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
    while let Some(waited) = waiting.join_next().await {
        let (completed, after) = waited.unwrap();
        assert!(completed && after < Duration::from_secs(4), "told after {after:?}");
    }
    bench.told(2 * ABANDONED);
}
