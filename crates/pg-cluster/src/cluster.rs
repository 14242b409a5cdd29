//! One server with a directory of its own, as PostgreSQL calls it: a database cluster.
//!
//! Nothing that a production server keeps on is off: the store refuses a server that does not sync.
//! What is unusual is chosen to be found out by tests rather than by users: sorting by language
//! instead of by bytes, a time zone far from UTC, and a role that may create databases and no more.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::database::{psql, random};
use crate::janitor::{Janitor, Owner};
use crate::programs::{Programs, User, output};

/// The role that owns the databases. It is no superuser, as in production.
const ROLE: &str = "ringback";
/// Nobody asks for it, but clients that are given it must keep it to themselves.
const PASSWORD: &str = "made-up-database-password";
/// The role that owns the server.
const SUPERUSER: &str = "postgres";

const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("shared_buffers", "64MB"),
    ("max_connections", "200"),
    ("timezone", "Pacific/Auckland"),
];

const READY_WITHIN: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);
/// A free port may be taken by somebody else before the server has it.
const PORTS: usize = 5;

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder in which its directory is made; the system's for temporary files otherwise.
    pub within: Option<PathBuf>,
    /// Settings as in `postgresql.conf`; they win over those that every cluster here has.
    pub settings: Vec<(String, String)>,
    /// Files that settings name, as their names and contents. The server finds them one folder
    /// above its data: `../NAME`.
    pub files: Vec<(String, String)>,
}

/// A running server; dropping it stops the server and removes its directory.
pub struct Cluster {
    directory: PathBuf,
    programs: Programs,
    user: Option<User>,
    settings: Vec<(String, String)>,
    port: u16,
    server: Option<Child>,
    /// Removes the directory when it is dropped.
    _janitor: Janitor,
}

impl Cluster {
    /// Starts a server that ends with this process at the latest.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or what it said when it did not start.
    pub fn start(options: &Options) -> Result<Cluster, String> {
        let within = options.within.clone().unwrap_or_else(std::env::temp_dir);
        let directory = within.join(format!("ringback-pg-{}", random()));
        fs::create_dir_all(&directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        Cluster::launch(directory.clone(), Owner::Holder, options).inspect_err(|_| {
            // The janitor has done it, unless it was never hired.
            let _ = fs::remove_dir_all(&directory);
        })
    }

    /// Makes and starts the server in a directory that exists.
    pub(crate) fn launch(
        directory: PathBuf,
        owner: Owner,
        options: &Options,
    ) -> Result<Cluster, String> {
        let programs = Programs::find()?;
        let user = User::unprivileged(&directory)?;
        if let Some(User { uid, gid }) = user {
            std::os::unix::fs::chown(&directory, Some(uid), Some(gid))
                .map_err(|error| format!("cannot give {} away: {error}", directory.display()))?;
        }
        let janitor = Janitor::hire(&directory, owner, &programs, user)?;
        initialise(&directory, &programs, user)?;
        for (name, content) in &options.files {
            place(&directory.join(name), content, user)?;
        }
        let settings = options.settings.clone();
        let (server, port) = (None, 0);
        let mut cluster =
            Cluster { directory, programs, user, settings, port, server, _janitor: janitor };
        cluster.boot_on_a_free_port()?;
        let role = format!("CREATE ROLE {ROLE} LOGIN CREATEDB");
        psql(&cluster.url(SUPERUSER, "postgres"), &role)?;
        Ok(cluster)
    }

    /// The URL of the database `postgres`, for the role that may create others. Its password is made
    /// up, and no secret.
    #[must_use]
    pub fn dsn(&self) -> String {
        self.url(ROLE, "postgres")
    }

    /// The same for the superuser, who may change the server's settings.
    #[must_use]
    pub fn superuser_dsn(&self) -> String {
        self.url(SUPERUSER, "postgres")
    }

    /// The same through the server's Unix socket.
    #[must_use]
    pub fn socket_dsn(&self) -> String {
        let host = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://{ROLE}@{host}:{}/postgres", self.port)
    }

    /// The process that the server's other processes are children of.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Stops the server in good order, cutting its connections: an administrator's restart.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<(), String> {
        self.stop_as("fast")
    }

