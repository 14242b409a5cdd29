//! `ringback_client::callback` against a real server: the scenarios that all clients share.

#[path = "../../../client/tests/it/playing.rs"]
mod playing;

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

struct Real<'a>(&'a mut Server);

impl Outside for Real<'_> {
    async fn post(&mut self, url: &str, content_type: &str, body: &str) -> u16 {
        let path = url.strip_prefix(&self.0.url).unwrap();
        let headers = [("content-type", content_type)];
        let body = Bytes::from(body.to_owned());
        self.0.client().send(Method::POST, path, headers, body).await.unwrap().status.as_u16()
    }

    async fn server(&mut self, what: &str) {
        match what {
            "kill" => self.0.kill(),
            "start" => self.0.restart_in_place(),
            other => panic!("{other}"),
        }
    }
}
