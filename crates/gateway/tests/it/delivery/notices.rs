//! Operational messages: what Ringback tells about deliveries, delivered like any other message.

use serde_json::{Value, json};

use super::{Bench, eventually, schedule, text, verify};
use crate::support::{Answer, Receiver};

const OPERATIONAL: &str = "/api/v1/app/ringback.operational";
const TOLD: &str = "/api/v1/operational-webhook/endpoint";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_deliveries_is_told() {
    let operator = Receiver::ok();
    let receiver = Receiver::with(|receipt, before| match receipt.path.as_str() {
        "/gone" => Answer::status(410),
        "/recovers" if before >= 4 => Answer::status(204),
        _ => Answer::status(500),
    });
    let bench = Bench::new(schedule("0.1,0.1,0.1,0.1")).await;
    let told = bench.server.post(TOLD, json!({ "url": operator.url() })).await;
    let told = text(&told["id"]);
    let secret = bench.server.get(&format!("{TOLD}/{told}/secret")).await;

    let mut sent = Vec::new();
    for path in ["gone", "recovers", "fails"] {
        let url = format!("http://{}/{path}", receiver.address);
        let event_type = format!("notice.{path}");
        let endpoint = json!({ "url": url, "eventTypes": [event_type], "uid": path });
        let endpoint = bench.endpoint_with(endpoint).await;
        sent.push((endpoint, bench.send(&event_type).await));
    }

    let expected = [
        ("endpoint.disabled", 0),
        ("message.attempt.failing", 1),
        ("message.attempt.recovered", 1),
        ("message.attempt.failing", 2),
        ("message.attempt.exhausted", 2),
    ];
    let receipts = operator.wait_for(expected.len());
    assert_eq!(receipts.len(), expected.len());
    let bodies: Vec<Value> =
        receipts.iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect();
    for (event_type, index) in expected {
        let (endpoint, message) = &sent[index];
        let is_it =
            |body: &&Value| body["type"] == event_type && body["data"]["endpointId"] == *endpoint;
        let body =
            bodies.iter().find(is_it).unwrap_or_else(|| panic!("{event_type} in {bodies:?}"));
        let data = &body["data"];
        assert_eq!(data["appId"], bench.app.as_str());
        assert_eq!(data["endpointUid"], ["gone", "recovers", "fails"][index]);
        if event_type == "endpoint.disabled" {
            assert_eq!(data["trigger"], "gone");
            assert!(data["failSince"].is_string(), "{data}");
        } else {
            assert_eq!(data["msgId"], message.as_str());
            let status = if event_type.ends_with("recovered") { 204 } else { 500 };
            assert_eq!(data["lastAttempt"]["responseStatusCode"], status);
            let id = text(&data["lastAttempt"]["id"]);
            let path = bench.path(&format!("/msg/{message}/attempt/{id}"));
            assert_eq!(bench.server.get(&path).await["id"], id.as_str());
        }
    }
    for receipt in &receipts {
        verify(&text(&secret["key"]), receipt).unwrap();
    }
    let listed = bench.server.get(&format!("{OPERATIONAL}/msg?limit=50")).await;
    let mut listed: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|one| text(&one["eventType"])).collect();
    listed.sort();
    let mut names = expected.map(|(name, _)| name.to_owned());
    names.sort();
    assert_eq!(listed, names);
}

/// A failing endpoint of the operator's does not make messages about messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_about_what_is_told() {
    let deaf = Receiver::with(|_, _| Answer::status(500));
    let bench = Bench::new(schedule("0.1")).await;
    let endpoint = json!({ "url": deaf.url() });
    let told = bench.server.post(&format!("{OPERATIONAL}/endpoint"), endpoint).await;
    bench.endpoint(&deaf.url()).await;
    let message = bench.send("notice.test").await;
    bench.attempts(&message, 2).await;
    let path = format!("{OPERATIONAL}/attempt/endpoint/{}", text(&told["id"]));
    eventually("both attempts to tell", async || {
        let attempts = bench.server.get(&path).await;
        if attempts["data"].as_array().unwrap().len() == 2 { Ok(()) } else { Err(attempts) }
    })
    .await;
    let listed = bench.server.get(&format!("{OPERATIONAL}/msg")).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_task_is_told() {
    let operator = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    bench.server.post(TOLD, json!({ "url": operator.url() })).await;
    let purge = bench.path("/msg/expunge-all-contents");
    let task = bench.server.post(&purge, json!({})).await;
    let receipts = operator.wait_for(1);
    let body: Value = serde_json::from_slice(&receipts[0].body).unwrap();
    let data = json!({
        "taskId": task["id"],
        "task": "application.purge_content",
        "status": "finished",
        "data": { "messagesPurged": 0, "messagesSeen": 0 },
    });
    assert_eq!(body, json!({ "type": "background_task.finished", "data": data }));
    let listed = bench.server.get(&format!("{OPERATIONAL}/msg")).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["data"][0]["eventId"], task["id"]);
}
