//! Listening: what arrives at sources of the real process, and what those are told who listen.

mod hostile;
mod poll;
mod pull;
mod reply;
mod socket;
mod stream;
mod tail;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use crate::{
    receive::{now, signed},
    support::{Answered, PATIENCE, Server, Settings, TOKEN, call},
};

/// A secret that looks made up and is.
pub(crate) const SECRET: &str = "rb-test-secret-of-a-source";

/// A server with a source of GitHub.
struct Bench {
    server: Server,
    /// The path of the source's URL.
    path: String,
}

/// What was told of an event.
#[derive(Debug)]
struct Told {
    head: Value,
    body: Bytes,
}

impl Told {
    fn id(&self) -> &str {
        self.head["id"].as_str().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let all = self.head["headers"].as_array().unwrap();
        all.iter().find(|pair| pair[0] == name)?[1].as_str()
    }
}

impl Bench {
    async fn new() -> Bench {
        let server = Server::start(Settings::default());
        let path = source(&server, "github", "hub", json!({})).await;
        Bench { server, path }
    }

    /// Sends an event as GitHub would, and says what was answered.
    async fn event(&self, number: usize) -> Answered {
        send(&self.server, &self.path, "push", &number.to_string(), &body(number)).await
    }

    async fn events(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            assert_eq!(self.event(number).await.status, 200);
        }
    }

    /// Makes a listener that begins now, and listens.
    async fn listen(&self, name: &str, terms: Value) -> Socket {
        self.put(name, terms).await;
        Socket::open(&self.server, name, "").await.unwrap()
    }

    async fn put(&self, name: &str, terms: Value) -> Value {
        let path = format!("/api/v1/listener/{name}");
        let (status, listener) = self.server.call(Method::PUT, &path, Some(terms)).await;
        assert!(status < 300, "{status} {listener}");
        listener
    }

    async fn listener(&self, name: &str) -> Value {
        self.server.get(&format!("/api/v1/listener/{name}")).await
    }
}

/// A source with the secret; the path of its URL.
pub(crate) async fn source(server: &Server, provider: &str, uid: &str, options: Value) -> String {
    let body = json!({
        "name": uid, "uid": uid, "type": provider, "config": { "secret": SECRET },
        "options": options,
    });
    let source = server.post("/ingest/api/v1/source", body).await;
    let url = source["ingestUrl"].as_str().unwrap();
    url[url.find("/in/").unwrap()..].to_owned()
}

/// White space and the order of keys are the sender's.
pub(crate) fn body(number: usize) -> String {
    format!("{{ \"number\":{number},\n  \"a\": 1.50 }}")
}

/// Sends an event as GitHub would.
pub(crate) async fn send(
    server: &Server,
    path: &str,
    kind: &str,
    id: &str,
    body: &str,
) -> Answered {
    let named = [("x-github-event", kind), ("x-github-delivery", id)];
    let made = signed("github", SECRET, now(), path, &named, body);
    let made = made.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<_> = named.into_iter().chain(made).collect();
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    call(&server.url, Method::POST, path, &headers, bytes).await
}

/// Somebody who listens.
struct Socket {
    socket: WebSocketStream<TcpStream>,
    hello: Value,
}

impl Socket {
    async fn open(server: &Server, name: &str, query: &str) -> Result<Socket, (u16, String)> {
        Socket::open_as(server, TOKEN, name, query).await
    }

    async fn open_as(
        server: &Server,
        token: &str,
        name: &str,
        query: &str,
    ) -> Result<Socket, (u16, String)> {
        let address = server.url.trim_start_matches("http://");
        let url = format!("ws://{address}/api/v1/listener/{name}/connect{query}");
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers.insert("sec-websocket-protocol", "ringback.listen.v1".parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let socket = match client_async(request, stream).await {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(refused)) => {
                let body = refused.body().clone().unwrap_or_default();
                let status = refused.status().as_u16();
                return Err((status, String::from_utf8_lossy(&body).into_owned()));
            }
            Err(other) => panic!("{other}"),
        };
        let mut socket = Socket { socket, hello: Value::Null };
        match socket.frame().await {
            Ok(Message::Text(text)) => socket.hello = serde_json::from_str(&text).unwrap(),
            other => panic!("hello was expected: {other:?}"),
        }
        Ok(socket)
    }

    async fn frame(&mut self) -> Result<Message, Option<CloseFrame>> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("something was expected") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(message)) => return Ok(message),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next event; what is told of the backlog is passed over.
    async fn event(&mut self) -> Told {
        loop {
            match self.frame().await.expect("an event was expected") {
                Message::Binary(frame) => return told(&frame),
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next word on how far it is behind.
    async fn behind(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.frame().await.expect("a word was expected") {
                let json: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["type"], "behind");
                return json;
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Told> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.event().await);
        }
        all
    }

    async fn say(&mut self, what: Value) {
        self.socket.send(Message::text(what.to_string())).await.unwrap();
    }

    async fn ack(&mut self, told: &Told) {
        self.say(json!({ "type": "ack", "id": told.head["id"] })).await;
    }

    /// The code that it is sent away with.
    async fn sent_away(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Ok(_) => {}
                Err(frame) => return frame.expect("a reason was expected").code.into(),
            }
        }
    }
}

fn told(frame: &[u8]) -> Told {
    let line = frame.iter().position(|byte| *byte == b'\n').unwrap();
    let head = serde_json::from_slice(&frame[..line]).unwrap();
    Told { head, body: Bytes::copy_from_slice(&frame[line + 1..]) }
}

/// The numbers of events, in their order.
fn numbers(told: &[Told]) -> Vec<usize> {
    let number = |one: &Told| {
        let text = one.head["headers"].as_array().unwrap().iter();
        let id = text.clone().find(|pair| pair[0] == "x-github-delivery").unwrap();
        id[1].as_str().unwrap().parse().unwrap()
    };
    told.iter().map(number).collect()
}
