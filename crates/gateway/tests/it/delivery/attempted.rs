//! What became of messages, in lists and figures.

use http::Method;
use serde_json::{Value, json};

use super::{Bench, eventually, schedule, text};
use crate::support::{Answer, Receiver, Settings};

/// The ids and statuses of a list.
async fn list(bench: &Bench, below: &str) -> Vec<(String, u64)> {
    let list = bench.server.get(&bench.path(below)).await;
    assert_eq!(list["done"], true, "{list}");
    let items = list["data"].as_array().unwrap().iter();
    items.map(|item| (text(&item["id"]), item["status"].as_u64().unwrap())).collect()
}

/// Three endpoints: one that takes everything, one that fails, one that is paused.
struct Three {
    bench: Bench,
    taking: String,
    failing: String,
    paused: String,
    _receivers: [Receiver; 2],
}

impl Three {
    async fn new() -> Three {
        let bench = Bench::new(schedule("3600")).await;
        let good = Receiver::with(|_, _| Answer::status(204));
        let bad = Receiver::with(|_, _| Answer::status(500));
        let taking = bench.endpoint(&good.url()).await;
        let failing = bench.endpoint(&bad.url()).await;
        let paused = bench.endpoint(&good.url()).await;
        bench.server.post(&bench.path(&format!("/endpoint/{paused}/pause")), json!({})).await;
        Three { bench, taking, failing, paused, _receivers: [good, bad] }
    }

    /// Sends a message; returns its id when both attempts are recorded.
    async fn send(&self) -> String {
        let message = self.bench.send("a.b").await;
        self.bench.attempts(&message, 2).await;
        message
    }
}

