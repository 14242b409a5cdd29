//! What is not taken: answered as it should be, written down with its reason, delivered nowhere.

use serde_json::json;

use super::*;

const HEADERS: [(&str, &str); 2] = [("x-github-event", "push"), ("x-github-delivery", "d-1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_proof_is_refused_for_a_proven_reason() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    let unsigned = bench.call(Method::POST, "", &HEADERS, "{}").await;
    assert_eq!(unsigned.status, 401);
    assert_eq!(bench.last().await, ("unverified".into(), "missing_header".into()));
    let wrong = bench.event_signed_at(now(), "rb-test-wrong", &HEADERS, "{}").await;
    assert_eq!(wrong.status, 401);
    assert_eq!(bench.last().await, ("unverified".into(), "signature_mismatch".into()));
    let made = signed("github", SECRET, now(), &bench.url(), &[], "{}");
    let touched = [HEADERS[0], HEADERS[1], (made[0].0.as_str(), made[0].1.as_str())];
    assert_eq!(bench.call(Method::POST, "", &touched, "{}\n").await.status, 401);
    assert_eq!(bench.last().await, ("unverified".into(), "body_changed".into()));
    // A forgery with the id of a real event does not make that a duplicate.
    assert_eq!(bench.event(&HEADERS, "{}").await.status, 200);
    assert_eq!(bench.last().await.0, "accepted");
    let receipts = bench.receiver.wait_for(1);
    assert_eq!(receipts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_is_stale() {
    let bench = Bench::new("stripe", Receiver::ok(), json!({})).await;
    let old = Timestamp(now().millis() - 400_000);
    assert_eq!(bench.event_signed_at(old, SECRET, &[], r#"{"id":"evt_1"}"#).await.status, 401);
    assert_eq!(bench.last().await, ("stale".into(), "stale".into()));
    let options = json!({ "tolerance": 600 });
    let bench = Bench::new("stripe", Receiver::ok(), options).await;
    assert_eq!(bench.event_signed_at(old, SECRET, &[], r#"{"id":"evt_1"}"#).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_without_its_secret_accepts_nothing() {
    let bench = Bench::with("github", Receiver::ok(), json!({}), json!({})).await;
    assert_eq!(bench.event(&HEADERS, "{}").await.status, 401);
    assert_eq!(bench.last().await, ("unverified".into(), "missing_setting".into()));
    let source = bench.server.get("/ingest/api/v1/source/test").await;
    assert_eq!(source["missing"], json!(["secret"]));
    assert_eq!(source["strength"], "signed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_observes_forwards_unsigned() {
    let bench = Bench::new("github", Receiver::ok(), json!({ "enforce": false })).await;
    let answered = bench.event_signed_at(now(), "rb-test-wrong", &HEADERS, "{}").await;
    assert_eq!(answered.status, 200);
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("ringback-verdict"), "failed");
    assert_eq!(receipt.header("ringback-mark"), "signature_mismatch");
    assert_eq!(receipt.header("webhook-signature"), "");
    assert_eq!(receipt.header("svix-signature"), "");
    bench.event(&HEADERS, "{}").await;
    assert_ne!(bench.receiver.wait_for(2)[1].header("webhook-signature"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold() {
    let options = json!({ "bodyLimit": 10, "rateLimit": 3, "allowedAddresses": ["127.0.0.1"] });
    let bench = Bench::new("github", Receiver::ok(), options).await;
    assert_eq!(bench.event(&HEADERS, r#"{"a":"too long"}"#).await.status, 413);
    assert_eq!(bench.last().await.0, "too_large");
    let put = bench.call(Method::PUT, "", &HEADERS, "{}").await;
    assert_eq!((put.status, put.headers["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(bench.last().await.0, "method_not_allowed");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(bench.event(&[], "{}").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let limited = bench.requests("?status=rate_limited").await;
    assert_eq!(limited[0]["responseStatusCode"], 429);
    let elsewhere = json!({ "allowedAddresses": ["203.0.113.0/24"] });
    let bench = Bench::new("github", Receiver::ok(), elsewhere).await;
    assert_eq!(bench.event(&HEADERS, "{}").await.status, 403);
    assert_eq!(bench.last().await.0, "address_not_allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_attacker_sends_is_written_down_within_bounds() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    for _ in 0..150 {
        assert_eq!(bench.call(Method::POST, "", &[], "forged").await.status, 401);
    }
    let noted = bench.requests("?limit=250").await.len();
    assert!((100..140).contains(&noted), "{noted}");
    assert_eq!(bench.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_shown_nowhere() {
    let config = json!({ "secret": SECRET });
    let bench = Bench::with("gitlab", Receiver::ok(), config, json!({})).await;
    let headers = [("x-gitlab-token", SECRET), ("x-gitlab-event", "Push Hook")];
    assert_eq!(bench.call(Method::POST, "", &headers, "{}").await.status, 200);
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("x-gitlab-token"), "");
    assert_eq!(receipt.header("ringback-verdict"), "authenticated");
    let wrong = [("x-gitlab-token", "rb-test-guess"), ("x-gitlab-event", "Push Hook")];
    assert_eq!(bench.call(Method::POST, "", &wrong, "{}").await.status, 401);
    for request in bench.requests("").await {
        let id = request["id"].as_str().unwrap();
        let path = format!("/ingest/api/v1/source/test/request/{id}");
        let whole = bench.server.get(&path).await.to_string();
        assert!(!whole.contains(SECRET) && !whole.contains("rb-test-guess"), "{whole}");
    }
    let source = bench.server.get("/ingest/api/v1/source/test").await.to_string();
    assert!(!source.contains(SECRET), "{source}");
    let token = bench.path.strip_prefix("/in/").unwrap();
    assert!(!bench.server.log().contains(token), "the URL's secret is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_a_source_is_named() {
    let server = Server::start(Settings::default());
    for (body, field) in [
        (json!({ "type": "github" }), "name"),
        (json!({ "name": "x" }), "type"),
        (json!({ "name": "x", "type": "nobody" }), "type"),
        (json!({ "name": "x", "type": "github", "config": { "sekret": "a" } }), "config.sekret"),
        (json!({ "name": "x", "type": "github", "config": { "secret": " a" } }), "config.secret"),
        (
            json!({ "name": "x", "type": "svix", "config": { "secret": "whsec_!" } }),
            "config.secret",
        ),
        (json!({ "name": "x", "type": "aws-sns" }), "config.topicArn"),
        (json!({ "name": "x", "type": "github", "options": { "methods": [] } }), "options.methods"),
        (
            json!({ "name": "x", "type": "github", "options": { "dedupe": { "window": 1 } } }),
            "options.dedupe.window",
        ),
    ] {
        let (status, answer) =
            server.call(Method::POST, "/ingest/api/v1/source", Some(body.clone())).await;
        assert_eq!(status, 422, "{body}");
        let place: Vec<&str> = answer["detail"][0]["loc"]
            .as_array()
            .unwrap()
            .iter()
            .skip(1)
            .map(|part| part.as_str().unwrap())
            .collect();
        assert_eq!(place.join("."), field, "{answer}");
    }
}
