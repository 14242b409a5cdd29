//! Destinations: what is made of messages there, and the operations that make, show and change them.

use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, text};
use crate::support::{Answer, Receiver};

fn slack(receiver: &Receiver, fields: Value) -> Value {
    json!({ "type": "slack", "config": { "url": receiver.url(), "fields": fields } })
}

impl Bench {
    async fn destination(&self, wanted: Value) -> Value {
        self.server.post(&self.path("/destination"), wanted).await
    }

    async fn on_destination(&self, method: Method, id: &str, body: Option<Value>) -> (u16, Value) {
        self.server.call(method, &self.path(&format!("/destination/{id}")), body).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_made_shown_changed_and_removed() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let wanted = json!({
        "type": "Slack", "uid": "chat", "description": "Where we read it",
        "config": { "url": receiver.url(), "fields": { "text": "Paid: {{ body.amount }}" } },
        "eventTypes": ["paid"], "metadata": { "team": "shop" }, "throttleRate": 5,
    });
    let made = bench.destination(wanted).await;
    let id = text(&made["id"]);
    let config =
        json!({ "fields": { "text": "Paid: {{ body.amount }}" }, "onMissing": "deadLetter" });
    assert_eq!((&made["type"], &made["config"]), (&json!("slack"), &config), "no secret: {made}");
    assert_eq!(made["url"], format!("slack://{}", receiver.address));
    for (name, expect) in [
        ("status", json!("enabled")),
        ("batchSize", json!(1)),
        ("maxWaitSecs", json!(0)),
        ("currentIterator", json!("")),
        ("eventTypes", json!(["paid"])),
        ("throttleRate", json!(5)),
        ("metadata", json!({ "team": "shop" })),
    ] {
        assert_eq!(made[name], expect, "{name}");
    }
    assert_eq!(bench.on_destination(Method::GET, "chat", None).await, (200, made.clone()));

    // It is an endpoint, in a list of its own.
    let endpoint = bench.endpoint("https://example.com/hook").await;
    let ids = async |path: &str| {
        let listed = bench.server.get(&bench.path(path)).await;
        listed["data"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect::<Vec<_>>()
    };
    assert_eq!(ids("/destination").await, [id.as_str()]);
    assert_eq!(ids("/endpoint").await, [endpoint.as_str()]);
    assert_eq!(bench.get_endpoint(&id).await["url"], made["url"]);
    assert_eq!(bench.on_destination(Method::GET, &endpoint, None).await.0, 404);
    let url = json!({ "url": made["url"] });
    let (status, refused) =
        bench.server.call(Method::PUT, &bench.path(&format!("/endpoint/{id}")), Some(url)).await;
    assert_eq!((status, &refused["detail"][0]["loc"]), (422, &json!(["body", "url"])));

    // What replaces it need not repeat what nobody is shown.
    let put = json!({ "type": "slack", "config": { "fields": { "text": "{{ body.amount }}" } } });
    let (status, put) = bench.on_destination(Method::PUT, &id, Some(put)).await;
    assert_eq!((status, &put["description"], &put["eventTypes"]), (200, &json!(""), &Value::Null));
    let change = json!({ "config": { "onMissing": "skip" }, "status": "disabled" });
    let (status, changed) = bench.on_destination(Method::PATCH, &id, Some(change)).await;
    assert_eq!((status, &changed["status"]), (200, &json!("disabled")), "{changed}");
    assert_eq!(
        changed["config"],
        json!({ "fields": { "text": "{{ body.amount }}" }, "onMissing": "skip" })
    );
    bench.on_destination(Method::PATCH, &id, Some(json!({ "status": "enabled" }))).await;
    let message = json!({ "eventType": "paid", "payload": { "amount": 7 } });
    bench.send_as(message).await;
    assert_eq!(receiver.wait_for(1)[0].body, r#"{"text":"7"}"#);

    assert_eq!(bench.on_destination(Method::DELETE, &id, None).await.0, 204);
    assert_eq!(bench.on_destination(Method::GET, &id, None).await.0, 404);
    let wanted = json!({ "type": "discord", "config": { "url": receiver.url() } });
    let (status, made) = bench.on_destination(Method::PUT, "other", Some(wanted)).await;
    assert_eq!((status, &made["uid"]), (201, &json!("other")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_it_is_named() {
    let bench = Bench::new(schedule("3600")).await;
    let refused = async |body: Value, loc: &[&str], says: &str| {
        let (status, answer) =
            bench.server.call(Method::POST, &bench.path("/destination"), Some(body.clone())).await;
        assert_eq!(status, 422, "{body}: {answer}");
        let problem = &answer["detail"][0];
        let expect: Vec<&str> = ["body"].iter().chain(loc).copied().collect();
        assert_eq!(problem["loc"], json!(expect), "{body}: {answer}");
        assert!(problem["msg"].as_str().unwrap().contains(says), "{problem}");
    };
    let good = "https://hooks.slack.com/services/T0/B0/made-up";
    refused(json!({}), &["type"], "required").await;
    refused(json!({ "type": "pigeon" }), &["type"], "no such kind").await;
    refused(json!({ "type": "slack" }), &["config", "url"], "is missing: Webhook URL").await;
    let config = json!({ "url": "hooks.slack.com" });
    refused(json!({ "type": "slack", "config": config }), &["config", "url"], "look like").await;
    let config = json!({ "url": "https://ada:made-up@example.com/" });
    refused(json!({ "type": "slack", "config": config }), &["config"], "no user").await;
    let config = json!({ "url": good, "fields": { "text": "{{ body. }}" } });
    let wrong = json!({ "type": "slack", "config": config });
    refused(wrong, &["config", "fields", "text"], "unexpected").await;
    let config = json!({ "url": good, "fields": { "txt": "x" } });
    let wrong = json!({ "type": "slack", "config": config });
    refused(wrong, &["config", "fields", "txt"], "knows no such field").await;
    let config = json!({ "url": good, "onMissing": "panic" });
    refused(json!({ "type": "slack", "config": config }), &["config", "onMissing"], "skip").await;
    let config = json!({ "url": good });
    refused(
        json!({ "type": "slack", "config": config, "batchSize": 10 }),
        &["batchSize"],
        "only be 1",
    )
    .await;
    refused(
        json!({ "type": "slack", "config": config, "filter": { "bdy": {} } }),
        &["filter", "bdy"],
        "",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_lacks_something_fails_is_skipped_or_waits() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600,3600")).await;
    let fields = json!({ "text": "Paid: {{ body.amount }}" });
    let mut made = Vec::new();
    for on_missing in ["deadLetter", "skip", "retry"] {
        let mut wanted = slack(&receiver, fields.clone());
        wanted["config"]["onMissing"] = json!(on_missing);
        made.push(text(&bench.destination(wanted).await["id"]));
    }
    let [dead, skipped, waiting] = [&made[0], &made[1], &made[2]];
    let message = bench.send("paid").await;
    let line = bench.explained(&message, dead, "failed", "event_unfit").await;
    assert_eq!(line["lastAttempt"]["failedPhase"], "mapping");
    bench.explained(&message, skipped, "not_sent", "event_incomplete").await;
    let line = bench.explained(&message, waiting, "pending", "retrying").await;
    assert_ne!(line["nextAttempt"], Value::Null);
    for attempt in bench.attempts(&message, 3).await {
        assert_eq!(attempt["response"], "`text`: the event has no body.amount");
    }
    assert_eq!(receiver.count(), 0);
    // It is no failure of the destination.
    for id in &made {
        assert_eq!(bench.get_endpoint(id).await["failingSince"], Value::Null);
    }

    // Once the mapping is mended, it can be sent again.
    let mended = json!({ "config": { "fields": { "text": "{{ body.amount | default('?') }}" } } });
    bench.on_destination(Method::PATCH, dead, Some(mended)).await;
    assert_eq!(bench.resend(&message, dead).await.0, 202);
    bench.explained(&message, dead, "delivered", "success").await;
    assert_eq!(receiver.receipts()[0].body, r#"{"text":"?"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_can_say_no_with_a_good_status() {
    let receiver = Receiver::with(|_, _| Answer::status(207));
    let bench = Bench::new(schedule("3600")).await;
    let url = format!("http://{}", receiver.address);
    let config =
        json!({ "url": url, "token": "made-up", "fields": { "email": "ada@example.com" } });
    let made = bench.destination(json!({ "type": "hubspot-contact", "config": config })).await;
    let id = text(&made["id"]);
    assert_eq!(made["config"]["url"], url);
    assert_eq!(made["config"].get("token"), None);
    let message = bench.send("lead").await;
    let line = bench.explained(&message, &id, "failed", "exhausted").await;
    assert_eq!(line["lastAttempt"]["reason"], "refused_in_answer");
    assert_eq!((&line["attempts"], &line["nextAttempt"]), (&json!(1), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_the_request_and_no_secret() {
    let bench = Bench::new(schedule("3600")).await;
    let config = json!({
        "repository": "example/shop", "token": "made-up-token",
        "fields": { "client_payload": { "type": "{{ body.type }}" } },
    });
    let wanted = json!({ "type": "github-actions", "config": config });
    let new = bench.path("/destination/dry-run");
    let (status, answer) = bench.server.call(Method::POST, &new, Some(wanted.clone())).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "msgId"])));

    let first = bench.send("first").await;
    let newest = bench.send("newest").await;
    let (status, shown) = bench.server.call(Method::POST, &new, Some(wanted.clone())).await;
    assert_eq!((status, &shown["msgId"], &shown["problem"]), (200, &json!(newest), &Value::Null));
    let request = &shown["request"];
    assert_eq!(request["url"], "https://api.github.com/repos/example/shop/dispatches");
    assert_eq!(request["headers"]["authorization"], "Bearer ***");
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "event_type": "newest", "client_payload": { "type": "newest" } }));

    let id = text(&bench.destination(wanted).await["id"]);
    let path = bench.path(&format!("/destination/{id}/dry-run"));
    let (_, shown) = bench.server.call(Method::POST, &path, Some(json!({ "msgId": first }))).await;
    assert_eq!(shown["fields"]["client_payload"], json!({ "type": "first" }));
    assert!(!shown.to_string().contains("made-up-token"));

    let fields = json!({ "config": { "fields": { "event_type": "{{ body.missing }}" } } });
    bench.on_destination(Method::PATCH, &id, Some(fields)).await;
    let (status, shown) = bench.server.call(Method::POST, &path, Some(json!({}))).await;
    assert_eq!((status, &shown["request"]), (200, &Value::Null));
    assert!(text(&shown["problem"]).contains("missing"), "{shown}");
}
