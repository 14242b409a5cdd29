//! What a callback may be asked for, and what the API says of it.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Bench};

const CALLBACK: &str = "/api/v1/callback";

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "mine"})).await.expect(201);
    bench
}

/// A callback of the application with this beside.
async fn made(bench: &Bench, mut body: Value) -> Value {
    body["application"] = json!("mine");
    bench.post(CALLBACK, body).await.expect(201)
}

fn path(callback: &Value, rest: &str) -> String {
    format!("{CALLBACK}/{}{rest}", callback["id"].as_str().unwrap())
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let bench = bench().await;
    for (body, loc) in [
        (json!({"kind": "other"}), "body.kind"),
        (json!({"expiresIn": 0}), "body.expiresIn"),
        (json!({"expiresIn": 7_776_001}), "body.expiresIn"),
        (json!({"expiresIn": 5, "expiresAt": "2030-01-01T00:00:00Z"}), "body.expiresAt"),
        (json!({"expiresAt": "soon"}), "body.expiresAt"),
        (json!({"expiresAt": "2040-01-01T00:00:00Z"}), "body.expiresAt"),
        (json!({"heartbeat": 0}), "body.heartbeat"),
        (json!({"mode": "many"}), "body.mode"),
        (json!({"maxItems": 5}), "body.maxItems"),
        (json!({"mode": "stream", "maxItems": 10_001}), "body.maxItems"),
        (json!({"methods": ["HEAD"]}), "body.methods"),
        (json!({"reference": ""}), "body.reference"),
        (json!({"reference": "a\u{0}b"}), "body.reference"),
        (json!({"tags": ["a b"]}), "body.tags.0"),
        (json!({"completer": {}}), "body.completer"),
        (json!({"completer": {"bearer": "short"}}), "body.completer.bearer"),
        (json!({"completer": {"provider": "nobody"}}), "body.completer.provider"),
        (json!({"completer": {"provider": "github"}}), "body.completer.settings.secret"),
        (
            json!({"completer": {"provider": "github", "settings": {"sekret": "x"}}}),
            "body.completer.settings.sekret",
        ),
        (json!({"schema": {"type": "objekt"}}), "body.schema"),
        (json!({"successWhen": {"body": {"a": {"$gr": 1}}}}), "body.successWhen.body.a.$gr"),
        (json!({"failureWhen": {"boddy": 1}}), "body.failureWhen.boddy"),
        (json!({"acknowledge": {"status": 404}}), "body.acknowledge.status"),
        (json!({"confirm": {"title": ""}}), "body.confirm.title"),
        (json!({"expiresIn": "long"}), "body.expiresIn"),
    ] {
        let mut body = body;
        body["application"] = json!("mine");
        bench.post(CALLBACK, body).await.invalid(loc);
    }
    bench.post(CALLBACK, json!({})).await.invalid("body.application");
    let listed = bench.get(CALLBACK).await.expect(200);
    assert_eq!(listed["data"], json!([]));
    let nobody = json!({"application": "nobody"});
    bench.post(CALLBACK, nobody).await.error(404, "not_found");
    let source = json!({"application": "mine", "source": "nobody"});
    bench.post(CALLBACK, source).await.error(404, "not_found");
    let redirect = json!({"application": "mine", "kind": "redirect"});
    bench.post(CALLBACK, redirect).await.invalid("body.redirect");
}

#[tokio::test]
async fn what_is_made_has_a_url_that_is_shown_once() {
    let bench = bench().await;
    let made = made(
        &bench,
        json!({"expiresIn": 60, "reference": "order-17", "tags": ["t"],
        "metadata": {"k": "v"}, "heartbeat": 30}),
    )
    .await;
    let url = made["url"].as_str().unwrap();
    let token = url.strip_prefix("https://hooks.example.com/cb/").unwrap();
    assert_eq!(token.len(), 72);
    assert_ne!(made["waitToken"], token);
    for (field, expect) in [
        ("status", json!("pending")),
        ("kind", json!("result")),
        ("mode", json!("single")),
        ("reference", json!("order-17")),
        ("tags", json!(["t"])),
        ("metadata", json!({"k": "v"})),
        ("heartbeat", json!(30)),
        ("requests", json!(0)),
        ("createdAt", json!("2027-01-15T08:00:00.000Z")),
        ("expiresAt", json!("2027-01-15T08:01:00.000Z")),
    ] {
        assert_eq!(made[field], expect, "{field}");
    }
    for path in [CALLBACK.to_owned(), path(&made, ""), path(&made, "/result")] {
        let answer = bench.get(&path).await;
        assert!(answer.status.is_success() && !answer.text.contains(token), "{answer:?}");
        let wait = made["waitToken"].as_str().unwrap();
        assert!(!answer.text.contains(wait), "{answer:?}");
    }
}

