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
        (&Method::POST, ["job", _, "buildWithParameters"]) => jenkins(receipt),
        (&Method::POST, ["repos", _, _, "dispatches"]) => github(&body),
        (&Method::POST, ["crm", "v3", "objects", "contacts", "batch", "upsert"]) => hubspot(&body),
        (&Method::PUT, ["mailchimp", "3.0", "lists", list, "members", id]) => {
            mailchimp(&body, list, id)
        }
        (&Method::POST, ["brevo", "v3", "contacts"]) => brevo(&body),
        (&Method::POST, [""]) if receipt.header("x-amz-target") == "AmazonSQS.SendMessage" => {
            sqs(&body)
        }
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

/// <https://www.jenkins.io/doc/book/using/remote-access-api/>
fn jenkins(receipt: &Receipt) -> Answer {
    if !receipt.header("authorization").starts_with("Basic ") {
        return Answer::status(403);
    }
    let item = format!("http://{}/queue/item/1/", receipt.header("host"));
    Answer::Status(201, vec![("location", item)])
}

/// <https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event>
fn github(body: &Value) -> Answer {
    match body["event_type"].as_str() {
        Some(kind) if (1..=100).contains(&kind.len()) => Answer::status(204),
        _ => json_answer(422, &json!({ "message": "Invalid request.", "status": "422" })),
    }
}

/// <https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/batch/post-crm-v3-objects-contacts-batch-upsert>
fn hubspot(body: &Value) -> Answer {
    let input = &body["inputs"][0];
    if !input["id"].as_str().is_some_and(|address| address.contains('@')) {
        return json_answer(400, &json!({ "status": "error", "category": "VALIDATION_ERROR" }));
    }
    let at = "2026-01-01T00:00:00.000Z";
    let mut properties = input["properties"].clone();
    properties["email"] = input["id"].clone();
    let contact = json!({
        "id": "512", "properties": properties, "createdAt": at, "updatedAt": at,
        "archived": false, "new": true,
    });
    let answer = json!({
        "status": "COMPLETE", "results": [contact], "startedAt": at, "completedAt": at,
    });
    json_answer(200, &answer)
}

/// <https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/>
fn mailchimp(body: &Value, list: &str, id: &str) -> Answer {
    if body["email_address"].as_str().is_none() || body["status_if_new"].as_str().is_none() {
        return json_answer(400, &json!({ "title": "Invalid Resource", "status": 400 }));
    }
    let member = json!({
        "id": id, "email_address": body["email_address"], "status": body["status_if_new"],
        "list_id": list,
    });
    json_answer(200, &member)
}

/// <https://developers.brevo.com/reference/create-contact>
fn brevo(body: &Value) -> Answer {
    match body["email"].as_str() {
        Some(_) => json_answer(201, &json!({ "id": 42 })),
        None => json_answer(400, &json!({ "code": "missing_parameter" })),
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn sqs(body: &Value) -> Answer {
    let answer = json!({ "MessageId": "00000000-0000-4000-8000-000000000001" });
    match body["MessageBody"].as_str() {
        Some(_) => json_answer(200, &answer),
        None => json_answer(400, &json!({ "__type": "com.amazonaws.sqs#MissingParameter" })),
    }
}

fn text_answer(status: u16, text: &'static str) -> Answer {
    Answer::Whole(status, vec![("content-type", "text/html".to_owned())], text.into())
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    Answer::Whole(status, headers, body.to_string().into())
}
