//! TLS towards servers that an address names: whom it believes.
//!
//! One configuration for the store's database, for the destinations that have protocols of their own,
//! and for whatever takes any certificate. TLS 1.2 and 1.3, with the one crypto library of the workspace.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// Who is believed to be the server.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whoever answers: what is said is encrypted, and may be said to anybody.
    Anybody,
    /// Whoever has a certificate of one of these authorities, for whatever name.
    AnyName(RootCertStore),
    /// Whoever has one for the name that was dialled.
    Name(RootCertStore),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The authorities cannot be read, or cannot be used.
    #[error("{0}")]
    Authorities(String),
    /// There is none.
    #[error("there is no certificate in it")]
    Empty,
    /// The versions or the verifier cannot be had.
    #[error("{0}")]
    Setup(String),
}

/// The authorities that the system trusts.
pub fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A system's list may hold certificates that cannot be used; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The authorities in a PEM file's content.
///
/// # Errors
/// [`Wrong`] if there is none, or one that cannot be used.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong::Authorities(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(Wrong::Empty) } else { Ok(roots) }
}

/// What a client shakes hands with.
///
/// # Errors
/// [`Wrong::Setup`]
pub fn client(trust: Trust) -> Result<ClientConfig, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong::Setup(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let by_name = |roots: RootCertStore| {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| wrong(&error))
    };
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anybody => Arc::new(Anybody(Arc::clone(&provider))),
        Trust::AnyName(roots) => Arc::new(AnyName(by_name(roots)?)),
        Trust::Name(roots) => by_name(roots)?,
    };
    // "Dangerous" is what rustls calls a verifier other than its own.
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| wrong(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Believes anybody; what is said is still signed with the key of the certificate that was shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

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
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Judges as rustls does, but for the name: that is compared last, so a wrong name says that all
/// the rest is right.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
