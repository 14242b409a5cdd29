//! What is accepted of a type that has versions.

use http::Method;
use serde_json::json;

use super::{Versions, of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_5_an_unknown_version_is_refused() {
    let versions = Versions::two().await;
    versions.draft("3", of("made_at"), json!({ "made_at": "x" })).await;
    for label in ["9", "3"] {
        let (status, answer) = versions.try_send(r#"{"created_at":"x"}"#, Some(label)).await;
        let loc = &answer["detail"][0]["loc"];
        assert_eq!((status, loc), (422, &json!(["body", "schemaVersion"])), "{answer}");
    }
    let stored = versions.server.get(&versions.path("/msg")).await;
    assert_eq!(stored["data"], json!([]), "nothing is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_6_a_payload_that_does_not_fit() {
    let versions = Versions::two().await;
    versions.send(r#"{"created_at":7}"#, None).await;
    let (status, answer) =
        versions.call(Method::PATCH, "", json!({ "validation": "reject" })).await;
    assert_eq!((status, &answer["validation"]), (200, &json!("reject")), "{answer}");
    let (status, answer) = versions.try_send(r#"{"created_at":7}"#, None).await;
    let loc = &answer["detail"][0]["loc"];
    assert_eq!((status, loc), (422, &json!(["body", "payload", "created_at"])), "{answer}");
    versions.send(r#"{"created_at":"now"}"#, None).await;
}
