//! What the operations do, one story per resource.

use http::Method;
use serde_json::{Value, json};

use super::Bench;

const ENDPOINT: &str = "/api/v1/app/a/endpoint/e";

impl Bench {
    async fn with_endpoint() -> Bench {
        let bench = Bench::new().await;
        bench.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await.expect(201);
        let endpoint = json!({"url": "https://example.com/hook", "uid": "e"});
        bench.post("/api/v1/app/a/endpoint", endpoint).await.expect(201);
        bench.changes();
        bench
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn applications() {
    let bench = Bench::new().await;
    let body = json!({"name": "n", "uid": "a", "metadata": {"k": "v"}, "rateLimit": 5});
    let created = bench.post("/api/v1/app/", body.clone()).await.expect(201);
    assert_eq!(created["throttleRate"], 5);
    let id = created["id"].as_str().unwrap();
    for path in [format!("/api/v1/app/{id}"), "/api/v1/app/a/".to_owned()] {
        assert_eq!(bench.get(&path).await.expect(200), created);
    }
    bench.post("/api/v1/app", body.clone()).await.error(409, "conflict");
    let existing = bench.post("/api/v1/app?get_if_exists=true", body).await.expect(200);
    assert_eq!(existing, created);

    let patched = bench.patch("/api/v1/app/a", json!({"name": "m"})).await.expect(200);
    assert_eq!((&patched["name"], &patched["uid"]), (&json!("m"), &json!("a")));
    assert_eq!(patched["metadata"], json!({"k": "v"}));
    let patched = bench.patch("/api/v1/app/a", json!({"metadata": {}, "throttleRate": null})).await;
    assert_eq!(patched.expect(200)["throttleRate"], Value::Null);

    let put = bench.put("/api/v1/app/a", json!({"name": "p"})).await.expect(200);
    assert_eq!((&put["uid"], &put["id"]), (&json!("a"), &json!(id)));
    assert_eq!(bench.put("/api/v1/app/b", json!({"name": "q"})).await.expect(201)["uid"], "b");

    bench.delete("/api/v1/app/a").await.expect(204);
    bench.get("/api/v1/app/a").await.error(404, "not_found");
    bench.delete("/api/v1/app/a").await.error(404, "not_found");
}

#[tokio::test]
async fn pages() {
    let bench = Bench::new().await;
    for number in 0..5 {
        bench.clock.advance(std::time::Duration::from_millis(1));
        bench.post("/api/v1/app", json!({"name": format!("{number}")})).await.expect(201);
    }
    let page =
        async |query: &str| bench.get(&format!("/api/v1/app?limit=2{query}")).await.expect(200);
    let first = page("").await;
    assert_eq!(first["done"], false);
    let next = |list: &Value| format!("&iterator={}", list["iterator"].as_str().unwrap());
    let second = page(&next(&first)).await;
    let third = page(&next(&second)).await;
    assert_eq!((third["done"].as_bool(), ids(&third).len()), (Some(true), 1));
    let back = page(&format!("&iterator={}", second["prevIterator"].as_str().unwrap())).await;
    assert_eq!(ids(&back), ids(&first));
    let all = bench.get("/api/v1/app?order=descending").await.expect(200);
    let mut backwards = ids(&all);
    backwards.reverse();
    assert_eq!(backwards, [ids(&first), ids(&second), ids(&third)].concat());
    // Whoever follows a list as it grows keeps the place, even if the row at it is gone.
    bench.delete(&format!("/api/v1/app/{}", ids(&third)[0])).await.expect(204);
    let end = page(&next(&third)).await;
    assert_eq!((ids(&end).len(), &end["iterator"]), (0, &third["iterator"]));
}

#[tokio::test]
async fn endpoints() {
    let bench = Bench::with_endpoint().await;
    let created = bench.get(ENDPOINT).await.expect(200);
    for (key, value) in [
        ("description", json!("")),
        ("disabled", json!(false)),
        ("version", json!(1)),
        ("metadata", json!({})),
        ("eventTypes", Value::Null),
        ("filterTypes", Value::Null),
        ("state", json!("enabled")),
    ] {
        assert_eq!(created[key], value, "{key}");
    }
    let conflict = json!({"url": "https://example.com/", "uid": "e"});
    bench.post("/api/v1/app/a/endpoint", conflict).await.error(409, "conflict");

    let patched = bench.patch(ENDPOINT, json!({"filterTypes": ["a.b"], "disabled": true})).await;
    let patched = patched.expect(200);
    assert_eq!((&patched["eventTypes"], &patched["disabled"]), (&json!(["a.b"]), &json!(true)));
    assert_eq!(bench.changes(), 1);
    let put = json!({"url": "https://example.com/other"});
    let put = bench.put(ENDPOINT, put).await.expect(200);
    assert_eq!((&put["eventTypes"], &put["disabled"]), (&Value::Null, &json!(true)));
    let old =
        json!({"url": "https://example.com/", "version": 1, "description": "", "disabled": false});
    assert_eq!(bench.put(ENDPOINT, old).await.expect(200)["disabled"], false);
    let created =
        bench.put("/api/v1/app/a/endpoint/f", json!({"url": "https://example.com/"})).await;
    assert_eq!(created.expect(201)["uid"], "f");

    assert_eq!(
        bench.post(&format!("{ENDPOINT}/pause"), json!({})).await.expect(200)["state"],
        "paused"
    );
    assert_eq!(
        bench.patch(ENDPOINT, json!({"disabled": false})).await.expect(200)["state"],
        "paused"
    );
    assert_eq!(
        bench.post(&format!("{ENDPOINT}/resume"), json!({})).await.expect(200)["state"],
        "enabled"
    );
    bench.changes();
    bench.delete(ENDPOINT).await.expect(204);
    assert_eq!(bench.changes(), 1);
    bench.get(ENDPOINT).await.error(404, "not_found");
    let listed = bench.get("/api/v1/app/a/endpoint").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    bench.changes();
    bench.delete("/api/v1/app/a").await.expect(204);
    assert_eq!(bench.changes(), 1, "the endpoint that was left");
}

#[tokio::test]
async fn secrets() {
    let bench = Bench::with_endpoint().await;
    let secret = async || bench.get(&format!("{ENDPOINT}/secret")).await.expect(200)["key"].clone();
    assert!(secret().await.as_str().unwrap().starts_with("whsec_"));
    let rotate = format!("{ENDPOINT}/secret/rotate");
    let given = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let rotated = bench.post(&rotate, json!({"key": given, "gracePeriodSeconds": 0})).await;
    assert_eq!(rotated.expect(200)["key"], given);
    assert_eq!(secret().await, given);
    assert_eq!(bench.changes(), 1);

    let old = bench.request(Method::POST, &rotate).header("user-agent", "svix-libs/1.42.0/python");
    let old = old.header("authorization", format!("Bearer {}", bench.token));
    let answer = bench.send(old.body("{}".into()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_ne!(secret().await, given);

    // Ed25519: what receivers need is the public key.
    let seed = format!("whsk_{}", data_encoding::BASE64.encode(&[7; 32]));
    let rotated = bench.post(&rotate, json!({"key": seed})).await.expect(200);
    assert!(rotated["key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(secret().await, rotated["key"]);
    bench.post(&rotate, json!({"key": "short"})).await.invalid("body.key");
}

#[tokio::test]
async fn headers() {
    let bench = Bench::with_endpoint().await;
    let path = format!("{ENDPOINT}/headers");
    assert_eq!(bench.get(&path).await.expect(200), json!({"headers": {}, "sensitive": []}));
    let all = json!({"headers": {"X-A": "1", "X-B": "2", "Authorization": "Bearer made-up"}});
    bench.put(&path, all).await.expect(204);
    let shown = bench.get(&path).await.expect(200);
    assert_eq!(shown, json!({"headers": {"X-A": "1", "X-B": "2"}, "sensitive": ["Authorization"]}));
    bench
        .patch(&path, json!({"headers": {"x-a": "3"}, "deleteHeaders": ["x-b"]}))
        .await
        .expect(204);
    let shown = bench.get(&path).await.expect(200);
    assert_eq!(shown, json!({"headers": {"x-a": "3"}, "sensitive": ["Authorization"]}));
    bench.patch(&path, json!({"headers": {"x-a": "bad\nvalue"}})).await.invalid("body.headers.x-a");
    bench.put(&path, json!({})).await.invalid("body.headers");
    assert_eq!(bench.get(&path).await.expect(200), shown);
    assert_eq!(bench.changes(), 2);
}

#[tokio::test]
async fn event_types() {
    let bench = Bench::new().await;
    let body = json!({"name": "a.b", "description": "d", "schemas": {"1": {"type": "object"}}});
    let created = bench.post("/api/v1/event-type", body.clone()).await.expect(201);
    bench.post("/api/v1/event-type", body.clone()).await.error(409, "event_type_exists");
    assert_eq!(bench.get("/api/v1/event-type/a.b").await.expect(200), created);
    let names = async |query: &str| {
        let list = bench.get(&format!("/api/v1/event-type?{query}")).await.expect(200);
        let items = list["data"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let list = bench.get("/api/v1/event-type").await.expect(200);
    assert_eq!(list["data"][0]["schemas"], Value::Null);
    let list = bench.get("/api/v1/event-type?with_content=true").await.expect(200);
    assert_eq!(list["data"][0]["schemas"], created["schemas"]);

    bench.delete("/api/v1/event-type/a.b").await.expect(204);
    assert!(names("").await.is_empty());
    assert_eq!(names("include_archived=true").await, ["a.b"]);
    bench.clock.advance(std::time::Duration::from_secs(1));
    let again = bench.post("/api/v1/event-type", body).await.expect(201);
    assert_eq!(again["createdAt"], created["createdAt"]);
    assert_eq!(bench.get("/api/v1/event-type/a.b").await.expect(200), again);
    let patch = json!({"schemas": null, "deprecated": true, "featureFlags": ["f"]});
    let patched = bench.patch("/api/v1/event-type/a.b", patch).await.expect(200);
    assert_eq!((&patched["schemas"], &patched["featureFlag"]), (&Value::Null, &json!("f")));
    let put = json!({"description": "new"});
    bench.put("/api/v1/event-type/z", put.clone()).await.expect(201);
    assert_eq!(bench.put("/api/v1/event-type/z", put).await.expect(200)["description"], "new");
    assert_eq!(names("order=descending").await, ["z", "a.b"]);
    bench.delete("/api/v1/event-type/a.b?expunge=true").await.expect(204);
    bench.get("/api/v1/event-type/a.b").await.error(404, "not_found");
}

#[tokio::test]
async fn messages() {
    let bench = Bench::with_endpoint().await;
    let text = r#"{"eventType":"a.b","payload":{"b":1.0,"a":[1e2]},"eventId":"e1","tags":["t"]}"#;
    let created = bench.call(Method::POST, "/api/v1/app/a/msg", text).await;
    created.expect(202);
    assert!(created.text.contains(r#""payload":{"b":1.0,"a":[1e2]}"#), "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    for path in [format!("/api/v1/app/a/msg/{id}"), "/api/v1/app/a/msg/e1".to_owned()] {
        assert_eq!(bench.get(&path).await.text, created.text);
        let without = bench.get(&format!("{path}?with_content=false")).await.expect(200);
        assert_eq!(without["payload"], json!({}));
    }
    bench.call(Method::POST, "/api/v1/app/a/msg", text).await.error(409, "conflict");
    for (query, found) in
        [("", 1), ("tag=t", 1), ("tag=u", 0), ("event_types=x,a.b", 1), ("event_types=x", 0)]
    {
        let list = bench.get(&format!("/api/v1/app/a/msg?{query}")).await.expect(200);
        assert_eq!(ids(&list).len(), found, "{query}");
    }
    bench.get("/api/v1/app/a/msg/none").await.error(404, "not_found");
}

#[tokio::test]
async fn resending_and_explaining() {
    let bench = Bench::with_endpoint().await;
    let message = json!({"eventType": "a.b", "payload": {}, "eventId": "m"});
    bench.post("/api/v1/app/a/msg", message).await.expect(202);
    let explained = async || {
        let answer = bench.get("/api/v1/app/a/msg/m/explain").await.expect(200);
        let line = answer["endpoints"][0].clone();
        (line["state"].as_str().unwrap().to_owned(), line["reason"].as_str().unwrap().to_owned())
    };
    let pair = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
    assert_eq!(explained().await, pair("pending", "due"));

    let resend = "/api/v1/app/a/msg/m/endpoint/e/resend";
    bench.lanes.delivered.lock().unwrap().clear();
    assert_eq!(bench.call(Method::POST, resend, "").await.expect(202), json!({}));
    assert_eq!(bench.lanes.delivered.lock().unwrap().len(), 1);
    bench.post(&format!("{ENDPOINT}/pause"), json!({})).await.expect(200);
    assert_eq!(explained().await, pair("held", "endpoint_paused"));
    bench.call(Method::POST, resend, "").await.expect(202);
    bench.patch(ENDPOINT, json!({"disabled": true})).await.expect(200);
    assert_eq!(explained().await, pair("held", "endpoint_disabled"));
    bench.call(Method::POST, resend, "").await.error(409, "endpoint_disabled");
    bench.post(&format!("{ENDPOINT}/pause"), json!({})).await.error(409, "endpoint_disabled");
    bench
        .call(Method::POST, "/api/v1/app/a/msg/none/endpoint/e/resend", "")
        .await
        .error(404, "not_found");
    for path in ["/api/v1/app/a/attempt/endpoint/e", "/api/v1/app/a/attempt/msg/m"] {
        let list = bench.get(&format!("{path}?status=3&with_msg=true")).await.expect(200);
        assert_eq!(list, json!({"data": [], "iterator": null, "prevIterator": null, "done": true}));
    }
    bench.get("/api/v1/app/a/attempt/endpoint/none").await.error(404, "not_found");
    bench.get("/api/v1/app/a/attempt/msg/none").await.error(404, "not_found");
}
