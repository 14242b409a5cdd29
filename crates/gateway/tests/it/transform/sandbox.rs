//! The sandbox by itself, with this program's own children.

use std::{
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use ringback::{
    telemetry::metrics::Metrics,
    transform::{COMMAND, Call, Entry, Failure, Ran, Sandbox, Settings},
};
use ringback_domain::time::Timestamp;
use tokio::{runtime::Handle, task::JoinSet, time::Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringback");
/// Every call is over by then, with what else this machine may have to do.
const CONTAINED: Duration = Duration::from_millis(1_200);

fn sandbox() -> (Sandbox, Metrics) {
    let metrics = Metrics::new();
    let settings = Settings { program: PROGRAM.into(), children: 4, waiting: 64 };
    (Sandbox::new(settings, Handle::current(), metrics.clone()), metrics)
}

fn call(tenant: i64, body: &str) -> Call {
    Call {
        tenant,
        program: Arc::from(format!("function handler(webhook) {{ {body} }}")),
        entry: Entry::Handler,
        input: r#"{"payload":{"n":1}}"#.to_owned(),
        at: Timestamp(1_700_000_000_000),
        seed: 1,
    }
}

async fn timed(sandbox: &Sandbox, body: &str) -> (Result<Ran, Failure>, Duration) {
    let began = Instant::now();
    let ran = sandbox.run(call(1, body)).await;
    (ran, began.elapsed())
}

#[tokio::test]
async fn programs_are_called_one_after_the_other_and_share_nothing() {
    let (sandbox, metrics) = sandbox();
    for number in 1..=3 {
        let body = "globalThis.calls = (globalThis.calls ?? 0) + 1; console.log('call', calls); \
            Object.prototype.left = 1; return webhook.payload.n + calls";
        let ran = sandbox.run(call(1, body)).await.unwrap();
        assert_eq!((ran.output.as_str(), ran.log.as_str()), ("2", "call 1\n"), "{number}");
    }
    assert_eq!(metrics.transform_children.get(), 1, "one child did all of it");
    let convert = Call {
        program: "function convert(payload) { return { ...payload, b: 2 } }".into(),
        entry: Entry::Convert,
        input: r#"{"a":1}"#.to_owned(),
        ..call(1, "")
    };
    assert_eq!(sandbox.run(convert).await.unwrap().output, r#"{"a":1,"b":2}"#);
}

#[tokio::test]
async fn what_is_saved_is_checked_without_being_called() {
    let (sandbox, _) = sandbox();
    let check = |program: &'static str| sandbox.check(1, program, Entry::Handler);
    assert_eq!(check("function handler(w) { throw 1 }").await, Ok(()));
    let failure = check("function handler(w) {\n  return w..a }").await.unwrap_err();
    assert!(failure.to_string().contains("(line 2, column "), "{failure}");
    let failure = check("function convert(w) {}").await.unwrap_err();
    assert_eq!(failure.to_string(), "the program defines no function handler(webhook)");
    let long = format!("function handler(w) {{}} // {}", "x".repeat(64 * 1024));
    let failure = sandbox.check(1, &long, Entry::Handler).await.unwrap_err();
    assert_eq!(failure.to_string(), "the program is longer than 64 KiB");
}

/// Acceptance case 23, and what else never ends: over within 1.2 s, and the next call finds a child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_23_what_never_ends_is_ended() {
    let (sandbox, metrics) = sandbox();
    // Started, so that the times are those of calls.
    sandbox.run(call(1, "return 0")).await.unwrap();
    for (body, asks) in [
        ("while (true) {}", true),
        ("return /(a+)+$/.test('a'.repeat(40) + '!')", true),
        ("for (;;) try { for (;;); } catch {}", true),
        ("return new Array(1e9) + ''", false),
        ("let a = 3n ** 200000n, b; for (;;) b = a * a", false),
        ("return new RegExp('[\\\\p{L}\\\\P{L}]'.repeat(300000), 'v')", false),
    ] {
        let before = metrics.transform_children.get();
        let (ran, took) = timed(&sandbox, body).await;
        println!("{body}: {} after {took:?}", ran.as_ref().unwrap_err());
        assert!(matches!(ran, Err(Failure::Timeout) | Err(Failure::Memory)), "{body}: {ran:?}");
        assert!(took < CONTAINED, "{body}: {took:?}");
        let (next, _) = timed(&sandbox, "return 1").await;
        assert_eq!(next.unwrap().output, "1", "{body}");
        let replaced = metrics.transform_children.get() - before;
        // Where the engine does not ask, the child ends. Else it may stay: on a busy machine the
        // time is up before the program has computed for as long as it may.
        assert!(replaced == 1 || asks, "{body}");
    }
}

/// Acceptance case 24: the memory of the engine, and the depth of calls.
#[tokio::test]
async fn case_24_what_grows_is_bounded() {
    let (sandbox, _) = sandbox();
    for (body, expect) in [
        (
            "let all = []; for (let i = 0; i < 1024; i++) all.push(new Uint8Array(1 << 20).fill(1)); \
            return all.length",
            "the program needs more than 32 MiB of memory",
        ),
        (
            "return new ArrayBuffer(1 << 30).byteLength",
            "the program needs more than 32 MiB of memory",
        ),
        ("return 'x'.repeat(1 << 29)", "the program needs more than 32 MiB of memory"),
        ("return handler(webhook)", "RangeError: Maximum call stack size exceeded"),
        ("let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a", "RangeError: "),
        ("return 'x'.repeat(2 << 20)", "handler returned more than 1024 KiB"),
    ] {
        let (ran, took) = timed(&sandbox, body).await;
        let failure = ran.unwrap_err().to_string();
        assert!(failure.starts_with(expect), "{body}: {failure}");
        assert!(took < CONTAINED, "{body}: {took:?}");
    }
    assert_eq!(sandbox.run(call(1, "return 1")).await.unwrap().output, "1");
}

/// One tenant's programs run for ever, as many as it may; another's are as quick as without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_waits_for_nobody_else() {
    let (sandbox, metrics) = sandbox();
    let quiet = latencies(&sandbox).await;
    let mut hostile = JoinSet::new();
    for _ in 0..16 {
        let sandbox = sandbox.clone();
        hostile.spawn(async move { sandbox.run(call(2, "return new Array(1e9) + ''")).await });
    }
    // They have begun when the first child beside the one that is kept is there.
    while metrics.transform_children.get() < 3 {
        tokio::task::yield_now().await;
    }
    let beside = latencies(&sandbox).await;
    println!(
        "a call of another tenant: p99 {quiet:?} alone, {beside:?} beside endless ones, ratio {:.1}",
        beside.as_secs_f64() / quiet.as_secs_f64(),
    );
    assert!(beside < Duration::from_millis(300), "{beside:?}");
    hostile.abort_all();
    while hostile.join_next().await.is_some() {}
    // Whoever waited for a turn left; whoever had one gave it back.
    assert_eq!(sandbox.run(call(2, "return 1")).await.unwrap().output, "1");
}

/// The slowest of a hundred calls but one.
async fn latencies(sandbox: &Sandbox) -> Duration {
    let mut took = Vec::new();
    for _ in 0..100 {
        let (ran, time) = timed(sandbox, "return webhook").await;
        ran.unwrap();
        took.push(time);
    }
    took.sort();
    took[98]
}

#[tokio::test]
async fn too_many_of_one_tenant_are_told_so() {
    let settings = Settings { program: PROGRAM.into(), children: 4, waiting: 1 };
    let sandbox = Sandbox::new(settings, Handle::current(), Metrics::new());
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let sandbox = sandbox.clone();
        calls.spawn(async move { sandbox.run(call(1, "while (true) {}")).await });
    }
    let mut failures = Vec::new();
    while let Some(ran) = calls.join_next().await {
        failures.push(ran.unwrap().unwrap_err());
    }
    let busy = failures.iter().filter(|failure| **failure == Failure::Busy).count();
    assert_eq!(busy, 1, "two run, one waits: {failures:?}");
    assert!(Failure::Busy.is_passing() && !Failure::Timeout.is_passing());
}

