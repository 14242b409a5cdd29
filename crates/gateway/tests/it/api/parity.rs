//! The hot route and the shared router serve the same door: whatever is sent, they answer alike.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Server, Settings};

/// The shared router gets what has an escape in it; see `send::route`.
const HOT: &str = "/api/v1/app/a/msg";
const SHARED: &str = "/api/v1/app/%61/msg";

/// What differs from message to message.
fn without_own(mut answer: Value) -> Value {
    if let Some(object) = answer.as_object_mut() {
        object.remove("id");
        object.remove("timestamp");
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn both_routers_answer_alike() {
    let server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await;
    let large = format!(r#"{{"eventType":"a","payload":{{"k":"{}"}}}}"#, "v".repeat(1 << 20));
    let good = r#"{"eventType":"a.b","payload":{"b":1.0,"a":[]},"tags":["t"]}"#;
    for (query, body, status) in [
        ("", good, 202),
        ("/", good, 202),
        ("?with_content=false", good, 202),
        ("?with_content=perhaps", good, 422),
        ("", r#"{"eventType":"a b","payload":[]}"#, 422),
        ("", r#"{"eventType":"a","payload":{},"deliverAt":"2030-01-01T00:00:00Z"}"#, 422),
        ("", "{", 422),
        ("", "", 422),
        ("", large.as_str(), 413),
    ] {
        let ask = async |path: &str, token: &str| {
            let client = server.client_with(token);
            let body = Some(body.to_owned().into());
            let answer = client.call(Method::POST, &format!("{path}{query}"), body).await.unwrap();
            let json: Value = serde_json::from_slice(&answer.body).unwrap();
            (answer.status.as_u16(), without_own(json))
        };
        let hot = ask(HOT, crate::support::TOKEN).await;
        assert_eq!(hot.0, status, "{query} {body:.80}: {hot:?}");
        assert_eq!(ask(SHARED, crate::support::TOKEN).await, hot, "{query} {body:.80}");
        let stranger = ask(HOT, "made-up-token-of-nobody").await;
        assert_eq!(stranger.0, 401);
        assert_eq!(ask(SHARED, "made-up-token-of-nobody").await, stranger);
    }
}

/// A name is read as it was written: what only begins like a uid names nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_name_leads_to_an_application() {
    let server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await;
    let message = json!({"eventType": "a.b", "payload": {}});
    for (name, status) in
        [("a", 202), ("%61", 202), ("a&b", 404), ("a%26b", 404), ("a=b", 404), ("a+", 404)]
    {
        let path = format!("/api/v1/app/{name}/msg");
        let (got, json) = server.call(Method::POST, &path, Some(message.clone())).await;
        assert_eq!(got, status, "{name}: {json}");
    }
}
