//! The audit log: every operation that changes something leaves one entry, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Method;
use ringback::seam::Clock;
use ringback_domain::{
    access::{Capabilities, Grant, Role},
    attempt::{Outcome, Timings, Trigger},
    id::{AttemptId, EndpointId, Id},
    source::Fate,
};
use ringback_store::{Due, DueQuery, Record};
use serde_json::{Value, json};

use super::{Bench, PAGE, arrived};

/// Operations that leave no entry, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("message.create", "messages are what the service is about; each is listed itself"),
    ("message.precheck", "it changes nothing"),
    ("event_type_conversion.dry_run", "it changes nothing"),
    ("destination.dry_run", "it changes nothing"),
    ("destination.dry_run_new", "it changes nothing"),
    ("destination.dry_run_transformation", "it changes nothing"),
    ("endpoint.dry_run_transformation", "it changes nothing"),
    ("source_destination.dry_run", "it changes nothing"),
    ("source_endpoint.dry_run_transformation", "it changes nothing"),
    ("source.sample", "it changes nothing; what is sent with it is listed as a request"),
    ("message_poller.consumer_commit", "it moves a place, as whoever reads does"),
    ("listener.take", "it moves a place, as whoever listens does"),
    ("listener.disconnect", "whoever is sent away is told so; nothing that is kept changes"),
    ("endpoint.send_example", "it creates a message, which is listed"),
];

/// Operations that take a provider that answers: `oauth.rs` has one.
const ELSEWHERE: &[&str] = &[
    "authorization.device",
    "authorization.confirm",
    "authorization.poll",
    "connection.create",
    "connection.refresh",
    "connection.subscribe",
    "connection.unsubscribe",
];

const SINCE: &str = "2020-01-01T00:00:00Z";