#[tokio::test]
async fn without_a_child_there_is_an_answer() {
    let settings = Settings { program: "/nowhere/ringback".into(), children: 4, waiting: 8 };
    let sandbox = Sandbox::new(settings, Handle::current(), Metrics::new());
    assert_eq!(sandbox.run(call(1, "return 1")).await, Err(Failure::Gone));
}

/// What a child tries for tests.
fn tried(attempt: &str) -> Output {
    let allocator = ("MIMALLOC_DISALLOW_ARENA_ALLOC", "1");
    Command::new(PROGRAM).args([COMMAND, attempt]).env_clear().envs([allocator]).output().unwrap()
}

/// From a program there is no way to any of this. This is what is left of the process if there were.
#[cfg(target_os = "linux")]
#[test]
fn a_child_can_compute_and_nothing_else() {
    use std::os::unix::process::ExitStatusExt as _;

    const SIGSYS: i32 = 31;
    for attempt in ["open", "write"] {
        let output = tried(attempt);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "permission denied\n", "{attempt}");
    }
    for attempt in ["socket", "execve", "fork", "thread"] {
        let output = tried(attempt);
        assert_eq!(output.status.signal(), Some(SIGSYS), "{attempt}: {output:?}");
        assert!(output.stdout.is_empty(), "{attempt}: {output:?}");
    }
    assert_eq!(String::from_utf8_lossy(&tried("memory").stdout), "refused\n");
}

/// This process has an environment, files and sockets; its child has none of them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_has_nothing_of_its_parent() {
    use std::fs;

    let _file = fs::File::open(PROGRAM).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (sandbox, _) = sandbox();
    sandbox.run(call(1, "return 1")).await.unwrap();
    let mine = std::process::id();
    let children: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|process| {
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            // `4711 (ringback) S 12 …`: the parent is the second word behind the name.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            parent.is_some_and(|parent| parent.parse() == Ok(mine))
        })
        .collect();
    let [child] = &children[..] else { panic!("{children:?}") };
    let environment = fs::read_to_string(child.join("environ")).unwrap();
    assert_eq!(environment, "MIMALLOC_DISALLOW_ARENA_ALLOC=1\0");
    assert_eq!(fs::read_link(child.join("cwd")).unwrap().to_str(), Some("/"));
    // What whoever ran this test left open is here, too; the child's calls reach none of it.
    let links = |of: &std::path::Path| -> Vec<_> {
        let files = fs::read_dir(of.join("fd")).unwrap();
        files.filter_map(|file| fs::read_link(file.unwrap().path()).ok()).collect()
    };
    let theirs = links(child);
    let socket = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket));
    for own in [PROGRAM.into(), fs::read_link(socket).unwrap()] {
        assert!(links("/proc/self".as_ref()).contains(&own), "it is open here: {own:?}");
        assert!(!theirs.contains(&own), "{own:?}");
    }
    assert_eq!(fs::read_link(child.join("fd/2")).unwrap().to_str(), Some("/dev/null"));
    let status = fs::read_to_string(child.join("status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1"] {
        assert!(status.lines().any(|there| there == line), "{line}: {status}");
    }

    // A child that ended while nobody asked is no program's fault.
    let pid = child.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(sandbox.run(call(1, "return 2")).await.unwrap().output, "2");
}
