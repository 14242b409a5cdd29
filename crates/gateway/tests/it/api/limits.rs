//! Large and bad input: an answer that names what is wrong, and nothing stored.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::Method;
use hyper::body::Frame;
use serde_json::json;

use super::{BODY_LIMIT, Bench};

#[tokio::test]
async fn large_bodies() {
    let bench = Bench::new().await;
    let large = json!({"name": "n", "metadata": {"k": "v".repeat(BODY_LIMIT)}});
    bench.post("/api/v1/app", large.clone()).await.error(413, "payload_too_large");
    // Without a length, it shows only while the body is read.
    let request = bench.request(Method::POST, "/api/v1/app");
    let request = request.header("authorization", format!("Bearer {}", bench.token));
    let body = Body::new(Chunks(large.to_string().into_bytes()));
    bench.send(request.body(body).unwrap()).await.error(413, "payload_too_large");
    assert_eq!(bench.get("/api/v1/app").await.expect(200)["data"], json!([]));
}

/// A body that does not tell its length.
struct Chunks(Vec<u8>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.0.len().min(1024);
        let rest = self.0.split_off(length);
        let chunk = Bytes::from(std::mem::replace(&mut self.0, rest));
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }
}

#[tokio::test]
async fn deep_bodies() {
    let bench = Bench::new().await;
    let nested = |levels: usize| {
        let schemas = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        format!(r#"{{"name":"deep","description":"d","schemas":{schemas}}}"#)
    };
    let post = async |levels| bench.call(Method::POST, "/api/v1/event-type", &nested(levels)).await;
    post(64).await.invalid("body");
    post(2_000).await.invalid("body");
    bench.get("/api/v1/event-type/deep").await.error(404, "not_found");
    post(63).await.expect(201);
    bench.get("/api/v1/event-type/deep").await.expect(200);
}

#[tokio::test]
async fn bad_input_names_the_field_and_stores_nothing() {
    let bench = Bench::new().await;
    bench.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await.expect(201);
    let endpoints = "/api/v1/app/a/endpoint";
    for (path, body, loc) in [
        ("/api/v1/app", r#"{"name":"#, "body"),
        ("/api/v1/app", r#"{"name":1}"#, "body.name"),
        ("/api/v1/app", r#"{"name":"n","uid":"a b"}"#, "body.uid"),
        (endpoints, r#"{"url":"ftp://example.com"}"#, "body.url"),
        (endpoints, r#"{"url":"http://example.com"}"#, "body.url"),
        (endpoints, r#"{"url":"https://example.com","headers":{"x":"a\nb"}}"#, "body.headers.x"),
        (endpoints, r#"{"url":"https://example.com","channels":["a",""]}"#, "body.channels.1"),
        ("/api/v1/event-type", r#"{"name":"a"}"#, "body.description"),
        ("/api/v1/app/a/msg", r#"{"eventType":"a","payload":[]}"#, "body.payload"),
    ] {
        bench.call(Method::POST, path, body).await.invalid(loc);
    }
    for (path, loc) in [
        ("/api/v1/app?limit=251", "query.limit"),
        ("/api/v1/app?iterator=nonsense", "query.iterator"),
        ("/api/v1/app/a/msg?before=soon", "query.before"),
        ("/api/v1/app/a/msg?with_content=perhaps", "query.with_content"),
    ] {
        bench.get(path).await.invalid(loc);
    }
    for path in [endpoints, "/api/v1/event-type", "/api/v1/app/a/msg"] {
        assert_eq!(bench.get(path).await.expect(200)["data"], json!([]), "{path}");
    }
}
