//! The target of a copy: an empty database, marked as unfinished until all of it is verified.

use std::{collections::BTreeMap, sync::Arc};

use ringback_domain::id::Key;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

use super::{
    Driver, Options,
    connect::{self, Pool, described},
    partitions,
    transaction::{Parameter, int8},
};
use crate::transfer::{Column, Error, Kind, Leftovers, Sum, Table, Value};

/// How many rows are read at once.
const ROWS: usize = 64;

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        Error::Target(described(&error))
    }
}

/// The database, to be filled.
pub(crate) struct Target {
    runtime: Driver,
    pool: Arc<Pool>,
}

impl Target {
    /// Connects, checks the server and brings the schema up to date.
    pub(crate) fn open(dsn: &str) -> Result<Target, Error> {
        let runtime = Driver::start()?;
        let dsn = dsn.to_owned();
        let options = Options { connections: 1, writers: 0, ..Options::default() };
        let pool = runtime.wait(async move { connect::reach(&dsn, &options).await })??;
        Ok(Target { runtime, pool: Arc::new(pool) })
    }

    /// The tables and their columns, as the catalog has them.
    pub(crate) fn tables(&self) -> Result<Vec<Table>, Error> {
        self.run(async |client| {
            let sql = include_str!("queries/transfer_columns.sql");
            let mut tables: Vec<Table> = Vec::new();
            for row in client.query_typed(sql, &[]).await? {
                let (table, name, kind): (String, String, &str) =
                    (row.get(0), row.get(1), row.get(2));
                let kind = kind_of(&name, kind)
                    .ok_or_else(|| Error::Schema(format!("{table}.{name} is of type {kind}")))?;
                if tables.last().is_none_or(|last| last.name != table) {
                    tables.push(Table { name: table, columns: Vec::new() });
                }
                let column = Column { name, kind };
                tables.last_mut().into_iter().for_each(|last| last.columns.push(column.clone()));
            }
            Ok(tables)
        })
    }

    /// Marks the database as unfinished, if it is empty or may be emptied.
    pub(crate) fn begin(&self, tables: &[Table], leftovers: Leftovers) -> Result<(), Error> {
        let names: Vec<String> = tables.iter().map(|table| quoted(&table.name)).collect();
        self.run(async move |client| {
            client.batch_execute("BEGIN").await?;
            let begun = begin(client, &names, leftovers).await;
            client.batch_execute(if begun.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            begun
        })
    }

    /// Makes the partitions that rows of these days belong into.
    pub(crate) fn divide(&self, days: &BTreeMap<&'static str, Vec<i64>>) -> Result<(), Error> {
        let days = days.clone();
        self.run(async move |client| Ok(partitions::make_for(client, &days).await?))
    }

    /// Writes rows, in one statement.
    pub(crate) fn write(&self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        let sql = insert(table);
        let columns = Cells::of(table, rows);
        self.run(async move |client| {
            let parameters: Vec<Parameter<'_>> = columns.iter().map(Cells::parameter).collect();
            client.execute_typed(&sql, &parameters).await?;
            Ok(())
        })
    }

    /// Reads a table and adds it up.
    pub(crate) fn sum(&self, table: &Table) -> Result<Sum, Error> {
        let table = table.clone();
        self.run(async move |client| {
            let begin = format!("BEGIN; DECLARE copied NO SCROLL CURSOR FOR {}", select(&table));
            client.batch_execute(&begin).await?;
            let summed = sum(client, &table).await;
            client.batch_execute("ROLLBACK").await?;
            summed
        })
    }

    /// Takes the mark away; keys and epoch go on where the source's were.
    pub(crate) fn finish(&self, epoch: i64, key: Key, attempt: Key) -> Result<(), Error> {
        self.run(async move |client| {
            let sql = include_str!("queries/transfer_finish.sql");
            client.execute_typed(sql, &[int8(&epoch), int8(&key), int8(&attempt)]).await?;
            Ok(())
        })
    }

    fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: for<'c> AsyncFnOnce(&'c Client) -> Result<T, Error>,
    {
        self.runtime.block_on(async {
            let client =
                self.pool.get().await.map_err(|reason| Error::Target(reason.to_string()))?;
            work(&client).await
        })
    }
}

async fn begin(client: &Client, names: &[String], leftovers: Leftovers) -> Result<(), Error> {
    // The row is locked from here on: a server that starts now waits, and then sees the mark.
    let sql = "SELECT copying FROM node FOR UPDATE";
    let copying: bool = client.query_typed_one(sql, &[]).await?.get(0);
    if copying && leftovers == Leftovers::Refuse {
        return Err(Error::Unfinished);
    }
    if copying {
        client.batch_execute(&format!("TRUNCATE {}", names.join(", "))).await?;
    }
    for name in names {
        let sql = format!("SELECT EXISTS (SELECT FROM {name})");
        if client.query_typed_one(&sql, &[]).await?.get(0) {
            return Err(Error::NotEmpty(name.clone()));
        }
    }
    client.execute_typed("UPDATE node SET copying = true", &[]).await?;
    Ok(())
}

