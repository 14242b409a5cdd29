//! Nothing of one environment, or of one application, can be seen or changed from another.

use http::Method;
use ringback::seam::Clock;
use ringback_domain::source::Fate;
use serde_json::{Value, json};

use super::{
    Bench, PAGE, arrived,
    document::{filled, operations},
};

/// What an application consists of, by the names of path parameters.
struct Things {
    app: String,
    endpoint: String,
    operational: String,
    message: String,
    attempt: String,
    event_type: String,
    version: String,
    task: String,
    destination: String,
    sink: String,
    source: String,
    source_endpoint: String,
    source_destination: String,
    request: String,
    listener: String,
    callback: String,
    callback_request: String,
    client: String,
    authorization: String,
    connection: String,
    subscription: String,
    consumer: String,
}

impl Things {
    /// The path with these things in it. Operational endpoints are none of an application's.
    fn fill(&self, path: &str) -> String {
        let operational = path.contains("/operational-webhook/");
        let of_source = path.starts_with("/ingest/");
        filled(path, |name| match name {
            "endpoint_id" if operational => self.operational.clone(),
            "destination_id" if of_source => self.source_destination.clone(),
            "endpoint_id" if of_source => self.source_endpoint.clone(),
            name => self.value(name),
        })
    }

    fn value(&self, parameter: &str) -> String {
        let things = [
            ("app_id", &self.app),
            ("endpoint_id", &self.endpoint),
            ("destination_id", &self.destination),
            ("sink_id", &self.sink),
            ("consumer_id", &self.consumer),
            ("msg_id", &self.message),
            ("attempt_id", &self.attempt),
            ("event_type_name", &self.event_type),
            ("version_label", &self.version),
            ("task_id", &self.task),
            ("source_id", &self.source),
            ("request_id", &self.request),
            ("listener_id", &self.listener),
            ("callback_id", &self.callback),
            ("callback_request_id", &self.callback_request),
            ("oauth_client_id", &self.client),
            ("authorization_id", &self.authorization),
            ("connection_id", &self.connection),
            ("subscription_id", &self.subscription),
        ];
        let found = things.into_iter().find(|(name, _)| *name == parameter);
        found.unwrap_or_else(|| panic!("no value for {parameter}")).1.clone()
    }
}

async fn things(bench: &Bench, token: &str, name: &str) -> Things {
    let post = async |path: String, body: Value| {
        let answer = bench.call_as(token, Method::POST, &path, &body.to_string()).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        answer.json()["id"].as_str().unwrap_or_default().to_owned()
    };
    let app = post("/api/v1/app".to_owned(), json!({"name": name, "uid": "shared-uid"})).await;
    let endpoint = json!({"url": "https://example.com/", "uid": "shared-endpoint",
        "headers": {"x-owner": name}});
    let endpoint = post(format!("/api/v1/app/{app}/endpoint"), endpoint).await;
    let destination = json!({"type": "slack", "uid": "shared-destination",
        "config": {"url": "https://hooks.slack.com/services/T0/B0/made-up"}});
    let destination = post(format!("/api/v1/app/{app}/destination"), destination).await;
    let sink = json!({"type": "pollingEndpoint", "uid": "shared-sink", "config": {}});
    let sink = post(format!("/api/v1/app/{app}/destination"), sink).await;
    let told = json!({"url": "https://example.com/", "uid": "shared-told"});
    let operational = post("/api/v1/operational-webhook/endpoint".to_owned(), told).await;
    let event_type = format!("{name}.happened");
    post("/api/v1/event-type".to_owned(), json!({"name": event_type, "description": name})).await;
    let version = json!({"label": "1", "schema": {"title": name}});
    post(format!("/api/v1/event-type/{event_type}/version"), version).await;
    let message = json!({"eventType": "a", "payload": {"owner": name}});
    let message = post(format!("/api/v1/app/{app}/msg"), message).await;
    let attempt = attempt(bench, &message).await;
    let recover = format!("/api/v1/app/{app}/endpoint/{endpoint}/recover");
    let task = post(recover, json!({"since": "2020-01-01T00:00:00Z"})).await;
    let source = json!({"name": name, "uid": "shared-source", "type": "github"});
    let source = post("/ingest/api/v1/source".to_owned(), source).await;
    let path = format!("/ingest/api/v1/source/{source}/endpoint");
    let source_endpoint = post(path, json!({"url": "https://example.com/"})).await;
    let request = arrived(bench, token, &source, Fate::Quarantined).await;
    let put = bench.call_as(token, Method::PUT, "/api/v1/listener/shared-listener", "{}").await;
    let listener = put.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/ingest/api/v1/source/{source}/event-stream/token");
    bench.call_as(token, Method::PUT, &path, "").await.expect(200);
    let callback = json!({"application": app, "tags": [name], "metadata": {"owner": name}});
    let callback = post("/api/v1/callback".to_owned(), callback).await;
    post(format!("/api/v1/callback/{callback}/complete"), json!({"owner": name})).await;
    let path = format!("/api/v1/callback/{callback}/request");
    let listed = bench.call_as(token, Method::GET, &path, "").await.expect(200);
    let callback_request = listed["data"][0]["id"].as_str().unwrap().to_owned();
    let client = json!({"application": app, "provider": "github", "name": name, "clientId": name,
        "clientSecret": "made-up"});
    let client = post("/api/v1/oauth-client".to_owned(), client).await;
    let authorization = json!({"client": client, "userRef": name, "returnTo": PAGE});
    let authorization = post("/api/v1/authorization".to_owned(), authorization).await;
    let [connection, subscription] = super::connection(bench, &client).await;
    let slack = json!({"type": "slack",
        "config": {"url": "https://hooks.slack.com/services/T0/B0/made-up"}});
    let path = format!("/ingest/api/v1/source/{source}/destination");
    let source_destination = post(path, slack).await;
    Things {
        destination,
        sink,
        consumer: "shared-consumer".to_owned(),
        source_destination,
        app,
        endpoint,
        operational,
        message,
        attempt,
        event_type,
        version: "1".to_owned(),
        task,
        source,
        source_endpoint,
        request,
        listener,
        callback,
        callback_request,
        client,
        authorization,
        connection,
        subscription,
    }
}

