//! Events that are proven: what is answered, what endpoints get, what comes again.

use ringback_client::Webhook;
use serde_json::json;

use super::*;
use crate::support::Answer;

const BODY: &str = "{\"action\":\"opened\",\"n\": 1.50,\n \"zen\":\"Ünïcode\"}\n";
const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("x-github-event", "issues"),
    ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ("user-agent", "GitHub-Hookshot/abc"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_bytes_and_headers_arrive_signed_anew() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    let answered = bench.event(&HEADERS, BODY).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let receipt = bench.receiver.wait_for(1).remove(0);
    assert_eq!(receipt.body, BODY.as_bytes());
    assert_eq!(receipt.header("x-github-event"), "issues");
    assert!(receipt.header("x-hub-signature-256").starts_with("sha256="));
    assert_eq!(receipt.header("content-type"), "application/json");
    assert_eq!(receipt.header("ringback-source"), bench.id);
    assert_eq!(receipt.header("ringback-event"), "issues.opened");
    assert_eq!(receipt.header("ringback-verdict"), "verified");
    assert_eq!(receipt.header("ringback-event-id"), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_ne!(receipt.header("host"), "evil.example");
    let secret = bench.server.get("/ingest/api/v1/source/test/endpoint/one/secret").await;
    let webhook = Webhook::new(secret["key"].as_str().unwrap()).unwrap();
    let headers = &receipt.headers;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    webhook.verify(header, &receipt.body, now().seconds()).unwrap();
    // It is a message of the source's application like any other.
    let path = format!("/api/v1/app/{}/msg/{}", bench.app, receipt.id());
    assert_eq!(bench.server.get(&path).await["eventType"], "issues.opened");
    let request = &bench.requests("").await[0];
    assert_eq!(request["status"], "accepted");
    assert_eq!(request["msgId"], receipt.id());
    let path = format!("/ingest/api/v1/source/test/request/{}", request["id"].as_str().unwrap());
    let whole = bench.server.get(&path).await;
    assert_eq!(whole["body"], BODY);
    assert_eq!(whole["headers"]["x-github-event"], "issues");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_is_delivered_once() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    assert_eq!(bench.event(&HEADERS, BODY).await.status, 200);
    bench.receiver.wait_for(1);
    let id = bench.receiver.receipts()[0].id().to_owned();
    // Settled for sure, so that the repetition has nothing to hasten.
    let path = format!("/api/v1/app/{}/msg/{id}/endpoint", bench.app);
    while bench.server.get(&path).await["data"][0]["status"] != 0 {}
    assert_eq!(bench.event(&HEADERS, BODY).await.status, 200);
    assert_eq!(bench.last().await.0, "duplicate");
    let other = [HEADERS[0], HEADERS[1], ("x-github-delivery", "another-id"), HEADERS[3]];
    assert_eq!(bench.event(&other, BODY).await.status, 200);
    let receipts = bench.receiver.wait_for(2);
    assert_eq!(receipts.len(), 2);
    let duplicate = &bench.requests("?status=duplicate").await[0];
    assert_eq!(duplicate["msgId"], id.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_and_was_not_delivered_is_tried_at_once() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let bench = Bench::new("github", receiver, json!({})).await;
    bench.event(&HEADERS, BODY).await;
    bench.receiver.wait_for(1);
    let id = bench.receiver.receipts()[0].id().to_owned();
    let path = format!("/api/v1/app/{}/msg/{id}/endpoint", bench.app);
    while bench.server.get(&path).await["data"][0]["status"] != 3 {}
    // The next attempt is planned in five seconds; the repetition does not wait for it.
    let begun = tokio::time::Instant::now();
    bench.event(&HEADERS, BODY).await;
    let receipts = bench.receiver.wait_for(2);
    assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
    assert_eq!(receipts[1].id(), id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_does_not_wait_for_endpoints() {
    let bench = Bench::new("github", Receiver::with(|_, _| Answer::Never), json!({})).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(bench.event(&HEADERS, BODY).await.status, 200);
    assert!(begun.elapsed().as_secs() < 1, "{:?}", begun.elapsed());
    bench.receiver.wait_for(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_can_be_taken_apart() {
    let options = json!({ "split": true });
    let bench = Bench::new("hubspot-v1", Receiver::ok(), options).await;
    let item = |id: u32, kind: &str| {
        format!(
            r#"{{"eventId": {id},  "subscriptionId":7,"occurredAt":1.0,"subscriptionType":"{kind}"}}"#
        )
    };
    let batch = |items: [String; 2]| format!("[{},\n {}]", items[0], items[1]);
    let (first, second) = (item(1, "contact.creation"), item(2, "deal.deletion"));
    let headers = [("content-type", "application/json")];
    let body = batch([first.clone(), second.clone()]);
    assert_eq!(bench.event(&headers, &body).await.status, 200);
    let mut receipts = bench.receiver.wait_for(2);
    receipts.sort_by_key(|receipt| receipt.header("ringback-event").to_owned());
    assert_eq!(receipts[0].body, first);
    assert_eq!(receipts[1].body, second);
    assert_eq!(receipts[1].header("ringback-event"), "deal.deletion");
    // One of them again, with a new one: only that is new.
    let body = batch([second, item(3, "x")]);
    assert_eq!(bench.event(&headers, &body).await.status, 200);
    assert_eq!(bench.receiver.wait_for(3)[2].header("ringback-event"), "x");
    // And one of them in another form, behind a new one.
    let body = batch([item(4, "y"), item(3, "other")]);
    assert_eq!(bench.event(&headers, &body).await.status, 200);
    assert_eq!(bench.receiver.wait_for(4)[3].header("ringback-event"), "y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_chooses_answer_type_and_identity() {
    let options = json!({
        "acknowledge": { "status": 202, "headers": { "x-taken": "yes" },
            "body": "{{\"id\":{json.order.id|json}}}" },
        "eventType": "order.{json.order.state}",
        "dedupe": { "by": "field", "field": "{json.order.id}" },
    });
    let bench = Bench::new("generic-hmac", Receiver::ok(), options).await;
    let body = r#"{"order":{"id":"o-1","state":"paid"}}"#;
    let answered = bench.event(&[], body).await;
    assert_eq!((answered.status, &answered.body[..]), (202, &br#"{"id":"o-1"}"#[..]));
    assert_eq!(answered.headers["x-taken"], "yes");
    assert_eq!(bench.receiver.wait_for(1)[0].header("ringback-event"), "order.paid");
    bench.event(&[], r#"{"order":{"id":"o-1","state":"sent"}}"#).await;
    assert_eq!(bench.last().await.0, "duplicate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_through_byte_for_byte() {
    let bench = Bench::new("github", Receiver::ok(), json!({})).await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(5_000_000));
    assert_eq!(bench.event(&HEADERS, &body).await.status, 200);
    assert_eq!(bench.receiver.wait_for(1)[0].body, body.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_secrets_count_during_a_rotation_and_both_urls() {
    let config = json!({ "secret": ["rb-test-new", SECRET] });
    let bench = Bench::with("github", Receiver::ok(), config, json!({})).await;
    assert_eq!(bench.event_signed_at(now(), "rb-test-new", &[], "{}").await.status, 200);
    assert_eq!(bench.event_signed_at(now(), SECRET, &[], "{}").await.status, 200);
    let path = "/ingest/api/v1/source/test/token/rotate";
    let rotated = bench.server.post(path, json!({})).await;
    let url = rotated["ingestUrl"].as_str().unwrap();
    assert!(!url.ends_with(&bench.path));
    assert_eq!(bench.event(&[], "{}").await.status, 200, "the old one holds for a day");
    let new = &url[url.find("/in/").unwrap()..];
    let made = signed("github", SECRET, now(), url, &[], "{}");
    let headers: Vec<(&str, &str)> = made.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answered = call(&bench.server.url, Method::POST, new, &headers, "{}".into()).await;
    assert_eq!(answered.status, 200);
    bench.server.post(path, json!({ "gracePeriodSeconds": 0 })).await;
    assert_eq!(bench.event(&[], "{}").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_that_can_be_signed_is_taken_by_a_source() {
    let server = Server::start(Settings::default());
    let receiver = Receiver::ok();
    let mut taken = 0;
    for provider in Catalog::default().all() {
        let Some(sample) = provider.samples.first() else { continue };
        let secrets: Vec<_> = provider.settings.iter().map(|one| one.name.as_str()).collect();
        if secrets != ["secret"] {
            continue;
        }
        let setting = &provider.settings[0];
        let length = setting.min_length.or(setting.max_length).unwrap_or(32).max(8) + 3;
        let base = "72622d746573742d7365637265742d303030312d72622d746573742d7365637265";
        let value: String = base.chars().cycle().take(length / 4 * 4).collect();
        let secret = format!("{}{value}", setting.prefix.clone().unwrap_or_default());
        let body = json!({ "name": provider.id, "uid": provider.id, "type": provider.id,
            "config": { "secret": secret } });
        let source = server.post("/ingest/api/v1/source", body).await;
        let id = source["id"].as_str().unwrap();
        let endpoint = json!({ "url": receiver.url() });
        server.post(&format!("/ingest/api/v1/source/{id}/endpoint"), endpoint).await;
        let url = source["ingestUrl"].as_str().unwrap();
        let mut supplied = Supplied::new();
        supplied.set("secret", vec![secret]);
        let sent: Vec<(&str, &[u8])> =
            sample.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        let request = provider::Request::new("POST", url, &sent, sample.body.as_bytes());
        let Ok(made) = provider.sign(&request, &supplied, "rb-test-1", now()) else { continue };
        let headers: Vec<(&str, &str)> = sample
            .headers
            .iter()
            .chain(made.iter().map(|(name, value)| (name, value)))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let path = &url[url.find("/in/").unwrap()..];
        let body = Bytes::copy_from_slice(sample.body.as_bytes());
        let answered = call(&server.url, Method::POST, path, &headers, body).await;
        assert!((200..300).contains(&answered.status), "{}: {answered:?}", provider.id);
        taken += 1;
    }
    assert!(taken > 100, "{taken}");
    receiver.wait_for(taken);
}
