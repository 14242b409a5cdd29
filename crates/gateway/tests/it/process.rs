//! The process as an operator meets it: commands, signals, files, logs, metrics.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod api;
mod commands;
mod compared;
mod connect;
mod connections;
mod database;
mod destinations;
mod every_command;
mod inspect;
mod keys;
mod listen;
mod mcp;
mod migrate;
mod next_step;
mod operations;
mod providers;
mod replay;
mod secrets;
mod settings;
mod shell;
mod sign;
mod stop;
mod tokens;
mod transform;
mod trigger;
mod verify;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{PATIENCE, Server, TOKEN};

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

/// Posts with these header lines; the status, the head of the answer and its body.
fn raw(server: &Server, path: &str, lines: &str, body: &Value) -> (u16, String, Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n{lines}\
         content-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
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
