//! What receivers and senders are told about versions.

use http::Method;
use serde_json::{Value, json};

use super::{TYPE, Versions, body_of, version_of};
use crate::support::{Answer, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_version_is_told_to_receivers() {
    let versions = Versions::two().await;
    let (old, new) = (Receiver::ok(), Receiver::ok());
    versions.endpoint(&old, "1").await;
    versions.endpoint(&new, "2").await;
    let ends =
        json!({ "deprecatedAt": "2026-01-01T00:00:00Z", "sunsetAt": "2027-01-01T00:00:00Z" });
    let (status, answer) = versions.call(Method::PATCH, "/version/1", ends).await;
    assert_eq!(status, 200, "{answer}");
    versions.send(r#"{"created_at":"now"}"#, None).await;
    let receipt = old.arrived(1).await.remove(0);
    // RFC 9745 and RFC 8594.
    assert_eq!(
        [receipt.header("deprecation"), receipt.header("sunset"), version_of(&receipt)],
        ["@1767225600", "Fri, 01 Jan 2027 00:00:00 GMT", "1"]
    );
    let receipt = new.arrived(1).await.remove(0);
    assert_eq!([receipt.header("deprecation"), receipt.header("sunset")], ["", ""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_meaning_in_a_version_is_not_sent_there() {
    let versions = Versions::two().await;
    let (old, new) = (Receiver::ok(), Receiver::ok());
    let first = versions.endpoint(&old, "1").await;
    versions.endpoint(&new, "2").await;
    versions.convert(json!({ "from": "2", "loss": "suppress" })).await;
    let message = versions.send(r#"{"created_at":"now"}"#, None).await;
    let line = versions.kept_back(&message, &first, "suppressed").await;
    let why = (&line["state"], &line["reason"], &line["attempts"]);
    assert_eq!(why, (&json!("not_sent"), &json!("version_suppressed"), &json!(0)), "{line}");
    let status = (&line["lastAttempt"]["status"], &line["lastAttempt"]["statusText"]);
    assert_eq!(status, (&json!(0), &json!("success")), "nothing is to be mended");
    new.arrived(1).await;
    assert_eq!(old.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_ordered_by_what_their_type_says() {
    let versions = Versions::new().await;
    let (status, answer) =
        versions.call(Method::PATCH, "", json!({ "orderingPointer": "/customer/id" })).await;
    assert_eq!((status, &answer["orderingPointer"]), (200, &json!("/customer/id")), "{answer}");
    let receiver = Receiver::with(|receipt, before| {
        let fails = before == 0 && receipt.body.ends_with(br#""n":1}"#);
        Answer::status(if fails { 500 } else { 204 })
    });
    let endpoint = json!({ "url": receiver.url(), "delivery": { "order": {} } });
    versions.server.post(&versions.path("/endpoint"), endpoint).await;
    let payload =
        |customer: &str, n: u32| format!(r#"{{"customer":{{"id":"{customer}"}},"n":{n}}}"#);
    let mut messages = Vec::new();
    for (customer, n) in [("k", 1), ("k", 2), ("j", 3)] {
        messages.push(versions.send(&payload(customer, n), None).await);
    }
    let receipts = receiver.arrived(4).await;
    let place = |nth: usize| receipts.iter().rposition(|it| it.id() == messages[nth]).unwrap();
    assert_eq!(receipts[0].id(), messages[0]);
    assert!(place(0) < place(1), "one customer's come one after the other");
    assert!(place(2) < place(0), "another's do not wait for them");
    let shown = versions.server.get(&versions.path(&format!("/msg/{}", messages[2]))).await;
    assert_eq!(shown["orderingKey"], "j");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_show_their_version_and_whether_they_fit() {
    let versions = Versions::two().await;
    let receiver = Receiver::ok();
    let endpoint = versions.endpoint(&receiver, "2").await;
    let mut sent = Vec::new();
    for (payload, label, fits) in [
        (r#"{"created_at":"now"}"#, None, true),
        (r#"{"created_at":7}"#, None, false),
        (r#"{"creation_date":"now"}"#, Some("1"), true),
    ] {
        let (status, answer) = versions.try_send(payload, label).await;
        let expect = (json!(label.unwrap_or("2")), json!(fits));
        assert_eq!(status, 202, "{answer}");
        assert_eq!((&answer["schemaVersion"], &answer["fitsSchema"]), (&expect.0, &expect.1));
        sent.push((answer["id"].clone(), expect));
    }
    for (id, _) in &sent {
        versions.attempts(id.as_str().unwrap(), &endpoint, 1).await;
    }
    let lists = [
        "/msg".to_owned(),
        format!("/endpoint/{endpoint}/msg"),
        format!("/attempt/endpoint/{endpoint}?with_msg=true"),
    ];
    for path in lists {
        let listed = versions.server.get(&versions.path(&path)).await;
        for (id, (label, fits)) in &sent {
            let rows = listed["data"].as_array().unwrap().iter();
            let mut rows = rows.map(|row| row.get("msg").unwrap_or(row));
            let row =
                rows.find(|row| row["id"] == *id).unwrap_or_else(|| panic!("{path} {listed}"));
            assert_eq!((&row["schemaVersion"], &row["fitsSchema"]), (label, fits), "{path}");
        }
    }
    for (id, (label, fits)) in &sent {
        let path = versions.path(&format!("/msg/{}", id.as_str().unwrap()));
        let shown = versions.server.get(&path).await;
        assert_eq!((&shown["schemaVersion"], &shown["fitsSchema"]), (label, fits), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_names_a_version_that_there_is() {
    let versions = Versions::two().await;
    let receiver = Receiver::ok();
    let wanted = |label: &str| {
        json!({ "url": receiver.url(),
            "delivery": { "versions": { "types": { TYPE: label, "not.known": "7" } } } })
    };
    let made = versions.server.post(&versions.path("/endpoint"), wanted("1")).await;
    let one = versions.path(&format!("/endpoint/{}", made["id"].as_str().unwrap()));
    for (method, path) in [
        (Method::POST, versions.path("/endpoint")),
        (Method::PUT, one.clone()),
        (Method::PATCH, one),
    ] {
        let (status, answer) = versions.server.call(method.clone(), &path, Some(wanted("9"))).await;
        let loc = json!(["body", "delivery", "versions", "types", TYPE]);
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{method} {answer}");
        let said = answer["detail"][0]["msg"].as_str().unwrap();
        assert_eq!(said, format!("{TYPE} has no version `9`"));
    }
}

/// Whoever reads gets what would be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_are_read_get_versions_and_transformations() {
    let versions = Versions::two().await;
    let read = async |uid: &str| {
        let made = json!({ "type": "pollingEndpoint", "uid": uid, "config": {} });
        versions.server.post(&versions.path("/destination"), made).await;
    };
    let page =
        async |uid: &str| versions.server.get(&versions.path(&format!("/poller/{uid}"))).await;
    // Made while version 2 is the default.
    read("new").await;
    read("made").await;
    let path = versions.path("/destination/made/transformation");
    let code = "function handler(webhook) { \
        if (webhook.payload.created_at === 'never') webhook.cancel = true; \
        if (webhook.payload.created_at === 'broken') throw new Error('on purpose'); \
        webhook.payload = { at: webhook.payload.created_at }; webhook.headers['x-made'] = '1'; \
        return webhook }";
    let change = json!({ "code": code });
    assert_eq!(versions.server.call(Method::PATCH, &path, Some(change)).await, (200, json!({})));
    for at in ["now", "never", "broken", "later"] {
        versions.send(&json!({ "created_at": at }).to_string(), None).await;
    }
    let seen = page("new").await;
    let rows: Vec<_> = seen["data"].as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 4, "{seen}");
    assert!(rows.iter().all(|row| row["schemaVersion"] == "2"), "{seen}");
    assert_eq!(rows[0]["payload"], json!({ "created_at": "now" }));
    let seen = page("made").await;
    let rows: Vec<_> = seen["data"].as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 3, "one is canceled: {seen}");
    assert_eq!(
        (&rows[0]["payload"], &rows[0]["headers"]["x-made"]),
        (&json!({ "at": "now" }), &json!("1"))
    );
    assert_eq!(rows[2]["payload"], json!({ "at": "later" }));
    let problem = rows[1]["problem"].as_str().unwrap();
    assert!(problem.contains("Error: on purpose"), "{problem}");
    assert_eq!(rows[1]["payload"], json!({}), "not the payload as it was");

    // What is newer than the endpoint is converted.
    versions.draft("3", super::of("made_at"), json!({ "made_at": "x" })).await;
    versions.convert(super::renaming("3", "/made_at", "created_at")).await;
    versions.publish("3").await;
    versions.send(r#"{"made_at":"at last"}"#, None).await;
    let seen = page("new").await;
    let last = seen["data"].as_array().unwrap().last().unwrap().clone();
    let got = (&last["schemaVersion"], &last["payload"]);
    assert_eq!(got, (&json!("2"), &json!({ "created_at": "at last" })), "{last}");
    let receiver = Receiver::ok();
    versions.endpoint(&receiver, "2").await;
    versions.send(r#"{"made_at":"at last"}"#, None).await;
    let receipt = receiver.arrived(1).await.remove(0);
    let sent: Value = serde_json::from_str(body_of(&receipt)).unwrap();
    assert_eq!(sent, last["payload"], "what is read is what is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_tried_out_with_its_version() {
    let versions = Versions::two().await;
    let old = Receiver::ok();
    let endpoint = versions.endpoint(&old, "1").await;
    let path = versions.path(&format!("/endpoint/{endpoint}/send-example"));
    let example = json!({ "eventType": TYPE, "exampleIndex": 0 });
    let (status, answer) = versions.server.call(Method::POST, &path, Some(example)).await;
    assert_eq!((status, &answer["schemaVersion"]), (202, &json!("1")), "{answer}");
    let receipt = old.arrived(1).await.remove(0);
    assert_eq!((version_of(&receipt), body_of(&receipt)), ("1", r#"{"creation_date":"x"}"#));
    let (status, answer) = versions
        .server
        .call(Method::POST, &path, Some(json!({ "eventType": TYPE, "exampleIndex": 1 })))
        .await;
    assert_eq!(status, 422, "{answer}");
}
