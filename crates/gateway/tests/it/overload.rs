//! More than the server takes at once: some are told to come again, nobody is lost.

use std::sync::Arc;

use http::Method;
use ringback::api_client::ApiClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Receiver, Server, Settings, TOKEN};

/// How many post at the same time.
const CLIENTS: usize = 64;
/// How many messages each of them posts.
const EACH: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_may_come_again_and_nothing_is_lost() {
    let receiver = Receiver::ok();
    // One message may wait for a commit: with so many clients, others find the queue full.
    let server = Server::start(Settings::default().env("RINGBACK_LIMITS_INTAKE_QUEUE", "1"));
    let (app, _) = server.application(&receiver.url()).await;
    let path = Arc::new(format!("/api/v1/app/{app}/msg"));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (url, path) = (server.url.clone(), Arc::clone(&path));
        clients.spawn(async move { post(&url, &path, number).await });
    }
    let (mut accepted, mut refused) = (Vec::new(), 0);
    while let Some(client) = clients.join_next().await {
        let (ids, times) = client.unwrap();
        accepted.extend(ids);
        refused += times;
    }
    assert_eq!(accepted.len(), CLIENTS * EACH);
    assert!(refused > 0, "the queue was never full, so this shows nothing");
    receiver.wait_until(|_, by_id| accepted.iter().all(|id| by_id.contains_key(id)));
    assert_eq!(receiver.receipts().len(), accepted.len(), "what was refused was not sent");
    println!("{} accepted, {refused} refused with 503, 0 lost", accepted.len());
}

/// Posts until every message is accepted; the ids, and how often it was refused.
async fn post(url: &str, path: &str, number: usize) -> (Vec<String>, usize) {
    let world = ringback::wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
    let client = ApiClient::new(url, TOKEN.to_owned(), world.network).unwrap();
    let (mut ids, mut refused) = (Vec::new(), 0);
    while ids.len() < EACH {
        let payload = json!({ "client": number, "message": ids.len() });
        let body = json!({ "eventType": "overload.test", "payload": payload }).to_string();
        let answer = client.call(Method::POST, path, Some(body.into())).await.unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        match answer.status.as_u16() {
            202 => ids.push(json["id"].as_str().unwrap().to_owned()),
            503 => {
                assert_eq!(json["code"], "overloaded", "{json}");
                refused += 1;
            }
            other => panic!("{other}: {json}"),
        }
    }
    (ids, refused)
}
