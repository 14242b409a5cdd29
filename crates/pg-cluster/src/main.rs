//! `ringback-pg-cluster` starts a server and prints its URL; `ringback-pg-cluster database` prints the
//! URL of a database on the run's server. Both keep what they made until their standard input ends,
//! or they do.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks through stdout and stderr"
)]

use std::process::ExitCode;

use ringback_pg_cluster::{Cluster, Database, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] => Cluster::start(&Options::default()).map(|cluster| keep(&cluster.dsn())),
        ["database"] => Database::create().map(|database| keep(&database.dsn())),
        _ => Err("usage: ringback-pg-cluster [database]".to_owned()),
    };
    if let Err(problem) = outcome {
        eprintln!("error: {problem}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn keep(url: &str) {
    println!("{url}");
    // An input that fails has ended, too.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
