//! A pgbouncer in front of a server, as strict as it gets: a connection belongs to a client for one
//! transaction, the next one gets another, and there are fewer than clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::cluster::free_port;
use crate::database::random;
use crate::programs::{User, without_settings};

/// What it logs when it listens.
const UP: &str = "process up";
const READY_WITHIN: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(20);

/// Ends the pooler, and then removes its directory, when whoever holds the other end of the standard
/// input is gone.
const KEEPER: &str = r#"
directory=$1; shift
"$@" <&- & pooler=$!
read -r _
kill "$pooler"; wait "$pooler"
rm -rf "$directory"
"#;

/// A running pooler; dropping it ends it.
pub struct Pooler {
    keeper: Child,
    server: String,
    port: u16,
}

/// Whether there is a pgbouncer to start.
///
/// # Errors
/// What is missing.
pub fn pooler_available() -> Result<(), String> {
    program().map(drop)
}

impl Pooler {
    /// Starts one in front of the server whose URL this is.
    ///
    /// # Errors
    /// When there is no pgbouncer, or what it said when it did not start.
    pub fn start(server: &str) -> Result<Pooler, String> {
        let program = program()?;
        let directory = std::env::temp_dir().join(format!("ringback-pooler-{}", random()));
        fs::create_dir_all(&directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let port = free_port()?;
        let started = launch(&program, &directory, server, port);
        let mut keeper = started.inspect_err(|_| {
            let _ = fs::remove_dir_all(&directory);
        })?;
        let mut waited = Duration::ZERO;
        loop {
            let said = fs::read_to_string(directory.join("log")).unwrap_or_default();
            if said.contains(UP) {
                break;
            }
            if waited >= READY_WITHIN || !matches!(keeper.try_wait(), Ok(None)) {
                end(&mut keeper);
                return Err(format!("pgbouncer did not start:\n{said}"));
            }
            thread::sleep(STEP);
            waited += STEP;
        }
        Ok(Pooler { keeper, server: place(server)?.to_owned(), port })
    }

    /// The URL through the pooler of a database whose own URL this is.
    #[must_use]
    pub fn dsn(&self, database: &str) -> String {
        database.replacen(&self.server, &format!("127.0.0.1:{}", self.port), 1)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        end(&mut self.keeper);
    }
}

fn end(keeper: &mut Child) {
    drop(keeper.stdin.take());
    // There is nothing to do about a failure.
    let _ = keeper.wait();
}

fn launch(program: &Path, directory: &Path, server: &str, port: u16) -> Result<Child, String> {
    let (host, server_port) =
        place(server)?.rsplit_once(':').ok_or("the server's URL names no port")?;
    let settings = format!(
        "[databases]\n* = host={host} port={server_port}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = {0}/users\nlogfile = {0}/log\npidfile = {0}/pid\n\
         pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 400\n\
         server_round_robin = 1\n",
        directory.display(),
    );
    let (user, _) = server
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once(['@', ':']))
        .ok_or("the server's URL names no user")?;
    let user_of_files = User::unprivileged(directory)?;
    for (name, content) in [("ini", settings), ("users", format!("\"{user}\" \"\"\n"))] {
        fs::write(directory.join(name), content).map_err(|error| error.to_string())?;
    }
    let mut keeper = Command::new("/bin/sh");
    without_settings(&mut keeper);
    keeper.args(["-c", KEEPER, "keeper"]).arg(directory);
    // Only root may remove what it has made for somebody else, so root stays root until then.
    if let Some(User { uid, gid }) = user_of_files {
        std::os::unix::fs::chown(directory, Some(uid), Some(gid))
            .map_err(|error| format!("cannot give {} away: {error}", directory.display()))?;
        keeper.args(["setpriv", "--clear-groups"]);
        keeper.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
    }
    keeper
        .arg(program)
        .arg("--quiet")
        .arg(directory.join("ini"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run /bin/sh: {error}"))
}

/// Host and port of a URL.
fn place(url: &str) -> Result<&str, String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    if end == 0 { Err("the server's URL names no host".to_owned()) } else { Ok(&rest[..end]) }
}

fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("pgbouncer"));
    let missing = "there is no pgbouncer on the PATH: apt-get install pgbouncer";
    programs.find(|program| program.exists()).ok_or_else(|| missing.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_place() {
        for (url, expect) in [
            ("postgres://a:b@127.0.0.1:5432/c", Some("127.0.0.1:5432")),
            ("postgres://a@h:1?x=y", Some("h:1")),
            ("postgres://a@/c", None),
        ] {
            assert_eq!(place(url).ok(), expect, "{url}");
        }
    }
}