/// Records that the message was tried.
async fn attempt(bench: &Bench, message: &str) -> String {
    use ringback_domain::{attempt::*, id::*};
    let due = bench.lanes.delivered.lock().unwrap().pop().expect("a delivery");
    assert_eq!(due.content.id.to_string(), message);
    let key = KeySequence::after(bench.store.last_attempt_key()).next(bench.clock.now(), 0);
    let id = AttemptId(Id { key, shard: 0, nonce: 1 });
    let record = ringback_store::Record {
        scope: due.scope,
        epoch: bench.store.epoch(),
        delivery: due.delivery,
        message: due.content.id.key(),
        endpoint: due.endpoint,
        revision: 0,
        id,
        number: 1,
        trigger: Trigger::Scheduled,
        status_code: 200,
        response: "fine".into(),
        failed: None,
        reason: None,
        timings: Timings::default(),
        outcome: Outcome::Delivered,
        next_at: None,
        health: None,
        rendering: None,
        fix: None,
        ordered: false,
        notices: Vec::new(),
    };
    bench.store.record(vec![record]).await.unwrap();
    id.to_string()
}

/// What answers with a stream, or another protocol, and shows nothing that is kept.
const STREAMS: [&str; 3] = [
    "/api/v1/tail",
    "/api/v1/listener/{listener_id}/connect",
    "/api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/stream",
];

/// Every GET of the document but those, as its owner sees it.
async fn everything(bench: &Bench, document: &Value, token: &str, things: &Things) -> Vec<String> {
    let mut seen = Vec::new();
    for (method, path, _) in operations(document) {
        if method == Method::GET && !STREAMS.contains(&path.as_str()) {
            let path = things.fill(&path);
            let answer = bench.call_as(token, Method::GET, &path, "").await;
            assert!(answer.status.is_success(), "{path}: {answer:?}");
            seen.push(answer.text);
        }
    }
    seen
}

