//! What is replied to whoever calls a URL, and what becomes of it.

use super::*;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn told(status: u16, verdict: &str, state: &str) -> (u16, String, String) {
    (status, verdict.to_owned(), state.to_owned())
}

fn kept(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    all.iter()
        .map(|(act, fate, why)| (act.to_string(), fate.to_string(), why.to_string()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_counts_and_everything_is_kept() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"reference": "order-17"})).await;
    let fail = format!("{}/fail", one.path);
    let progress = format!("{}/progress?step=1", one.path);
    let heartbeat = format!("{}/heartbeat", one.path);
    assert_eq!(
        bench.post(&progress, r#"{"percent":40}"#).await.told(),
        told(200, "noted", "pending")
    );
    assert_eq!(bench.post(&heartbeat, "").await.told(), told(200, "noted", "pending"));
    let answer = r#"{"ok":true}"#;
    assert_eq!(bench.post(&one.path, answer).await.told(), told(200, "settled", "completed"));
    assert_eq!(bench.post(&one.path, answer).await.told(), told(200, "duplicate", "completed"));
    assert_eq!(
        bench.post(&one.path, r#"{"ok":false}"#).await.told(),
        told(409, "conflict", "completed")
    );
    assert_eq!(bench.post(&fail, answer).await.told(), told(409, "conflict", "completed"));
    assert_eq!(bench.post(&heartbeat, "").await.told(), told(410, "late", "completed"));
    assert_eq!(
        bench.requests(&one).await,
        kept(&[
            ("progress", "noted", ""),
            ("heartbeat", "noted", ""),
            ("complete", "settled", ""),
            ("complete", "duplicate", ""),
            ("complete", "conflict", ""),
            ("fail", "conflict", ""),
            ("heartbeat", "late", ""),
        ])
    );
    let told = bench.told(5);
    let types: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    let expect = [
        "callback.completed",
        "callback.conflict",
        "callback.conflict",
        "callback.created",
        "callback.progress",
    ];
    assert_eq!(types, expect);
    assert_eq!(told[0].1["result"]["json"], json!({"ok": true}));
    assert_eq!(told[0].1["reference"], "order-17");
    assert_eq!(told[4].1["body"]["json"], json!({"percent": 40}));
    let shown = bench.shown(&one).await;
    assert_eq!((&shown["status"], &shown["requests"]), (&json!("completed"), &json!(7)));
    // One request as a whole: no secret in it.
    let path = format!("/api/v1/callback/{}/request", one.id);
    let listed = bench.server.get(&format!("{path}?order=ascending&limit=1")).await;
    let first =
        bench.server.get(&format!("{path}/{}", listed["data"][0]["id"].as_str().unwrap())).await;
    assert_eq!((&first["method"], &first["target"]), (&json!("POST"), &json!("/progress?step=1")));
    assert_eq!(first["body"]["json"], json!({"percent": 40}));
    assert!(!first.to_string().contains(&one.path[4..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_kept_as_it_came() {
    let bench = Bench::new().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (headers, body, field, expect) in [
        (&form[..], "a=1&b=%20&a=2", "form", json!({"a": ["1", "2"], "b": " "})),
        (&[("content-type", "text/plain")], "RECEIVEOK", "text", json!("RECEIVEOK")),
        (&[], r#"{"no":"type"}"#, "json", json!({"no": "type"})),
        (&JSON, "{broken", "text", json!("{broken")),
        (&[], "", "text", json!("")),
    ] {
        let one = bench.made(json!({})).await;
        assert_eq!(bench.call(Method::POST, &one.path, headers, body).await.status, 200);
        let result = bench.server.get(&format!("/api/v1/callback/{}/result", one.id)).await;
        assert_eq!(result["result"][field], expect, "{result}");
        assert_eq!(result["result"]["size"], body.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_an_end_and_what_is_canceled_is_said() {
    let bench = Bench::new().await;
    let failed = bench.made(json!({})).await;
    let path = format!("{}/fail", failed.path);
    assert_eq!(bench.post(&path, r#""out of paper""#).await.told(), told(200, "settled", "failed"));
    let canceled = bench.made(json!({})).await;
    bench.server.post(&format!("/api/v1/callback/{}/cancel", canceled.id), json!({})).await;
    for verb in ["", "/fail", "/progress", "/heartbeat"] {
        let path = format!("{}{verb}", canceled.path);
        assert_eq!(bench.post(&path, "{}").await.told(), told(410, "late", "canceled"), "{verb}");
    }
    let types: Vec<_> = bench.told(6).into_iter().map(|(kind, _)| kind).collect();
    let expect = [
        "callback.canceled",
        "callback.created",
        "callback.created",
        "callback.failed",
        "callback.late",
        "callback.late",
    ];
    assert_eq!(types, expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_items_until_it_is_full_or_closed() {
    let bench = Bench::new().await;
    let full = bench.made(json!({"mode": "stream", "maxItems": 2})).await;
    assert_eq!(bench.post(&full.path, "1").await.told(), told(200, "item", "pending"));
    assert_eq!(bench.post(&full.path, "1").await.told(), told(200, "settled", "completed"));
    let closed = bench.made(json!({"mode": "stream"})).await;
    bench.post(&closed.path, "1").await;
    let close = format!("{}/close", closed.path);
    assert_eq!(bench.post(&close, "").await.told(), told(200, "settled", "completed"));
    assert_eq!(bench.post(&close, "").await.told(), told(200, "duplicate", "completed"));
    let single = bench.made(json!({})).await;
    let refused = bench.post(&format!("{}/close", single.path), "").await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (400, json!("not_a_stream")));
    assert_eq!(bench.shown(&single).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_may_answer_by_other_methods() {
    let bench = Bench::new().await;
    let acknowledge = json!({"contentType": "application/json", "body": r#"{"RspCode":"00"}"#});
    let ipn = bench.made(json!({"methods": ["GET"], "acknowledge": acknowledge})).await;
    // Who only looks does not answer.
    assert_eq!(bench.call(Method::HEAD, &ipn.path, &[], "").await.status, 204);
    let prefetch = [("sec-purpose", "prefetch")];
    assert_eq!(bench.call(Method::GET, &ipn.path, &prefetch, "").await.status, 204);
    let options = bench.call(Method::OPTIONS, &ipn.path, &[], "").await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    let refused = bench.post(&ipn.path, "{}").await;
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(bench.shown(&ipn).await["status"], "pending");
    let path = format!("{}?vnp_TxnRef=17&vnp_Amount=5", ipn.path);
    for verdict in ["settled", "duplicate"] {
        let answered = bench.call(Method::GET, &path, &[], "").await;
        assert_eq!((answered.status, answered.text()), (200, r#"{"RspCode":"00"}"#));
        assert_eq!(answered.header("callback-status"), verdict);
        assert_eq!(answered.header("content-type"), "application/json");
    }
    let result = bench.server.get(&format!("/api/v1/callback/{}/result", ipn.id)).await;
    assert_eq!(result["result"]["form"], json!({"vnp_TxnRef": "17", "vnp_Amount": "5"}));
    // Another query is another answer.
    let other = bench.call(Method::GET, &format!("{}?a=b", ipn.path), &[], "").await;
    assert_eq!(other.told(), told(409, "conflict", "completed"));
    let put = bench.made(json!({"methods": ["PUT", "DELETE"]})).await;
    assert_eq!(bench.call(Method::GET, &put.path, &[], "").await.status, 405);
    assert_eq!(bench.call(Method::PUT, &put.path, &[], "1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_a_schema_say_what_an_answer_is() {
    let bench = Bench::new().await;
    let one = bench
        .made(json!({
            "schema": {"type": "object", "required": ["output"]},
            "successWhen": {"body": {"status": "succeeded"}},
            "failureWhen": {"body": {"status": {"$in": ["failed", "canceled"]}}},
        }))
        .await;
    let post = async |body: &str| bench.post(&one.path, body).await;
    assert_eq!(post(r#"{"status":"starting"}"#).await.told(), told(200, "noted", "pending"));
    let refused = post(r#"{"status":"succeeded"}"#).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (422, json!("schema_invalid")));
    assert_eq!(refused.json()["status"], "pending");
    assert!(refused.json()["errors"][0]["detail"].as_str().unwrap().contains("output"));
    assert_eq!(bench.shown(&one).await["status"], "pending");
    let answer = r#"{"status":"succeeded","output":1}"#;
    assert_eq!(post(answer).await.told(), told(200, "settled", "completed"));
    // After the end a broken answer is another answer.
    assert_eq!(post(r#"{"status":"succeeded"}"#).await.told(), told(409, "conflict", "completed"));
    assert_eq!(
        bench.requests(&one).await,
        kept(&[
            ("progress", "noted", ""),
            ("complete", "refused", "schema_invalid"),
            ("complete", "settled", ""),
            ("complete", "conflict", ""),
        ])
    );
    let other = bench.made(json!({"failureWhen": {"body": {"error": {"$exist": true}}}})).await;
    assert_eq!(
        bench.post(&other.path, r#"{"error":1}"#).await.told(),
        told(200, "settled", "failed")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opens_nothing_is_nothing() {
    let bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    let two = bench.made(json!({})).await;
    let swapped = format!("{}{}", &one.path[..4 + 27], &two.path[4 + 27..]);
    let last = if one.path.ends_with('A') { "E" } else { "A" };
    let wrong = format!("{}{last}", &one.path[..one.path.len() - 1]);
    bench.server.post(&format!("/api/v1/callback/{}/rotate", two.id), json!({})).await;
    let mut answers = Vec::new();
    for path in [
        swapped,
        wrong,
        two.path.clone(),
        "/cb/".to_owned(),
        "/cb/nobody".to_owned(),
        format!("/cb/{}", one.wait_token),
        format!("{}/other", one.path),
        format!("/wait/{}", &one.path[4..]),
        format!("/wait/{}", two.wait_token),
    ] {
        let method = if path.starts_with("/wait") { Method::GET } else { Method::POST };
        let answered = bench.call(method, &path, &[], "{}").await;
        assert_eq!(answered.status, 404, "{path}");
        answers.push(answered.text().to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(bench.requests(&one).await, []);
    // Nothing of it is in the way of the right one.
    assert_eq!(bench.post(&one.path, "{}").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_turned_away() {
    let settings = Settings::default()
        .env("RINGBACK_LIMITS_BODY_BYTES", "2048")
        .env("RINGBACK_CALLBACK_REQUESTS_PER_URL", "3");
    let bench = Bench::on(settings).await;
    let one = bench.made(json!({})).await;
    assert_eq!(bench.post(&one.path, &"x".repeat(3000)).await.status, 413);
    let heartbeat = format!("{}/heartbeat", one.path);
    let mut last = bench.post(&heartbeat, "").await;
    // Three a second: whoever does not wait meets the limit.
    for _ in 0..20 {
        if last.status == 429 {
            break;
        }
        last = bench.post(&heartbeat, "").await;
    }
    assert_eq!((last.status, last.header("retry-after")), (429, "1"));
    assert_eq!(bench.shown(&one).await["status"], "pending");
    // Another URL has its own.
    let two = bench.made(json!({})).await;
    assert_eq!(bench.post(&two.path, "{}").await.status, 200);
    assert_eq!(bench.requests(&one).await[0].2, "too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_guesses_is_slowed_down() {
    let settings = Settings::default().env("RINGBACK_CALLBACK_REQUESTS_PER_ADDRESS", "3");
    let bench = Bench::on(settings).await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 30 {
        statuses.push(bench.post("/cb/guess", "").await.status);
    }
    assert_eq!((statuses[0], statuses.last()), (404, Some(&429)), "{statuses:?}");
}
