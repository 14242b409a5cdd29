//! `ringback_client::callback` against a real server: the scenarios that all clients share.

#[path = "../../../client/tests/it/playing.rs"]
mod playing;

#[path = "../../../client/examples/approve.rs"]
#[allow(dead_code, reason = "its own beginning is not called")]
mod approve;

use std::path::PathBuf;

use bytes::Bytes;
use http::Method;
use ringback_client::callback::Gateway;
use serde_json::json;

use self::playing::{Outside, Play, scenarios};
use crate::support::{Server, Settings, TOKEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_all_clients_do() {
    let mut server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({"name": "Acme", "uid": "acme"})).await;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for scenario in scenarios(&root, "live") {
        let mut play = Play::new(&scenario, Gateway::new(&server.url, TOKEN).unwrap());
        play.create().await.unwrap();
        play.all(&mut Real(&mut server)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_example_says() {
    let mut server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({"name": "Acme", "uid": "acme"})).await;
    let gateway = Gateway::new(&server.url, TOKEN).unwrap();
    let mut other = Real(&mut server);
    for (path, body, told) in [
        ("", r#"{"approved": true}"#, "approved"),
        ("", r#"{"approved": false}"#, "not approved"),
        ("/fail", r#""on holiday""#, r#"failed "on holiday""#),
    ] {
        let callback = approve::ask(&gateway).await.unwrap();
        let mut send = async |path: &str, body: &str| {
            other.post(&format!("{}{path}", callback.url()), "application/json", body).await
        };
        assert_eq!(send("/progress", "50").await, 200);
        assert_eq!(send("", r#"{"approved": "perhaps"}"#).await, 422);
        assert_eq!(send(path, body).await, 200);
        let mut shown = Vec::new();
        let outcome = approve::outcome(&callback, |text| shown.push(text)).await.unwrap();
        assert_eq!((outcome.as_str(), shown), (told, vec!["progress 50".to_owned()]));
    }
}

struct Real<'a>(&'a mut Server);

impl Outside for Real<'_> {
    async fn post(&mut self, url: &str, content_type: &str, body: &str) -> u16 {
        let path = url.strip_prefix(&self.0.url).unwrap();
        let headers = [("content-type", content_type)];
        let body = Bytes::from(body.to_owned());
        self.0.client().send(Method::POST, path, headers, body).await.unwrap().status.as_u16()
    }

    fn url(&self) -> String {
        self.0.url.clone()
    }

    async fn server(&mut self, what: &str) {
        match what {
            "kill" => self.0.kill(),
            "start" => self.0.restart_in_place(),
            other => panic!("{other}"),
        }
    }
}
