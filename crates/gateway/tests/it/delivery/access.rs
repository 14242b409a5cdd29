//! Endpoints that do not let everybody in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};

use super::{Bench, eventually, schedule};
use crate::support::{Answer, Authority, Receiver};

/// The client that [`Authority`] knows.
fn client(authority: &Authority) -> Value {
    json!({
        "type": "oauth2",
        "tokenUrl": authority.url("/token"),
        "clientId": "made-up-client",
        "clientSecret": "made-up-client-secret",
    })
}

/// A token endpoint that does as it is told, and a client of it.
fn tokens(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Receiver, Value) {
    let asked = AtomicUsize::new(0);
    let receiver = Receiver::with(move |_, _| answer(asked.fetch_add(1, SeqCst) + 1));
    let client = json!({
        "type": "oauth2",
        "tokenUrl": receiver.url(),
        "clientId": "made-up-client",
        "clientSecret": "made-up-client-secret",
    });
    (receiver, client)
}

fn token(name: &str, lasts: u64) -> Answer {
    let token = json!({ "access_token": name, "token_type": "Bearer", "expires_in": lasts });
    let json = ("content-type", "application/json".to_owned());
    Answer::Whole(200, vec![json], token.to_string().into())
}

fn seen(receiver: &Receiver, header: &str) -> Vec<String> {
    receiver.receipts().iter().map(|receipt| receipt.header(header).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opens_an_endpoint_is_carried_and_not_shown() {
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    let url = receiver.url().replace("//", "//someone:made-up@");
    let endpoint = bench
        .endpoint_with(json!({ "url": url, "headers": { "x-key": "the endpoint's" },
            "access": { "type": "bearer", "token": "made-up-token" } }))
        .await;
    let basic = "Basic bWFkZTp1cDogcGFzc3dvcmQ=";
    for (access, header, value, shown) in [
        (Value::Null, "authorization", "Bearer made-up-token", json!({ "type": "bearer" })),
        (
            json!({ "type": "basic", "user": "made", "password": "up: password" }),
            "authorization",
            basic,
            json!({ "type": "basic", "user": "made" }),
        ),
        (
            json!({ "type": "apiKey", "header": "X-Key", "value": "made-up-key" }),
            "x-key",
            "made-up-key",
            json!({ "type": "apiKey", "header": "X-Key" }),
        ),
    ] {
        if access != Value::Null {
            assert_eq!(bench.patch(&endpoint, json!({ "access": access })).await["access"], shown);
        }
        let count = receiver.count();
        bench.send("locked").await;
        assert_eq!(receiver.wait_for(count + 1)[count].header(header), value);
        let read = bench.get_endpoint(&endpoint).await;
        assert_eq!(read["access"], shown);
        assert!(!read.to_string().contains("made-up"), "{read}");
    }
    // What does not name it keeps it: a change, and what replaces it as the SDKs do.
    bench.patch(&endpoint, json!({ "description": "d" })).await;
    let path = bench.path(&format!("/endpoint/{endpoint}"));
    let put = json!({ "url": receiver.url() });
    assert_eq!(bench.server.call(Method::PUT, &path, Some(put)).await.0, 200);
    bench.send("locked").await;
    assert_eq!(receiver.wait_for(4)[3].header("x-key"), "made-up-key");
    let read = bench.patch(&endpoint, json!({ "access": null })).await;
    assert_eq!(read["access"], Value::Null);
    bench.send("locked").await;
    assert_eq!(receiver.wait_for(5)[4].header("x-key"), "the endpoint's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_open_anything_is_refused_by_field() {
    let bench = Bench::new(schedule("3600")).await;
    let [one, other] =
        ["one", "other"].map(|name| secure::Signed::of(name, &secure::authority("Root")));
    let pair = |certificate: &str, key: &str| json!({ "tls": { "clientCertificate": certificate, "clientKey": key } });
    for (access, loc) in [
        (json!({ "type": "bearer", "token": "made up" }), json!(["body", "access", "token"])),
        (json!({ "type": "bearer" }), json!(["body", "access"])),
        (json!({ "type": "other" }), json!(["body", "access", "type"])),
        (pair("made-up", &one.key), json!(["body", "access", "tls", "clientCertificate"])),
        (pair(&one.certificate, "made-up"), json!(["body", "access", "tls", "clientKey"])),
        (pair(&one.certificate, &other.key), json!(["body", "access", "tls", "clientKey"])),
        (json!({ "ca": "made-up" }), json!(["body", "access", "ca"])),
        (json!({ "tls": "made-up key" }), json!(["body", "access", "tls"])),
    ] {
        let body = json!({ "url": "https://example.com/", "access": access });
        let path = bench.path("/endpoint");
        let (status, answer) = bench.server.call(Method::POST, &path, Some(body)).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{answer}");
        assert!(!answer.to_string().contains("made"), "{answer}");
    }
    let good = json!({ "url": "https://example.com/", "access": pair(&one.certificate, &one.key) });
    let made = bench.server.post(&bench.path("/endpoint"), good).await;
    assert_eq!(made["access"]["tls"]["subject"], "CN=one", "{made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_fetched_once_and_renewed_when_it_is_refused() {
    let authority = Arc::new(Authority::start());
    let known = Arc::clone(&authority);
    let receiver = Receiver::with(move |receipt, _| {
        let token = receipt.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        Answer::status(if known.knows(token) { 204 } else { 401 })
    });
    let bench = Bench::new(schedule("3600")).await;
    let mut access = client(&authority);
    access["scopes"] = json!(["made", "up"]);
    let endpoint = json!({ "url": receiver.url(), "access": access });
    let endpoint = bench.endpoint_with(endpoint).await;
    for _ in 0..20 {
        bench.send("many").await;
    }
    receiver.wait_for(20);
    assert_eq!(authority.count("client_credentials"), 1);
    // Another change of the endpoint fetches none; what was granted being over does, in one attempt.
    bench.patch(&endpoint, json!({ "description": "changed" })).await;
    authority.end_grants();
    let message = bench.send("renewed").await;
    let attempts = bench.attempts(&message, 1).await;
    assert_eq!((&attempts[0]["responseStatusCode"], attempts.len()), (&json!(204), 1));
    assert_eq!((receiver.count(), authority.count("client_credentials")), (22, 2));
    // Another client of it gets tokens of its own.
    access["scopes"] = json!(["made"]);
    bench.patch(&endpoint, json!({ "access": access })).await;
    bench.send("other").await;
    receiver.wait_for(23);
    assert_eq!(authority.count("client_credentials"), 3);
    let log = bench.server.log();
    for secret in authority.secrets() {
        assert!(!log.contains(&secret), "{secret} is in the log");
        assert!(!attempts[0].to_string().contains(&secret), "{secret} is in an attempt");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_token_that_is_refused_is_the_endpoints_no() {
    let (authority, access) = tokens(|count| token(&format!("made-up-{count}"), 3_600));
    let receiver = Receiver::with(|_, _| Answer::status(401));
    let bench = Bench::new(schedule("0.1,3600")).await;
    bench.endpoint_with(json!({ "url": receiver.url(), "access": access })).await;
    let message = bench.send("refused").await;
    for attempt in bench.attempts(&message, 2).await {
        assert_eq!(attempt["responseStatusCode"], 401, "{attempt}");
    }
    assert_eq!(seen(&receiver, "authorization"), ["Bearer made-up-1", "Bearer made-up-2"]);
    assert_eq!(authority.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_before_it_ends() {
    let (_authority, access) = tokens(|count| token(&format!("made-up-{count}"), 1));
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    bench.endpoint_with(json!({ "url": receiver.url(), "access": access })).await;
    eventually("another token", async || {
        bench.send("again").await;
        let seen = seen(&receiver, "authorization");
        let renewed = seen.contains(&"Bearer made-up-2".to_owned());
        if renewed { Ok(()) } else { Err(json!(seen)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_needs_a_token_waits_for_the_one_that_is_fetched() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    // The first try takes its time and fails; whoever waited for it fails with it.
    let authority = Receiver::with(move |_, _| match count.fetch_add(1, SeqCst) {
        0 => Answer::Slowly(503, Duration::from_millis(300)),
        _ => token("made-up", 3_600),
    });
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("0.2,0.2,0.2,3600")).await;
    let access = json!({ "type": "oauth2", "tokenUrl": authority.url(),
        "clientId": "made-up-client", "clientSecret": "made-up-client-secret" });
    bench.endpoint_with(json!({ "url": receiver.url(), "access": access })).await;
    for _ in 0..10 {
        bench.send("at.once").await;
    }
    receiver.wait_for(10);
    assert_eq!(fetched.load(SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_without_a_token_fails_and_says_why() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/token", free.local_addr().unwrap());
    drop(free);
    let json = ("content-type", "application/json".to_owned());
    let refuses = json!({ "error": "invalid_client", "error_description": "made-up secret" });
    let page = || Answer::Whole(200, Vec::new(), "<html>".into());
    let (no, refused) =
        tokens(move |_| Answer::Whole(401, vec![json.clone()], refuses.to_string().into()));
    let (broken, unavailable) = tokens(|_| Answer::status(500));
    let (other, unreadable) = tokens(move |_| page());
    let (moved, redirected) =
        tokens(|_| Answer::Status(302, vec![("location", "/other".to_owned())]));
    let at = |url: &str| json!({ "type": "oauth2", "tokenUrl": url, "clientId": "a", "clientSecret": "made-up" });
    let receiver = Receiver::ok();
    let bench = Bench::new(schedule("3600")).await;
    for (access, reason) in [
        (refused, "token_refused"),
        (unavailable, "token_unavailable"),
        (unreadable, "token_unreadable"),
        (redirected, "token_unreadable"),
        (at(&closed), "connection_refused"),
        (at("http://169.254.169.254/latest/meta-data"), "refused_by_policy"),
        (at("http://[::1]:8080/token"), "refused_by_policy"),
    ] {
        let endpoint = json!({ "url": receiver.url(), "access": access });
        let endpoint = bench.endpoint_with(endpoint).await;
        let message = bench.send("locked.out").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        let told = (&attempt["failedPhase"], &attempt["reason"], &attempt["responseStatusCode"]);
        assert_eq!(told, (&json!("access"), &json!(reason), &json!(0)), "{attempt}");
        assert!(!attempt.to_string().contains("made-up"), "{attempt}");
        // It is tried again, on its schedule.
        assert!(attempt["nextAttempt"].is_string(), "{attempt}");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    assert_eq!(receiver.count(), 0);
    let asked = [&no, &broken, &other, &moved].map(Receiver::count);
    assert_eq!(asked, [1; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_transformation_leads_it_is_not_carried() {
    let [receiver, elsewhere] = [Receiver::ok(), Receiver::ok()];
    let bench = Bench::new(schedule("3600")).await;
    let access = json!({ "type": "bearer", "token": "made-up-token" });
    let headers = json!({ "x-key": "made-up-key" });
    let endpoint = json!({ "url": receiver.url(), "access": access, "headers": headers });
    let endpoint = bench.endpoint_with(endpoint).await;
    let path = bench.path(&format!("/endpoint/{endpoint}/transformation"));
    let code = "function handler(webhook) { webhook.url = webhook.payload.to; return webhook }";
    let change = Some(json!({ "code": code }));
    assert_eq!(bench.server.call(Method::PATCH, &path, change).await.0, 204);
    for (to, expect) in [
        (
            receiver.url().replace("/hook", "/other"),
            (&receiver, ["Bearer made-up-token", "made-up-key"]),
        ),
        (elsewhere.url(), (&elsewhere, ["", ""])),
    ] {
        bench.send_as(json!({ "eventType": "moved", "payload": { "to": to } })).await;
        let receipt = expect.0.wait_for(1).remove(0);
        assert_eq!(["authorization", "x-key"].map(|name| receipt.header(name)), expect.1, "{to}");
    }
    // Nor is what the URL has, or a consent that only the endpoint's place gave.
    let url = receiver.url().replace("//", "//someone:made-up@");
    let patched = json!({ "url": url, "access": null, "headers": {} });
    bench.patch(&endpoint, patched).await;
    bench.send_as(json!({ "eventType": "moved", "payload": { "to": elsewhere.url() } })).await;
    assert_eq!(elsewhere.wait_for(2)[1].header("authorization"), "");
    bench.patch(&endpoint, json!({ "delivery": { "handshake": true } })).await;
    let moved = json!({ "eventType": "moved", "payload": { "to": elsewhere.url() } });
    let message = bench.send_as(moved).await;
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert_eq!(attempt["reason"], "transform_error", "{attempt}");
    assert_eq!((receiver.count(), elsewhere.count()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_shown_and_only_its_authorities_are_believed() {
    /// In TLS 1.3 the no comes after the handshake, and may be lost with the connection.
    const LATE: Option<&str> = Some("tls_failed");
    let [root, stranger] = ["Root", "Stranger"].map(secure::authority);
    let receiver = secure::receiver(&root);
    let bench = Bench::new(schedule("3600")).await;
    let shop = secure::Signed::of("shop", &root);
    let tls = json!({ "clientCertificate": shop.certificate, "clientKey": shop.key });
    let ca = root.pem();
    for (access, reason) in [
        (json!({ "tls": tls, "ca": ca }), None),
        (json!({ "tls": tls, "ca": stranger.pem() }), Some("tls_certificate_unknown_issuer")),
        (json!({ "tls": tls }), Some("tls_certificate_unknown_issuer")),
        (json!({ "type": "bearer", "token": "made-up" }), Some("tls_certificate_unknown_issuer")),
        (json!({ "ca": ca }), LATE),
        // Both go together.
        (json!({ "type": "bearer", "token": "made-up", "tls": tls, "ca": ca }), None),
    ] {
        let endpoint = json!({ "url": receiver.secure_url(), "access": access });
        let endpoint = bench.endpoint_with(endpoint).await;
        let message = bench.send("secured").await;
        let attempt = bench.attempts(&message, 1).await.remove(0);
        let told = attempt["reason"].as_str();
        assert!(told == reason || reason == LATE && told == Some("reset"), "{attempt}");
        bench.delete(&format!("/endpoint/{endpoint}")).await;
    }
    assert_eq!(seen(&receiver, "authorization"), ["", "Bearer made-up"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_of_the_sdks_change_a_part_each() {
    let root = secure::authority("Root");
    let authority = Authority::start();
    let receiver = secure::receiver(&root);
    let bench = Bench::new(schedule("3600")).await;
    let endpoint = bench.endpoint_with(json!({ "url": receiver.secure_url() })).await;
    let call = async |method: Method, part: &str, body: Option<Value>| {
        let path = bench.path(&format!("/endpoint/{endpoint}/{part}"));
        bench.server.call(method, &path, body).await
    };
    let oauth = json!({ "grantType": "clientCredentials", "authMethod": "clientSecretBasic",
        "clientId": "made-up-client", "clientSecret": "made-up-client-secret",
        "tokenUrl": authority.url("/token"), "scopes": null });
    let shop = secure::Signed::of("shop", &root);
    let identity = format!("{}{}", shop.key, shop.certificate);
    let mtls = json!({ "identity": identity, "serverCaCert": root.pem() });
    assert_eq!(call(Method::PUT, "oauth", Some(oauth)).await, (204, Value::Null));
    assert_eq!(call(Method::PUT, "mtls", Some(mtls)).await, (204, Value::Null));
    let message = bench.send("both").await;
    assert_eq!(bench.attempts(&message, 1).await[0]["responseStatusCode"], 204);
    assert!(seen(&receiver, "authorization")[0].starts_with("Bearer made-up-access-"));
    let access = bench.get_endpoint(&endpoint).await["access"].clone();
    assert_eq!((&access["type"], &access["tls"]["subject"]), (&json!("oauth2"), &json!("CN=shop")));

    assert_eq!(call(Method::DELETE, "oauth", None).await, (204, Value::Null));
    let message = bench.send("certificate").await;
    assert_eq!(bench.attempts(&message, 1).await[0]["responseStatusCode"], 204);
    assert_eq!(seen(&receiver, "authorization")[1], "");
    assert_eq!(call(Method::DELETE, "mtls", None).await, (204, Value::Null));
    assert_eq!(bench.get_endpoint(&endpoint).await["access"], Value::Null);
    let message = bench.send("nothing").await;
    let attempt = bench.attempts(&message, 1).await.remove(0);
    assert_eq!(attempt["reason"], "tls_certificate_unknown_issuer", "{attempt}");

    for (part, body, field) in [
        ("oauth", json!({ "clientId": "a", "clientSecret": "made-up" }), "tokenUrl"),
        (
            "oauth",
            json!({ "clientId": "a", "clientSecret": "made-up", "tokenUrl": "https://a.example",
                "grantType": "refreshToken" }),
            "grantType",
        ),
        (
            "oauth",
            json!({ "clientId": "a", "clientSecret": "made-up", "tokenUrl": "https://a.example",
                "authMethod": "clientSecretJwt" }),
            "authMethod",
        ),
        ("mtls", json!({ "identity": "" }), "identity"),
        ("mtls", json!({ "identity": shop.certificate }), "identity"),
        ("mtls", json!({ "identity": identity, "serverCaCert": "made-up" }), "serverCaCert"),
        (
            "mtls",
            json!({ "identity": identity, "serverCaCert": root.pem().repeat(200) }),
            "serverCaCert",
        ),
    ] {
        let (status, answer) = call(Method::PUT, part, Some(body)).await;
        assert_eq!((status, &answer["detail"][0]["loc"][1]), (422, &json!(field)), "{answer}");
    }
}

/// Receivers with TLS that take only clients whose certificate is of their authority.
mod secure {
    use std::sync::Arc;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
        KeyUsagePurpose,
    };
    use rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    };

    use crate::support::{Answer, Receiver};

    pub(super) type Issuer = CertifiedIssuer<'static, KeyPair>;

    pub(super) fn authority(name: &str) -> Issuer {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate and its key, both in PEM.
    pub(super) struct Signed {
        pub(super) certificate: String,
        pub(super) key: String,
    }

    impl Signed {
        pub(super) fn of(name: &str, issuer: &Issuer) -> Signed {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, issuer).unwrap().pem();
            Signed { certificate, key: key.serialize_pem() }
        }
    }

    /// Answers 204 to whoever shows a certificate of this authority.
    pub(super) fn receiver(issuer: &Issuer) -> Receiver {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let own = Signed::of("127.0.0.1", issuer);
        let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        Receiver::secure(config, |_, _| Answer::status(204))
    }
}
