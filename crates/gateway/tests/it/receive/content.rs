//! What is decided by the content of an event: filters of endpoints, and schemas.

use serde_json::json;

use super::*;

const HEADERS: [(&str, &str); 2] = [("x-github-event", "issues"), ("x-shop", "eu-1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_gets_what_its_filter_wants() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    let endpoint = "/ingest/api/v1/source/test/endpoint/one";
    let filter = json!({
        "body": { "action": "opened", "n": 9007199254740993_i64 },
        "headers": { "X-Shop": { "$startsWith": "eu-" } },
        "query": { "team": "a" },
        "path": "",
    });
    let change = json!({ "url": bench.receiver.url(), "filter": filter });
    let (status, changed) = bench.server.call(Method::PUT, endpoint, Some(change)).await;
    assert_eq!((status, &changed["filter"]), (200, &filter));
    let wanted = r#"{"action":"opened","n":9007199254740993}"#;
    let send = async |query: &str, shop: &str, body: &str| {
        let signature = signed("github", SECRET, now(), &bench.url(), &[], body);
        let headers = [HEADERS[0], ("x-shop", shop), (&signature[0].0, &signature[0].1)];
        assert_eq!(bench.call(Method::POST, query, &headers, body).await.status, 200);
    };
    send("?team=b", "eu-1", wanted).await;
    send("?team=a", "us-1", wanted).await;
    send("?team=a", "eu-1", r#"{"action":"opened","n":9007199254740992}"#).await;
    send("?team=a&x=1", "eu-1", wanted).await;
    let receipts = bench.receiver.wait_for(1);
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].body, wanted.as_bytes());
    assert_eq!(receipts[0].header("x-shop"), "eu-1");
    // What filters look at is no header.
    assert!(receipts[0].headers.keys().all(|name| !name.as_str().contains("target")));
    let wrong = json!({ "url": bench.receiver.url(), "filter": { "body": { "$no": 1 } } });
    assert_eq!(bench.server.call(Method::PUT, endpoint, Some(wrong)).await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_its_schema_refuses_goes_nowhere() {
    let schemas = json!({
        "issues.opened": { "properties": { "n": { "type": "integer" } } },
        "*": { "required": ["action"] },
    });
    let bench = Bench::new("github", Receiver::ok(), json!({ "schemas": schemas })).await;
    let refused = bench.event(&HEADERS, r#"{"action":"opened","n":"secret"}"#).await;
    assert_eq!(refused.status, 422);
    let reason = r#"the value is not of type "integer" (at /n)"#;
    assert_eq!(bench.last().await, ("schema_invalid".into(), reason.into()));
    assert_eq!(bench.event(&HEADERS, r#"{"x":1}"#).await.status, 422);
    assert_eq!(bench.last().await.1, "\"action\" is a required property (at the top)");
    assert_eq!(bench.event(&HEADERS, r#"{"action":"opened","n":1}"#).await.status, 200);
    assert_eq!(bench.receiver.wait_for(1).len(), 1);

    let options = json!({ "schemas": { "*": { "$ref": "https://example.com/a.json" } } });
    let source = json!({ "name": "x", "type": "github", "options": options });
    let (status, answer) =
        bench.server.call(Method::POST, "/ingest/api/v1/source", Some(source)).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("/$ref"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_its_schema_refuses_may_pass_with_a_mark() {
    let schemas = json!({ "*": { "required": ["action"] } });
    let options = json!({ "schemas": schemas, "onViolation": "mark" });
    let bench = Bench::new("github", Receiver::ok(), options).await;
    assert_eq!(bench.event(&HEADERS, "{}").await.status, 200);
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("ringback-mark"), "schema_invalid");
    assert_eq!(receipt.header("ringback-verdict"), "verified");
    let reason = "\"action\" is a required property (at the top)";
    assert_eq!(bench.last().await, ("accepted".into(), reason.into()));
}
