//! The process as an operator meets it: commands, signals, files, logs, metrics.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod commands;
mod migrate;
mod operations;
mod secrets;
mod settings;
mod stop;
mod tokens;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::Server;

/// The program with these words and variables, and none of ours.
fn command(words: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RINGBACK_")) {
        command.env_remove(name);
    }
    command.args(words).envs(env.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
fn run(words: &[&str], env: &[(&str, &str)]) -> Output {
    command(words, env).output().unwrap()
}

/// The same on what a server of ours keeps, whether it runs or not.
fn run_on(server: &Server, words: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = command(words, env);
    command.arg("--data").arg(server.data()).envs(server.store().env()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
