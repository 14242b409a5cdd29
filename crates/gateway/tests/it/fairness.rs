//! Dead endpoints cost live ones nothing.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use crate::support::{Answer, Receiver, Server, Settings};

/// Dead endpoints, half of which refuse connections while the others accept them and never answer.
/// `RINGBACK_TEST_DEAD=10000` is how many there may be.
const DEAD: usize = 1_000;
/// How many of them an application has.
const TOGETHER: usize = 1_000;
const LIVE: usize = 100;
/// Longer than an attempt may take, so that the second wave of attempts is in it too.
const RUN: Duration = Duration::from_secs(20);

/// Every second there are new messages for a thousand dead endpoints; a hundred live ones beside them
/// get a message every 200 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_endpoints_do_not_feel_a_thousand_dead_ones() {
    let dead = std::env::var("RINGBACK_TEST_DEAD").map_or(DEAD, |dead| dead.parse().unwrap());
    let hanging = Receiver::with(|_, _| Answer::Never);
    let live = Receiver::ok();
    let server = Server::start(Settings::default());
    let (closed, mut dead_paths) = (closed(), Vec::new());
    for first in (0..dead).step_by(TOGETHER) {
        let url = |number: usize| match number % 2 {
            0 => format!("http://{}/hook/{number}", hanging.address),
            _ => format!("http://{closed}/hook/{number}"),
        };
        let urls = (first..dead.min(first + TOGETHER)).map(url);
        dead_paths.push(application(&server, urls.collect()).await);
    }
    let urls = (0..LIVE).map(|number| format!("http://{}/hook/{number}", live.address));
    let live_path = application(&server, urls.collect()).await;

    let begun = Instant::now();
    let mut posted: HashMap<String, Instant> = HashMap::new();
    let mut ticks = interval(Duration::from_millis(200));
    let mut tick = 0;
    let message = json!({ "eventType": "fairness.test", "payload": { "n": 1 } });
    // Each of the dead gets two messages at least.
    let run = RUN.max(Duration::from_secs(2 * dead_paths.len() as u64));
    while begun.elapsed() < run {
        ticks.tick().await;
        if tick % 5 == 0 {
            server.post(&dead_paths[tick / 5 % dead_paths.len()], message.clone()).await;
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
    let metrics = server.metrics().await;
    let paused = metrics.lines().find(|line| line.starts_with("ringback_lanes_paused "));
    println!(
        "{LIVE} live endpoints beside {dead} dead: p50 {:?}, p99 {:?}, max {:?}; {} requests hang; \
         {}",
        at(0.5),
        at(0.99),
        at(1.0),
        hanging.count(),
        paused.unwrap(),
    );
    assert!(hanging.count() >= DEAD.min(dead) / 2, "every hanging endpoint was tried");
    assert!(at(0.99) < Duration::from_millis(500), "live p99 is {:?}", at(0.99));
}

/// An address where nobody listens, and nobody else will.
fn closed() -> SocketAddr {
    let free = std::net::TcpListener::bind(SocketAddr::from(([127, 81, 9, 1], 0))).unwrap();
    free.local_addr().unwrap()
}

/// An application with endpoints at these URLs; returns the path of its messages.
async fn application(server: &Server, urls: Vec<String>) -> String {
    let app = server.post("/api/v1/app", json!({ "name": "fairness" })).await;
    let app = app["id"].as_str().unwrap().to_owned();
    let mut clients = JoinSet::new();
    for urls in urls.chunks(urls.len().div_ceil(8)) {
        let (api, path, urls) =
            (server.client(), format!("/api/v1/app/{app}/endpoint"), urls.to_vec());
        clients.spawn(async move {
            for url in urls {
                let body: Option<bytes::Bytes> = Some(json!({ "url": url }).to_string().into());
                let answer = api.call(Method::POST, &path, body).await.unwrap();
                let said: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(answer.status, 201, "{said}");
            }
        });
    }
    clients.join_all().await;
    format!("/api/v1/app/{app}/msg")
}
