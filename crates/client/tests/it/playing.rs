//! Plays the steps of the scenarios of callbacks that all clients share (`clients/callbacks.json`),
//! against whatever stands behind a gateway. The gateway's own tests play them against a real server.

use std::collections::HashMap;
use std::sync::Arc;

use ringback_client::callback::{
    Body, Callback, Error, Event, Gateway, Happened, NewCall, NewCallback,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a scenario's steps want beside the client.
pub(crate) trait Outside {
    /// Posts as the other side does; the status.
    fn post(&mut self, url: &str, content_type: &str, body: &str) -> impl Future<Output = u16>;
    /// Where the server is.
    fn url(&self) -> String;
    /// Kills the server, or starts it again where it was.
    fn server(&mut self, what: &str) -> impl Future<Output = ()>;
}

/// The scenarios of this kind: `live` or `scripted`.
pub(crate) fn scenarios(root: &std::path::Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root.join("clients/callbacks.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    match file[kind].take() {
        Value::Array(scenarios) => scenarios,
        other => panic!("{kind}: {other}"),
    }
}

/// How a wait ended.
type Ended = Result<Value, Error>;

pub(crate) struct Play<'a> {
    scenario: &'a Value,
    gateway: Gateway,
    callback: Callback,
    waiting: HashMap<&'a str, JoinSet<Ended>>,
    /// What the handlers have heard, in order.
    heard: Arc<watch::Sender<Vec<Value>>>,
    following: JoinSet<Result<(), Error>>,
}

impl<'a> Play<'a> {
    pub(crate) fn new(scenario: &'a Value, gateway: Gateway) -> Self {
        let callback = gateway.attach("cb_1");
        let (heard, following) = (Arc::new(watch::Sender::default()), JoinSet::new());
        Self { scenario, gateway, callback, waiting: HashMap::new(), heard, following }
    }

    pub(crate) async fn all(&mut self, outside: &mut impl Outside) {
        println!("{}", self.scenario["name"]);
        for step in self.scenario["steps"].as_array().unwrap() {
            self.step(step, outside).await;
        }
    }

    /// Makes the callback that a live scenario is about.
    pub(crate) async fn create(&mut self) -> Result<(), Error> {
        let create = &self.scenario["create"];
        let made: Callback = self
            .gateway
            .callback(NewCallback {
                idempotency_key: self.scenario["name"].as_str().map(|name| name.replace(' ', "-")),
                expires_in: create["expiresIn"].as_u64(),
                mode: create["mode"].as_str().map(str::to_owned),
                max_items: create["maxItems"].as_u64().map(|items| items as u32),
                ..NewCallback::of("acme")
            })
            .await?;
        if !self.callback.url().is_empty() {
            let pair = |callback: &Callback| (callback.id().to_owned(), callback.url().to_owned());
            assert_eq!(pair(&made), pair(&self.callback), "the same key is the same callback");
        }
        self.callback = made;
        Ok(())
    }

    async fn step(&mut self, step: &'a Value, outside: &mut impl Outside) {
        if let Some(act) = step["do"].as_str() {
            let done = self.act(act, step, outside).await;
            match step["error"].as_str() {
                None => done.unwrap(),
                Some(error) => assert_eq!(done.as_ref().err().map(name_of), Some(error)),
            }
        } else if let Some(path) = step["post"].as_str() {
            let (content_type, body) = content(step);
            let url = format!("{}{path}", self.callback.url());
            assert_eq!(json!(outside.post(&url, content_type, &body).await), step["status"]);
        } else if let Some(expected) = step.get("wait") {
            check(self.callback.wait().await, expected);
        } else if let Some(name) = step["begin"].as_str() {
            for _ in 0..step["times"].as_u64().unwrap() {
                let callback = self.callback.clone();
                let waits = self.waiting.entry(name).or_default();
                waits.spawn(async move { callback.wait().await });
            }
            // Each asks.
            tokio::task::yield_now().await;
        } else if let Some(name) = step["finish"].as_str() {
            let waits = self.waiting.remove(name).unwrap();
            waits.join_all().await.into_iter().for_each(|ended| check(ended, &step["ends"]));
        } else if let Some(name) = step["drop"].as_str() {
            self.waiting.remove(name).unwrap().shutdown().await;
        } else if let Some(kinds) = step["on"].as_array() {
            self.follow(kinds.iter().map(|kind| serde_json::from_value(kind.clone()).unwrap()));
        } else if let Some(count) = step["heard"].as_u64() {
            let mut heard = self.heard.subscribe();
            heard.wait_for(|heard| heard.len() as u64 >= count).await.unwrap();
        } else if let Some(called) = step.get("called") {
            self.following.join_next().await.unwrap().unwrap().unwrap();
            assert_eq!(json!(*self.heard.borrow()), *called);
        } else if let Some(request) = step.get("call") {
            let expires_in = step["callback"]["expiresIn"].as_u64();
            let mut request = request.clone();
            let url = request["url"].as_str().unwrap().replace("http://server", &outside.url());
            request["url"] = url.into();
            let call = NewCall {
                application: "acme".to_owned(),
                request,
                callback: NewCallback { expires_in, ..NewCallback::default() },
                ..NewCall::default()
            };
            check(self.gateway.call(call).await, &step["ends"]);
        } else {
            outside.server(step["server"].as_str().unwrap()).await;
        }
    }

