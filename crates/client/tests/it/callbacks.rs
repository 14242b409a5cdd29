//! Callbacks against a server that says what a script says, and what only this library has.

use std::time::Duration;

use ringback_client::callback::{Callback, Error, Gateway, NewCallback};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::playing::{Outside, Play, scenarios};
use crate::root;

#[tokio::test]
async fn as_the_script_says() {
    for scenario in scenarios(&root(), "scripted") {
        let server = Scripted::start(&scenario["script"]).await;
        let patience = scenario["patience"].as_u64().unwrap_or(60);
        let gateway = Gateway::new(&server.url, "made-up").unwrap();
        let gateway = gateway.patience(Duration::from_secs(patience));
        Play::new(&scenario, gateway).all(&mut Nothing).await;
        server.end().await;
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_an_error() {
    let script = r#"[{"ask": "GET /api/v1/callback/cb_1/result", "answer": {"status": 200, "json":
        {"id": "cb_1", "status": "completed", "createdAt": "", "expiresAt": "",
         "result": {"size": 4, "json": "yes"}}}}]"#;
    let server = Scripted::start(&serde_json::from_str(script).unwrap()).await;
    let callback: Callback<u64> = Gateway::new(&server.url, "made-up").unwrap().attach("cb_1");
    assert!(matches!(callback.wait().await, Err(Error::Shape(_))));
    server.end().await;
}

#[test]
fn what_cannot_be_a_server_is_an_error() {
    for url in ["", "127.0.0.1:8071", "ftp://127.0.0.1", "http://"] {
        assert!(matches!(Gateway::new(url, "made-up"), Err(Error::Setup(_))), "{url}");
    }
    let told = Gateway::new("http://127.0.0.1:1", "made\nup").unwrap_err().to_string();
    assert!(!told.contains("made"), "{told}");
    let shown = format!("{:?}", Gateway::new("http://127.0.0.1:1", "made-up").unwrap());
    assert!(!shown.contains("made-up"), "{shown}");
}

#[test]
fn what_is_not_given_is_not_sent() {
    let wanted = NewCallback { expires_in: Some(60), ..NewCallback::of("acme") };
    let sent = serde_json::to_value(wanted).unwrap();
    assert_eq!(sent, serde_json::json!({"application": "acme", "expiresIn": 60}));
}

/// Scripted scenarios have no other side, and no server to kill.
struct Nothing;

impl Outside for Nothing {
    async fn post(&mut self, url: &str, _: &str, _: &str) -> u16 {
        panic!("{url}")
    }
    fn url(&self) -> String {
        String::new()
    }
    async fn server(&mut self, what: &str) {
        panic!("{what}")
    }
}

/// A server that says what a script says, in that order, and hears whether it is asked for that.
struct Scripted {
    url: String,
    serving: JoinSet<()>,
}

impl Scripted {
    async fn start(script: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let turns = script.as_array().unwrap().clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut key = None;
            for turn in turns {
                let before = key;
                key = take_turn(&turn, listener.accept().await.unwrap().0).await;
                assert!(turn["again"] != true || key == before, "it has another key");
            }
        });
        Self { url, serving }
    }

    /// Everything was asked for.
    async fn end(mut self) {
        self.serving.join_next().await.unwrap().unwrap();
    }
}

/// Hears one request and answers it; its idempotency key.
async fn take_turn(turn: &Value, stream: TcpStream) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line.rsplit_once(' ').unwrap().0, turn["ask"].as_str().unwrap());
    let mut headers = std::collections::HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    for (name, value) in turn["headers"].as_object().into_iter().flatten() {
        assert_eq!(headers[name], value.as_str().unwrap(), "{name}");
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    if let Some(expected) = turn.get("json") {
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), *expected);
    }
    if let Some(answer) = turn.get("answer") {
        let json = answer.get("json").map(Value::to_string);
        let said = json.or(answer["text"].as_str().map(str::to_owned)).unwrap_or_default();
        let mut head =
            format!("HTTP/1.1 {} .\r\ncontent-length: {}\r\n", answer["status"], said.len());
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
        }
        stream.write_all(format!("{head}\r\n{said}").as_bytes()).await.unwrap();
    }
    headers.remove("idempotency-key")
}
