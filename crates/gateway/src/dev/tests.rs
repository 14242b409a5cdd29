use std::convert::Infallible;
use std::sync::Mutex;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ringback_domain::signature::{SigningKey, signature_header};
use ringback_domain::time::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::outbound::SystemNetwork;
use crate::seam::{Clock, Entropy};

const SECRET: &str = "whsec_bWFkZS11cC1zZWNyZXQtb2YtMzItYnl0ZXMtbG9uZyE=";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        NOW
    }
}

impl Entropy for Frozen {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn world() -> World {
    let network = SystemNetwork::new(&[], tokio::runtime::Handle::current()).unwrap();
    World { clock: Arc::new(Frozen), entropy: Arc::new(Frozen), network: Arc::new(network) }
}

/// An API that knows just the sample's requests, and delivers its message by itself.
#[derive(Default)]
struct Stub {
    calls: Mutex<Vec<String>>,
    /// Where the endpoint was said to be.
    url: Mutex<String>,
    /// The delivery starts with the message, and is awaited by the test.
    delivered: Mutex<Option<oneshot::Sender<(String, Bytes)>>>,
}

impl Stub {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let call = format!("{} {}", request.method(), request.uri());
        assert_eq!(request.headers()["authorization"], "Bearer made-up-0123456789");
        self.calls.lock().unwrap().push(call.clone());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (status, answer) = match call.as_str() {
            "POST /api/v1/app?get_if_exists=true" => (200, json!({ "uid": "sample" })),
            "PUT /api/v1/app/sample/endpoint/receiver" => {
                let endpoint: Value = serde_json::from_slice(&body).unwrap();
                endpoint["url"].as_str().unwrap().clone_into(&mut self.url.lock().unwrap());
                (201, endpoint)
            }
            "GET /api/v1/app/sample/endpoint/receiver/secret" => (200, json!({ "key": SECRET })),
            "POST /api/v1/app/sample/msg" => {
                let message: Value = serde_json::from_slice(&body).unwrap();
                let payload = message["payload"].to_string().into();
                let url = self.url.lock().unwrap().clone();
                let delivered = self.delivered.lock().unwrap().take().unwrap();
                delivered.send((url, payload)).unwrap();
                (202, json!({ "id": "msg_made_up" }))
            }
            other => panic!("{other} is not the sample's"),
        };
        let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stub = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&stub).answer(request));
            // One at a time is enough: the client closes after each answer.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .unwrap();
        }
    }
}

/// Delivers as the engine does, and returns the answer's status.
async fn deliver(url: &str, payload: Bytes) -> StatusCode {
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let key = SigningKey::parse(SECRET).unwrap();
    let signature = signature_header(&[key], "msg_made_up", NOW.seconds(), &payload);
    let request = Request::post("/")
        .header("host", address)
        .header("webhook-id", "msg_made_up")
        .header("webhook-timestamp", NOW.seconds())
        .header("webhook-signature", signature)
        .body(Full::new(payload))
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let exchange = async {
        let status = sender.send_request(request).await.unwrap().status();
        drop(sender);
        status
    };
    tokio::join!(exchange, connection).0
}

#[tokio::test]
async fn the_sample_reaches_the_receiver_and_is_verified() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = listener.local_addr().unwrap();
    let server = Server { listen, token: "made-up-0123456789".to_owned() };
    let (sender, message) = oneshot::channel();
    let stub = Arc::new(Stub { delivered: Mutex::new(Some(sender)), ..Stub::default() });

    let world = world();
    let receiving = world.network.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("http://{}/", receiving.local_addr().unwrap());
    let (sender, mut received) = mpsc::channel(1);
    let sample = Sample::new(&world, &server).unwrap();
    let story = async {
        let verifier = sample.prepare(&url).await.unwrap();
        assert_eq!(sample.send().await.unwrap(), "msg_made_up");
        let (url, payload) = message.await.unwrap();
        assert_eq!(deliver(&url, payload.clone()).await, StatusCode::OK);
        let arrived = arrival(&mut received, "msg_made_up").await.unwrap();
        assert_eq!(arrived.body, payload);
        assert_eq!(sample.verify(&verifier, &arrived), Ok(()));
        let other =
            Verifier::parse(["whsec_YW5vdGhlci1tYWRlLXVwLXNlY3JldC1vZi0zMi1ieXQ="]).unwrap();
        assert_eq!(sample.verify(&other, &arrived), Err("no signature matches".to_owned()));
    };
    tokio::select! {
        () = Arc::clone(&stub).serve(listener) => {}
        () = receiver::serve(receiving, sender) => {}
        () = story => {}
    }
    assert_eq!(stub.calls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_refusal_of_the_api_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = listener.local_addr().unwrap();
    drop(listener);
    let server = Server { listen, token: "made-up-0123456789".to_owned() };
    let world = world();
    let error = Sample::new(&world, &server).unwrap().send().await.unwrap_err().to_string();
    let expected = format!("cannot connect to http://{listen}/: ");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn an_address_of_all_interfaces_is_reached_through_loopback() {
    fn check(listen: &str, expected: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
    }
    check("0.0.0.0:80", "127.0.0.1:80");
    check("[::]:80", "[::1]:80");
    check("10.0.0.1:80", "10.0.0.1:80");
}
