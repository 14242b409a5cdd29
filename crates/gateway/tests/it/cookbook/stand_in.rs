//! Stands in for services that cannot be had here: answers as their documentation says.

use data_encoding::BASE64URL_NOPAD;
use http::Method;
use ringback_domain::oauth::{
    jose::{Algorithm, SigningKey},
    pkce,
};
use serde_json::{Value, json};
use url::form_urlencoded;

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

/// A provider of OpenID Connect that asks nobody and says yes, as `oauth2-mock-server` does. Everything
/// that it has to remember of a request is in the code.
pub(super) fn authority() -> Receiver {
    let key = SigningKey::parse(ED25519, Algorithm::EdDSA).unwrap();
    Receiver::with(move |receipt, _| {
        println!("{} {}", receipt.method, receipt.path);
        let issuer = format!("http://{}", receipt.header("host"));
        match (&receipt.method, &*receipt.path) {
            (&Method::GET, "/.well-known/openid-configuration") => metadata(&issuer),
            (&Method::GET, "/jwks") => json_answer(200, &json!({ "keys": [key.public_jwk()] })),
            (&Method::GET, "/authorize") => authorized(&receipt.query),
            (&Method::POST, "/token") => tokens(&issuer, &key, &receipt.body),
            (&Method::GET, "/userinfo") if receipt.header("authorization") == "Bearer made-up" => {
                json_answer(200, &json!({ "sub": PERSON }))
            }
            (&Method::POST, "/revoke") => Answer::status(200),
            _ => json_answer(404, &json!({ "error": "not_found" })),
        }
    })
}

/// Who always says yes.
const PERSON: &str = "johndoe";
/// RFC 8037, A.1.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
fn metadata(issuer: &str) -> Answer {
    let metadata = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    json_answer(200, &metadata)
}

/// RFC 6749, section 4.1.2.
fn authorized(query: &str) -> Answer {
    let asked = fields(query.as_bytes());
    let code = BASE64URL_NOPAD.encode(asked.to_string().as_bytes());
    let mut back = url::Url::parse(asked["redirect_uri"].as_str().unwrap()).unwrap();
    let state = asked["state"].as_str().unwrap();
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", state);
    Answer::Status(302, vec![("location", back.into())])
}

/// RFC 6749, section 5; OpenID Connect Core, section 3.1.3.3.
fn tokens(issuer: &str, key: &SigningKey, body: &[u8]) -> Answer {
    let form = fields(body);
    let mut answer = json!({
        "access_token": "made-up", "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "made-up-too",
    });
    if let Some(code) = form["code"].as_str() {
        let code = BASE64URL_NOPAD.decode(code.as_bytes()).unwrap();
        let asked: Value = serde_json::from_slice(&code).unwrap();
        let challenge = pkce::challenge(form["code_verifier"].as_str().unwrap()).unwrap();
        if asked["code_challenge"] != challenge {
            return json_answer(400, &json!({ "error": "invalid_grant" }));
        }
        let claims = json!({
            "iss": issuer, "aud": asked["client_id"], "nonce": asked["nonce"], "sub": PERSON,
            // From 2020 to 2100.
            "iat": 1_577_836_800, "exp": 4_102_444_800_u64,
        });
        answer["id_token"] = json!(key.sign("JWT", &claims));
    }
    json_answer(200, &answer)
}

/// A form or a query, as an object.
fn fields(form: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(form);
    pairs.map(|(name, value)| (name.into_owned(), Value::from(value))).collect()
}

fn text_answer(status: u16, text: &'static str) -> Answer {
    Answer::Whole(status, vec![("content-type", "text/html".to_owned())], text.into())
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    Answer::Whole(status, headers, body.to_string().into())
}