#[tokio::test]
async fn the_same_request_makes_one_callback_with_one_url() {
    let bench = bench().await;
    let post = async |key: &str, body: Value| -> Answer {
        let request = bench.request(Method::POST, CALLBACK);
        let request = request.header("authorization", format!("Bearer {}", bench.token));
        let request = request.header("idempotency-key", key);
        bench.send(request.body(body.to_string().into()).unwrap()).await
    };
    let body = json!({"application": "mine", "expiresIn": 60});
    let first = post("key", body.clone()).await.expect(201);
    bench.clock.advance(Duration::from_secs(5));
    let again = post("key", body.clone()).await.expect(200);
    assert_eq!(first, again);
    let other = json!({"application": "mine", "expiresIn": 61});
    post("key", other).await.error(409, "idempotency_conflict");
    assert_ne!(post("another", body.clone()).await.expect(201)["id"], first["id"]);
    post(&"k".repeat(257), body.clone()).await.invalid("header.idempotency-key");
    // After its end it is the same one still.
    bench.clock.advance(Duration::from_secs(60));
    let ended = post("key", body).await.expect(200);
    assert_eq!(
        (ended["url"].clone(), ended["status"].clone()),
        (first["url"].clone(), json!("expired"))
    );
    assert_eq!(bench.get(CALLBACK).await.expect(200)["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_reference_is_one_callbacks() {
    let bench = bench().await;
    made(&bench, json!({"reference": "order-17"})).await;
    let taken = json!({"application": "mine", "reference": "order-17"});
    bench.post(CALLBACK, taken).await.error(409, "conflict");
    // Among those of a source it is free.
    let source = json!({"name": "n", "uid": "src", "type": "github"});
    bench.post("/ingest/api/v1/source", source).await.expect(201);
    made(&bench, json!({"reference": "order-17", "source": "src"})).await;
}

#[tokio::test]
async fn the_application_settles() {
    let bench = bench().await;
    let one = made(&bench, json!({})).await;
    bench.get(&path(&one, "/result")).await.expect(202);
    let answered = bench.post(&path(&one, "/complete"), json!({"ok": true})).await;
    assert_eq!(answered.headers["callback-status"], "settled");
    assert_eq!(answered.expect(200)["status"], "completed");
    let again = bench.post(&path(&one, "/complete"), json!({"ok": true})).await;
    assert_eq!(
        (again.status.as_u16(), &again.headers["callback-status"]),
        (200, &"duplicate".parse().unwrap())
    );
    bench
        .post(&path(&one, "/complete"), json!({"ok": false}))
        .await
        .error(409, "callback_conflict");
    bench.post(&path(&one, "/cancel"), json!({})).await.error(409, "callback_ended");
    let result = bench.get(&path(&one, "/result")).await.expect(200);
    assert_eq!(
        (&result["status"], &result["result"]["json"]),
        (&json!("completed"), &json!({"ok": true}))
    );

    let failed = made(&bench, json!({})).await;
    assert_eq!(
        bench.post(&path(&failed, "/fail"), json!("no")).await.expect(200)["status"],
        "failed"
    );
    let canceled = made(&bench, json!({})).await;
    for _ in 0..2 {
        let answer = bench.post(&path(&canceled, "/cancel"), json!({})).await.expect(200);
        assert_eq!(answer["status"], "canceled");
    }
    let stream = made(&bench, json!({"mode": "stream", "maxItems": 3})).await;
    let item = bench.post(&path(&stream, "/complete"), json!(1)).await.expect(200);
    assert_eq!((&item["status"], &item["items"]), (&json!("pending"), &json!(1)));
    assert_eq!(
        bench.post(&path(&stream, "/close"), json!({})).await.expect(200)["status"],
        "completed"
    );
    let single = made(&bench, json!({})).await;
    bench.post(&path(&single, "/close"), json!({})).await.error(400, "not_a_stream");

    let extended = json!({"expiresIn": 3_600});
    let answer = bench.post(&path(&single, "/extend"), extended).await.expect(200);
    assert_eq!(answer["expiresAt"], "2027-01-15T09:00:00.000Z");
    bench.post(&path(&single, "/extend"), json!({})).await.invalid("body.expiresIn");
    let past = json!({"expiresAt": "2020-01-01T00:00:00Z"});
    assert_eq!(bench.post(&path(&single, "/extend"), past).await.expect(200)["status"], "expired");
}

#[tokio::test]
async fn a_deadline_counts_when_it_is_read() {
    let bench = bench().await;
    let one = made(&bench, json!({"expiresIn": 60})).await;
    let silent = made(&bench, json!({"expiresIn": 600, "heartbeat": 30})).await;
    bench.clock.advance(Duration::from_secs(59));
    let status = async |callback: &Value| {
        let shown = bench.get(&path(callback, "")).await.expect(200);
        (shown["status"].clone(), shown["settledAt"].clone())
    };
    assert_eq!(status(&one).await.0, "pending");
    assert_eq!(status(&silent).await, (json!("expired"), json!("2027-01-15T08:00:30.000Z")));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&one).await, (json!("expired"), json!("2027-01-15T08:01:00.000Z")));
    bench.post(&path(&one, "/complete"), json!(1)).await.error(409, "callback_ended");
    bench.get(&path(&one, "/result")).await.expect(200);
}

