//! A session that keeps a transaction open, as a long report or a forgotten console does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use crate::programs::Programs;

/// A transaction that sees the database as it was, and holds its locks, until it is dropped.
#[derive(Debug)]
pub struct Held(Child);

impl Held {
    /// Begins one on the database at `url` and runs a statement in it, which takes the snapshot.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn begin(url: &str, statement: &str) -> Result<Held, String> {
        let mut psql = Programs::client("psql");
        let words = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"];
        psql.args(words).args(["--set", "ON_ERROR_STOP=1", "--dbname", url]);
        Held::run(psql, statement)
    }

    fn run(mut psql: Command, statement: &str) -> Result<Held, String> {
        let failed = |error: std::io::Error| format!("cannot hold a transaction open: {error}");
        psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut held = Held(psql.spawn().map_err(failed)?);
        let stdin = held.0.stdin.as_mut().ok_or("psql has no standard input")?;
        writeln!(stdin, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n{statement};\n\\echo held")
            .map_err(failed)?;
        let stdout = held.0.stdout.take().ok_or("psql has no standard output")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        if lines.any(|line| line == "held") {
            Ok(held)
        } else {
            Err("psql ended before it held the transaction".to_owned())
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // At the end of its input it ends, and the server rolls back.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
