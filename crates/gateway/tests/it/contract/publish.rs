//! How versions come and go.

use std::net::TcpListener;

use http::Method;
use serde_json::{Value, json};

use super::{TYPE, Versions, of};
use crate::support::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_11_a_break_without_a_conversion() {
    let versions = Versions::new().await;
    versions.draft("1", of("creation_date"), json!({ "creation_date": "x" })).await;
    versions.publish("1").await;
    versions.draft("2", of("created_at"), json!({ "created_at": "x" })).await;
    let (status, answer) = versions.call(Method::POST, "/version/2/publish", json!({})).await;
    assert_eq!(status, 422, "{answer}");
    let problem = &answer["detail"][0];
    assert_eq!(problem["loc"], json!(["body", "compatibility", "1"]), "{answer}");
    assert!(problem["msg"].as_str().unwrap().contains(r#"{"created_at":"x"}"#), "{problem}");
    let dry = json!({ "dryRun": true });
    let (status, answer) = versions.call(Method::POST, "/version/2/publish", dry).await;
    assert_eq!((status, &answer["published"]), (200, &json!(false)));
    assert_eq!(answer["problems"][0]["place"], json!(["compatibility", "1"]));

    // Clients of the other interface expect it to succeed.
    let schemas = json!({ "schemas": { "1": of("creation_date"), "5": of("made_at") } });
    let (status, answer) = versions.call(Method::PATCH, "", schemas).await;
    assert_eq!(status, 200, "{answer}");
    let (_, fifth) = versions.call(Method::GET, "/version/5", Value::Null).await;
    assert_eq!((&fifth["status"], &fifth["isDefault"]), (&json!("active"), &json!(false)));
    let said = fifth["changelog"].as_str().unwrap();
    assert!(said.contains("readers of version 1 do not take it"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_12_retiring_what_endpoints_get() {
    let versions = Versions::two().await;
    let receiver = Receiver::ok();
    let endpoint = versions.endpoint(&receiver, "1").await;
    let (status, answer) = versions.call(Method::POST, "/version/1/retire", json!({})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("version_pinned")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains(&endpoint), "{answer}");
    let named = json!({ "successor": "2" });
    let (status, answer) = versions.call(Method::POST, "/version/1/retire", named).await;
    assert_eq!((status, &answer["moved"]), (200, &json!([endpoint])), "{answer}");
    let shown = versions.server.get(&versions.path(&format!("/endpoint/{endpoint}"))).await;
    assert_eq!(shown["delivery"]["versions"]["types"][TYPE], "2");
    let (status, _) = versions.try_send(r#"{"creation_date":"x"}"#, Some("1")).await;
    assert_eq!(status, 422, "it is sent no more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_13_a_key_that_endpoints_need_stays() {
    let versions = Versions::two().await;
    let receiver = Receiver::ok();
    versions.endpoint(&receiver, "1").await;
    let put = json!({ "description": "d", "schemas": { "2": of("created_at") } });
    let (status, answer) = versions.call(Method::PUT, "", put).await;
    assert_eq!((status, &answer["code"]), (409, &json!("version_pinned")), "{answer}");
    let (_, shown) = versions.call(Method::GET, "", Value::Null).await;
    assert!(shown["schemas"].get("1").is_some(), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_14_nothing_outside_is_asked_for() {
    let versions = Versions::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let file = versions.server.data().join("schema.json");
    std::fs::write(&file, r#"{"type":"string"}"#).unwrap();
    for reference in [format!("http://{address}/s.json"), format!("file://{}", file.display())] {
        let schema = json!({ "properties": { "a": { "$ref": reference } } });
        let draft = json!({ "label": "1", "schema": schema });
        let (status, answer) = versions.call(Method::POST, "/version", draft).await;
        let place = json!(["body", "schema", "properties", "a", "$ref"]);
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &place), "{answer}");
        let (status, answer) =
            versions.call(Method::PATCH, "", json!({ "schemas": { "1": schema } })).await;
        assert_eq!(status, 422, "{answer}");
    }
    let asked = listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "nobody came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_15_labels_have_no_order() {
    let versions = Versions::new().await;
    let schemas = json!({ "schemas": { "10": of("a"), "2": of("a") } });
    let (status, answer) = versions.call(Method::PATCH, "", schemas).await;
    assert_eq!(status, 200, "{answer}");
    let (_, listed) = versions.call(Method::GET, "/version", Value::Null).await;
    let rows = listed["data"].as_array().unwrap();
    let found: Vec<_> = rows.iter().map(|row| (&row["label"], &row["ordinal"])).collect();
    assert_eq!(found, [(&json!("2"), &json!(1)), (&json!("10"), &json!(2))]);
    assert_eq!(rows[1]["isDefault"], true, "10 is the newer one");
}
