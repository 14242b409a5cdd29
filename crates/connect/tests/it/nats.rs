//! NATS: read back with a second connection that speaks the protocol by itself.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, Server, certificate};

struct Nats {
    server: Server,
    authority: String,
}

/// A publisher who may publish, and who may not everywhere.
const SETTINGS: &str = r#"
host: 127.0.0.1
jetstream { store_dir: "store" }
max_payload: 100000
authorization {
  users: [
    { user: all, password: made-up-password }
    { user: some, password: made-up-password,
      permissions: { publish: ["orders.>"], subscribe: ["_INBOX.>"] } }
  ]
}
"#;

impl Nats {
    fn start(tls: &str) -> Nats {
        let (authority, key) = certificate();
        let files = [("cert", authority.clone()), ("key", key)];
        let settings = format!("{SETTINGS}\n{tls}");
        let server = Server::start(move |directory, port| {
            for (name, content) in &files {
                fs::write(directory.join(name), content).unwrap();
            }
            fs::write(directory.join("settings"), &settings).unwrap();
            let mut nats = Command::new("nats-server");
            nats.args(["--config", "settings", "--port", &port.to_string()]);
            nats
        });
        Nats { server, authority }
    }

    /// A second client.
    fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        let mut client = Client(BufReader::new(stream));
        assert!(client.line().starts_with("INFO "));
        let proof = r#"{"user":"all","pass":"made-up-password","headers":true,"verbose":false}"#;
        client.say(&format!("CONNECT {proof}\r\nSUB answers 1\r\n"));
        client
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.server.port)
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next message: its head, and what it carries, headers included.
    fn message(&mut self) -> (String, String) {
        loop {
            let line = self.line();
            if line == "PING" {
                self.say("PONG\r\n");
            } else if line.starts_with("MSG") || line.starts_with("HMSG") {
                let length: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
                let mut bytes = vec![0; length + 2];
                self.0.read_exact(&mut bytes).unwrap();
                return (line, String::from_utf8(bytes).unwrap());
            }
        }
    }

    /// What JetStream answers.
    fn ask(&mut self, operation: &str, question: &Value) -> Value {
        let question = question.to_string();
        let length = question.len();
        self.say(&format!("PUB $JS.API.{operation} answers {length}\r\n{question}\r\n"));
        serde_json::from_str(self.message().1.trim_end()).unwrap()
    }

    /// The headers and the body of each message in the stream.
    fn stored(&mut self) -> Vec<(String, String)> {
        let state = self.ask("STREAM.INFO.orders", &json!({}))["state"].clone();
        (1..=state["last_seq"].as_u64().unwrap())
            .map(|seq| {
                let found = self.ask("STREAM.MSG.GET.orders", &json!({ "seq": seq }));
                let text = |name: &str| base64(found["message"][name].as_str().unwrap());
                (text("hdrs"), text("data"))
            })
            .collect()
    }
}

/// Text that was written in base 64.
fn base64(text: &str) -> String {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits = text.trim_end_matches('=').bytes().map(digit);
    let bits: Vec<u8> =
        digits.flat_map(|six| (0..6).rev().map(move |bit| six >> bit & 1)).collect();
    let byte = |bits: &[u8]| bits.iter().fold(0, |byte, bit| byte << 1 | bit);
    String::from_utf8(bits.chunks_exact(8).map(byte).collect()).unwrap()
}

