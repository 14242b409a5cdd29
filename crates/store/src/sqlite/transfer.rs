//! The source of a copy: a file that nobody else has open, read and not changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ringback_domain::{id::Key, shard, shard::SHARDS};
use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{FILE, open::SCHEMA_VERSION};
use crate::{
    postgres,
    transfer::{Column, Error, Kind, Table, Value},
};

/// The embedded store, to be copied.
pub(crate) struct Source {
    path: PathBuf,
    connection: Connection,
}

/// Where the installation was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) epoch: i64,
    pub(crate) last_key: Key,
    pub(crate) last_attempt: Key,
}

/// The days for which there are rows, by the target's table.
pub(crate) type Days = BTreeMap<&'static str, Vec<i64>>;

impl Source {
    /// Opens the file of a data directory.
    pub(crate) fn open(directory: &Path) -> Result<Source, Error> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(Error::Missing(directory.display().to_string()));
        }
        let failed = |error: rusqlite::Error| failure(&path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(&path), flags).map_err(failed)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        if found != SCHEMA_VERSION {
            let path = path.display().to_string();
            return Err(Error::Version { path, found, known: SCHEMA_VERSION });
        }
        // All that is read from now on is of one moment.
        connection.execute_batch("BEGIN").map_err(failed)?;
        Ok(Source { path, connection })
    }

    /// Every table with its columns.
    pub(crate) fn columns(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let read = || {
            let sql = include_str!("queries/columns.sql");
            let mut select = self.connection.prepare(sql)?;
            let mut rows = select.query([])?;
            let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                tables.entry(row.get(0)?).or_default().insert(row.get(1)?);
            }
            Ok(tables)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Reads what belongs into a table of the target, row by row.
    pub(crate) fn read(
        &self,
        table: &Table,
        mut each: impl FnMut(Vec<Value>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut select = self.connection.prepare(&table.select()).map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let values = table.columns.iter().enumerate().map(|(index, column)| {
                let value = row.get_ref(index).map_err(failed)?;
                converted(value, column.kind).ok_or_else(|| self.unexpected(table, column))
            });
            each(values.collect::<Result<_, _>>()?)?;
        }
        Ok(())
    }

    /// The days for which the target needs partitions.
    pub(crate) fn days(&self) -> Result<Days, Error> {
        let read = || {
            let mut select = self.connection.prepare(include_str!("queries/days.sql"))?;
            let mut rows = select.query([])?;
            let mut days = Days::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let table = postgres::DIVIDED.into_iter().find(|table| *table == name);
                days.entry(table.unwrap_or_default()).or_default().push(row.get(1)?);
            }
            Ok(days)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Where the keys and the epoch are.
    pub(crate) fn marks(&self) -> Result<Marks, Error> {
        let number = |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let read = || {
            Ok(Marks {
                epoch: number("SELECT value FROM meta WHERE name = 'epoch'")?,
                last_key: number(include_str!("queries/last_key.sql"))?,
                last_attempt: number(include_str!("queries/last_attempt.sql"))?,
            })
        };
        read().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failure(&self.path, error)
    }

    fn unexpected(&self, table: &Table, column: &Column) -> Error {
        let reason = format!("{}.{} holds something unexpected", table.name, column.name);
        Error::Source { path: self.path.display().to_string(), reason }
    }
}

fn failure(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Source { path: path.display().to_string(), reason: error.to_string() }
}

/// The file's name for SQLite. A log that is empty or not there is not needed: then nothing is made
/// beside the file, which may lie where nothing can be written.
fn uri(path: &Path) -> String {
    let mut name = String::from("file:");
    for character in path.display().to_string().chars() {
        match character {
            '?' => name.push_str("%3f"),
            '#' => name.push_str("%23"),
            '%' => name.push_str("%25"),
            other => name.push(other),
        }
    }
    let log = path.with_extension("sqlite-wal");
    let written = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    name.push_str(if written { "?mode=ro" } else { "?immutable=1" });
    name
}

/// The value as the target keeps it, in its canonical form; nothing if it is of another kind.
fn converted(value: ValueRef<'_>, kind: Kind) -> Option<Value> {
    Some(match (kind, value) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Number, ValueRef::Integer(number)) => Value::Number(number),
        (Kind::Truth, ValueRef::Integer(number)) => Value::Number(i64::from(number != 0)),
        (Kind::Text, ValueRef::Text(_)) => Value::Text(value.as_str().ok()?.to_owned()),
        (Kind::Json, ValueRef::Text(text)) => {
            Value::Text(serde_json::from_slice::<serde_json::Value>(text).ok()?.to_string())
        }
        (Kind::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_vec()),
        (Kind::Shard, ValueRef::Integer(application)) => {
            Value::Number(shard::of(application).into())
        }
        (Kind::Shard, ValueRef::Blob(fingerprint)) => {
            let fingerprint = u128::from_be_bytes(fingerprint.try_into().ok()?);
            Value::Number((fingerprint % u128::from(SHARDS)) as i64)
        }
        _ => return None,
    })
}
