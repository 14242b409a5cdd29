//! Copying an installation from a data directory into a database on a server.
//!
//! ```text
//! open:    the source is opened read-only; the target must be empty, and is marked as unfinished
//! copy:    table by table, row by row, in bounded batches; keys and sealed secrets as they are
//! verify:  both sides are read again; counts and checksums of every table must be the same
//! finish:  epoch and keys go on where the source was; the mark is taken away
//! ```
//!
//! No server starts on a database with the mark, so what was interrupted is never taken for whole.
//! Which tables and columns there are is read from the two databases: a column that only one of them
//! has stops the copy, unless [`table`](self) says where it comes from.

mod digest;
mod table;

use std::path::Path;

use crate::{
    postgres,
    postgres::transfer::Target,
    sqlite::transfer::{Marks, Source},
};

pub use self::digest::Sum;
pub(crate) use self::{
    digest::Value,
    table::{Column, Kind, Table},
};

/// A batch is written when it has this many rows …
const ROWS: usize = 1_000;
/// … or this many bytes.
const BYTES: usize = 4 << 20;

/// Why an installation is not copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to copy.
    #[error("there is no installation in {0}")]
    Missing(String),
    /// The source cannot be read.
    #[error("cannot read {path}: {reason}")]
    Source {
        /// The database file.
        path: String,
        /// What the database said.
        reason: String,
    },
    /// The source was written by another version.
    #[error(
        "{path} has schema version {found}, and this program reads version {known}; an older one is \
         brought up to date when a server of this program is started on it"
    )]
    Version {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// The target cannot be used.
    #[error(transparent)]
    Open(#[from] postgres::OpenError),
    /// The target failed.
    #[error("the database failed: {0}")]
    Target(String),
    /// The target holds something already.
    #[error(
        "the database is not empty: there are rows in its table {0}; an installation is copied \
         into an empty database only"
    )]
    NotEmpty(String),
    /// The target holds a part of an installation.
    #[error(
        "a copy into this database was begun and did not finish; with --restart, what it wrote is \
         deleted and the copy begins again"
    )]
    Unfinished,
    /// The two sides do not have the same columns.
    #[error("the schemas do not match: {0}")]
    Schema(String),
    /// What was copied is not what is there.
    #[error("the table {table} differs: {read} in the data directory, {found} in the database")]
    Differs {
        /// The table.
        table: String,
        /// What was read from the source.
        read: Sum,
        /// What was read from the target.
        found: Sum,
    },
}

/// What to do with what an interrupted copy left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Refuse to go on.
    Refuse,
    /// Delete it and begin again.
    Delete,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many rows of this table were copied.
    Copying(String, u64),
    /// The table is copied: so many rows.
    Copied(String, u64),
    /// The table is the same on both sides.
    Verified(String, Sum),
}

/// One copy under way.
pub struct Transfer {
    source: Source,
    target: Target,
    tables: Vec<Table>,
}

impl Transfer {
    /// Opens both sides. Nobody may use the data directory meanwhile: the caller holds its lock.
    ///
    /// # Errors
    /// [`Error`] says which side cannot be used, and why.
    pub fn open(directory: &Path, dsn: &str, leftovers: Leftovers) -> Result<Transfer, Error> {
        let source = Source::open(directory)?;
        let target = Target::open(dsn)?;
        let tables = target.tables()?;
        table::check(&tables, &source.columns()?)?;
        target.begin(&tables, leftovers)?;
        Ok(Transfer { source, target, tables })
    }

    /// Copies everything.
    ///
    /// # Errors
    /// [`Error`] says which side failed.
    pub fn copy(&self, tell: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        self.target.divide(&self.source.days()?)?;
        for table in &self.tables {
            let mut batch = Batch::default();
            let mut copied = 0;
            self.source.read(table, |row| {
                batch.push(row);
                if batch.is_full() {
                    copied += batch.write(&self.target, table)?;
                    tell(Progress::Copying(table.name.clone(), copied));
                }
                Ok(())
            })?;
            copied += batch.write(&self.target, table)?;
            tell(Progress::Copied(table.name.clone(), copied));
        }
        Ok(())
    }

    /// Reads both sides again and compares them.
    ///
    /// # Errors
    /// [`Error::Differs`] names the first table that is not the same.
    pub fn verify(&self, tell: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        for table in &self.tables {
            let mut read = Sum::default();
            self.source.read(table, |row| {
                read.add(&row);
                Ok(())
            })?;
            let found = self.target.sum(table)?;
            if read != found {
                return Err(Error::Differs { table: table.name.clone(), read, found });
            }
            tell(Progress::Verified(table.name.clone(), found));
        }
        Ok(())
    }

    /// Lets servers start on the database.
    ///
    /// # Errors
    /// [`Error`] when the database fails.
    pub fn finish(self) -> Result<(), Error> {
        let Marks { epoch, last_key, last_attempt } = self.source.marks()?;
        self.target.finish(epoch, last_key, last_attempt)
    }
}

/// Rows on their way.
#[derive(Default)]
struct Batch {
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, row: Vec<Value>) {
        self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.bytes >= BYTES
    }

    fn write(&mut self, target: &Target, table: &Table) -> Result<u64, Error> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(0);
        }
        let count = rows.len() as u64;
        target.write(table, rows)?;
        Ok(count)
    }
}
