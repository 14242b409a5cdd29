//! The real binary, started on a free port with a directory of its own, and a database of its own
//! where `RINGBACK_TEST_STORE` says so.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
};

use http::Method;
use ringback::{api_client::ApiClient, seam::World};
use serde_json::Value;
use tempfile::TempDir;

use super::Store;

/// A token that looks made up and is.
pub(crate) const TOKEN: &str = "test-token-made-up-for-tests";

/// A free port.
const ANYWHERE: &str = "127.0.0.1:0";

/// How a server is started.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Variables beside those that every test server gets.
    pub(crate) env: Vec<(String, String)>,
    /// A data directory that exists; a fresh one otherwise.
    pub(crate) data: Option<PathBuf>,
    /// A store that exists, or one of a certain kind; a fresh one of this run's kind otherwise.
    pub(crate) store: Option<Store>,
    /// A command that the server is started through, such as `strace …`.
    pub(crate) through: Vec<String>,
}

impl Settings {
    /// With this variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Settings {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a server wrote to its standard error output.
#[derive(Default)]
struct Logged {
    text: Mutex<String>,
    grown: Condvar,
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    log: Arc<Logged>,
    settings: Settings,
    data: PathBuf,
    store: Store,
    _directory: Option<TempDir>,
    pub(crate) url: String,
    world: World,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(mut settings: Settings) -> Server {
        let directory = settings.data.is_none().then(|| tempfile::tempdir().unwrap());
        let data = match (&settings.data, &directory) {
            (Some(data), _) => data.clone(),
            (None, Some(directory)) => directory.path().join("data"),
            (None, None) => unreachable!(),
        };
        settings.data = Some(data.clone());
        let store = settings.store.get_or_insert_with(Store::fresh).clone();
        let log: Arc<Logged> = Arc::default();
        let (child, url) = spawn(&settings, &data, &log, ANYWHERE);
        let runtime = tokio::runtime::Handle::current();
        let world = ringback::wiring::world(&[], runtime).unwrap();
        Server { child, log, settings, data, store, _directory: directory, url, world }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Everything it logged, by all its lives.
    pub(crate) fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    /// Waits until it has logged this.
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_for_log_times(text, 1);
    }

    /// How often it has logged this.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits until it has logged this so many times.
    pub(crate) fn wait_for_log_times(&self, text: &str, times: usize) {
        let log = self.log.text.lock().unwrap();
        let missing = |log: &mut String| log.matches(text).count() < times;
        let (log, waited) =
            self.log.grown.wait_timeout_while(log, super::PATIENCE, missing).unwrap();
        assert!(!waited.timed_out(), "{text:?} was not logged {times} times: {log}");
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as a crash would, without a last word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Starts it again on the same directory, on another port.
    pub(crate) fn restart(&mut self) {
        let (child, url) = spawn(&self.settings, &self.data, &self.log, ANYWHERE);
        self.child = child;
        self.url = url;
    }

    /// Starts it again on the same directory, on another port, through another command.
    pub(crate) fn restart_through(&mut self, through: Vec<String>) {
        self.settings.through = through;
        self.restart();
    }

    /// Starts it again on the same directory and the same port.
    pub(crate) fn restart_in_place(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        self.child = spawn(&self.settings, &self.data, &self.log, &address).0;
    }

    /// A client of its API.
    pub(crate) fn client(&self) -> ApiClient {
        self.client_with(TOKEN)
    }

    /// A client with another token.
    pub(crate) fn client_with(&self, token: &str) -> ApiClient {
        let network = Arc::clone(&self.world.network);
        ApiClient::new(&self.url, token.to_owned(), network).unwrap()
    }

    /// Calls the API; the status and the JSON, null where there is none.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let body = body.map(|body| body.to_string().into());
        let answer = self.client().call(method, path, body).await.unwrap();
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status.as_u16(), json)
    }

    /// Posts what must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, json) = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {json}");
        json
    }

    /// Gets what must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, json) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {json}");
        json
    }

    /// What a scraper gets, which has no token.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.client_with("none").call(Method::GET, "/metrics", None).await.unwrap();
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// A new application with one endpoint; returns both ids.
    pub(crate) async fn application(&self, url: &str) -> (String, String) {
        let app = self.post("/api/v1/app", serde_json::json!({ "name": "test" })).await;
        let app = app["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/app/{app}/endpoint");
        let endpoint = self.post(&path, serde_json::json!({ "url": url })).await;
        (app, endpoint["id"].as_str().unwrap().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(settings: &Settings, data: &Path, log: &Arc<Logged>, listen: &str) -> (Child, String) {
    let binary = env!("CARGO_BIN_EXE_ringback").to_owned();
    let words = settings.through.iter().cloned().chain([binary]).collect::<Vec<_>>();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["serve", "--listen", listen, "--data"]).arg(data);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RINGBACK_")) {
        command.env_remove(name);
    }
    command
        .env("RINGBACK_BOOTSTRAP_TOKEN", TOKEN)
        .env("RINGBACK_DELIVERY_ALLOW_CIDRS", "127.0.0.0/8")
        .env("RINGBACK_DELIVERY_REQUIRE_HTTPS", "false")
        .env("RINGBACK_LOG_FORMAT", "pretty")
        .envs(settings.store.iter().filter_map(Store::env))
        .envs(settings.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    keep(child.stderr.take().unwrap(), Arc::clone(log));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
    let Some(url) = url else {
        let status = child.wait().unwrap();
        panic!("the server did not start: {status}, {line:?}");
    };
    (child, url)
}

/// Keeps what is logged, and shows it too: the test runner shows it when a test fails.
fn keep(stderr: ChildStderr, log: Arc<Logged>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let mut text = log.text.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
            drop(text);
            log.grown.notify_all();
        }
    });
}
