//! What tests rely on: a server with durable settings, databases that come and go, and nothing left
//! behind, however the owner ended.

#![allow(clippy::unwrap_used, reason = "a test that panics is one that fails")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use ringback_pg_cluster::{Cluster, Database, Options};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringback-pg-cluster");
/// How long a janitor may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `psql` answers to one statement.
fn ask(url: &str, statement: &str) -> Result<String, String> {
    let flags = ["--no-psqlrc", "--no-align", "--tuples-only", "--dbname", url, "--command"];
    let done = Command::new("psql").args(flags).arg(statement).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// A folder that everybody may look into, as the system's for temporary files is.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn within(folder: &TempDir) -> Options {
    Options { within: Some(folder.path().to_owned()), ..Options::default() }
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Waits for a janitor, which nobody is told by.
fn wait_until_empty(folder: &Path) {
    let mut waited = Duration::ZERO;
    while !left_in(folder).is_empty() {
        assert!(waited < PATIENCE, "{:?} is still there", left_in(folder));
        sleep(Duration::from_millis(50));
        waited += Duration::from_millis(50);
    }
}

/// Starts the program, or what runs it, and reads the URLs that it prints.
fn started(command: &mut Command, folder: &TempDir, urls: usize) -> (Child, Vec<String>) {
    command.env("TMPDIR", folder.path()).env_remove(ringback_pg_cluster::VARIABLE);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let urls: Vec<String> = lines.take(urls).map(Result::unwrap).collect();
    (child, urls)
}

/// `postgres://role@host:port` of a URL, without its database.
fn server(url: &str) -> &str {
    url.rsplit_once('/').unwrap().0
}

#[test]
fn it_starts_with_durable_settings_and_leaves_nothing() {
    let folder = folder();
    let cluster = Cluster::start(&within(&folder)).unwrap();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        assert_eq!(ask(&cluster.dsn(), &format!("SHOW {name}")).unwrap(), "on", "{name}");
    }
    assert_eq!(ask(&cluster.socket_dsn(), "SELECT inet_server_addr() IS NULL").unwrap(), "t");
    assert_eq!(ask(&cluster.superuser_dsn(), "SHOW is_superuser").unwrap(), "on");
    let url = cluster.dsn();
    drop(cluster);
    assert!(ask(&url, "SELECT 1").is_err());
    assert_eq!(left_in(folder.path()), Vec::<PathBuf>::new());
}

/// What a server of users does and one of tests rarely does.
#[test]
fn it_is_as_awkward_as_a_server_of_somebody_else() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    let ask = |statement| ask(&database.dsn(), statement).unwrap();
    assert_eq!(ask("SHOW is_superuser"), "off");
    assert_eq!(ask("SELECT 'a' < 'B'"), "t", "sorted by language, not by bytes");
    assert_eq!(ask("SELECT extract(timezone FROM now()) = 0"), "f", "far from UTC");
}

#[test]
fn settings_of_its_own_win() {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = vec![setting("fsync", "off"), setting("max_connections", "7")];
    let cluster = Cluster::start(&Options { settings, ..Options::default() }).unwrap();
    assert_eq!(ask(&cluster.dsn(), "SHOW fsync").unwrap(), "off");
    assert_eq!(ask(&cluster.dsn(), "SHOW max_connections").unwrap(), "7");
}

#[test]
fn a_database_is_empty_and_goes_although_it_is_used() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    let other = Database::create_on(&cluster.dsn()).unwrap();
    ask(&database.dsn(), "CREATE TABLE a (b int)").unwrap();
    assert!(ask(&other.dsn(), "SELECT * FROM a").is_err());
    assert!(database.dump().unwrap().contains("CREATE TABLE public.a"));
    assert!(!other.dump().unwrap().contains("CREATE TABLE"));

    let waits = ["-Xc", "SELECT pg_advisory_lock(1)", "-c", "SELECT pg_sleep(600)"];
    let mut user = Command::new("psql").args(waits).arg(database.dsn()).spawn().unwrap();
    let holds = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    while ask(&cluster.dsn(), holds).unwrap() != "1" {}
    drop(database);
    assert!(!user.wait().unwrap().success(), "its connection was cut");
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'ringback%'";
    assert_eq!(ask(&cluster.dsn(), left).unwrap(), "1");
}

#[test]
fn a_killed_server_comes_back_with_what_was_committed() {
    let mut cluster = Cluster::start(&Options::default()).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    let url = database.dsn();
    ask(&url, "CREATE TABLE a AS SELECT 7 AS b").unwrap();
    cluster.kill().unwrap();
    assert!(ask(&url, "SELECT b FROM a").is_err());
    cluster.start_again().unwrap();
    assert_eq!(ask(&url, "SELECT b FROM a").unwrap(), "7");
    assert!(cluster.log().contains("was not properly shut down"), "{}", cluster.log());

    cluster.stop().unwrap();
    assert!(ask(&url, "SELECT b FROM a").is_err());
    cluster.start_again().unwrap();
    assert_eq!(ask(&url, "SELECT b FROM a").unwrap(), "7");
}

#[test]
fn it_ends_with_an_owner_that_is_killed() {
    let folder = folder();
    let (mut owner, urls) = started(&mut Command::new(PROGRAM), &folder, 1);
    assert_eq!(ask(&urls[0], "SELECT 1").unwrap(), "1");
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until_empty(folder.path());
    assert!(ask(&urls[0], "SELECT 1").is_err());
}

#[test]
fn one_run_of_tests_has_one_server_and_it_ends_with_the_runner() {
    let folder = folder();
    // Two tests at the same time and, when they are over, a third.
    let script =
        "\"$0\" database </dev/null & \"$0\" database </dev/null & wait; \"$0\" database; :";
    let mut runner = Command::new("sh");
    runner.args(["-c", script, PROGRAM]).env("NEXTEST_RUN_ID", "made-up");
    let (mut runner, urls) = started(&mut runner, &folder, 3);
    assert_eq!((server(&urls[0]), server(&urls[1])), (server(&urls[2]), server(&urls[2])));
    assert!(ask(&urls[0], "SELECT 1").is_err(), "it is dropped");
    assert_eq!(ask(&urls[2], "SELECT 1").unwrap(), "1");
    assert_eq!(left_in(folder.path()).len(), 1);
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until_empty(folder.path());
}
