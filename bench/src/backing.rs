//! The stores that a server can be measured on. PostgreSQL is a server of the run's own, from the
//! distribution's packages, on the same machine and the same disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use ringback_pg_cluster::{Cluster, Database, Options};
use serde::Serialize;

use crate::proc;

/// Beside the defaults of its packages: what anybody would set for a busy server, and the counters
/// of its statements. Whatever keeps what was acknowledged is on.
const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.track_utility", "on"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// The embedded one.
    Sqlite,
    /// A PostgreSQL that is started for the run.
    Postgres,
}

/// The database server of a run.
pub struct Postgres {
    cluster: Cluster,
}

impl Postgres {
    /// Starts it below `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        // It runs as a user of its own, who has to get to its directory.
        let within = dir.join("postgres");
        fs::create_dir_all(&within)?;
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let cluster =
            Cluster::start(&Options { within: Some(within), settings, ..Options::default() })
                .map_err(|error| anyhow!("{error}"))?;
        Ok(Self { cluster })
    }

    /// An empty database of a round's own.
    pub fn database(&self) -> Result<Backing> {
        let database =
            Database::create_on(&self.cluster.dsn()).map_err(|error| anyhow!("{error}"))?;
        let pid = self.cluster.pid().context("PostgreSQL is not running")?;
        let superuser = self.cluster.superuser_dsn();
        let backing = Backing { database, pid, superuser };
        backing.ask("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")?;
        Ok(backing)
    }
}

/// The database of a round.
pub struct Backing {
    database: Database,
    /// The process that the others of the database server are children of.
    pid: u32,
    superuser: String,
}

/// What the database server has done so far.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// User and system time of all its processes.
    cpu: Duration,
    /// Bytes of its log.
    wal: u64,
    /// Statements, those that begin and end transactions included.
    statements: u64,
}

/// What the database server did for each message.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// User and system time, microseconds.
    pub cpu_us: f64,
    pub wal_bytes: f64,
    pub statements: f64,
}

impl Backing {
    pub fn dsn(&self) -> String {
        self.database.dsn()
    }

    pub fn work(&self) -> Result<Work> {
        let counted = self.ask(
            "SELECT pg_current_wal_insert_lsn() - '0/0', coalesce(sum(calls), 0) \
             FROM pg_stat_statements",
        )?;
        let (wal, statements) = counted.split_once('|').context("psql answered differently")?;
        let (wal, statements) = (wal.parse()?, statements.trim().parse()?);
        Ok(Work { cpu: proc::family_cpu(self.pid)?, wal, statements })
    }

    /// What was done from `before` to `after`, for each of `messages`.
    pub fn cost(before: Work, after: Work, messages: usize) -> Cost {
        let each = |total: f64| total / messages.max(1) as f64;
        Cost {
            cpu_us: each(after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6),
            wal_bytes: each(after.wal.saturating_sub(before.wal) as f64),
            statements: each(after.statements.saturating_sub(before.statements) as f64),
        }
    }

    /// Runs a statement in the database.
    pub fn run(&self, statement: &str) -> Result<()> {
        let done = ringback_pg_cluster::psql(&self.dsn(), statement);
        done.map(drop).map_err(|error| anyhow!("{error}"))
    }

    /// The counters are a superuser's to see.
    fn ask(&self, statement: &str) -> Result<String> {
        ringback_pg_cluster::psql(&self.superuser, statement).map_err(|error| anyhow!("{error}"))
    }
}