/// What each operation is called with: its name, its path below `/api/v1`, and its body.
fn calls(
    things: &Things,
    held: &[String; 2],
    callbacks: &Callbacks,
    [client, spare, authorization, granted]: &[String; 4],
) -> Vec<(&'static str, String, Value)> {
    let endpoint = || json!({"url": "https://example.com/hook"});
    let slack = || {
        let url = "https://hooks.slack.com/services/T0/B0/made-up";
        json!({"type": "slack", "config": {"url": url}})
    };
    let span = || json!({"since": SINCE});
    let named = || json!({"name": "n"});
    let described = || json!({"description": "d"});
    let headers = || json!({"headers": {"x-a": "1"}});
    let none = || json!({});
    let version = |label: &str| json!({"label": label, "schema": {}, "examples": [{"name": "e", "payload": {}}]});
    let program = || json!({"code": "function handler(webhook) { return webhook }"});
    let app = |path: &str| format!("/app/mine{path}");
    let ep = |path: &str| format!("/app/mine/endpoint/mine{path}");
    let own = |path: &str| format!("/operational-webhook/endpoint{path}");
    let src = |path: &str| format!("/ingest/api/v1/source{path}");
    let source = || json!({"name": "n", "type": "github"});
    let req = |index: usize, path: &str| {
        format!("/ingest/api/v1/source/kept/request/{}{path}", held[index])
    };
    let msg = |path: &str| format!("/app/mine/msg/{}{path}", things.message);
    let attempt = format!("/attempt/{}/content", things.attempt);
    let cb = |name: &str, path: &str| format!("/callback/{}{path}", callbacks[name]);
    vec![
        ("application.create", "/app".to_owned(), named()),
        ("application.upsert", "/app/put".to_owned(), named()),
        ("application.patch", app(""), named()),
        ("application.delete", "/app/put".to_owned(), none()),
        ("application_quota.set", app("/quota"), json!({"pending": 500})),
        ("application_quota.delete", app("/quota"), none()),
        ("endpoint.create", app("/endpoint"), endpoint()),
        ("endpoint.upsert", app("/endpoint/put"), endpoint()),
        ("endpoint.patch", ep(""), described()),
        ("endpoint.delete", app("/endpoint/put"), none()),
        ("endpoint.set_headers", ep("/headers"), headers()),
        ("endpoint.patch_headers", ep("/headers"), headers()),
        ("endpoint.patch_transformation", ep("/transformation"), program()),
        (
            "endpoint.set_oauth",
            ep("/oauth"),
            json!({"tokenUrl": "https://example.com/", "clientId": "a", "clientSecret": "made-up"}),
        ),
        ("endpoint.set_mtls", ep("/mtls"), serde_json::from_str(super::identity()).unwrap()),
        ("endpoint.delete_oauth", ep("/oauth"), none()),
        ("endpoint.delete_mtls", ep("/mtls"), none()),
        ("endpoint.pause", ep("/pause"), none()),
        ("endpoint.resume", ep("/resume"), none()),
        ("endpoint.rotate_secret", ep("/secret/rotate"), none()),
        ("endpoint.recover", ep("/recover"), span()),
        ("endpoint.replay_missing", ep("/replay-missing"), span()),
        ("endpoint.bulk_replay", ep("/bulk-replay"), span()),
        ("endpoint.skip", app("/endpoint/blocked/order/skip"), json!({"orderingKey": ""})),
        ("destination.create", app("/destination"), slack()),
        ("destination.upsert", app("/destination/put"), slack()),
        ("destination.patch", app("/destination/put"), json!({"description": "d"})),
        ("destination.patch_transformation", app("/destination/put/transformation"), program()),
        ("destination.delete", app("/destination/put"), none()),
        (
            "message_poller.consumer_seek",
            app("/poller/read/consumer/me/seek"),
            json!({"after": SINCE}),
        ),
        ("message_attempt.resend", msg("/endpoint/mine/resend"), none()),
        ("message_attempt.expunge_attempt_content", msg(&attempt), none()),
        ("message.expunge_content", msg("/content"), none()),
        (
            "message.bulk_expunge_content",
            app("/msg/bulk-expunge"),
            json!({"ids": [things.message]}),
        ),
        ("message.expunge_all_contents", app("/msg/expunge-all-contents"), none()),
        ("authentication.app_portal_access", "/auth/app-portal-access/mine".to_owned(), none()),
        ("authentication.dashboard_access", "/auth/dashboard-access/mine".to_owned(), none()),
        ("authentication.expire_all", "/auth/app/mine/expire-all".to_owned(), none()),
        ("authentication.logout", "/auth/logout".to_owned(), none()),
        ("environment.create", "/environment".to_owned(), json!({"name": "another"})),
        (
            "event_type.create",
            "/event-type".to_owned(),
            json!({"name": "made", "description": "d"}),
        ),
        ("event_type.upsert", "/event-type/put".to_owned(), described()),
        ("event_type.patch", "/event-type/made".to_owned(), described()),
        ("event_type_version.create", "/event-type/made/version".to_owned(), version("1")),
        (
            "event_type_version.patch",
            "/event-type/made/version/1".to_owned(),
            json!({"changelog": "c"}),
        ),
        ("event_type_version.publish", "/event-type/made/version/1/publish".to_owned(), none()),
        ("event_type_version.create", "/event-type/made/version".to_owned(), version("2")),
        (
            "event_type_conversion.create",
            "/event-type/made/conversion".to_owned(),
            json!({"from": "2"}),
        ),
        ("event_type_version.publish", "/event-type/made/version/2/publish".to_owned(), none()),
        (
            "event_type_version.retire",
            "/event-type/made/version/1/retire".to_owned(),
            json!({"successor": "2"}),
        ),
        ("event_type.delete", "/event-type/made".to_owned(), none()),
        (
            "event_type.import_openapi",
            "/event-type/import/openapi".to_owned(),
            json!({"spec": {"webhooks": {"imported": {"post": {}}}}}),
        ),
        (
            "statistics.aggregate_app_stats",
            "/stats/usage/app".to_owned(),
            json!({"since": SINCE, "until": "2040-01-01T00:00:00Z"}),
        ),
        ("statistics.aggregate_event_types", "/stats/usage/event-types".to_owned(), none()),
        ("operational_webhook_endpoint.create", own(""), endpoint()),
        ("operational_webhook_endpoint.upsert", own("/put"), endpoint()),
        ("operational_webhook_endpoint.set_headers", own("/put/headers"), headers()),
        ("operational_webhook_endpoint.rotate_secret", own("/put/secret/rotate"), none()),
        ("operational_webhook_endpoint.delete", own("/put"), none()),
        ("source.create", src(""), source()),
        ("source.upsert", src("/put"), source()),
        ("source.arm", src("/put/arm"), none()),
        ("source.rotate_token", src("/put/token/rotate"), none()),
        ("source.dashboard", src("/put/dashboard"), none()),
        ("source_request.release", req(0, "/release"), none()),
        ("source_request.replay", req(1, "/replay"), none()),
        ("source_endpoint.create", src("/put/endpoint"), endpoint()),
        ("source_endpoint.upsert", src("/put/endpoint/put"), endpoint()),
        ("source_endpoint.set_headers", src("/put/endpoint/put/headers"), headers()),
        (
            "source_endpoint.patch_transformation",
            src("/put/endpoint/put/transformation"),
            program(),
        ),
        ("source_endpoint.rotate_secret", src("/put/endpoint/put/secret/rotate"), none()),
        ("source_endpoint.delete", src("/put/endpoint/put"), none()),
        ("source_destination.create", src("/put/destination"), slack()),
        ("source_destination.upsert", src("/put/destination/put"), slack()),
        ("source_destination.patch", src("/put/destination/put"), json!({"description": "d"})),
        ("source_destination.delete", src("/put/destination/put"), none()),
        ("source.put_event_stream", src("/put/event-stream/token"), none()),
        ("source.delete_event_stream", src("/put/event-stream/token"), none()),
        ("listener.put", "/listener/mine".to_owned(), json!({"sources": ["kept"]})),
        ("listener.seek", "/listener/mine/seek".to_owned(), json!({"to": "now"})),
        ("listener.delete", "/listener/mine".to_owned(), none()),
        ("source.delete", src("/put"), none()),
        ("callback.create", "/callback".to_owned(), json!({"application": "mine"})),
        (
            "callback.call",
            "/call".to_owned(),
            json!({"application": "mine", "request": {"url": "https://example.com/"}}),
        ),
        (
            "oauth_client.create",
            "/oauth-client".to_owned(),
            json!({"application": "mine", "provider": "github", "clientId": "made-up"}),
        ),
        ("oauth_client.update", format!("/oauth-client/{client}"), named()),
        ("oauth_client.delete", format!("/oauth-client/{spare}"), none()),
        (
            "authorization.create",
            "/authorization".to_owned(),
            json!({"client": client, "userRef": "user-1", "returnTo": PAGE}),
        ),
        ("authorization.cancel", format!("/authorization/{authorization}/cancel"), none()),
        (
            "connection.reauthorize",
            format!("/connection/{granted}/reauthorize"),
            json!({"returnTo": PAGE}),
        ),
        ("connection.revoke", format!("/connection/{granted}/revoke"), none()),
        ("connection.delete", format!("/connection/{granted}"), none()),
        ("callback.rotate", cb("single", "/rotate"), none()),
        ("callback.extend", cb("single", "/extend"), json!({"expiresIn": 60})),
        ("callback.complete", cb("single", "/complete"), none()),
        ("callback.fail", cb("failing", "/fail"), none()),
        ("callback.close", cb("stream", "/close"), none()),
        ("callback.cancel", cb("canceled", "/cancel"), none()),
        ("callback.cancel_many", "/callback/cancel".to_owned(), json!({"application": "mine"})),
    ]
}

