//! Stands in for services that cannot be had here: answers as their documentation says.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Receipt, Receiver};

/// All of them, told apart by their paths.
pub(super) fn services() -> Receiver {
    Receiver::with(|receipt, _| {
        println!("{} {}: {:?}", receipt.method, receipt.path, receipt.body);
        answer(receipt)
    })
}

/// What the reader gives as this service's URL.
pub(super) fn url(services: &Receiver, path: &str) -> String {
    format!("http://{}{path}", services.address)
}

fn answer(receipt: &Receipt) -> Answer {
    let path: Vec<&str> = receipt.path.split('/').skip(1).collect();
    let body: Value = serde_json::from_slice(&receipt.body).unwrap_or(Value::Null);
    match (&receipt.method, &path[..]) {
        (&Method::POST, ["services", ..]) => slack(&body),
        _ => json_answer(404, &json!({ "message": "Not Found" })),
    }
}

/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/>
fn slack(body: &Value) -> Answer {
    match body["text"].as_str() {
        Some("") | None => text_answer(400, "no_text"),
        Some(_) => text_answer(200, "ok"),
    }
}

fn text_answer(status: u16, text: &'static str) -> Answer {
    Answer::Whole(status, vec![("content-type", "text/html".to_owned())], text.into())
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    Answer::Whole(status, headers, body.to_string().into())
}
