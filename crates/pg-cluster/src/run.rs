//! One server for a whole run of tests.
//!
//! A test runner that gives each test a process of its own leaves no place for a shared server but
//! outside of them all. So the first test that wants one starts it, under a lock, and a janitor ends
//! it with the runner.

use std::fs;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::sync::OnceLock;

use crate::cluster::{Cluster, Options};
use crate::janitor::Owner;

/// The variable that holds the URL of a server on which tests may create databases. Without it they
/// start one.
pub const VARIABLE: &str = "RINGBACK_TEST_POSTGRES";

/// What cargo-nextest calls the run that a test belongs to.
const NEXTEST_RUN: &str = "NEXTEST_RUN_ID";

/// This process's own, where there is no run that it is a part of.
static OWN: OnceLock<Result<Cluster, String>> = OnceLock::new();

/// The URL of the server that this run's databases are created on.
pub(crate) fn server() -> Result<&'static str, String> {
    static SERVER: OnceLock<Result<String, String>> = OnceLock::new();
    let found = SERVER.get_or_init(|| match (given(VARIABLE), given(NEXTEST_RUN)) {
        (Some(url), _) => Ok(url),
        (None, Some(run)) => shared(&run),
        // It ends with the process: nothing is dropped before.
        (None, None) => {
            let own = OWN.get_or_init(|| Cluster::start(&Options::default()));
            own.as_ref().map(Cluster::dsn).map_err(String::clone)
        }
    });
    found.as_deref().map_err(Clone::clone)
}

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The server of the test runner's run, started by whoever comes first.
fn shared(run: &str) -> Result<String, String> {
    let directory = std::env::temp_dir().join(format!("ringback-pg-{run}"));
    let said = |error| format!("cannot use {}: {error}", directory.display());
    fs::create_dir_all(&directory).map_err(said)?;
    let lock = fs::File::create(directory.join("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    let known = directory.join("url");
    if let Ok(url) = fs::read_to_string(&known) {
        return Ok(url);
    }
    start(&directory).and_then(|url| {
        fs::write(&known, &url).map_err(said)?;
        Ok(url)
    })
}

/// Starts a server that outlives this test and ends with the test runner, whose child this is.
fn start(directory: &Path) -> Result<String, String> {
    // What a test left that failed at this point.
    let _ = fs::remove_dir_all(directory.join("data"));
    let owner = Owner::Process(parent_id());
    let cluster = Cluster::launch(directory.to_owned(), owner, &Options::default())?;
    let url = cluster.dsn();
    // The end of this test is not the end of the server.
    std::mem::forget(cluster);
    Ok(url)
}
