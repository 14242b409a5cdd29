//! What happens, as it happens.

use super::{stream::Lines, *};
use crate::support::Receiver;

async fn tail(server: &Server, query: &str) -> Lines {
    let url = format!("{}/api/v1/tail{query}", server.url);
    Lines::open(&url, &[("authorization", &format!("Bearer {TOKEN}"))]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_is_told() {
    let bench = Bench::new().await;
    let receiver = Receiver::ok();
    let endpoint = json!({ "url": receiver.url() });
    bench.server.post("/ingest/api/v1/source/hub/endpoint", endpoint).await;
    let mut all = tail(&bench.server, "").await;
    let mut failed = tail(&bench.server, "?what=request&failed=true&source=hub").await;
    let mut others = tail(&bench.server, "?event_type=issues").await;
    assert_eq!(all.status(), 200);
    bench.events(1..2).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(all.next().await.unwrap().2);
    }
    let find = |what: &str| told.iter().find(|one| one["what"] == what).unwrap();
    let (request, message, attempt) = (find("request"), find("message"), find("attempt"));
    assert_eq!((&request["status"], &request["sourceName"]), (&json!("accepted"), &json!("hub")));
    assert_eq!(request["msgId"], message["id"]);
    assert_eq!(message["endpoints"], 1);
    let of_attempt = (&attempt["msgId"], &attempt["outcome"], &attempt["responseStatusCode"]);
    assert_eq!(of_attempt, (&message["id"], &json!("delivered"), &json!(204)));
    let headers = [("x-github-event", "push"), ("x-hub-signature-256", "sha256=00")];
    let body = Bytes::from_static(b"{}");
    call(&bench.server.url, Method::POST, &bench.path, &headers, body).await;
    let refused = failed.next().await.unwrap().2;
    assert_eq!(
        (&refused["status"], &refused["responseStatusCode"]),
        (&json!("unverified"), &json!(401))
    );
    send(&bench.server, &bench.path, "issues", "2", "{}").await;
    assert_eq!(others.next().await.unwrap().2["eventType"], "issues");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused() {
    let bench = Bench::new().await;
    assert_eq!(tail(&bench.server, "?what=everything").await.status(), 422);
    assert_eq!(tail(&bench.server, "?source=nobody").await.status(), 404);
    let url = format!("{}/api/v1/tail", bench.server.url);
    assert_eq!(Lines::open(&url, &[]).await.status(), 401);
}
