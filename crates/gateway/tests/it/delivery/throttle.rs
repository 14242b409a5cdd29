//! A rate is kept exactly, in both directions, whoever asks, and at nobody's cost.

use std::{collections::HashMap, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use super::{Bench, backlog::burst, eventually, millis, pace::attempts_at, text};
use crate::support::{Receiver, Settings};

/// Attempts a second, and for how many seconds there is something to send.
const RATES: [(usize, usize); 3] = [(5, 6), (50, 5), (500, 4)];

/// When each attempt at an endpoint began, in milliseconds, the first first, once there are this many.
async fn begun(bench: &Bench, endpoint: &str, count: usize) -> Vec<i64> {
    eventually(&format!("{count} attempts at {endpoint}"), async || {
        let mut begun = Vec::new();
        let mut iterator = String::new();
        loop {
            let path = format!("/attempt/endpoint/{endpoint}?limit=250{iterator}");
            let page = bench.server.get(&bench.path(&path)).await;
            let page_of = page["data"].as_array().unwrap().iter();
            begun.extend(page_of.map(|one| millis(&one["timestamp"])));
            if page["done"] == true {
                break;
            }
            iterator = format!("&iterator={}", text(&page["iterator"]));
        }
        begun.sort_unstable();
        if begun.len() < count { Err(json!(begun.len())) } else { Ok(begun) }
    })
    .await
}

/// The most of these times within a second.
fn most_in_a_second(times: &[i64]) -> usize {
    let within = |from: usize| times[from..].partition_point(|time| *time < times[from] + 1_000);
    (0..times.len()).map(within).max().unwrap_or_default()
}

/// Three endpoints with a backlog, each with its rate, beside one without any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_met_within_five_per_cent_and_starve_nobody() {
    let receiver = Receiver::ok();
    let free = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let mut endpoints = Vec::new();
    for (rate, seconds) in RATES {
        let url = format!("http://{}/{rate}", receiver.address);
        let event_type = format!("rate.{rate}");
        let endpoint = json!({ "url": url, "throttleRate": rate, "eventTypes": [event_type] });
        let endpoint = bench.endpoint_with(endpoint).await;
        bench.server.post(&bench.path(&format!("/endpoint/{endpoint}/pause")), json!({})).await;
        let mut clients = JoinSet::new();
        for client in 0..16 {
            let (api, path) = (bench.server.client(), bench.path("/msg"));
            let body = json!({ "eventType": event_type, "payload": {} }).to_string();
            clients.spawn(async move {
                for _ in (client..rate * seconds).step_by(16) {
                    let body = Some(body.clone().into());
                    assert_eq!(api.call(Method::POST, &path, body).await.unwrap().status, 202);
                }
            });
        }
        clients.join_all().await;
        endpoints.push((endpoint, rate, rate * seconds));
    }
    let types = json!({ "url": free.url(), "eventTypes": ["rate.free"] });
    bench.endpoint_with(types).await;
    for (endpoint, ..) in &endpoints {
        bench.server.post(&bench.path(&format!("/endpoint/{endpoint}/resume")), json!({})).await;
    }

    let all = endpoints.iter().map(|(.., count)| count).sum();
    let mut posted: HashMap<String, Instant> = HashMap::new();
    let mut ticks = interval(Duration::from_millis(50));
    while receiver.count() < all {
        ticks.tick().await;
        let at = Instant::now();
        posted.insert(bench.send("rate.free").await, at);
    }
    let mut latencies: Vec<_> = free.arrived(posted.len()).await;
    latencies.sort_by_key(|receipt| receipt.at - posted[receipt.id()]);
    let p99 = &latencies[(latencies.len() - 1) * 99 / 100];
    let p99 = p99.at - posted[p99.id()];
    println!("an endpoint beside them: p99 {p99:?} of {}", posted.len());
    assert!(p99 < Duration::from_millis(500), "{p99:?}");

    for (endpoint, rate, count) in endpoints {
        let times = begun(&bench, &endpoint, count).await;
        assert_eq!(times.len(), count);
        let took = (times[count - 1] - times[0]) as f64 / 1_000.0;
        let met = (count - 1) as f64 / took / rate as f64;
        let most = most_in_a_second(&times);
        println!("{rate} a second: {met:.3} of it, at most {most} in a second");
        assert!((0.95..=1.05).contains(&met), "{met} of {rate} a second");
        let bound = (1.05 * rate as f64).max(rate as f64 + 1.0).floor() as usize;
        assert!(most <= bound, "{most} in a second with {rate} a second");
    }
}

/// Attempts that somebody asks for count as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_attempts_is_bound_by_the_rate() {
    const RATE: usize = 10;
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let endpoint = json!({ "url": receiver.url(), "throttleRate": RATE });
    let endpoint = bench.endpoint_with(endpoint).await;
    let messages = burst(&bench, 20).await;
    bench.explained(&messages[19], &endpoint, "pending", "endpoint_throttled").await;
    for message in &messages[10..] {
        assert_eq!(bench.resend(message, &endpoint).await.0, 202);
    }
    // One that is delivered because somebody asked is not delivered once more.
    let all = messages.clone();
    receiver.wait_until(move |_, by_id| all.iter().all(|id| by_id.contains_key(id)));
    let attempts = attempts_at(&bench, &endpoint, 20).await;
    let manual = attempts.iter().filter(|one| one["triggerType"] == 1).count();
    assert!(manual >= 5, "{manual} were asked for");
    let times: Vec<_> = attempts.iter().map(|one: &Value| millis(&one["timestamp"])).collect();
    let most = most_in_a_second(&times);
    assert!(most <= RATE + 1, "{most} in a second: {times:?}");
}
