//! TLS to an application on this machine: with certificates that are checked, or with any.

use std::sync::Arc;

use ringback_tls::{Trust, Wrong, client};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::outbound::{Tls, TlsError};
use crate::seam::BoxStream;

/// How far the other side is believed.
pub(super) enum Secure {
    /// As everywhere.
    Checked(Tls),
    /// Whoever answers: for a certificate that an application made for itself.
    Anybody(TlsConnector),
}

impl Secure {
    pub(super) fn checked() -> Result<Self, TlsError> {
        Ok(Self::Checked(Tls::new([])?))
    }

    pub(super) fn anybody() -> Result<Self, Wrong> {
        Ok(Self::Anybody(TlsConnector::from(Arc::new(client(Trust::Anybody)?))))
    }

    /// Shakes hands with the application named `name`; why it failed, in words.
    pub(super) async fn handshake(
        &self,
        name: &str,
        stream: BoxStream,
    ) -> Result<BoxStream, String> {
        let named = ServerName::try_from(name.to_owned());
        let named = named.map_err(|_| format!("{name:?} is no name for a certificate"))?;
        match self {
            Self::Checked(tls) => match tls.handshake(named, stream).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(reason) => Err(format!("{reason}; --insecure takes any certificate")),
            },
            Self::Anybody(connector) => match connector.connect(named, stream).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(format!("no secure connection: {error}")),
            },
        }
    }
}
