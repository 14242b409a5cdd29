//! Contracts of event types.

use std::collections::HashMap;

use ringback_domain::{
    contract::{
        Terms,
        version::{Dialect, Status, Validation, Version},
    },
    id::Key,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, answer, fault::Stop, rows, writer::Transaction};
use crate::{
    Amendment, BoxFuture, Contract, ContractChange, Contracts, ConversionRow, ReadError,
    Unavailable, VersionRow, WriteError, change::later,
};

impl Contracts for Sqlite {
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>> {
        self.read(move |connection| {
            let found = one(connection, environment, &event_type)?;
            found.ok_or(Stop::Refused(ReadError::NotFound("event type")))
        })
    }

    fn contracts(&self, environment: Key) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>> {
        self.read(move |connection| Ok(all(connection, environment)?))
    }

    fn change_contract(
        &self,
        change: ContractChange,
    ) -> BoxFuture<'_, Result<Contract, WriteError>> {
        self.change(move |transaction| self::change(transaction, &change))
    }
}

fn change(
    transaction: &mut Transaction<'_>,
    change: &ContractChange,
) -> Result<Contract, Stop<WriteError>> {
    let connection = transaction.connection;
    let (environment, name) = (change.environment, &change.event_type);
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    let known = one(connection, environment, name)?.ok_or_else(missing)?;
    change.check(&known).map_err(Stop::Refused)?;
    put_versions(connection, (environment, known.event_type), &change.versions)?;
    for row in &change.conversions {
        let sql = include_str!("queries/contract_conversion_insert.sql");
        connection.prepare_cached(sql)?.execute((
            row.key,
            environment,
            known.event_type,
            row.ordinal,
            row.program.to_string(),
            row.created_at.millis(),
        ))?;
    }
    let terms = change.terms.as_ref().unwrap_or(&known.terms);
    let updated_at = later(known.updated_at, change.now);
    update(connection, known.event_type, terms, updated_at, change.schemas.as_ref())?;
    answer::keep(transaction, change.now, change.answer.as_ref())?;
    one(connection, environment, name)?.ok_or_else(missing)
}

/// Changes a contract together with its event type, whose row is there and has its old time.
pub(super) fn amend(
    connection: &Connection,
    (environment, name): (Key, &str),
    amendment: Option<&Amendment>,
) -> Result<(), Stop<WriteError>> {
    let Some(amendment) = amendment else { return Ok(()) };
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    let known = one(connection, environment, name)?.ok_or_else(missing)?;
    amendment.check(&known).map_err(Stop::Refused)?;
    put_versions(connection, (environment, known.event_type), &amendment.versions)?;
    update(connection, known.event_type, &amendment.terms, known.updated_at, None)?;
    Ok(())
}

fn update(
    connection: &Connection,
    event_type: Key,
    terms: &Terms,
    updated_at: Timestamp,
    schemas: Option<&Option<serde_json::Value>>,
) -> rusqlite::Result<()> {
    let Terms { validation, ordering_pointer, deliver_original } = terms;
    let sql = include_str!("queries/contract_update.sql");
    connection.prepare_cached(sql)?.execute((
        event_type,
        validation.number(),
        ordering_pointer,
        deliver_original,
        updated_at.millis(),
        schemas.is_some(),
        schemas.and_then(Option::as_ref).map(ToString::to_string),
    ))?;
    Ok(())
}

/// Deletes the contract of an event type that is deleted for good.
pub(super) fn delete(connection: &Connection, event_type: Key) -> rusqlite::Result<()> {
    for sql in [
        include_str!("queries/contract_delete.sql"),
        include_str!("queries/contract_delete_conversions.sql"),
    ] {
        connection.prepare_cached(sql)?.execute([event_type])?;
    }
    Ok(())
}

fn put_versions(
    connection: &Connection,
    owner: (Key, Key),
    rows: &[VersionRow],
) -> Result<(), Stop<WriteError>> {
    rows.iter().try_for_each(|row| put_version(connection, owner, row))
}

