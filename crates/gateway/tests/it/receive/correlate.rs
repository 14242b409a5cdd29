//! Messages of a source that answer callbacks: whichever came first, proven ones only, each once.

use ringback_domain::source::Fate;

use super::*;

/// A source of GitHub's that answers callbacks by `order`, and a way to make and read them.
struct Shop(Bench);

impl Shop {
    async fn open(options: Value) -> Shop {
        let mut all = json!({ "correlations": [
            { "name": "paid", "reference": "{json.order}", "when": { "body": { "status": "paid" } } },
            { "name": "refused", "reference": "{json.order}", "outcome": "fail",
              "when": { "body": { "status": "refused" } } },
        ] });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        Shop(Bench::new("github", Receiver::ok(), all).await)
    }

    async fn callback(&self, reference: &str) -> String {
        let app = &self.0.app;
        let body = json!({ "application": app, "source": "test", "reference": reference });
        let made = self.0.server.post("/api/v1/callback", body).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// What GitHub would send of an order; the status that it is answered with.
    async fn event(&self, id: &str, order: &str, status: &str) -> u16 {
        let body = json!({ "order": order, "status": status }).to_string();
        self.0.event(&headers(id), &body).await.status
    }

    async fn view(&self, callback: &str) -> Value {
        let path = format!("/api/v1/callback/{callback}/result");
        let (status, view) = self.0.server.call(Method::GET, &path, None).await;
        // 202: it has not ended.
        assert!([200, 202].contains(&status), "{view}");
        view
    }

    async fn status(&self, callback: &str) -> String {
        self.view(callback).await["status"].as_str().unwrap().to_owned()
    }

    /// How many requests the callback has had.
    async fn requests(&self, callback: &str) -> Vec<Value> {
        let path = format!("/api/v1/callback/{callback}/request");
        self.0.server.get(&path).await["data"].as_array().unwrap().clone()
    }
}

fn headers(id: &str) -> [(&str, &str); 3] {
    [("x-github-event", "order"), ("x-github-delivery", id), ("content-type", "application/json")]
}

#[tokio::test]
async fn a_message_answers_the_callback_that_it_is_about() {
    let shop = Shop::open(json!({})).await;
    let (paid, refused, other) =
        (shop.callback("o-1").await, shop.callback("o-2").await, shop.callback("o-3").await);
    assert_eq!(shop.event("a", "o-1", "open").await, 200);
    assert_eq!(shop.status(&paid).await, "pending", "neither rule is about it");
    assert_eq!(shop.event("b", "o-1", "paid").await, 200);
    assert_eq!(shop.event("c", "o-2", "refused").await, 200);
    let view = shop.view(&paid).await;
    assert_eq!(view["status"], "completed");
    assert_eq!(view["result"]["json"], json!({ "order": "o-1", "status": "paid" }));
    assert_eq!(shop.status(&refused).await, "failed");
    assert_eq!(shop.status(&other).await, "pending");
    let request = &shop.requests(&paid).await[0];
    assert_eq!((&request["by"], &request["verdict"]), (&json!("source"), &json!("settled")));
}

#[tokio::test]
async fn a_message_that_came_first_is_remembered() {
    let shop = Shop::open(json!({})).await;
    assert_eq!(shop.event("a", "o-1", "paid").await, 200);
    assert_eq!(shop.event("b", "o-1", "refused").await, 200);
    let callback = shop.callback("o-1").await;
    assert_eq!(shop.status(&callback).await, "completed", "the first one counts");
    assert_eq!(shop.status(&shop.callback("o-2").await).await, "pending");
}

#[tokio::test]
async fn nothing_is_remembered_that_is_not_to_be() {
    let rule = json!({ "name": "paid", "reference": "{json.order}", "lookback": 0 });
    let shop = Shop::open(json!({ "correlations": [rule] })).await;
    assert_eq!(shop.event("a", "o-1", "paid").await, 200);
    let callback = shop.callback("o-1").await;
    assert_eq!(shop.status(&callback).await, "pending");
    assert_eq!(shop.event("b", "o-1", "paid").await, 200);
    assert_eq!(shop.status(&callback).await, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_at_once_meet() {
    let shop = Shop::open(json!({})).await;
    for number in 0..20 {
        let order = format!("o-{number}");
        let (callback, status) =
            tokio::join!(shop.callback(&order), shop.event(&order, &order, "paid"));
        assert_eq!(status, 200);
        assert_eq!(shop.status(&callback).await, "completed", "{order}");
    }
}

#[tokio::test]
async fn what_was_not_proven_answers_nothing() {
    let shop = Shop::open(json!({ "enforce": false })).await;
    let callback = shop.callback("o-1").await;
    let body = json!({ "order": "o-1", "status": "paid" }).to_string();
    let forged = shop.0.event_signed_at(now(), "another secret", &headers("a"), &body).await;
    assert_eq!(forged.status, 200, "it is only observed");
    assert_eq!(shop.status(&callback).await, "pending");
    assert_eq!(shop.event("b", "o-2", "paid").await, 200);
    assert_eq!(shop.0.call(Method::POST, "", &headers("c"), &body).await.status, 200);
    assert_eq!(shop.status(&callback).await, "pending");
    assert_eq!(shop.requests(&callback).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_duplicate_changes_nothing() {
    let shop = Shop::open(json!({})).await;
    let callback = shop.callback("o-1").await;
    for _ in 0..3 {
        assert_eq!(shop.event("a", "o-1", "paid").await, 200);
    }
    assert_eq!(shop.status(&callback).await, "completed");
    let verdicts: Vec<Value> =
        shop.requests(&callback).await.iter().map(|one| one["verdict"].clone()).collect();
    assert_eq!(verdicts.iter().filter(|one| *one == "settled").count(), 1, "{verdicts:?}");
    assert!(verdicts.iter().all(|one| one == "settled" || one == "duplicate"), "{verdicts:?}");
}

#[tokio::test]
async fn what_was_held_back_counts_when_it_is_released() {
    let shop = Shop::open(json!({
        "schemas": { "*": { "required": ["total"] } }, "onViolation": "quarantine",
    }))
    .await;
    let callback = shop.callback("o-1").await;
    assert_eq!(shop.event("a", "o-1", "paid").await, 200);
    assert_eq!(shop.0.last().await.0, Fate::Quarantined.as_str());
    assert_eq!(shop.status(&callback).await, "pending");
    let held = shop.0.requests("").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/ingest/api/v1/source/test/request/{held}/release");
    shop.0.server.post(&path, json!({})).await;
    assert_eq!(shop.status(&callback).await, "completed");
}

#[tokio::test]
async fn each_event_of_a_batch_answers_its_own() {
    let rule = json!({ "name": "confirmed", "reference": "{json.payment}" });
    let options = json!({ "split": true, "correlations": [rule] });
    let shop = Shop(Bench::new("gocardless", Receiver::ok(), options).await);
    let callbacks = [shop.callback("p-1").await, shop.callback("p-2").await];
    let events =
        json!({ "events": [{ "id": "e-1", "payment": "p-1" }, { "id": "e-2", "payment": "p-2" }] });
    let headers = [("content-type", "application/json")];
    assert_eq!(shop.0.event(&headers, &events.to_string()).await.status, 200);
    for (callback, payment) in callbacks.iter().zip(["p-1", "p-2"]) {
        let view = shop.view(callback).await;
        assert_eq!(view["result"]["json"]["payment"], payment, "{view}");
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_meant_is_refused() {
    let shop = Shop::open(json!({})).await;
    for (rule, place) in [
        (json!({ "name": "a", "reference": "{order}" }), "reference"),
        (json!({ "name": "a", "reference": "fixed" }), "reference"),
        (json!({ "name": "a", "reference": "{json.a}", "when": { "a": 1 } }), "when"),
        (json!({ "name": "a", "reference": "{json.a}", "lookback": 604_801 }), "lookback"),
        (json!({ "name": "", "reference": "{json.a}" }), "name"),
    ] {
        let body = json!({ "name": "x", "type": "github", "config": { "secret": SECRET },
            "options": { "correlations": [rule] } });
        let (status, answer) =
            shop.0.server.call(Method::POST, "/ingest/api/v1/source", Some(body)).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(&format!("[0].{place}: ")), "{answer}");
    }
}

/// The process is killed while events are on their way, some of them stored and not answered: whatever
/// was acknowledged has answered its callback, and what comes again does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_has_answered_across_kills() {
    let mut shop = Shop::open(json!({})).await;
    for round in 0..3 {
        let mut callbacks = Vec::new();
        for number in 0..30 {
            let order = format!("o-{round}-{number}");
            callbacks.push((shop.callback(&order).await, order));
        }
        let mut events = tokio::task::JoinSet::new();
        for (callback, order) in callbacks.clone() {
            let (server, path) = (shop.0.server.url.clone(), shop.0.path.clone());
            let body = json!({ "order": order, "status": "paid" }).to_string();
            let mut sent: Vec<(String, String)> =
                headers(&order).map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            sent.extend(signed("github", SECRET, now(), &shop.0.url(), &headers(&order), &body));
            events.spawn(async move {
                let sent: Vec<_> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
                let answer = tried(&server, Method::POST, &path, &sent, body.into()).await;
                answer.filter(|answer| answer.status == 200).map(|_| callback)
            });
        }
        let mut acknowledged = Vec::new();
        while let Some(callback) = events.join_next().await {
            acknowledged.extend(callback.unwrap());
            if acknowledged.len() == 5 {
                shop.0.server.signal(rustix::process::Signal::KILL);
            }
        }
        shop.0.server.wait();
        shop.0.server.restart();
        for callback in acknowledged {
            assert_eq!(shop.status(&callback).await, "completed");
        }
        for (callback, order) in &callbacks {
            assert_eq!(shop.event(order, order, "paid").await, 200);
            assert_eq!(shop.status(callback).await, "completed");
        }
    }
}
