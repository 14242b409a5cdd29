//! Transformations: what a program of an endpoint's owner makes of its messages.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::{Bench, schedule, text, times, verify};
use crate::support::{Answer, Receiver};

/// Every delivery that cannot be made is settled by then, on a machine that does other things, too:
/// 1.2 s for the program (tests of the sandbox measure that by itself), the rest for all around it.
const SETTLED: Duration = Duration::from_millis(2_500);
/// Of these the median counts: a machine does other things, too.
const ROUNDS: usize = 3;

impl Bench {
    fn transformation(&self, endpoint: &str) -> String {
        self.path(&format!("/endpoint/{endpoint}/transformation"))
    }

    async fn transform(&self, endpoint: &str, change: Value) -> (u16, Value) {
        self.server.call(Method::PATCH, &self.transformation(endpoint), Some(change)).await
    }

    /// An endpoint whose handler does this.
    async fn handling(&self, url: &str, body: &str) -> String {
        let endpoint = self.endpoint(url).await;
        let code = json!({ "code": handler(body) });
        assert_eq!(self.transform(&endpoint, code).await, (204, Value::Null));
        endpoint
    }

    async fn dry_run(&self, endpoint: &str, body: Value) -> Value {
        self.server.post(&format!("{}/dry-run", self.transformation(endpoint)), body).await
    }
}

