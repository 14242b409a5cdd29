//! The child's side: gives up what it could do harm with, then answers until nobody asks any more.

use std::{
    io::{self, stdin, stdout},
    process::ExitCode,
};

use super::{
    confine::confine,
    engine::answer,
    frame::{self, Asked},
};

/// What the child ends with if it may not run programs.
const UNCONFINED: u8 = 78;

/// Runs as a child: a frame in, a frame out. With an argument it tries what it must not be able to
/// do, for tests.
#[must_use]
pub fn main(attempt: Option<&str>) -> ExitCode {
    if let Some(attempt) = attempt {
        return tried(attempt);
    }
    if confine().is_err() {
        return ExitCode::from(UNCONFINED);
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever asked is gone.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let (mut asks, mut tells) = (stdin().lock(), stdout().lock());
    while let Some(asked) = frame::read::<Asked>(&mut asks)? {
        frame::write(&mut tells, &answer(&asked))?;
    }
    Ok(())
}

/// Tries something, confined, and says on the standard output what came of it.
fn tried(attempt: &str) -> ExitCode {
    use std::{fs::File, io::Write as _, os::unix::process::CommandExt as _, process::Command};

    if confine().is_err() {
        return ExitCode::from(UNCONFINED);
    }
    let refused = |error: io::Error| error.kind().to_string();
    let said = match attempt {
        "open" => File::open("/etc/hostname").map_or_else(refused, |_| "opened".to_owned()),
        "write" => File::create("/tmp/ringback-child").map_or_else(refused, |_| "made".to_owned()),
        "socket" => {
            use rustix::net::{AddressFamily, SocketType, socket};
            let made = socket(AddressFamily::INET, SocketType::STREAM, None);
            made.map_or_else(|error| error.to_string(), |_| "connected".to_owned())
        }
        "execve" => refused(Command::new("/bin/true").exec()),
        "fork" => Command::new("/bin/true").spawn().map_or_else(refused, |_| "started".to_owned()),
        "thread" => {
            let thread = std::thread::Builder::new().spawn(|| ());
            thread.map_or_else(refused, |_| "started".to_owned())
        }
        "memory" => {
            let mut much = Vec::<u8>::new();
            let grown = much.try_reserve_exact(512 * 1024 * 1024);
            grown.map_or_else(|_| "refused".to_owned(), |()| "reserved".to_owned())
        }
        _ => return ExitCode::from(64),
    };
    let mut stdout = stdout().lock();
    let told = writeln!(stdout, "{said}").and_then(|()| stdout.flush());
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
