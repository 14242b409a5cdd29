//! A source's event stream, as smee's clients read it.

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;

use super::*;

const STREAM: &str = "/ingest/api/v1/source/hub/event-stream/token";

/// Somebody who follows a stream.
pub(super) struct Lines {
    response: http::Response<hyper::body::Incoming>,
    text: String,
    /// The last event, as it was written.
    told: String,
    _connection: tokio::task::JoinSet<()>,
}

impl Lines {
    pub(super) async fn open(url: &str, headers: &[(&str, &str)]) -> Lines {
        let url = url::Url::parse(url).unwrap();
        let address = format!("127.0.0.1:{}", url.port().unwrap());
        let stream = TcpStream::connect(&address).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let mut driven = tokio::task::JoinSet::new();
        driven.spawn(async move {
            let _ = connection.await;
        });
        let path = &url[url::Position::BeforePath..];
        let request = http::Request::builder().uri(path).header("host", &address);
        let request = headers.iter().fold(request, |all, (name, value)| all.header(*name, *value));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        Lines { response, text: String::new(), told: String::new(), _connection: driven }
    }

    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The fields of the next event that has data; none at the end.
    pub(super) async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                if event.starts_with(':') || event.starts_with("retry") {
                    continue;
                }
                let data = serde_json::from_str(&field("data:")).unwrap();
                let (name, id) = (field("event:"), field("id:"));
                self.told = event;
                return Some((name, id, data));
            }
            let frame = timeout(PATIENCE, self.response.body_mut().frame()).await;
            match frame.expect("an event was expected")? {
                Ok(frame) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    self.text.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                Err(_) => return None,
            }
        }
    }
}

async fn made(bench: &Bench) -> String {
    let (status, stream) = bench.server.call(Method::PUT, STREAM, None).await;
    assert_eq!(status, 200, "{stream}");
    stream["url"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_as_smee_tells_them() {
    let bench = Bench::new().await;
    let (status, _) = bench.server.call(Method::GET, STREAM, None).await;
    assert_eq!(status, 404, "a source has none unless somebody wants one");
    let url = made(&bench).await;
    assert_eq!(bench.server.get(STREAM).await["url"], url.as_str());
    let mut lines = Lines::open(&url, &[]).await;
    assert_eq!(lines.next().await.unwrap().0, "ready");
    bench.events(0..3).await;
    let (name, id, data) = lines.next().await.unwrap();
    assert_eq!(name, "", "clients wait for events without a name");
    assert!(id.starts_with("msg_"));
    assert_eq!(data["body"], json!({ "number": 0, "a": 1.5 }));
    assert_eq!(data["x-github-event"], "push");
    assert!(data["x-hub-signature-256"].is_string() && data["timestamp"].is_i64(), "{data}");
    assert_eq!(data["query"], json!({}));
    // Whoever lost the connection goes on after the last event that they saw.
    drop(lines);
    let mut lines = Lines::open(&url, &[("last-event-id", &id)]).await;
    assert_eq!(lines.next().await.unwrap().0, "ready");
    for number in 1..3 {
        assert_eq!(lines.next().await.unwrap().2["body"]["number"], number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_seen_nothing_yet_goes_on_from_where_they_began() {
    let bench = Bench::new().await;
    let url = made(&bench).await;
    let mut lines = Lines::open(&url, &[]).await;
    let (name, place, _) = lines.next().await.unwrap();
    assert_eq!(name, "ready");
    drop(lines);
    bench.events(0..1).await;
    let mut lines = Lines::open(&url, &[("last-event-id", &place)]).await;
    assert_eq!(lines.next().await.unwrap().1, place);
    assert_eq!(lines.next().await.unwrap().2["body"]["number"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_is_told_as_it_was_written() {
    let bench = Bench::new().await;
    let url = made(&bench).await;
    let mut lines = Lines::open(&url, &[]).await;
    assert_eq!(lines.next().await.unwrap().0, "ready");
    let text = "{\r\n\"z\": 1.0,\n \"a\": \"\\u00eb\\n\" }\n";
    send(&bench.server, &bench.path, "push", "1", text).await;
    assert_eq!(lines.next().await.unwrap().2["body"], json!({ "z": 1.0, "a": "ë\n" }));
    let told = r#""body":{  "z": 1.0,  "a": "\u00eb\n" }"#;
    assert!(lines.told.contains(told), "{}", lines.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_can_be_revoked() {
    let bench = Bench::new().await;
    let first = made(&bench).await;
    let mut lines = Lines::open(&first, &[]).await;
    assert_eq!(lines.next().await.unwrap().0, "ready");
    let second = made(&bench).await;
    assert_ne!(first, second);
    assert!(lines.next().await.is_none(), "whoever followed the old one is sent away");
    assert_eq!(Lines::open(&first, &[]).await.status(), 404);
    let mut lines = Lines::open(&second, &[]).await;
    assert_eq!(lines.next().await.unwrap().0, "ready");
    let (status, _) = bench.server.call(Method::DELETE, STREAM, None).await;
    assert_eq!(status, 204);
    assert!(lines.next().await.is_none());
    assert_eq!(Lines::open(&second, &[]).await.status(), 404);
    assert!(!bench.server.log().contains("/events/"), "the URL is a secret");
}