/// What has to be there already.
struct Things {
    application: String,
    endpoint: String,
    message: String,
    attempt: String,
}

async fn things(bench: &Bench) -> Things {
    let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let app = bench.post("/api/v1/app", json!({"name": "n", "uid": "mine"})).await.expect(201);
    let endpoint = json!({"url": "https://example.com/hook", "uid": "mine"});
    let endpoint = bench.post("/api/v1/app/mine/endpoint", endpoint).await.expect(201);
    let ordered = json!({"url": "https://example.com/hook", "uid": "blocked",
        "delivery": {"order": {"onExhausted": "block"}}});
    let ordered = bench.post("/api/v1/app/mine/endpoint", ordered).await.expect(201);
    let message = json!({"eventType": "a", "payload": {"secret": "made-up"}});
    let message = bench.post("/api/v1/app/mine/msg", message).await.expect(202);
    let due = bench.lanes.delivered.lock().unwrap().remove(0);
    let attempt = AttemptId(Id { key: 1, shard: 0, nonce: 1 });
    let retry = failed(bench, due, attempt, Outcome::Retry);
    let endpoint_key = ordered["id"].as_str().unwrap().parse::<EndpointId>().unwrap().key();
    let until = bench.clock.now();
    let query = DueQuery { endpoint: endpoint_key, until, limit: 10, bytes: 1_000 };
    let due = bench.store.due(query).await.unwrap().due.remove(0);
    let blocked = AttemptId(Id { key: 2, ..attempt.0 });
    let blocked = failed(bench, due, blocked, Outcome::Blocked);
    let recorded = bench.store.record(vec![retry, blocked]).await.unwrap();
    assert!(recorded.iter().all(|one| one.applied));
    Things {
        application: text(&app),
        endpoint: text(&endpoint),
        message: text(&message),
        attempt: attempt.to_string(),
    }
}

