//! A URL is a secret: it is in no log, no metric, and nothing that is stored.

use super::*;
use crate::support::Kept;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_url_is_logged_counted_or_stored() {
    let settings = Settings::default().env("RINGBACK_LOG_LEVEL", "trace");
    let mut bench = Bench::on(settings).await;
    let bearer = "rb-test-made-up-secret";
    let one =
        bench.made(json!({"completer": {"bearer": bearer}, "tags": ["control-of-search"]})).await;
    let settings = json!({"secret": "rb-test-made-up-signing"});
    let two = bench.made(json!({"completer": {"provider": "github", "settings": settings}})).await;
    let three = bench.made(json!({})).await;
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for path in [
        one.path.clone(),
        two.path.clone(),
        format!("{}/", three.path),
        format!("{}/progress", three.path),
        format!("{}/unknown/verb", three.path),
        format!("{}x", three.path),
    ] {
        let authorization = format!("Bearer {bearer}");
        let headers = [("authorization", authorization.as_str()), trace];
        bench.call(Method::POST, &path, &headers, "{}").await;
        bench.call(Method::GET, &path, &[trace], "").await;
    }
    bench.call(Method::GET, &format!("/wait/{}", three.wait_token), &[trace], "").await;
    let metrics = bench.server.metrics().await;
    let live = Kept::by(bench.server.store(), bench.server.data());
    assert!(bench.server.stop().success());
    bench.server.wait_for_log("ringback::app: stopped");
    let stopped = Kept::by(bench.server.store(), bench.server.data());
    let mut secrets = vec![bearer.to_owned(), "rb-test-made-up-signing".to_owned()];
    for made in [&one, &two, &three] {
        // What follows the id and the key's version.
        secrets.push(made.path["/cb/".len() + 29..].to_owned());
        secrets.push(made.wait_token[29..].to_owned());
    }
    let log = bench.server.log();
    for secret in &secrets {
        assert_eq!(secret.len() == 43, !secret.contains("made-up"));
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
        for kept in [&live, &stopped] {
            assert_eq!(kept.place_of(secret), None, "{secret}");
        }
    }
    // The search finds what is there.
    assert!(stopped.place_of("control-of-search").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_makes_new_urls_and_an_old_one_keeps_its_own_open() {
    let key = |version: u8| format!("{version}:{}", data_encoding::HEXLOWER.encode(&[version; 32]));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url.keys");
    let write = |keys: &[u8]| {
        let lines: Vec<_> = keys.iter().map(|version| key(*version)).collect();
        std::fs::write(&file, format!("# made up\n{}\n", lines.join("\n"))).unwrap();
    };
    write(&[1]);
    let settings =
        Settings::default().env("RINGBACK_CALLBACK_URL_KEYS_FILE", file.to_str().unwrap());
    let mut bench = Bench::on(settings).await;
    let old = bench.made(json!({})).await;
    let older = bench.made(json!({})).await;
    write(&[1, 2]);
    bench.server.kill();
    bench.server.restart();
    let new = bench.made(json!({})).await;
    assert_eq!((&old.path[31..33], &new.path[31..33]), ("01", "02"));
    assert_eq!(bench.post(&old.path, "1").await.status, 200);
    write(&[2]);
    bench.server.kill();
    bench.server.restart();
    assert_eq!(bench.post(&older.path, "1").await.status, 404);
    assert_eq!(bench.post(&new.path, "1").await.status, 200);
    // The application gives it a URL of a key that there is.
    let turned =
        bench.server.post(&format!("/api/v1/callback/{}/rotate", older.id), json!({})).await;
    let url = turned["url"].as_str().unwrap();
    assert_eq!(bench.post(&url[url.find("/cb/").unwrap()..], "1").await.status, 200);
}
