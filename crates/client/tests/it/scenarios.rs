//! Plays the scenarios that all handler libraries share (`clients/scenarios.json`).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use ringback_client::dedupe::{Claim, Dedupe, Memory, Pending};
use ringback_client::{Event, Failure, Receiver, Reject, Reply, Retry};
use serde_json::Value;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::root;

/// A way in.
type Way = fn(Receiver, Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

#[tokio::test]
async fn called() {
    play_all(|receiver, request| Box::pin(async move { receiver.handle(request).await })).await;
}

#[tokio::test]
async fn as_a_service_of_axum() {
    play_all(|receiver, request| {
        let app = axum::Router::new().route_service("/hooks", receiver);
        Box::pin(async move {
            let answer = app.oneshot(request.map(axum::body::Body::from)).await.unwrap();
            let (parts, body) = answer.into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        })
    })
    .await;
}

#[tokio::test]
async fn as_a_layer() {
    play_all(|receiver, request| {
        let inner = tower::service_fn(async |request: Request<Full<Bytes>>| {
            assert!(request.extensions().get::<Event>().is_some());
            let mut answer = Response::new(Full::new(Bytes::new()));
            *answer.status_mut() = http::StatusCode::NO_CONTENT;
            Ok::<_, std::convert::Infallible>(answer)
        });
        Box::pin(async move {
            let service = tower_layer::Layer::layer(&receiver, inner);
            let answer = service.oneshot(request.map(Full::new)).await.unwrap();
            let (parts, body) = answer.into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        })
    })
    .await;
}

async fn play_all(way: Way) {
    let text = std::fs::read_to_string(root().join("clients/scenarios.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    for scenario in file["scenarios"].as_array().unwrap() {
        println!("{}", scenario["name"]);
        Play::new(&file, scenario, way).play(scenario).await;
    }
}

struct Play<'a> {
    file: &'a Value,
    receiver: Receiver,
    seen: Arc<Seen>,
    released: watch::Sender<bool>,
    settled: Arc<Notify>,
    way: Way,
}

#[derive(Default)]
struct Seen {
    called: Mutex<Vec<String>>,
    event: Mutex<Option<Event>>,
    running: AtomicUsize,
    entered: Notify,
}

impl<'a> Play<'a> {
    fn new(file: &'a Value, scenario: &Value, way: Way) -> Self {
        let names = scenario["keys"].as_array().cloned().unwrap_or(vec!["secret".into()]);
        let keys = names.iter().map(|name| file["keys"][name.as_str().unwrap()].as_str().unwrap());
        let now = file["now"].as_i64().unwrap();
        let mut receiver = Receiver::new("ringback", keys).unwrap().clock(move || now);
        if let Some(seconds) = scenario["tolerance"].as_u64() {
            receiver = receiver.tolerance(u32::try_from(seconds).unwrap());
        }
        if let Some(seconds) = scenario["deadline"].as_f64() {
            receiver = receiver.deadline(Duration::from_secs_f64(seconds));
        }
        if let Some(bytes) = scenario["bodyLimit"].as_u64() {
            receiver = receiver.body_limit(usize::try_from(bytes).unwrap());
        }
        if let Some(events) = scenario["maxRunning"].as_u64() {
            receiver = receiver.max_running(u32::try_from(events).unwrap());
        }
        let settled = Arc::new(Notify::new());
        receiver = match scenario["dedupe"].as_str() {
            Some("memory") => receiver
                .dedupe(Watched { memory: Memory::default(), settled: Arc::clone(&settled) }),
            Some("broken") => receiver.dedupe(Broken),
            _ => receiver,
        };
        let (released, _) = watch::channel(false);
        let seen = Arc::new(Seen::default());
        for (kind, behaviour) in scenario["handlers"].as_object().unwrap() {
            receiver = on(receiver, kind, behaviour, &seen, &released);
        }
        Self { file, receiver, seen, released, settled, way }
    }

    async fn play(self, scenario: &Value) {
        let mut under_way: HashMap<&str, JoinSet<Response<Bytes>>> = HashMap::new();
        let mut closing: JoinSet<usize> = JoinSet::new();
        for step in scenario["steps"].as_array().unwrap() {
            self.seen.called.lock().unwrap().clear();
            if let Some(name) = step["send"].as_str() {
                let answer = (self.way)(self.receiver.clone(), self.request(name)).await;
                check(&answer, &step["answer"]);
                self.check_event(&step["event"], name);
            } else if let Some(name) = step["begin"].as_str() {
                let sent = (self.way)(self.receiver.clone(), self.request(name));
                under_way.entry(step["as"].as_str().unwrap()).or_default().spawn(sent);
                self.seen.entered.notified().await;
            } else if let Some(name) = step["finish"].as_str() {
                self.released.send_replace(true);
                let answer = under_way.get_mut(name).unwrap().join_next().await;
                check(&answer.unwrap().unwrap(), &step["answer"]);
            } else if step["release"].as_bool() == Some(true) {
                self.released.send_replace(true);
                self.settled.notified().await;
            } else if step["close"].as_bool() == Some(true) {
                let (begun, begins) = oneshot::channel();
                closing.spawn(close(self.receiver.clone(), Arc::clone(&self.seen), begun));
                begins.await.unwrap();
            } else {
                assert_eq!(step["closed"], true);
                let running = closing.join_next().await.unwrap().unwrap();
                assert_eq!(running, 0, "handlers are under way after the end");
            }
            let called: Vec<String> = self.seen.called.lock().unwrap().clone();
            let expected = step["called"].as_array().cloned().unwrap_or_default();
            assert_eq!(Value::from(called), Value::from(expected), "called at {step}");
        }
    }

    fn request(&self, name: &str) -> Request<Bytes> {
        let given = &self.file["requests"][name];
        let mut request =
            Request::builder().method(given["method"].as_str().unwrap_or("POST")).uri("/hooks");
        for (name, value) in given["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        request.body(Bytes::from(given["body"].as_str().unwrap().to_owned())).unwrap()
    }

    fn check_event(&self, expected: &Value, name: &str) {
        if let Some(kind) = expected["type"].as_str() {
            let event = self.seen.event.lock().unwrap().clone().unwrap();
            assert_eq!(event.kind, kind);
            let id = expected["id"].as_str().unwrap_or(event.id.as_deref().unwrap());
            assert_eq!(event.id.as_deref(), Some(id));
            assert_eq!(event.body, self.file["requests"][name]["body"].as_str().unwrap());
        }
    }
}

/// Begins to close, tells so, and answers how many handlers are under way at the end of it.
async fn close(receiver: Receiver, seen: Arc<Seen>, begun: oneshot::Sender<()>) -> usize {
    let mut closing = Box::pin(receiver.close());
    let mut begun = Some(begun);
    std::future::poll_fn(|context| {
        let state = closing.as_mut().poll(context);
        begun.take().map(|begun| begun.send(()));
        state
    })
    .await;
    seen.running.load(Ordering::SeqCst)
}

fn check(answer: &Response<Bytes>, expected: &Value) {
    let text = String::from_utf8_lossy(answer.body());
    assert_eq!(u64::from(answer.status().as_u16()), expected["status"].as_u64().unwrap(), "{text}");
    let after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
    assert_eq!(after, expected["retryAfter"].as_str());
    if let Some(error) = expected["error"].as_str() {
        assert_eq!(text, error);
    }
    if expected["status"] == 204 {
        assert_eq!(text, "");
    }
}

/// A handler that does what a scenario says.
fn on(
    receiver: Receiver,
    kind: &str,
    behaviour: &Value,
    seen: &Arc<Seen>,
    released: &watch::Sender<bool>,
) -> Receiver {
    let turns = behaviour.as_array().cloned().unwrap_or(vec![behaviour.clone()]);
    let (turns, seen) = (Arc::new(Mutex::new(turns)), Arc::clone(seen));
    let (released, name) = (released.clone(), kind.to_owned());
    let replies = behaviour == "reply";
    let handler = move |event| {
        seen.called.lock().unwrap().push(name.clone());
        *seen.event.lock().unwrap() = Some(event);
        let mut turns = turns.lock().unwrap();
        let turn = if turns.len() > 1 { turns.remove(0) } else { turns[0].clone() };
        let (seen, mut released) = (Arc::clone(&seen), released.subscribe());
        async move {
            seen.running.fetch_add(1, Ordering::SeqCst);
            let end = act(&turn, &seen, &mut released).await;
            seen.running.fetch_sub(1, Ordering::SeqCst);
            end
        }
    };
    if replies {
        receiver.on_reply(kind, move |event| {
            let ending = handler(event);
            async { ending.await.map(|()| Reply::new("done at once")) }
        })
    } else {
        receiver.on(kind, handler)
    }
}

async fn act(
    turn: &Value,
    seen: &Seen,
    released: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    if let Some(seconds) = turn["retry"].as_f64() {
        return Err(Retry::new("not now").after(Duration::from_secs_f64(seconds)).into());
    }
    for act in turn.as_str().unwrap().split(", ") {
        match act {
            "ok" | "reply" => {}
            "wait" => {
                seen.entered.notify_one();
                released.wait_for(|released| *released).await?;
            }
            "fail" => return Err(std::io::Error::other("a mistake of the handler").into()),
            "retry" => return Err(Retry::new("not now").into()),
            "reject" => return Err(Reject::new("not wanted").into()),
            other => panic!("{other}"),
        }
    }
    Ok(())
}

/// A memory that tells when an event was settled.
struct Watched {
    memory: Memory,
    settled: Arc<Notify>,
}

impl Dedupe for Watched {
    fn begin<'a>(&'a self, id: &'a str) -> Pending<'a, Claim> {
        self.memory.begin(id)
    }
    fn done<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        self.told(self.memory.done(id))
    }
    fn forget<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        self.told(self.memory.forget(id))
    }
}

impl Watched {
    fn told<'a>(&'a self, settled: Pending<'a, ()>) -> Pending<'a, ()> {
        Box::pin(async {
            settled.await?;
            self.settled.notify_one();
            Ok(())
        })
    }
}

struct Broken;

impl Dedupe for Broken {
    fn begin<'a>(&'a self, _: &'a str) -> Pending<'a, Claim> {
        Box::pin(async { Err("the store of ids is away".into()) })
    }
    fn done<'a>(&'a self, _: &'a str) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    fn forget<'a>(&'a self, _: &'a str) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
