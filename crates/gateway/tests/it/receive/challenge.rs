//! Challenges: answered by the provider's file, kept apart from events.

use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_confirmed() {
    let bench = Bench::new("slack", Receiver::ok(), json!({})).await;
    let body = r#"{"type":"url_verification","challenge":"rb-3eZbrw1aB"}"#;
    let headers = [("content-type", "application/json")];
    let answered = bench.event(&headers, body).await;
    assert_eq!(answered.status, 200);
    assert!(String::from_utf8_lossy(&answered.body).contains("rb-3eZbrw1aB"));
    assert_eq!(bench.last().await.0, "challenge");
    assert_eq!(bench.call(Method::POST, "", &headers, body).await.status, 401, "it is signed");
    assert_eq!(bench.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_token_is_checked() {
    let config = json!({ "secret": SECRET, "verifyToken": "rb-test-verify" });
    let bench = Bench::with("meta", Receiver::ok(), config, json!({})).await;
    let query = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=rb-test-verify";
    let answered = bench.call(Method::GET, query, &[], "").await;
    assert_eq!((answered.status, &answered.body[..]), (200, &b"1158201444"[..]));
    let wrong = bench.call(Method::GET, &query.replace("rb-test-verify", "guess"), &[], "").await;
    assert_eq!(wrong.status, 403);
    assert_eq!(bench.last().await.0, "unverified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_challenge_signs_an_event() {
    let bench = Bench::new("zoom", Receiver::ok(), json!({})).await;
    let challenge = |token: &str| {
        json!({ "event": "endpoint.url_validation", "payload": { "plainToken": token } })
            .to_string()
    };
    let answered = bench.call(Method::POST, "", &[], &challenge("qgg8vlvZRS6UYooatFL8Aw")).await;
    assert_eq!(answered.status, 200);
    let forged = r#"v0:1700000000:{"event":"meeting.ended"}"#;
    let refused = bench.call(Method::POST, "", &[], &challenge(forged)).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(bench.last().await, ("unverified".into(), "challenge_refused".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_learned_only_while_the_source_is_armed() {
    let bench = Bench::with("asana", Receiver::ok(), json!({}), json!({})).await;
    let answered = bench.call(Method::POST, "", &[("x-hook-secret", SECRET)], "").await;
    assert!((200..300).contains(&answered.status), "{answered:?}");
    assert_eq!(answered.headers["x-hook-secret"], SECRET);
    let body = r#"{"events":[{"action":"added","resource":{"resource_type":"task"}}]}"#;
    let event = bench.event(&[("content-type", "application/json")], body).await;
    assert!((200..300).contains(&event.status), "{event:?}");
    assert_eq!(bench.receiver.wait_for(1)[0].body, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handshake_brought_is_shown_to_nobody() {
    for (provider, headers, body) in [
        ("asana", &[("x-hook-secret", SECRET)][..], String::new()),
        (
            "notion",
            &[("content-type", "application/json")],
            format!(r#"{{"verification_token":"{SECRET}"}}"#),
        ),
    ] {
        let bench = Bench::with(provider, Receiver::ok(), json!({}), json!({})).await;
        let answered = bench.call(Method::POST, "", headers, &body).await;
        assert!((200..300).contains(&answered.status), "{provider}: {answered:?}");
        let listed = &bench.requests("?limit=1").await[0];
        assert_eq!(listed["status"], "challenge", "{provider}");
        let path = format!("/ingest/api/v1/source/test/request/{}", listed["id"].as_str().unwrap());
        let shown = bench.server.get(&path).await.to_string();
        assert!(!shown.contains(SECRET), "{provider}: {shown}");
        let encoded = data_encoding::BASE64.encode(body.as_bytes());
        assert!(body.is_empty() || !shown.contains(&encoded), "{provider}: {shown}");
        assert!(shown.contains("[redacted]") || !body.is_empty(), "{provider}: {shown}");
    }
}
