//! TLS to an application on this machine: with certificates that are checked, or with any.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
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

    pub(super) fn anybody() -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let anybody = Anybody(provider.signature_verification_algorithms);
        let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anybody))
            .with_no_client_auth();
        Ok(Self::Anybody(TlsConnector::from(Arc::new(config))))
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

/// Checks that the other side has the key of its certificate, and not whose certificate it is.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
