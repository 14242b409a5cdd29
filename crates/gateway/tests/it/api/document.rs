//! The OpenAPI document says what the router does.

use std::collections::HashSet;

use http::Method;
use ringback::api;
use serde_json::Value;

use super::{Bench, root};

/// Set to rewrite the snapshot instead of comparing with it.
const UPDATE: &str = "RINGBACK_UPDATE_SNAPSHOTS";

/// Method, path with a made-up name for every parameter, and the operation.
pub(super) fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), operation.clone()));
        }
    }
    operations
}

/// The path with every parameter replaced.
pub(super) fn filled(path: &str, value: impl Fn(&str) -> String) -> String {
    let fill = |segment: &str| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some(name) => value(name),
        None => segment.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_snapshot_is_the_document() {
    let bench = Bench::new().await;
    let document = api::document(ringback::send::described());
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = root().join("docs/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let snapshot = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(snapshot == text, "docs/openapi.json is outdated: run the tests with {UPDATE}=1");
    let served = bench.get("/api/v1/openapi.json").await.expect(200);
    assert_eq!(served, serde_json::to_value(&document).unwrap());
    assert_eq!(served["openapi"], "3.1.0");
}

/// Every documented operation has a route, and the route wants a token before anything else.
#[tokio::test]
async fn every_documented_operation_answers() {
    let bench = Bench::new().await;
    let document = bench.get("/api/v1/openapi.json").await.expect(200);
    let operations = operations(&document);
    assert!(operations.len() > 30, "{}", operations.len());
    let ids: HashSet<_> = operations.iter().map(|(.., one)| one["operationId"].as_str()).collect();
    assert_eq!(ids.len(), operations.len(), "operation ids are unique: {ids:?}");
    for (method, path, operation) in operations {
        let open = operation["security"] == serde_json::json!([{}]);
        for path in
            [filled(&path, |_| "some-name".to_owned()), filled(&path, |_| "x".to_owned()) + "/"]
        {
            let request = bench.request(method.clone(), &path).body("".into()).unwrap();
            let answer = bench.send(request).await;
            let expect = if open { 200 } else { 401 };
            assert_eq!(answer.status, expect, "{method} {path}: {answer:?}");
            answer.json();
        }
    }
}

/// What the SDKs call and is not built says so, to whoever has a token.
#[tokio::test]
async fn what_is_not_built_says_so() {
    let bench = Bench::new().await;
    for (method, path) in [
        (Method::GET, "/api/v1/app/a/integration"),
        (Method::POST, "/api/v1/app/a/destination/d/secret/rotate"),
        (Method::DELETE, "/api/v1/connector/c"),
        (Method::POST, "/api/v1/environment/export"),
        (Method::GET, "/api/v1/stream/s/sink/k/secret"),
    ] {
        bench.call(method.clone(), path, "").await.error(501, "not_implemented");
        let request = bench.request(method.clone(), path).body("".into()).unwrap();
        bench.send(request).await.error(401, "authentication_failed");
    }
    bench.get("/api/v1/nowhere").await.error(404, "not_found");
    bench.get("/nowhere/").await.error(404, "not_found");
    bench.put("/api/v1/app", Value::Null).await.error(405, "method_not_allowed");
}

#[tokio::test]
async fn operators_need_no_token() {
    let bench = Bench::new().await;
    for path in ["/", "/health", "/health/live", "/health/ready", "/metrics", "/api/v1/health"] {
        let request = bench.request(Method::GET, path).body("".into()).unwrap();
        assert_eq!(bench.send(request).await.status, 200, "{path}");
    }
    let old = bench.request(Method::GET, "/api/v1/health");
    let old = old.header("user-agent", "svix-libs/1.42.0/python").body("".into()).unwrap();
    let answer = bench.send(old).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
}
