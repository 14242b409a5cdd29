//! Usage statistics: tasks that count, and what they tell when they have ended.

use http::Method;
use serde_json::{Value, json};

use super::{eventually, text};
use crate::support::{Receiver, Server, Settings};

const SINCE: &str = "2020-01-01T00:00:00Z";
const UNTIL: &str = "2090-01-01T00:00:00Z";

/// Begins a task, and waits for its end.
async fn counted(server: &Server, method: Method, path: &str, body: Option<Value>) -> Value {
    let (status, task) = server.call(method, &format!("/api/v1/stats/usage{path}"), body).await;
    assert_eq!((status, &task["status"]), (202, &json!("running")), "{task}");
    let path = format!("/api/v1/background-task/{}", text(&task["id"]));
    let ended = eventually("end of the task", async || {
        let task = server.get(&path).await;
        if task["status"] == "running" { Err(task) } else { Ok(task) }
    })
    .await;
    assert_eq!(
        (&ended["status"], &ended["progress"]),
        (&json!("finished"), &json!(100)),
        "{ended}"
    );
    ended
}

async fn application(server: &Server, uid: &str, filters: &[Option<&[&str]>], url: &str) -> String {
    let app = server.post("/api/v1/app", json!({ "name": "n", "uid": uid })).await;
    let path = format!("/api/v1/app/{uid}/endpoint");
    for filter in filters {
        server.post(&path, json!({ "url": url, "filterTypes": filter })).await;
    }
    text(&app["id"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_counted_in_the_background() {
    let receiver = Receiver::ok();
    let server = Server::start(Settings::default());
    let url = receiver.url();
    let one = application(&server, "one", &[None, Some(&["a", "b"]), Some(&["a"])], &url).await;
    let two = application(&server, "two", &[Some(&["c"]), Some(&["b"])], &url).await;
    let idle = application(&server, "idle", &[], &url).await;
    for (app, event_type) in [("one", "a"), ("one", "b"), ("one", "x"), ("two", "c"), ("two", "x")]
    {
        let message = json!({ "eventType": event_type, "payload": {} });
        server.post(&format!("/api/v1/app/{app}/msg"), message).await;
    }
    let line = |id: &str, uid: &str, count: u64| json!({ "appId": id, "appUid": uid, "messageDestinations": count });
    let by_id = |mut lines: Vec<Value>| {
        lines.sort_by(|a, b| text(&a["appId"]).cmp(&text(&b["appId"])));
        json!(lines)
    };
    // Three endpoints of `one` for a, two for b, one for anything else.
    let (first, second, third) =
        (line(&one, "one", 6), line(&two, "two", 1), line(&idle, "idle", 0));
    let whole = json!({ "since": SINCE, "until": UNTIL });
    let task = counted(&server, Method::POST, "/app", Some(whole)).await;
    assert_eq!(task["task"], "application.stats");
    let expect = by_id(vec![first.clone(), second.clone(), third]);
    assert_eq!(task["data"], json!({ "appStats": expect }));

    let some = json!({ "since": SINCE, "until": UNTIL, "appIds": ["two", one, "none", "one"] });
    let (status, begun) =
        server.call(Method::POST, "/api/v1/stats/usage/app", Some(some.clone())).await;
    assert_eq!((status, &begun["unresolvedAppIds"]), (202, &json!(["none"])));
    let task = counted(&server, Method::POST, "/app", Some(some)).await;
    assert_eq!(task["data"]["appStats"], by_id(vec![first, second]));

    let early = json!({ "since": SINCE, "until": "2020-01-02T00:00:00Z", "appIds": ["one"] });
    let task = counted(&server, Method::POST, "/app", Some(early)).await;
    assert_eq!(task["data"]["appStats"], json!([line(&one, "one", 0)]));

    let task = counted(&server, Method::PUT, "/event-types", None).await;
    assert_eq!(task["task"], "event-type.aggregate");
    let line = |id: &str, uid: &str, explicit: &[&str], all: bool| {
        json!({
            "appId": id, "appUid": uid, "explicitlySubscribedEventTypes": explicit,
            "hasCatchAllEndpoint": all,
        })
    };
    let expect = by_id(vec![
        line(&one, "one", &["a", "b"], true),
        line(&two, "two", &["b", "c"], false),
        line(&idle, "idle", &[], false),
    ]);
    assert_eq!(task["data"], json!({ "event_types": expect }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_counted_is_refused() {
    let server = Server::start(Settings::default());
    for (body, loc) in [
        (json!({ "until": UNTIL }), "since"),
        (json!({ "since": SINCE }), "until"),
        (json!({ "since": UNTIL, "until": SINCE }), "until"),
        (json!({ "since": SINCE, "until": UNTIL, "appIds": ["none"] }), "appIds"),
        (json!({ "since": SINCE, "until": UNTIL, "appIds": [] }), "appIds"),
    ] {
        let (status, answer) =
            server.call(Method::POST, "/api/v1/stats/usage/app", Some(body)).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", loc])), "{answer}");
    }
}

/// More applications, and more endpoints of one, than a step reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_count_goes_on_where_it_was() {
    let server = Server::start(Settings::default());
    let mut expect = Vec::new();
    for number in 0..45 {
        let uid = format!("app-{number}");
        let id = application(&server, &uid, &[], "http://127.0.0.1:9/").await;
        expect.push(id);
    }
    for number in 0..260 {
        let event_type = format!("type.{number}");
        let endpoint = json!({ "url": "http://127.0.0.1:9/", "filterTypes": [event_type] });
        server.post("/api/v1/app/app-7/endpoint", endpoint).await;
    }
    let task = counted(&server, Method::PUT, "/event-types", None).await;
    let lines = task["data"]["event_types"].as_array().unwrap();
    let mut ids: Vec<_> = lines.iter().map(|line| text(&line["appId"])).collect();
    ids.sort_unstable();
    expect.sort_unstable();
    assert_eq!(ids, expect, "each application once");
    let found = lines.iter().find(|line| line["appUid"] == "app-7").unwrap();
    assert_eq!(found["explicitlySubscribedEventTypes"].as_array().unwrap().len(), 260);
}