/// The first attempt of this delivery, which failed.
fn failed(bench: &Bench, due: Due, id: AttemptId, outcome: Outcome) -> Record {
    Record {
        scope: due.scope,
        epoch: bench.store.epoch(),
        delivery: due.delivery,
        message: due.content.id.key(),
        endpoint: due.endpoint,
        revision: 0,
        id,
        number: 1,
        trigger: Trigger::Scheduled,
        status_code: 500,
        response: Bytes::from_static(b"no"),
        failed: None,
        reason: None,
        timings: Timings::default(),
        outcome,
        next_at: (outcome == Outcome::Retry).then(|| bench.clock.now()),
        health: None,
        rendering: None,
        fix: None,
        ordered: due.sequence.is_some(),
        notices: Vec::new(),
    }
}

/// Callbacks of the application, by what they are for.
type Callbacks = BTreeMap<&'static str, String>;

async fn callbacks(bench: &Bench) -> Callbacks {
    let mut callbacks = BTreeMap::new();
    for (name, mode) in
        [("single", "single"), ("failing", "single"), ("stream", "stream"), ("canceled", "single")]
    {
        let made = json!({"application": "mine", "mode": mode});
        let made = bench.post("/api/v1/callback", made).await.expect(201);
        callbacks.insert(name, made["id"].as_str().unwrap().to_owned());
    }
    callbacks
}

/// Two clients, and a flow and a connection of the first one.
async fn accounts(bench: &Bench) -> [String; 4] {
    let post = async |path: &str, body: Value| {
        let made = bench.post(path, body).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    let client = json!({"application": "mine", "provider": "github", "clientId": "made-up"});
    let spare = post("/api/v1/oauth-client", client.clone()).await;
    let client = post("/api/v1/oauth-client", client).await;
    let flow = json!({"client": client, "userRef": "user-1", "returnTo": PAGE});
    let flow = post("/api/v1/authorization", flow).await;
    let [granted, _] = super::connection(bench, &client).await;
    [client, spare, flow, granted]
}

/// Two requests that are held, at a source whose proof everything passes.
async fn held(bench: &Bench) -> [String; 2] {
    let source = json!({"name": "n", "uid": "kept", "type": "generic-webhook"});
    let source = bench.post("/ingest/api/v1/source", source).await.expect(201);
    let source = source["id"].as_str().unwrap();
    [
        arrived(bench, &bench.token, source, Fate::Quarantined).await,
        arrived(bench, &bench.token, source, Fate::Quarantined).await,
    ]
}

/// The method and path of every operation that may change something, by its name.
async fn operations(bench: &Bench) -> Vec<(String, Method, String)> {
    let document = bench.get("/api/v1/openapi.json").await.expect(200);
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if let Some(name) = operation["operationId"].as_str()
                && method != Method::GET
            {
                found.push((name.to_owned(), method, path.clone()));
            }
        }
    }
    found
}

