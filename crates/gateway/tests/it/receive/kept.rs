//! What was written down and becomes a message only later: released, or replayed once the reason is
//! mended.

use std::{fs, path::PathBuf};

use serde_json::json;

use super::*;

const HEADERS: [(&str, &str); 2] = [("x-github-event", "issues"), ("x-github-delivery", "d-1")];
const WRONG: &str = r#"{"action":"opened","n":"rb-two"}"#;

fn schema(kind: &str) -> Value {
    json!({ "*": { "properties": { "n": { "type": kind } } } })
}

impl Bench {
    /// The id of the last thing that arrived.
    async fn last_id(&self) -> String {
        self.requests("?limit=1").await[0]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a request to be taken: `release` or `replay`.
    async fn again(&self, how: &str, id: &str) -> (u16, Value) {
        let path = format!("/ingest/api/v1/source/test/request/{id}/{how}");
        self.server.call(Method::POST, &path, None).await
    }

    /// Replaces what the source is configured with.
    async fn change(&self, config: Value, options: Value) {
        let body = json!({
            "name": "test", "type": self.provider, "config": config, "options": options,
        });
        let path = "/ingest/api/v1/source/test";
        let (status, answer) = self.server.call(Method::PUT, path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn metric(&self, fate: &str) -> u64 {
        let text = self.server.metrics().await;
        let line = format!("ringback_requests_received_total{{fate=\"{fate}\"}} ");
        let found = text.lines().find_map(|found| found.strip_prefix(&line));
        found.map_or(0, |count| count.parse().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_quarantined_goes_nowhere_until_it_is_released() {
    let options = json!({ "schemas": schema("integer"), "onViolation": "quarantine" });
    let bench = Bench::new("github", Receiver::ok(), options).await;
    assert_eq!(bench.event(&HEADERS, WRONG).await.status, 200);
    let kept = &bench.requests("?status=quarantined").await[0];
    assert_eq!(kept["reason"], r#"the value is not of type "integer" (at /n)"#);
    assert_eq!((&kept["eventType"], &kept["msgId"]), (&json!("issues.opened"), &Value::Null));
    bench.server.wait_for_log("(at /n)");
    assert!(!bench.server.log().contains("rb-two"), "the place is logged, and not the value");
    assert_eq!(bench.metric("quarantined").await, 1);
    let id = kept["id"].as_str().unwrap();
    assert_eq!(bench.receiver.count(), 0);

    let (status, first) = bench.again("release", id).await;
    assert_eq!((status, &first["alreadyAccepted"]), (200, &json!(false)), "{first}");
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.body, WRONG.as_bytes());
    assert_eq!(receipt.header("x-github-event"), "issues");
    assert_eq!(receipt.header("ringback-event"), "issues.opened");
    assert_eq!(receipt.header("ringback-event-id"), "d-1");
    assert_eq!(receipt.header("ringback-verdict"), "verified");
    assert_eq!(first["request"]["status"], "accepted");
    assert_eq!(first["request"]["msgId"], receipt.id());

    // Again, and in the other way: it is said, and nothing happens.
    for how in ["release", "replay"] {
        let (status, again) = bench.again(how, id).await;
        assert_eq!((status, &again["alreadyAccepted"]), (200, &json!(true)));
        assert_eq!(again["request"], first["request"]);
    }
    // The provider comes again: that is a duplicate.
    bench.change(json!({}), json!({})).await;
    assert_eq!(bench.event(&HEADERS, WRONG).await.status, 200);
    let duplicate = &bench.requests("?status=duplicate").await[0];
    assert_eq!(duplicate["msgId"], receipt.id());
    assert_eq!(bench.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_schema_refused_is_taken_once_the_schema_is_mended() {
    let bench = Bench::new("github", Receiver::ok(), json!({ "schemas": schema("integer") })).await;
    assert_eq!(bench.event(&HEADERS, WRONG).await.status, 422);
    let id = bench.last_id().await;
    let before = bench.requests("").await;
    let (status, answer) = bench.again("replay", &id).await;
    assert_eq!((status, &answer["code"]), (409, &json!("still_refused")));
    let detail = r#"schema_invalid: the value is not of type "integer" (at /n)"#;
    assert_eq!(answer["detail"], detail);
    assert_eq!(bench.requests("").await, before, "nothing has changed");

    bench.change(json!({}), json!({ "schemas": schema("string") })).await;
    let (status, taken) = bench.again("replay", &id).await;
    assert_eq!((status, &taken["request"]["status"]), (200, &json!("accepted")), "{taken}");
    assert_eq!(taken["request"]["reason"], Value::Null);
    assert_eq!(bench.receiver.wait_for(1)[0].id(), taken["request"]["msgId"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_with_another_secret_is_taken_once_that_is_known() {
    // Stripe's signatures hold for minutes; the time that counts is that of the arrival.
    let bench = Bench::with(
        "stripe",
        Receiver::ok(),
        json!({ "secret": "whsec_rb_test_old" }),
        json!({ "tolerance": 1 }),
    )
    .await;
    assert_eq!(bench.event(&[], r#"{"id":"evt_1","type":"a"}"#).await.status, 401);
    let signed_at = now();
    let id = bench.last_id().await;
    let (status, answer) = bench.again("replay", &id).await;
    assert_eq!((status, &answer["detail"]), (409, &json!("unverified: signature_mismatch")));
    let (status, answer) = bench.again("release", &id).await;
    assert_eq!((status, &answer["code"]), (400, &json!("not_held")), "only a schema holds back");
    bench.change(json!({ "secret": SECRET }), json!({ "tolerance": 1 })).await;
    while now().since(signed_at).as_secs() < 2 {
        tokio::task::yield_now().await;
    }
    let (status, taken) = bench.again("replay", &id).await;
    assert_eq!((status, &taken["request"]["verdict"]), (200, &json!("verified")), "{taken}");
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("ringback-verdict"), "verified");
    assert_eq!(receipt.header("ringback-event-id"), "evt_1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_had_wrong_is_taken_once_that_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let put = |header: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers");
        let file = fs::read_to_string(folder.join("generic-token.toml")).unwrap();
        let file = file.replace("generic-token", "acme").replace("x-webhook-token", header);
        fs::write(directory.path().join("acme.toml"), file).unwrap();
    };
    put("x-acme-key");
    let settings =
        Settings::default().env("RINGBACK_PROVIDERS", directory.path().to_str().unwrap());
    let config = json!({ "secret": SECRET });
    let bench = Bench::on(settings, "acme", Receiver::ok(), config, json!({})).await;
    let headers = [("x-acme-token", SECRET), ("idempotency-key", "1")];
    assert_eq!(bench.call(Method::POST, "", &headers, "{}").await.status, 401);
    let id = bench.last_id().await;
    let (status, answer) = bench.again("replay", &id).await;
    assert_eq!((status, &answer["detail"]), (409, &json!("unverified: missing_header")));
    put("x-acme-token");
    bench.server.wait_for_log("a provider's file was read");
    let (status, taken) = bench.again("replay", &id).await;
    assert_eq!((status, &taken["request"]["verdict"]), (200, &json!("authenticated")), "{taken}");
    assert_eq!(bench.receiver.wait_for(1)[0].header("ringback-event-id"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrived_meanwhile_makes_it_a_duplicate() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    bench.event_signed_at(now(), "rb-test-new", &HEADERS, "{}").await;
    let id = bench.last_id().await;
    assert_eq!(bench.event(&HEADERS, "{}").await.status, 200);
    let first = bench.receiver.wait_for(1)[0].id().to_owned();
    bench.change(json!({ "secret": ["rb-test-new", SECRET] }), json!({})).await;
    let (status, taken) = bench.again("replay", &id).await;
    assert_eq!((status, &taken["alreadyAccepted"]), (200, &json!(false)), "{taken}");
    assert_eq!(taken["request"]["status"], "duplicate");
    assert_eq!(taken["request"]["msgId"], first);
    assert_eq!(bench.again("replay", &id).await.1["alreadyAccepted"], true);
    assert_eq!(bench.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_is_not_shown_is_at_hand() {
    let config = json!({ "secret": "rb-test-old-token" });
    let bench = Bench::with("gitlab", Receiver::ok(), config, json!({})).await;
    let headers = [("x-gitlab-token", SECRET), ("x-gitlab-event", "Push Hook")];
    assert_eq!(bench.call(Method::POST, "?team=a", &headers, "{}").await.status, 401);
    let id = bench.last_id().await;
    let path = format!("/ingest/api/v1/source/test/request/{id}");
    let shown = bench.server.get(&path).await;
    assert_eq!(shown["headers"]["x-gitlab-token"], "[redacted]");
    assert!(shown["headers"].as_object().unwrap().keys().all(|name| !name.starts_with(':')));
    bench.change(json!({ "secret": SECRET }), json!({})).await;
    let (status, taken) = bench.again("replay", &id).await;
    assert_eq!((status, &taken["request"]["verdict"]), (200, &json!("authenticated")), "{taken}");
    assert!(!taken.to_string().contains(SECRET));
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("x-gitlab-token"), "");
    assert_eq!(receipt.header("x-gitlab-event"), "Push Hook");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_all_there_is_not_taken() {
    let bench = Bench::new("github", Receiver::ok(), json!({ "bodyLimit": 200_000 })).await;
    let refused = async |how: &str, code: &str, detail: &str| {
        let id = bench.last_id().await;
        let (status, answer) = bench.again(how, &id).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some(code)), "{answer}");
        assert_eq!(answer["detail"], detail);
    };
    bench.event_signed_at(now(), "rb-test-wrong", &HEADERS, &"x".repeat(65_537)).await;
    refused("replay", "not_replayable", "65536 of 65537 bytes of the body are kept").await;
    let long = "x".repeat(17_000);
    bench.call(Method::POST, "", &[("x-long", &long)], "{}").await;
    refused("replay", "not_replayable", "not all of its headers are kept").await;
    bench.call(Method::PUT, "", &HEADERS, "{}").await;
    let nothing = "a request with the status method_not_allowed has nothing that could be taken";
    refused("replay", "not_replayable", nothing).await;
    refused("release", "not_replayable", nothing).await;
    assert_eq!(bench.receiver.count(), 0);
    assert_eq!(bench.again("replay", "req_none").await.0, 404);
    assert_eq!(bench.again("release", &"req_".repeat(3)).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_kept_is_taken_apart() {
    let schema = json!({ "*": { "items": { "required": ["portalId"] } } });
    let options = json!({ "split": true, "schemas": schema, "onViolation": "quarantine" });
    let bench = Bench::new("hubspot-v1", Receiver::ok(), options).await;
    let item = |id: u32| format!(r#"{{"eventId":{id},"subscriptionType":"contact.creation"}}"#);
    let body = format!("[{},{}]", item(1), item(2));
    let headers = [("content-type", "application/json")];
    assert_eq!(bench.event(&headers, &body).await.status, 200);
    let id = bench.last_id().await;
    let (status, taken) = bench.again("release", &id).await;
    assert_eq!((status, &taken["request"]["status"]), (200, &json!("accepted")), "{taken}");
    let mut bodies: Vec<_> =
        bench.receiver.wait_for(2).iter().map(|receipt| receipt.body.clone()).collect();
    bodies.sort();
    assert_eq!(bodies, [item(1), item(2)]);
    assert_eq!(bench.again("release", &id).await.1["alreadyAccepted"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_found_by_what_they_are() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    let delivery = |id| [("x-github-event", "push"), ("x-github-delivery", id)];
    bench.event(&delivery("d-1"), "{}").await;
    bench.event(&[("x-github-event", "ping"), ("x-github-delivery", "d-2")], "{}").await;
    bench.event_signed_at(now(), "rb-test-wrong", &delivery("d-3"), "{}").await;
    let found = async |query: &str| -> Vec<String> {
        let requests = bench.requests(query).await;
        let id = |request: &Value| request["eventId"].as_str().unwrap().to_owned();
        requests.iter().map(id).collect()
    };
    assert_eq!(found("?event_type=push").await, ["d-3", "d-1"]);
    assert_eq!(found("?event_type=push&status=unverified").await, ["d-3"]);
    assert_eq!(found("?event_type=ping&event_id=d-2").await, ["d-2"]);
    assert_eq!(found("?event_id=d-1&after=2001-01-01T00:00:00Z").await, ["d-1"]);
    assert_eq!(found("?event_type=push&before=2001-01-01T00:00:00Z").await, [""; 0]);
}
