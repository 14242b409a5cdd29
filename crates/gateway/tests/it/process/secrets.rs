//! No secret in a log, and none in a file of the data directory or in the database.

use http::Method;
use ringback_domain::signature::SigningKey;
use serde_json::json;

use super::{run_on, stdout};
use crate::support::{Answer, Kept, Receiver, Server, Settings, TOKEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_or_stored_in_the_clear() {
    let receiver = Receiver::with(|_, _| Answer::status(500));
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "0.1")
        .env("RINGBACK_LOG_LEVEL", "trace");
    let mut server = Server::start(settings);
    let made = run_on(&server, &["token", "create"], &[]);
    let made = stdout(&made).trim().to_owned();
    let listed = server.client_with(&made).call(Method::GET, "/api/v1/app", None).await.unwrap();
    assert_eq!(listed.status, 200);

    let secret = SigningKey::hmac(b"made-up-secret-of-an-endpoint!!!").unwrap().to_secret();
    let signing = SigningKey::ed25519_from_seed(*b"made-up-seed-of-another-endpoint").unwrap();
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/endpoint");
    let url = receiver.url().replace("//", "//made-up-user:made-up-password@");
    let endpoint = json!({
        "url": url, "secret": *secret,
        "headers": { "x-api-key": "made-up-header-value", "authorization": "Bearer made-up-bearer" },
    });
    let endpoint = server.post(&path, endpoint).await;
    // Its token is given out, so it is sent: neither it nor the client's secret is shown.
    let tokens = Receiver::with(|_, _| {
        let token = json!({ "access_token": "made-up-access-token", "expires_in": 3_600 });
        Answer::Body(token.to_string().into())
    });
    let access = json!({
        "type": "oauth2", "tokenUrl": tokens.url(), "clientId": "shop",
        "clientSecret": "made-up-client-secret", "extraParams": { "a": "made-up-parameter" },
    });
    server.post(&path, json!({ "url": receiver.url(), "access": access })).await;
    let id = endpoint["id"].as_str().unwrap();
    server.post(&path, json!({ "url": receiver.url(), "secret": *signing.to_secret() })).await;
    let generated = server.post(&format!("{path}/{id}/secret/rotate"), json!({})).await;
    let generated = generated["key"].as_str().unwrap().to_owned();
    // Answers to what is refused must not repeat it, either.
    let (status, refused) = server
        .call(Method::PATCH, &format!("{path}/{id}"), Some(json!({ "secret": *secret })))
        .await;
    assert_eq!(status, 422);
    assert!(!refused.to_string().contains(&**secret));
    server
        .post(
            &format!("/api/v1/app/{app}/msg"),
            json!({ "eventType": "control.of.the.search", "payload": {} }),
        )
        .await;
    // Four endpoints, two attempts each.
    receiver.wait_for(8);
    let live = Kept::by(server.store(), server.data());
    assert!(server.stop().success());

    let base64 = |prefixed: &str| prefixed.split_once('_').unwrap().1.to_owned();
    let mut texts = vec![
        TOKEN.to_owned(),
        made,
        secret.to_string(),
        base64(&secret),
        signing.to_secret().to_string(),
        base64(&signing.to_secret()),
        base64(&generated),
        "made-up-secret-of-an-endpoint!!!".to_owned(),
        "made-up-seed-of-another-endpoint".to_owned(),
        "made-up-password".to_owned(),
        data_encoding::BASE64.encode(b"made-up-user:made-up-password"),
        "made-up-header-value".to_owned(),
        "made-up-bearer".to_owned(),
        "made-up-access-token".to_owned(),
        "made-up-client-secret".to_owned(),
        data_encoding::BASE64.encode(b"shop:made-up-client-secret"),
        "made-up-parameter".to_owned(),
    ];
    texts.extend(server.store().password());
    server.wait_for_log("ringback::app: stopped");
    let log = server.log();
    let stopped = Kept::by(server.store(), server.data());
    for text in &texts {
        assert!(!log.contains(text), "{text} is in the log");
        for kept in [&live, &stopped] {
            assert_eq!(kept.place_of(text), None, "{text}");
        }
    }
    // The search finds what is there.
    assert!(stopped.place_of("control.of.the.search").is_some());
}
