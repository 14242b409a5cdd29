//! A wrong setting, and a data directory that is taken, are told before anything is opened.

use super::{run, run_on, stderr, stdout, text};
use crate::support::{Server, Settings};

#[test]
fn a_wrong_setting_is_named_and_nothing_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("ringback.toml");
    std::fs::write(&file, "[delivery]\ntimeot = 3\n").unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let secret = "made-up\u{e9}secret-0123456789";
    for (words, env, named) in [
        (&[][..], ("RINGBACK_DELIVERY_TIMEOUT", "soon"), "RINGBACK_DELIVERY_TIMEOUT"),
        (&[], ("RINGBACK_DELIVERY_TIMEOUT", "0"), "delivery.timeout"),
        (&[], ("RINGBACK_DELIVERY_ALLOW_CIDRS", "10.0.0.0/33"), "RINGBACK_DELIVERY_ALLOW_CIDRS"),
        (&[], ("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,x"), "RINGBACK_DELIVERY_RETRY_SCHEDULE"),
        (&[], ("RINGBACK_DELIVERY_DISABLE_AFTER", "59"), "delivery.disable_after"),
        (&[], ("RINGBACK_DELIVRY_TIMEOUT", "3"), "RINGBACK_DELIVRY_TIMEOUT"),
        (&[], ("RINGBACK_BOOTSTRAP_TOKEN", "short"), "RINGBACK_BOOTSTRAP_TOKEN"),
        (&[], ("RINGBACK_BOOTSTRAP_TOKEN", secret), "RINGBACK_BOOTSTRAP_TOKEN"),
        (&[], ("RINGBACK_LOG_LEVEL", "loud"), "RINGBACK_LOG_LEVEL"),
        (&[], ("RINGBACK_STORE", secret), "RINGBACK_STORE"),
        (&["--store", secret], ("X", ""), "--store"),
        (&[], ("RINGBACK_SECRETS_KEY", "c2hvcnQ="), "RINGBACK_SECRETS_KEY"),
        (&["--config", text(&file)], ("X", ""), "delivery.timeot"),
        (&["--config", "/nowhere/ringback.toml"], ("X", ""), "/nowhere/ringback.toml"),
        (&["--log-format", "loud"], ("X", ""), "--log-format"),
        (&["--no-such-flag"], ("X", ""), "--no-such-flag"),
    ] {
        let output = run(&[&serve[..], words].concat(), &[env]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{env:?} {words:?}: {told}");
        assert!(told.contains(named), "{env:?} {words:?}: {told}");
        assert!(!told.contains(secret), "{told}");
        assert_eq!(stdout(&output), "", "{env:?} {words:?}");
        assert!(!data.exists(), "{env:?} {words:?}");
    }
    let listen = ["serve", "--listen", "nowhere", "--data", text(&data)];
    assert_eq!(run(&listen, &[]).status.code(), Some(64));
    assert!(!data.exists());
}

/// Where payloads are kept that receivers could not fetch, none are kept.
#[test]
fn an_object_store_that_cannot_be_is_refused_with_the_next_step() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let file = format!("file://{}", directory.path().join("payloads").display());
    let below = format!("file://{}", directory.path().join("data/lock/payloads").display());
    let public = ("RINGBACK_PUBLIC_URL", "https://hooks.example.com");
    for (store, env, named) in [
        (&*file, ("X", ""), "public_url"),
        (&*below, public, "payloads.store"),
        ("s3://bucket", public, "AWS_ACCESS_KEY_ID"),
        ("s3://bucket?endpoint=nowhere", public, "payloads.store has the endpoint"),
        ("/var/lib/payloads", public, "payloads.store must be a URL"),
    ] {
        let output = run(&serve, &[("RINGBACK_PAYLOADS_STORE", store), env]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{store}: {told}");
        assert!(told.contains(named), "{store}: {told}");
        assert_eq!(stdout(&output), "", "{store}");
    }
}

#[test]
fn a_dump_shows_what_holds_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let token = "made-up-bootstrap-0123456789";
    let env = [("RINGBACK_BOOTSTRAP_TOKEN", token), ("RINGBACK_DELIVERY_TIMEOUT", "7")];
    let output = run(&["serve", "--data", text(&data), "--dump-config"], &env);
    let dump = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(dump.contains("timeout = 7") && dump.contains("RINGBACK_DELIVERY_TIMEOUT"), "{dump}");
    assert!(!dump.contains(token), "{dump}");
    assert!(!data.exists());
}

/// Whatever is wrong with a database's URL, its password is not told.
#[test]
fn a_database_that_cannot_be_had_is_told_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let password = "made-up-password-0123456789";
    for place in ["127.0.0.1:1/ringback", "127.0.0.1:port/ringback", "%zz/ringback", "?nope=1"] {
        let url = format!("postgres://made-up-user:{password}@{place}");
        for (words, env) in [
            ([&serve[..], &["--store", &url]].concat(), ("X", "")),
            (serve.to_vec(), ("RINGBACK_STORE", &*url)),
        ] {
            let output = run(&words, &[env, ("RINGBACK_LOG_LEVEL", "trace")]);
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{place}: {told}");
            assert!(told.contains("database"), "{place}: {told}");
            assert!(!told.contains(password), "{place}: {told}");
            assert_eq!(stdout(&output), "", "{place}");
        }
        let dump = run(&[&serve[..], &["--dump-config"]].concat(), &[("RINGBACK_STORE", &*url)]);
        let dump = stdout(&dump);
        assert!(dump.contains("url is not shown # RINGBACK_STORE"), "{dump}");
        assert!(!dump.contains(password), "{dump}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_on_a_directory_is_told_who_was_first() {
    let server = Server::start(Settings::default());
    let env = [("RINGBACK_LOG_FORMAT", "pretty")];
    let second = run_on(&server, &["serve", "--listen", "127.0.0.1:0"], &env);
    let told = stderr(&second);
    assert_eq!(second.status.code(), Some(75), "{told}");
    assert!(told.contains(&format!("process {}", server.pid())), "{told}");
    assert!(told.contains(&server.url), "{told}");
    assert_eq!(stdout(&second), "");
    // The first goes on, its socket and all.
    server.application("http://127.0.0.1:9/").await;
    assert!(run_on(&server, &["token", "list"], &[]).status.success());
}

/// With another key every delivery would fail, and in the end every endpoint would be disabled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_opens_nothing_is_told_at_the_start() {
    let mut server = Server::start(Settings::default());
    let own = std::fs::read_to_string(server.data().join("master.key")).unwrap();
    assert_eq!(server.stop().code(), Some(0));
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let other = "rbk_bWFkZS11cC1tYWRlLXVwLW1hZGUtdXAtbWFkZS11cCE";
    let output = run_on(&server, &serve, &[("RINGBACK_SECRETS_KEY", other)]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("not the key") && !told.contains(other), "{told}");
    assert_eq!(stdout(&output), "");

    // The right one may come from anywhere.
    let (data, store) = (Some(server.data().to_owned()), Some(server.store().clone()));
    let settings = Settings { data, store, ..Settings::default() };
    let mut again = Server::start(settings.env("RINGBACK_SECRETS_KEY", own.trim()));
    assert_eq!(again.stop().code(), Some(0));
}