    fn follow(&mut self, kinds: impl Iterator<Item = Happened>) {
        let handler = |heard: &Arc<watch::Sender<Vec<Value>>>| {
            let heard = Arc::clone(heard);
            move |event: Event| {
                let heard = Arc::clone(&heard);
                async move {
                    heard.send_modify(|heard| heard.push(json!([event.happened, event.value])));
                }
            }
        };
        let mut kinds = kinds;
        let first = self.callback.on(kinds.next().unwrap(), handler(&self.heard));
        let following =
            kinds.fold(first, |following, kind| following.on(kind, handler(&self.heard)));
        self.following.spawn(following.into_future());
    }

    async fn act(
        &mut self,
        act: &str,
        step: &Value,
        outside: &mut impl Outside,
    ) -> Result<(), Error> {
        let body = || Body::from(step["json"].clone());
        match act {
            "create" => return self.create().await,
            "attach" => self.callback = self.gateway.attach(self.callback.id()),
            "rotate" => {
                let rotated = self.callback.rotate().await?;
                assert_ne!(rotated.url(), self.callback.url());
                assert_eq!(outside.post(self.callback.url(), "text/plain", "").await, 404);
                self.callback = rotated;
            }
            "extend" => self.callback.extend(step["seconds"].as_u64().unwrap()).await?,
            "complete" => self.callback.complete(body()).await?,
            "item" => self.callback.item(body()).await?,
            "fail" => self.callback.fail(body()).await?,
            "cancel" => self.callback.cancel().await?,
            "end" => self.callback.end().await?,
            other => panic!("{other}"),
        }
        Ok(())
    }
}

/// A body that a step sends, and what it is.
fn content(step: &Value) -> (&'static str, String) {
    if let Some(json) = step.get("json") {
        return ("application/json", json.to_string());
    }
    if let Some(size) = step["large"].as_u64() {
        return ("application/json", large(size).to_string());
    }
    match (step["text"].as_str(), step["form"].as_str()) {
        (Some(text), _) => ("text/plain", text.to_owned()),
        (_, Some(form)) => ("application/x-www-form-urlencoded", form.to_owned()),
        _ => ("text/plain", String::new()),
    }
}

fn large(size: u64) -> Value {
    Value::String("x".repeat(usize::try_from(size).unwrap()))
}

fn check(ended: Ended, expected: &Value) {
    match (ended, expected["error"].as_str()) {
        (Ok(answer), None) => {
            let size = expected["large"].as_u64();
            assert_eq!(answer, size.map_or_else(|| expected["answer"].clone(), large));
        }
        (Err(error), Some(name)) => {
            assert_eq!(name_of(&error), name, "{error}");
            if let (Error::Failed(body), Some(expected)) = (&error, expected.get("body")) {
                assert_eq!(body, expected);
            }
        }
        (ended, _) => panic!("{ended:?}, expected {expected}"),
    }
}

fn name_of(error: &Error) -> &'static str {
    match error {
        Error::Expired => "expired",
        Error::Canceled => "canceled",
        Error::Failed(_) => "failed",
        Error::Conflict(_) => "conflict",
        Error::Unavailable(_) => "unavailable",
        Error::Refused { .. } => "refused",
        Error::Shape(_) => "shape",
        Error::Setup(_) => "setup",
    }
}
