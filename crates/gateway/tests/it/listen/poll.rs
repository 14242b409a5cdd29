//! Endpoints that are read instead of called: nothing is passed over, and nothing comes twice that was
//! acknowledged.

use std::collections::BTreeSet;

use super::{stream::Lines, *};
use crate::support::Receiver;

const READ: &str = "/api/v1/app/shop/poller/read";

/// A server with an application and an endpoint of it that is read.
struct Reading {
    server: Server,
}

impl Reading {
    async fn new() -> Reading {
        let server = Server::start(Settings::default());
        server.post("/api/v1/app", json!({ "name": "Shop", "uid": "shop" })).await;
        let reading = Reading { server };
        reading.endpoint("read", json!({})).await;
        reading
    }

    async fn endpoint(&self, uid: &str, more: Value) -> Value {
        let mut body = json!({ "type": "pollingEndpoint", "uid": uid, "config": {} });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.server.post("/api/v1/app/shop/destination", body).await
    }

    async fn send(&self, kind: &str, number: usize) -> Value {
        let body = json!({ "eventType": kind, "payload": { "number": number },
            "channels": [format!("c{}", number % 2)], "tags": ["t"] });
        self.server.post("/api/v1/app/shop/msg", body).await
    }

    async fn get(&self, path: &str, prefer: &str) -> (u16, Value) {
        let token = format!("Bearer {TOKEN}");
        let headers = [("authorization", &*token), ("prefer", prefer)];
        let url = &self.server.url;
        let answered = call(url, Method::GET, path, &headers, Bytes::new()).await;
        (answered.status, serde_json::from_slice(&answered.body).unwrap())
    }

    /// A page, and its numbers.
    async fn page(&self, path: &str) -> (Vec<u64>, Value) {
        let (status, page) = self.get(path, "wait=0").await;
        assert_eq!(status, 200, "{page}");
        (numbers(&page), page)
    }

    /// All that a consumer has not acknowledged, acknowledging it.
    async fn all(&self, name: &str, limit: usize) -> Vec<u64> {
        let path = format!("{READ}/consumer/{name}?limit={limit}");
        let (mut all, mut page) = self.page(&path).await;
        loop {
            let next = format!("{path}&iterator={}", page["iterator"].as_str().unwrap());
            let is_done = page["done"] == true;
            let (numbers, following) = self.page(&next).await;
            if is_done && numbers.is_empty() {
                return all;
            }
            all.extend(numbers);
            page = following;
        }
    }

    async fn follow(&self, name: &str, last: &str) -> Lines {
        let url = format!("{}{READ}/consumer/{name}/stream", self.server.url);
        let token = format!("Bearer {TOKEN}");
        Lines::open(&url, &[("authorization", &*token), ("last-event-id", last)]).await
    }
}