fn handler(body: &str) -> String {
    format!("function handler(webhook) {{\n  {body}\n}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_program_makes_is_sent_and_signed() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let body = "webhook.payload = { text: `${webhook.eventType} ${webhook.payload.n}`, \
        key: webhook.env.KEY, at: Date.now() };\n  \
        webhook.method = 'PUT'; webhook.url += '/moved?a=1'; \
        webhook.headers['X-Own'] = 'theirs'; webhook.headers['webhook-signature'] = 'v1,made-up'; \
        return webhook";
    let endpoint = bench.handling(&receiver.url(), body).await;
    let headers = json!({ "headers": { "x-own": "the endpoint's", "x-kept": "1" } });
    let path = bench.path(&format!("/endpoint/{endpoint}/headers"));
    assert_eq!(bench.server.call(Method::PUT, &path, Some(headers)).await.0, 204);
    let variables = json!({ "variables": { "KEY": "made-up" } });
    assert_eq!(bench.transform(&endpoint, variables).await.0, 204);
    let plain = bench.endpoint(&receiver.url()).await;

    let message = json!({ "eventType": "paid", "payload": { "n": 7 } });
    let message = bench.send_as(message).await;
    let receipts = receiver.wait_for(2);
    let moved = |receipt: &&_| crate::support::Receipt::header(receipt, "x-own") == "theirs";
    let receipt = receipts.iter().find(moved).unwrap();
    assert_eq!((&receipt.method, receipt.query.as_str()), (&Method::PUT, "a=1"));
    assert!(receipt.path.ends_with("/moved"), "{}", receipt.path);
    assert_eq!(
        (receipt.header("x-kept"), receipt.header("content-type")),
        ("1", "application/json")
    );
    let sent: Value = serde_json::from_slice(&receipt.body).unwrap();
    assert_eq!((&sent["text"], &sent["key"]), (&json!("paid 7"), &json!("made-up")));
    // Acceptance case 25: the signature is ours, over what was sent.
    assert_eq!(verify(&bench.secret(&endpoint).await, receipt).unwrap(), message);
    let other = receipts.iter().find(|receipt| receipt.header("x-own").is_empty()).unwrap();
    assert_eq!(other.body, r#"{"n":7}"#, "another endpoint gets the message as it is");
    verify(&bench.secret(&plain).await, other).unwrap();

    // Switched off, it is kept; gone, nothing is left of it.
    let shown = async || bench.server.get(&bench.transformation(&endpoint)).await;
    let there = shown().await;
    assert_eq!(
        (&there["enabled"], &there["variables"]),
        (&json!(true), &json!({"KEY": "made-up"}))
    );
    assert_eq!(there["code"], handler(body));
    assert_eq!(bench.transform(&endpoint, json!({ "enabled": false })).await.0, 204);
    let message = bench.send("paid").await;
    bench.explained(&message, &endpoint, "delivered", "success").await;
    let receipts = receiver.wait_for(4);
    assert!(receipts[2..].iter().all(|receipt| receipt.method == Method::POST));
    assert_eq!(bench.transform(&endpoint, json!({ "code": null })).await.0, 204);
    assert_eq!((&shown().await["code"], &shown().await["enabled"]), (&Value::Null, &json!(false)));
}

/// Acceptance case 22.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_22_a_program_cancels() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let body = "webhook.cancel = webhook.payload.type === 'unwanted'; return webhook";
    let endpoint = bench.handling(&receiver.url(), body).await;
    let unwanted = bench.send("unwanted").await;
    let wanted = bench.send("wanted").await;
    bench.explained(&wanted, &endpoint, "delivered", "success").await;
    bench.explained(&unwanted, &endpoint, "not_sent", "transform_canceled").await;
    let attempt = &bench.attempts(&unwanted, 1).await[0];
    assert_eq!((&attempt["reason"], &attempt["status"]), (&json!("canceled"), &json!(0)));
    assert_eq!(times(&receiver, &[&unwanted, &wanted]), [0, 1]);
}

/// Acceptance cases 23 and 24, through the whole server: whatever the program does, its delivery is
/// settled in time with the reason, nothing is sent, and lanes beside it are as quick as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_23_case_24_a_hostile_program_harms_nobody() {
    let (receiver, live) = (Receiver::ok(), Receiver::ok());
    let bench = Bench::new(schedule("3600")).await;
    let beside = bench.server.application(&live.url()).await.0;
    let messages = format!("/api/v1/app/{beside}/msg");
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(p99(&bench, &messages, &live, 60).await);
    }

    let mut settled = Vec::new();
    let hostile = [
        ("while (true) {}", "did not end"),
        ("return new Array(1e9) + ''", "did not end"),
        ("return /(a+)+$/.test('a'.repeat(40) + '!')", "did not end"),
        ("let a = 3n ** 200000n, b; for (;;) b = a * a", "did not end"),
        ("return new RegExp('[\\\\p{L}\\\\P{L}]'.repeat(300000), 'v')", "did not end"),
        ("return new ArrayBuffer(1 << 30)", "more than 32 MiB"),
        ("return handler(webhook)", "Maximum call stack size exceeded (line 2, column "),
    ];
    let mistaken = [
        ("throw new Error('on purpose')", "Error: on purpose (line 2, column "),
        ("return webhook.payload.a.b", "TypeError: cannot read property 'b' of undefined"),
    ];
    for (body, says) in hostile.into_iter().chain(mistaken) {
        let endpoint = bench.handling(&receiver.url(), body).await;
        let begun = Instant::now();
        let message = bench.send("a.b").await;
        let line = bench.explained(&message, &endpoint, "failed", "transform_error").await;
        assert!(begun.elapsed() < SETTLED, "{body}: {:?}", begun.elapsed());
        let last = &line["lastAttempt"];
        assert_eq!(
            (&last["failedPhase"], &last["responseStatusCode"]),
            (&json!("transform"), &json!(0))
        );
        let attempts = bench.attempts(&message, 1).await;
        let said = attempts.iter().find(|it| it["endpointId"] == endpoint.as_str()).unwrap();
        assert!(text(&said["response"]).contains(says), "{body}: {said}");
        settled.push(body);
        // It is the program's fault, not the endpoint's.
        assert_eq!(bench.get_endpoint(&endpoint).await["failingSince"], Value::Null);
        let path = bench.path(&format!("/endpoint/{endpoint}"));
        assert_eq!(bench.server.call(Method::DELETE, &path, None).await.0, 204);
    }
    assert_eq!((settled.len(), receiver.count()), (9, 0));

    // All of them at once, with more messages than can be served.
    for (body, _) in hostile {
        bench.handling(&receiver.url(), body).await;
    }
    let mut with = Vec::new();
    for _ in 0..ROUNDS {
        for _ in 0..10 {
            bench.send("a.b").await;
        }
        with.push(p99(&bench, &messages, &live, 60).await);
    }
    let [alone, with] = [alone, with].map(|mut rounds| {
        rounds.sort();
        rounds[ROUNDS / 2]
    });
    println!(
        "p99 of a lane: {alone:?} alone, {with:?} beside hostile programs, ratio {:.2}",
        with.as_secs_f64() / alone.as_secs_f64()
    );
    assert!(with < Duration::from_millis(500).max(alone * 4), "{with:?}, alone {alone:?}");
    assert_eq!(receiver.count(), 0);
    let metrics = bench.server.metrics().await;
    assert!(metrics.contains("ringback_transforms_total{failed=\"timeout\"}"), "{metrics}");
}

