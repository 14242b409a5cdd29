//! Where PostgreSQL's programs are, and as whom they run.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest major version that Ringback's store works on.
pub const OLDEST: u32 = 15;

/// Where Debian and its children put each major version: `15/bin`, `16/bin`, …
const VERSIONS: &str = "/usr/lib/postgresql";

/// Whether there is a PostgreSQL to start.
///
/// # Errors
/// What is missing.
pub fn available() -> Result<(), String> {
    Programs::find().map(drop)
}

/// The programs of one PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The newest of the distribution's, or else the one on the `PATH`.
    pub(crate) fn find() -> Result<Programs, String> {
        let complete = |folder: &PathBuf| {
            ["initdb", "postgres", "pg_ctl", "psql"].iter().all(|name| folder.join(name).exists())
        };
        let folder = distribution().into_iter().chain(path("initdb")).find(complete);
        let folder = folder.ok_or(
            "there is no PostgreSQL server under /usr/lib/postgresql or on the PATH: \
             apt-get install postgresql",
        )?;
        let programs = Programs { folder };
        let told = output(programs.command("postgres", None).arg("--version"))?;
        match major(&told) {
            Some(version) if version >= OLDEST => Ok(programs),
            _ => Err(format!("PostgreSQL {OLDEST} or newer is needed, found {}", told.trim())),
        }
    }

    /// A program that talks to any server, also to one that somebody else runs: no server need be
    /// installed for it.
    pub(crate) fn client(name: &str) -> Command {
        let folders = distribution().into_iter().chain(path(name));
        let found = folders.map(|folder| folder.join(name)).find(|program| program.exists());
        let mut command = Command::new(found.unwrap_or_else(|| PathBuf::from(name)));
        without_settings(&mut command);
        command
    }

    /// One of them, run by `user` or by whoever this is.
    pub(crate) fn command(&self, name: &str, user: Option<User>) -> Command {
        let mut command = Command::new(self.folder.join(name));
        without_settings(&mut command);
        if let Some(user) = user {
            user.runs(&mut command);
        }
        command
    }
}

/// An account, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Who runs the server whose directory this process has just made: nobody else, unless that is
    /// root, as whom no PostgreSQL starts.
    pub(crate) fn unprivileged(directory: &Path) -> Result<Option<User>, String> {
        let owner = fs::metadata(directory)
            .map_err(|error| format!("cannot look at {}: {error}", directory.display()))?;
        if owner.uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = ["postgres", "nobody"].iter().find_map(|name| account(&accounts, name));
        user.map(Some).ok_or_else(|| {
            "PostgreSQL refuses to run as root, and there is no account `postgres`".to_owned()
        })
    }

    /// Makes `command` run as this user.
    pub(crate) fn runs(self, command: &mut Command) {
        // Root's other groups are left behind with its name.
        command.uid(self.uid).gid(self.gid);
    }
}

/// The standard output of a command that has to succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&done.stderr);
    Err(format!("{name} failed with {}\n{stdout}{stderr}", done.status))
}

/// Takes away what PostgreSQL's programs would read from the environment: only what they are told
/// counts.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
}

/// The distribution's folders of programs, the newest first.
fn distribution() -> Vec<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// The folders on the `PATH` where `program` is, links followed.
fn path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = std::env::split_paths(&path).filter_map(|folder| {
        let program = fs::canonicalize(folder.join(program)).ok()?;
        program.parent().map(Path::to_owned)
    });
    programs.collect()
}

/// The major version in `postgres (PostgreSQL) 15.8 (Debian …)`.
fn major(told: &str) -> Option<u32> {
    let version = told.split_once("(PostgreSQL) ")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The line of an account in `/etc/passwd`.
fn account(accounts: &str, name: &str) -> Option<User> {
    let fields = |line: &str| -> Option<User> {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        found.then_some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    };
    accounts.lines().find_map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let check = |told, expect| assert_eq!(major(told), expect, "{told}");
        check("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n", Some(15));
        check("postgres (PostgreSQL) 9.6.24\n", Some(9));
        check("postgres (PostgreSQL) 18beta1\n", Some(18));
        check("something else 15\n", None);
    }

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let accounts =
            "root:x:0:0::/:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/\n";
        let check = |name, expect| assert_eq!(account(accounts, name), expect, "{name}");
        check("postgres", Some(User { uid: 101, gid: 104 }));
        check("postgres2", Some(User { uid: 7, gid: 8 }));
        check("nobody", None);
    }
}
