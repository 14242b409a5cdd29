//! RabbitMQ: read back with Python's client.

use std::process::Command;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, PYTHON, certificate, free_port, output};

struct RabbitMq {
    broker: Broker,
    tls_port: u16,
    authority: String,
}

impl RabbitMq {
    fn start() -> RabbitMq {
        let tls_port = free_port();
        let (authority, key) = certificate();
        let configuration = format!(
            "max_message_size = 200000\n\
             listeners.ssl.default = 127.0.0.1:{tls_port}\n\
             ssl_options.certfile = cert\n\
             ssl_options.keyfile = key\n"
        );
        let files = [("cert", authority.clone()), ("key", key)];
        let broker = Broker::start("", &configuration, &files);
        let rabbit = RabbitMq { broker, tls_port, authority };
        rabbit.ask(&["declare"]);
        rabbit
    }

    fn ask(&self, words: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rabbitmq_client.py");
        let mut python = Command::new(PYTHON);
        output(python.args(["-B", script, &self.broker.server.port.to_string()]).args(words))
    }

    fn uri(&self, password: &str, vhost: &str) -> String {
        format!("amqp://guest:{password}@127.0.0.1:{}{vhost}", self.broker.server.port)
    }
}

impl Counterpart for RabbitMq {
    const KIND: &'static str = "rabbitmq";
    const REPEATED: usize = 2;

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("uri", self.uri("guest", "")), ("routingKey", "events".to_owned())]
    }

    fn mapping(&self) -> Value {
        json!({})
    }

    fn arrived(&self) -> Vec<String> {
        let messages = self.ask(&["read", "events"]);
        let message = |line: &str| {
            let message: Value = serde_json::from_str(line).unwrap();
            let expect = json!({
                "id": message["id"], "type": "order.paid", "content_type": "application/json",
                "timestamp": 1_700_000_000, "delivery_mode": 2, "body": r#"{"n":1}"#,
            });
            assert_eq!(message, expect);
            message["id"].as_str().unwrap().to_owned()
        };
        messages.lines().map(message).collect()
    }

    fn does(&mut self, done: Done) {
        self.broker.server.does(done);
    }

    fn refuses(&self) -> Vec<Refusal> {
        let tls = format!("amqps://localhost:{}", self.tls_port);
        vec![
            Refusal::for_good("unroutable").setting("routingKey", "no-such-queue"),
            Refusal::for_good("unroutable").mapping(json!({ "key": "no-such-queue" })),
            Refusal::for_good("rejected").setting("exchange", "no-such-exchange"),
            Refusal::for_good("rejected").body("x".repeat(300_000)),
            Refusal::for_good("too_long").mapping(json!({ "key": "x".repeat(256) })),
            Refusal::for_now("not_confirmed").setting("routingKey", "full"),
            Refusal::for_now("authentication").setting("uri", self.uri("made-up-wrong-one", "")),
            Refusal::for_now("broker").setting("uri", self.uri("guest", "/no-such-host")),
            Refusal::for_now("tls").setting("uri", tls.clone()),
            // The handshake goes well, the rest is as without TLS.
            Refusal::for_good("unroutable")
                .setting("uri", tls)
                .setting("sslRootCert", self.authority.clone())
                .setting("routingKey", "no-such-queue"),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_conforms() {
    let mut rabbit = RabbitMq::start();
    // Over several frames.
    let body = json!({ "text": "x".repeat(190_000) }).to_string();
    let settings = [("uri", rabbit.uri("guest", "/%2F")), ("routingKey", "nowhere".to_owned())];
    let to = Destination::new(RabbitMq::KIND, settings, json!({ "key": "large" }));
    to.hand(&to.event("msg_large", &body)).await.unwrap();
    let message: Value = serde_json::from_str(&rabbit.ask(&["read", "large"])).unwrap();
    assert_eq!(message["body"], json!(body));
    conforms(&mut rabbit).await;
}
