//! What operators look at: health, metrics, logs.

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::support::{Answer, PATIENCE, Receiver, Server, Settings, Store};

/// The value of one line of the metrics.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happens() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 503 } else { 204 }));
    let failing = Receiver::with(|_, _| Answer::status(500));
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "0.2")
        .env("RINGBACK_DELIVERY_RETRY_JITTER", "0");
    let server = Server::start(settings);
    let (app, _) = server.application(&receiver.url()).await;
    let second = json!({ "url": failing.url() });
    server.post(&format!("/api/v1/app/{app}/endpoint"), second).await;
    let path = format!("/api/v1/app/{app}/msg");
    server.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    assert_eq!(server.call(Method::POST, &path, Some(json!({ "payload": 1 }))).await.0, 422);
    receiver.wait_for(2);
    failing.wait_for(2);

    let begun = Instant::now();
    let text = loop {
        let text = server.metrics().await;
        // The gauges are looked after every few seconds.
        if text.contains("ringback_attempts_total{outcome=\"exhausted\",failed=\"status\"} 1")
            && text.contains("ringback_attempts_total{outcome=\"delivered\",failed=\"none\"} 1")
            && metric(&text, "ringback_store_bytes") > 0.0
        {
            break text;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        sleep(Duration::from_millis(100)).await;
    };
    for (name, expect) in [
        ("ringback_messages_accepted_total", 1.0),
        ("ringback_messages_rejected_total{reason=\"invalid\"}", 1.0),
        ("ringback_attempts_total{outcome=\"delivered\",failed=\"none\"}", 1.0),
        ("ringback_attempts_total{outcome=\"retry\",failed=\"status\"}", 2.0),
        ("ringback_attempts_total{outcome=\"exhausted\",failed=\"status\"}", 1.0),
        ("ringback_accept_seconds_count", 1.0),
        ("ringback_delivery_seconds_count", 1.0),
        ("ringback_attempt_seconds_count", 4.0),
    ] {
        assert_eq!(metric(&text, name), expect, "{name}");
    }
    // How much room a database server has left is not for its clients to see.
    match server.store() {
        Store::Sqlite => assert!(metric(&text, "ringback_disk_free_bytes") > 0.0),
        Store::Postgres(_) => assert!(!text.contains("\nringback_disk_free_bytes "), "{text}"),
    }
    // An application, two endpoints, a message and its attempts.
    assert!(metric(&text, "ringback_commit_seconds_count") >= 4.0);
    assert!(metric(&text, "ringback_commit_batch_sum") >= 8.0);
    assert!(metric(&text, "ringback_client_connections_open") >= 1.0, "this one");
    for family in [
        "backlog_deliveries",
        "oldest_due_seconds",
        "in_flight",
        "connections_open",
        "lanes_suspect",
        "commit_batch",
    ] {
        assert!(text.contains(&format!("# TYPE ringback_{family} ")), "{family}");
        assert!(text.contains(&format!("# HELP ringback_{family} ")), "{family}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_and_its_age_are_shown() {
    let receiver = Receiver::with(|_, _| Answer::Never);
    let server = Server::start(Settings::default());
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/msg");
    for _ in 0..3 {
        server.post(&path, json!({ "eventType": "a", "payload": {} })).await;
    }
    let begun = Instant::now();
    loop {
        let text = server.metrics().await;
        let backlog = metric(&text, "ringback_backlog_deliveries");
        if backlog == 3.0 && metric(&text, "ringback_oldest_due_seconds") > 0.0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_json_logs() {
    let receiver = Receiver::with(|_, _| Answer::status(410));
    let settings =
        Settings::default().env("RINGBACK_LOG_FORMAT", "json").env("RINGBACK_LOG_LEVEL", "debug");
    let mut server = Server::start(settings);
    for path in ["/health/live", "/health/ready", "/health", "/api/v1/health"] {
        let answer = server.client_with("none").call(Method::GET, path, None).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["status"], "ok");
    }
    let (app, _) = server.application(&receiver.url()).await;
    server
        .post(&format!("/api/v1/app/{app}/msg"), json!({ "eventType": "a", "payload": {} }))
        .await;
    receiver.wait_for(1);
    assert!(server.stop().success());
    server.wait_for_log("stopped");
    let log = server.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        assert!(line["message"].is_string() && line["target"].is_string(), "{line}");
    }
    assert!(log.lines().count() >= 2, "{log}");
}
