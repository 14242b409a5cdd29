//! To a program: one for each event, with the body as its input.
//!
//! No shell is asked: the program is given its arguments as they were typed, and whatever a provider
//! sends is in the environment and in the input, where nobody takes it for a command.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::event::{Event, Exited, Unreached};

/// Bytes of output that are kept.
const KEPT: usize = 64 * 1024;
/// What a program leaves running may hold its output for so long.
const LINGERING: Duration = Duration::from_millis(500);
/// Ours, which no handler needs.
const WITHHELD: [&str; 2] = ["RINGBACK_TOKEN", "RINGBACK_SECRET"];

/// A program and its arguments.
pub(super) struct Exec {
    command: Vec<OsString>,
    patience: Duration,
}

impl Exec {
    /// `command` has at least the program.
    pub(super) fn new(command: Vec<OsString>, patience: Duration) -> Self {
        Self { command, patience }
    }

    /// Runs it for this event, to its end or to that of our patience.
    pub(super) async fn run(&self, event: &Event) -> Result<Exited, Unreached> {
        let mut command = self.command(event);
        let child = command.spawn().map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            Unreached(format!("cannot start {program}: {error}"))
        })?;
        let mut group = Group::of(child);
        let deadline = Instant::now() + self.patience;
        let mut output = Vec::new();
        let ended =
            timeout_at(deadline, converse(&mut group.child, &event.body, &mut output)).await;
        let code = match &ended {
            Ok(Ok(status)) => status.code(),
            Ok(Err(error)) => return Err(Unreached(format!("the program is lost: {error}"))),
            Err(_) => None,
        };
        if ended.is_ok() {
            // What it leaves running by intention stays.
            group.leader = None;
        }
        drop(group);
        Ok(Exited { code, is_timed_out: ended.is_err(), output: Bytes::from(output) })
    }

    fn command(&self, event: &Event) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or("false".as_ref(), OsString::as_os_str));
        command.args(words);
        WITHHELD.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(environment(event));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended, too.
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// What the program finds in its environment.
fn environment(event: &Event) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.replace('\0', ""));
    let mut all = vec![
        pair("RINGBACK_EVENT_ID", event.event_id.as_deref().unwrap_or(&event.id)),
        pair("RINGBACK_MESSAGE_ID", &event.id),
        pair("RINGBACK_EVENT_TYPE", event.event_type.as_deref().unwrap_or_default()),
        pair("RINGBACK_SOURCE", event.from()),
        pair("RINGBACK_PROVIDER", &event.provider),
        pair("RINGBACK_METHOD", &event.method),
        pair("RINGBACK_TARGET", &event.target),
        pair("RINGBACK_RECEIVED_AT", &event.received_at),
        pair("RINGBACK_VERDICT", &event.verdict),
    ];
    let fixed = all.len();
    for (name, value) in &event.headers {
        let allowed = |one: char| if one.is_ascii_alphanumeric() { one } else { '_' };
        let name: String = name.to_ascii_uppercase().chars().map(allowed).collect();
        let name = format!("RINGBACK_HEADER_{name}");
        let value = value.replace('\0', "");
        // Several headers of one name are one list (RFC 9110, section 5.2).
        match all[fixed..].iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => list.push_str(&format!(", {value}")),
            None => all.push((name, value)),
        }
    }
    all
}

/// Gives it its input and takes its output until it ends.
async fn converse(
    child: &mut Child,
    body: &[u8],
    output: &mut Vec<u8>,
) -> io::Result<std::process::ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = async {
        if let Some(mut stdin) = stdin {
            // A program need not read it.
            let _ = stdin.write_all(body).await;
        }
    };
    let heard = Mutex::new(output);
    let read = async {
        tokio::join!(input, gather(stdout, &heard), gather(stderr, &heard));
    };
    // Nothing of its output shall be missing, but what it left running does not hold it up.
    let (gone, is_gone) = oneshot::channel();
    let wait = async {
        let status = child.wait().await;
        let _ = gone.send(());
        status
    };
    let read = async {
        let late = async {
            let _ = is_gone.await;
            sleep(LINGERING).await;
        };
        tokio::select! {
            () = read => {}
            () = late => {}
        }
    };
    tokio::join!(wait, read).0
}

async fn gather(stream: Option<impl AsyncRead + Unpin>, heard: &Mutex<&mut Vec<u8>>) {
    let Some(mut stream) = stream else { return };
    let mut piece = Vec::with_capacity(8 * 1024);
    while let Ok(1..) = stream.read_buf(&mut piece).await {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(heard.len());
        heard.extend_from_slice(&piece[..piece.len().min(room)]);
        piece.clear();
    }
}

/// A program and everything that it starts; ended with us, unless it has ended before.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(id as i32));
        Self { child, leader }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Nobody may be left of it.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::event;
    use super::*;

    fn exec(words: &[&str], patience: Duration) -> Exec {
        Exec::new(words.iter().map(OsString::from).collect(), patience)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_body_is_its_input_and_both_outputs_are_kept() {
        let script = "cat; echo \"$RINGBACK_EVENT_TYPE $RINGBACK_HEADER_X_A\" >&2; exit 3";
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![header("X-A", "$(exit 9)"), header("x-a", "two\nlines")];
        let event = Event { headers, body: "\u{1}{}\n".into(), ..event("msg_1") };
        let exited = exec(&["sh", "-c", script], PATIENCE).run(&event).await.unwrap();
        assert_eq!((exited.code, exited.is_timed_out), (Some(3), false));
        assert_eq!(&exited.output[..], b"\x01{}\npush $(exit 9), two\nlines\n");
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_ended_with_what_it_began() {
        let hangs = exec(&["sh", "-c", "sleep 600 & echo $!; wait"], Duration::from_millis(300));
        let exited = hangs.run(&event("msg_1")).await.unwrap();
        assert_eq!((exited.code, exited.is_timed_out), (None, true));
        let child = String::from_utf8_lossy(&exited.output).trim().parse().unwrap();
        let child = Pid::from_raw(child).unwrap();
        // It is a zombie for a moment, if anything.
        let begun = Instant::now();
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            assert!(begun.elapsed() < PATIENCE, "it lives on");
            tokio::task::yield_now().await;
        }
    }

    fn is_zombie(process: Pid) -> bool {
        let path = format!("/proc/{}/stat", process.as_raw_nonzero());
        std::fs::read_to_string(path).is_ok_and(|stat| stat.contains(") Z"))
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_said() {
        let missing = exec(&["/nowhere/at-all"], PATIENCE);
        let error = missing.run(&event("msg_1")).await.unwrap_err();
        assert!(error.0.contains("/nowhere/at-all"), "{error}");
    }

    #[tokio::test]
    async fn output_without_end_is_bounded_and_input_need_not_be_read() {
        let floods = exec(&["sh", "-c", "head -c 1000000 /dev/zero"], PATIENCE);
        let event = Event { body: vec![b'x'; 1 << 20].into(), ..event("msg_1") };
        let exited = floods.run(&event).await.unwrap();
        assert_eq!((exited.code, exited.output.len()), (Some(0), KEPT));
    }
}
