//! The protocol on the standard streams: a message a line, from one client, until it hangs up.

use std::io;

use rmcp::{ServerHandler, service::ServerInitializeError, transport::async_rw::AsyncRwTransport};
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest line that is read, in bytes. A longer one is refused, and the next one is read.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// Serves the client at the other end, until it has hung up.
///
/// # Errors
/// When the client does not begin as the protocol wants it, or a stream breaks.
pub async fn serve<H: ServerHandler>(
    handler: H,
    read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let lines = AsyncRwTransport::new_server(read, write).with_max_line_length(LONGEST_LINE);
    match rmcp::serve_server(handler, lines).await {
        Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other),
        // It went before it said anything: there is nothing to serve.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
