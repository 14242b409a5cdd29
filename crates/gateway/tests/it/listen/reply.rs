//! Whoever listens answers the provider, where the source lets its destination answer.

use super::*;
use crate::support::Receiver;

async fn answering(endpoint: Option<&Receiver>) -> Bench {
    let server = Server::start(Settings::default());
    let options = json!({ "reply": {
        "mode": "destination", "deadlineMs": 20_000, "fallback": { "status": 203 },
    } });
    let path = source(&server, "github", "hub", options).await;
    if let Some(receiver) = endpoint {
        let endpoint = json!({ "url": receiver.url() });
        server.post("/ingest/api/v1/source/hub/endpoint", endpoint).await;
    }
    Bench { server, path }
}

/// Answers the next event like this, and acknowledges it.
async fn answer(socket: &mut Socket, status: u16, body: &str) -> Told {
    let told = socket.event().await;
    assert!(told.head["answerWithin"].as_u64().is_some(), "{}", told.head);
    let head = json!({
        "type": "answer", "id": told.id(), "status": status,
        "headers": [["content-type", "text/xml"], ["set-cookie", "a=b"]],
    });
    let frame = format!("{head}\n{body}");
    socket.socket.send(Message::Binary(frame.into())).await.unwrap();
    socket.ack(&told).await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn localhost_answers_where_there_is_no_endpoint() {
    let bench = answering(None).await;
    assert_eq!(bench.event(0).await.status, 203, "nobody is there to answer");
    let mut other = bench.listen("other", json!({ "eventTypes": ["issues"] })).await;
    let mut socket = bench.listen("me", json!({})).await;
    let (answered, _) = tokio::join!(bench.event(1), answer(&mut socket, 201, "<Say/>"));
    assert_eq!((answered.status, answered.text()), (201, "<Say/>"));
    assert_eq!(answered.header("content-type"), "text/xml");
    assert_eq!(answered.header("set-cookie"), "");
    // What comes again gets the same answer, and is told to nobody.
    assert_eq!(bench.event(1).await.text(), "<Say/>");
    let text = body(2);
    let issue = send(&bench.server, &bench.path, "issues", "2", &text);
    let (answered, _) = tokio::join!(issue, answer(&mut other, 202, "one of both"));
    assert_eq!((answered.status, answered.text()), (202, "one of both"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_answers_unless_the_listener_does_in_its_place() {
    let receiver = Receiver::ok();
    let bench = answering(Some(&receiver)).await;
    let mut looks = bench.listen("looks", json!({})).await;
    assert_eq!(bench.event(1).await.status, 204);
    looks.event().await;
    drop(looks);
    let mut instead = bench.listen("instead", json!({ "answers": true })).await;
    let (answered, _) = tokio::join!(bench.event(2), answer(&mut instead, 418, "localhost"));
    assert_eq!((answered.status, answered.text()), (418, "localhost"));
    receiver.wait_for(2);
}
