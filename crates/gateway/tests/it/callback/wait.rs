//! Waiting for a callback: the result, its events, and pages that follow it.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use super::*;

/// A stream of events that is read as it comes.
struct Events {
    body: Incoming,
    text: String,
    _connection: JoinSet<hyper::Result<()>>,
}

impl Events {
    async fn open(bench: &Bench, path: &str, headers: &[(&str, &str)]) -> (u16, Events) {
        let address = bench.server.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        let authorization = bearer();
        let mut request = Request::builder().uri(path).header("host", "localhost");
        for (name, value) in headers.iter().chain(&[("authorization", authorization.as_str())]) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let events =
            Events { body: response.into_body(), text: String::new(), _connection: connections };
        (status, events)
    }

    /// The next event: its id, name and data. None at the end.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                if !field("event:").is_empty() {
                    let data = serde_json::from_str(&field("data:")).unwrap();
                    return Some((field("id:"), field("event:"), data));
                }
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }

    async fn rest(mut self) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn result(made: &Made) -> String {
    format!("/api/v1/callback/{}/result", made.id)
}

async fn waited(bench: &Bench, path: &str, seconds: u32) -> Answered {
    let (prefer, authorization) = (format!("wait={seconds}"), bearer());
    let headers = [("prefer", prefer.as_str()), ("authorization", authorization.as_str())];
    bench.call(Method::GET, path, &headers, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_wakes_all_who_wait_and_is_there_for_those_who_come_later() {
    let bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    let (path, follow) = (result(&one), format!("/wait/{}", one.wait_token));
    let begun = Instant::now();
    let waiting = async {
        tokio::join!(
            waited(&bench, &path, 30),
            waited(&bench, &path, 30),
            waited(&bench, &follow, 30)
        )
    };
    let answering = async {
        // Whoever does not wait is told to come again.
        let now = waited(&bench, &path, 0).await;
        assert_eq!((now.status, now.header("retry-after")), (202, "1"));
        assert_eq!(now.json()["status"], "pending");
        bench.post(&one.path, r#"{"ok":true}"#).await
    };
    let ((first, second, third), answered) = tokio::join!(waiting, answering);
    assert_eq!(answered.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let later = waited(&bench, &path, 30).await;
    for waited in [first, second, third, later] {
        assert_eq!((waited.status, waited.header("preference-applied")), (200, "wait=30"));
        assert_eq!(waited.json()["result"]["json"], json!({"ok": true}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_with_its_time_and_with_the_deadline() {
    let bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    let waited_for = waited(&bench, &result(&one), 1).await;
    assert_eq!((waited_for.status, waited_for.header("preference-applied")), (202, "wait=1"));
    let short = bench.made(json!({"expiresIn": 1})).await;
    let begun = Instant::now();
    let expired = waited(&bench, &result(&short), 30).await;
    assert_eq!((expired.status, expired.json()["status"].clone()), (200, json!("expired")));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_and_taken_up_again() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"mode": "stream"})).await;
    let path = format!("/api/v1/callback/{}/events", one.id);
    let (status, mut events) = Events::open(&bench, &path, &[]).await;
    assert_eq!(status, 200);
    bench.post(&format!("{}/progress", one.path), r#"{"percent":10}"#).await;
    let (first, name, data) = events.next().await.unwrap();
    assert!(first.starts_with("cbreq_"));
    assert_eq!((name.as_str(), &data["body"]["json"]), ("progress", &json!({"percent": 10})));
    bench.post(&one.path, r#""item""#).await;
    let (_, name, data) = events.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &data["item"], &data["body"]["json"]),
        ("item", &json!(1), &json!("item"))
    );
    bench.post(&format!("{}/heartbeat", one.path), "").await;
    bench.post(&format!("{}/close", one.path), "").await;
    let rest = events.rest().await;
    assert_eq!(rest.len(), 1);
    let (last, name, data) = &rest[0];
    assert_eq!((name.as_str(), &data["status"]), ("completed", &json!("completed")));
    // Whoever comes back goes on after what they saw, and is told when that was all.
    let (_, again) = Events::open(&bench, &path, &[("last-event-id", &first)]).await;
    let names: Vec<_> = again.rest().await.into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["item", "completed"]);
    let (status, _) = Events::open(&bench, &path, &[("last-event-id", last)]).await;
    assert_eq!(status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_the_last_event() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"expiresIn": 1})).await;
    let path = format!("/wait/{}/events", one.wait_token);
    let (_, events) = Events::open(&bench, &path, &[]).await;
    let all = events.rest().await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].1.as_str(), all[0].0.as_str()), ("expired", one.id.as_str()));
    let (status, _) = Events::open(&bench, &path, &[("last-event-id", &one.id)]).await;
    assert_eq!(status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_token_lets_look_and_nothing_else() {
    let origin = "https://shop.example.com";
    let settings = Settings::default().env("RINGBACK_CALLBACK_ALLOWED_ORIGINS", origin);
    let bench = Bench::on(settings).await;
    let one = bench.made(json!({"metadata": {"internal": "note"}, "tags": ["t"]})).await;
    let path = format!("/wait/{}", one.wait_token);
    let look = async |origin: &str| bench.call(Method::GET, &path, &[("origin", origin)], "").await;
    let allowed = look(origin).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (202, origin));
    assert_eq!(allowed.header("vary"), "origin");
    let shown = allowed.json();
    assert_eq!((&shown["metadata"], &shown["tags"]), (&json!({}), &json!([])));
    let other = look("https://evil.example.com").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (202, ""));
    let preflight = [("origin", origin), ("access-control-request-headers", "prefer")];
    let asked = bench.call(Method::OPTIONS, &path, &preflight, "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, origin));
    assert!(asked.header("access-control-allow-headers").contains("prefer"));
    for method in [Method::POST, Method::DELETE] {
        assert_eq!(bench.call(method, &path, &[], "{}").await.status, 405);
    }
    let as_url = format!("/cb/{}", one.wait_token);
    assert_eq!(bench.post(&as_url, "{}").await.status, 404);
    assert_eq!(bench.shown(&one).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_does_not_hold_the_end_up() {
    let mut bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    let path = format!("/api/v1/callback/{}/events", one.id);
    let (_, mut events) = Events::open(&bench, &path, &[]).await;
    bench.post(&format!("{}/progress", one.path), "1").await;
    assert_eq!(events.next().await.unwrap().1, "progress");
    let begun = Instant::now();
    let (status, rest) = tokio::join!(async { bench.server.stop() }, events.rest());
    assert!(status.success() && rest.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
