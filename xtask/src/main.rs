//! Development tasks: `cargo xtask test` is the one command that shows whether Ringback works.
//!
//! Nothing here is part of the product. It depends on the standard library and on the crate that
//! starts PostgreSQL, which does the same, so that it builds in a second on a fresh clone, and it never skips silently: what cannot run is a failure that says how to mend it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks through stdout and stderr"
)]

mod needs;
mod process;
mod report;
mod server;
mod suites;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Development tasks of Ringback.

usage: cargo xtask <task>

  test [--only PART] [--store URL]
                       every test: Rust tests, documentation tests, the clients in other languages,
                       the official SDKs, libraries of vendors and a fuzzer against a real server,
                       on both stores. PART is one of: unit, doc, client-typescript, client-python;
                       python, python-1.42, js, rust, vendors-python, vendors-js, destinations-js,
                       callbacks-browser, callbacks-js, listen-js, oauth, oauth-python, payloads,
                       mcp, schemathesis (on SQLite); postgres-store, postgres, postgres-python,
                       postgres-python-1.42, postgres-js, postgres-rust, postgres-schemathesis
                       (on PostgreSQL)
                       A PostgreSQL is started and stopped. With --store the parts on PostgreSQL run
                       alone, on the server at postgres://…, or one compatible with it: each test
                       creates a database there and drops it
  lists [--store STORE] [--attempts N] [--times N] [--only TEXT]
                       how long a page of 250 takes in every list with millions of attempts stored;
                       fails where p95 is over 50 ms. STORE is sqlite, postgres or both, N is 10
                       million. Wants 12 GB on the disk for temporary files and half an hour
  held [SECONDS]       how fast PostgreSQL stays beside dumps and an old snapshot, for 600 s
  hostile              10,000 events to `ringback listen` through a network with 2 s of latency that
                       breaks every few seconds, from a server that is killed; for ten minutes
  tidy                 the source rules that no compiler checks
  deny                 licences, banned crates and sources of the dependencies
  tools                install the pinned tools and SDKs into target/ and stop
  help                 this text

Distribution packages are installed where this runs as root on Debian or with CI=true; otherwise
the one command that would install them is printed.
";

fn main() -> ExitCode {
    let root = root();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", choices @ ..] if choices.len() % 2 == 0 => test(&root, choices),
        ["lists", choices @ ..] => suites::lists(&root, choices),
        ["held"] => suites::held(&root, "600"),
        ["held", seconds] => suites::held(&root, seconds),
        ["hostile"] => suites::hostile(&root),
        ["tidy"] => tidy::run(&root),
        ["deny"] => suites::deny(&root),
        ["tools"] => suites::install(&root),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("unknown task: {}\n\n{HELP}", words.join(" "));
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            if !problem.is_empty() {
                eprintln!("error: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn test(root: &Path, choices: &[&str]) -> Result<(), String> {
    let mut chosen = suites::Choice::default();
    for pair in choices.chunks_exact(2) {
        match pair {
            ["--only", part] => chosen.only = Some(part),
            ["--store", url] => chosen.store = Some(url),
            _ => return Err(format!("no such choice: {}", pair.join(" "))),
        }
    }
    suites::run(root, chosen)
}

/// The repository's root: the folder above this package.
fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map_or(package.clone(), PathBuf::from)
}
