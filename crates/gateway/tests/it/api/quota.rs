//! Quotas of applications: who sets them, what is refused, and how that is told.

use std::time::Duration;

use http::{Method, header};
use ringback::seam::Clock;
use ringback_domain::{
    access::{Grant, Role},
    quota::Quota,
    scope::Reference,
};
use serde_json::{Value, json};

use super::{Answer, Bench};

const QUOTA: &str = "/api/v1/app/mine/quota";
const MESSAGES: &str = "/api/v1/app/mine/msg";
const ENDPOINTS: &str = "/api/v1/app/mine/endpoint";

/// An application named `mine`; its id.
async fn with(defaults: Quota) -> (Bench, String) {
    let bench = Bench::with(defaults).await;
    let app = bench.post("/api/v1/app", json!({"name": "n", "uid": "mine"})).await.expect(201);
    (bench, app["id"].as_str().unwrap().to_owned())
}

async fn send(bench: &Bench, path: &str) -> Answer {
    bench.post(path, json!({"eventType": "a", "payload": {}})).await
}

/// Checks that this quota is told to be used up, and for how long.
#[track_caller]
fn refused(answer: &Answer, quota: &str, retry_after: &str) {
    answer.error(429, "quota_exceeded");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.ends_with(quota), "{detail}");
    assert_eq!(answer.headers[header::RETRY_AFTER], retry_after);
}

#[tokio::test]
async fn a_quota_is_set_shown_and_taken_away() {
    let defaults = Quota { endpoints: Some(9), pending: Some(8), ..Quota::default() };
    let (bench, _) = with(defaults).await;
    let limits = |messages: Value, endpoints: Value, pending: Value| {
        json!({
            "messagesPerSecond": messages, "messagesBurst": null, "bytesPerSecond": null,
            "endpoints": endpoints, "pending": pending,
        })
    };
    let shown = |own: Value, effective: Value| {
        let mut shown = own;
        shown["effective"] = effective;
        shown
    };
    let null = || Value::Null;
    let nothing = shown(limits(null(), null(), null()), limits(null(), json!(9), json!(8)));
    assert_eq!(bench.get(QUOTA).await.expect(200), nothing);
    let some = json!({"messagesPerSecond": 5, "endpoints": null, "pending": 0});
    let set = shown(limits(json!(5), null(), json!(0)), limits(json!(5), json!(9), null()));
    assert_eq!(bench.put(QUOTA, some).await.expect(200), set);
    assert_eq!(bench.get(QUOTA).await.expect(200), set);
    bench.delete(QUOTA).await.expect(204);
    assert_eq!(bench.get(QUOTA).await.expect(200), nothing);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (bench, _) = with(Quota::default()).await;
    for (body, loc) in [
        (json!({"messagesPerSecond": -1}), "body.messagesPerSecond"),
        (json!({"endpoints": "many"}), "body.endpoints"),
        (json!({"pending": 10_000_001}), "body.pending"),
        (json!({"bytesPerSecond": 1_000_000_000_001_u64}), "body.bytesPerSecond"),
    ] {
        bench.put(QUOTA, body).await.invalid(loc);
    }
    bench.put("/api/v1/app/none/quota", json!({})).await.error(404, "not_found");
    bench.get("/api/v1/app/none/quota").await.error(404, "not_found");
    let hidden = "/api/v1/app/ringback.operational/quota";
    bench.put(hidden, json!({"endpoints": 1})).await.error(404, "not_found");
}

#[tokio::test]
async fn who_is_limited_does_not_move_the_limit() {
    let (bench, _) = with(Quota::default()).await;
    let environment = bench.store.environment("default".to_owned(), bench.clock.now()).await;
    let mine = Reference::Uid("mine".to_owned());
    let application = bench.store.application(environment.unwrap(), mine).await.unwrap().id;
    for role in [Role::Application, Role::Read, Role::Send] {
        let grant = Grant { role, application: Some(application), ..Grant::default() };
        let (_, token) = bench.token_for("default", grant).await;
        for method in [Method::PUT, Method::DELETE] {
            bench.call_as(&token, method, QUOTA, "{}").await.error(403, "needs_admin");
        }
        let sees = if role == Role::Send { 403 } else { 200 };
        bench.call_as(&token, Method::GET, QUOTA, "").await.expect(sees);
    }
}