/// All entries but those of the server itself, oldest first.
async fn entries(bench: &Bench) -> Vec<Value> {
    let listed = bench.get("/api/v1/audit?order=ascending&limit=250").await.expect(200);
    assert_eq!(listed["done"], true);
    let all = listed["data"].as_array().unwrap().iter();
    all.filter(|entry| entry["actor"]["type"] != "system").cloned().collect()
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_one_entry() {
    let bench = Bench::new().await;
    let things = things(&bench).await;
    let read = json!({"type": "pollingEndpoint", "uid": "read", "config": {}});
    bench.post("/api/v1/app/mine/destination", read).await.expect(201);
    let held = held(&bench).await;
    let callbacks = callbacks(&bench).await;
    let accounts = accounts(&bench).await;
    let portal = Grant {
        role: Role::Portal,
        application: Some(things.application.parse().unwrap()),
        capabilities: Capabilities::all(),
        flags: None,
    };
    let leaving = bench.token_for("default", portal).await.1;
    let operations = operations(&bench).await;
    let mut before = entries(&bench).await.len();
    let mut called = BTreeSet::new();
    for (name, path, body) in calls(&things, &held, &callbacks, &accounts) {
        bench.clock.advance(std::time::Duration::from_millis(1));
        let (_, method, _) = operations.iter().find(|(known, ..)| known == name).unwrap();
        let token = if name == "authentication.logout" { &leaving } else { &bench.token };
        let path = if path.starts_with("/ingest/") { path } else { format!("/api/v1{path}") };
        let body = body.to_string();
        let answer = bench.call_as(token, method.clone(), &path, &body).await;
        assert!(answer.status.is_success(), "{name}: {answer:?}");
        let now = entries(&bench).await;
        assert_eq!(now.len(), before + 1, "{name} leaves one entry: {:?}", &now[before..]);
        let entry = &now[before];
        assert_eq!(entry["operation"], name);
        assert_eq!(entry["outcome"], "success");
        assert_eq!(entry["actor"]["type"], "token");
        let role = if name == "authentication.logout" { "portal" } else { "admin" };
        assert_eq!(entry["actor"]["role"], role, "{name}");
        // Nothing is called by a name that may come to mean something else.
        let told = entry["resources"].as_object().unwrap();
        // A consumer has no other name.
        let ids = told.iter().filter(|(what, _)| what.ends_with("_id") && *what != "consumer_id");
        for (what, id) in ids {
            assert!(id.as_str().unwrap().contains('_'), "{name}: {what} is {id}");
        }
        let inside =
            ["/app/mine", "portal-access/mine", "/call"].iter().any(|it| path.contains(it));
        if inside {
            assert_eq!(told["app_id"], things.application, "{name}");
        }
        if path.contains("/endpoint/mine") {
            assert_eq!(told["endpoint_id"], things.endpoint, "{name}");
        }
        before = now.len();
        called.insert(name);
    }
    // The document has no other operation that may change something.
    let exempt = WITHOUT.iter().map(|(name, _)| *name).chain(ELSEWHERE.iter().copied());
    let known: BTreeSet<_> = called.iter().copied().chain(exempt.clone()).collect();
    let all: BTreeSet<_> = operations.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(all, known, "an operation is in neither list");
    assert!(exempt.clone().all(|name| !called.contains(name)));
}

#[tokio::test]
async fn what_is_refused_or_changes_nothing_leaves_none() {
    let bench = Bench::new().await;
    let things = things(&bench).await;
    let (_, reader) =
        bench.token_for("default", Grant { role: Role::Read, ..Grant::default() }).await;
    let before = entries(&bench).await;
    for (name, method, path) in operations(&bench).await {
        // It names nothing, and nothing can be made under it.
        let unnamed = |part| if str::starts_with(part, "{") { "no%20name" } else { part };
        let missing = path.split('/').map(unnamed).collect::<Vec<_>>().join("/");
        // A body that is wrong everywhere, a token that may not, and nobody at all.
        let body = r#"{"url": 5, "name": 5, "since": 5, "ids": 5, "headers": 5, "description": 5,
            "expiry": -1, "application": 5, "eventType": 5, "pending": -1, "spec": 5, "key": 5}"#;
        // These two have nothing that could be wrong.
        let always = ["authentication.logout", "statistics.aggregate_event_types"];
        if !always.contains(&name.as_str()) {
            let answer = bench.call(method.clone(), &missing, body).await;
            assert!(answer.status.is_client_error(), "{name}: {answer:?}");
        }
        for token in [&reader, "made-up"] {
            if name != "message.precheck" {
                let answer = bench.call_as(token, method.clone(), &missing, "{}").await;
                assert!([401, 403].contains(&answer.status.as_u16()), "{name}: {answer:?}");
            }
        }
    }
    let message = json!({"eventType": "a", "payload": {}});
    bench.post("/api/v1/app/mine/msg", message.clone()).await.expect(202);
    bench.post("/api/v1/app/mine/msg/precheck/active", json!({"eventType": "a"})).await;
    let existing = json!({"name": "n", "uid": "mine"});
    bench.post("/api/v1/app?get_if_exists=true", existing).await.expect(200);
    bench.get("/api/v1/app/mine/endpoint/mine/secret").await.expect(200);
    let gone = json!({"ids": ["none"]});
    bench.post("/api/v1/app/mine/msg/bulk-expunge", gone).await.expect(200);
    assert_eq!(entries(&bench).await, before, "{}", things.message);
}

