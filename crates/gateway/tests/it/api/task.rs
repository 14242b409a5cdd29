//! Background tasks and what begins them: shapes, refusals, and that each happens once.

use http::Method;
use serde_json::{Value, json};

use super::Bench;

const SINCE: &str = "2020-01-01T00:00:00Z";

/// An application with one endpoint, both named `mine`.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "mine"})).await.expect(201);
    let endpoint = json!({"url": "https://example.com/hook", "uid": "mine"});
    bench.post("/api/v1/app/mine/endpoint", endpoint).await.expect(201);
    bench
}

fn path(operation: &str) -> String {
    format!("/api/v1/app/mine/endpoint/mine/{operation}")
}

#[tokio::test]
async fn tasks_have_the_shape_that_the_sdks_read() {
    let bench = bench().await;
    let mut begun = Vec::new();
    for (path, kind, counted) in [
        (path("recover"), "endpoint.recover", "messagesSent"),
        (path("replay-missing"), "endpoint.replay", "messagesSent"),
        (path("bulk-replay"), "endpoint.bulk-replay", "messagesSent"),
        (
            "/api/v1/app/mine/msg/expunge-all-contents".to_owned(),
            "application.purge_content",
            "messagesPurged",
        ),
    ] {
        let task = bench.post(&path, json!({"since": SINCE})).await.expect(202);
        let id = task["id"].as_str().unwrap();
        assert!(id.starts_with("qtask_"), "{task}");
        assert_eq!((&task["status"], &task["task"]), (&json!("running"), &json!(kind)));
        assert_eq!((&task["data"][counted], &task["progress"]), (&json!(0), &json!(0)));
        assert!(task["updatedAt"].is_string());
        let read = bench.get(&format!("/api/v1/background-task/{id}")).await.expect(200);
        assert_eq!(read, task);
        begun.push(task);
    }
    begun.sort_by(|a, b| b["id"].as_str().cmp(&a["id"].as_str()));
    let list = async |query: &str| {
        bench.get(&format!("/api/v1/background-task{query}")).await.expect(200)["data"].take()
    };
    assert_eq!(list("").await, json!(begun));
    assert_eq!(list("?status=running&limit=4").await, json!(begun));
    assert_eq!(list("?status=finished").await, json!([]));
    let recover: Vec<_> = begun.iter().filter(|one| one["task"] == "endpoint.recover").collect();
    assert_eq!(list("?task=endpoint.recover").await, json!(recover));
    assert_eq!(list("?task=message.broadcast").await, json!([]));
    let page = bench.get("/api/v1/background-task?limit=3").await.expect(200);
    let next = format!("?iterator={}", page["iterator"].as_str().unwrap());
    assert_eq!((&page["done"], list(&next).await), (&json!(false), json!([begun[3]])));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let bench = bench().await;
    for (operation, body, loc) in [
        ("recover", json!({}), "body.since"),
        ("recover", json!({"since": "soon"}), "body.since"),
        ("recover", json!({"since": SINCE, "until": 5}), "body.until"),
        ("recover", json!({"since": SINCE, "until": "2019-01-01T00:00:00Z"}), "body.until"),
        ("replay-missing", json!({"until": SINCE}), "body.since"),
        ("bulk-replay", json!({"since": SINCE, "status": 5}), "body.status"),
        ("bulk-replay", json!({"since": SINCE, "statusCodeClass": 201}), "body.statusCodeClass"),
        ("bulk-replay", json!({"since": SINCE, "eventTypes": ["a b"]}), "body.eventTypes.0"),
        ("send-example", json!({}), "body.eventType"),
        ("send-example", json!({"eventType": "a b"}), "body.eventType"),
        ("send-example", json!({"eventType": "a", "payload": []}), "body.payload"),
    ] {
        bench.post(&path(operation), body).await.invalid(loc);
    }
    for (query, loc) in [("status=over", "query.status"), ("task=none", "query.task")] {
        bench.get(&format!("/api/v1/background-task?{query}")).await.invalid(loc);
    }
    let ids = json!({"ids": vec!["a"; 251]});
    bench.post("/api/v1/app/mine/msg/bulk-expunge", ids).await.invalid("body.ids");
    bench.post("/api/v1/app/mine/msg/bulk-expunge", json!({})).await.invalid("body.ids");
    let check = "/api/v1/app/mine/msg/precheck/active";
    bench.post(check, json!({"channels": ["a"]})).await.invalid("body.eventType");
    // A time without an offset is one in UTC.
    bench.post(&path("recover"), json!({"since": "2020-01-01T00:00:00"})).await.expect(202);
}

