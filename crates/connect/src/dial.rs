//! Connections: TCP, and TLS over it.

use std::io;
use std::pin::Pin;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::refused::Refused;
use crate::settings::Place;

/// Bytes both ways, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection whose answers are read piece by piece.
pub(crate) type Link = BufReader<Box<dyn Stream>>;

/// Dials.
pub(crate) async fn dial(place: &Place) -> Result<TcpStream, Refused> {
    let refused = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection_refused",
            _ => "unreachable",
        };
        Refused::for_now(reason, error.to_string())
    };
    let stream = TcpStream::connect((&*place.host, place.port)).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(stream)
}

/// Shakes hands over a connection.
pub(crate) async fn protect(
    stream: TcpStream,
    tls: &TlsConnector,
    place: &Place,
) -> Result<Box<dyn Stream>, Refused> {
    let refused = |error: &dyn std::fmt::Display| Refused::for_now("tls", error.to_string());
    let name = ServerName::try_from(place.host.clone()).map_err(|error| refused(&error))?;
    let stream = tls.connect(name, stream).await.map_err(|error| refused(&error))?;
    Ok(Box::new(stream))
}

/// Dials, and shakes hands where TLS is asked for.
pub(crate) async fn link(place: &Place, tls: Option<&TlsConnector>) -> Result<Link, Refused> {
    let stream = dial(place).await?;
    let stream = match tls {
        Some(tls) => protect(stream, tls, place).await?,
        None => Box::new(stream),
    };
    Ok(BufReader::new(stream))
}

/// Whether the other side has said nothing since: neither that it ends nor anything else.
pub(crate) fn is_quiet(link: &mut Link) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    Pin::new(link).poll_read(&mut context, &mut buffer).is_pending()
}
