//! A server of the distribution's, with a directory of its own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// The distribution's, which knows the distribution's libraries.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
const STEP: Duration = Duration::from_millis(20);

/// Ends the server and removes its directory when whoever holds the other end of the standard input is
/// gone, and ends with the server. Both are in one group, so that one signal reaches both, and all that
/// the server starts.
const KEEPER: &str = r#"("$@" <&-; kill -KILL 0) & read -r _; rm -rf "$0"; kill -KILL 0"#;

/// How a server is started in a directory, on a port.
type Recipe = dyn Fn(&Path, u16) -> Command + Send;

/// A running server; dropping it ends it and removes its directory.
pub(crate) struct Server {
    directory: tempfile::TempDir,
    command: Box<Recipe>,
    pub(crate) port: u16,
    keeper: Option<Child>,
}

/// What is done to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    /// Ended at once, as the machine's crash would.
    Kill,
    /// Started again, on the same port and with what it had written.
    Start,
    /// It keeps its connections and says nothing.
    Freeze,
    /// It goes on.
    Thaw,
}

impl Server {
    /// Starts one on a free port of loopback, and waits until it takes connections.
    pub(crate) fn start(command: impl Fn(&Path, u16) -> Command + Send + 'static) -> Server {
        let directory = tempfile::Builder::new().prefix("ringback-connect-").tempdir().unwrap();
        let command = Box::new(command);
        let mut server = Server { directory, command, port: free_port(), keeper: None };
        server.boot();
        server
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn does(&mut self, done: Done) {
        match done {
            Done::Kill => self.kill(),
            Done::Start => self.boot(),
            Done::Freeze => self.signal(Signal::STOP),
            Done::Thaw => self.signal(Signal::CONT),
        }
    }

    fn boot(&mut self) {
        let server = (self.command)(self.directory.path(), self.port);
        let log = fs::File::options().create(true).append(true).open(self.file("log")).unwrap();
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER]).arg(self.directory.path());
        keeper.arg(server.get_program()).args(server.get_args());
        for (name, value) in server.get_envs() {
            keeper.env(name, value.unwrap_or_default());
        }
        let mut keeper = keeper
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut waited = Duration::ZERO;
        while self.connect().is_err() {
            let has_ended = keeper.try_wait().unwrap().is_some();
            assert!(!has_ended && waited < READY_WITHIN, "the server did not start");
            thread::sleep(STEP);
            waited += STEP;
        }
        self.keeper = Some(keeper);
    }

    fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
    }

    fn signal(&self, signal: Signal) {
        let Some(keeper) = &self.keeper else { return };
        kill_process_group(Pid::from_child(keeper), signal).unwrap();
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        let Some(mut keeper) = self.keeper.take() else { return };
        keeper.wait().unwrap();
        // The others of the group may take longer to end.
        while self.connect().err().map(|error| error.kind())
            != Some(io::ErrorKind::ConnectionRefused)
        {
            thread::sleep(STEP);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string(self.file("log")).unwrap_or_default());
        }
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The standard output of a command that has to succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{command:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

/// A certificate for `localhost` and its key, in PEM; the certificate is its own authority.
pub(crate) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}
