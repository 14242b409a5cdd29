//! TLS to the database: who is believed under which `sslmode`.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use ringback_pg_cluster::{Cluster, Database};
use ringback_store::postgres::{OpenError, Options, Postgres};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server whose certificate is for `localhost`, by this authority.
fn server(authority: &Authority) -> Cluster {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let settings =
        [("ssl", "on"), ("ssl_cert_file", "../server.crt"), ("ssl_key_file", "../server.key")];
    let options = ringback_pg_cluster::Options {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        files: vec![
            ("server.crt".to_owned(), certificate.pem()),
            ("server.key".to_owned(), key.serialize_pem()),
        ],
        ..Default::default()
    };
    Cluster::start(&options).unwrap()
}

/// Whether every connection of a store that is opened with these words is encrypted.
fn encrypted(database: &Database, host: &str, words: &str) -> Result<bool, OpenError> {
    let dsn = format!("{}?{words}", database.dsn().replace("127.0.0.1", host));
    let _store = Postgres::open(&dsn, &Options::default())?;
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'ringback' AND datname = current_database()";
    Ok(database.ask(sql).unwrap() == "t")
}

#[test]
fn who_is_believed_depends_on_the_mode() {
    let (ours, other) = (authority(), authority());
    let cluster = server(&ours);
    let database = Database::create_on(&cluster.dsn()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("&sslrootcert={}", path.display().to_string().replace('/', "%2F"))
    };
    let (right, wrong) = (file("right.pem", &ours.pem()), file("wrong.pem", &other.pem()));
    let none = String::new();

    for (host, mode, roots, expect) in [
        ("127.0.0.1", "disable", &none, Some(false)),
        ("127.0.0.1", "prefer", &none, Some(true)),
        ("127.0.0.1", "require", &none, Some(true)),
        ("localhost", "verify-full", &right, Some(true)),
        ("127.0.0.1", "verify-full", &right, None),
        ("localhost", "verify-full", &wrong, None),
        ("localhost", "verify-full", &none, None),
        ("127.0.0.1", "verify-ca", &right, Some(true)),
        ("127.0.0.1", "verify-ca", &wrong, None),
        // Who names authorities wants them to count.
        ("127.0.0.1", "require", &wrong, None),
        ("127.0.0.1", "require", &right, Some(true)),
    ] {
        let words = format!("sslmode={mode}{roots}");
        let told = encrypted(&database, host, &words);
        assert_eq!(told.as_ref().ok().copied(), expect, "{host} {words}: {:?}", told.err());
    }
    for (words, reason) in [
        ("sslmode=allow", "sslmode is"),
        ("sslmode=verify-ca&sslrootcert=/nowhere.pem", "/nowhere.pem"),
        (&*format!("sslmode=verify-ca{}", file("empty.pem", "")), "no certificate"),
    ] {
        let error = encrypted(&database, "localhost", words).unwrap_err().to_string();
        assert!(error.contains(reason), "{words}: {error}");
    }
}

/// A server without TLS is talked to in the clear only where that was not excluded.
#[test]
fn what_must_be_encrypted_is_not_sent_in_the_clear() {
    let cluster = Cluster::start(&Default::default()).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    for (mode, expect) in
        [("disable", true), ("prefer", true), ("require", false), ("verify-full", false)]
    {
        let dsn = format!("{}?sslmode={mode}", database.dsn());
        let opened = Postgres::open(&dsn, &Options::default());
        assert_eq!(opened.is_ok(), expect, "{mode}: {:?}", opened.err());
    }
}
