//! Straight from providers: their own known answers, challenges, fetched keys; and what cannot be
//! set up.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use ringback_client::{Receiver, SetupError};
use serde_json::Value;

use crate::root;

/// The known answer of this name, from `providers/vectors`.
fn vector(file: &str, id: &str) -> Value {
    let path = root().join("providers/vectors").join(file).with_extension("json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    vectors.iter().find(|vector| vector["id"] == id).unwrap().clone()
}

fn request(vector: &Value) -> Request<Bytes> {
    let given = &vector["request"];
    let mut request = Request::builder()
        .method(given["method"].as_str().unwrap_or("POST"))
        .uri(given["url"].as_str().unwrap_or("/"));
    for (name, value) in given["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    let body = given["body"].as_str().unwrap_or_default().to_owned();
    request.body(Bytes::from(body)).unwrap()
}

/// Records the types it is called for.
fn recording(receiver: Receiver, vector: &Value) -> (Receiver, Arc<Mutex<Vec<String>>>) {
    let now = vector["now"].as_i64().unwrap();
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&kinds);
    let receiver = receiver.clock(move || now).on("*", move |event| {
        seen.lock().unwrap().push(event.kind);
        async { Ok(()) }
    });
    (receiver, kinds)
}

fn text(answer: &Response<Bytes>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

#[tokio::test]
async fn a_signature_over_the_body() {
    let known = vector("github", "github-docs");
    let receiver = Receiver::new("github", [known["secret"].as_str().unwrap()]).unwrap();
    let (receiver, kinds) = recording(receiver, &known);
    let answer = receiver.handle(request(&known)).await;
    assert_eq!((answer.status().as_u16(), kinds.lock().unwrap().len()), (200, 1));
    let changed = request(&known).map(|_| Bytes::from("{}"));
    let answer = receiver.handle(changed).await;
    assert_eq!((answer.status().as_u16(), text(&answer).as_str()), (401, "signature_mismatch"));
    assert_eq!(kinds.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_signature_over_the_url_that_is_registered() {
    let known = vector("twilio", "twilio-form");
    let receiver = || Receiver::new("twilio", [known["secret"].as_str().unwrap()]).unwrap();
    let url = known["public_url"].as_str().unwrap();
    let (named, kinds) = recording(receiver().public_url(url.split('?').next().unwrap()), &known);
    let answer = named.handle(request(&known)).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    assert_eq!(kinds.lock().unwrap().len(), 1);
    let (other, _) = recording(receiver().public_url("https://elsewhere.example.com/"), &known);
    assert_eq!(other.handle(request(&known)).await.status().as_u16(), 401);
}

#[tokio::test]
async fn a_challenge_is_answered_and_is_no_event() {
    let known = vector("meta", "meta-hub");
    let token = known["verify_token"].as_str().unwrap();
    let secrets = [("secret", "made-up"), ("verify_token", token)];
    let (receiver, kinds) = recording(Receiver::new("meta", secrets).unwrap(), &known);
    let answer = receiver.handle(request(&known)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(Value::from(text(&answer)), known["expected_response"]["body"]);
    let secrets = [("secret", "made-up"), ("verify_token", "another")];
    let (receiver, _) = recording(Receiver::new("meta", secrets).unwrap(), &known);
    assert_eq!(receiver.handle(request(&known)).await.status(), 403);
    assert!(kinds.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_is_published_is_fetched_once() {
    let known = vector("fal", "fal-1");
    let document = known["jwks"].to_string();
    let fetched = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&fetched);
    let user = known["user_id"].as_str().unwrap();
    let receiver = Receiver::new("fal", [("user_id", user)]).unwrap();
    let (receiver, kinds) = recording(receiver, &known);
    let without = receiver.handle(request(&known)).await;
    assert_eq!((without.status().as_u16(), text(&without).as_str()), (401, "key_unavailable"));
    let receiver = receiver.fetch_with(move |url| {
        seen.lock().unwrap().push(url);
        let document = document.clone();
        async { Ok(document) }
    });
    for _ in 0..2 {
        let answer = receiver.handle(request(&known)).await;
        assert_eq!(answer.status(), 200, "{}", text(&answer));
    }
    assert_eq!(fetched.lock().unwrap().len(), 1);
    assert_eq!(kinds.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_secret_that_comes_in_a_handshake_is_not_learned() {
    let known = vector("asana", "asana-handshake");
    let told = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&told);
    let receiver = Receiver::new("asana", ["made-up"]).unwrap().on_problem(move |problem| {
        *seen.lock().unwrap() = problem.to_string();
    });
    let answer = receiver.handle(request(&known)).await;
    assert_eq!((answer.status().as_u16(), text(&answer).as_str()), (503, "challenge"));
    assert!(told.lock().unwrap().contains("cannot be answered here"), "{told:?}");
}

#[test]
fn what_could_never_verify_is_refused() {
    let check = |provider: &str, secrets: &[(&str, &str)], expect: &str| {
        let made = Receiver::new(provider, secrets.iter().copied());
        assert_eq!(made.err().unwrap().to_string(), expect);
    };
    check("no-such", &[], "there is no provider `no-such`");
    check("github", &[], "provider `github` needs `secret`");
    check("github", &[("token", "x")], "provider `github` has no setting `token`");
    check("github", &[("secret", "")], "`secret`: the value is empty");
    check("ringback", &[], "provider `ringback` needs `secret`");
    let error = Receiver::new("ringback", ["whsec_%%%"]).err().unwrap();
    assert!(matches!(&error, SetupError::Shape { setting, .. } if setting == "secret"), "{error}");
}

#[test]
fn types_that_cannot_be_right_are_refused() {
    for kind in ["", "*.paid", "inv*", "a.*.*", "**", ".*", "invoice.paid"] {
        let on = || {
            let receiver = Receiver::new("github", ["made-up"]).unwrap();
            drop(receiver.on("invoice.paid", async |_| Ok(())).on(kind, async |_| Ok(())));
        };
        assert!(std::panic::catch_unwind(on).is_err(), "{kind}");
    }
}
