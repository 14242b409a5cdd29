//! The server's side of one child.

use std::{io, path::Path, process::Stdio};

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    COMMAND, HARD_TIME,
    frame::{self, Told},
};

/// All of a child's environment: its allocator would else reserve more than the whole process may
/// have.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_DISALLOW_ARENA_ALLOC", "1");
/// After so many calls a child is replaced, so that nothing that it gathers lasts.
const CALLS: u32 = 250;

/// A child that waits for a call. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Child {
    _process: Process,
    asks: ChildStdin,
    tells: BufReader<ChildStdout>,
    calls: u32,
}

/// Why a child did not answer. It is of no use any more.
pub(super) enum Lost {
    /// Its time was up.
    Late,
    /// It ended.
    Ended,
}

impl Child {
    /// Starts one: with two pipes, and nothing of what this process has.
    ///
    /// # Errors
    /// When the system gives no process.
    pub(super) fn start(program: &Path) -> io::Result<Child> {
        let mut process = Command::new(program)
            .arg0("ringback")
            .arg(COMMAND)
            .env_clear()
            .envs([ALLOCATOR])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (asks, tells) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Child { _process: process, asks, tells: BufReader::new(tells), calls: 0 })
    }

    /// Asks one thing, and waits for the answer for as long as a call may take.
    ///
    /// # Errors
    /// [`Lost`]: the child has to be dropped.
    pub(super) async fn ask(&mut self, frame: &[u8]) -> Result<Told, Lost> {
        self.calls += 1;
        let exchange = async {
            self.asks.write_all(frame).await?;
            frame::receive(&mut self.tells).await
        };
        match timeout(HARD_TIME, exchange).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err::<_, io::Error>(_)) => Err(Lost::Ended),
            Err(_) => Err(Lost::Late),
        }
    }

    /// Whether it has done enough.
    pub(super) fn is_worn(&self) -> bool {
        self.calls >= CALLS
    }
}