#[tokio::test]
async fn messages_over_the_rate_are_refused_until_it_is_time() {
    let (bench, id) = with(Quota::default()).await;
    let set = json!({"messagesPerSecond": 1, "messagesBurst": 2});
    bench.put(QUOTA, set).await.expect(200);
    let by_id = format!("/api/v1/app/{id}/msg");
    // The first one by its uid shows whose it is; id and uid are one application.
    send(&bench, MESSAGES).await.expect(202);
    send(&bench, &by_id).await.expect(202);
    for path in [MESSAGES, &by_id] {
        refused(&send(&bench, path).await, "messagesPerSecond is 1", "1");
    }
    bench.post("/api/v1/app", json!({"name": "n", "uid": "other"})).await.expect(201);
    for _ in 0..5 {
        send(&bench, "/api/v1/app/other/msg").await.expect(202);
    }
    bench.clock.advance(Duration::from_secs(1));
    send(&bench, &by_id).await.expect(202);
    refused(&send(&bench, MESSAGES).await, "messagesPerSecond is 1", "1");
    bench.delete(QUOTA).await.expect(204);
    send(&bench, MESSAGES).await.expect(202);
}

#[tokio::test]
async fn the_default_is_for_each_application() {
    let (bench, id) = with(Quota { bytes_per_second: Some(100), ..Quota::default() }).await;
    let by_id = format!("/api/v1/app/{id}/msg");
    let large = json!({"eventType": "a", "payload": {"text": "x".repeat(300)}});
    bench.post(&by_id, large).await.expect(202);
    refused(&send(&bench, &by_id).await, "bytesPerSecond is 100", "3");
    bench.put(QUOTA, json!({"bytesPerSecond": 0})).await.expect(200);
    send(&bench, &by_id).await.expect(202);
}

#[tokio::test]
async fn a_foreign_environment_uses_nothing_of_a_quota() {
    let (bench, id) = with(Quota { messages_per_second: Some(1), ..Quota::default() }).await;
    let by_id = format!("/api/v1/app/{id}/msg");
    let (_, foreign) = bench.token_of("other").await;
    let body = json!({"eventType": "a", "payload": {}}).to_string();
    for _ in 0..3 {
        let answer = bench.call_as(&foreign, Method::POST, &by_id, &body).await;
        assert!([404, 429].contains(&answer.status.as_u16()), "{answer:?}");
    }
    send(&bench, &by_id).await.expect(202);
}

#[tokio::test]
async fn an_endpoint_too_many_is_refused() {
    let (bench, _) = with(Quota { endpoints: Some(1), ..Quota::default() }).await;
    let url = || json!({"url": "https://example.com/hook"});
    let made = bench.post(ENDPOINTS, url()).await.expect(201);
    let made = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let named = format!("{ENDPOINTS}/named");
    for answer in [bench.post(ENDPOINTS, url()).await, bench.put(&named, url()).await] {
        answer.error(400, "quota_exceeded");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with("endpoints is 1"), "{detail}");
    }
    bench.put(&made, url()).await.expect(200);
    bench.put(QUOTA, json!({"endpoints": 2})).await.expect(200);
    bench.put(&named, url()).await.expect(201);
    bench.delete(&made).await.expect(204);
    bench.post(ENDPOINTS, url()).await.expect(201);
    // Operational messages are the environment's own.
    for _ in 0..3 {
        bench.post("/api/v1/operational-webhook/endpoint", url()).await.expect(201);
    }
}

#[tokio::test]
async fn while_too_much_is_pending_messages_are_refused() {
    let (bench, id) = with(Quota { pending: Some(2), ..Quota::default() }).await;
    let by_id = format!("/api/v1/app/{id}/msg");
    bench.post(ENDPOINTS, json!({"url": "https://example.com/hook"})).await.expect(201);
    for _ in 0..2 {
        send(&bench, &by_id).await.expect(202);
    }
    bench.quotas.count(&*bench.store, bench.clock.now()).await;
    refused(&send(&bench, &by_id).await, "pending is 2", "1");
    bench.put(QUOTA, json!({"pending": 3})).await.expect(200);
    send(&bench, &by_id).await.expect(202);
}

#[tokio::test]
async fn what_was_set_is_read_at_the_start() {
    let (bench, id) = with(Quota::default()).await;
    bench.put(QUOTA, json!({"messagesPerSecond": 1})).await.expect(200);
    let quotas = ringback::quota::Quotas::new(Quota::default());
    quotas.read(&*bench.store).await.unwrap();
    let scope = quotas_scope(&bench, &id).await;
    assert_eq!(quotas.of(scope).messages_per_second, Some(1));
    bench.delete("/api/v1/app/mine").await.expect(204);
    quotas.read(&*bench.store).await.unwrap();
    assert_eq!(quotas.of(scope), Quota::default());
}

async fn quotas_scope(bench: &Bench, id: &str) -> ringback_domain::scope::Scope {
    let environment = bench.store.environment("default".to_owned(), bench.clock.now()).await;
    let reference = Reference::parse(ringback_domain::id::Kind::Application, id);
    bench.store.quota(environment.unwrap(), reference).await.unwrap().0
}