fn numbers(page: &Value) -> Vec<u64> {
    let data = page["data"].as_array().unwrap();
    data.iter().map(|message| message["payload"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_in_order_and_none_is_sent() {
    let reading = Reading::new().await;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(reading.send("paid", number).await["id"].clone());
    }
    let (first, page) = reading.page(&format!("{READ}?limit=2")).await;
    assert_eq!((first, &page["done"]), (vec![0, 1], &json!(false)));
    let message = &page["data"][0];
    assert_eq!(message["id"], sent[0]);
    assert_eq!((&message["channels"], &message["tags"]), (&json!(["c0"]), &json!(["t"])));
    let iterator = page["iterator"].as_str().unwrap();
    let (rest, page) = reading.page(&format!("{READ}?iterator={iterator}")).await;
    assert_eq!((rest, &page["done"]), (vec![2, 3, 4], &json!(true)));
    let (narrow, _) = reading.page(&format!("{READ}?channel=c1")).await;
    assert_eq!(narrow, [1, 3]);
    let (narrow, _) = reading.page(&format!("{READ}?event_type=other")).await;
    assert!(narrow.is_empty());
    let after = "2999-01-01T00:00:00Z";
    assert!(reading.page(&format!("{READ}?after={after}")).await.0.is_empty());
    let path = format!("/api/v1/app/shop/msg/{}/explain", sent[0].as_str().unwrap());
    let explained = &reading.server.get(&path).await["endpoints"][0];
    let why = (&explained["state"], &explained["reason"], &explained["attempts"]);
    assert_eq!(why, (&json!("not_sent"), &json!("pulled"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_read_by_what_it_wants() {
    let reading = Reading::new().await;
    let wants = json!({ "eventTypes": ["paid"], "channels": ["c1"],
        "filter": { "body": { "number": { "$gte": 3 } } } });
    reading.endpoint("some", wants).await;
    for number in 0..8 {
        reading.send(if number < 6 { "paid" } else { "refunded" }, number).await;
    }
    let (some, page) = reading.page("/api/v1/app/shop/poller/some").await;
    assert_eq!((some, &page["done"]), (vec![3, 5], &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_are_on_their_own_and_outlive_the_server() {
    let mut reading = Reading::new().await;
    for number in 0..6 {
        reading.send("paid", number).await;
    }
    let one = format!("{READ}/consumer/one?limit=2");
    let (first, page) = reading.page(&one).await;
    assert_eq!((&first, reading.page(&one).await.0), (&vec![0, 1], vec![0, 1]), "not acknowledged");
    let next = format!("{one}&iterator={}", page["iterator"].as_str().unwrap());
    assert_eq!(reading.page(&next).await.0, [2, 3]);
    // Between being given and being acknowledged: given again, and nothing else.
    reading.server.kill();
    reading.server.restart();
    assert_eq!(reading.page(&one).await.0, [2, 3]);
    assert_eq!(reading.page(&next).await.0, [2, 3], "an iterator outlives the server");
    assert_eq!(reading.all("one", 3).await, [2, 3, 4, 5]);
    assert_eq!(reading.all("two", 100).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_passed_over_while_many_write() {
    const WRITERS: usize = 4;
    const EACH: usize = 60;
    let reading = Reading::new().await;
    let writing = async |writer: usize| {
        for number in 0..EACH {
            reading.send("paid", writer * EACH + number).await;
        }
    };
    let reader = async {
        let path = format!("{READ}/consumer/me?limit=7");
        let (mut seen, mut next) = (Vec::new(), path.clone());
        while seen.len() < WRITERS * EACH {
            let (status, page) = reading.get(&next, "wait=30").await;
            assert_eq!(status, 200, "{page}");
            seen.extend(numbers(&page));
            next = format!("{path}&iterator={}", page["iterator"].as_str().unwrap());
        }
        seen
    };
    let reader = timeout(PATIENCE, reader);
    let (seen, ..) = tokio::join!(reader, writing(0), writing(1), writing(2), writing(3));
    let seen = seen.expect("all of it was expected");
    let all: BTreeSet<u64> = seen.iter().copied().collect();
    assert_eq!((all.len(), seen.len()), (WRITERS * EACH, WRITERS * EACH), "each of them once");
    for writer in 0..WRITERS as u64 {
        let own = seen.iter().filter(|number| **number / EACH as u64 == writer);
        assert!(own.is_sorted(), "in the order in which they were accepted");
    }
    assert_eq!(reading.page(&format!("{READ}?limit=250")).await.0, seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_is_moved_back_and_forth() {
    let reading = Reading::new().await;
    for number in 0..3 {
        reading.send("paid", number).await;
    }
    let (_, before) = reading.page(&format!("{READ}/consumer/me")).await;
    assert_eq!(reading.all("me", 2).await, [0, 1, 2]);
    let seek = format!("{READ}/consumer/me/seek");
    let back = reading.server.post(&seek, json!({ "after": "2020-01-01T00:00:00Z" })).await;
    assert!(back["iterator"].as_str().is_some_and(|text| !text.is_empty()));
    // An iterator of the past acknowledges nothing.
    let stale = format!("{READ}/consumer/me?iterator={}", before["iterator"].as_str().unwrap());
    assert_eq!(reading.page(&stale).await.0, [0, 1, 2]);
    reading.server.post(&seek, json!({ "after": "2999-01-01T00:00:00Z" })).await;
    assert!(reading.page(&format!("{READ}/consumer/me")).await.0.is_empty());
    reading.send("paid", 3).await;
    assert_eq!(reading.all("me", 2).await, [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_gets_it_at_once() {
    let reading = Reading::new().await;
    let begun = tokio::time::Instant::now();
    let path = format!("{READ}/consumer/me");
    let (got, _) = tokio::join!(reading.get(&path, "wait=60"), reading.send("paid", 7));
    assert_eq!(numbers(&got.1), [7]);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_it_was() {
    let reading = Reading::new().await;
    for number in 0..3 {
        reading.send("paid", number).await;
    }
    let mut stream = reading.follow("me", "").await;
    assert_eq!(stream.status(), 200);
    let mut ids = Vec::new();
    for number in 0..3 {
        let (name, id, message) = stream.next().await.unwrap();
        assert_eq!((&*name, &message["payload"]["number"]), ("message", &json!(number)));
        ids.push(id);
    }
    reading.send("paid", 3).await;
    assert_eq!(stream.next().await.unwrap().2["payload"]["number"], 3);
    drop(stream);
    let first = async |last: &str| {
        let mut stream = reading.follow("me", last).await;
        stream.next().await.unwrap().2["payload"]["number"].as_u64().unwrap()
    };
    // Being told is no acknowledgement.
    assert_eq!((first("").await, first(&ids[1]).await), (0, 2));
    let commit = format!("{READ}/consumer/me/commit");
    let committed = reading.server.post(&commit, json!({ "iterator": ids[2] })).await;
    assert_eq!(committed["iterator"], *ids[2]);
    assert_eq!((first("").await, first(&ids[1]).await), (3, 3));
    // Whoever follows is taken along when the consumer is moved.
    let mut stream = reading.follow("me", "").await;
    assert_eq!(stream.next().await.unwrap().2["payload"]["number"], 3);
    let body = json!({ "after": "2020-01-01T00:00:00Z" });
    reading.server.post(&format!("{READ}/consumer/me/seek"), body).await;
    assert_eq!(stream.next().await.unwrap().2["payload"]["number"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_endpoint_says_so_and_loses_nothing() {
    let reading = Reading::new().await;
    let path = "/api/v1/app/shop/destination/read";
    let mut stream = reading.follow("me", "").await;
    let status = async |status: &str| {
        let body = json!({ "type": "pollingEndpoint", "status": status });
        let (code, changed) = reading.server.call(Method::PATCH, path, Some(body)).await;
        assert_eq!((code, &changed["status"]), (200, &json!(status)), "{changed}");
    };
    status("disabled").await;
    reading.send("paid", 1).await;
    assert!(stream.next().await.is_none(), "it ends");
    for path in
        [READ.to_owned(), format!("{READ}/consumer/me"), format!("{READ}/consumer/me/stream")]
    {
        let (status, said) = reading.get(&path, "wait=60").await;
        assert_eq!((status, &said["code"]), (409, &json!("endpoint_disabled")), "{path}");
    }
    status("enabled").await;
    assert_eq!(reading.page(READ).await.0, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_not_sent_and_the_other_way_round() {
    let reading = Reading::new().await;
    let receiver = Receiver::ok();
    let sent = json!({ "url": receiver.url(), "uid": "sent" });
    reading.server.post("/api/v1/app/shop/endpoint", sent).await;
    let message = reading.send("paid", 1).await["id"].as_str().unwrap().to_owned();
    let app = "/api/v1/app/shop";
    let url = json!({ "url": receiver.url() });
    let polling = json!({ "type": "pollingEndpoint", "config": {} });
    let settings = json!({ "type": "pollingEndpoint", "config": { "url": "x" } });
    let slack = json!({ "type": "slack",
        "config": { "url": "https://hooks.slack.com/services/T0/B0/made-up" } });
    let of_other = reading.endpoint("other", json!({})).await;
    let page = reading.page("/api/v1/app/shop/poller/other").await.1;
    assert_eq!(of_other.get("config"), None);
    let foreign = page["iterator"].as_str().unwrap();
    source(&reading.server, "github", "hub", json!({})).await;
    for (method, path, body, expect) in [
        (Method::GET, format!("{app}/poller/sent"), None, 404),
        (Method::GET, format!("{app}/poller/nothing"), None, 404),
        (Method::GET, format!("{READ}?iterator={foreign}"), None, 422),
        (Method::GET, format!("{READ}?iterator=made-up"), None, 422),
        (Method::GET, format!("{READ}?limit=0"), None, 422),
        (Method::GET, format!("{READ}/consumer/a%20b"), None, 422),
        (Method::POST, format!("{READ}/consumer/me/seek"), Some(json!({})), 422),
        (Method::POST, format!("{READ}/consumer/me/commit"), Some(json!({})), 422),
        (Method::POST, format!("{app}/msg/{message}/endpoint/read/resend"), None, 409),
        (Method::POST, format!("{app}/endpoint/read/pause"), None, 409),
        (Method::POST, format!("{app}/destination/read/dry-run"), Some(json!({})), 409),
        (Method::PATCH, format!("{app}/endpoint/read"), Some(url), 422),
        (Method::PATCH, format!("{app}/destination/read"), Some(slack), 422),
        (Method::POST, format!("{app}/destination"), Some(settings), 422),
        (Method::POST, "/ingest/api/v1/source/hub/destination".to_owned(), Some(polling), 422),
    ] {
        let (status, said) = reading.server.call(method.clone(), &path, body).await;
        assert_eq!(status, expect, "{method} {path}: {said}");
    }
}
