//! What requests look like where the endpoint wants something else than usual.

use std::io::Read as _;

use http::Method;
use serde_json::{Value, json};

use super::{Bench, schedule, text, verify};
use crate::support::{Answer, Receipt, Receiver, Settings};

/// Key order and spelling of numbers that a JSON library would not keep.
const PAYLOAD: &str = r#"{ "z" : 1.50, "a":{"b":[1e2,"é &"]} }"#;

/// What an endpoint that wants this gets for the payload, its signature proven; and the message's id.
async fn received(bench: &Bench, delivery: Value) -> (Receipt, String) {
    let receiver = Receiver::ok();
    let wanted = json!({ "url": receiver.url(), "delivery": delivery });
    let endpoint = bench.endpoint_with(wanted).await;
    let body = format!(r#"{{"payload":{PAYLOAD},"eventType":"order.paid"}}"#);
    let client = bench.server.client();
    let answer = client.call(Method::POST, &bench.path("/msg"), Some(body.into())).await.unwrap();
    assert_eq!(answer.status, 202);
    let receipt = receiver.wait_for(1).remove(0);
    let id = verify(&bench.secret(&endpoint).await, &receipt).unwrap();
    bench.delete(&format!("/endpoint/{endpoint}")).await;
    (receipt, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_structured_cloudevent_holds_the_payload_as_it_is() {
    let bench = Bench::new(Settings::default()).await;
    let (receipt, id) = received(&bench, json!({ "format": "cloudevents" })).await;
    assert_eq!(receipt.header("content-type"), "application/cloudevents+json");
    let body = std::str::from_utf8(&receipt.body).unwrap();
    assert!(body.ends_with(&format!(r#""data":{PAYLOAD}}}"#)), "{body}");
    let event: Value = serde_json::from_str(body).unwrap();
    let message = bench.server.get(&bench.path(&format!("/msg/{id}"))).await;
    for (name, value) in [
        ("specversion", json!("1.0")),
        ("id", json!(id)),
        ("source", json!(format!("/app/{}", bench.app))),
        ("type", json!("order.paid")),
        ("time", message["timestamp"].clone()),
        ("datacontenttype", json!("application/json")),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_cloudevent_is_the_payload_beside_headers() {
    let bench = Bench::new(Settings::default()).await;
    let source = "https://shop.example/orders";
    let wanted = json!({ "format": "cloudevents-binary", "source": source });
    let (receipt, id) = received(&bench, wanted).await;
    assert_eq!(std::str::from_utf8(&receipt.body), Ok(PAYLOAD));
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", &id),
        ("ce-source", source),
        ("ce-type", "order.paid"),
    ] {
        assert_eq!(receipt.header(name), value, "{name}");
    }
    assert!(receipt.header("ce-time").ends_with('Z'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_has_a_field_for_every_value_and_raw_bytes_any_type() {
    let bench = Bench::new(Settings::default()).await;
    let (receipt, _) = received(&bench, json!({ "format": "form" })).await;
    assert_eq!(receipt.header("content-type"), "application/x-www-form-urlencoded");
    let form = "z=1.50&a%5Bb%5D%5B0%5D=1e2&a%5Bb%5D%5B1%5D=%C3%A9+%26";
    assert_eq!(std::str::from_utf8(&receipt.body), Ok(form));

    let wanted = json!({ "format": "raw", "contentType": "text/x-order; v=1", "method": "PUT" });
    let (receipt, _) = received(&bench, wanted).await;
    assert_eq!(receipt.method, Method::PUT);
    assert_eq!(receipt.header("content-type"), "text/x-order; v=1");
    assert_eq!(std::str::from_utf8(&receipt.body), Ok(PAYLOAD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_signed_as_it_was_before() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let wanted = json!({ "url": receiver.url(), "delivery": { "gzip": true } });
    let endpoint = bench.endpoint_with(wanted).await;
    let text = "again and again ".repeat(500);
    bench.send_as(json!({ "eventType": "a.b", "payload": { "text": text } })).await;
    let mut receipt = receiver.wait_for(1).remove(0);
    assert_eq!(receipt.header("content-encoding"), "gzip");
    assert_eq!(receipt.header("content-length"), receipt.body.len().to_string());
    assert!(receipt.body.len() < 1_000, "{}", receipt.body.len());
    let key = bench.secret(&endpoint).await;
    assert!(verify(&key, &receipt).is_err(), "what is signed is what the handler reads");
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&receipt.body[..]).read_to_end(&mut body).unwrap();
    receipt.body = body.into();
    verify(&key, &receipt).unwrap();
    let payload: Value = serde_json::from_slice(&receipt.body).unwrap();
    assert_eq!(payload["text"], text.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_become_a_form_is_not_sent_and_says_so() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let wanted = json!({ "url": receiver.url(), "delivery": { "format": "form" } });
    let endpoint = bench.endpoint_with(wanted).await;
    let params = json!({ "rawPayload": "<a/>", "headers": { "content-type": "text/xml" } });
    let message = json!({ "eventType": "a.b", "payload": {}, "transformationsParams": params });
    let message = bench.send_as(message).await;
    let line = bench.explained(&message, &endpoint, "failed", "event_unfit").await;
    assert_eq!(line["endpointId"], endpoint.as_str());
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert!(text(&attempt["response"]).contains("only a JSON object"), "{attempt}");
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_has_a_schedule_and_a_timeout_of_its_own() {
    let receiver =
        Receiver::with(|_, before| if before == 0 { Answer::Never } else { Answer::status(500) });
    // The installation would try for days, and wait fifteen seconds for an answer.
    let bench = Bench::new(schedule("3600,3600")).await;
    let delivery = json!({ "retry": { "gaps": [1], "jitter": 0 }, "timeout": 0.5 });
    let wanted = json!({ "url": receiver.url(), "delivery": delivery });
    let endpoint = bench.endpoint_with(wanted).await;
    let message = bench.send("own.schedule").await;
    bench.explained(&message, &endpoint, "failed", "exhausted").await;
    let attempts = bench.attempts(&message, 2).await;
    let took = attempts[0]["responseDurationMs"].as_u64().unwrap();
    assert!((500..10_000).contains(&took), "{attempts:?}");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_installation_does_not_allow_is_refused_by_name() {
    let bench = Bench::new(Settings::default().env("RINGBACK_DELIVERY_TIMEOUT_LIMIT", "30")).await;
    for (delivery, loc) in [
        (json!({ "timeout": 31 }), json!(["body", "delivery", "timeout"])),
        (json!({ "format": "xml" }), json!(["body", "delivery", "format"])),
        (
            json!({ "retry": { "gaps": [1, 9_999_999] } }),
            json!(["body", "delivery", "retry", "gaps", "1"]),
        ),
    ] {
        let wanted = json!({ "url": "https://example.com/", "delivery": delivery });
        let (status, json) =
            bench.server.call(Method::POST, &bench.path("/endpoint"), Some(wanted)).await;
        assert_eq!((status, &json["detail"][0]["loc"]), (422, &loc), "{json}");
    }
}