    /// Stops the server at once; it recovers at the next start.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop_immediately(&mut self) -> Result<(), String> {
        self.stop_as("immediate")
    }

    fn stop_as(&mut self, mode: &str) -> Result<(), String> {
        if self.server.is_none() {
            return Ok(());
        }
        let mut pg_ctl = self.programs.command("pg_ctl", self.user);
        let words = ["stop", "--silent", "--mode", mode, "--pgdata", "data"];
        output(pg_ctl.args(words).current_dir(&self.directory))?;
        self.reap()
    }

    /// Kills every process of the server at once, as a crash of the machine would.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self) -> Result<(), String> {
        self.signal("KILL")?;
        self.reap()
    }

    /// Makes every process of the server stand still: its connections stay, and nobody answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze(&self) -> Result<(), String> {
        self.signal("STOP")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn thaw(&self) -> Result<(), String> {
        self.signal("CONT")
    }

    fn signal(&self, signal: &str) -> Result<(), String> {
        let pid = self.pid().ok_or("the server is not running")?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .map_err(|error| format!("cannot list the processes of the server: {error}"))?;
        // The parent goes first: it would only start others in their place. A child that has ended
        // meanwhile is no failure. `kill` of the shell: a signal needs no dependency.
        let mut kill = Command::new("/bin/sh");
        kill.args(["-c", "kill -\"$0\" \"$@\"", signal]).arg(pid.to_string());
        let _ = output(kill.args(children.split_whitespace()));
        Ok(())
    }

    /// Starts the server again, on the same port.
    ///
    /// # Errors
    /// What it said when it did not start.
    pub fn start_again(&mut self) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        loop {
            match self.boot() {
                // What was killed may hold on to its memory for a moment.
                Err(_) if waited < READY_WITHIN / 6 => thread::sleep(STEP),
                done => return done,
            }
            waited += STEP;
        }
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    fn boot_on_a_free_port(&mut self) -> Result<(), String> {
        let mut outcome = Ok(());
        for _ in 0..PORTS {
            self.port = free_port()?;
            outcome = self.boot();
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Starts the server and waits until it takes connections.
    fn boot(&mut self) -> Result<(), String> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .map_err(|error| format!("cannot write the server's log: {error}"))?;
        let mut postgres = self.programs.command("postgres", self.user);
        postgres.current_dir(&self.directory).args(["-D", "data", "-k"]).arg(&self.directory);
        postgres.args(["-p", &self.port.to_string()]);
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(own) {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let mut server = postgres
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // As for the janitor: who ends a test's group must leave the stopping to the janitor.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot run postgres: {error}"))?;
        let ready = self.wait_until_ready(&mut server);
        if ready.is_err() {
            let _ = server.kill();
            let _ = server.wait();
        } else {
            self.server = Some(server);
        }
        ready
    }

    fn wait_until_ready(&self, server: &mut Child) -> Result<(), String> {
        let mut waited = Duration::ZERO;
        while waited < READY_WITHIN {
            if is_ready(&self.directory, server.id()) {
                return Ok(());
            }
            if let Ok(Some(status)) = server.try_wait() {
                return Err(format!("the server ended with {status}:\n{}", self.log()));
            }
            thread::sleep(STEP);
            waited += STEP;
        }
        Err(format!("the server was not ready in {READY_WITHIN:?}:\n{}", self.log()))
    }

    fn reap(&mut self) -> Result<(), String> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.wait().map(drop).map_err(|error| format!("cannot wait for the server: {error}"))
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What stands still cannot stop. Whatever else does not is the janitor's, who comes next.
        let _ = self.thaw();
        let _ = self.stop();
    }
}

/// Writes a file for the server alone: it refuses a key that others can read.
fn place(path: &Path, content: &str, user: Option<User>) -> Result<(), String> {
    let write = || {
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())?;
        match user {
            Some(User { uid, gid }) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Creates the cluster's files; not synced, as there is nothing in them to lose yet.
fn initialise(directory: &Path, programs: &Programs, user: Option<User>) -> Result<(), String> {
    let mut initdb = programs.command("initdb", user);
    initdb
        .current_dir(directory)
        .args(["--pgdata", "data", "--no-sync", "--auth", "trust", "--username", SUPERUSER])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8"])
        .args(["--locale-provider", "icu", "--icu-locale", "en-US"]);
    let made = output(&mut initdb);
    made.map(drop).map_err(|error| match user {
        Some(User { uid, .. }) => {
            format!("{error}\n(it runs as user {uid}, who has to reach {})", directory.display())
        }
        None => error,
    })
}

/// Whether the process is a server that takes connections: the last line of the file that it keeps
/// about itself says so.
fn is_ready(directory: &Path, pid: u32) -> bool {
    let told = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = told.lines();
    // A server that was killed leaves its file behind.
    let own = lines.next() == Some(&pid.to_string());
    own && lines.last().is_some_and(|status| status.trim() == "ready")
}

pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("there is no free port: {error}"))
}
