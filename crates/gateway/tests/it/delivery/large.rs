//! Payloads that are too large for a request: receivers fetch them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::Method;
use ringback_domain::time::Timestamp;
use serde_json::{Value, json};

use super::{Bench, eventually, schedule, text, verify};
use crate::support::{Answer, Answered, Receiver, Settings, call};

/// A server that keeps large payloads in a directory of its own.
struct Kept {
    bench: Bench,
    directory: PathBuf,
    _above: tempfile::TempDir,
}

/// What URLs begin with; the test asks the server itself.
const PUBLIC: &str = "https://hooks.example.com";

impl Kept {
    async fn new(settings: Settings) -> Kept {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("payloads");
        let url = format!("file://{}", directory.display());
        let settings =
            settings.env("RINGBACK_PUBLIC_URL", PUBLIC).env("RINGBACK_PAYLOADS_STORE", &url);
        Kept { bench: Bench::new(settings).await, directory, _above: above }
    }

    /// What the server answers at a URL that it gave out.
    async fn fetch(&self, url: &str) -> Answered {
        let path = url.strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{url} is elsewhere"));
        call(&self.bench.server.url, Method::GET, path, &[], Bytes::new()).await
    }

    /// Everything that is kept.
    fn files(&self) -> Vec<PathBuf> {
        let below = |directory: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        below(&self.directory).iter().flat_map(|hour| below(hour)).collect()
    }
}

