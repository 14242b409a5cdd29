//! A real server for the SDK suites: the built program on a fresh data directory and a free port.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ringback_pg_cluster::Database;

use crate::process;

/// The administrator's token of the servers started here. Made up; valid nowhere else.
pub(crate) const TOKEN: &str = "sdk-suites-made-up-token";

/// Where browsers may be sent on to by the servers started here.
const REDIRECT_TARGETS: &str =
    "http://app.localhost/success,http://app.localhost/failure,http://app.localhost/pending";

const READY_WITHIN: Duration = Duration::from_secs(30);
const GONE_WITHIN: Duration = Duration::from_secs(40);

/// A running `ringback serve`. Stop it with [`Server::stop`]; dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    pub(crate) url: String,
}

impl Server {
    /// Starts `target/debug/ringback` and waits until it says where it listens. `name` tells its
    /// data directory and log apart from those of other suites.
    pub(crate) fn start(root: &Path, name: &str, store: Option<&Database>) -> Result<Self, String> {
        let place = root.join("target/sdk/server").join(name);
        if place.exists() {
            fs::remove_dir_all(&place)
                .map_err(|error| format!("cannot remove {}: {error}", place.display()))?;
        }
        fs::create_dir_all(&place)
            .map_err(|error| format!("cannot create {}: {error}", place.display()))?;
        let (data, log) = (place.join("data"), place.join("log"));
        let stderr = File::create(&log)
            .map_err(|error| format!("cannot create {}: {error}", log.display()))?;
        let mut child = program(root)
            .envs(store.map(|database| ("RINGBACK_STORE", database.dsn())))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        match ready(&mut child) {
            Ok(url) => Ok(Self { child, data, log, url }),
            Err(problem) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{problem}\n{}", tail(&log)))
            }
        }
    }

    /// Asks the server to end (SIGTERM) and checks that it does so with 0 and never panicked.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().to_string();
        // `kill` of the shell: a signal needs no dependency.
        process::quiet(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]))?;
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(50);
        let status = loop {
            let status = self.child.try_wait().map_err(|error| format!("cannot wait: {error}"))?;
            match status {
                Some(status) => break status,
                None if waited < GONE_WITHIN => thread::sleep(step),
                None => return Err(format!("the server ignored SIGTERM\n{}", tail(&self.log))),
            }
            waited += step;
        };
        if !status.success() {
            return Err(format!("the server ended with {status}\n{}", tail(&self.log)));
        }
        if fs::read_to_string(&self.log).is_ok_and(|log| log.contains("panicked at")) {
            return Err(format!("the server panicked\n{}", tail(&self.log)));
        }
        fs::remove_dir_all(&self.data)
            .map_err(|error| format!("cannot remove {}: {error}", self.data.display()))
    }

    /// The end of the log, for a suite that failed.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The server's program with the environment of the suites, and nothing else that it would read.
fn program(root: &Path) -> Command {
    let mut command = Command::new(root.join("target/debug/ringback"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGBACK_") {
            command.env_remove(name);
        }
    }
    command
        .env("RINGBACK_BOOTSTRAP_TOKEN", TOKEN)
        .env("RINGBACK_DELIVERY_ALLOW_CIDRS", "127.0.0.0/8")
        .env("RINGBACK_DELIVERY_DESTINATION_HOSTS", "127.0.0.1:*")
        .env("RINGBACK_DELIVERY_REQUIRE_HTTPS", "false")
        .env("RINGBACK_CALLBACK_ALLOWED_ORIGINS", "http://app.localhost")
        .env("RINGBACK_CALLBACK_REDIRECT_TARGETS", REDIRECT_TARGETS)
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,2");
    command
}

/// Waits for the line `listening on http://…` and answers the address. Later lines are drained, so
/// that the server never blocks on a full pipe.
fn ready(child: &mut Child) -> Result<String, String> {
    let stdout = child.stdout.take().ok_or("the server has no stdout")?;
    let (lines, arriving) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let line = arriving
        .recv_timeout(READY_WITHIN)
        .map_err(|_| "the server did not say that it listens".to_owned())?;
    line.strip_prefix("listening on ")
        .map(str::to_owned)
        .ok_or_else(|| format!("the server's first line was {line:?}"))
}

fn tail(log: &Path) -> String {
    const SHOWN: usize = 40;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(SHOWN);
    format!("server log ({}):\n{}", log.display(), lines.get(from..).unwrap_or(&[]).join("\n"))
}
