//! `ringback dev`'s welcome: a sample application, an endpoint at a receiver of our own, and one
//! event on its way from the one to the other, all through the HTTP API like anybody's.
//!
//! It can be repeated on the same data: what exists is used, and only the receiver's port changes.

mod receiver;
mod screen;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use ringback_domain::signature::{KeyError, Verifier};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::api_client::{ApiClient, CallError};
use crate::seam::World;
use crate::terminal::Colours;

use receiver::Received;
use screen::Screen;

/// The sample's application and endpoint, by the names its user sees.
const APPLICATION: &str = "sample";
const ENDPOINT: &str = "receiver";
const EVENT_TYPE: &str = "invoice.paid";
/// For the sample event to arrive; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where and as whom the sample speaks to the server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// A token of the environment `default`.
    pub token: String,
}

/// Why the sample could not be shown; the server serves all the same.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the built-in receiver cannot listen: {0}")]
    Receiver(#[from] io::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{method} {path} was answered {status}: {body}")]
    Status { method: Method, path: String, status: u16, body: String },
    #[error("the answer to {0} is not what was expected")]
    Answer(String),
    #[error("the endpoint's secret cannot be used: {0}")]
    Secret(#[from] KeyError),
    #[error(
        "the sample event {0} has not arrived within {secs} s; \
         the explain address below says why",
        secs = PATIENCE.as_secs()
    )]
    TimedOut(String),
}

/// Shows the sample on the standard output, then every request that the receiver gets, until it is
/// dropped. To be called when the server answers requests.
pub async fn run(world: World, server: Server) {
    let screen = Screen::new(Colours::of_stdout());
    if let Err(error) = show(&world, &server, &screen).await {
        screen.failed(&server, &error.to_string());
    }
}

async fn show(world: &World, server: &Server, screen: &Screen) -> Result<(), Error> {
    let listener = world.network.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (sender, received) = mpsc::channel(64);
    let sample = Sample::new(world, server)?;
    tokio::select! {
        () = receiver::serve(listener, sender) => Ok(()),
        outcome = sample.run(&url, received, screen) => outcome,
    }
}

struct Sample<'a> {
    world: &'a World,
    server: &'a Server,
    api: ApiClient,
}

/// The sample event as far as the screen tells of it.
struct Shown<'a> {
    message: &'a str,
    url: &'a str,
    received: &'a Received,
    verified: Result<(), String>,
    /// From the request that created the message to its arrival.
    took: Duration,
}

impl<'a> Sample<'a> {
    fn new(world: &'a World, server: &'a Server) -> Result<Self, Error> {
        let base = format!("http://{}", reachable(server.listen));
        let api = ApiClient::new(&base, server.token.clone(), Arc::clone(&world.network))?;
        Ok(Self { world, server, api })
    }

    /// Sends one event, shows it, and then shows whatever else arrives.
    async fn run(
        &self,
        url: &str,
        mut received: mpsc::Receiver<Received>,
        screen: &Screen,
    ) -> Result<(), Error> {
        let verifier = self.prepare(url).await?;
        let started = Instant::now();
        let message = self.send().await?;
        let arrived = timeout(PATIENCE, arrival(&mut received, &message)).await;
        match arrived {
            Ok(Some(received)) => screen.delivered(&Shown {
                message: &message,
                url,
                verified: self.verify(&verifier, &received),
                took: received.at.duration_since(started),
                received: &received,
            }),
            Ok(None) => return Ok(()),
            Err(_) => screen.problem(&Error::TimedOut(message.clone()).to_string()),
        }
        screen.next_steps(self.server, Some(&message));
        while let Some(received) = received.recv().await {
            screen.another(&received, self.verify(&verifier, &received).is_ok());
        }
        Ok(())
    }

    /// The application and its endpoint, and the verifier of what the endpoint is sent.
    async fn prepare(&self, url: &str) -> Result<Verifier, Error> {
        let application = json!({ "name": "Sample application", "uid": APPLICATION });
        self.call(Method::POST, "/api/v1/app?get_if_exists=true", Some(application)).await?;
        let path = format!("/api/v1/app/{APPLICATION}/endpoint/{ENDPOINT}");
        let endpoint = json!({
            "url": url,
            "uid": ENDPOINT,
            "description": "The receiver inside `ringback dev`",
            "disabled": false,
        });
        self.call(Method::PUT, &path, Some(endpoint)).await?;
        let path = format!("{path}/secret");
        let secret = self.call(Method::GET, &path, None).await?;
        let key = secret["key"].as_str().ok_or(Error::Answer(path))?;
        Ok(Verifier::parse([key])?)
    }

    async fn send(&self) -> Result<String, Error> {
        let path = format!("/api/v1/app/{APPLICATION}/msg");
        let message = json!({
            "eventType": EVENT_TYPE,
            "payload": { "invoice": "inv_1001", "amount": 4200, "currency": "EUR" },
        });
        let created = self.call(Method::POST, &path, Some(message)).await?;
        created["id"].as_str().map(str::to_owned).ok_or(Error::Answer(path))
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.api.call(method.clone(), path, body).await?;
        if answer.status.is_success() {
            let wrong = |_| Error::Answer(path.to_owned());
            return serde_json::from_slice(&answer.body).map_err(wrong);
        }
        Err(Error::Status {
            method,
            path: path.to_owned(),
            status: answer.status.as_u16(),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        })
    }

    fn verify(&self, verifier: &Verifier, received: &Received) -> Result<(), String> {
        let now = self.world.clock.now().seconds();
        let header = |name| received.header(name);
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        verifier
            .verify(id, timestamp, header("webhook-signature"), &received.body, now)
            .map_err(|error| error.to_string())
    }
}

/// The request that carries `message`; others, such as retries of an earlier run, are passed over.
async fn arrival(received: &mut mpsc::Receiver<Received>, message: &str) -> Option<Received> {
    loop {
        let candidate = received.recv().await?;
        if candidate.header("webhook-id") == message {
            return Some(candidate);
        }
    }
}

/// An address that listens on all interfaces is reached through loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, v6.port()).into()
        }
        other => other,
    }
}