async fn sum(client: &Client, table: &Table) -> Result<Sum, Error> {
    let fetch = format!("FETCH {ROWS} FROM copied");
    let mut sum = Sum::default();
    loop {
        let rows = client.query_typed(&fetch, &[]).await?;
        for row in &rows {
            let values = table.columns.iter().enumerate();
            let values: Vec<Value> =
                values.map(|(index, column)| value(row, index, column.kind)).collect();
            sum.add(&values);
        }
        if rows.len() < ROWS {
            return Ok(sum);
        }
    }
}

fn kind_of(column: &str, kind: &str) -> Option<Kind> {
    Some(match (column, kind) {
        ("shard", "integer") => Kind::Shard,
        (_, "bigint" | "integer" | "smallint") => Kind::Number,
        (_, "boolean") => Kind::Truth,
        (_, "text") => Kind::Text,
        (_, "jsonb") => Kind::Json,
        (_, "bytea") => Kind::Bytes,
        _ => return None,
    })
}

/// A name out of the catalog, as it can stand in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statement that takes the values of each column as an array.
fn insert(table: &Table) -> String {
    let (mut names, mut values, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
    for (number, Column { name, kind }) in (1..).zip(&table.columns) {
        names.push(quoted(name));
        values.push(match kind {
            Kind::Truth => format!("c{number} <> 0"),
            Kind::Json => format!("c{number}::jsonb"),
            Kind::Number | Kind::Shard | Kind::Text | Kind::Bytes => format!("c{number}"),
        });
        arrays.push(format!("${number}"));
    }
    let given: Vec<String> = (1..=arrays.len()).map(|number| format!("c{number}")).collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS given ({})",
        quoted(&table.name),
        names.join(", "),
        values.join(", "),
        arrays.join(", "),
        given.join(", "),
    )
}

/// The statement that reads them back, numbers as the largest of their kind.
fn select(table: &Table) -> String {
    let values = table.columns.iter().map(|Column { name, kind }| {
        let name = quoted(name);
        match kind {
            Kind::Truth => format!("{name}::int4::int8"),
            Kind::Number | Kind::Shard => format!("{name}::int8"),
            Kind::Json => format!("{name}::text"),
            Kind::Text | Kind::Bytes => name,
        }
    });
    let values: Vec<String> = values.collect();
    format!("SELECT {} FROM {}", values.join(", "), quoted(&table.name))
}

fn value(row: &Row, index: usize, kind: Kind) -> Value {
    let read = match kind {
        Kind::Number | Kind::Truth | Kind::Shard => {
            row.get::<_, Option<i64>>(index).map(Value::Number)
        }
        Kind::Text => row.get::<_, Option<String>>(index).map(Value::Text),
        Kind::Json => row.get::<_, Option<&str>>(index).map(|text| {
            let json = serde_json::from_str::<serde_json::Value>(text);
            Value::Text(json.map_or_else(|_| text.to_owned(), |json| json.to_string()))
        }),
        Kind::Bytes => row.get::<_, Option<Vec<u8>>>(index).map(Value::Bytes),
    };
    read.unwrap_or(Value::Null)
}

/// The values of one column.
enum Cells {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Cells {
    fn of(table: &Table, rows: Vec<Vec<Value>>) -> Vec<Cells> {
        let empty = |column: &Column| match column.kind {
            Kind::Number | Kind::Truth | Kind::Shard => Cells::Numbers(Vec::new()),
            Kind::Text | Kind::Json => Cells::Texts(Vec::new()),
            Kind::Bytes => Cells::Bytes(Vec::new()),
        };
        let mut columns: Vec<Cells> = table.columns.iter().map(empty).collect();
        for row in rows {
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        columns
    }

    fn push(&mut self, value: Value) {
        match (self, value) {
            (Cells::Numbers(numbers), Value::Number(number)) => numbers.push(Some(number)),
            (Cells::Texts(texts), Value::Text(text)) => texts.push(Some(text)),
            (Cells::Bytes(all), Value::Bytes(bytes)) => all.push(Some(bytes)),
            // Absent; the source gives no value of another kind.
            (Cells::Numbers(numbers), _) => numbers.push(None),
            (Cells::Texts(texts), _) => texts.push(None),
            (Cells::Bytes(all), _) => all.push(None),
        }
    }

    fn parameter(&self) -> Parameter<'_> {
        match self {
            Cells::Numbers(values) => (values as &(dyn ToSql + Sync), Type::INT8_ARRAY),
            Cells::Texts(values) => (values, Type::TEXT_ARRAY),
            Cells::Bytes(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}
