//! Asking for events, and coming again.

use super::*;

async fn take(bench: &Bench, body: Value) -> (Vec<u64>, Vec<String>, u64) {
    let taken = bench.server.post("/api/v1/listener/me/take", body).await;
    let events = taken["events"].as_array().unwrap();
    let number = |event: &Value| {
        let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        body["number"].as_u64().unwrap()
    };
    let ids = events.iter().map(|event| event["id"].as_str().unwrap().to_owned());
    (events.iter().map(number).collect(), ids.collect(), taken["behind"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_acknowledged_comes_again() {
    let mut bench = Bench::new().await;
    bench.put("me", json!({ "sources": ["hub"] })).await;
    assert_eq!(take(&bench, json!({})).await, (vec![], vec![], 0));
    bench.events(0..5).await;
    let (numbers, ids, behind) = take(&bench, json!({ "max": 2 })).await;
    assert_eq!((numbers, behind), (vec![0, 1], 5));
    let (numbers, ..) = take(&bench, json!({ "max": 3 })).await;
    assert_eq!(numbers, [0, 1, 2]);
    let (numbers, last, behind) = take(&bench, json!({ "acknowledge": ids[1] })).await;
    assert_eq!((numbers, behind), (vec![2, 3, 4], 3));
    // It is written down by the time of the answer.
    bench.server.kill();
    bench.server.restart();
    let (numbers, ..) = take(&bench, json!({})).await;
    assert_eq!(numbers, [2, 3, 4]);
    assert_eq!(take(&bench, json!({ "acknowledge": last[2] })).await, (vec![], vec![], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_at_once() {
    let bench = Bench::new().await;
    bench.put("me", json!({ "eventTypes": ["push"], "verifiedOnly": true })).await;
    let begun = tokio::time::Instant::now();
    let (taken, sent) = tokio::join!(take(&bench, json!({ "waitSeconds": 60 })), bench.event(7));
    assert_eq!((taken.0, sent.status), (vec![7], 200));
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_named() {
    let bench = Bench::new().await;
    bench.put("me", json!({})).await;
    let path = "/api/v1/listener/me";
    for (method, path, body, field) in [
        (Method::POST, format!("{path}/take"), json!({ "max": 0 }), "max"),
        (Method::POST, format!("{path}/take"), json!({ "waitSeconds": 61 }), "waitSeconds"),
        (Method::POST, format!("{path}/take"), json!({ "acknowledge": "x" }), "acknowledge"),
        (Method::POST, format!("{path}/seek"), json!({ "to": "yesterday" }), "to"),
        (Method::PUT, path.to_owned(), json!({ "sources": ["nobody"] }), "sources"),
        (Method::PUT, path.to_owned(), json!({ "from": "soon" }), "from"),
        (Method::PUT, path.to_owned(), json!({ "filter": { "body": { "$x": 1 } } }), "filter"),
        (Method::PUT, format!("{path}%20"), json!({}), "listener_id"),
    ] {
        let (status, said) = bench.server.call(method, &path, Some(body)).await;
        let place = said["detail"][0]["loc"].to_string();
        assert!(status == 422 && place.contains(field), "{path}: {status} {said}");
    }
}
