//! Content filters of endpoints: what is not wanted is not sent, and says so.

use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, times};
use crate::support::{Answer, Receiver};

/// A filter that costs more than is allowed once there are many lines.
fn costly() -> Value {
    json!({ "body": { "lines": { "sku": "never" } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_wanted_is_not_sent() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("1")).await;
    let filter = json!({ "body": { "amount": { "$gte": 100 } } });
    let endpoint = bench.endpoint_with(json!({ "url": receiver.url(), "filter": filter })).await;
    let all = bench.endpoint(&receiver.url()).await;
    let pay = async |amount: Value| {
        bench.send_as(json!({ "eventType": "paid", "payload": { "amount": amount } })).await
    };
    let [small, large, text] =
        [pay(json!(99)).await, pay(json!(100)).await, pay(json!("100")).await];
    bench.explained(&large, &endpoint, "delivered", "success").await;
    for message in [&small, &text] {
        let line = bench.explained(message, &endpoint, "not_sent", "filter").await;
        assert_eq!((&line["attempts"], &line["nextAttempt"]), (&json!(0), &Value::Null));
        assert_eq!(line["lastAttempt"]["reason"], "filtered");
        assert_eq!(line["lastAttempt"]["failedPhase"], Value::Null);
        bench.explained(message, &all, "delivered", "success").await;
    }
    assert_eq!(times(&receiver, &[&small, &large, &text]), [1, 2, 1]);

    // It is no failure: not of the endpoint, not in lists, not for a recovery.
    let shown = bench.get_endpoint(&endpoint).await;
    assert_eq!((&shown["filter"], &shown["failingSince"]), (&filter, &Value::Null));
    let below = |rest: &str| bench.path(&format!("/attempt/endpoint/{endpoint}?{rest}"));
    let count = async |path: &str| bench.server.get(path).await["data"].as_array().unwrap().len();
    assert_eq!(count(&below("status=0")).await, 3);
    assert_eq!(count(&below("status=2")).await, 0);
    let failed = bench.path(&format!("/endpoint/{endpoint}/msg?status=2"));
    assert_eq!(count(&failed).await, 0);

    // The filter as it is now decides, for a resend too.
    assert_eq!(bench.resend(&small, &endpoint).await.0, 202);
    assert_eq!(bench.attempts(&small, 3).await[2]["reason"], "filtered");
    let changed = bench.patch(&endpoint, json!({ "filter": null })).await;
    assert_eq!(changed["filter"], Value::Null);
    assert_eq!(bench.resend(&small, &endpoint).await.0, 202);
    bench.explained(&small, &endpoint, "delivered", "success").await;
    assert_eq!(times(&receiver, &[&small]), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_costs_too_much_fails_for_all_to_see() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint_with(json!({ "url": receiver.url(), "filter": costly() })).await;
    let lines = vec![json!({ "sku": "a" }); 40_000];
    let message = bench.send_as(json!({ "eventType": "a", "payload": { "lines": lines } })).await;
    let line = bench.explained(&message, &endpoint, "failed", "filter_overrun").await;
    let last = &line["lastAttempt"];
    assert_eq!(
        (&last["failedPhase"], &last["reason"]),
        (&json!("filter"), &json!("filter_overrun"))
    );
    assert_eq!((&last["status"], &last["responseStatusCode"]), (&json!(2), &json!(0)));
    let shown = bench.get_endpoint(&endpoint).await;
    assert_eq!((&shown["state"], &shown["failingSince"]), (&json!("enabled"), &Value::Null));

    // Mended, and sent again with everything else that failed.
    bench.patch(&endpoint, json!({ "filter": { "body": { "lines": [{ "sku": "a" }] } } })).await;
    let path = bench.path(&format!("/endpoint/{endpoint}/recover"));
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let (status, task) = bench.server.call(Method::POST, &path, Some(since)).await;
    assert_eq!(status, 202, "{task}");
    bench.explained(&message, &endpoint, "delivered", "success").await;
    assert_eq!(times(&receiver, &[&message]), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_judged_by_the_filter_of_its_time() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let bench = Bench::new(schedule("1")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let message = bench.send("retried").await;
    bench.attempts(&message, 1).await;
    bench.patch(&endpoint, json!({ "filter": { "body": { "type": "other" } } })).await;
    let line = bench.explained(&message, &endpoint, "not_sent", "filter").await;
    assert_eq!(line["attempts"], 1, "one request was made");
    assert_eq!(times(&receiver, &[&message]), [1]);
    // The endpoint's failure was one of the endpoint.
    assert_ne!(bench.get_endpoint(&endpoint).await["failingSince"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_filter_is_refused_with_its_place() {
    let bench = Bench::new(schedule("1")).await;
    let url = "https://example.com/hook";
    let wrong = json!({ "url": url, "filter": { "body": { "amount": { "$gtt": 1 } } } });
    let (status, answer) =
        bench.server.call(Method::POST, &bench.path("/endpoint"), Some(wrong)).await;
    assert_eq!(status, 422);
    let problem = &answer["detail"][0];
    assert_eq!(problem["loc"], json!(["body", "filter", "body", "amount", "$gtt"]));
    assert!(problem["msg"].as_str().unwrap().starts_with("unknown operator `$gtt`"), "{problem}");

    let filter = json!({ "body": { "amount": { "$gt": 9007199254740993_i64 } } });
    let endpoint = bench.endpoint_with(json!({ "url": url, "filter": filter })).await;
    let path = bench.path(&format!("/endpoint/{endpoint}"));
    let change = json!({ "filter": { "boddy": {} } });
    let (status, answer) = bench.server.call(Method::PATCH, &path, Some(change)).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "filter", "boddy"])));
    // An SDK that does not know filters does not take one away.
    let (status, put) = bench.server.call(Method::PUT, &path, Some(json!({ "url": url }))).await;
    assert_eq!((status, &put["filter"]), (200, &filter));
}
