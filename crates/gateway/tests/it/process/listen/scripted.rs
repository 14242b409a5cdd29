//! A server that says over its connections what a test tells it to.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message, WebSocket, accept_hdr,
    handshake::server::{Request, Response},
    protocol::{CloseFrame, Role, WebSocketContext},
};

use crate::support::PATIENCE;

/// One connection, as the script sees it.
pub(super) struct Connection {
    socket: WebSocket<TcpStream>,
    /// Of the request: `after=…`.
    pub(super) query: String,
}

/// What the client says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Text(Value),
    Answer(Value, Vec<u8>),
    /// It is gone, and whether it said farewell.
    Gone(bool),
}

/// The server; it ends with the test.
pub(super) struct Scripted {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
    done: mpsc::Receiver<()>,
}

impl Scripted {
    /// `script` is called with each WebSocket in turn; the number of the first is 0. It says whether
    /// it is over. Requests to `PUT` are answered with this status.
    pub(super) fn start(
        status: u16,
        mut script: impl FnMut(usize, &mut Connection) -> bool + Send + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (sender, done) = mpsc::channel();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut number = 0;
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut start = [0; 4];
                if stream.peek(&mut start).unwrap_or(0) < 3 {
                    continue;
                }
                if !start.starts_with(b"GET") {
                    seen.lock().unwrap().push(answer(stream, status));
                    continue;
                }
                let mut connection = Connection::accept(stream);
                if script(number, &mut connection) {
                    let _ = sender.send(());
                    return;
                }
                number += 1;
            }
        });
        Scripted { url, requests, done }
    }

    /// Waits for the end of the script; a script that failed has closed the channel.
    pub(super) fn finished(&self) {
        self.done.recv_timeout(PATIENCE).unwrap();
    }

    /// Method with path, and body, of what was not a WebSocket.
    pub(super) fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, status: u16) -> (String, Value) {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        read.extend_from_slice(&byte);
    }
    let head = String::from_utf8(read).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let told = match status {
        ..400 => json!({ "id": "lsn_made_up" }),
        _ => json!({ "code": "refused", "detail": "not with this" }),
    };
    let told = told.to_string();
    let length = told.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{told}"
    )
    .unwrap();
    let line = head.lines().next().unwrap();
    (line.trim_end_matches(" HTTP/1.1").to_owned(), serde_json::from_slice(&body).unwrap())
}

impl Connection {
    fn accept(stream: TcpStream) -> Connection {
        let mut query = String::new();
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let look = |request: &Request, mut response: Response| {
            request.uri().query().unwrap_or_default().clone_into(&mut query);
            assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Bearer "));
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            assert_eq!(protocol, "ringback.listen.v1");
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let socket = accept_hdr(stream, look).unwrap();
        Connection { socket, query }
    }

    pub(super) fn hello(&mut self, behind: u64) {
        self.text(json!({
            "type": "hello", "listener": "lsn_made_up", "name": "test", "behind": behind,
            "behindIsExact": true, "oldestWaiting": null, "shared": false, "window": 1024,
            "sources": [{ "id": "src_made_up", "name": "GitHub", "provider": "github" }],
        }));
    }

    pub(super) fn text(&mut self, json: Value) {
        self.socket.send(Message::text(json.to_string())).unwrap();
    }

    /// An event with these fields beside the usual ones.
    pub(super) fn event(&mut self, id: &str, more: Value, body: &[u8]) {
        self.socket.send(Message::binary(event(id, more, body))).unwrap();
    }

    /// The first bytes of an event, and then nothing more.
    pub(super) fn half_an_event(&mut self, id: &str) {
        let mut whole = Vec::new();
        let mut sink = Sink(&mut whole);
        let mut context = WebSocketContext::new(Role::Server, None);
        context.write(&mut sink, Message::binary(event(id, json!({}), &[b'x'; 1000]))).unwrap();
        context.flush(&mut sink).unwrap();
        let half = whole.len() / 2;
        self.socket.get_mut().write_all(&whole[..half]).unwrap();
        self.socket.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.close(Some(frame)).unwrap();
        while self.socket.read().is_ok() {}
    }

    /// The next thing that the client says.
    pub(super) fn next(&mut self) -> Said {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Said::Text(serde_json::from_str(&text).unwrap()),
                Ok(Message::Binary(frame)) => {
                    let end = frame.iter().position(|byte| *byte == b'\n').unwrap();
                    let head = serde_json::from_slice(&frame[..end]).unwrap();
                    return Said::Answer(head, frame[end + 1..].to_vec());
                }
                Ok(Message::Close(_)) => {
                    let _ = self.socket.flush();
                    return Said::Gone(true);
                }
                Ok(_) => {}
                Err(_) => return Said::Gone(false),
            }
        }
    }

    /// Everything acknowledged until this one is.
    pub(super) fn acknowledged(&mut self, last: &str) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.last().is_none_or(|id| id != last) {
            match self.next() {
                Said::Text(said) if said["type"] == "ack" => {
                    ids.push(said["id"].as_str().unwrap().to_owned());
                }
                other => panic!("{other:?} before {last} is acknowledged"),
            }
        }
        ids
    }
}

/// Something to write frames to that is no socket.
struct Sink<'a>(&'a mut Vec<u8>);

impl Read for Sink<'_> {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn event(id: &str, more: Value, body: &[u8]) -> Vec<u8> {
    let mut head = json!({
        "type": "event", "id": id, "source": "src_made_up", "sourceName": "GitHub",
        "provider": "github", "eventType": "push", "eventId": null, "verdict": "verified",
        "method": "POST", "target": "", "headers": [["content-type", "application/json"]],
        "receivedAt": "2026-11-21T09:30:00.000Z",
    });
    let more = more.as_object().unwrap().clone();
    head.as_object_mut().unwrap().extend(more);
    let mut frame = format!("{head}\n").into_bytes();
    frame.extend_from_slice(body);
    frame
}
