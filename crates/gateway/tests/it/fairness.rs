//! Dead endpoints cost live ones nothing.

use std::{collections::HashMap, time::Duration};

use http::Method;
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::support::{Answer, Receiver, Server, Settings};

const HANGING: usize = 1_000;
const LIVE: usize = 50;
/// Longer than an attempt may take, so that the second wave of attempts is in it too.
const RUN: Duration = Duration::from_secs(20);

/// 1,000 endpoints accept connections and never answer, with new messages for all of them every
/// second; 50 live ones beside them get a message every 100 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_endpoints_do_not_feel_a_thousand_hanging_ones() {
    let hanging = Receiver::with(|_, _| Answer::Never);
    let live = Receiver::ok();
    let server = Server::start(Settings::default());
    let dead_path = application(&server, &hanging, HANGING).await;
    let live_path = application(&server, &live, LIVE).await;

    let begun = Instant::now();
    let mut posted: HashMap<String, Instant> = HashMap::new();
    let mut ticks = interval(Duration::from_millis(100));
    let mut tick = 0u32;
    let message = json!({ "eventType": "fairness.test", "payload": { "n": 1 } });
    while begun.elapsed() < RUN {
        ticks.tick().await;
        if tick.is_multiple_of(10) {
            server.post(&dead_path, message.clone()).await;
        }
        tick += 1;
        let at = Instant::now();
        let accepted = server.post(&live_path, message.clone()).await;
        posted.insert(accepted["id"].as_str().unwrap().to_owned(), at);
    }

    live.wait_for(posted.len() * LIVE);
    let mut latencies: Vec<Duration> = live
        .receipts()
        .iter()
        .map(|receipt| receipt.at.duration_since(posted[receipt.id()]))
        .collect();
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{LIVE} live endpoints beside {HANGING} hanging: p50 {:?}, p99 {:?}, max {:?}; \
         {} requests hang",
        at(0.5),
        at(0.99),
        at(1.0),
        hanging.receipts().len(),
    );
    assert!(hanging.receipts().len() >= HANGING, "every hanging endpoint was tried");
    assert!(at(0.99) < Duration::from_millis(500), "live p99 is {:?}", at(0.99));
}

/// An application with this many endpoints at one receiver; returns the path of its messages.
async fn application(server: &Server, receiver: &Receiver, endpoints: usize) -> String {
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/endpoint");
    for number in 1..endpoints {
        let url = format!("http://{}/hook/{number}", receiver.address);
        let (status, json) = server.call(Method::POST, &path, Some(json!({ "url": url }))).await;
        assert_eq!(status, 201, "{json}");
    }
    format!("/api/v1/app/{app}/msg")
}
