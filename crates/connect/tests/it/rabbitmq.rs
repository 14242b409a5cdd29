//! RabbitMQ: read back with Python's client.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, PYTHON, Server, certificate, free_port, output};

struct RabbitMq {
    server: Server,
    tls_port: u16,
    authority: String,
    /// Erlang's daemon of names; it would outlive the server that starts one.
    names: Child,
}

/// The server itself: what is on the `PATH` of a distribution runs it as another user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

impl RabbitMq {
    fn start() -> RabbitMq {
        let (names_port, cluster_port, tls_port) = (free_port(), free_port(), free_port());
        let names = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &names_port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (authority, key) = certificate();
        let files = [
            ("cert", authority.clone()),
            ("key", key),
            ("enabled_plugins", "[].".to_owned()),
            (
                "rabbitmq.conf",
                format!(
                    "max_message_size = 200000\n\
                     listeners.ssl.default = 127.0.0.1:{tls_port}\n\
                     ssl_options.certfile = cert\n\
                     ssl_options.keyfile = key\n"
                ),
            ),
        ];
        let server = Server::start(move |directory, port| {
            for (name, content) in &files {
                fs::write(directory.join(name), content).unwrap();
            }
            let mut broker = Command::new(PROGRAM);
            broker
                .env("HOME", directory)
                .env("ERL_EPMD_PORT", names_port.to_string())
                .env("RABBITMQ_NODENAME", format!("ringback{port}@localhost"))
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", port.to_string())
                .env("RABBITMQ_DIST_PORT", cluster_port.to_string())
                .env("RABBITMQ_MNESIA_BASE", directory.join("data"))
                .env("RABBITMQ_LOG_BASE", directory.join("logs"))
                .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
                .env("RABBITMQ_CONF_ENV_FILE", directory.join("no-other-settings"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("enabled_plugins"))
                .env("RABBITMQ_GENERATED_CONFIG_DIR", directory.join("config"));
            broker
        });
        let rabbit = RabbitMq { server, tls_port, authority, names };
        rabbit.ask(&["declare"]);
        rabbit
    }

    fn ask(&self, words: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rabbitmq_client.py");
        let mut python = Command::new(PYTHON);
        output(python.args(["-B", script, &self.server.port.to_string()]).args(words))
    }

    fn uri(&self, password: &str, vhost: &str) -> String {
        format!("amqp://guest:{password}@127.0.0.1:{}{vhost}", self.server.port)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.names.kill().unwrap();
        self.names.wait().unwrap();
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
        self.server.does(done);
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
