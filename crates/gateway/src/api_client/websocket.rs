//! A connection that goes on as WebSocket (RFC 6455, section 4.1), with whoever calls the API.

use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Answer, ApiClient, CallError, LONGEST_ANSWER, PATIENCE, drive};
use crate::seam::{BoxFuture, BoxStream};

/// What became of asking for one.
pub(crate) enum Opened {
    /// From here on there are frames.
    Stream(BoxStream),
    /// An ordinary answer.
    Refused(Answer),
}

impl ApiClient {
    /// Asks for a WebSocket that speaks `protocol` at this path.
    ///
    /// # Errors
    /// [`CallError`] if there is no answer, or one that is neither.
    pub(crate) fn websocket<'a>(
        &'a self,
        path: &'a str,
        protocol: &'a str,
    ) -> BoxFuture<'a, Result<Opened, CallError>> {
        // Boxed, so that tasks can hold it.
        Box::pin(async move {
            tokio::time::timeout(PATIENCE, self.shake_hands(path, protocol))
                .await
                .map_err(|_| CallError::TimedOut(self.base.clone(), PATIENCE))?
        })
    }

    async fn shake_hands(&self, path: &str, protocol: &str) -> Result<Opened, CallError> {
        let broken = |error| CallError::Broken(self.base.clone(), error);
        let not_ours = |what: &'static str| CallError::WebSocket(self.base.clone(), what);
        let key = generate_key();
        let request = self
            .authorized(Method::GET, path)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, protocol)
            .body(Full::new(Bytes::new()))?;
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| broken(error.into()))?;
        let exchange = async {
            let response =
                sender.send_request(request).await.map_err(|error| broken(error.into()))?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let (head, body) = response.into_parts();
                let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(broken)?;
                drop(sender);
                let (status, headers) = (head.status, head.headers);
                return Ok(Opened::Refused(Answer { status, headers, body: body.to_bytes() }));
            }
            agreed(response.headers(), &key, protocol).map_err(not_ours)?;
            let upgraded = hyper::upgrade::on(response).await;
            let upgraded = upgraded.map_err(|error| broken(error.into()))?;
            Ok(Opened::Stream(Box::new(TokioIo::new(upgraded))))
        };
        drive(exchange, carried(connection)).await
    }
}

/// Moves the bytes until the connection is handed over. Boxed outside of any `async`: what is inside
/// has to be `'static`, which the compiler forgets of what a task holds.
fn carried(connection: Connection<TokioIo<BoxStream>, Full<Bytes>>) -> BoxFuture<'static, ()> {
    let upgraded = connection.with_upgrades();
    Box::pin(async {
        // Its own error is only an echo of the exchange's.
        let _ = upgraded.await;
    })
}

/// Whether the handshake is answered as it has to be; what is wrong with it otherwise.
fn agreed(headers: &HeaderMap, key: &str, protocol: &str) -> Result<(), &'static str> {
    let said = |name| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    if said(SEC_WEBSOCKET_ACCEPT) != derive_accept_key(key.as_bytes()).as_bytes() {
        return Err("the handshake is not answered");
    }
    match said(SEC_WEBSOCKET_PROTOCOL) == protocol.as_bytes() {
        true => Ok(()),
        false => Err("it has another protocol"),
    }
}
