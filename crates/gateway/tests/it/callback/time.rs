//! Deadlines that pass by themselves.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;

/// How late a deadline may be told.
const LATE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_told_when_they_pass() {
    let bench = Bench::new().await;
    let begun = Instant::now();
    let long = bench.made(json!({"expiresIn": 600})).await;
    // Sooner than the timer had planned to look.
    let short = bench.made(json!({"expiresIn": 1})).await;
    let silent = bench.made(json!({"expiresIn": 600, "heartbeat": 1})).await;
    let told = bench.told(5);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1) + LATE, "{took:?}");
    let ids: Vec<_> =
        told[3..].iter().map(|(kind, data)| (kind.as_str(), data["id"].as_str())).collect();
    for one in [&short, &silent] {
        assert!(ids.contains(&("callback.expired", Some(&one.id))), "{ids:?}");
        assert_eq!(bench.post(&one.path, "{}").await.status, 410);
    }
    assert_eq!(bench.shown(&long).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_moves_its_own_deadline_only() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"expiresIn": 4, "heartbeat": 2})).await;
    let path = format!("{}/heartbeat", one.path);
    let beating = async {
        let mut every = tokio::time::interval(Duration::from_millis(500));
        loop {
            every.tick().await;
            if bench.post(&path, "").await.status == 410 {
                break;
            }
        }
    };
    let begun = Instant::now();
    timeout(Duration::from_secs(10), beating).await.unwrap();
    let lived = begun.elapsed();
    assert!(lived > Duration::from_secs(3) && lived < Duration::from_secs(5) + LATE, "{lived:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_passed_while_nobody_was_there_is_told_at_the_next_start() {
    let mut bench = Bench::new().await;
    let one = bench.made(json!({"expiresIn": 1})).await;
    bench.told(1);
    bench.server.kill();
    // Its second is over when the process is back.
    let due = Instant::now() + Duration::from_secs(1);
    tokio::time::sleep_until(due).await;
    bench.server.restart();
    assert_eq!(bench.shown(&one).await["status"], "expired");
    // What was told just before the end may be told again.
    bench.receiver.wait_until(|_, by_id| by_id.len() == 2);
    let told = bench.told(2);
    assert!(told.iter().any(|(kind, data)| kind == "callback.expired" && data["id"] == one.id));
}
