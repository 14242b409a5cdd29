//! Why a message reached an endpoint or did not.

use serde_json::{Value, json};

use super::{Bench, schedule};
use crate::support::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_has_its_verdict() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("1")).await;
    let with = async |more: Value| {
        let mut endpoint = json!({ "url": receiver.url() });
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.endpoint_with(endpoint).await
    };
    let matched = with(json!({})).await;
    let matched_by_both = with(json!({ "eventTypes": ["a", "b"], "channels": ["x", "z"] })).await;
    let by_type = with(json!({ "eventTypes": ["b"] })).await;
    let by_channel = with(json!({ "channels": ["y"] })).await;
    let disabled = with(json!({ "disabled": true })).await;
    let deleted = with(json!({})).await;
    let gone_before = with(json!({})).await;
    bench.delete(&format!("/endpoint/{gone_before}")).await;

    let message = bench
        .send_as(json!({ "eventType": "a", "payload": {}, "channels": ["x"], "eventId": "mine" }))
        .await;
    for endpoint in [&matched, &deleted] {
        bench.explained(&message, endpoint, "delivered", "success").await;
    }
    let later = with(json!({})).await;
    // What is true later changes nothing about why.
    bench.delete(&format!("/endpoint/{deleted}")).await;
    bench.patch(&disabled, json!({ "disabled": false })).await;
    bench.patch(&by_type, json!({ "eventTypes": ["a"] })).await;
    bench.patch(&by_channel, json!({ "channels": null })).await;
    bench.patch(&matched, json!({ "eventTypes": ["b"] })).await;

    for (endpoint, state, reason, attempts) in [
        (&matched, "delivered", "success", 1),
        (&matched_by_both, "delivered", "success", 1),
        (&by_type, "not_sent", "event_type", 0),
        (&by_channel, "not_sent", "channel", 0),
        (&disabled, "not_sent", "endpoint_disabled", 0),
        (&deleted, "delivered", "success", 1),
        (&later, "not_sent", "endpoint_created_later", 0),
    ] {
        let line = bench.explained(&message, endpoint, state, reason).await;
        assert_eq!(line["attempts"], attempts, "{line}");
        assert_eq!(line["lastAttempt"].is_object(), attempts > 0, "{line}");
    }
    let explained = bench.server.get(&bench.path("/msg/mine/explain")).await;
    assert_eq!(explained["msgId"], message.as_str());
    assert_eq!(explained["channels"], json!(["x"]));
    let lines = explained["endpoints"].as_array().unwrap();
    let before = lines.iter().find(|line| line["endpointId"] == gone_before.as_str());
    assert!(
        before.is_none_or(|line| line["reason"] == "endpoint_deleted"),
        "it was deleted before: {before:?}"
    );
}
