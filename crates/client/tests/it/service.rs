//! What only the Rust library has: panics, senders that go away, and the layer.

use std::future::Ready;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use ringback_client::{Event, Failure, Receiver, Signer};
use tokio::sync::{Mutex, Notify, mpsc};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: i64 = 1_700_000_000;

fn receiver() -> Receiver {
    Receiver::new("ringback", [SECRET]).unwrap().clock(|| NOW)
}

fn signed(body: &'static str) -> Request<Bytes> {
    let mut request = Request::post("/");
    for (name, value) in Signer::new(SECRET).unwrap().sign("msg_1", NOW, body.as_bytes()) {
        request = request.header(name, value);
    }
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

#[tokio::test]
async fn a_panic_is_an_error_of_the_handler() {
    let (told, mut tells) = mpsc::unbounded_channel();
    let receiver = receiver()
        .on_problem(move |problem| drop(told.send(problem.to_string())))
        .on("a", |_| async { panic!("a mistake of the handler") })
        .on("b", |_| -> Ready<Result<(), Failure>> { panic!("before the future") })
        .on("c", |_| async { Ok(()) });
    let check = async |body, status: u16| {
        assert_eq!(receiver.handle(signed(body)).await.status().as_u16(), status, "{body}");
    };
    check(r#"{"type":"a"}"#, 500).await;
    assert_eq!(tells.recv().await.unwrap(), "a: the handler panicked: a mistake of the handler");
    check(r#"{"type":"b"}"#, 500).await;
    assert_eq!(tells.recv().await.unwrap(), "b: the handler panicked: before the future");
    check(r#"{"type":"c"}"#, 204).await;
    receiver.close().await;
}

#[tokio::test]
async fn a_handler_goes_on_when_its_sender_goes_away() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ended = Arc::new(Mutex::new(false));
    let (entering, released, ending) = (entered.clone(), release.clone(), ended.clone());
    let receiver = receiver().on("*", move |_| {
        let (entered, release, ended) = (entering.clone(), released.clone(), ending.clone());
        async move {
            entered.notify_one();
            release.notified().await;
            *ended.lock().await = true;
            Ok(())
        }
    });
    tokio::select! {
        _ = receiver.handle(signed(r#"{"type":"a"}"#)) => panic!("it is not released yet"),
        () = entered.notified() => {}
    }
    release.notify_one();
    receiver.close().await;
    assert!(*ended.lock().await);
}

#[tokio::test]
async fn the_layer_passes_on_what_is_verified_and_has_no_handler() {
    let inner = tower::service_fn(async |request: Request<Full<Bytes>>| {
        let event = request.extensions().get::<Event>().unwrap();
        let text = format!("{} {}", event.kind, event.body.len());
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let service = receiver().on("a", async |_| Ok(())).layer(inner);
    let check = async |request: Request<Bytes>, status: u16, text: &'static str| {
        let answer = service.clone().oneshot(request.map(Full::new)).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.body().clone()).await.unwrap();
        assert_eq!((answer.status().as_u16(), &body.to_bytes()[..]), (status, text.as_bytes()));
    };
    check(signed(r#"{"type":"a"}"#), 204, "").await;
    check(signed(r#"{"type":"b"}"#), 200, "b 12").await;
    let forged = signed(r#"{"type":"b"}"#).map(|_| Bytes::from(r#"{"type":"c"}"#));
    check(forged, 401, "signature_mismatch").await;
}
