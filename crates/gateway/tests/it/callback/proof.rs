//! Who has to prove that they may answer.

use ringback::{receive::Catalog, seam::Clock};
use ringback_domain::provider::{self, Settings as Supplied};

use super::*;

const BEARER: &str = "rb-test-made-up-secret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_wanted_for_everything_that_changes_something() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"completer": {"bearer": BEARER}})).await;
    let right = format!("Bearer {BEARER}");
    for verb in ["", "/fail", "/progress", "/heartbeat"] {
        let path = format!("{}{verb}", one.path);
        for wrong in [&[][..], &[("authorization", "Bearer rb-test-another-secret")]] {
            let refused = bench.call(Method::POST, &path, wrong, "{}").await;
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
            assert_eq!(refused.json()["status"], Value::Null, "nothing is told to strangers");
        }
    }
    assert_eq!(bench.shown(&one).await["status"], "pending");
    let headers = [("authorization", right.as_str())];
    assert_eq!(bench.call(Method::POST, &one.path, &headers, "{}").await.status, 200);
    assert_eq!(bench.call(Method::POST, &one.path, &[], "{}").await.status, 401);
    let requests = bench.requests(&one).await;
    assert_eq!(requests[0].2, "wrong_secret");
    // What was sent to prove it is not kept.
    let path = format!("/api/v1/callback/{}/request", one.id);
    for request in bench.server.get(&path).await["data"].as_array().unwrap() {
        let whole = bench.server.get(&format!("{path}/{}", request["id"].as_str().unwrap())).await;
        assert!(!whole.to_string().contains("rb-test-"), "{whole}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_scheme_proves_it_as_at_a_source() {
    let bench = Bench::new().await;
    let settings = json!({"secret": "rb-test-made-up"});
    let one = bench.made(json!({"completer": {"provider": "github", "settings": settings}})).await;
    let body = r#"{"action":"done"}"#;
    let signed = |secret: &str| {
        let provider = Catalog::default().get("github").unwrap();
        let mut supplied = Supplied::new();
        supplied.set("secret", vec![secret.to_owned()]);
        let url = format!("{}{}", bench.server.url, one.path);
        let request = provider::Request::new("POST", &url, &[], body.as_bytes());
        let world = ringback::wiring::clock();
        provider.sign(&request, &supplied, "rb-test-1", Clock::now(&*world)).unwrap()
    };
    let send = async |headers: Vec<(String, String)>, body: &str| {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        bench.call(Method::POST, &one.path, &headers, body).await.status
    };
    assert_eq!(send(Vec::new(), body).await, 401);
    assert_eq!(send(signed("rb-test-another"), body).await, 401);
    assert_eq!(send(signed("rb-test-made-up"), r#"{"action":"else"}"#).await, 401);
    assert_eq!(send(signed("rb-test-made-up"), body).await, 200);
    assert_eq!(bench.shown(&one).await["status"], "completed");
}
