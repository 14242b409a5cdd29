//! Running other programs: streamed to the terminal and kept for counting.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// What a finished program printed (both streams, in the order the lines arrived) and whether it
/// exited with 0.
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) output: String,
}

/// Runs `command`, showing its lines as they come.
pub(crate) fn stream(command: &mut Command) -> Result<Finished, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    let (lines, arriving) = channel();
    let readers = [
        child.stdout.take().map(|stream| forward(stream, lines.clone())),
        child.stderr.take().map(|stream| forward(stream, lines)),
    ];
    let mut output = String::new();
    for line in arriving {
        println!("{line}");
        output.push_str(&line);
        output.push('\n');
    }
    for reader in readers.into_iter().flatten() {
        reader.join().map_err(|_| format!("a reader of {name} panicked"))?;
    }
    let status = child.wait().map_err(|error| format!("cannot wait for {name}: {error}"))?;
    Ok(Finished { success: status.success(), output })
}

/// Runs `command` without showing anything; its stdout if it succeeds, both streams if it does not.
pub(crate) fn quiet(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    let stdout = String::from_utf8_lossy(&done.stdout);
    if done.status.success() {
        return Ok(stdout.into_owned());
    }
    let stderr = String::from_utf8_lossy(&done.stderr);
    Err(format!("{command:?} failed with {}\n{stdout}{stderr}", done.status))
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if lines.send(text.trim_end_matches('\n').to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    })
}