/// A body that the operation would accept from the owner.
fn body(path: &str) -> &'static str {
    match path {
        path if path.ends_with("/msg") => r#"{"eventType":"a","payload":{}}"#,
        path if path.ends_with("/send-example") => r#"{"eventType":"owner.happened"}"#,
        path if path.ends_with("/recover") || path.contains("replay") => {
            r#"{"since":"2020-01-01T00:00:00Z"}"#
        }
        path if path.ends_with("/headers") => r#"{"headers":{"x-owner":"intruder"}}"#,
        path if path.ends_with("/oauth") => {
            r#"{"tokenUrl":"https://example.com/","clientId":"a","clientSecret":"made-up"}"#
        }
        path if path.ends_with("/mtls") => super::identity(),
        path if path.ends_with("/transformation") => {
            r#"{"code":"function handler(webhook) { return webhook }"}"#
        }
        path if path.ends_with("/transformation/dry-run") => {
            r#"{"eventType":"a","payload":{},"code":"function handler(webhook) { return webhook }"}"#
        }
        path if path.contains("/destination") => {
            r#"{"type":"slack","config":{"url":"https://hooks.slack.com/services/T0/B0/other"}}"#
        }
        path if path.contains("/poller/") && path.ends_with("/seek") => {
            r#"{"after":"2020-01-01T00:00:00Z"}"#
        }
        path if path.ends_with("/seek") => r#"{"to":"start"}"#,
        path if path.ends_with("/order/skip") => r#"{"orderingKey":""}"#,
        path if path.ends_with("/commit") => r#"{"iterator":"AQAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        path if path.contains("/listener") => "{}",
        path if path.ends_with("/confirm") => r#"{"userRef":"intruder","confirmation":"made-up"}"#,
        path if path.ends_with("/subscription") => r#"{"source":"shared-source"}"#,
        path if path.ends_with("/reauthorize") => {
            r#"{"returnTo":"https://app.example.com/connected"}"#
        }
        path if path.contains("/oauth-client") => r#"{"name":"intruder"}"#,
        path if path.ends_with("/version") => r#"{"label":"9","schema":{}}"#,
        path if path.contains("/version/") => "{}",
        path if path.ends_with("/conversion") => r#"{"from":"1"}"#,
        path if path.ends_with("/conversion/dry-run") => r#"{"from":"1","to":"1","payload":{}}"#,
        path if path.contains("event-type") => r#"{"description":"intruder"}"#,
        _ => {
            r#"{"url":"https://example.org/","name":"intruder","description":"intruder","type":"github"}"#
        }
    }
}

/// Every documented operation, with the ids of another environment and of another application.
#[tokio::test]
async fn every_route_refuses_foreign_ids() {
    let bench = Bench::new().await;
    let owner = bench.token.clone();
    let intruder = bench.token_of("another").await.1;
    let document = bench.get("/api/v1/openapi.json").await.expect(200);
    let theirs = things(&bench, &owner, "owner").await;
    let ours = things(&bench, &intruder, "intruder").await;
    // An application of the same environment, without anything in it.
    bench.post("/api/v1/app", json!({"name": "empty", "uid": "empty"})).await.expect(201);
    let empty = json!({"name": "empty", "uid": "empty", "type": "github"});
    bench.post("/ingest/api/v1/source", empty).await.expect(201);
    let empty = json!({"application": "empty"});
    let empty = bench.post("/api/v1/callback", empty).await.expect(201)["id"].clone();
    let empty = empty.as_str().unwrap();
    let client = json!({"application": "empty", "provider": "github", "clientId": "made-up"});
    let client = bench.post("/api/v1/oauth-client", client).await.expect(201)["id"].clone();
    let [connection, _] = super::connection(&bench, client.as_str().unwrap()).await;
    let before = everything(&bench, &document, &owner, &theirs).await;

    for (method, path, _) in operations(&document) {
        if !path.contains('{') {
            continue;
        }
        // Names of event types are the caller's own: a PUT creates one, whoever else has it.
        let creates = method == Method::PUT && path.contains("event_type_name");
        let expect = if creates { 201 } else { 404 };
        let foreign = theirs.fill(&path);
        let answer = bench.call_as(&intruder, method.clone(), &foreign, body(&path)).await;
        assert_eq!(answer.status, expect, "{method} {path}: {answer:?}");
        if creates {
            // Gone again, so that nothing below it is found by its name.
            let gone = format!("{foreign}?expunge=true");
            bench.call_as(&intruder, Method::DELETE, &gone, "").await.expect(204);
        }

        // In their own application, and in the owner's other one, with what is not in it.
        for (token, app) in [(&intruder, &ours.app), (&owner, &"empty".to_owned())] {
            // Event types belong to no application.
            if path.matches('{').count() < 2 || path.contains("{event_type_name}") {
                continue;
            }
            let foreign = filled(&path, |name| match name {
                "app_id" => app.clone(),
                "source_id" if token == &intruder => ours.source.clone(),
                "source_id" => "empty".to_owned(),
                "callback_id" if token == &intruder => ours.callback.clone(),
                "callback_id" => empty.to_owned(),
                "connection_id" if token == &intruder => ours.connection.clone(),
                "connection_id" => connection.clone(),
                name => theirs.value(name),
            });
            let answer = bench.call_as(token, method.clone(), &foreign, body(&path)).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(everything(&bench, &document, &owner, &theirs).await, before);

    // The same uid names each one's own.
    let get = async |token: &str| {
        bench.call_as(token, Method::GET, "/api/v1/app/shared-uid", "").await.expect(200)["id"]
            .clone()
    };
    assert_eq!(get(&owner).await, theirs.app.as_str());
    assert_eq!(get(&intruder).await, ours.app.as_str());
}
