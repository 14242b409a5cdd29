//! TLS: whom we trust, and that every kind of bad certificate has its own word.

use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use ringback::outbound::{Connector, Guard, Ports, Reason, Tls};
use ringback_domain::{address::Policy, attempt::Phase};
use rustls::{
    HandshakeKind, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::world::{CONNECT_LIMIT, Line, PUBLIC, World, connect};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(host: &str) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, host);
    params
}

/// A server's certificate and key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    fn signed(params: &CertificateParams, issuer: &Issuer) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.signed_by(&key, issuer).unwrap().der().clone(), key }
    }

    fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap().der().clone(), key }
    }

    fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap()
    }
}

/// What the server of [`serving`] saw: each handshake that succeeded, with its server name.
type Seen = Arc<Mutex<Vec<(HandshakeKind, Option<String>)>>>;

/// A world in which `hook.example` is this TLS server; it answers each connection once.
fn serving(config: ServerConfig) -> (Arc<World>, Seen) {
    let seen = Seen::default();
    let world = World::new();
    world.name("hook.example", &[PUBLIC]);
    world.serve(&format!("{PUBLIC}:443"), {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::clone(&seen);
        move |stream| {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (_, session) = stream.get_ref();
                let name = session.server_name().map(str::to_owned);
                seen.lock().unwrap().push((session.handshake_kind().unwrap(), name));
                stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    (world, seen)
}

fn trusting(world: &Arc<World>, root: &Issuer) -> Connector {
    let guard = Guard::new(Policy::default(), Ports::default(), Vec::new());
    let tls = Tls::new([root.pem().as_bytes()]).unwrap();
    Connector::new(Arc::clone(world) as _, guard, tls, CONNECT_LIMIT)
}

#[tokio::test]
async fn an_added_root_is_trusted_and_sessions_are_resumed() {
    let root = authority("Test Root");
    let (world, seen) = serving(Identity::signed(&params("hook.example"), &root).server());
    let connector = trusting(&world, &root);
    for _ in 0..2 {
        let mut line = Line::of(connect(&connector, "https://hook.example/").await.unwrap());
        let answer = line.post(b"{}").await.unwrap();
        assert_eq!(answer.body.as_ref(), b"ok");
    }
    let kinds: Vec<_> = seen.lock().unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds[1..], [HandshakeKind::Resumed]);
    assert_ne!(kinds[0], HandshakeKind::Resumed);
    assert!(seen.lock().unwrap().iter().all(|(_, name)| name.as_deref() == Some("hook.example")));
}

#[tokio::test]
async fn an_address_may_have_a_certificate() {
    let root = authority("Test Root");
    let (world, _) = serving(Identity::signed(&params(PUBLIC), &root).server());
    connect(&trusting(&world, &root), &format!("https://{PUBLIC}/")).await.unwrap();
}

#[tokio::test]
async fn every_bad_certificate_has_its_own_word() {
    let root = authority("Test Root");
    let stranger = authority("Somebody Else");
    let good = params("hook.example");
    let mut expired = good.clone();
    (expired.not_before, expired.not_after) =
        (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let mut early = good.clone();
    (early.not_before, early.not_after) = (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1));
    let mut authority_itself = good.clone();
    authority_itself.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (identity, reason) in [
        (Identity::signed(&expired, &root), Reason::TlsCertificateExpired),
        (Identity::signed(&early, &root), Reason::TlsCertificateNotYetValid),
        (Identity::signed(&params("other.example"), &root), Reason::TlsCertificateWrongHost),
        (Identity::signed(&good, &stranger), Reason::TlsCertificateUnknownIssuer),
        (Identity::self_signed(&good), Reason::TlsCertificateSelfSigned),
        (Identity::self_signed(&authority_itself), Reason::TlsCertificateSelfSigned),
    ] {
        check(identity.server(), &root, reason).await;
    }
}

#[tokio::test]
async fn a_server_that_only_speaks_http2_fails() {
    let root = authority("Test Root");
    let mut config = Identity::signed(&params("hook.example"), &root).server();
    config.alpn_protocols = vec![b"h2".to_vec()];
    check(config, &root, Reason::TlsFailed).await;
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_fails() {
    let root = authority("Test Root");
    let world = World::new();
    world.name("hook.example", &[PUBLIC]);
    world.serve(&format!("{PUBLIC}:443"), |mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    check_in(&world, &root, Reason::TlsFailed).await;
}

async fn check(config: ServerConfig, root: &Issuer, reason: Reason) {
    let (world, seen) = serving(config);
    check_in(&world, root, reason).await;
    assert!(seen.lock().unwrap().is_empty(), "something was sent");
}

async fn check_in(world: &Arc<World>, root: &Issuer, reason: Reason) {
    let failure = connect(&trusting(world, root), "https://hook.example/").await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (Phase::Tls, reason));
}

#[test]
fn roots_that_are_none_are_refused() {
    for pem in
        ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
    {
        assert!(Tls::new([pem.as_bytes()]).is_err(), "{pem}");
    }
}
