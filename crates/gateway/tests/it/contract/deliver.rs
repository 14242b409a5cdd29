//! What endpoints get that are pinned to versions.

use http::Method;
use serde_json::json;

use super::{TYPE, Versions, body_of, renaming, version_of};
use crate::{delivery::verify, support::Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_1_and_2_the_pinned_version_is_sent() {
    let versions = Versions::two().await;
    let (old, new) = (Receiver::ok(), Receiver::ok());
    let first = versions.endpoint(&old, "1").await;
    versions.endpoint(&new, "2").await;
    // Spaces, digits and order of names stay where nothing is converted.
    let payload = r#"{ "created_at":"now","amount": 12345678901234567890.10 }"#;
    let message = versions.send(payload, None).await;
    let receipt = old.arrived(1).await.remove(0);
    assert_eq!(version_of(&receipt), "1");
    assert_eq!(body_of(&receipt), r#"{"creation_date":"now","amount":12345678901234567890.10}"#);
    let path = versions.path(&format!("/endpoint/{first}/secret"));
    let secret = versions.server.get(&path).await["key"].as_str().unwrap().to_owned();
    assert_eq!(verify(&secret, &receipt).as_deref(), Ok(&*message), "signed as it is sent");
    let receipt = new.arrived(1).await.remove(0);
    assert_eq!((version_of(&receipt), body_of(&receipt)), ("2", payload));
    assert_eq!(receipt.id(), message, "it is the same message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_4_older_than_the_pin() {
    let versions = Versions::two().await;
    let (lenient, strict) = (Receiver::ok(), Receiver::ok());
    versions.endpoint(&lenient, "2").await;
    let pins = json!({ "types": { TYPE: "2" }, "strict": true });
    let endpoint = versions.endpoint_with(&strict, pins).await;
    let payload = r#"{"creation_date":"then"}"#;
    let message = versions.send(payload, Some("1")).await;
    let receipt = lenient.arrived(1).await.remove(0);
    assert_eq!((version_of(&receipt), body_of(&receipt)), ("1", payload));
    versions.kept_back(&message, &endpoint, "version_unavailable").await;
    assert_eq!(strict.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_7_a_conversion_that_throws_harms_nobody_else() {
    let versions = Versions::two().await;
    let (old, new) = (Receiver::ok(), Receiver::ok());
    let first = versions.endpoint(&old, "1").await;
    versions.endpoint(&new, "2").await;
    let throws = "function convert(payload) { if (payload.amount > 5) throw new Error('too much'); \
                  return { creation_date: payload.created_at }; }";
    versions.convert(json!({ "from": "2", "steps": [{ "javascript": throws }] })).await;
    let message = versions.send(r#"{"created_at":"now","amount":6}"#, None).await;
    let line = versions.kept_back(&message, &first, "conversion_failed").await;
    assert_eq!(line["lastAttempt"]["failedPhase"], "convert");
    new.arrived(1).await;
    assert_eq!(old.count(), 0, "no request is made");
    let shown = versions.server.get(&versions.path(&format!("/endpoint/{first}"))).await;
    assert_eq!(shown["failingSince"], serde_json::Value::Null, "it is no fault of the endpoint");

    // Mended, and sent again.
    versions.convert(renaming("2", "/created_at", "creation_date")).await;
    let path = versions.path(&format!("/msg/{message}/endpoint/{first}/resend"));
    assert_eq!(versions.server.call(Method::POST, &path, None).await.0, 202);
    let receipt = old.arrived(1).await.remove(0);
    assert_eq!(body_of(&receipt), r#"{"creation_date":"now","amount":6}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_8_a_result_that_does_not_fit_says_where() {
    let versions = Versions::two().await;
    let old = Receiver::ok();
    let endpoint = versions.endpoint(&old, "1").await;
    let message = versions.send(r#"{"created_at":7}"#, None).await;
    versions.kept_back(&message, &endpoint, "conversion_failed").await;
    let path = versions.path(&format!("/attempt/msg/{message}"));
    let attempts = versions.server.get(&path).await;
    let said = attempts["data"][0]["response"].as_str().unwrap();
    assert!(said.contains("(at /creation_date)"), "{said}");
    assert_eq!(old.count(), 0);

    // Whoever wants it gets the original instead.
    let (status, answer) =
        versions.call(Method::PATCH, "", json!({ "deliverOriginal": true })).await;
    assert_eq!(status, 200, "{answer}");
    let resend = versions.path(&format!("/msg/{message}/endpoint/{endpoint}/resend"));
    assert_eq!(versions.server.call(Method::POST, &resend, None).await.0, 202);
    let receipt = old.arrived(1).await.remove(0);
    assert_eq!((version_of(&receipt), body_of(&receipt)), ("2", r#"{"created_at":7}"#));
}
