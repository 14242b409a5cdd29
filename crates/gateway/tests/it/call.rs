//! Calls: the server sends a request with a callback's URL in it, and takes the answer in whichever
//! form it comes first.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Receipt, Receiver, Server, Settings, TOKEN};

/// A server with one application.
struct Bench {
    server: Server,
    app: String,
}

impl Bench {
    async fn new() -> Bench {
        Bench::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Bench {
        let server = Server::start(settings);
        let app = server.post("/api/v1/app", json!({ "name": "calls" })).await;
        let app = app["id"].as_str().unwrap().to_owned();
        Bench { server, app }
    }

    /// A call with this request; whoever calls prefers to wait so long.
    async fn call(&self, request: Value, wait: Option<u32>) -> (u16, Value) {
        self.call_as(json!({ "request": request }), wait, &[]).await
    }

    async fn call_as(
        &self,
        mut body: Value,
        wait: Option<u32>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        body["application"] = json!(self.app);
        let wait = wait.map(|seconds| format!("wait={seconds}"));
        let prefer = wait.iter().map(|wait| ("prefer", wait.as_str()));
        let headers: Vec<_> = headers.iter().copied().chain(prefer).collect();
        self.send(Method::POST, "/api/v1/call", &headers, body.to_string()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (u16, Value) {
        let bearer = format!("Bearer {TOKEN}");
        let ours = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = ours.into_iter().chain(headers.iter().copied());
        let answer = self.server.client().send(method, path, headers, body.into()).await.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }

    /// The result of a callback, waited for.
    async fn result(&self, callback: &Value) -> Value {
        let path = format!("/api/v1/callback/{}/result", callback["id"].as_str().unwrap());
        let prefer = [("prefer", "wait=30")];
        let (status, result) = self.send(Method::GET, &path, &prefer, String::new()).await;
        assert_eq!(status, 200, "{result}");
        result
    }
}

fn answer(status: u16, headers: Vec<(&'static str, String)>, body: &'static str) -> Answer {
    Answer::Whole(status, headers, body.into())
}

fn json_body() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}

fn sent_json(receipt: &Receipt) -> Value {
    serde_json::from_slice(&receipt.body).unwrap()
}

/// What a caller sends whose answer comes to the URL in its body.
fn with_hook(receiver: &Receiver) -> Value {
    json!({ "url": receiver.url(), "body": { "hook": "{{callback.url}}" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_at_once_is_the_answer() {
    let receiver = Receiver::with(|_, _| answer(200, json_body(), r#"{"sum":5}"#));
    let bench = Bench::new().await;
    let request = json!({
        "method": "PUT",
        "url": format!("{}/{{{{callback.id}}}}", receiver.url()),
        "headers": { "X-Team": "shop", "Authorization": "Bearer made-up" },
        "body": { "hook": "{{callback.url}}", "id": "{{callback.id}}", "n": 2 },
    });
    let (status, done) = bench.call(request, Some(30)).await;
    assert_eq!(
        (status, &done["status"], &done["result"]["json"]),
        (200, &json!("completed"), &json!({"sum": 5}))
    );
    let receipt = &receiver.receipts()[0];
    let sent = sent_json(receipt);
    let (id, url) = (done["id"].as_str().unwrap(), sent["hook"].as_str().unwrap());
    assert!(url.starts_with(&format!("{}/cb/", bench.server.url)), "{url}");
    assert_eq!(sent, json!({ "hook": url, "id": id, "n": 2 }));
    assert_eq!(receipt.path, format!("/hook/{id}"));
    assert_eq!(receipt.method, Method::PUT);
    for (name, value) in [
        ("x-team", "shop"),
        ("authorization", "Bearer made-up"),
        ("prefer", "respond-async"),
        ("idempotency-key", id),
        ("content-type", "application/json"),
    ] {
        assert_eq!(receipt.header(name), value, "{name}");
    }
    let path = format!("/api/v1/callback/{id}/request");
    let requests = bench.server.get(&path).await;
    assert_eq!(requests["data"][0]["by"], "call");
    let secret = url.rsplit('/').next().unwrap();
    assert!(!bench.server.log().contains(secret), "the URL is a secret");
}

/// RFC 7240's `respond-async`, RFC 9110's 202: the answer is where `Location` points.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_elsewhere_is_asked_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let receiver = Receiver::with(move |receipt, _| match receipt.path.as_str() {
        "/hook" => answer(
            202,
            vec![("location", "/jobs/1".to_owned()), ("retry-after", "0".to_owned())],
            "",
        ),
        "/jobs/1" if counted.fetch_add(1, Ordering::SeqCst) < 2 => {
            answer(202, vec![("retry-after", "0".to_owned())], "")
        }
        "/jobs/1" => answer(303, vec![("location", "/results/1".to_owned())], ""),
        _ => answer(200, json_body(), r#"{"done":true}"#),
    });
    let bench = Bench::new().await;
    let request = json!({ "url": receiver.url(), "headers": { "authorization": "Bearer made-up" }, "body": {} });
    let (status, done) = bench.call(request, Some(30)).await;
    assert_eq!((status, &done["result"]["json"]), (200, &json!({"done": true})));
    let receipts = receiver.receipts();
    let paths: Vec<_> = receipts.iter().map(|it| (it.method.as_str(), it.path.as_str())).collect();
    let poll = ("GET", "/jobs/1");
    assert_eq!(paths, [("POST", "/hook"), poll, poll, poll, ("GET", "/results/1")]);
    assert!(receipts.iter().all(|receipt| receipt.header("authorization") == "Bearer made-up"));
    assert!(receipts[1..].iter().all(|receipt| receipt.body.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_at_the_url_comes_first() {
    let receiver = Receiver::with(|_, _| answer(202, Vec::new(), "queued"));
    let bench = Bench::new().await;
    let calling = bench.call(with_hook(&receiver), Some(30));
    let answering = async {
        let receipts = receiver.arrived(1).await;
        let url = sent_json(&receipts[0])["hook"].as_str().unwrap().to_owned();
        let path = url.strip_prefix(&bench.server.url).unwrap().to_owned();
        let (status, _) =
            bench.server.call(Method::POST, &path, Some(json!({"rendered": 1}))).await;
        assert_eq!(status, 200);
    };
    let ((status, done), ()) = tokio::join!(calling, answering);
    assert_eq!((status, &done["result"]["json"]), (200, &json!({"rendered": 1})));
    assert_eq!(receiver.count(), 1);
}

/// An API that says at once how it is, and the rest later: a filter tells which is the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_yet_is_progress() {
    let receiver = Receiver::with(|_, _| answer(200, json_body(), r#"{"status":"starting"}"#));
    let bench = Bench::new().await;
    let body = json!({
        "request": with_hook(&receiver),
        "callback": { "successWhen": { "body": { "status": "done" } } },
    });
    let (status, callback) = bench.call_as(body, None, &[]).await;
    assert_eq!(status, 202);
    let receipts = receiver.arrived(1).await;
    let url = sent_json(&receipts[0])["hook"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&bench.server.url).unwrap().to_owned();
    bench.server.call(Method::POST, &path, Some(json!({"status": "done"}))).await;
    assert_eq!(bench.result(&callback).await["result"]["json"]["status"], "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_sent_again_the_same() {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let receiver = Receiver::with(move |_, _| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => answer(503, vec![("retry-after", "0".to_owned())], "busy"),
        1 => answer(500, Vec::new(), "broken"),
        _ => answer(200, Vec::new(), "at last"),
    });
    let bench = Bench::new().await;
    let (status, done) = bench.call(with_hook(&receiver), Some(30)).await;
    assert_eq!((status, &done["result"]["text"]), (200, &json!("at last")));
    let receipts = receiver.receipts();
    assert_eq!(receipts.len(), 3);
    assert!(receipts.iter().all(|receipt| receipt.body == receipts[0].body));
    assert!(receipts.iter().all(|receipt| receipt.header("idempotency-key") == done["id"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_fails_it() {
    let receiver = Receiver::with(|_, _| answer(422, json_body(), r#"{"detail":"no"}"#));
    let bench = Bench::new().await;
    let (status, done) = bench.call(with_hook(&receiver), Some(30)).await;
    assert_eq!(
        (status, &done["status"], &done["result"]["json"]),
        (200, &json!("failed"), &json!({"detail": "no"}))
    );

    // What must not be dialled fails it, too, and nobody is asked.
    let guarded = Bench::with(Settings::default().env("RINGBACK_DELIVERY_ALLOW_CIDRS", "")).await;
    let (status, done) = guarded.call(with_hook(&receiver), Some(30)).await;
    assert_eq!((status, &done["status"]), (200, &json!("failed")));
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_is_one_call() {
    let receiver = Receiver::with(|_, _| answer(200, Vec::new(), "once"));
    let bench = Bench::new().await;
    let body = json!({ "request": with_hook(&receiver) });
    let key = [("idempotency-key", "made-up-key")];
    let (status, first) = bench.call_as(body.clone(), Some(30), &key).await;
    assert_eq!(status, 200);
    let (status, second) = bench.call_as(body, Some(30), &key).await;
    assert_eq!((status, &second), (200, &first));
    assert_eq!(receiver.count(), 1);
    let other = json!({ "request": { "url": receiver.url() } });
    assert_eq!(bench.call_as(other, None, &key).await.0, 409);
}

/// Whoever dies between sending and hearing the answer sends again, with the same URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_survives_a_kill() {
    let urls: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&urls);
    let receiver = Receiver::with(move |receipt, _| {
        let mut urls = noted.lock().unwrap();
        urls.push(sent_json(receipt)["hook"].clone());
        if urls.len() == 1 { Answer::Never } else { answer(200, Vec::new(), "after all") }
    });
    let mut bench = Bench::new().await;
    let (status, callback) = bench.call(with_hook(&receiver), None).await;
    assert_eq!(status, 202);
    receiver.arrived(1).await;
    bench.server.kill();
    bench.server.restart();
    assert_eq!(bench.result(&callback).await["result"]["text"], "after all");
    let urls = urls.lock().unwrap();
    let paths: Vec<_> = urls.iter().map(|url| url.as_str().unwrap().rsplit('/').next()).collect();
    assert_eq!(paths.len(), 2);
    assert_eq!(paths[0], paths[1], "the same secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named() {
    let bench = Bench::new().await;
    let receiver = Receiver::ok();
    let url = receiver.url();
    for (body, fields) in [
        (json!({}), &["request"][..]),
        (json!({ "request": {} }), &["url"]),
        (json!({ "request": { "url": "ftp://a.example/" } }), &["url"]),
        (json!({ "request": { "url": "{{callback.url}}" } }), &["url"]),
        (json!({ "request": { "url": url, "method": "BREW" } }), &["method"]),
        (
            json!({ "request": { "url": url, "headers": { "Host": "a", "x y": "b" } } }),
            &["host", "x y"],
        ),
        (json!({ "request": { "url": url }, "poll": { "interval": 0 } }), &["interval"]),
        (
            json!({ "request": { "url": url }, "callback": { "application": "a" } }),
            &["application"],
        ),
        (json!({ "request": { "url": url }, "callback": { "kind": "redirect" } }), &["kind"]),
        (json!({ "request": { "url": url }, "callback": { "expiresIn": 0 } }), &["expiresIn"]),
    ] {
        let (status, answer) = bench.call_as(body.clone(), None, &[]).await;
        assert_eq!(status, 422, "{body}: {answer}");
        for field in fields {
            assert!(answer.to_string().contains(field), "{field} is not in {answer}");
        }
    }
    let none = json!({ "application": "nobody", "request": { "url": url } });
    let (status, _) = bench.server.call(Method::POST, "/api/v1/call", Some(none)).await;
    assert_eq!(status, 404);
    assert_eq!(receiver.count(), 0);
}