#[tokio::test]
async fn what_happens_once_is_noted_once() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        let request = bench
            .request(Method::POST, "/api/v1/app")
            .header("authorization", format!("Bearer {}", bench.token))
            .header("idempotency-key", "once");
        let body = json!({"name": "n", "uid": "mine"}).to_string();
        bench.send(request.body(body.into()).unwrap()).await.expect(201);
    }
    let entries = entries(&bench).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(entries[0]["resources"]["app_id"].as_str().unwrap().starts_with("app_"));
}

#[tokio::test]
async fn an_application_that_comes_with_something_else_has_its_own_entry() {
    let bench = Bench::new().await;
    let described = json!({"name": "n"});
    let message = json!({"eventType": "a", "payload": {}, "application": described});
    bench.post("/api/v1/app/first/msg", message.clone()).await.expect(202);
    bench.post("/api/v1/app/first/msg", message).await.expect(202);
    let access = json!({"application": described});
    bench.post("/api/v1/auth/app-portal-access/second", access).await.expect(200);
    let entries = entries(&bench).await;
    let operations: Vec<_> = entries.iter().map(|entry| entry["operation"].clone()).collect();
    let expect = ["application.create", "application.create", "authentication.app_portal_access"];
    assert_eq!(operations, expect);
    assert_eq!(entries[1]["resources"]["app_id"], entries[2]["resources"]["app_id"]);
}

#[tokio::test]
async fn the_log_is_for_admins_and_narrowed_down() {
    let bench = Bench::new().await;
    let things = things(&bench).await;
    let other = bench.token_of("other").await.1;
    let list = async |query: &str| {
        let listed = bench.get(&format!("/api/v1/audit{query}")).await.expect(200);
        let entries = listed["data"].as_array().unwrap().iter();
        entries.map(|entry| entry["operation"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["endpoint.create", "endpoint.create", "application.create"];
    assert_eq!(list("?app_id=mine").await, all);
    assert_eq!(list(&format!("?app_id={}", things.application)).await, all);
    assert_eq!(list("?app_id=mine&operation=endpoint.create").await, all[..2]);
    assert_eq!(list("?operation=application.create&before=2020-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(list("?operation=application.create&after=2020-01-01T00:00:00Z").await, all[2..]);
    assert_eq!(list("?limit=1").await, all[..1]);
    bench.get("/api/v1/audit?app_id=none").await.error(404, "not_found");
    bench.get("/api/v1/audit?before=soon").await.invalid("query.before");
    bench.delete("/api/v1/app/mine").await.expect(204);
    let deleted = ["application.delete", all[0], all[1], all[2]];
    assert_eq!(list(&format!("?app_id={}", things.application)).await, deleted);
    let foreign = bench.call_as(&other, Method::GET, "/api/v1/audit", "").await.expect(200);
    let foreign = foreign["data"].as_array().unwrap();
    assert!(foreign.iter().all(|entry| entry["operation"] == "environment.create"), "{foreign:?}");
    let text = bench.get("/api/v1/audit").await.text;
    assert!(!text.contains("made-up") && !text.contains("whsec") && !text.contains("example.com"));
}