/// The original answers 202 and sends nothing.
#[tokio::test]
async fn nothing_is_promised_for_a_disabled_endpoint() {
    let bench = bench().await;
    bench.post("/api/v1/event-type", json!({"name": "a", "description": ""})).await.expect(201);
    bench.patch("/api/v1/app/mine/endpoint/mine", json!({"disabled": true})).await.expect(200);
    for (operation, body) in [
        ("recover", json!({"since": SINCE})),
        ("replay-missing", json!({"since": SINCE})),
        ("bulk-replay", json!({"since": SINCE})),
        ("send-example", json!({"eventType": "a"})),
    ] {
        bench.post(&path(operation), body.clone()).await.error(409, "endpoint_disabled");
        let elsewhere = path(operation).replace("endpoint/mine", "endpoint/none");
        bench.post(&elsewhere, body).await.error(404, "not_found");
    }
    assert_eq!(bench.get("/api/v1/background-task").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn tasks_belong_to_their_environment() {
    let bench = bench().await;
    let task = bench.post(&path("recover"), json!({"since": SINCE})).await.expect(202);
    let path = format!("/api/v1/background-task/{}", task["id"].as_str().unwrap());
    let (_, stranger) = bench.token_of("elsewhere").await;
    bench.call_as(&stranger, Method::GET, &path, "").await.error(404, "not_found");
    let listed = bench.call_as(&stranger, Method::GET, "/api/v1/background-task", "").await;
    assert_eq!(listed.expect(200)["data"], json!([]));
    bench.get("/api/v1/background-task/qtask_none").await.error(404, "not_found");
}

async fn once(bench: &Bench, path: &str, key: &str, body: &Value) -> super::Answer {
    let request = bench.request(Method::POST, path);
    let request = request.header("authorization", format!("Bearer {}", bench.token));
    let request = request.header("idempotency-key", key);
    bench.send(request.body(body.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn a_repeated_request_begins_one_task_and_sends_one_example() {
    let bench = bench().await;
    let body = json!({"since": SINCE});
    let first = once(&bench, &path("recover"), "k1", &body).await.expect(202);
    let again = once(&bench, &path("recover"), "k1", &body).await.expect(202);
    assert_eq!(first, again);
    let listed = bench.get("/api/v1/background-task").await.expect(200);
    assert_eq!(listed["data"], json!([first]));

    bench.post("/api/v1/event-type", json!({"name": "a", "description": ""})).await.expect(201);
    let body = json!({"eventType": "a", "payload": {"n": 1}});
    let first = once(&bench, &path("send-example"), "k2", &body).await.expect(202);
    let again = once(&bench, &path("send-example"), "k2", &body).await.expect(202);
    assert_eq!(first, again);
    assert_eq!(bench.lanes.delivered.lock().unwrap().len(), 1);
    let other = json!({"eventType": "a"});
    let conflict = once(&bench, &path("send-example"), "k2", &other).await;
    conflict.error(409, "idempotency_conflict");
}

#[tokio::test]
async fn examples_come_from_the_schema() {
    let bench = bench().await;
    let schemas = json!({
        "1": {"type": "object", "properties": {"old": {"type": "boolean"}}},
        "2": {"examples": [{"n": 0}, {"n": 1}]},
    });
    for (name, schemas) in [
        ("listed", schemas),
        ("made.up", json!({"1": {"properties": {"at": {"type": "string", "format": "date"}}}})),
        ("wrong", json!({"1": {"type": "string"}})),
        ("plain", Value::Null),
    ] {
        let body = json!({"name": name, "description": "", "schemas": schemas});
        bench.post("/api/v1/event-type", body).await.expect(201);
    }
    let send = async |body| bench.post(&path("send-example"), body).await;
    for (body, expect) in [
        (json!({"eventType": "listed"}), json!({"n": 0})),
        (json!({"eventType": "listed", "exampleIndex": 1}), json!({"n": 1})),
        (json!({"eventType": "made.up", "exampleIndex": 9}), json!({"at": "2026-01-31"})),
        (json!({"eventType": "plain"}), json!({"type": "plain", "data": {}})),
        (json!({"eventType": "wrong", "payload": {"own": 1}}), json!({"own": 1})),
    ] {
        let sent = send(body.clone()).await.expect(202);
        assert_eq!((&sent["payload"], &sent["eventType"]), (&expect, &body["eventType"]));
    }
    send(json!({"eventType": "listed", "exampleIndex": 2})).await.invalid("body.exampleIndex");
    send(json!({"eventType": "wrong"})).await.invalid("body.eventType");
    send(json!({"eventType": "unknown"})).await.error(404, "not_found");
}

#[tokio::test]
async fn content_is_expunged_and_says_so() {
    let bench = bench().await;
    let message = json!({"eventType": "a", "payload": {"secret": 1}, "eventId": "one"});
    bench.post("/api/v1/app/mine/msg", message).await.expect(202);
    let path = "/api/v1/app/mine/msg/one";
    bench.delete(&format!("{path}/content")).await.expect(204);
    assert_eq!(bench.lanes.canceled.lock().unwrap().len(), 1);
    let read = bench.get(path).await.expect(200);
    assert_eq!((&read["payload"], &read["eventId"]), (&json!({"expired": true}), &json!("one")));
    bench
        .post(&format!("{path}/endpoint/mine/resend"), json!({}))
        .await
        .error(400, "missing_payload");
    bench.delete(&format!("{path}/content")).await.expect(204);
    bench.delete("/api/v1/app/mine/msg/none/content").await.error(404, "not_found");
    let attempt = format!("{path}/attempt/atmpt_none/content");
    bench.delete(&attempt).await.error(404, "not_found");
}

#[tokio::test]
async fn a_precheck_tells_whether_anybody_listens() {
    let bench = bench().await;
    let endpoint = "/api/v1/app/mine/endpoint/mine";
    let active = async |body: Value| {
        let check = "/api/v1/app/mine/msg/precheck/active";
        bench.post(check, body).await.expect(200)["active"].as_bool().unwrap()
    };
    let plain = || json!({"eventType": "a"});
    assert!(active(plain()).await);
    let filter = json!({"eventTypes": ["a"], "channels": ["x"]});
    bench.patch(endpoint, filter).await.expect(200);
    for (body, expect) in [
        (plain(), false),
        (json!({"eventType": "a", "channels": ["x"]}), true),
        (json!({"eventType": "a", "channels": ["y"]}), false),
        (json!({"eventType": "b", "channels": ["x"]}), false),
    ] {
        assert_eq!(active(body.clone()).await, expect, "{body}");
    }
    let open = json!({"eventTypes": null, "channels": null, "disabled": true});
    bench.patch(endpoint, open).await.expect(200);
    assert!(!active(plain()).await);
}