/// In the original, a list, a figure and an attempt could each say something else.
#[tokio::test(flavor = "multi_thread")]
async fn statuses_differ_between_no_two_lists() {
    let three = Three::new().await;
    let Three { bench, taking, failing, paused, .. } = &three;
    let message = three.send().await;
    for (endpoint, status, word, next) in [
        (taking, 0, "success", false),
        (failing, 3, "sending", true),
        (paused, 1, "pending", false),
    ] {
        let at = bench.server.get(&bench.path(&format!("/endpoint/{endpoint}/msg"))).await;
        let of = bench.server.get(&bench.path(&format!("/msg/{message}/endpoint"))).await;
        let of = of["data"].as_array().unwrap().iter();
        let of = of.filter(|line| line["id"] == json!(endpoint)).collect::<Vec<_>>();
        assert_eq!((at["data"].as_array().unwrap().len(), of.len()), (1, 1));
        assert_eq!(at["data"][0]["id"], json!(message));
        assert_eq!(at["data"][0]["payload"], json!({ "type": "a.b" }));
        for line in [&at["data"][0], of[0]] {
            let said = (line["status"].as_u64(), line["statusText"].as_str());
            assert_eq!(said, (Some(status), Some(word)), "{line}");
            assert_eq!(line["nextAttempt"].is_string(), next, "{line}");
        }
        let stats = bench.server.get(&bench.path(&format!("/endpoint/{endpoint}/stats"))).await;
        for counted in ["success", "pending", "sending", "fail", "canceled"] {
            assert_eq!(stats[counted], u64::from(counted == word), "{counted} of {stats}");
        }
        assert_eq!(stats["complete"], true);
        for asked in 0..=4 {
            let below = format!("/endpoint/{endpoint}/msg?status={asked}");
            assert_eq!(list(bench, &below).await.len(), usize::from(asked == status), "{below}");
        }
        let explained = bench.explain(&message, endpoint).await;
        assert_eq!(explained["nextAttempt"].is_string(), next, "{explained}");
    }
    for status in 0..=4 {
        let found = bench.server.get(&bench.path(&format!("/msg?status={status}"))).await;
        let found = found["data"].as_array().unwrap().len();
        assert_eq!(found, usize::from([0, 1, 3].contains(&status)), "{status}");
    }
    for (endpoint, success, fail) in [(taking, 1, 0), (failing, 0, 1), (paused, 0, 0)] {
        let path = bench.path(&format!("/endpoint/{endpoint}/attempt-stats"));
        let stats = bench.server.get(&path).await;
        assert_eq!((&stats["success"], &stats["fail"]), (&json!(success), &json!(fail)));
        assert!(text(&stats["since"]).ends_with(":00:00.000Z"), "{stats}");
        assert!(text(&stats["until"]).ends_with(":00:00.000Z"), "{stats}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_what_was_attempted_join() {
    let three = Three::new().await;
    let Three { bench, taking, failing, paused, .. } = &three;
    let mut sent = vec![three.send().await, three.send().await, three.send().await];
    sent.reverse();
    let mut endpoints = vec![taking.clone(), failing.clone(), paused.clone()];
    endpoints.sort();
    endpoints.reverse();
    for (below, expect) in [
        (format!("/endpoint/{failing}/msg"), &sent),
        (format!("/msg/{}/endpoint", sent[0]), &endpoints),
    ] {
        let get = async |iterator: &Value| {
            let iterator = iterator.as_str().map_or(String::new(), |at| format!("&iterator={at}"));
            bench.server.get(&bench.path(&format!("{below}?limit=2{iterator}"))).await
        };
        let ids = |page: &Value| -> Vec<String> {
            page["data"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
        };
        let first = get(&Value::Null).await;
        assert_eq!((ids(&first).as_slice(), &first["done"]), (&expect[..2], &json!(false)));
        let second = get(&first["iterator"]).await;
        assert_eq!((ids(&second).as_slice(), &second["done"]), (&expect[2..], &json!(true)));
        assert_eq!(ids(&get(&second["prevIterator"]).await), expect[..2]);
    }
}

/// Lists that are in no document; clients of 2024 have them.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_lists_show_what_the_new_ones_do() {
    let three = Three::new().await;
    let Three { bench, taking, failing, .. } = &three;
    let message = three.send().await;
    let old = list(bench, &format!("/msg/{message}/attempt")).await;
    assert_eq!(old, list(bench, &format!("/attempt/msg/{message}")).await);
    assert_eq!(old.len(), 2);
    for (endpoint, status) in [(taking, 0), (failing, 2)] {
        let at = bench.path(&format!("/msg/{message}/endpoint/{endpoint}/attempt"));
        let at = bench.server.get(&at).await;
        let attempt = &at["data"][0];
        assert_eq!(at["data"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&attempt["endpointId"], &attempt["status"]),
            (&json!(endpoint), &json!(status))
        );
        let filtered = format!("/msg/{message}/attempt?endpoint_id={endpoint}&status={status}");
        assert_eq!(list(bench, &filtered).await, [(text(&attempt["id"]), status)]);
    }
}

/// The original cuts lists at 90 days without a word: here a window is what was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn windows_are_those_that_were_asked_for() {
    let bench = Bench::new(Settings::default()).await;
    let receiver = Receiver::with(|_, _| Answer::status(200));
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("a.b").await;
    bench.attempts(&message, 1).await;
    let stats = async |query: &str| {
        let path = bench.path(&format!("/endpoint/{endpoint}/stats{query}"));
        bench.server.call(Method::GET, &path, None).await
    };
    let counted = eventually("a success", async || {
        let counted = stats("?since=2020-01-01T00:00:00Z").await.1;
        if counted["success"] == 1 { Ok(counted) } else { Err(counted) }
    })
    .await;
    assert_eq!(counted["since"], "2020-01-01T00:00:00.000Z");
    assert_eq!(counted["complete"], true);
    let before = stats("?since=2020-01-01T00:00:00Z&until=2020-06-01T00:00:00Z").await.1;
    assert_eq!((&before["success"], &before["complete"]), (&json!(0), &json!(true)));
    for (query, field) in [
        ("?since=soon", "since"),
        ("?since=2020-01-02T00:00:00Z&until=2020-01-01T00:00:00Z", "until"),
    ] {
        let (status, body) = stats(query).await;
        assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["query", field])));
    }
    for below in [
        "/endpoint/unknown/stats",
        "/endpoint/unknown/attempt-stats",
        "/endpoint/unknown/msg",
        "/msg/unknown/endpoint",
        "/msg/unknown/attempt",
    ] {
        let (status, body) = bench.server.call(Method::GET, &bench.path(below), None).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{below}");
    }
    let path = bench.path(&format!("/endpoint/{endpoint}/msg?status=5"));
    let (status, body) = bench.server.call(Method::GET, &path, None).await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["query", "status"])));
}
