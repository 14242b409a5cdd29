//! Asking a proxy for a tunnel (`CONNECT`, RFC 9110, section 9.3.6).

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::seam::BoxStream;

/// Longest head of a proxy's answer, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// Asks for a tunnel to `place` (`host:port`) over a connection to a proxy; the first line of the
/// answer and the status in it, 0 if it is none. With a status of 2xx the stream is the tunnel.
///
/// # Errors
/// The connection's, and of an answer that does not end.
pub(crate) async fn ask(
    stream: &mut BoxStream,
    place: &str,
    authorization: Option<&str>,
) -> io::Result<(u16, String)> {
    let mut head = Zeroizing::new(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n"));
    if let Some(value) = authorization {
        head.push_str("Proxy-Authorization: ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LONGEST_HEAD {
            return Err(io::Error::other("its answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    Ok((status.and_then(|status| status.parse().ok()).unwrap_or(0), line.to_owned()))
}
