//! TLS to the server, with the words of PostgreSQL's own clients: `sslmode` and `sslrootcert`
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! The driver knows three modes and no certificates, so these two are taken out of the address, and
//! what they say is done here.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ringback_tls::Trust;
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::TlsConnector;

use super::connect::OpenError;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    Disable,
    /// Encrypted if the server can; whoever answers is believed.
    #[default]
    Prefer,
    /// Encrypted; whoever answers is believed, unless authorities are named.
    Require,
    /// Encrypted, to a server with a certificate of a trusted authority.
    VerifyCa,
    /// Encrypted, to the server that the address names.
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Option<Mode> {
        Some(match text {
            "disable" => Mode::Disable,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            _ => return None,
        })
    }
}

/// What an address says about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    mode: Mode,
    /// The file of the authorities that are trusted; the system's if there is none.
    authorities: Option<String>,
}

impl Wanted {
    /// Takes the parameters out of an address.
    pub(super) fn take(dsn: &str) -> Result<(String, Wanted), OpenError> {
        let mut wanted = Wanted::default();
        // A password may have a question mark in it; the driver, too, ends it at the first `@`.
        let credentials = dsn.find('@').unwrap_or(0);
        let Some(mark) = dsn[credentials..].find('?') else {
            return Ok((dsn.to_owned(), wanted));
        };
        let (start, query) = dsn.split_at(credentials + mark);
        let query = &query[1..];
        let mut rest = Vec::new();
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => {
                    let unknown = "sslmode is disable, prefer, require, verify-ca or verify-full";
                    let unknown = || OpenError::Address(unknown.to_owned());
                    wanted.mode = Mode::parse(mode).ok_or_else(unknown)?;
                }
                Some(("sslrootcert", "system")) => wanted.authorities = None,
                Some(("sslrootcert", path)) => wanted.authorities = Some(decoded(path)?),
                _ => rest.push(parameter),
            }
        }
        // As PostgreSQL's own clients do: who names authorities wants them to count.
        if wanted.mode == Mode::Require && wanted.authorities.is_some() {
            wanted.mode = Mode::VerifyCa;
        }
        let mark = if rest.is_empty() { "" } else { "?" };
        Ok((format!("{start}{mark}{}", rest.join("&")), wanted))
    }

    /// The same as the driver knows it.
    pub(super) fn ssl_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What shakes hands.
    pub(super) fn connector(&self) -> Result<Connector, OpenError> {
        let trust = match self.mode {
            Mode::Disable | Mode::Prefer | Mode::Require => Trust::Anybody,
            Mode::VerifyCa => Trust::AnyName(self.roots()?),
            Mode::VerifyFull => Trust::Name(self.roots()?),
        };
        let config = ringback_tls::client(trust);
        let config = config.map_err(|error| OpenError::Tls(error.to_string()))?;
        Ok(Connector(TlsConnector::from(Arc::new(config))))
    }

    fn roots(&self) -> Result<RootCertStore, OpenError> {
        let Some(path) = &self.authorities else { return Ok(ringback_tls::system()) };
        let failed = |error: &dyn std::fmt::Display| OpenError::Tls(format!("{path}: {error}"));
        let pem = std::fs::read(path).map_err(|error| failed(&error))?;
        ringback_tls::authorities(&pem).map_err(|error| failed(&error))
    }
}

/// A path as it stands in a URL.
fn decoded(text: &str) -> Result<String, OpenError> {
    let wrong = || OpenError::Address("sslrootcert is no path".to_owned());
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(wrong)?, rest.next().ok_or_else(wrong)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Shakes hands for the driver.
#[derive(Clone)]
pub(super) struct Connector(TlsConnector);

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        Ok(Handshake { connector: self.0.clone(), domain: domain.to_owned() })
    }
}

/// A handshake with a server of this name.
pub(super) struct Handshake {
    connector: TlsConnector,
    domain: String,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            // Not before it is needed: a Unix socket has no name, and no TLS.
            let name = ServerName::try_from(self.domain).map_err(io::Error::other)?;
            self.connector.connect(name, stream).await.map(Stream)
        })
    }
}

/// An encrypted connection.
pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        // The password's proof is not bound to the certificate; `verify-full` checks that.
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_taken_out_of_the_address() {
        let check = |dsn, rest: &str, mode, authorities: Option<&str>| {
            let wanted = Wanted { mode, authorities: authorities.map(str::to_owned) };
            assert_eq!(Wanted::take(dsn).unwrap(), (rest.to_owned(), wanted), "{dsn}");
        };
        check("postgres://h/d", "postgres://h/d", Mode::Prefer, None);
        check("postgres://h/d?sslmode=disable", "postgres://h/d", Mode::Disable, None);
        check(
            "postgres://h/d?a=b&sslmode=require&c=d",
            "postgres://h/d?a=b&c=d",
            Mode::Require,
            None,
        );
        check(
            "postgres://h/d?sslrootcert=%2Fa%20b.pem&sslmode=verify-full",
            "postgres://h/d",
            Mode::VerifyFull,
            Some("/a b.pem"),
        );
        check(
            "postgres://h/d?sslmode=require&sslrootcert=/a",
            "postgres://h/d",
            Mode::VerifyCa,
            Some("/a"),
        );
        check(
            "postgres://h/d?sslmode=verify-ca&sslrootcert=system",
            "postgres://h/d",
            Mode::VerifyCa,
            None,
        );
        for wrong in ["sslmode=allow", "sslmode=", "sslrootcert=%zz", "sslrootcert=%2"] {
            assert!(Wanted::take(&format!("postgres://h/d?{wrong}")).is_err(), "{wrong}");
        }
    }
}