fn large() -> Value {
    json!({ "eventType": "big.thing", "payload": { "text": "0123456789".repeat(500) } })
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_payload_is_fetched_and_a_small_one_is_sent() {
    let kept = Kept::new(Settings::default()).await;
    let bench = &kept.bench;
    let receiver = Receiver::ok();
    let wanted = json!({ "url": receiver.url(), "delivery": { "largeOver": 1000 } });
    let endpoint = bench.endpoint_with(wanted).await;
    let plain = Receiver::ok();
    bench.endpoint(&plain.url()).await;
    let id = bench.send_as(large()).await;
    let receipt = receiver.wait_for(1).remove(0);
    let key = bench.secret(&endpoint).await;
    assert_eq!(verify(&key, &receipt).unwrap(), id);
    assert_eq!(receipt.header("content-type"), "application/json");
    assert_eq!(receipt.header("ringback-payload"), "stored");
    let claim: Value = serde_json::from_slice(&receipt.body).unwrap();
    let message = bench.server.get(&bench.path(&format!("/msg/{id}"))).await;
    assert_eq!(claim["type"], "big.thing");
    assert_eq!(claim["timestamp"], message["timestamp"]);
    assert_eq!(claim["contentType"], "application/json");

    let whole = plain.wait_for(1).remove(0);
    assert_eq!(whole.header("ringback-payload"), "", "the other endpoint did not ask for that");
    let answer = kept.fetch(&text(&claim["payloadUrl"])).await;
    assert_eq!((answer.status, &answer.body), (200, &whole.body));
    assert_eq!(claim["payloadSize"], whole.body.len());
    let digest = sha256(&answer.body);
    assert_eq!(claim["payloadSha256"], HEXLOWER.encode(&digest));
    for (name, value) in [
        ("content-digest", format!("sha-256=:{}:", BASE64.encode(&digest))),
        ("content-length", whole.body.len().to_string()),
        ("content-type", "application/octet-stream".to_owned()),
        ("content-disposition", "attachment".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("cache-control", "private, no-store".to_owned()),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let ends: Timestamp = text(&claim["expiresAt"]).parse().unwrap();
    let left = ends.millis() - super::unix_seconds() * 1_000;
    assert!((800_000..=901_000).contains(&left), "{left}");

    let small = bench.send("small.thing").await;
    let receipt = receiver.wait_for(2).remove(1);
    assert_eq!((receipt.id(), receipt.header("ringback-payload")), (small.as_str(), ""));
    assert_eq!(kept.files().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_tell_of_the_same_payload_and_formats_keep_their_shape() {
    let settings = schedule("1")
        .env("RINGBACK_PAYLOADS_INLINE_LIMIT", "1000")
        .env("RINGBACK_LOG_LEVEL", "debug");
    let kept = Kept::new(settings).await;
    let bench = &kept.bench;
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let wanted = json!({ "url": receiver.url(), "delivery": { "format": "cloudevents" } });
    bench.endpoint_with(wanted).await;
    let id = bench.send_as(large()).await;
    let receipts = receiver.wait_for(2);
    let claims: Vec<Value> = receipts
        .iter()
        .map(|receipt| {
            assert_eq!(receipt.header("content-type"), "application/cloudevents+json");
            let event: Value = serde_json::from_slice(&receipt.body).unwrap();
            assert_eq!((&event["id"], &event["type"]), (&json!(id), &json!("big.thing")));
            event["data"].clone()
        })
        .collect();
    for claim in &claims {
        let answer = kept.fetch(&text(&claim["payloadUrl"])).await;
        assert_eq!(answer.status, 200);
        assert_eq!(claim["payloadSha256"], HEXLOWER.encode(&sha256(&answer.body)));
    }
    assert_eq!(claims[0]["payloadSha256"], claims[1]["payloadSha256"]);
    let token = text(&claims[0]["payloadUrl"]);
    let token = token.strip_prefix(PUBLIC).unwrap().split('/').nth(2).unwrap().to_owned();
    assert_eq!(bench.server.logged(&token), 0, "a url's secret was logged");

    // What has a content type of its own in full has JSON's where it only tells of a payload.
    let raw = Receiver::ok();
    let delivery = json!({ "format": "raw", "contentType": "text/csv", "largeOver": 10 });
    bench.endpoint_with(json!({ "url": raw.url(), "delivery": delivery })).await;
    bench.send_as(large()).await;
    let receipt = raw.wait_for(1).remove(0);
    assert_eq!(receipt.header("content-type"), "application/json");
    let claim: Value = serde_json::from_slice(&receipt.body).unwrap();
    assert_eq!(claim["contentType"], "text/csv");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_opens_one_payload_for_a_while() {
    let kept = Kept::new(Settings::default().env("RINGBACK_PAYLOADS_URL_LIFETIME", "2")).await;
    let bench = &kept.bench;
    let receiver = Receiver::ok();
    let wanted = json!({ "url": receiver.url(), "delivery": { "largeOver": 0 } });
    bench.endpoint_with(wanted).await;
    bench.send_as(large()).await;
    bench.send("another.one").await;
    let urls: Vec<String> = receiver
        .wait_for(2)
        .iter()
        .map(|receipt| text(&serde_json::from_slice::<Value>(&receipt.body).unwrap()["payloadUrl"]))
        .collect();
    let (token, name) = {
        let mut parts = urls[0].strip_prefix(PUBLIC).unwrap().splitn(4, '/').skip(2);
        (parts.next().unwrap(), parts.next().unwrap())
    };
    let other = urls[1].strip_prefix(PUBLIC).unwrap().splitn(4, '/').nth(3).unwrap();
    let changed = if token.starts_with('A') { 'B' } else { 'A' };
    for path in [
        format!("/large/{changed}{}/{name}", &token[1..]),
        format!("/large/{token}/{other}"),
        format!("/large/{token}/{name}0"),
        format!("/large/{token}/../{name}"),
        "/large/".to_owned(),
        format!("/large/{token}"),
    ] {
        let answer = kept.fetch(&format!("{PUBLIC}{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let gone = eventually("end of the url", async || {
        let answer = kept.fetch(&urls[0]).await;
        if answer.status == 410 { Ok(answer) } else { Err(json!(answer.status)) }
    })
    .await;
    assert!(String::from_utf8_lossy(&gone.body).contains("expired"), "{:?}", gone.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_away_is_not_the_endpoints_failure() {
    let kept = Kept::new(schedule("1,1,1,1,1,1,1,1,1,1,1,1")).await;
    let bench = &kept.bench;
    let receiver = Receiver::ok();
    let wanted = json!({ "url": receiver.url(), "delivery": { "largeOver": 1000 } });
    let endpoint = bench.endpoint_with(wanted).await;
    // A file stands where the directory was, so that nothing can be written; not even by root.
    std::fs::remove_dir(&kept.directory).unwrap();
    std::fs::write(&kept.directory, "").unwrap();
    let id = bench.send_as(large()).await;
    let attempt = bench.attempts(&id, 1).await.remove(0);
    assert_eq!(attempt["failedPhase"], "prepare", "{attempt}");
    assert_eq!(attempt["reason"], "payload_store_unavailable", "{attempt}");
    let directory = kept.directory.display().to_string();
    assert!(!text(&attempt["response"]).contains(&directory), "{attempt}");
    // What is not too large goes out.
    bench.send("small.thing").await;
    receiver.wait_for(1);
    assert_eq!(bench.get_endpoint(&endpoint).await["state"], "enabled");
    std::fs::remove_file(&kept.directory).unwrap();
    std::fs::create_dir(&kept.directory).unwrap();
    let receipt = receiver.wait_for(2).remove(1);
    assert_eq!((receipt.id(), receipt.header("ringback-payload")), (id.as_str(), "stored"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_fetch_is_deleted_and_what_is_not_ours_stays() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("payloads");
    let name = |hour: &str| directory.join(hour).join("msg_a-b");
    let (old, own) = (name("2020-01-01T00"), name("lost+found"));
    for file in [&old, &own] {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "kept").unwrap();
    }
    let url = format!("file://{}", directory.display());
    let settings =
        Settings::default().env("RINGBACK_PUBLIC_URL", PUBLIC).env("RINGBACK_PAYLOADS_STORE", &url);
    let _bench = Bench::new(settings).await;
    eventually("end of what is over", async || {
        if old.exists() { Err(json!("it is there")) } else { Ok(()) }
    })
    .await;
    assert!(own.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_object_store_nobody_asks_for_one() {
    let bench = Bench::new(Settings::default()).await;
    let wanted = json!({ "url": "https://example.com/", "delivery": { "largeOver": 1000 } });
    let (status, body) =
        bench.server.call(Method::POST, &bench.path("/endpoint"), Some(wanted)).await;
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"], json!(["body", "delivery", "largeOver"]), "{body}");
    let answer = call(&bench.server.url, Method::GET, "/large/a/b/c", &[], Bytes::new()).await;
    assert_eq!(answer.status, 404);
}
