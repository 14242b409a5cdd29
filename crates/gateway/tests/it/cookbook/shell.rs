//! The reader's shell.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// A shell that goes on from block to block, in a directory of its own.
pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    directory: TempDir,
}

impl Shell {
    /// With these variables, and the program that was built on its `PATH`.
    pub(super) fn start(variables: &[(&str, &str)]) -> Shell {
        let directory = tempfile::tempdir().unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_ringback")).parent().unwrap();
        let path = format!("{}:{}", built.display(), env::var("PATH").unwrap());
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile", "-eu", "-o", "pipefail"])
            .current_dir(directory.path())
            .env("PATH", path)
            .envs(variables.iter().copied())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Shell { child, input, output: BufReader::new(output), directory }
    }

    /// What the commands print. They have to succeed.
    pub(super) fn run(&mut self, commands: &str) -> String {
        println!("{commands}");
        let block = self.directory.path().join(".block");
        fs::write(&block, commands).unwrap();
        // The commands must not read those that come after them.
        self.input.write_all(b". ./.block < /dev/null; printf '\\0'\n").unwrap();
        let mut printed = Vec::new();
        self.output.read_until(0, &mut printed).unwrap();
        let ended = printed.pop() != Some(0);
        let printed = String::from_utf8(printed).unwrap();
        println!("{printed}");
        assert!(!ended, "the shell ended in:\n{commands}");
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // With all that it has started.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
