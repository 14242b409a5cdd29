//! OAuth from the client to the token that is revoked, over the API of the real server and with an
//! authorization server that rotates its refresh tokens.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::{
    receive::{self, now},
    support::{Answer, Authority, Kept, Receiver, Server, Settings, TOKEN, browse, call},
};

/// Where browsers are sent on to.
const PAGE: &str = "https://app.example.com/connected";
const CODE: &str = "authorization_code";
const REFRESH: &str = "refresh_token";

/// A server, an authorization server, and a client of the one at the other.
struct Stage {
    server: Server,
    authority: Authority,
    app: String,
    client: String,
}

/// Someone who has come back: the flow, and what the browser took along.
struct Back {
    id: String,
    confirmation: String,
}

impl Stage {
    async fn new() -> Stage {
        let settings = Settings::default().env("RINGBACK_CALLBACK_REDIRECT_TARGETS", PAGE);
        let (server, authority) = (Server::start(settings), Authority::start());
        let app = server.post("/api/v1/app", json!({ "name": "mine", "uid": "mine" })).await;
        let app = app["id"].as_str().unwrap().to_owned();
        let client = server.post("/api/v1/oauth-client", authority.client(&app)).await;
        let client = client["id"].as_str().unwrap().to_owned();
        Stage { server, authority, app, client }
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.server.call(Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.server.call(Method::GET, path, None).await
    }

    fn wanted(&self, user: &str) -> Value {
        json!({ "client": self.client, "userRef": user, "returnTo": PAGE })
    }

    /// A person is asked, says yes, and comes back.
    async fn back(&self, path: &str, wanted: Value) -> Back {
        let made = self.server.post(path, wanted).await;
        assert_eq!(made["status"], "pending");
        let id = made["id"].as_str().unwrap().to_owned();
        let fields = returned(made["url"].as_str().unwrap()).await;
        assert_eq!(fields["authorization"], id);
        Back { id, confirmation: fields["confirmation"].clone() }
    }

    async fn confirm(&self, back: &Back, user: &str) -> (u16, Value) {
        let path = format!("/api/v1/authorization/{}/confirm", back.id);
        self.post(&path, json!({ "userRef": user, "confirmation": back.confirmation })).await
    }

    /// A connection of this person's, as the API shows it.
    async fn connected(&self, user: &str) -> Value {
        let back = self.back("/api/v1/authorization", self.wanted(user)).await;
        let (status, confirmed) = self.confirm(&back, user).await;
        assert_eq!(status, 200, "{confirmed}");
        confirmed["granted"].clone()
    }

    /// The ids of the connections that a query finds.
    async fn found(&self, query: &str) -> Vec<String> {
        let (status, list) = self.get(&format!("/api/v1/connection?{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        list["data"].as_array().unwrap().iter().map(id_of).collect()
    }
}

fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}

/// What a browser brings to the application's page.
async fn returned(url: &str) -> HashMap<String, String> {
    let (url, page) = browse(url).await;
    assert!(url.starts_with(&format!("{PAGE}?")), "{url}: {page:?}");
    url::Url::parse(&url).unwrap().query_pairs().into_owned().collect()
}

#[track_caller]
fn refused(answer: (u16, Value), status: u16, code: &str) {
    assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_from_the_client_to_the_token() {
    let stage = Stage::new().await;
    let (_, client) = stage.get(&format!("/api/v1/oauth-client/{}", stage.client)).await;
    let context = stage.client.strip_prefix("ocl_").unwrap();
    assert_eq!(client["redirectUri"], format!("{}/oauth/callback/{context}", stage.server.url));
    assert_eq!((&client["hasSecret"], &client["application"]), (&json!(true), &json!(stage.app)));
    assert!(!client.to_string().contains("made-up-client-secret"), "{client}");

    let wanted = json!({ "client": stage.client, "userRef": "ada", "returnTo": PAGE,
        "scopes": ["read", "write"], "metadata": { "plan": "paid" } });
    let back = stage.back("/api/v1/authorization", wanted).await;
    let (_, flow) = stage.get(&format!("/api/v1/authorization/{}", back.id)).await;
    assert_eq!(flow["status"], "returned");
    assert_eq!(stage.authority.count(CODE), 0, "nobody has said who came back");
    let (status, confirmed) = stage.confirm(&back, "ada").await;
    assert_eq!((status, &confirmed["status"]), (200, &json!("completed")), "{confirmed}");
    let connection = &confirmed["granted"];
    assert_eq!(confirmed["connection"], connection["id"]);
    for (field, expect) in [
        ("application", json!(stage.app)),
        ("client", json!(stage.client)),
        ("provider", json!("oauth2")),
        ("userRef", json!("ada")),
        ("status", json!("active")),
        ("account", json!("42")),
        ("scopes", json!(["read", "write"])),
        ("version", json!(1)),
        ("metadata", json!({ "plan": "paid" })),
    ] {
        assert_eq!(connection[field], expect, "{field}");
    }
    // Whoever did not hear it asks again, and exchanges nothing.
    assert_eq!(stage.confirm(&back, "ada").await.1["granted"], *connection);
    assert_eq!(stage.authority.count(CODE), 1);

    let path = format!("/api/v1/connection/{}/token", id_of(connection));
    let (status, token) = stage.get(&path).await;
    assert_eq!((status, &token["tokenType"]), (200, &json!("Bearer")), "{token}");
    assert!(stage.authority.knows(token["accessToken"].as_str().unwrap()), "{token}");

    let secrets = stage.authority.secrets();
    assert!(secrets.len() >= 4, "{secrets:?}");
    let kept = Kept::by(stage.server.store(), stage.server.data());
    for secret in secrets.iter().map(String::as_str).chain(["made-up-client-secret"]) {
        assert_eq!(kept.place_of(secret), None, "{secret}");
        assert!(!stage.server.log().contains(secret), "{secret} is logged");
    }
    assert!(kept.place_of("ada").is_some(), "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_gets_nothing_and_the_code_is_never_exchanged() {
    let stage = Stage::new().await;
    let back = stage.back("/api/v1/authorization", stage.wanted("ada")).await;
    let guessed = Back { confirmation: "A".repeat(back.confirmation.len()), id: back.id.clone() };
    refused(stage.confirm(&guessed, "ada").await, 403, "wrong_confirmation");
    refused(stage.confirm(&back, "eve").await, 403, "wrong_user");
    refused(stage.confirm(&back, "ada").await, 409, "authorization_failed");
    let (_, flow) = stage.get(&format!("/api/v1/authorization/{}", back.id)).await;
    assert_eq!((&flow["status"], &flow["reason"]), (&json!("failed"), &json!("wrong_user")));
    assert_eq!(stage.authority.count(CODE), 0);
    assert_eq!(stage.found("").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_confirmations_at_once_exchange_once() {
    let stage = Stage::new().await;
    let back = stage.back("/api/v1/authorization", stage.wanted("ada")).await;
    let (one, two) = tokio::join!(stage.confirm(&back, "ada"), stage.confirm(&back, "ada"));
    assert!(one.0 == 200 || two.0 == 200, "{one:?} {two:?}");
    for (status, answer) in [one, two] {
        match status {
            200 => assert_eq!(answer["status"], "completed"),
            // The first one is still at it.
            _ => refused((status, answer), 409, "authorization_exchanging"),
        }
    }
    assert_eq!(stage.authority.count(CODE), 1);
    assert_eq!(stage.found("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_is_denied_or_canceled_or_comes_back_twice() {
    let stage = Stage::new().await;
    let made = stage.server.post("/api/v1/authorization", stage.wanted("ada")).await;
    let url = made["url"].as_str().unwrap();
    let path = format!("/api/v1/authorization/{}", id_of(&made));
    // Looking at it, and preparing for somebody who may come, is not coming.
    let start = url.strip_prefix(&stage.server.url).unwrap();
    for (method, headers) in
        [(Method::HEAD, &[][..]), (Method::GET, &[("sec-purpose", "prefetch")])]
    {
        let looked = call(&stage.server.url, method, start, headers, Bytes::new()).await;
        assert!(looked.headers.get("location").is_none(), "{looked:?}");
    }
    let canceled = stage.server.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(canceled["status"], "canceled");
    let (_, page) = browse(url).await;
    assert_eq!(page.unwrap().status, 410);

    let back = stage.back("/api/v1/authorization", stage.wanted("ada")).await;
    let (_, flow) = stage.get(&format!("/api/v1/authorization/{}", back.id)).await;
    assert_eq!(flow["status"], "returned");
    stage.confirm(&back, "ada").await;
    let cancel = format!("/api/v1/authorization/{}/cancel", back.id);
    refused(stage.post(&cancel, json!({})).await, 409, "authorization_completed");

    stage.authority.deny();
    let made = stage.server.post("/api/v1/authorization", stage.wanted("ada")).await;
    let url = made["url"].as_str().unwrap();
    let fields = returned(url).await;
    assert_eq!((&*fields["authorization"], &*fields["error"]), (&*id_of(&made), "access_denied"));
    assert!(!fields.contains_key("confirmation"), "{fields:?}");
    let (_, flow) = stage.get(&format!("/api/v1/authorization/{}", id_of(&made))).await;
    assert_eq!((&flow["status"], &flow["reason"]), (&json!("failed"), &json!("access_denied")));
    assert_eq!(browse(url).await.1.unwrap().status, 410, "it is over");

    let list = stage.server.get("/api/v1/authorization?status=failed&status=canceled").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_that_are_good_once_until_the_grant_ends() {
    let stage = Stage::new().await;
    let connection = stage.connected("ada").await;
    let path = format!("/api/v1/connection/{}", id_of(&connection));
    let refresh = format!("{path}/refresh");
    let mut seen = Vec::new();
    for version in [2, 3] {
        let (status, token) = stage.post(&refresh, json!({})).await;
        assert_eq!((status, &token["version"]), (200, &json!(version)), "{token}");
        let access = token["accessToken"].as_str().unwrap().to_owned();
        assert!(stage.authority.knows(&access) && !seen.contains(&access), "{token}");
        assert_eq!(stage.get(&format!("{path}/token")).await.1["accessToken"], access);
        seen.push(access);
    }
    assert_eq!(stage.authority.count(REFRESH), 2);

    stage.authority.end_grants();
    refused(stage.post(&refresh, json!({})).await, 409, "reauthorization_required");
    assert_eq!(stage.authority.count(REFRESH), 3);
    let (_, shown) = stage.get(&path).await;
    let told = (shown["status"].as_str(), shown["reason"].as_str());
    assert_eq!(told, (Some("reauthorization_required"), Some("invalid_grant")));
    for _ in 0..2 {
        refused(stage.get(&format!("{path}/token")).await, 409, "reauthorization_required");
        refused(stage.post(&refresh, json!({})).await, 409, "reauthorization_required");
    }
    assert_eq!(stage.authority.count(REFRESH), 3, "nobody asks in vain");

    // The person is asked again, and the connection is the same.
    let again = json!({ "returnTo": PAGE });
    let back = stage.back(&format!("{path}/reauthorize"), again).await;
    let (status, confirmed) = stage.confirm(&back, "ada").await;
    assert_eq!(status, 200, "{confirmed}");
    assert_eq!(id_of(&confirmed["granted"]), id_of(&connection));
    let (status, token) = stage.get(&format!("{path}/token")).await;
    assert_eq!(status, 200, "{token}");
    assert!(stage.authority.knows(token["accessToken"].as_str().unwrap()), "{token}");
    assert!(token["version"].as_u64() > Some(3), "{token}");
    let (_, shown) = stage.get(&path).await;
    assert_eq!((&shown["status"], shown.get("reason")), (&json!("active"), None));
    assert_eq!(stage.found("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_is_over_here_and_there() {
    let stage = Stage::new().await;
    stage.authority.answer_forms();
    let connection = stage.connected("ada").await;
    let path = format!("/api/v1/connection/{}", id_of(&connection));
    let (_, token) = stage.get(&format!("{path}/token")).await;
    let access = token["accessToken"].as_str().unwrap();
    assert!(stage.authority.knows(access) && token["expiresAt"].is_string(), "{token}");

    let client = format!("/api/v1/oauth-client/{}", stage.client);
    refused(stage.server.call(Method::DELETE, &client, None).await, 409, "has_connections");
    let (status, revoked) = stage.post(&format!("{path}/revoke"), json!({})).await;
    assert_eq!((status, &revoked["atProvider"]), (200, &json!("revoked")), "{revoked}");
    assert_eq!(revoked["status"], "revoked");
    assert!(!stage.authority.knows(access));
    refused(stage.get(&format!("{path}/token")).await, 409, "connection_revoked");
    refused(stage.post(&format!("{path}/refresh"), json!({})).await, 409, "connection_revoked");
    assert_eq!(stage.authority.count(REFRESH), 0);
    assert_eq!(stage.server.call(Method::DELETE, &path, None).await.0, 204);
    refused(stage.get(&path).await, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_found_by_what_they_are() {
    let stage = Stage::new().await;
    let other = stage.server.post("/api/v1/app", json!({ "name": "o", "uid": "other" })).await;
    let others = stage.authority.client(&id_of(&other));
    let others = id_of(&stage.server.post("/api/v1/oauth-client", others).await);
    let ada = id_of(&stage.connected("ada").await);
    let eve = id_of(&stage.connected("eve").await);
    let own = json!({ "client": others, "metadata": { "plan": "free" } });
    let own = stage.server.post("/api/v1/connection", own).await;
    assert_eq!((&own["userRef"], own.get("account")), (&json!(""), None), "{own}");
    assert_eq!(stage.authority.count("client_credentials"), 1);
    let own = id_of(&own);
    stage.server.post(&format!("/api/v1/connection/{eve}/revoke"), json!({})).await;
    let Stage { app, client, .. } = &stage;
    for (query, expect) in [
        (String::new(), vec![&own, &eve, &ada]),
        ("limit=2".to_owned(), vec![&own, &eve]),
        ("application=mine".to_owned(), vec![&eve, &ada]),
        (format!("application={app}&userRef=ada"), vec![&ada]),
        (format!("client={client}"), vec![&eve, &ada]),
        (format!("client={others}"), vec![&own]),
        ("provider=oauth2&account=42".to_owned(), vec![&eve, &ada]),
        ("provider=github".to_owned(), vec![]),
        ("status=active".to_owned(), vec![&own, &ada]),
        ("status=revoked".to_owned(), vec![&eve]),
        ("metadata=plan:free".to_owned(), vec![&own]),
        ("userRef=nobody".to_owned(), vec![]),
    ] {
        assert_eq!(stage.found(&query).await.iter().collect::<Vec<_>>(), expect, "{query}");
    }
    // A client's own connection needs nobody.
    let path = format!("/api/v1/connection/{own}/refresh");
    let (status, token) = stage.post(&path, json!({})).await;
    assert_eq!((status, &token["version"]), (200, &json!(2)), "{token}");
    assert_eq!(stage.authority.count("client_credentials"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_post_happens_once() {
    let stage = Stage::new().await;
    let post = async |path: &str, key: &str, body: &Value| {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let body = body.to_string().into();
        let answer = call(&stage.server.url, Method::POST, path, &headers, body).await;
        (answer.status, answer.json())
    };
    let client = stage.authority.client(&stage.app);
    let own = json!({ "client": stage.client });
    let wanted = stage.wanted("ada");
    for (path, body) in [
        ("/api/v1/oauth-client", &client),
        ("/api/v1/authorization", &wanted),
        ("/api/v1/connection", &own),
    ] {
        let first = post(path, "key", body).await;
        assert_eq!(first.0, 201, "{path}: {first:?}");
        assert_eq!(post(path, "key", body).await, first, "{path}");
        let mut other = body.clone();
        other["scopes"] = json!(["other"]);
        refused(post(path, "key", &other).await, 409, "idempotency_conflict");
        assert_ne!(post(path, "another", body).await.1["id"], first.1["id"], "{path}");
    }
    assert_eq!(stage.found("").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named() {
    let stage = Stage::new().await;
    let client = |field: &str, value: Value| {
        let mut body = stage.authority.client("mine");
        body[field] = value;
        ("/api/v1/oauth-client", body)
    };
    let flow = |field: &str, value: Value| {
        let mut body = stage.wanted("ada");
        body[field] = value;
        ("/api/v1/authorization", body)
    };
    for ((path, body), place) in [
        (client("application", Value::Null), "body.application"),
        (client("provider", Value::Null), "body.provider"),
        (client("provider", json!("nobody")), "body.provider"),
        (client("clientId", Value::Null), "body.clientId"),
        (client("clientAuth", json!("handshake")), "body.clientAuth"),
        (client("scopes", json!(["a b"])), "body.scopes"),
        (client("settings", json!({})), "body.settings.tokenUrl"),
        (client("settings", json!({ "tokenUrl": "nowhere" })), "body.settings.tokenUrl"),
        (client("signingKey", json!("no key")), "body.signingKey"),
        (client("clientAuth", json!("private_key_jwt")), "body.signingKey"),
        (flow("client", Value::Null), "body.client"),
        (flow("client", json!("conn_1")), "body.client"),
        (flow("userRef", Value::Null), "body.userRef"),
        (flow("userRef", json!("")), "body.userRef"),
        (flow("userRef", json!("a\u{7}")), "body.userRef"),
        (flow("returnTo", Value::Null), "body.returnTo"),
        (flow("returnTo", json!("https://evil.example/")), "body.returnTo"),
        (flow("purpose", json!("play")), "body.purpose"),
        (flow("binding", json!("rope")), "body.binding"),
        (flow("expiresIn", json!(59)), "body.expiresIn"),
        (flow("scopes", json!(["\""])), "body.scopes"),
        (flow("params", json!({ "state": "mine" })), "body.params.state"),
        (("/api/v1/connection", json!({})), "body.client"),
        (("/api/v1/authorization/device", flow("returnTo", json!(PAGE)).1), "body.returnTo"),
    ] {
        let (status, answer) = stage.post(path, body.clone()).await;
        assert_eq!(status, 422, "{path} {body}: {answer}");
        let loc = answer["detail"][0]["loc"].as_array().unwrap();
        let loc: Vec<_> = loc.iter().filter_map(Value::as_str).collect();
        assert_eq!(loc.join("."), place, "{path} {body}: {answer}");
    }
    for (path, place) in [
        ("/api/v1/connection?status=asleep", "status"),
        ("/api/v1/connection?client=conn_1", "client"),
        ("/api/v1/connection?metadata=plan", "metadata"),
        ("/api/v1/authorization?status=asleep", "status"),
    ] {
        let (status, answer) = stage.get(path).await;
        assert_eq!(status, 422, "{path}: {answer}");
        assert_eq!(answer["detail"][0]["loc"], json!(["query", place]), "{path}: {answer}");
    }
    let path = format!("/api/v1/oauth-client/{}", stage.client);
    assert_eq!(stage.server.call(Method::DELETE, &path, None).await.0, 204);
    refused(stage.post("/api/v1/authorization", stage.wanted("ada")).await, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_application_everything_of_its_goes() {
    let stage = Stage::new().await;
    let connection = id_of(&stage.connected("ada").await);
    let made = stage.server.post("/api/v1/authorization", stage.wanted("ada")).await;
    let (status, _) = stage.server.call(Method::DELETE, "/api/v1/app/mine", None).await;
    assert_eq!(status, 204);
    for path in [
        format!("connection/{connection}"),
        format!("connection/{connection}/token"),
        format!("authorization/{}", id_of(&made)),
        format!("oauth-client/{}", stage.client),
    ] {
        refused(stage.get(&format!("/api/v1/{path}")).await, 404, "not_found");
    }
    assert_eq!(stage.found("").await, [""; 0]);
    let (_, page) = browse(made["url"].as_str().unwrap()).await;
    assert!([404, 410].contains(&page.unwrap().status));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_polled_until_somebody_has_typed_the_code() {
    let stage = Stage::new().await;
    let wanted = json!({ "client": stage.client, "userRef": "ada" });
    let begun = stage.server.post("/api/v1/authorization/device", wanted.clone()).await;
    for (field, expect) in [
        ("flow", json!("device")),
        ("userCode", json!("MADE-UPCD")),
        ("verificationUri", json!("https://auth.example.com/device")),
        ("interval", json!(1)),
    ] {
        assert_eq!(begun[field], expect, "{field}");
    }
    let poll = format!("/api/v1/authorization/{}/poll", id_of(&begun));
    let answer = stage.server.client().call(Method::POST, &poll, None).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("pending")));
    assert_eq!(answer.headers["retry-after"], "1");
    stage.authority.type_code(true);
    // Whoever asks too soon is told to wait, and the provider is not asked.
    let granted = loop {
        let (status, answer) = stage.post(&poll, json!({})).await;
        if status != 202 {
            assert_eq!(status, 200, "{answer}");
            break answer["granted"].clone();
        }
    };
    assert_eq!((&granted["status"], &granted["userRef"]), (&json!("active"), &json!("ada")));
    assert_eq!(stage.authority.count("urn:ietf:params:oauth:grant-type:device_code"), 2);
    refused(stage.post(&poll, json!({})).await, 409, "authorization_completed");

    let without = stage.authority.client_without_devices("mine");
    let without = stage.server.post("/api/v1/oauth-client", without).await;
    let wanted = json!({ "client": without["id"], "userRef": "ada" });
    refused(stage.post("/api/v1/authorization/device", wanted).await, 400, "not_supported");
}

/// RFC 8628, section 3.5: five seconds more, this time and from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_asked_for_patience_has_it() {
    let stage = Stage::new().await;
    stage.authority.slow_down();
    let wanted = json!({ "client": stage.client, "userRef": "ada" });
    let begun = stage.server.post("/api/v1/authorization/device", wanted).await;
    let poll = format!("/api/v1/authorization/{}/poll", id_of(&begun));
    for _ in 0..2 {
        let answer = stage.server.client().call(Method::POST, &poll, None).await.unwrap();
        assert_eq!(answer.status, 202);
        assert_eq!(answer.headers["retry-after"], "6");
    }
    assert_eq!(stage.authority.count("urn:ietf:params:oauth:grant-type:device_code"), 1);
}

/// What a provider answers that makes the secret itself.
const MADE: &str = r#"{"id":"we_1","secret":"whsec_made_up_secret"}"#;

/// "Connect and subscribe" is one flow: the provider's webhook is registered with the connection's token,
/// and what it sends is verified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_subscribes_a_source() {
    let hooks = Receiver::with(|receipt, _| match (&receipt.method, &*receipt.path) {
        (&Method::DELETE, _) => Answer::status(204),
        (_, "/endpoints") => Answer::Body(Bytes::from_static(MADE.as_bytes())),
        _ => Answer::Whole(201, Vec::new(), Bytes::from_static(br#"{"id":17}"#)),
    });
    let authority = Authority::start();
    let providers = tempfile::tempdir().unwrap();
    std::fs::write(providers.path().join("hub.toml"), hub(&authority, &hooks)).unwrap();
    let settings = Settings::default()
        .env("RINGBACK_CALLBACK_REDIRECT_TARGETS", PAGE)
        .env("RINGBACK_OAUTH_PROVIDERS", providers.path().to_str().unwrap());
    let server = Server::start(settings);
    let app = id_of(&server.post("/api/v1/app", json!({ "name": "mine", "uid": "mine" })).await);
    let client = json!({ "application": app, "provider": "hub", "clientId": "made-up-client",
        "clientSecret": "made-up-client-secret" });
    let client = id_of(&server.post("/api/v1/oauth-client", client).await);
    let stage = Stage { server, authority, app, client };
    let connection = id_of(&stage.connected("ada").await);
    for (uid, provider) in [("hub", "github"), ("other", "stripe")] {
        let source = json!({ "name": uid, "uid": uid, "type": provider });
        stage.server.post("/ingest/api/v1/source", source).await;
    }
    let source = stage.server.get("/ingest/api/v1/source/hub").await;
    let path = format!("/api/v1/connection/{connection}/subscription");
    let target = json!({ "repository": "acme/shop" });

    for (wrong, named) in [
        (json!({ "target": target }), "source"),
        (json!({ "source": "other", "target": target }), "source"),
        (json!({ "source": "hub", "target": { "repository": "acme/../shop" } }), "repository"),
        (json!({ "source": "hub", "target": { "project": "acme" } }), "target"),
        (json!({ "source": "hub", "target": target, "events": ["a b"] }), "events"),
    ] {
        let (status, answer) = stage.post(&path, wrong).await;
        let loc = &answer["detail"][0]["loc"];
        assert_eq!((status, loc.as_array().unwrap().last()), (422, Some(&json!(named))));
    }
    assert_eq!(hooks.count(), 0);

    let (status, answer) = stage.post(&path, json!({ "source": "hub", "target": target })).await;
    assert_eq!(status, 201, "{answer}");
    let kept = &answer["subscriptions"][0];
    assert_eq!((&kept["id"], &kept["source"]), (&json!("17"), &source["id"]));
    let asked = &hooks.receipts()[0];
    assert_eq!((&*asked.path, &asked.method), ("/repos/acme/shop/hooks", &Method::POST));
    assert!(stage.authority.knows(asked.header("authorization").strip_prefix("Bearer ").unwrap()));
    let asked: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(asked["url"], source["ingestUrl"]);
    assert_eq!(asked["events"], json!(["push"]));

    // What the provider sends now is signed with the secret that it got.
    let url = source["ingestUrl"].as_str().unwrap();
    let inside = url.strip_prefix(&stage.server.url).unwrap();
    let body = r#"{"ref":"refs/heads/main"}"#;
    let event = [("x-github-event", "push"), ("x-github-delivery", "1")];
    let secret = asked["secret"].as_str().unwrap();
    let signed = receive::signed("github", secret, now(), url, &event, body);
    let signed = signed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<(&str, &str)> = event.into_iter().chain(signed).collect();
    let body = Bytes::from_static(body.as_bytes());
    let arrived = call(&stage.server.url, Method::POST, inside, &headers, body.clone()).await;
    assert_eq!(arrived.status, 200);
    let arrived = call(&stage.server.url, Method::POST, inside, &event, body).await;
    assert_eq!(arrived.status, 401, "not without a signature");

    let (_, listed) = stage.get(&path).await;
    assert_eq!(listed["data"], answer["subscriptions"]);
    let one = format!("{path}/17");
    let removed = |_: ()| stage.server.call(Method::DELETE, &one, None);
    assert_eq!(removed(()).await.0, 204);
    let asked = &hooks.receipts()[1];
    assert_eq!((&*asked.path, &asked.method), ("/repos/acme/shop/hooks/17", &Method::DELETE));
    assert_eq!(removed(()).await.0, 404);
    assert_eq!(stage.get(&path).await.1["data"], json!([]));

    // Where the provider makes the secret, the source gets it.
    let (status, answer) = stage.post(&path, json!({ "source": "other" })).await;
    assert_eq!((status, &answer["subscriptions"][0]["id"]), (201, &json!("we_1")), "{answer}");
    let source = stage.server.get("/ingest/api/v1/source/other").await;
    let url = source["ingestUrl"].as_str().unwrap();
    let inside = url.strip_prefix(&stage.server.url).unwrap();
    let body = r#"{"id":"evt_1","object":"event","type":"charge.refunded"}"#;
    for (secret, status) in [("whsec_another_secret", 401), ("whsec_made_up_secret", 200)] {
        let signed = receive::signed("stripe", secret, now(), url, &[], body);
        let signed: Vec<(&str, &str)> =
            signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = Bytes::from_static(body.as_bytes());
        let arrived = call(&stage.server.url, Method::POST, inside, &signed, body).await;
        assert_eq!(arrived.status, status, "{secret}: {arrived:?}");
    }
}

/// A provider of an operator's own, whose webhooks are like GitHub's.
fn hub(authority: &Authority, hooks: &Receiver) -> String {
    let (authority, hooks) = (authority.url(""), format!("http://{}", hooks.address));
    format!(
        r#"
schema = 1
id = "hub"
name = "Hub"
docs = "https://hub.example.com/docs"
protocol = "oauth2"
proof = "contract"

[endpoints]
authorize = "{authority}/authorize"
token = "{authority}/token"

[client]
auth = ["client_secret_basic"]

[refresh]
rotates = "always"

[[subscription]]
sources = ["github"]
events = ["push"]
id = "id"

[[subscription.target]]
name = "repository"
label = "The repository: owner/name"
pattern = '(?<owner>[a-z]+)/(?<repo>[a-z]+)'

[subscription.create]
url = "{hooks}/repos/{{target.owner}}/{{target.repo}}/hooks"
headers = {{ authorization = "Bearer {{token.access}}" }}
json = {{ url = "{{subscription.url}}", secret = "{{subscription.secret}}", events = "{{subscription.events}}" }}

[subscription.delete]
method = "DELETE"
url = "{hooks}/repos/{{target.owner}}/{{target.repo}}/hooks/{{subscription.id}}"
headers = {{ authorization = "Bearer {{token.access}}" }}

[[subscription]]
sources = ["stripe"]
events = ["charge.refunded"]
secret = {{ answer = "secret" }}
id = "id"

[subscription.create]
url = "{hooks}/endpoints"
headers = {{ authorization = "Bearer {{token.access}}" }}
form = {{ url = "{{subscription.url}}", "enabled_events[]" = "{{subscription.events}}" }}

[subscription.delete]
method = "DELETE"
url = "{hooks}/endpoints/{{subscription.id}}"
headers = {{ authorization = "Bearer {{token.access}}" }}

[[example]]
name = "connect"
"#
    )
}
