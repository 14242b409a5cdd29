//! The request: the payload's bytes, the headers, the signatures.

use http::Method;
use ringback_domain::signature::SigningKey;
use serde_json::json;

use super::{Bench, schedule, text, verify};
use crate::support::{Answer, Receiver, Settings};

/// Key order, spelling of numbers, escapes and spaces that a JSON library would not keep.
const PAYLOAD: &str = r#"{ "z" : 1.50, "a":1e2,"big":12345678901234567890123,"tiny":-0.0,
  "z" : "\u00e9\ud83d\ude00 é \/ \u003c", "list":[ 1,2 ,3 ] }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_payloads_bytes_are_sent_as_they_came() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let body = format!(r#"{{"payload": {PAYLOAD} , "eventType":"bytes.test"}}"#);
    let client = bench.server.client();
    let answer = client.call(Method::POST, &bench.path("/msg"), Some(body.into())).await.unwrap();
    assert_eq!(answer.status, 202);

    let receipt = receiver.wait_for(1).remove(0);
    assert_eq!(std::str::from_utf8(&receipt.body), Ok(PAYLOAD));
    assert_eq!((receipt.method.as_str(), receipt.path.as_str()), ("POST", "/hook"));
    assert_eq!(receipt.header("content-type"), "application/json");
    assert_eq!(receipt.header("host"), receiver.address.to_string());
    assert!(receipt.header("user-agent").starts_with("Ringback/"));
    assert_eq!(receipt.headers.get("accept-encoding"), None, "answers are never decompressed");
    let id = verify(&bench.secret(&endpoint).await, &receipt).unwrap();
    assert_eq!(id, receipt.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_payload_is_sent_as_its_type_says() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    let raw = "<paid id='1'>\r\n\tgrün\u{0}</paid>";
    let params = json!({ "rawPayload": raw, "headers": { "content-type": "application/xml; charset=utf-8" } });
    bench
        .send_as(json!({ "eventType": "raw.test", "payload": {}, "transformationsParams": params }))
        .await;
    let receipt = receiver.wait_for(1).remove(0);
    assert_eq!(std::str::from_utf8(&receipt.body), Ok(raw));
    assert_eq!(receipt.header("content-type"), "application/xml; charset=utf-8");
    verify(&bench.secret(&endpoint).await, &receipt).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_is_signed_anew_under_one_id() {
    let receiver = Receiver::with(|_, before| Answer::status(if before < 2 { 500 } else { 200 }));
    let bench = Bench::new(schedule("1,1")).await;
    let url = receiver.url().replace("//", "//user:made-up@");
    let headers = json!({ "x-tenant": "made-up", "authorization": "Bearer made-up" });
    let with_headers = json!({ "url": receiver.url(), "headers": headers });
    let endpoint = bench.endpoint_with(with_headers).await;
    let key = bench.secret(&endpoint).await;
    let message = bench.send("retry.test").await;

    let receipts = receiver.wait_for(3);
    for receipt in &receipts {
        assert_eq!(receipt.id(), message);
        for name in ["id", "timestamp", "signature"] {
            let [standard, svix] = ["webhook", "svix"].map(|family| format!("{family}-{name}"));
            assert_eq!(receipt.header(&standard), receipt.header(&svix), "{name}");
            assert!(!receipt.header(&standard).is_empty(), "{name}");
        }
        assert_eq!(receipt.header("x-tenant"), "made-up");
        assert_eq!(receipt.header("authorization"), "Bearer made-up");
        verify(&key, receipt).unwrap();
    }
    let timestamp =
        |index: usize| receipts[index].header("webhook-timestamp").parse::<i64>().unwrap();
    assert!(timestamp(0) < timestamp(1) && timestamp(1) < timestamp(2), "{receipts:?}");
    let attempts = bench.attempts(&message, 3).await;
    let statuses: Vec<_> = attempts.iter().map(|one| one["responseStatusCode"].clone()).collect();
    assert_eq!(statuses, [500, 500, 200]);
    let numbers: Vec<_> = attempts.iter().map(|one| one["attemptNumber"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3]);

    // A user and a password in the URL become a header, and are shown nowhere.
    let path = bench.path(&format!("/endpoint/{endpoint}/headers"));
    let none = json!({ "headers": {} });
    assert_eq!(bench.server.call(Method::PUT, &path, Some(none)).await.0, 204);
    let changed = bench.patch(&endpoint, json!({ "url": url })).await;
    assert_eq!(changed["url"], receiver.url());
    bench.send("credentials.test").await;
    let receipt = receiver.wait_for(4).remove(3);
    assert_eq!(receipt.header("authorization"), "Basic dXNlcjptYWRlLXVw");
    assert_eq!(receipt.header("x-tenant"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ed25519_endpoint_gets_v1a() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    let secret = SigningKey::ed25519_from_seed([7; 32]).unwrap().to_secret().to_string();
    let endpoint = bench.endpoint_with(json!({ "url": receiver.url(), "secret": secret })).await;
    let key = bench.secret(&endpoint).await;
    assert!(key.starts_with("whpk_"), "only the public half is shown: {key}");
    bench.send("ed25519.test").await;
    let receipt = receiver.wait_for(1).remove(0);
    let signature = receipt.header("webhook-signature");
    assert!(signature.starts_with("v1a,") && !signature.contains(' '), "{signature}");
    verify(&key, &receipt).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_secrets_sign_during_a_rotation() {
    let receiver = Receiver::ok();
    let bench = Bench::new(Settings::default()).await;
    for (rotation, signatures) in [(json!({}), 2), (json!({ "gracePeriodSeconds": 0 }), 1)] {
        let endpoint = bench.endpoint(&receiver.url()).await;
        let old = bench.secret(&endpoint).await;
        let path = bench.path(&format!("/endpoint/{endpoint}/secret/rotate"));
        let new = text(&bench.server.post(&path, rotation.clone()).await["key"]);
        assert_ne!(old, new);
        assert_eq!(bench.secret(&endpoint).await, new);
        let message = bench.send("rotation.test").await;
        receiver.wait_until(|_, by_id| by_id.contains_key(&message));
        let receipt = receiver.receipts().into_iter().find(|one| one.id() == message).unwrap();
        let found = receipt.header("webhook-signature").split(' ').count();
        assert_eq!(found, signatures, "{rotation}");
        verify(&new, &receipt).unwrap();
        assert_eq!(verify(&old, &receipt).is_ok(), signatures == 2, "{rotation}");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
}
