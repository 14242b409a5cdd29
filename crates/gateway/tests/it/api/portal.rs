//! Portal tokens: what they open, for how long, and how they end. And environments.

use std::time::Duration;

use http::Method;
use ringback::seam::Clock;
use ringback_domain::access::{Grant, Role};
use serde_json::{Value, json};

use super::{Answer, Bench};

async fn access(bench: &Bench, body: Value) -> String {
    let answer = bench.post("/api/v1/auth/app-portal-access/one", body).await.expect(200);
    answer["token"].as_str().unwrap().to_owned()
}

async fn with_application(bench: &Bench) -> String {
    let made = bench.post("/api/v1/app", json!({"name": "n", "uid": "one"})).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn get(bench: &Bench, token: &str, path: &str) -> Answer {
    bench.call_as(token, Method::GET, path, "").await
}

async fn valid(bench: &Bench, token: &str) -> bool {
    get(bench, token, "/api/v1/app/one").await.status != 401
}

#[tokio::test]
async fn the_link_leads_to_the_portal_with_the_token_behind_the_hash() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    for (headers, origin) in [
        (vec![("host", "hooks.example:8071")], "http://hooks.example:8071"),
        (vec![("host", "hooks.example"), ("x-forwarded-proto", "https")], "https://hooks.example"),
        (vec![("host", "h.example"), ("x-forwarded-proto", "gopher")], "http://h.example"),
    ] {
        let path = "/api/v1/auth/app-portal-access/one";
        let mut request = bench.request(Method::POST, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.header("authorization", format!("Bearer {}", bench.token));
        let answer = bench.send(request.body("{}".into()).unwrap()).await.expect(200);
        let token = answer["token"].as_str().unwrap();
        assert_eq!(answer["url"], format!("{origin}/portal#token={token}"));
    }
    let old = bench.post("/api/v1/auth/dashboard-access/one", json!({})).await.expect(200);
    assert!(valid(&bench, old["token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn expiry_is_honoured() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    let hour = access(&bench, json!({"expiry": 3600})).await;
    let week = access(&bench, json!({})).await;
    bench.clock.advance(Duration::from_secs(3599));
    assert!(valid(&bench, &hour).await);
    bench.clock.advance(Duration::from_secs(1));
    assert!(!valid(&bench, &hour).await);
    assert!(valid(&bench, &week).await);
    bench.clock.advance(Duration::from_secs(7 * 86_400 - 3600));
    assert!(!valid(&bench, &week).await);
    for wrong in [0, 3599, 604_801] {
        let answer = bench.post("/api/v1/auth/app-portal-access/one", json!({"expiry": wrong}));
        answer.await.invalid("body.expiry");
    }
}

/// Whoever asks for a portal's token gets none that outlives or exceeds their own.
#[tokio::test]
async fn a_portal_token_is_never_larger_than_its_maker() {
    let bench = Bench::new().await;
    let app = with_application(&bench).await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "two"})).await.expect(201);
    let grant = Grant {
        role: Role::Application,
        application: Some(app.parse().unwrap()),
        ..Grant::default()
    };
    let end = bench.clock.now() + Duration::from_secs(60);
    let maker = bench.token_until("default", grant, Some(end)).await.1;
    let ask = async |token: &str, app: &str| {
        let path = format!("/api/v1/auth/app-portal-access/{app}");
        bench.call_as(token, Method::POST, &path, "{}").await
    };
    ask(&maker, "two").await.error(404, "not_found");
    let made = ask(&maker, "one").await.expect(200);
    let made = made["token"].as_str().unwrap();
    assert!(valid(&bench, made).await);
    ask(made, "one").await.error(403, "needs_application");
    bench.clock.advance(Duration::from_secs(60));
    assert!(!valid(&bench, made).await);
}

#[tokio::test]
async fn capabilities_and_read_only_take_rights_away() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    let endpoint = json!({"url": "https://example.com/", "uid": "e"});
    bench.post("/api/v1/app/one/endpoint", endpoint).await.expect(201);
    for (body, secret, pause) in [
        (json!({}), 200, 200),
        (json!({"capabilities": ["ViewBase", "ViewEndpointSecret"]}), 200, 403),
        (json!({"capabilities": ["ViewBase"]}), 403, 403),
        (json!({"readOnly": true}), 403, 403),
        (json!({"readOnly": true, "capabilities": ["ViewBase", "ManageEndpoint"]}), 403, 403),
        (json!({"readOnly": false, "capabilities": ["ViewBase", "ManageEndpoint"]}), 200, 200),
    ] {
        let token = access(&bench, body.clone()).await;
        let path = "/api/v1/app/one/endpoint/e/";
        assert_eq!(get(&bench, &token, path).await.status, 200, "{body}");
        let seen = get(&bench, &token, &format!("{path}secret")).await;
        assert_eq!(seen.status, secret, "{body}");
        let paused = bench.call_as(&token, Method::POST, &format!("{path}pause"), "{}").await;
        assert_eq!(paused.status, pause, "{body}");
    }
    for (body, field) in [
        (json!({"capabilities": ["ViewBase", "Rule"]}), "capabilities"),
        (json!({"capabilities": ["ManageEndpoint"]}), "capabilities"),
        (json!({"featureFlags": [""]}), "featureFlags"),
        (json!({"sessionId": ""}), "sessionId"),
    ] {
        let answer = bench.post("/api/v1/auth/app-portal-access/one", body).await;
        answer.invalid(&format!("body.{field}"));
    }
}