impl Counterpart for Nats {
    const KIND: &'static str = "nats";
    const REPEATED: usize = 1;

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", self.url("nats", "127.0.0.1")),
            ("user", "some".to_owned()),
            ("password", "made-up-password".to_owned()),
        ]
    }

    fn mapping(&self) -> Value {
        json!({ "subject": "orders.{{ event.type }}" })
    }

    fn arrived(&self) -> Vec<String> {
        let stored = self.client().stored().into_iter();
        let id = |headers: String| {
            let id = headers.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id: "));
            id.unwrap().to_owned()
        };
        stored
            .map(|(headers, body)| {
                assert!(headers.contains("event-type: order.paid\r\n"), "{headers}");
                assert!(headers.contains("content-type: application/json\r\n"), "{headers}");
                assert_eq!(body, r#"{"n":1}"#);
                id(headers)
            })
            .collect()
    }

    fn does(&mut self, done: Done) {
        self.server.does(done);
    }

    fn refuses(&self) -> Vec<Refusal> {
        let large = "x".repeat(100_000);
        vec![
            Refusal::for_good("too_large").body(large.clone()),
            Refusal::for_good("too_large").body(large).setting("jetStream", "false"),
            Refusal::for_good("not_allowed").mapping(json!({ "subject": "others.x" })),
            Refusal::for_good("not_allowed")
                .mapping(json!({ "subject": "others.x" }))
                .setting("jetStream", "false"),
            Refusal::for_good("invalid_subject").mapping(json!({ "subject": "orders.a b" })),
            Refusal::for_good("invalid_subject").mapping(json!({ "subject": "orders.*" })),
            Refusal::for_good("invalid_subject").mapping(json!({ "subject": "a\r\nPUB b 0" })),
            Refusal::for_good("stream").mapping(json!({ "subject": "orders.small" })),
            Refusal::for_now("no_stream").mapping(json!({ "subject": "orders.nobody.s" })),
            Refusal::for_now("authentication").setting("password", "made-up-wrong-one"),
            Refusal::for_now("tls").setting("url", self.url("tls", "localhost")),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_conforms() {
    let mut nats = Nats::start("");
    {
        let mut client = nats.client();
        for (name, subject, largest) in
            [("orders", "orders.order.>", -1), ("small", "orders.small", 1)]
        {
            let stream = json!({
                "name": name, "subjects": [subject], "storage": "file", "max_msg_size": largest,
            });
            let made = client.ask(&format!("STREAM.CREATE.{name}"), &stream);
            assert_eq!(made["error"], Value::Null, "{made}");
        }
        let core = Destination::new(
            Nats::KIND,
            nats.settings().into_iter().chain([("jetStream", "false".to_owned())]),
            json!({ "subject": "orders.core", "body": "n is {{ body.n }}" }),
        );
        client.say("SUB orders.core 2\r\nPING\r\n");
        while client.line() != "PONG" {}
        core.deliver("msg_core").await.unwrap();
        core.deliver("msg_core").await.unwrap();
        for _ in 0..2 {
            let (head, message) = client.message();
            assert!(head.starts_with("HMSG orders.core 2 "), "{head}");
            assert!(message.contains("Nats-Msg-Id: msg_core\r\n"), "{message}");
            assert!(message.ends_with("\r\n\r\nn is 1\r\n"), "{message}");
        }
    }
    conforms(&mut nats).await;
}

#[tokio::test]
async fn nats_is_reached_over_tls() {
    let nats = Nats::start("tls { cert_file: cert, key_file: key }");
    let deliver = async |scheme: &str, host: &str, authority: Option<String>| {
        let mut settings = nats.settings();
        settings[0].1 = nats.url(scheme, host);
        settings.push(("jetStream", "false".to_owned()));
        settings.extend(authority.map(|pem| ("sslRootCert", pem)));
        let to = Destination::new(Nats::KIND, settings, nats.mapping());
        to.deliver("msg_1").await.map_err(|refused| refused.reason)
    };
    let authority = Some(nats.authority.clone());
    assert_eq!(deliver("tls", "localhost", authority.clone()).await, Ok(String::new()));
    // The server asks for it.
    assert_eq!(deliver("nats", "localhost", authority.clone()).await, Ok(String::new()));
    assert_eq!(deliver("nats", "127.0.0.1", authority).await, Err("tls"));
    assert_eq!(deliver("tls", "localhost", None).await, Err("tls"));
}
