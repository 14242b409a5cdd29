//! The example as it stands.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use ringback_client::Signer;
use tower::ServiceExt as _;

#[path = "../../examples/receive.rs"]
#[allow(dead_code, reason = "its own beginning is not called")]
mod receive;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn what_the_example_answers() {
    let app = receive::app(receive::receiver(SECRET).unwrap());
    let check = async |id: &str, body: &str, changed: &str, status: u16, text: &str| {
        let signer = Signer::new(SECRET).unwrap();
        let mut request = Request::post("/hooks");
        for (name, value) in signer.sign(id, now(), body.as_bytes()) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(format!("{body}{changed}"))).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{id}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), text, "{id}");
    };
    let paid = r#"{"type":"invoice.paid","data":{"invoice":"inv_1001"}}"#;
    check("msg_1", paid, "", 204, "").await;
    check("msg_1", paid, "", 204, "").await;
    check("msg_1", paid, " ", 401, "body_changed").await;
    let unnumbered = r#"{"type":"invoice.paid"}"#;
    check("msg_2", unnumbered, "", 422, "an invoice without a number").await;
    let voided = r#"{"type":"invoice.voided"}"#;
    check("msg_3", voided, "", 503, "the books are closed until the morning").await;
    check("msg_4", r#"{"type":"user.created"}"#, "", 204, "").await;
}

#[allow(clippy::disallowed_methods, reason = "the example has a real clock")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
