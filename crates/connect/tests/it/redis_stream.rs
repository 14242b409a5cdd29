//! Redis: read back with its own command line.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, Server, certificate, free_port, output};

const PASSWORD: &str = "made-up-password";

struct Redis {
    server: Server,
    tls_port: u16,
    authority: String,
}

impl Redis {
    fn start() -> Redis {
        let (authority, key) = certificate();
        let (files, tls_port) = ([("cert", authority.clone()), ("key", key)], free_port());
        let server = Server::start(move |directory, port| {
            for (name, content) in &files {
                fs::write(directory.join(name), content).unwrap();
            }
            let mut redis = Command::new("redis-server");
            redis.args(["--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"]);
            redis.args(["--tls-cert-file", "cert", "--tls-key-file", "key"]);
            redis.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]);
            redis.arg(directory).args(["--requirepass", PASSWORD]);
            // What is confirmed is on disk.
            redis.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
            redis
        });
        Redis { server, tls_port, authority }
    }

    fn ask(&self, words: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.server.port.to_string(), "--no-auth-warning", "-a", PASSWORD]);
        output(cli.args(["--json", "-3"]).args(words))
    }

    fn entries(&self, stream: &str) -> Vec<Vec<String>> {
        let entries: Vec<(String, Vec<String>)> =
            serde_json::from_str(&self.ask(&["XRANGE", stream, "-", "+"])).unwrap();
        entries.into_iter().map(|(_, fields)| fields).collect()
    }

    fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.server.port)
    }
}

impl Counterpart for Redis {
    const KIND: &'static str = "redis-stream";
    const REPEATED: usize = 1;

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("url", self.url()), ("stream", "events".to_owned())]
    }

    fn mapping(&self) -> Value {
        json!({})
    }

    fn arrived(&self) -> Vec<String> {
        let entries = self.entries("events").into_iter();
        entries
            .map(|fields| {
                assert_eq!((&*fields[0], &*fields[2], &*fields[3]), ("id", "type", "order.paid"));
                assert_eq!((&*fields[4], &*fields[5]), ("payload", r#"{"n":1}"#));
                fields[1].clone()
            })
            .collect()
    }

    fn does(&mut self, done: Done) {
        self.server.does(done);
    }

    fn refuses(&self) -> Vec<Refusal> {
        self.ask(&["SET", "text", "x"]);
        let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", self.server.port);
        let tls = format!("rediss://:{PASSWORD}@localhost:{}", self.tls_port);
        vec![
            Refusal::for_good("wrong_type").setting("stream", "text"),
            Refusal::for_good("wrong_type").setting("stream", "text").setting("dedupeSeconds", "0"),
            Refusal::for_now("authentication").setting("url", url("made-up-wrong-one")),
            Refusal::for_now("server").setting("url", format!("{}99", self.url())),
            Refusal::for_now("tls").setting("url", tls.clone()),
            // The handshake goes well, the rest is as without TLS.
            Refusal::for_good("wrong_type")
                .setting("url", tls)
                .setting("sslRootCert", self.authority.clone())
                .setting("stream", "text"),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let mut redis = Redis::start();
    let to = |settings: &[(&'static str, &str)], fields: Value| {
        let mut all = vec![("url", redis.url())];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Destination::new(Redis::KIND, all, fields)
    };
    let mapped = json!({ "n": "{{ body.n }}", "who": "{{ event.id }}" });
    let forgetful = to(&[("stream", "mapped"), ("dedupeSeconds", "0")], mapped);
    for _ in 0..2 {
        forgetful.deliver("msg_1").await.unwrap();
    }
    assert_eq!(redis.entries("mapped"), [["n", "1", "who", "msg_1"], ["n", "1", "who", "msg_1"]]);
    let short = to(&[("stream", "short"), ("maxLength", "1")], json!({}));
    for event in 0..300 {
        short.deliver(&format!("msg_{event}")).await.unwrap();
    }
    assert!(redis.entries("short").len() < 300);
    conforms(&mut redis).await;
}
