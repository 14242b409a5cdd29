//! Operational-webhook endpoints: those of the environment's hidden application, in a shape of
//! their own.

use http::Method;
use serde_json::{Value, json};

use super::Bench;

const ENDPOINTS: &str = "/api/v1/operational-webhook/endpoint";
/// The same endpoints, as those of any application.
const HIDDEN: &str = "/api/v1/app/ringback.operational/endpoint";

#[tokio::test]
async fn the_nine_operations() {
    let bench = Bench::new().await;
    let body = json!({
        "url": "https://example.com/told", "uid": "mine", "description": "d",
        "eventTypes": ["endpoint.disabled"], "throttleRate": 5, "metadata": {"k": "v"},
        "headers": {"x-team": "ops", "authorization": "Bearer made-up"},
    });
    let created = bench.post(ENDPOINTS, body.clone()).await.expect(201);
    assert_eq!(bench.changes(), 1);
    for key in ["url", "uid", "description", "eventTypes", "throttleRate", "metadata"] {
        assert_eq!(created[key], body[key], "{key}");
    }
    // What SDKs of 2024 and before read.
    assert_eq!((&created["filterTypes"], &created["rateLimit"]), (&body["eventTypes"], &json!(5)));
    for key in ["channels", "version", "secret", "headers"] {
        assert_eq!(created.get(key), None, "{key}");
    }
    let id = created["id"].as_str().unwrap();
    for name in [id, "mine"] {
        assert_eq!(bench.get(&format!("{ENDPOINTS}/{name}")).await.expect(200), created);
    }
    let listed = bench.get(ENDPOINTS).await.expect(200);
    assert_eq!((&listed["data"], &listed["done"]), (&json!([created]), &json!(true)));

    let headers = bench.get(&format!("{ENDPOINTS}/mine/headers")).await.expect(200);
    assert_eq!(headers, json!({"headers": {"x-team": "ops"}, "sensitive": ["authorization"]}));
    let set = json!({"headers": {"x-team": "dev"}});
    let set = bench.put(&format!("{ENDPOINTS}/mine/headers"), set).await;
    assert_eq!((set.expect(204), bench.changes()), (Value::Null, 1));
    let headers = bench.get(&format!("{ENDPOINTS}/mine/headers")).await.expect(200);
    assert_eq!(headers, json!({"headers": {"x-team": "dev"}, "sensitive": []}));

    let secret = format!("{ENDPOINTS}/mine/secret");
    let before = bench.get(&secret).await.expect(200);
    // Other than an application's, this rotation answers nothing, whatever the SDK.
    assert_eq!(bench.post(&format!("{secret}/rotate"), json!({})).await.expect(204), Value::Null);
    assert_ne!(bench.get(&secret).await.expect(200), before);
    let chosen = json!({"key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "gracePeriodSeconds": 0});
    bench.post(&format!("{secret}/rotate"), chosen.clone()).await.expect(204);
    assert_eq!(bench.get(&secret).await.expect(200)["key"], chosen["key"]);

    let put = json!({"url": "https://example.com/other"});
    let replaced = bench.put(&format!("{ENDPOINTS}/mine"), put.clone()).await.expect(200);
    assert_eq!((&replaced["url"], &replaced["id"]), (&put["url"], &created["id"]));
    assert_eq!((&replaced["eventTypes"], &replaced["description"]), (&Value::Null, &json!("")));
    let made = bench.put(&format!("{ENDPOINTS}/new"), put).await.expect(201);
    assert_eq!(made["uid"], "new");

    bench.delete(&format!("{ENDPOINTS}/mine")).await.expect(204);
    bench.get(&format!("{ENDPOINTS}/mine")).await.error(404, "not_found");
    bench.delete(&format!("{ENDPOINTS}/mine")).await.error(404, "not_found");
}

/// Whoever subscribed before there were these paths finds the endpoints under them, and back.
#[tokio::test]
async fn both_ways_lead_to_the_same_endpoints() {
    let bench = Bench::new().await;
    let endpoint =
        |uid: &str| json!({"url": "https://example.com/", "uid": uid, "channels": ["c"]});
    let old = bench.post(HIDDEN, endpoint("old")).await.expect(201);
    let new = bench.post(ENDPOINTS, endpoint("new")).await.expect(201);
    let hidden = bench.get(&format!("{HIDDEN}/new")).await.expect(200);
    assert_eq!((&hidden["id"], &hidden["channels"]), (&new["id"], &Value::Null));
    let paused = bench.post(&format!("{HIDDEN}/old/pause"), json!({})).await.expect(200);
    assert_eq!(paused["id"], old["id"]);
    assert_eq!(bench.get(&format!("{ENDPOINTS}/old")).await.expect(200)["state"], "paused");
    bench.put(&format!("{ENDPOINTS}/old"), json!({"url": "https://example.com/b"})).await;
    let hidden = bench.get(&format!("{HIDDEN}/old")).await.expect(200);
    // Operational messages have no channels, so an endpoint without any is what it says it is.
    assert_eq!(
        (&hidden["url"], &hidden["channels"]),
        (&json!("https://example.com/b"), &Value::Null)
    );
}

#[tokio::test]
async fn no_other_endpoint_is_found() {
    let bench = Bench::new().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await.expect(201);
    let body = json!({"url": "https://example.com/", "uid": "e"});
    let made = bench.post("/api/v1/app/a/endpoint", body.clone()).await.expect(201);
    for name in ["e", made["id"].as_str().unwrap()] {
        bench.get(&format!("{ENDPOINTS}/{name}")).await.error(404, "not_found");
        bench.get(&format!("{ENDPOINTS}/{name}/secret")).await.error(404, "not_found");
        bench.delete(&format!("{ENDPOINTS}/{name}")).await.error(404, "not_found");
    }
    // Each environment has its own.
    bench.post(ENDPOINTS, body).await.expect(201);
    let other = bench.token_of("another").await.1;
    let listed = bench.call_as(&other, Method::GET, ENDPOINTS, "").await.expect(200);
    assert_eq!(listed["data"], json!([]));
    let foreign = bench.call_as(&other, Method::DELETE, &format!("{ENDPOINTS}/e"), "").await;
    foreign.error(404, "not_found");
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let bench = Bench::new().await;
    for (body, loc) in [
        (json!({}), "body.url"),
        (json!({"url": "nonsense"}), "body.url"),
        (json!({"url": "https://example.com/", "throttleRate": 0}), "body.throttleRate"),
        (json!({"url": "https://example.com/", "eventTypes": ["a b"]}), "body.eventTypes.0"),
        (json!({"url": "https://example.com/", "uid": "a b"}), "body.uid"),
        (json!({"url": "https://example.com/", "metadata": {"k": 1}}), "body.metadata.k"),
    ] {
        bench.post(ENDPOINTS, body).await.invalid(loc);
    }
    bench.post(ENDPOINTS, json!({"url": "https://example.com/", "uid": "e"})).await.expect(201);
    let body = json!({"url": "https://example.com/", "secret": "whsec_c2hvcnQ="});
    bench.put(&format!("{ENDPOINTS}/e"), body).await.invalid("body.secret");
    bench.put(&format!("{ENDPOINTS}/e/headers"), json!({})).await.invalid("body.headers");
}

/// A POST that is repeated with its key happens once.
#[tokio::test]
async fn once() {
    let bench = Bench::new().await;
    let body = json!({"url": "https://example.com/"}).to_string();
    let create = async |body: &str| {
        let request = bench.request(Method::POST, ENDPOINTS);
        let request = request.header("authorization", format!("Bearer {}", bench.token));
        let request = request.header("idempotency-key", "made-up-key");
        bench.send(request.body(body.to_owned().into()).unwrap()).await
    };
    let first = create(&body).await.expect(201);
    assert_eq!(create(&body).await.expect(201), first);
    create("{}").await.error(409, "idempotency_conflict");
    assert_eq!(bench.get(ENDPOINTS).await.expect(200)["data"], json!([first]));
}
