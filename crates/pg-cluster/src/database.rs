//! A database of a test's own.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use crate::programs::{Programs, output};
use crate::run;

/// An empty database; dropping it drops the database, whoever is still connected.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates one on this run's server.
    ///
    /// # Errors
    /// When there is no server and none can be started, or when it refuses.
    pub fn create() -> Result<Database, String> {
        Database::create_on(run::server()?)
    }

    /// Creates one on the server whose URL this is.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn create_on(server: &str) -> Result<Database, String> {
        let name = format!("ringback_test_{}", random());
        psql(server, &format!("CREATE DATABASE {name}"))?;
        Ok(Database { server: server.to_owned(), name })
    }

    /// Its URL.
    #[must_use]
    pub fn dsn(&self) -> String {
        named(&self.server, &self.name)
    }

    /// What it answers to one statement, a line for each row and columns separated by `|`.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn ask(&self, statement: &str) -> Result<String, String> {
        psql(&self.dsn(), statement).map(|answer| answer.trim_end().to_owned())
    }

    /// All that is in it, as `pg_dump` writes it down.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub fn dump(&self) -> Result<String, String> {
        output(Programs::client("pg_dump").args(["--no-password", "--dbname", &self.dsn()]))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {}", self.name);
        // What is merely compatible may not know how to cut connections. What stays goes with the
        // server, or lies there under a name that says what it was.
        let _ = psql(&self.server, &format!("{drop} WITH (FORCE)"))
            .or_else(|_| psql(&self.server, &drop));
    }
}

/// Has the server at `url` run one statement; what it answers, columns separated by `|`.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub fn psql(url: &str, statement: &str) -> Result<String, String> {
    let mut command = Programs::client("psql");
    let flags = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"];
    command.args(flags).args(["--set", "ON_ERROR_STOP=1", "--dbname", url]);
    output(command.args(["--command", statement]))
}

/// Text that is nobody else's.
pub(crate) fn random() -> String {
    // Its keys come from the system's randomness.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// `url` with another database.
fn named(url: &str, database: &str) -> String {
    let (start, query) = url.split_once('?').unwrap_or((url, ""));
    let host = start.find("://").map_or(0, |at| at + 3);
    let end = start[host..].find('/').map_or(start.len(), |at| host + at);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{mark}{query}", &start[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_another_database() {
        let check = |url, expect: &str| assert_eq!(named(url, "x"), expect, "{url}");
        check("postgres://a@b:1/c", "postgres://a@b:1/x");
        check("postgres://a@b:1", "postgres://a@b:1/x");
        check("postgres://a@b:1/", "postgres://a@b:1/x");
        check(
            "postgresql://a:b%2Fc@d/e?sslmode=require",
            "postgresql://a:b%2Fc@d/x?sslmode=require",
        );
        check(
            "postgres://a@%2Ftmp%2Fx/c?application_name=a/b",
            "postgres://a@%2Ftmp%2Fx/x?application_name=a/b",
        );
    }

    #[test]
    fn names_differ() {
        assert_ne!(random(), random());
    }
}