#[tokio::test]
async fn lists_are_narrowed_and_many_are_canceled() {
    let bench = bench().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "other"})).await.expect(201);
    for number in 0..4 {
        bench.clock.advance(Duration::from_millis(1));
        let tag = if number < 2 { "red" } else { "blue" };
        made(&bench, json!({"tags": [tag], "reference": format!("r{number}")})).await;
    }
    let foreign = json!({"application": "other", "tags": ["red"]});
    bench.post(CALLBACK, foreign).await.expect(201);
    let count = async |query: &str| {
        let listed = bench.get(&format!("{CALLBACK}?{query}")).await.expect(200);
        listed["data"].as_array().unwrap().len()
    };
    for (query, expect) in [
        ("", 5),
        ("application=mine", 4),
        ("tag=red", 3),
        ("application=mine&tag=red", 2),
        ("reference=r3", 1),
        ("status=pending", 5),
        ("status=completed&status=failed", 0),
        ("kind=redirect", 0),
        ("before=2027-01-15T08:00:00Z", 0),
        ("limit=2", 2),
    ] {
        assert_eq!(count(query).await, expect, "{query}");
    }
    bench.get(&format!("{CALLBACK}?status=done")).await.invalid("query.status");
    bench.get(&format!("{CALLBACK}?kind=done")).await.invalid("query.kind");
    let cancel = format!("{CALLBACK}/cancel");
    bench.post(&cancel, json!({})).await.invalid("body");
    let mine = json!({"application": "mine", "tag": "red"});
    let canceled = bench.post(&cancel, mine.clone()).await.expect(200);
    assert_eq!(canceled, json!({"canceled": 2, "done": true}));
    assert_eq!(bench.post(&cancel, mine).await.expect(200)["canceled"], 0);
    assert_eq!(count("status=canceled").await, 2);
    assert_eq!(count("status=pending").await, 3);
}

#[tokio::test]
async fn a_new_url_is_another_one() {
    let bench = bench().await;
    let one = made(&bench, json!({})).await;
    let turned = bench.post(&path(&one, "/rotate"), json!({})).await.expect(200);
    assert_eq!(turned["id"], one["id"]);
    assert_ne!(turned["url"], one["url"]);
    assert_ne!(turned["waitToken"], one["waitToken"]);
}
