//! The server under measurement: a child process, known only by its command line, its environment
//! and what it prints when it is ready.
//!
//! There is at most one at a time, and it never outlives this process by more than a signal: it is
//! killed when its handle is dropped and when the benchmark is interrupted.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::api::Api;
use crate::clock;
use crate::proc::Usage;

/// Made up; it opens nothing but a server on the loopback interface for the length of a run.
const TOKEN: &str = "bench-made-up-token-0123456789";
const READY: &str = "listening on http://";
/// With a large backlog to read, a start may take a while; longer than this is a failure.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The child, where the handler of an interrupt finds it.
static CHILD: Mutex<Option<Child>> = Mutex::new(None);

/// A running server.
pub struct Server {
    pub api: Api,
    pid: u32,
    /// When the process was started (`clock` nanoseconds).
    pub spawned: u64,
    /// From there to the line that says it listens.
    pub start: Duration,
}

impl Server {
    /// Starts `binary` on the data directory `data` and waits until it listens. `settings` are
    /// environment variables on top of those every run has.
    pub fn start(binary: &Path, data: &Path, settings: &[(&str, String)]) -> Result<Self> {
        let log = data.with_extension("log");
        let mut command = Command::new(binary);
        // The caller's own settings must not leak into the measurement.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("RINGBACK_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("RINGBACK_BOOTSTRAP_TOKEN", TOKEN)
            .env("RINGBACK_DELIVERY_ALLOW_CIDRS", "127.0.0.0/8")
            .env("RINGBACK_DELIVERY_REQUIRE_HTTPS", "false")
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?);

        let (spawned, started) = (clock::now(), Instant::now());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let pid = child.id();
        let stdout = child.stdout.take().context("the child has no stdout")?;
        *slot() = Some(child);
        match listening(stdout) {
            Ok(addr) => Ok(Self {
                api: Api { addr, token: TOKEN.into() },
                pid,
                spawned,
                start: started.elapsed(),
            }),
            Err(error) => {
                kill();
                bail!("{error:#}; its log ends with:\n{}", tail(&log))
            }
        }
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a restart the slot holds the successor.
        let mine = slot().as_ref().is_some_and(|child| child.id() == self.pid);
        if mine {
            kill();
        }
    }
}

/// Ends the running child, if there is one, as a crash would (SIGKILL), and waits for its end.
pub fn kill() {
    if let Some(mut child) = slot().take() {
        // It may have ended by itself; either way it is gone after the wait.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Builds the server in `repository` as it is shipped; where it is.
pub fn build(repository: &Path) -> Result<PathBuf> {
    eprintln!("building the server (cargo build --profile dist) ...");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--profile", "dist", "--bin", "ringback"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the server does not build");
    }
    // The messages say where the binary is, whatever target directory is configured.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "ringback")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo built no binary named ringback")
}

fn slot() -> MutexGuard<'static, Option<Child>> {
    CHILD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listening(stdout: ChildStdout) -> Result<SocketAddr> {
    let (lines, line) = mpsc::channel();
    // Reads on after the first line, so that the server never blocks on a full pipe.
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match line.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(addr) = line.trim().strip_prefix(READY) {
                    return addr.trim_end_matches('/').parse().with_context(|| line.clone());
                }
            }
            Err(RecvTimeoutError::Timeout) => bail!("the server did not listen in {START_LIMIT:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the server ended before it listened"),
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
