//! Deliveries signed in a provider's own style, with the endpoint's secret.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use serde_json::json;

use super::*;
use crate::support::{Answer, Receipt};

const BODY: &str = r#"{"id":"evt_1","type":"invoice.paid"}"#;
const ENDPOINT: &str = "/ingest/api/v1/source/test/endpoint/one";

/// What a handler computes that was written for the provider: no code of ours.
fn mac(secret: &str, parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, &parts.concat()).as_ref())
}

/// A source of Stripe's whose endpoint wants deliveries to be signed as this provider signs, and
/// the endpoint's secret.
async fn styled(provider: &str, receiver: Receiver, options: Value) -> (Bench, String) {
    let settings = Settings::default().env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1.2,1.2");
    let config = json!({ "secret": SECRET });
    let bench = Bench::on(settings, "stripe", receiver, config, options).await;
    put(&bench, json!({ "url": bench.receiver.url(), "signAs": provider }), 200).await;
    let secret = bench.server.get(&format!("{ENDPOINT}/secret")).await;
    (bench, secret["key"].as_str().unwrap().to_owned())
}

async fn put(bench: &Bench, endpoint: Value, expect: u16) -> Value {
    let (status, answer) = bench.server.call(Method::PUT, ENDPOINT, Some(endpoint)).await;
    assert_eq!(status, expect, "{answer}");
    answer
}

/// The time and the signature in Stripe's header.
fn stripe(receipt: &Receipt) -> (i64, String) {
    let (time, signature) = receipt.header("stripe-signature").split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap().parse().unwrap();
    (time, signature.strip_prefix("v1=").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_of_the_provider_verifies_each_attempt_with_the_endpoints_secret() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let (bench, secret) = styled("stripe", receiver, json!({})).await;
    assert!(secret.starts_with("whsec_") && secret != SECRET);
    let sent = Timestamp(now().millis() - 200_000);
    assert_eq!(bench.event_signed_at(sent, SECRET, &[], BODY).await.status, 200);
    let receipts = bench.receiver.wait_for(2);
    let mut times = Vec::new();
    for receipt in &receipts {
        assert_eq!(receipt.headers.get_all("stripe-signature").iter().count(), 1);
        let (time, signature) = stripe(receipt);
        let signed = mac(&secret, &[format!("{time}.").as_bytes(), BODY.as_bytes()]);
        assert_eq!(signature, signed);
        assert!(receipt.header("webhook-signature").starts_with("v1,"), "ours is there too");
        times.push(time);
    }
    assert!(times[0] > sent.seconds() + 100, "the provider's own time is not passed on");
    assert!(times[1] > times[0], "each attempt has its own: {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_providers_style_is_fine_and_stays_until_it_is_named() {
    let (bench, secret) = styled("github", Receiver::ok(), json!({})).await;
    bench.event(&[], BODY).await;
    let signed = format!("sha256={}", mac(&secret, &[BODY.as_bytes()]));
    assert_eq!(bench.receiver.wait_for(1)[0].header("x-hub-signature-256"), signed);
    let kept = put(&bench, json!({ "url": bench.receiver.url() }), 200).await;
    assert_eq!(kept["signAs"], "github");
    let gone = put(&bench, json!({ "url": bench.receiver.url(), "signAs": null }), 200).await;
    assert_eq!(gone["signAs"], Value::Null);
    bench.event(&[], r#"{"id":"evt_2"}"#).await;
    assert_eq!(bench.receiver.wait_for(2)[1].header("x-hub-signature-256"), "");
    for (provider, what) in [("paypal", "private key"), ("no-such", "there is no such provider")] {
        let body = json!({ "url": bench.receiver.url(), "signAs": provider });
        let refused = put(&bench, body, 422).await.to_string();
        assert!(refused.contains("signAs") && refused.contains(what), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgery_gets_no_signature_of_the_endpoints() {
    let (bench, secret) = styled("stripe", Receiver::ok(), json!({ "enforce": false })).await;
    let answered = bench.event_signed_at(now(), "rb-test-forged", &[], BODY).await;
    assert_eq!(answered.status, 200);
    let receipt = &bench.receiver.wait_for(1)[0];
    assert_eq!(receipt.header("ringback-verdict"), "failed");
    let (time, signature) = stripe(receipt);
    let parts = [format!("{time}.").into_bytes(), BODY.as_bytes().to_vec()];
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    assert_eq!(signature, mac("rb-test-forged", &parts), "as it came");
    assert_ne!(signature, mac(&secret, &parts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_endpoint_can_be_signed_for() {
    let server = Server::start(Settings::default());
    let receiver = Receiver::ok();
    let app = server.post("/api/v1/app", json!({ "name": "test" })).await;
    let app = format!("/api/v1/app/{}", app["id"].as_str().unwrap());
    let endpoint = json!({ "url": receiver.url(), "uid": "one", "signAs": "slack" });
    server.post(&format!("{app}/endpoint"), endpoint).await;
    let secret = server.get(&format!("{app}/endpoint/one/secret")).await;
    let message = json!({ "eventType": "invoice.paid", "payload": { "a": 1 } });
    server.post(&format!("{app}/msg"), message).await;
    let receipt = receiver.wait_for(1).remove(0);
    let time = receipt.header("x-slack-request-timestamp");
    let base = format!("v0:{time}:");
    let signed = mac(secret["key"].as_str().unwrap(), &[base.as_bytes(), &receipt.body]);
    assert_eq!(receipt.header("x-slack-signature"), format!("v0={signed}"));
}

/// Square signs the URL before the body: it is the one that the request goes to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_url_that_a_transformation_made_is_the_one_that_is_signed() {
    let server = Server::start(Settings::default());
    let receiver = Receiver::ok();
    let app = server.post("/api/v1/app", json!({ "name": "test" })).await;
    let app = format!("/api/v1/app/{}", app["id"].as_str().unwrap());
    let endpoint = json!({ "url": receiver.url(), "uid": "one", "signAs": "square" });
    server.post(&format!("{app}/endpoint"), endpoint).await;
    let secret = server.get(&format!("{app}/endpoint/one/secret")).await;
    let code = "function handler(webhook) { webhook.url += '/moved'; return webhook }";
    let path = format!("{app}/endpoint/one/transformation");
    let change = Some(json!({ "code": code }));
    assert_eq!(server.call(Method::PATCH, &path, change).await.0, 204);
    let message = json!({ "eventType": "invoice.paid", "payload": { "a": 1 } });
    server.post(&format!("{app}/msg"), message).await;
    let receipt = receiver.wait_for(1).remove(0);
    let url = format!("{}/moved", receiver.url());
    assert!(url.ends_with(&receipt.path), "{}", receipt.path);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret["key"].as_str().unwrap().as_bytes());
    let tag = hmac::sign(&key, &[url.as_bytes(), &receipt.body].concat());
    let signed = data_encoding::BASE64.encode(tag.as_ref());
    assert_eq!(receipt.header("x-square-hmacsha256-signature"), signed);
}
