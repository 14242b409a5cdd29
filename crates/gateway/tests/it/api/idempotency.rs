//! `Idempotency-Key`: the same POST happens once.

use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};

use super::{Answer, Bench};
use crate::support::Kept;

impl Bench {
    fn keyed(&self, path: &str, key: &str, body: &Value) -> Request<axum::body::Body> {
        let request = self.request(Method::POST, path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        request.header("idempotency-key", key).body(body.to_string().into()).unwrap()
    }

    async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.keyed(path, key, body)).await
    }
}

#[tokio::test]
async fn the_same_request_happens_once() {
    let bench = Bench::new().await;
    let body = json!({"name": "n"});
    let first = bench.post_once("/api/v1/app", "key", &body).await;
    first.expect(201);
    assert_eq!(bench.post_once("/api/v1/app", "key", &body).await, first);
    assert_eq!(bench.post_once("/api/v1/app/?a=b", "key", &body).await, first);
    bench
        .post_once("/api/v1/app", "key", &json!({"name": "other"}))
        .await
        .error(409, "idempotency_conflict");
    assert_eq!(bench.get("/api/v1/app").await.expect(200)["data"].as_array().unwrap().len(), 1);
    // Another key, and another path, is another request.
    assert_ne!(bench.post_once("/api/v1/app", "key2", &body).await.expect(201), first.json());
    bench
        .post_once("/api/v1/event-type", "key", &json!({"name": "a", "description": ""}))
        .await
        .expect(201);
    bench.post_once("/api/v1/app", "kéy", &body).await.invalid("header.idempotency-key");
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let bench = Bench::new().await;
    bench.post_once("/api/v1/app", "key", &json!({"name": ""})).await.invalid("body.name");
    bench.post_once("/api/v1/app", "key", &json!({"name": "n"})).await.expect(201);
}

#[tokio::test]
async fn keys_of_sdks_live_an_hour_and_chosen_ones_a_day() {
    let bench = Bench::new().await;
    let body = json!({"name": "n"});
    let (chosen, auto) = ("mine", "auto_4b5c");
    let first = bench.post_once("/api/v1/app", chosen, &body).await;
    let second = bench.post_once("/api/v1/app", auto, &body).await;
    bench.clock.advance(Duration::from_secs(3_601));
    assert_eq!(bench.post_once("/api/v1/app", chosen, &body).await, first);
    assert_ne!(bench.post_once("/api/v1/app", auto, &body).await, second);
    bench.clock.advance(Duration::from_secs(86_400));
    assert_ne!(bench.post_once("/api/v1/app", chosen, &body).await, first);
}

#[tokio::test]
async fn twins_at_the_same_time_happen_once() {
    let bench = Bench::new().await;
    let body = json!({"name": "n"});
    let twin = || bench.post_once("/api/v1/app", "key", &body);
    let (a, b, c) = tokio::join!(twin(), twin(), twin());
    a.expect(201);
    assert_eq!((&a, &a), (&b, &c));
    assert_eq!(bench.get("/api/v1/app").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_replayed_secret_is_the_same_and_is_stored_sealed() {
    let bench = Bench::new().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await.expect(201);
    let endpoint = json!({"url": "https://example.com/", "uid": "e"});
    bench.post("/api/v1/app/a/endpoint", endpoint).await.expect(201);
    let path = "/api/v1/app/a/endpoint/e/secret/rotate";
    let first = bench.post_once(path, "key", &json!({})).await;
    let key = first.expect(200)["key"].as_str().unwrap().to_owned();
    assert_eq!(bench.post_once(path, "key", &json!({})).await, first);
    let now = bench.get("/api/v1/app/a/endpoint/e/secret").await.expect(200);
    assert_eq!(now["key"], key.as_str());
    let kept = Kept::by(&bench.kind, bench.directory.path());
    assert_eq!(kept.place_of(key.strip_prefix("whsec_").unwrap()), None);
    // The search finds what is there.
    assert!(kept.place_of("https://example.com/").is_some());
}
