//! Versions and conversions of event types.

use ringback_domain::{id::Key, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, fault::Stop, writer::Transaction};
use crate::{
    BoxFuture, Contract, Contracts, ConversionRow, NewConversion, PutVersion, ReadError, Terms,
    Unavailable, VersionRow, WriteError,
};

impl Contracts for Sqlite {
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let missing = Stop::Refused(ReadError::NotFound("event type"));
            let found = by_name(&snapshot, environment, &event_type)?.ok_or(missing)?;
            Ok(whole(&snapshot, found, include_str!("queries/conversions.sql"))?)
        })
    }

    fn contracts(
        &self,
        environment: Key,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut select = snapshot.prepare_cached(include_str!("queries/contracts.sql"))?;
            let found: Vec<Contract> = select
                .query_map((environment, after, limit as i64), from_row)?
                .collect::<rusqlite::Result<_>>()?;
            let in_force = include_str!("queries/conversions_in_force.sql");
            let all = found.into_iter().map(|found| whole(&snapshot, found, in_force));
            Ok(all.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn set_terms(
        &self,
        environment: Key,
        event_type: String,
        terms: Terms,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Contract, WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            let found = existing(connection, environment, &event_type)?;
            connection.prepare_cached(include_str!("queries/contract_terms.sql"))?.execute((
                found.event_type,
                terms.validation,
                &terms.ordering_pointer,
                now.millis(),
            ))?;
            let found = Contract { terms, ..found };
            Ok(whole(connection, found, include_str!("queries/conversions.sql"))?)
        })
    }

    fn put_version(&self, put: PutVersion) -> BoxFuture<'_, Result<VersionRow, WriteError>> {
        self.change(move |transaction| put_version(transaction, put))
    }

    fn add_conversion(
        &self,
        new: NewConversion,
    ) -> BoxFuture<'_, Result<ConversionRow, WriteError>> {
        self.change(move |transaction| add_conversion(transaction, new))
    }
}

/// Removes everything that an event type promised.
pub(super) fn delete(connection: &Connection, event_type: Key) -> rusqlite::Result<()> {
    for sql in [
        include_str!("queries/versions_delete.sql"),
        include_str!("queries/conversions_delete.sql"),
    ] {
        connection.prepare_cached(sql)?.execute([event_type])?;
    }
    Ok(())
}

fn put_version(
    transaction: &mut Transaction<'_>,
    put: PutVersion,
) -> Result<VersionRow, Stop<WriteError>> {
    let connection = transaction.connection;
    let PutVersion { event_type, version, expected, now } = put;
    let event_type = existing(connection, version.environment, &event_type)?.event_type;
    let others = versions(connection, event_type)?;
    let version = version.replacing(event_type, &others, expected, now).map_err(Stop::Refused)?;
    if expected.is_none() {
        let key = transaction.memory.keys.next(now, 0);
        let version = VersionRow { key, ..version };
        insert(connection, &version)?;
        return Ok(version);
    }
    update(connection, &version)?;
    Ok(version)
}

fn insert(connection: &Connection, version: &VersionRow) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(include_str!("queries/version_insert.sql"))?;
    insert.execute((
        version.key,
        version.environment,
        version.event_type,
        &version.label,
        version.ordinal,
        version.status,
        version.dialect,
        &version.schema,
        &version.changelog,
        &version.examples,
        version.deprecated_at.map(Timestamp::millis),
        version.sunset_at.map(Timestamp::millis),
        version.default_since.map(Timestamp::millis),
        version.created_at.millis(),
        version.updated_at.millis(),
    ))?;
    Ok(())
}

fn update(connection: &Connection, version: &VersionRow) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(include_str!("queries/version_update.sql"))?;
    update.execute((
        version.key,
        &version.label,
        version.status,
        version.dialect,
        &version.schema,
        &version.changelog,
        &version.examples,
        version.deprecated_at.map(Timestamp::millis),
        version.sunset_at.map(Timestamp::millis),
        version.default_since.map(Timestamp::millis),
        version.updated_at.millis(),
    ))?;
    Ok(())
}

fn add_conversion(
    transaction: &mut Transaction<'_>,
    new: NewConversion,
) -> Result<ConversionRow, Stop<WriteError>> {
    let connection = transaction.connection;
    let NewConversion { environment, event_type, ordinal, program, now } = new;
    let event_type = existing(connection, environment, &event_type)?.event_type;
    if !versions(connection, event_type)?.iter().any(|version| version.ordinal == ordinal) {
        return Err(Stop::Refused(WriteError::NotFound("version")));
    }
    let key = transaction.memory.keys.next(now, 0);
    connection.prepare_cached(include_str!("queries/conversion_insert.sql"))?.execute((
        key,
        environment,
        event_type,
        ordinal,
        &program,
        now.millis(),
    ))?;
    Ok(ConversionRow { key, environment, event_type, ordinal, program, created_at: now })
}

fn existing(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> Result<Contract, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    by_name(connection, environment, name)?.ok_or_else(missing)
}

/// The contract of this name, without versions and conversions.
fn by_name(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> rusqlite::Result<Option<Contract>> {
    connection
        .prepare_cached(include_str!("queries/contract.sql"))?
        .query_row((environment, name), from_row)
        .optional()
}

/// The contract with its versions, and those conversions that the statement finds.
fn whole(connection: &Connection, found: Contract, sql: &str) -> rusqlite::Result<Contract> {
    let versions = versions(connection, found.event_type)?;
    let conversions = connection
        .prepare_cached(sql)?
        .query_map([found.event_type], conversion)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Contract { versions, conversions, ..found })
}

fn versions(connection: &Connection, event_type: Key) -> rusqlite::Result<Vec<VersionRow>> {
    let mut select = connection.prepare_cached(include_str!("queries/versions.sql"))?;
    select.query_map([event_type], version)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Contract> {
    Ok(Contract {
        event_type: row.get(0)?,
        environment: row.get(1)?,
        name: row.get(2)?,
        terms: Terms { validation: row.get(3)?, ordering_pointer: row.get(4)? },
        ..Contract::default()
    })
}

fn version(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    Ok(VersionRow {
        key: row.get(0)?,
        environment: row.get(1)?,
        event_type: row.get(2)?,
        label: row.get(3)?,
        ordinal: row.get(4)?,
        status: row.get(5)?,
        dialect: row.get(6)?,
        schema: row.get(7)?,
        changelog: row.get(8)?,
        examples: row.get(9)?,
        deprecated_at: time(10)?,
        sunset_at: time(11)?,
        default_since: time(12)?,
        created_at: Timestamp(row.get(13)?),
        updated_at: Timestamp(row.get(14)?),
    })
}

fn conversion(row: &Row<'_>) -> rusqlite::Result<ConversionRow> {
    Ok(ConversionRow {
        key: row.get(0)?,
        environment: row.get(1)?,
        event_type: row.get(2)?,
        ordinal: row.get(3)?,
        program: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
    })
}