fn put_version(
    connection: &Connection,
    (environment, event_type): (Key, Key),
    row: &VersionRow,
) -> Result<(), Stop<WriteError>> {
    let version = &row.version;
    let millis = |time: Option<Timestamp>| time.map(Timestamp::millis);
    let sql = include_str!("queries/contract_version_put.sql");
    let put = connection.prepare_cached(sql)?.execute((
        row.key,
        environment,
        event_type,
        &version.label,
        version.ordinal,
        version.status.number(),
        version.dialect.number(),
        version.schema.to_string(),
        &version.changelog,
        rows::json(&version.examples)?,
        millis(version.deprecated_at),
        millis(version.sunset_at),
        millis(version.default_since),
        row.created_at.millis(),
        row.updated_at.millis(),
    ))?;
    if put == 1 { Ok(()) } else { Err(Stop::Refused(WriteError::Conflict("version"))) }
}

fn one(
    connection: &Connection,
    environment: Key,
    name: &str,
) -> rusqlite::Result<Option<Contract>> {
    let sql = include_str!("queries/contract.sql");
    let mut select = connection.prepare_cached(sql)?;
    let Some(mut contract) = select.query_row((environment, name), head).optional()? else {
        return Ok(None);
    };
    let sql = include_str!("queries/contract_versions.sql");
    let mut select = connection.prepare_cached(sql)?;
    for version in select.query_map([contract.event_type], version)? {
        contract.versions.push(version?.1);
    }
    let sql = include_str!("queries/contract_conversions.sql");
    let mut select = connection.prepare_cached(sql)?;
    for conversion in select.query_map([contract.event_type], conversion)? {
        contract.conversions.push(conversion?.1);
    }
    Ok(Some(contract))
}

fn all(connection: &Connection, environment: Key) -> rusqlite::Result<Vec<Contract>> {
    let mut select = connection.prepare_cached(include_str!("queries/contracts.sql"))?;
    let found = select.query_map([environment], head)?.collect::<rusqlite::Result<Vec<_>>>()?;
    if found.is_empty() {
        return Ok(found);
    }
    let mut contracts: HashMap<Key, Contract> =
        found.into_iter().map(|contract| (contract.event_type, contract)).collect();
    let sql = include_str!("queries/contracts_versions.sql");
    let mut select = connection.prepare_cached(sql)?;
    for row in select.query_map([environment], version)? {
        let (owner, row) = row?;
        if let Some(contract) = contracts.get_mut(&owner) {
            contract.versions.push(row);
        }
    }
    let sql = include_str!("queries/contracts_conversions.sql");
    let mut select = connection.prepare_cached(sql)?;
    for row in select.query_map([environment], conversion)? {
        let (owner, row) = row?;
        if let Some(contract) = contracts.get_mut(&owner) {
            contract.conversions.push(row);
        }
    }
    Ok(contracts.into_values().collect())
}

fn head(row: &Row<'_>) -> rusqlite::Result<Contract> {
    Ok(Contract {
        event_type: row.get(0)?,
        name: row.get(1)?,
        terms: Terms {
            validation: Validation::from_number(row.get(2)?),
            ordering_pointer: row.get(3)?,
            deliver_original: row.get(4)?,
        },
        updated_at: Timestamp(row.get(5)?),
        versions: Vec::new(),
        conversions: Vec::new(),
    })
}

fn version(row: &Row<'_>) -> rusqlite::Result<(Key, VersionRow)> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
    let version = Version {
        label: row.get(2)?,
        ordinal: row.get(3)?,
        status: Status::from_number(row.get(4)?),
        dialect: Dialect::from_number(row.get(5)?),
        schema: rows::parsed(row, 6)?,
        changelog: row.get(7)?,
        examples: rows::parsed(row, 8)?,
        deprecated_at: time(9)?,
        sunset_at: time(10)?,
        default_since: time(11)?,
    };
    let (created_at, updated_at) = (Timestamp(row.get(12)?), Timestamp(row.get(13)?));
    Ok((row.get(1)?, VersionRow { key: row.get(0)?, version, created_at, updated_at }))
}

fn conversion(row: &Row<'_>) -> rusqlite::Result<(Key, ConversionRow)> {
    let conversion = ConversionRow {
        key: row.get(0)?,
        ordinal: row.get(2)?,
        program: rows::parsed(row, 3)?,
        created_at: Timestamp(row.get(4)?),
    };
    Ok((row.get(1)?, conversion))
}