#[tokio::test]
async fn feature_flags_show_event_types() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    for (name, flag) in [("all", None), ("beta", Some("beta-flag")), ("gamma", Some("gamma-flag"))]
    {
        let body = json!({"name": name, "description": "d", "featureFlag": flag});
        bench.post("/api/v1/event-type", body).await.expect(201);
    }
    for (body, expect) in [
        (json!({}), vec!["all"]),
        (json!({"featureFlags": []}), vec!["all"]),
        (json!({"featureFlags": ["beta-flag", "other"]}), vec!["all", "beta"]),
    ] {
        let token = access(&bench, body.clone()).await;
        let listed = get(&bench, &token, "/api/v1/event-type").await.expect(200);
        let names = listed["data"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(names, expect, "{body}");
        for name in ["all", "beta", "gamma"] {
            let one = get(&bench, &token, &format!("/api/v1/event-type/{name}")).await;
            let status = if expect.contains(&name) { 200 } else { 404 };
            assert_eq!(one.status, status, "{body} {name}");
        }
    }
}

#[tokio::test]
async fn an_application_can_come_with_its_portal() {
    let bench = Bench::new().await;
    let body = json!({"application": {"name": "new"}});
    let path = "/api/v1/auth/app-portal-access/fresh";
    bench.post(path, json!({})).await.error(404, "not_found");
    let answer = bench.post(path, body.clone()).await.expect(200);
    let token = answer["token"].as_str().unwrap();
    assert_eq!(get(&bench, token, "/api/v1/app/fresh").await.expect(200)["name"], "new");
    bench.post(path, json!({"application": {"name": "other"}})).await.expect(200);
    assert_eq!(bench.get("/api/v1/app/fresh").await.expect(200)["name"], "new");
    let wrong = bench.post(path, json!({"application": {"name": ""}})).await;
    wrong.invalid("body.application.name");
}

#[tokio::test]
async fn the_same_request_gets_the_same_token() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    let path = "/api/v1/auth/app-portal-access/one";
    let ask = async || {
        let request = bench.request(Method::POST, path).header("idempotency-key", "once");
        let request = request.header("authorization", format!("Bearer {}", bench.token));
        bench.send(request.body("{}".into()).unwrap()).await.expect(200)
    };
    let first = ask().await;
    assert_eq!(ask().await, first);
    assert_ne!(bench.post(path, json!({})).await.expect(200), first);
}

#[tokio::test]
async fn a_session_ends_by_itself_or_with_the_others() {
    let bench = Bench::new().await;
    with_application(&bench).await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "two"})).await.expect(201);
    let mine = access(&bench, json!({"sessionId": "mine"})).await;
    let other = access(&bench, json!({"sessionId": "other"})).await;
    let left = access(&bench, json!({})).await;
    let states = async || {
        (valid(&bench, &mine).await, valid(&bench, &other).await, valid(&bench, &left).await)
    };
    assert_eq!(states().await, (true, true, true));
    let logout = bench.call_as(&left, Method::POST, "/api/v1/auth/logout", "").await;
    assert_eq!((logout.expect(204), states().await), (Value::Null, (true, true, false)));

    let expire = async |app: &str, body: Value| {
        bench.post(&format!("/api/v1/auth/app/{app}/expire-all"), body).await
    };
    expire("two", json!({})).await.expect(204);
    expire("one", json!({"sessionIds": ["unknown"]})).await.expect(204);
    assert_eq!(states().await, (true, true, false));
    expire("one", json!({"sessionIds": ["mine"]})).await.expect(204);
    assert_eq!(states().await, (false, true, false));
    expire("one", json!({"expiry": 10})).await.expect(204);
    assert_eq!(states().await, (false, true, false));
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(states().await, (false, false, false));
    expire("one", json!({"expiry": 604_801})).await.invalid("body.expiry");
    expire("nobody", json!({})).await.error(404, "not_found");
}

#[tokio::test]
async fn environments_are_created_and_listed() {
    let bench = Bench::new().await;
    let path = "/api/v1/environment";
    let made = bench.post(path, json!({"name": "eu-1"})).await.expect(201);
    assert!(made["id"].as_str().unwrap().starts_with("env_"), "{made}");
    bench.post(path, json!({"name": "eu-1"})).await.error(409, "conflict");
    for wrong in [json!({}), json!({"name": ""}), json!({"name": "a b"})] {
        bench.post(path, wrong).await.invalid("body.name");
    }
    let listed = bench.get(path).await.expect(200);
    assert_eq!(listed["data"][0]["name"], "default");
    assert_eq!(listed["data"][1], made);
    let first = bench.get(&format!("{path}?limit=1")).await.expect(200);
    assert_eq!((&first["done"], first["data"].as_array().unwrap().len()), (&json!(false), 1));
    let next = format!("{path}?limit=1&iterator={}", first["iterator"].as_str().unwrap());
    assert_eq!(bench.get(&next).await.expect(200)["data"], json!([made]));

    // It is a world of its own.
    let token = bench.token_of("eu-1").await.1;
    bench.post("/api/v1/app", json!({"name": "n"})).await.expect(201);
    assert_eq!(get(&bench, &token, "/api/v1/app").await.expect(200)["data"], json!([]));
}
