//! TLS towards receivers: who is trusted, and why somebody is not.
//!
//! TLS 1.2 and 1.3, HTTP/1.1 only. Trusted are the system's roots (where there are none, as in an
//! empty container: Mozilla's list of the time of the build) and those that the operator adds. A
//! receiver may have authorities of its own instead, and be shown a certificate ([`Own`]).

use std::{fmt, io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Reason;
use crate::seam::BoxStream;

/// Sessions remembered for resumption, over all receivers.
const REMEMBERED_SESSIONS: usize = 4096;
/// Those of one that has TLS of its own: more tickets than it has connections are of no use.
const REMEMBERED_OWN_SESSIONS: usize = 8;

/// The client side of TLS; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// What one receiver has of its own: whom it is believed to be by, and what it is shown.
#[derive(Debug, Default)]
pub struct Own {
    /// The only authorities that are believed; as usual if there are none.
    pub roots: Option<RootCertStore>,
    /// What the receiver is shown.
    pub identity: Option<Identity>,
}

/// A certificate with those up to its authority, and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why a certificate and a key cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no certificate, or one that cannot be read.
    #[error("it holds no certificate in PEM that can be read")]
    Certificate,
    /// There is no key, or one that cannot be used.
    #[error("it holds no private key in PEM that can be used, such as PKCS #8 without a password")]
    Key,
    /// The key is another one's.
    #[error("it is not the key of the first certificate")]
    Mismatch,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An added root is no certificate in PEM.
    #[error("the added root certificates cannot be read: {0}")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// An added file holds no certificate.
    #[error("the added root certificates hold no certificate")]
    NoCertificate,
    /// An added root is not usable as one.
    #[error("an added root certificate cannot be used: {0}")]
    Root(#[source] Error),
    /// The verifier or the protocol versions cannot be had.
    #[error("tls cannot be set up: {0}")]
    Setup(String),
}

impl Tls {
    /// TLS that trusts the system's roots and those in `extra_roots` (PEM files' contents, each
    /// with one or more certificates).
    pub fn new<'a>(extra_roots: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TlsError> {
        let mut roots = well_known_roots();
        for pem in extra_roots {
            add_roots(&mut roots, pem)?;
        }
        Self::made(verifier(roots)?, None, REMEMBERED_SESSIONS)
    }

    /// The same towards one receiver.
    ///
    /// # Errors
    /// [`TlsError::Setup`]
    pub fn towards(&self, own: Own) -> Result<Self, TlsError> {
        let verifier = match own.roots {
            Some(roots) => verifier(roots)?,
            None => Arc::clone(&self.verifier),
        };
        Self::made(verifier, own.identity, REMEMBERED_OWN_SESSIONS)
    }

    fn made(
        verifier: Arc<dyn ServerCertVerifier>,
        identity: Option<Identity>,
        sessions: usize,
    ) -> Result<Self, TlsError> {
        let config = config(Arc::clone(&verifier), identity, sessions)
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), verifier })
    }

    /// Shakes hands with the server named `name` over `stream`.
    pub(crate) async fn handshake(
        &self,
        name: ServerName<'static>,
        stream: BoxStream,
    ) -> Result<TlsStream<BoxStream>, Reason> {
        self.connector.connect(name, stream).await.map_err(|error| reason(&error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The authorities in a PEM text.
///
/// # Errors
/// [`TlsError`] of what is none, or none that can be used.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    add_roots(&mut roots, pem)?;
    Ok(roots)
}

impl Identity {
    /// Reads both from PEM texts, which may be one and the same.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn read(certificates: &[u8], key: &[u8]) -> Result<Identity, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::Certificate)?;
        let first = chain.first().ok_or(IdentityError::Certificate)?;
        webpki::EndEntityCert::try_from(first).map_err(|_| IdentityError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::Key)?;
        let provider = aws_lc_rs::default_provider();
        let pair = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider);
        pair.map_err(|error| match error {
            Error::InconsistentKeys(_) => IdentityError::Mismatch,
            _ => IdentityError::Key,
        })?;
        Ok(Identity { chain, key })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn verifier(roots: RootCertStore) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::Setup(error.to_string()))?;
    Ok(Arc::new(Explaining { verifier }))
}

fn well_known_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A system's list may hold certificates that cannot be used; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(TlsError::Pem)?).map_err(TlsError::Root)?;
    }
    if roots.len() == before { Err(TlsError::NoCertificate) } else { Ok(()) }
}

fn config(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Identity>,
    sessions: usize,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    // "Dangerous" is what rustls calls a verifier other than its own; this one only asks its own.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(sessions);
    Ok(config)
}

/// Judges exactly as rustls' own verifier does, and tells a certificate that is signed by itself
/// from one signed by an unknown issuer: users mend the two differently.
#[derive(Debug)]
struct Explaining {
    verifier: Arc<WebPkiServerVerifier>,
}

/// The certificate names itself as its issuer.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is signed by itself")]
struct SelfSigned;

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        verdict.map_err(|error| {
            if is_about_trust(&error) && names_itself_as_issuer(end_entity) {
                CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
            } else {
                error
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether a verdict is about who signed, not about time, name or form. A self-signed certificate
/// that is also an authority (what `openssl req -x509` makes) fails as "an authority's".
fn is_about_trust(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

fn names_itself_as_issuer(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

fn reason(error: &io::Error) -> Reason {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(certificate)) => certificate_reason(certificate),
        _ => Reason::TlsFailed,
    }
}

fn certificate_reason(error: &CertificateError) -> Reason {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => Reason::TlsCertificateExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => Reason::TlsCertificateNotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => Reason::TlsCertificateWrongHost,
        E::UnknownIssuer => Reason::TlsCertificateUnknownIssuer,
        E::Other(OtherError(other)) if other.is::<SelfSigned>() => Reason::TlsCertificateSelfSigned,
        _ => Reason::TlsCertificateInvalid,
    }
}
