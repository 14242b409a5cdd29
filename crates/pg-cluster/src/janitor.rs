//! Who cleans up: a shell that waits for the owner's end, so that a server outlives nobody, not even
//! a process that was killed.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::programs::{Programs, User, without_settings};

/// Whose end is the server's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The [`Janitor`]'s holder, and with it this process.
    Holder,
    /// The process with this id. Dropping the janitor changes nothing.
    Process(u32),
}

/// Waits for the owner's end and then stops the server and removes its directory.
pub(crate) struct Janitor {
    shell: Child,
    owner: Owner,
}

impl Janitor {
    /// Sets one to work, before there is anything to clean up.
    pub(crate) fn hire(
        directory: &Path,
        owner: Owner,
        programs: &Programs,
        user: Option<User>,
    ) -> Result<Janitor, String> {
        let (stdin, process) = match owner {
            Owner::Holder => (Stdio::piped(), String::new()),
            Owner::Process(id) => (Stdio::null(), id.to_string()),
        };
        let mut shell = Command::new("/bin/sh");
        without_settings(&mut shell);
        shell.args(["-c", include_str!("janitor.sh"), "janitor"]).arg(directory).arg(process);
        // Only root may remove what it has made for somebody else, so root stays root until then.
        if let Some(User { uid, gid }) = user {
            shell.args(["setpriv", "--clear-groups"]);
            shell.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        }
        let shell = shell
            .arg(programs.command("pg_ctl", None).get_program())
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Neither an interrupt at the terminal nor a test runner that ends a test's whole group
            // may take the janitor along.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot run /bin/sh: {error}"))?;
        Ok(Janitor { shell, owner })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        if self.owner == Owner::Holder {
            drop(self.shell.stdin.take());
            // Its directory is gone when it has ended; there is nothing to do about a failure.
            let _ = self.shell.wait();
        }
    }
}