/// From a message's post to its arrival, the slowest but one of so many.
async fn p99(bench: &Bench, path: &str, live: &Receiver, messages: usize) -> Duration {
    let before = live.count();
    let mut posted = Vec::new();
    let mut ticks = interval(Duration::from_millis(50));
    for _ in 0..messages {
        ticks.tick().await;
        let at = Instant::now();
        let message = json!({ "eventType": "live", "payload": { "n": 1 } });
        posted.push((text(&bench.server.post(path, message).await["id"]), at));
    }
    live.arrived(before + messages).await;
    let receipts = live.receipts();
    let mut took: Vec<Duration> = posted
        .iter()
        .map(|(id, at)| {
            let receipt = receipts.iter().find(|receipt| receipt.id() == id).unwrap();
            receipt.at.duration_since(*at)
        })
        .collect();
    took.sort();
    took[took.len() - 2]
}

/// Acceptance case 25: wherever a program sends a message, the guard judges the address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_25_a_program_cannot_send_where_nobody_may() {
    let receiver = Receiver::ok();
    let inside = Receiver::at("127.0.0.9:0".parse().unwrap(), |_, _| Answer::status(204));
    let settings = schedule("3600").env("RINGBACK_DELIVERY_DENY_CIDRS", "127.0.0.9/32");
    let bench = Bench::new(settings).await;
    let send_to = |url: &str| format!("webhook.url = {}; return webhook", json!(url));
    for (url, reason) in [
        (inside.url(), "refused_by_policy"),
        ("file:///etc/hostname".to_owned(), "transform_error"),
        ("http://ada:made-up@example.com/".to_owned(), "transform_error"),
    ] {
        let endpoint = bench.handling(&receiver.url(), &send_to(&url)).await;
        let message = bench.send("a.b").await;
        let attempts = bench.attempts(&message, 1).await;
        let attempt = attempts.iter().find(|it| it["endpointId"] == endpoint.as_str()).unwrap();
        assert_eq!(attempt["reason"], reason, "{url}: {attempt}");
        let path = bench.path(&format!("/endpoint/{endpoint}"));
        assert_eq!(bench.server.call(Method::DELETE, &path, None).await.0, 204);
    }
    assert_eq!((receiver.count(), inside.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_throws_is_kept_as_far_as_people_read() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    bench.handling(&receiver.url(), "throw new Error('é'.repeat(1000000))").await;
    let message = bench.send("a.b").await;
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert_eq!(attempt["reason"], "transform_error", "{attempt}");
    let response = text(&attempt["response"]);
    assert!(response.contains("éééé") && response.len() <= 2 * 1024, "{} bytes", response.len());
}

/// What was made of a message is sent again as it was, whatever the program is by then; a resend by
/// hand goes through the program as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_again_is_what_was_sent_first() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let mut bench = Bench::new(schedule("2,3600")).await;
    let first = "webhook.payload = { made: 'first', dice: Math.random() }; webhook.method = 'PUT'; \
        webhook.url += '/first'; webhook.headers['x-made'] = 'first'; return webhook";
    let endpoint = bench.handling(&receiver.url(), first).await;
    let message = bench.send("a.b").await;
    receiver.wait_for(1);
    bench.attempts(&message, 1).await;
    let second = handler("webhook.payload = { made: 'second' }; return webhook");
    assert_eq!(bench.transform(&endpoint, json!({ "code": second })).await.0, 204);
    // What is kept is in the store.
    bench.server.kill();
    bench.server.restart();
    let receipts = receiver.wait_for(2);
    assert_eq!(receipts[0].body, receipts[1].body);
    assert_eq!((&receipts[1].method, receipts[1].header("x-made")), (&Method::PUT, "first"));
    assert_eq!(receipts[0].path, receipts[1].path);
    verify(&bench.secret(&endpoint).await, &receipts[1]).unwrap();
    bench.explained(&message, &endpoint, "delivered", "success").await;
    assert_eq!(bench.resend(&message, &endpoint).await.0, 202);
    assert_eq!(receiver.wait_for(3)[2].body, r#"{"made":"second"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_makes_its_request_of_what_the_program_made() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let config = json!({ "url": receiver.url(), "fields": { "text": "{{ body.text }}" } });
    let made = json!({ "type": "slack", "config": config });
    let made = bench.server.post(&bench.path("/destination"), made).await;
    let path = bench.path(&format!("/destination/{}/transformation", text(&made["id"])));
    let code = handler("webhook.payload = { text: `${webhook.payload.n} made` }; return webhook");
    let change = json!({ "code": code });
    assert_eq!(bench.server.call(Method::PATCH, &path, Some(change)).await, (200, json!({})));
    assert_eq!(bench.server.get(&path).await["enabled"], true);
    bench.send_as(json!({ "eventType": "a.b", "payload": { "n": 7 } })).await;
    assert_eq!(receiver.wait_for(1)[0].body, r#"{"text":"7 made"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_program_is_said_before_it_is_saved() {
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint("https://example.com/hook").await;
    for (code, says) in [
        ("function handler(w) {\n  return w..a\n}", "(line 2, column "),
        ("let a = 1", "the program defines no function handler(webhook)"),
        ("while (true) {}", "did not end"),
    ] {
        let (status, answer) = bench.transform(&endpoint, json!({ "code": code })).await;
        let problem = &answer["detail"][0];
        assert_eq!((status, &problem["loc"]), (422, &json!(["body", "code"])), "{answer}");
        assert!(text(&problem["msg"]).contains(says), "{code}: {answer}");
    }
    let many: Value = (0..65).map(|n| (format!("v{n}"), json!(""))).collect();
    let (status, answer) = bench.transform(&endpoint, json!({ "variables": many })).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "variables"])));
    let shown = bench.server.get(&bench.transformation(&endpoint)).await;
    assert_eq!(
        shown,
        json!({ "code": null, "enabled": false, "variables": {}, "updatedAt": null }),
        "nothing of it was saved"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_what_would_be_sent() {
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint("https://example.com/hook").await;
    let with = |code: &str| json!({ "eventType": "a.b", "payload": { "n": 7 }, "code": code });
    let code = handler(
        "console.log('n is', webhook.payload.n); webhook.headers = { 'x-a': 1, host: 'h' }; \
         webhook.payload.n++; return webhook",
    );
    let ran = bench.dry_run(&endpoint, with(&code)).await;
    assert_eq!(
        ran["request"],
        json!({ "method": "POST", "url": "https://example.com/hook", "body": "{\"n\":8}",
            "headers": { "content-type": "application/json", "x-a": "1" } })
    );
    assert_eq!(ran["log"], "n is 7\nleft out: the header host cannot be set\n");
    assert_eq!((&ran["canceled"], &ran["problem"]), (&json!(false), &Value::Null));
    let ran = bench.dry_run(&endpoint, with(&handler("return { cancel: true }"))).await;
    assert_eq!((&ran["canceled"], &ran["request"]), (&json!(true), &Value::Null));
    let ran = bench.dry_run(&endpoint, with(&handler("return nowhere"))).await;
    let problem = text(&ran["problem"]);
    assert_eq!(problem, "ReferenceError: nowhere is not defined (line 2, column 10)");
    let path = format!("{}/dry-run", bench.transformation(&endpoint));
    let none = json!({ "eventType": "a.b", "payload": {} });
    let (status, answer) = bench.server.call(Method::POST, &path, Some(none)).await;
    assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "code"])), "{answer}");
}
